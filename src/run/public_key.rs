use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::ssh_wire::{Wire, put};
use crate::digest::hex;

/// Is the only kind of key that signs manifests.
pub(super) const KIND: &str = "ssh-ed25519";

/// Is an Ed25519 public key, as OpenSSH writes one: `ssh-ed25519 AAAA… comment`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the line of a `.pub` file, of `authorized_keys` or of `allowed_signers`; what stands around key kind and key
    /// is passed over. `None` where it holds no Ed25519 key.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        words.find(|word| *word == KIND)?;
        Self::from_wire(&STANDARD.decode(words.next()?).ok()?)
    }

    /// Reads every key of a file: one a line, blank lines and `#` comments left out.
    ///
    /// `Err` holds the number (from 1) of a line that is none of these.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, usize> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        lines.map(|(at, line)| Self::parse(line).ok_or(at + 1)).collect()
    }

    /// Reads the form that signatures hold.
    pub(super) fn from_wire(bytes: &[u8]) -> Option<Self> {
        let mut wire = Wire(bytes);
        (wire.text()? == KIND.as_bytes()).then_some(())?;
        let key = wire.text()?.try_into().ok()?;
        wire.is_empty().then_some(Self(key))
    }

    fn to_wire(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, KIND.as_bytes());
        put(&mut bytes, &self.0);
        bytes
    }

    /// Returns the key's 32 bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns what `ssh-keygen -l` prints: `SHA256:` and 43 characters.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.to_wire())))
    }

    /// Returns 16 hexadecimal digits of the same hash, for file names.
    pub fn short_hex(&self) -> String {
        hex(&Sha256::digest(self.to_wire())[..8])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND} {}", STANDARD.encode(self.to_wire()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f somebody";

    #[test]
    fn a_key_reads_back_from_each_place_it_stands_in() {
        let key = PublicKey::parse(LINE).unwrap();
        assert_eq!(key.bytes()[..4], [0, 1, 2, 3]);
        assert_eq!(PublicKey::parse(&key.to_string()), Some(key));
        assert_eq!(PublicKey::parse(&format!("me@example.org namespaces=\"exp-manifest\" {LINE}")), Some(key));
        assert_eq!(PublicKey::parse_file(&format!("# keys\n\n{LINE}\n")), Ok(vec![key]));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for line in ["", "ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 !!", "ssh-ed25519 AAAA"] {
            assert_eq!(PublicKey::parse(line), None, "{line}");
        }
        assert_eq!(PublicKey::parse_file(&format!("{LINE}\nnonsense\n")), Err(2));
    }
}
