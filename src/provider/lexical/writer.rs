use super::passage::Passage;
use super::span::{Span, SpanKind};
use crate::request::{Message, Role};

/// Is what the reader says when it abstains.
pub(super) const ABSTENTION: &str = "I don't know.";

/// Writes an answer: the span, or the sentence that holds it; reworded a little unless it is to be verbatim.
pub(super) fn write_span(text: &str, passage: &Passage, span: Span, brief: bool, verbatim: bool) -> String {
    let tokens = &passage.tokens;
    let place = |first: u32, end: u32| {
        let start = tokens.get(first as usize).map_or(text.len(), |t| t.start as usize);
        let end = end.checked_sub(1).and_then(|last| tokens.get(last as usize)).map_or(start, |t| t.end as usize);
        (start, end.max(start))
    };
    if brief {
        // "because the harbour froze": the word that opens a clause is no part of the answer.
        let opens = span.kind == SpanKind::Clause && !verbatim && span.end - span.first > 1;
        let (start, end) = place(span.first + u32::from(opens), span.end);
        return text[start..end].to_owned();
    }
    let sentence = passage.sentence_of(span.first);
    let (start, _) = place(passage.sentences[sentence], span.end);
    // The punctuation that ends the sentence stands before the next one's first word.
    let (end, _) = place(passage.sentences[sentence + 1], span.end);
    let whole = text[start..end].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '“' | '('));
    if verbatim { whole.to_owned() } else { reworded(whole) }
}

/// Takes the asides in brackets out of a sentence, and a linking word from its start.
fn reworded(sentence: &str) -> String {
    const LINKS: [&str; 10] = [
        "However, ",
        "But ",
        "And ",
        "Moreover, ",
        "Therefore, ",
        "Thus, ",
        "In addition, ",
        "For example, ",
        "Furthermore, ",
        "Also, ",
    ];
    let sentence = LINKS.iter().find_map(|link| sentence.strip_prefix(link)).unwrap_or(sentence);
    let mut out = String::with_capacity(sentence.len());
    let mut depth = 0usize;
    for c in sentence.chars() {
        match c {
            '(' => {
                depth += 1;
                if out.ends_with(' ') {
                    out.pop();
                }
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c if out.is_empty() => out.extend(c.to_uppercase()),
            c if c.is_whitespace() && (out.ends_with(' ')) => {}
            c if c.is_whitespace() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Is a text on its way to be an answer.
#[derive(Debug)]
pub(super) struct Written {
    /// The text.
    pub(super) text: String,
    /// Whether the limit cut it.
    pub(super) is_cut: bool,
}

impl Written {
    /// Starts with the whole text.
    pub(super) fn new(text: String) -> Self {
        Self { text, is_cut: false }
    }

    /// Goes on from a last assistant message: leaves out what that has said already, else sets a space between.
    pub(super) fn continuing(mut self, messages: &[Message]) -> Self {
        let Some(prefill) = messages.last().filter(|m| m.role == Role::Assistant).map(|m| &*m.content) else {
            return self;
        };
        if let Some(rest) = self.text.strip_prefix(prefill.trim_start()) {
            self.text = rest.to_owned();
        } else if !self.text.is_empty()
            && prefill.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ':' | ',' | '.'))
        {
            self.text.insert(0, ' ');
        }
        self
    }

    /// Ends before the first of the stop texts that occurs.
    pub(super) fn until(mut self, stop: &[String]) -> Self {
        let first = stop.iter().filter(|s| !s.is_empty()).filter_map(|s| self.text.find(s.as_str())).min();
        if let Some(at) = first {
            self.text.truncate(at);
        }
        self
    }

    /// Cuts after so many words, as white space parts them.
    pub(super) fn at_most(mut self, words: Option<u32>) -> Self {
        let Some(words) = words else { return self };
        let mut left = words;
        let mut inside = false;
        let mut end = 0;
        for (at, c) in self.text.char_indices() {
            if c.is_whitespace() {
                inside = false;
                continue;
            }
            if !inside && left == 0 {
                self.is_cut = true;
                self.text.truncate(end);
                return self;
            }
            if !inside {
                left -= 1;
                inside = true;
            }
            end = at + c.len_utf8();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spanned(text: &str, words: (u32, u32), kind: SpanKind, brief: bool, verbatim: bool) -> String {
        let span = Span { first: words.0, end: words.1, kind };
        write_span(text, &Passage::read(text), span, brief, verbatim)
    }

    #[test]
    fn spans_and_sentences_are_written() {
        let text = "It closed. However, the mill (of oak)  burnt because lightning struck it. \"So it went.\"";
        assert_eq!(spanned(text, (8, 12), SpanKind::Clause, true, false), "lightning struck it");
        assert_eq!(spanned(text, (8, 12), SpanKind::Clause, true, true), "because lightning struck it");
        assert_eq!(spanned(text, (4, 5), SpanKind::Phrase, true, false), "mill");
        assert_eq!(
            spanned(text, (4, 5), SpanKind::Phrase, false, false),
            "The mill burnt because lightning struck it."
        );
        let whole = "However, the mill (of oak)  burnt because lightning struck it.";
        assert_eq!(spanned(text, (4, 5), SpanKind::Phrase, false, true), whole);
        assert_eq!(spanned("One. Two", (1, 2), SpanKind::Phrase, false, true), "Two");
    }

    #[test]
    fn a_prefill_is_gone_on_from() {
        let after = |prefill: &str, text: &str| {
            Written::new(text.to_owned()).continuing(&[Message::new(Role::Assistant, prefill)]).text
        };
        assert_eq!(after("The answer is", "1841"), " 1841");
        assert_eq!(after("Answer: ", "1841"), "1841");
        assert_eq!(after("I don't", "I don't know."), " know.");
        assert_eq!(after("\"", "1841"), "1841");
        assert_eq!(Written::new("a".into()).continuing(&[Message::new(Role::User, "b")]).text, "a");
    }

    #[test]
    fn stop_texts_and_limits_cut() {
        let stop = |stops: &[&str]| {
            Written::new("one two\nthree".into()).until(&stops.iter().map(ToString::to_string).collect::<Vec<_>>()).text
        };
        assert_eq!(stop(&["three", "\n", ""]), "one two");
        assert_eq!(stop(&["four"]), "one two\nthree");
        let cut = |n| {
            let written = Written::new(" one two\nthree ".into()).at_most(n);
            (written.text, written.is_cut)
        };
        assert_eq!(cut(Some(2)), (" one two".into(), true));
        assert_eq!(cut(Some(3)), (" one two\nthree ".into(), false));
        assert_eq!(cut(Some(0)), (String::new(), true));
        assert_eq!(cut(None), (" one two\nthree ".into(), false));
    }
}
