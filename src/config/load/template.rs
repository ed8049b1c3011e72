/// Finds the first `{{` that no `}}` closes before the next `{{`: its line and column, both from 1.
pub(super) fn unclosed(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    while let Some(open) = text[start..].find("{{").map(|at| start + at) {
        let rest = &text[open + 2..];
        let close = rest.find("}}");
        let again = rest.find("{{");
        match close {
            Some(close) if again.is_none_or(|again| close < again) => start = open + 2 + close + 2,
            _ => {
                let before = &text[..open];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                return Some((line, column));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn braces_close() {
        assert_eq!(unclosed("a {{x}} b {{ y }}\n{z}"), None);
        assert_eq!(unclosed("é\nab {{x} {{y}}"), Some((2, 4)));
        assert_eq!(unclosed("{{"), Some((1, 1)));
        assert_eq!(unclosed("}} {{a}}"), None);
    }
}
