use camino::Utf8Path;

use super::failure::Failure;
use crate::run::PublicKey;

/// Reads public keys: `text` is one itself (`ssh-ed25519 AAAA…`), or the path (from `root`) of a file with some.
pub fn read_keys(root: &Utf8Path, text: &str) -> Result<Vec<PublicKey>, Failure> {
    if let Some(key) = PublicKey::parse(text) {
        return Ok(vec![key]);
    }
    let hint = "name a file with lines such as `ssh-ed25519 AAAA… comment` (a `.pub` file, or allowed_signers), or give one such line";
    let content = std::fs::read_to_string(root.join(text))
        .map_err(|error| Failure::usage(format!("cannot read public keys from `{text}`: {error}")).hint(hint))?;
    let keys = PublicKey::parse_file(&content)
        .map_err(|line| Failure::usage(format!("{text}:{line}: this is no Ed25519 public key")).hint(hint))?;
    if keys.is_empty() {
        return Err(Failure::usage(format!("`{text}` holds no public key")).hint(hint));
    }
    Ok(keys)
}
