use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::DrawAddress;
use crate::digest::{Digest, RequestKey};

/// Is how many characters 32 bytes take: the last one carries 4 bits and two zeros.
const KEY_CHARS: usize = 43;

impl DrawAddress {
    /// Returns the name of this draw on the wire of a batch API and in files for other engines: `d`, the request's key in
    /// unpadded base64url, `-`, the generation, `-`, the number, both in hexadecimal without leading zeros.
    ///
    /// At most 62 characters of `A-Za-z0-9_-`, which all APIs take; the address reads back from it
    /// ([`from_custom_id`](Self::from_custom_id)), so that an answer finds its draw when nothing else is left.
    pub fn custom_id(&self) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.request.digest().as_bytes());
        format!("d{key}-{:x}-{:x}", self.generation, self.number)
    }

    /// Reads back what [`custom_id`](Self::custom_id) made; `None` for any other text, so that one draw has one name.
    pub fn from_custom_id(id: &str) -> Option<Self> {
        let rest = id.strip_prefix('d')?;
        let (key, rest) = rest.split_at_checked(KEY_CHARS)?;
        let bytes = URL_SAFE_NO_PAD.decode(key).ok()?;
        let (generation, number) = rest.strip_prefix('-')?.split_once('-')?;
        let address = Self {
            request: RequestKey::new(Digest::from_bytes(bytes.try_into().ok()?)),
            generation: u32::from_str_radix(generation, 16).ok()?,
            number: u32::from_str_radix(number, 16).ok()?,
        };
        // What reads alike but is not what is written (spare bits, leading zeros, upper case) is nobody's name.
        (address.custom_id() == id).then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(byte: u8, generation: u32, number: u32) -> DrawAddress {
        DrawAddress { request: RequestKey::new(Digest::from_bytes([byte; 32])), generation, number }
    }

    /// Files and batches at providers hold these texts: they may never read otherwise.
    #[test]
    fn golden_names_stand() {
        assert_eq!(address(0xfb, 0, 0).custom_id(), "d-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s-0-0");
        let long = address(255, u32::MAX, u32::MAX).custom_id();
        assert_eq!(long, format!("d{}8-ffffffff-ffffffff", "_".repeat(42)));
        assert_eq!(long.len(), 62);
    }

    #[test]
    fn only_the_name_itself_reads_back() {
        let id = address(7, 1, 31).custom_id();
        assert_eq!(DrawAddress::from_custom_id(&id), Some(address(7, 1, 31)));
        let spare_bits = id.replacen("BwcHBwc-", "BwcHBwd-", 1);
        for other in [
            String::new(),
            "d".into(),
            id[1..].into(),
            format!("{id}0"),
            format!("{id}-0"),
            id.replace("-1-1f", "-01-1f"),
            id.replace("-1f", "-1F"),
            id.replace("-1f", "-+1f"),
            id.replace("-1-", "-"),
            id.replacen('B', "ä", 1),
            spare_bits,
            "control|7|closed".into(),
        ] {
            assert!(
                DrawAddress::from_custom_id(&other).is_none_or(|read| other != id && read != address(7, 1, 31)),
                "{other}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_address_reads_back(bytes in any::<[u8; 32]>(), generation: u32, number: u32) {
            let address = DrawAddress { request: RequestKey::new(Digest::from_bytes(bytes)), generation, number };
            let id = address.custom_id();
            prop_assert!(id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-'));
            prop_assert_eq!(DrawAddress::from_custom_id(&id), Some(address));
        }
    }
}
