use std::collections::HashMap;

use super::passage::BuildStemHasher;
use super::token::tokenise;
use crate::digest::BlobId;

/// Says why bytes are no corpus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    /// The bytes are not UTF-8.
    #[error("the corpus is not UTF-8 text (byte {at})")]
    NotText {
        /// The first byte that is not, from 0.
        at: usize,
    },
    /// A line is not an object with a `text`.
    #[error("line {line} of the corpus: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no passage.
    #[error("the corpus has no passage")]
    Empty,
}

/// Holds passages and an index of their words, to retrieve one from for a question that brings none.
#[derive(Debug)]
pub struct Corpus {
    id: BlobId,
    passages: Vec<String>,
    lengths: Vec<f64>,
    mean_length: f64,
    /// By stem: the passages that have it, ascending, and how often.
    postings: HashMap<u64, Vec<(u32, f64)>, BuildStemHasher>,
}

/// Is a line of a corpus in JSONL; other fields may stand beside.
#[derive(serde::Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    title: Option<String>,
}

/// Saturates repeated words, as is usual for BM25.
const K1: f64 = 1.2;

/// Weighs the length of a passage, as is usual for BM25.
const B: f64 = 0.75;

impl Corpus {
    /// Reads a corpus: JSONL with `text` and, if it likes, `title` (a line of its own before the text), if the first
    /// character is `{`; else plain text whose paragraphs, parted by empty lines, are the passages. A BOM is passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, CorpusError> {
        let text = std::str::from_utf8(bytes).map_err(|error| CorpusError::NotText { at: error.valid_up_to() })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let passages = if text.trim_start().starts_with('{') { jsonl(text)? } else { paragraphs(text) };
        if passages.is_empty() {
            return Err(CorpusError::Empty);
        }
        let mut postings: HashMap<u64, Vec<(u32, f64)>, BuildStemHasher> = HashMap::default();
        let mut lengths = Vec::with_capacity(passages.len());
        for (number, passage) in passages.iter().enumerate() {
            let mut length = 0.0;
            for token in tokenise(passage).iter().filter(|token| token.is_content()) {
                length += 1.0;
                let list = postings.entry(token.stem).or_default();
                match list.last_mut() {
                    Some((last, count)) if *last == number as u32 => *count += 1.0,
                    _ => list.push((number as u32, 1.0)),
                }
            }
            lengths.push(length);
        }
        let mean_length = (lengths.iter().sum::<f64>() / lengths.len() as f64).max(1.0);
        Ok(Self { id: BlobId::of(bytes), passages, lengths, mean_length, postings })
    }

    /// Returns the identity of the bytes that it was read from.
    pub fn id(&self) -> &BlobId {
        &self.id
    }

    /// Returns the passages, in the order of the file.
    pub fn passages(&self) -> &[String] {
        &self.passages
    }

    /// Returns the passage that suits a question best by Okapi BM25 (k1 = 1.2, b = 0.75, idf = ln(1 + (N - n + ½) / (n +
    /// ½))) over stems; of equals the first; none if no content word of it occurs.
    pub fn retrieve(&self, question: &str) -> Option<&str> {
        let mut scores = vec![0.0; self.passages.len()];
        let mut asked: Vec<u64> = tokenise(question).iter().filter(|t| t.is_content()).map(|t| t.stem).collect();
        // A fixed order of sums, so that the last bit never depends on anything else.
        asked.sort_unstable();
        asked.dedup();
        for stem in asked {
            let Some(list) = self.postings.get(&stem) else { continue };
            let (all, with) = (self.passages.len() as f64, list.len() as f64);
            let idf = libm::log(1.0 + (all - with + 0.5) / (with + 0.5));
            for &(number, count) in list {
                let norm = 1.0 - B + B * self.lengths[number as usize] / self.mean_length;
                scores[number as usize] += idf * count * (K1 + 1.0) / (count + K1 * norm);
            }
        }
        let mut best = (0.0, None);
        for (score, passage) in scores.iter().zip(&self.passages) {
            if *score > best.0 {
                best = (*score, Some(passage.as_str()));
            }
        }
        best.1
    }
}

fn jsonl(text: &str) -> Result<Vec<String>, CorpusError> {
    let mut passages = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let fail = |error: serde_json::Error| CorpusError::Line { line: i + 1, reason: error.to_string() };
        let row: Row = serde_json::from_str(line).map_err(fail)?;
        passages.push(match row.title {
            Some(title) if !title.trim().is_empty() => format!("{}\n{}", title.trim(), row.text.trim()),
            _ => row.text.trim().to_owned(),
        });
    }
    Ok(passages)
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut passages = Vec::new();
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        } else if !paragraph.is_empty() {
            passages.push(std::mem::take(&mut paragraph));
        }
    }
    passages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_read() {
        let jsonl = "{\"text\": \"One.\", \"title\": \"T\", \"n\": 1}\n\n{\"text\": \" Two. \"}\n";
        assert_eq!(Corpus::parse(jsonl.as_bytes()).unwrap().passages(), ["T\nOne.", "Two."]);
        let plain = "\u{feff}One\nand on.\r\n\r\n \n\nTwo.";
        assert_eq!(Corpus::parse(plain.as_bytes()).unwrap().passages(), ["One and on.", "Two."]);
    }

    #[test]
    fn what_is_no_corpus_is_refused() {
        assert_eq!(Corpus::parse(b" \n").unwrap_err(), CorpusError::Empty);
        assert_eq!(Corpus::parse(b"ab\xff").unwrap_err(), CorpusError::NotText { at: 2 });
        let error = Corpus::parse(b"{\"text\": \"a\"}\n{\"txet\": \"b\"}").unwrap_err();
        assert!(error.to_string().starts_with("line 2 of the corpus: missing field `text`"), "{error}");
    }

    #[test]
    fn the_passage_with_the_rarer_words_is_retrieved() {
        let corpus = Corpus::parse(b"The old mill ground barley.\n\nThe old lamp burnt oil.\n\nThe old boat.").unwrap();
        assert_eq!(corpus.retrieve("Which lamps were old?"), Some("The old lamp burnt oil."));
        assert_eq!(corpus.retrieve("What is old?"), Some("The old boat."));
        assert_eq!(corpus.retrieve("Who is the queen?"), None);
    }
}
