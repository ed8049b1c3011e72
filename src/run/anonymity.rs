use std::io::{self, Read};

use regex::bytes::{Regex, RegexBuilder};

/// Is the length up to which a name is a part of everything: it cannot be looked for.
const SHORTEST: usize = 3;
/// Is how much of a file is looked at together, and how much of it again with what follows: longer than any name.
const CHUNK: usize = 1 << 20;
/// See [`CHUNK`].
const OVERLAP: usize = 1 << 14;
/// Is the longest name that is looked for; of a longer one its beginning is.
const LONGEST: usize = 1000;

/// Is what stands in the place of a name.
pub(super) const WITHHELD_NAME: &str = "withheld";

/// Knows the names that an anonymous archive may not show: hosts, users, organisations, paths.
///
/// A name is found in any case of its ASCII letters, and where quotes or backslashes stand in it, as JSON, CSV and Markdown
/// put them there.
#[derive(Clone, Debug)]
pub struct Anonymity {
    pattern: Option<Regex>,
}

impl Anonymity {
    /// Looks for these texts; those of less than three bytes say nothing, and are left out.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, regex::Error> {
        let mut alternatives: Vec<String> = Vec::new();
        for name in names.into_iter().map(str::trim).filter(|name| name.len() >= SHORTEST) {
            let letters = name.chars().filter(|c| !"\\\"".contains(*c)).take(LONGEST);
            let letters: Vec<String> = letters.map(|c| regex::escape(c.encode_utf8(&mut [0; 4]))).collect();
            alternatives.push(letters.join("[\\\\\"]*"));
        }
        // The longest first: what is replaced is as much as can be.
        alternatives.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        alternatives.dedup();
        let pattern = (!alternatives.is_empty())
            .then(|| RegexBuilder::new(&alternatives.join("|")).case_insensitive(true).size_limit(1 << 28).build())
            .transpose()?;
        Ok(Self { pattern })
    }

    /// Finds a name in a text.
    pub(super) fn found<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        self.pattern.as_ref()?.find(text).map(|found| found.as_bytes())
    }

    /// Says whether a name stands in what is read; memory is bounded.
    pub(super) fn is_in(&self, mut source: impl Read) -> io::Result<bool> {
        let mut held = Vec::new();
        loop {
            let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut held)?;
            if self.found(&held).is_some() {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            held.drain(..held.len().saturating_sub(OVERLAP));
        }
    }

    /// Writes a text without the names.
    pub(super) fn without_names(&self, text: &str) -> String {
        match &self.pattern {
            Some(pattern) => {
                let replaced = pattern.replace_all(text.as_bytes(), WITHHELD_NAME.as_bytes());
                String::from_utf8_lossy(&replaced).into_owned()
            }
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let names = Anonymity::new(["gpu7.lab", "/home/a_da", "say \"hi\"", "ab", ""]).unwrap();
        for text in [
            "at GPU7.Lab:80",
            "{\"path\":\"\\/home\\/a_da\\/x\"}",
            "`/home/a\\_da`",
            "say \\\"hi\\\"",
            "\"say \"\"hi\"\"\"",
        ] {
            assert!(names.found(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["gpu7_lab", "/home/bob", "ab"] {
            assert!(names.found(text.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(names.without_names("x /home/a_da/y"), "x withheld/y");
        assert!(Anonymity::new([]).unwrap().found(b"anything").is_none());
    }

    #[test]
    fn a_name_is_found_across_the_pieces_that_are_read() {
        let names = Anonymity::new(["gpu7.lab.example"]).unwrap();
        for at in (CHUNK - 20..CHUNK + 4).chain([0, 3 * CHUNK - 7]) {
            let mut bytes = vec![b'.'; 3 * CHUNK + 100];
            bytes[at..at + 16].copy_from_slice(b"gpu7.lab.example");
            assert!(names.is_in(bytes.as_slice()).unwrap(), "{at}");
        }
        assert!(!names.is_in(vec![b'.'; 2 * CHUNK].as_slice()).unwrap());
    }
}
