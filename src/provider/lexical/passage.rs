use std::collections::HashMap;

use super::span::{Span, spans};
use super::token::{Marks, Token, tokenise};

/// Is one passage as read: its words, sentences, and every span that could be an answer, whatever the question.
#[derive(Debug)]
pub(super) struct Passage {
    /// The words.
    pub(super) tokens: Vec<Token>,
    /// The first word of each sentence, and the number of words at the end.
    pub(super) sentences: Vec<u32>,
    /// The spans, in the order of the text.
    pub(super) spans: Vec<Span>,
    /// The words that carry content, by stem, in the order of the text.
    by_stem: HashMap<u64, Vec<u32>, BuildStemHasher>,
    /// In how many sentences each stem stands.
    sentences_of: HashMap<u64, u32, BuildStemHasher>,
}

impl Passage {
    /// Reads a passage.
    pub(super) fn read(text: &str) -> Self {
        let tokens = tokenise(text);
        let mut sentences = Vec::new();
        let mut by_stem: HashMap<u64, Vec<u32>, BuildStemHasher> = HashMap::default();
        let mut sentences_of: HashMap<u64, u32, BuildStemHasher> = HashMap::default();
        for (i, token) in tokens.iter().enumerate() {
            if token.marks.any(Marks::SENTENCE) || i == 0 {
                sentences.push(i as u32);
            }
            if token.is_content() {
                let places = by_stem.entry(token.stem).or_default();
                let sentence_start = sentences.last().copied().unwrap_or_default();
                if places.last().is_none_or(|&last| last < sentence_start) {
                    *sentences_of.entry(token.stem).or_default() += 1;
                }
                places.push(i as u32);
            }
        }
        sentences.push(tokens.len() as u32);
        let spans = spans(text, &tokens, &sentences);
        Self { tokens, sentences, spans, by_stem, sentences_of }
    }

    /// Returns where a stem stands: numbers of words, ascending.
    pub(super) fn places(&self, stem: u64) -> &[u32] {
        self.by_stem.get(&stem).map_or(&[], Vec::as_slice)
    }

    /// Returns the weight of a stem: ln(1 + sentences / sentences with it), the rarer the heavier; a stem that is not
    /// there weighs as one that stands in half a sentence.
    pub(super) fn idf(&self, stem: u64) -> f64 {
        let n = (self.sentences.len() - 1).max(1) as f64;
        let with = self.sentences_of.get(&stem).map_or(0.5, |&count| f64::from(count));
        libm::log(1.0 + n / with)
    }

    /// Returns the number of the sentence that a word stands in.
    pub(super) fn sentence_of(&self, token: u32) -> usize {
        self.sentences.partition_point(|&start| start <= token).saturating_sub(1)
    }
}

/// Passes a stem's hash on as it is: it is one already. Only look-ups are made, never an iteration.
#[derive(Default)]
pub(super) struct StemHasher(u64);

/// Makes [`StemHasher`]s.
pub(super) type BuildStemHasher = std::hash::BuildHasherDefault<StemHasher>;

impl std::hash::Hasher for StemHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
