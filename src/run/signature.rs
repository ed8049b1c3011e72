use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::PublicKey;
use super::public_key::KIND;
use super::ssh_wire::{Wire, put};
use crate::digest::Digest;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";

/// Is a signature over a manifest's digest, in the format of `ssh-keygen -Y sign` (OpenSSH's PROTOCOL.sshsig).
///
/// Reading one says nothing of whether it holds: [`Self::signs`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSignature {
    key: PublicKey,
    hash: HashName,
    raw: [u8; 64],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HashName {
    Sha256,
    Sha512,
}

impl ManifestSignature {
    /// Is the namespace: a signature made for something else does not hold here.
    pub const NAMESPACE: &str = "exp-manifest";

    /// Returns the text that is signed: the digest as it stands in the manifest, and a line feed.
    pub fn message(digest: &Digest) -> String {
        format!("{digest}\n")
    }

    /// Reads an armoured signature by an Ed25519 key for this namespace; `Err` says what it is instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let body = text.trim().strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END));
        let body: String = body.ok_or("it is not an SSH signature")?.split_whitespace().collect();
        let bytes = STANDARD.decode(body).map_err(|_| "its base64 does not read")?;
        Self::from_wire(&bytes).ok_or("it is damaged, or not of a kind that exp knows")?
    }

    /// `None` where a length is wrong.
    fn from_wire(bytes: &[u8]) -> Option<Result<Self, String>> {
        let mut wire = Wire(bytes);
        if wire.take(MAGIC.len())? != MAGIC || wire.number()? != 1 {
            return None;
        }
        let Some(key) = PublicKey::from_wire(wire.text()?) else {
            return Some(Err(format!("its key is not of the kind `{KIND}`")));
        };
        let namespace = wire.text()?;
        if namespace != Self::NAMESPACE.as_bytes() {
            let other = String::from_utf8_lossy(namespace).into_owned();
            return Some(Err(format!("it is for `{}`, not for `{}`", other.escape_debug(), Self::NAMESPACE)));
        }
        if !wire.text()?.is_empty() {
            return None;
        }
        let hash = match wire.text()? {
            b"sha256" => HashName::Sha256,
            b"sha512" => HashName::Sha512,
            _ => return None,
        };
        let mut signature = Wire(wire.text()?);
        if !wire.is_empty() || signature.text()? != KIND.as_bytes() {
            return None;
        }
        let raw = signature.text()?.try_into().ok()?;
        signature.is_empty().then_some(Ok(Self { key, hash, raw }))
    }

    /// Returns the key that it says it was made with.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Says whether its key signed this digest.
    pub fn signs(&self, digest: &Digest) -> bool {
        let message = Self::message(digest);
        let (name, hash): (&[u8], Vec<u8>) = match self.hash {
            HashName::Sha256 => (b"sha256", Sha256::digest(message.as_bytes()).to_vec()),
            HashName::Sha512 => (b"sha512", Sha512::digest(message.as_bytes()).to_vec()),
        };
        let mut signed = MAGIC.to_vec();
        for part in [Self::NAMESPACE.as_bytes(), b"", name, &hash] {
            put(&mut signed, part);
        }
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, self.key.bytes());
        key.verify(&signed, &self.raw).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Was made by `printf '%s\n' DIGEST | ssh-keygen -Y sign -n exp-manifest -f KEY`.
    const SIGNED: &str = include_str!("signature_sample.sig");

    fn digest() -> Digest {
        Digest::parse(&format!("blake3:{}", "0123456789abcdef".repeat(4))).unwrap()
    }

    #[test]
    fn what_ssh_keygen_signed_holds_and_for_nothing_else() {
        let signature = ManifestSignature::parse(SIGNED).unwrap();
        assert!(signature.signs(&digest()));
        assert!(!signature.signs(&Digest::of(b"n")));
    }

    #[test]
    fn no_changed_byte_of_it_holds() {
        let body: String = SIGNED.lines().filter(|line| !line.starts_with('-')).collect();
        let bytes = STANDARD.decode(body).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let read = ManifestSignature::from_wire(&changed);
            assert!(!matches!(read, Some(Ok(signature)) if signature.signs(&digest())), "bit {at}");
        }
    }

    #[test]
    fn a_signature_for_something_else_says_so() {
        let mut wire = MAGIC.to_vec();
        wire.extend(1u32.to_be_bytes());
        let mut key = Vec::new();
        put(&mut key, KIND.as_bytes());
        put(&mut key, &[7; 32]);
        put(&mut wire, &key);
        put(&mut wire, b"git");
        assert_eq!(
            ManifestSignature::from_wire(&wire).unwrap().unwrap_err(),
            "it is for `git`, not for `exp-manifest`"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".*") {
            let mut framed = MAGIC.to_vec();
            framed.extend(&bytes);
            drop(ManifestSignature::from_wire(&framed));
            drop(ManifestSignature::parse(&text));
            drop(ManifestSignature::parse(&format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(framed))));
        }
    }
}
