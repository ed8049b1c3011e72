use std::fmt;
use std::sync::Arc;

/// Is a key: it is sent, and shown nowhere. It has no text form, and is not serialised.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a key, without the white space that files and shells leave around it; `None` where nothing is left, where it
    /// holds what no header can carry, or where it has more than 4,096 bytes.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        ((1..=4096).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(key.into()))
    }

    /// Returns the key, for the header that carries it and for finding it in what comes back.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_key_is_not_shown() {
        let key = Secret::new(" sk-abcdef0123456789\n").unwrap();
        assert_eq!(key.expose(), "sk-abcdef0123456789");
        assert_eq!(format!("{key:?}"), "Secret(…)");
        for bad in ["", "  ", "a\nb", "a b", "é"] {
            assert!(Secret::new(bad).is_none(), "{bad:?}");
        }
    }
}
