//! Renders findings the way compilers do: the source line, an arrow, and the remedy.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Diagnostic, Severity, Span};

/// Renders one finding with its source lines; plain text unless `color`.
///
/// `source` is the text of the file as [`Loaded::source`](super::Loaded::source) gives it, in which literal keys are
/// masked. The text ends without a line break.
pub fn render(diagnostic: &Diagnostic, source: &str, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let primary = AnnotationKind::Primary.span(bytes_of(diagnostic.at, source)).label(label(&diagnostic.label));
    let related = diagnostic
        .related
        .iter()
        .map(|(at, text)| AnnotationKind::Context.span(bytes_of(*at, source)).label(label(text)));
    let snippet = Snippet::source(source).path(diagnostic.file.as_str()).annotation(primary).annotations(related);
    let mut group = level.primary_title(&*diagnostic.message).element(snippet);
    if let Some(remedy) = &diagnostic.remedy {
        group = group.element(Level::HELP.message(&**remedy));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// Leaves an empty label out.
fn label(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Finds the bytes of a span; a place beyond the text is its end.
fn bytes_of(span: Span, source: &str) -> std::ops::Range<usize> {
    let mut start = 0;
    for _ in 1..span.at.line {
        match source[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return source.len()..source.len(),
        }
    }
    let line = &source[start..];
    let line = &line[..line.find('\n').unwrap_or(line.len())];
    let offset = |chars: u32| line.char_indices().nth(chars as usize).map_or(line.len(), |(at, _)| at);
    let first = span.at.column.saturating_sub(1);
    start + offset(first)..start + offset(first.saturating_add(span.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_characters_and_stay_in_the_text() {
        let source = "a: é€x\r\nb: 2";
        assert_eq!(&source[bytes_of(Span::new(1, 4, 2), source)], "é€");
        assert_eq!(&source[bytes_of(Span::new(2, 1, 1), source)], "b");
        assert_eq!(bytes_of(Span::new(9, 9, 9), source), source.len()..source.len());
        assert_eq!(bytes_of(Span::new(2, 90, 9), source), source.len()..source.len());
    }
}
