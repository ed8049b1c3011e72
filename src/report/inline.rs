//! Words that stand in Markdown and in HTML alike.

use super::markdown;
use super::number::typeset;
use super::page::escape;

/// Is a run of text in one manner.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    text: String,
    is_code: bool,
    is_strong: bool,
}

/// Is a sentence whose parts may be strong, or code; it becomes markup last.
///
/// What is not code is written by this program. Names from outside stand as code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<Span>);

impl Words {
    /// Adds plain words.
    pub(super) fn text(self, text: impl Into<String>) -> Self {
        self.span(text.into(), false, false)
    }

    /// Adds a name from outside.
    pub(super) fn code(self, text: impl Into<String>) -> Self {
        self.span(text.into(), true, false)
    }

    /// Adds what other words say.
    pub(super) fn then(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Says whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds strong words.
    pub(super) fn strong(self, text: impl Into<String>) -> Self {
        self.span(text.into(), false, true)
    }

    /// Adds a name from outside, strong.
    pub(super) fn strong_code(self, text: impl Into<String>) -> Self {
        self.span(text.into(), true, true)
    }

    fn span(mut self, text: String, is_code: bool, is_strong: bool) -> Self {
        self.0.push(Span { text, is_code, is_strong });
        self
    }

    /// Writes them as Markdown.
    pub(super) fn markdown(&self) -> String {
        self.render(("**", "**"), |span| if span.is_code { markdown::code(&span.text) } else { span.text.clone() })
    }

    /// Writes them as HTML.
    pub(super) fn html(&self) -> String {
        self.render(("<strong>", "</strong>"), |span| {
            if span.is_code { format!("<code>{}</code>", escape(&span.text)) } else { escape(&typeset(&span.text)) }
        })
    }

    fn render(&self, (open, close): (&str, &str), write: impl Fn(&Span) -> String) -> String {
        let mut text = String::new();
        let mut is_strong = false;
        for span in &self.0 {
            if span.is_strong != is_strong {
                text.push_str(if span.is_strong { open } else { close });
                is_strong = span.is_strong;
            }
            text.push_str(&write(span));
        }
        if is_strong {
            text.push_str(close);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_two_markups() {
        let words = Words::default().strong("EM in ").strong_code("a<b").strong(":").text(" p < 0.1");
        assert_eq!(words.markdown(), "**EM in `a<b`:** p < 0.1");
        assert_eq!(words.html(), "<strong>EM in <code>a&lt;b</code>:</strong> p &lt; 0.1");
    }
}
