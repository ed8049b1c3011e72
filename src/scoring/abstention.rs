//! Answers that say that there is no answer.

use super::normalize::qa_normal;

/// The phrases that count as abstaining unless others are set.
pub const ABSTENTION_PHRASES: [&str; 9] = [
    "i don't know",
    "i do not know",
    "unknown",
    "not sure",
    "cannot answer",
    "can't answer",
    "insufficient information",
    "not enough information",
    "not provided in the passage",
];

/// Finds out whether an answer abstains.
///
/// It does when the whole answer, or a whole sentence of it, is one of the phrases, both in the normal form of
/// [`qa_normal`]. A phrase within a sentence or a name does not count.
#[derive(Debug, Clone)]
pub struct Abstention {
    normal_phrases: Vec<String>,
}

impl Abstention {
    /// Takes the phrases as people write them. One that normalises to nothing is dropped.
    pub fn new<S: AsRef<str>>(phrases: &[S]) -> Self {
        let mut normal_phrases: Vec<_> = phrases.iter().map(|p| qa_normal(p.as_ref())).collect();
        normal_phrases.retain(|phrase| !phrase.is_empty());
        Self { normal_phrases }
    }

    /// Says whether `answer` abstains.
    pub fn detect(&self, answer: &str) -> bool {
        self.detect_normal(answer, &qa_normal(answer))
    }

    /// As [`Abstention::detect`], with the normal form of the answer at hand.
    pub(super) fn detect_normal(&self, answer: &str, normal: &str) -> bool {
        // A sentence that is a phrase leaves the phrase in the whole, which most answers do not contain.
        let may = self.normal_phrases.iter().any(|phrase| normal.contains(phrase.as_str()));
        may && (self.is_phrase(normal) || sentences(answer).any(|sentence| self.is_phrase(&qa_normal(sentence))))
    }

    fn is_phrase(&self, normal: &str) -> bool {
        self.normal_phrases.iter().any(|phrase| phrase == normal)
    }
}

impl Default for Abstention {
    fn default() -> Self {
        Self::new(&ABSTENTION_PHRASES)
    }
}

/// Cuts a text after its sentence ends: line breaks, CJK full stops, and `.`, `!`, `?`, `…` before white space, a
/// closing quote or bracket, or the end. So `3.14` is not cut.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut chars = rest.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            let next = chars.peek().copied();
            let ends = match c {
                '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' | '。' | '！' | '？' => true,
                '.' | '!' | '?' | '…' => next.is_none_or(|(_, n)| n.is_whitespace() || "\"')]*_”’»".contains(n)),
                _ => false,
            };
            if ends && let Some((at, _)) = next {
                let (sentence, tail) = rest.split_at(at);
                rest = tail;
                return Some(sentence);
            }
        }
        Some(std::mem::take(&mut rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_is_found_as_people_write_it() {
        let abstention = Abstention::default();
        for phrase in ABSTENTION_PHRASES {
            assert!(abstention.detect(phrase), "{phrase}");
            assert!(abstention.detect(&format!(" {}.\n", phrase.to_uppercase())));
            assert!(abstention.detect(&format!("Sorry. {phrase}! Ask me more.")));
            assert!(abstention.detect(&format!("Hm:\n**{phrase}**\nBye")));
        }
    }

    #[test]
    fn a_phrase_within_a_sentence_is_not_an_abstention() {
        let abstention = Abstention::default();
        for answer in [
            "The Unknown Soldier",
            "I don't know, but it could be Paris",
            "the unknown.soldier",
            "not surely",
            "",
            "...",
        ] {
            assert!(!abstention.detect(answer), "{answer}");
        }
    }

    #[test]
    fn phrases_can_be_chosen() {
        let abstention = Abstention::new(&["Keine Ahnung", "the"]);
        assert!(abstention.detect("keine Ahnung!"));
        assert!(!abstention.detect("unknown"));
        assert!(!abstention.detect("the"));
        assert!(!Abstention::new::<&str>(&[]).detect("unknown"));
    }

    #[test]
    fn sentences_end_where_they_should() {
        let cut = |text| sentences(text).map(str::trim).collect::<Vec<_>>();
        assert_eq!(cut("Pi is 3.14. Yes! \"No.\" x"), ["Pi is 3.14.", "Yes!", "\"No.", "\" x"]);
        assert_eq!(cut("一。二\nthree"), ["一。", "二", "three"]);
        assert_eq!(cut("one."), ["one."]);
        assert!(cut("").is_empty());
    }
}
