use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;

use rustix::fs::Advice;

/// A BLAKE3-256 hash: 32 bytes, compared and ordered as bytes.
///
/// Its text form in files is `blake3:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Says why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest: expected `blake3:` and 64 hexadecimal digits")]
pub struct DigestError {
    /// The text as it stood.
    pub text: String,
}

const PREFIX: &str = "blake3:";

impl Digest {
    /// Wraps 32 bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 hexadecimal digits, without the prefix.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Returns the first `n` hexadecimal digits, for people.
    pub fn short(&self, n: usize) -> String {
        let mut text = self.to_hex();
        text.truncate(n);
        text
    }

    /// Reads 64 hexadecimal digits, with or without the `blake3:` prefix.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix(PREFIX).unwrap_or(text).as_bytes();
        let fail = || DigestError { text: text.to_owned() };
        if hex.len() != 64 {
            return Err(fail());
        }
        let mut bytes = [0u8; 32];
        for (slot, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let (high, low) = (nibble(pair[0]).ok_or_else(fail)?, nibble(pair[1]).ok_or_else(fail)?);
            *slot = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// Writes bytes as lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        out.push(hex_digit(byte >> 4));
        out.push(hex_digit(byte & 15));
    }
    out
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

/// Upper-case digits are refused: one digest has one text.
fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}…", self.short(12))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Hashes bytes as they stream past, counting them.
#[derive(Default)]
pub struct StreamHasher {
    inner: blake3::Hasher,
    len: u64,
}

impl StreamHasher {
    /// Starts an empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Returns the digest and the number of bytes taken in.
    pub fn finish(&self) -> (Digest, u64) {
        (Digest(*self.inner.finalize().as_bytes()), self.len)
    }

    /// Hashes all that a reader gives, in bounded memory; returns the digest and the length in bytes.
    pub fn read_all(mut reader: impl Read) -> io::Result<(Digest, u64)> {
        let mut hasher = Self::new();
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hashes a whole file, from its beginning, in bounded memory. Of a large one the system is asked to read what comes next
    /// while this is hashed: from a disk that is most of the time.
    pub fn read_file(file: &File) -> io::Result<(Digest, u64)> {
        use std::os::unix::fs::FileExt as _;
        let size = file.metadata()?.len();
        let mut hasher = Self::new();
        let mut buffer = vec![0u8; if size > AHEAD { 1 << 20 } else { 1 << 16 }];
        let (mut at, mut asked) = (0, 0);
        loop {
            if size > AHEAD && asked < size && at + AHEAD > asked {
                // Where it cannot be asked, it is read when it is read.
                let _ = rustix::fs::fadvise(file, asked, NonZeroU64::new(AHEAD), Advice::WillNeed);
                asked += AHEAD;
            }
            match file.read_at(&mut buffer, at) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    at += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Is how much of a large file is asked for ahead of what is hashed: 16 MiB.
const AHEAD: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back() {
        let digest = Digest::of(b"abc");
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        assert_eq!(digest.to_string(), "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "blake3:", "6437", &"G".repeat(64), &"A".repeat(64)] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_stream_hashes_like_the_whole() {
        let bytes = vec![7u8; 200_001];
        assert_eq!(StreamHasher::read_all(&bytes[..]).unwrap(), (Digest::of(&bytes), 200_001));
        let file = tempfile::tempfile().unwrap();
        for size in [0, 200_001, AHEAD as usize, 3 * AHEAD as usize + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            file.set_len(0).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
            assert_eq!(StreamHasher::read_file(&file).unwrap(), (Digest::of(&bytes), size as u64));
        }
    }
}
