use std::sync::LazyLock;

use regex::bytes::Regex;

use super::Secret;
use crate::digest::hex;

/// Stands where a key stood.
const MARK: &[u8] = b"[key]";

/// Matches what looks like a key or what a provider left of one when it echoed it.
static KEY_LIKE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?-u)\b(?:sk|pk|rk)-[A-Za-z0-9_*.\-]{6,}|\b(?:fw_|xai-|gsk_|hf_|AIza|r8_|pplx-)[A-Za-z0-9_*\-]{10,}|(?i:bearer)\s+[A-Za-z0-9._~+/=*\-]{12,}";
    Regex::new(pattern).ok()
});

/// Takes keys out of what a server says, before anybody else sees it.
#[derive(Clone, Default)]
pub struct Redaction {
    /// The spellings of the keys, longest first.
    spellings: Vec<Vec<u8>>,
    /// Matches any of them.
    any: Option<Regex>,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redaction(…)")
    }
}

impl Redaction {
    /// Knows a key as it is, JSON-escaped, URL-encoded, in hexadecimal, and in base64 at every alignment. Keys of fewer than
    /// 8 bytes are left alone: they are in half of all words.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Self {
        let mut spellings: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let key = secret.expose();
            if key.len() < 8 {
                continue;
            }
            let escaped = serde_json::to_string(key).unwrap_or_default();
            let encoded: String = key
                .bytes()
                .map(|byte| match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                    _ => format!("%{byte:02X}"),
                })
                .collect();
            let hex = hex(key.as_bytes());
            spellings.extend([
                key.as_bytes().to_vec(),
                escaped.trim_matches('"').as_bytes().to_vec(),
                key.replace('/', "\\/").into_bytes(),
                encoded.to_ascii_lowercase().into_bytes(),
                encoded.into_bytes(),
                hex.to_ascii_uppercase().into_bytes(),
                hex.into_bytes(),
            ]);
            for alignment in 0..3 {
                let standard = base64_inside(key.as_bytes(), alignment);
                spellings.push(standard.replace('+', "-").replace('/', "_").into_bytes());
                spellings.push(standard.into_bytes());
            }
        }
        spellings.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spellings.dedup();
        let escaped: Vec<String> =
            spellings.iter().map(|spelling| regex::escape(&String::from_utf8_lossy(spelling))).collect();
        let any = (!escaped.is_empty()).then(|| Regex::new(&escaped.join("|")).ok()).flatten();
        Self { spellings, any }
    }

    /// Takes the keys themselves out of a body, and what is left of one where the body was cut within it.
    ///
    /// This alone is done to the body of an answer: what else looks like a key in it, the model wrote.
    pub fn keys(&self, body: Vec<u8>, is_cut: bool) -> Vec<u8> {
        let mut body = match &self.any {
            Some(any) if any.is_match(&body) => any.replace_all(&body, MARK).into_owned(),
            _ => body,
        };
        if is_cut {
            let most = self
                .spellings
                .iter()
                .filter_map(|spelling| (6..spelling.len()).rev().find(|length| body.ends_with(&spelling[..*length])));
            if let Some(length) = most.max() {
                body.truncate(body.len() - length);
                body.extend_from_slice(MARK);
            }
        }
        body
    }

    /// Takes the keys out of the body of a failure, and all that looks like one.
    pub fn all(&self, body: Vec<u8>, is_cut: bool) -> Vec<u8> {
        let body = self.keys(body, is_cut);
        match &*KEY_LIKE {
            Some(like) if like.is_match(&body) => like.replace_all(&body, MARK).into_owned(),
            _ => body,
        }
    }

    /// Takes the keys, and all that looks like one, out of a sentence.
    pub fn sentence(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.all(text.as_bytes().to_vec(), false)).into_owned()
    }
}

/// Returns what every base64 text (RFC 4648) has in common that holds `bytes` after `alignment` other bytes.
fn base64_inside(bytes: &[u8], alignment: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    // The first letter that is made of these bytes alone begins after this many of their bits.
    let skipped = (6 - (alignment * 8) % 6) % 6;
    let letters = bits.get(skipped..).unwrap_or_default().chunks_exact(6);
    letters.map(|six| char::from(LETTERS[six.iter().fold(0, |value, bit| value << 1 | usize::from(*bit))])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new(&Secret::new("sk-canary/0123456789+abcdef"))
    }

    #[test]
    fn every_spelling_of_a_key_is_found() {
        let spellings = [
            "sk-canary/0123456789+abcdef",
            "sk-canary\\/0123456789+abcdef",
            "sk-canary%2F0123456789%2Babcdef",
            "sk-canary%2f0123456789%2babcdef",
            // base64 of `sk-…`, of `:sk-…` and of `me:sk-…`.
            "c2stY2FuYXJ5LzAxMjM0NTY3ODkrYWJjZGVm",
            "OnNrLWNhbmFyeS8wMTIzNDU2Nzg5K2FiY2RlZg==",
            "bWU6c2stY2FuYXJ5LzAxMjM0NTY3ODkrYWJjZGVm",
        ];
        for spelling in spellings {
            let body = format!("{{\"echo\":\"{spelling}\",\"again\":\"{spelling}\"}}").into_bytes();
            let clean = String::from_utf8(redaction().keys(body, false)).unwrap();
            assert_eq!(clean.matches("[key]").count(), 2, "{clean}");
            assert!(!clean.contains("canary") && !clean.contains("FuYXJ5") && !clean.contains("NhbmFyeS"), "{clean}");
        }
        assert!(!format!("{:?}", redaction()).contains("canary"));
    }

    #[test]
    fn a_key_at_the_cut_is_found() {
        let clean = redaction().keys(b"{\"echo\":\"sk-canary/01234".to_vec(), true);
        assert_eq!(clean, b"{\"echo\":\"[key]");
        let whole = redaction().keys(b"an answer that ends in sk-ca".to_vec(), false);
        assert_eq!(whole, b"an answer that ends in sk-ca");
    }

    #[test]
    fn only_failures_lose_what_looks_like_a_key() {
        let body = b"Incorrect API key provided: sk-proj-********wxyz. Authorization: Bearer abcdefghijklmnop".to_vec();
        let clean = String::from_utf8(redaction().all(body.clone(), false)).unwrap();
        assert_eq!(clean, "Incorrect API key provided: [key] Authorization: [key]");
        assert_eq!(redaction().keys(body.clone(), false), body);
        assert_eq!(
            redaction().sentence("a risk-assessment of the disk-sharing"),
            "a risk-assessment of the disk-sharing"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_body_with_the_key_keeps_it(before in "[ -~]{0,40}", after in "[ -~]{0,40}") {
            let body = format!("{before}sk-canary/0123456789+abcdef{after}").into_bytes();
            let clean = redaction().all(body, true);
            let kept = clean.windows(17).any(|window| window == b"canary/0123456789");
            proptest::prop_assert!(!kept);
        }
    }
}
