//! Renders findings the way compilers do: the source line, an arrow, and the remedy.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Severity, Span};

/// Is the longest line in bytes that is shown; of a longer one the place is named.
const LONGEST_LINE: usize = 4000;

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
    let title = level.primary_title(&*diagnostic.message);
    let place = Origin::path(diagnostic.file.as_str()).line(diagnostic.at.at.line as usize);
    let place = place.char_column(diagnostic.at.at.column as usize);
    let is_long = |at: &Span| line_of(*at, source).len() > LONGEST_LINE;
    let mut group = if is_long(&diagnostic.at) || diagnostic.related.iter().any(|(at, _)| is_long(at)) {
        title.element(place)
    } else {
        title.element(snippet)
    };
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

/// Finds where a span's line begins; a place beyond the text is its end.
fn line_start(span: Span, source: &str) -> usize {
    let mut breaks = source.match_indices('\n').map(|(at, _)| at + 1);
    match span.at.line.checked_sub(2) {
        None => 0,
        Some(before) => breaks.nth(before as usize).unwrap_or(source.len()),
    }
}

/// Returns a span's line.
fn line_of(span: Span, source: &str) -> &str {
    source[line_start(span, source)..].split('\n').next().unwrap_or_default()
}

/// Finds the bytes of a span.
fn bytes_of(span: Span, source: &str) -> std::ops::Range<usize> {
    let (start, line) = (line_start(span, source), line_of(span, source));
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
        assert_eq!(&source[bytes_of(Span::new(1, 1, 1), source)], "a");
        assert_eq!(bytes_of(Span::new(2, 90, 9), source), source.len()..source.len());
    }

    #[test]
    fn monstrous_lines_are_named_and_not_shown() {
        let source = format!("a\n{}", "x, ".repeat(300_000));
        let mut found = Diagnostic::error(Span::new(2, 7, 1), "too much").remedy("less");
        found.file = "c.yaml".into();
        insta::assert_snapshot!(render(&found, &source, false), @r"
        error: too much
        --> c.yaml:2:7
         = help: less
        ");
    }
}
