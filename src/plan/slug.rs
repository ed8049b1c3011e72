use crate::digest::{Decimal, Digest};
use crate::request::Decoding;

/// Writes a number as it stands in slugs: `0.95` is `095`, `1` is `1`.
fn number(value: Decimal) -> String {
    value.to_string().replace('.', "").replace('-', "m")
}

/// Writes a temperature as it stands in slugs and archive names: `0` is `0`, `0.7` is `07`, `1` is `10`.
pub fn temperature_label(temperature: Decimal) -> String {
    if temperature == Decimal::ZERO {
        return "0".to_owned();
    }
    let text = temperature.to_string();
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    text.replace('.', "").replace('-', "m")
}

/// Makes a text fit to name a file: allowed characters are `A-Za-z0-9._-`, the first is a letter or digit, and the
/// length is at most 120 bytes. A text that fits stays as it is; any other is shortened and gets a hash.
pub fn path_segment(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && text.len() <= 120 && text.chars().all(fits) {
        return text.to_owned();
    }
    let mut kept: String = text.chars().map(|c| if fits(c) { c } else { '-' }).take(80).collect();
    if !first {
        kept.insert(0, 'x');
    }
    format!("{kept}-{}", Digest::of(text.as_bytes()).short(8))
}

/// Returns the last segment of a model's id, with runs of other characters replaced by one `-`.
fn short_model(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let mut out = String::new();
    for c in last.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out
}

/// Says what a slug is made of.
pub struct SlugParts<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The prompt set's name.
    pub prompt_set: &'a str,
    /// The decoding, overrides applied.
    pub decoding: &'a Decoding,
    /// The largest number of output tokens, closed-book and open-book.
    pub max_tokens: (Option<u32>, Option<u32>),
    /// The decoding point's own name, where the sweep has several points.
    pub point: Option<&'a str>,
    /// Whether the temperature differs between trials.
    pub temperature_varies: bool,
}

impl SlugParts<'_> {
    /// Writes the slug: short model, prompt set, `tp`, `tk`, `mx`, and what tells decoding points apart.
    pub fn slug(&self) -> String {
        let mut parts = vec![short_model(self.model), self.prompt_set.to_owned()];
        if let Some(top_p) = self.decoding.top_p {
            parts.push(format!("tp{}", number(top_p)));
        }
        if let Some(top_k) = self.decoding.top_k {
            parts.push(format!("tk{top_k}"));
        }
        match self.max_tokens {
            (Some(closed), Some(open)) => parts.push(format!("mx{closed}-{open}")),
            (Some(one), None) | (None, Some(one)) => parts.push(format!("mx{one}")),
            (None, None) => {}
        }
        if let Some(point) = self.point {
            parts.push(point.to_owned());
        } else if self.temperature_varies
            && let Some(temperature) = self.decoding.temperature
        {
            parts.push(format!("t{}", temperature_label(temperature)));
        }
        path_segment(&parts.join("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predecessors_example_keeps_its_slug() {
        let decoding = Decoding { top_p: Some("1.0".parse().unwrap()), top_k: Some(50), ..Decoding::default() };
        let parts = SlugParts {
            model: "accounts/fireworks/models/gpt-oss-120b",
            prompt_set: "operational_only",
            decoding: &decoding,
            max_tokens: (Some(1024), Some(1024)),
            point: None,
            temperature_varies: false,
        };
        assert_eq!(parts.slug(), "gpt-oss-120b-operational_only-tp1-tk50-mx1024-1024");
    }

    #[test]
    fn numbers_that_differ_read_differently() {
        let text = |s: &str| number(s.parse().unwrap());
        assert_eq!([text("1"), text("10"), text("0.95"), text("0.999")], ["1", "10", "095", "0999"]);
        let label = |s: &str| temperature_label(s.parse().unwrap());
        assert_eq!([label("0"), label("0.7"), label("1"), label("0.25"), label("10")], ["0", "07", "10", "025", "100"]);
    }

    #[test]
    fn nothing_escapes_a_directory() {
        for text in ["", "..", "../x", "a/b", "-rf", "a\0b", "CON\n", &"x".repeat(300), "ü"] {
            let segment = path_segment(text);
            assert!(segment.len() <= 120 && segment.chars().next().unwrap().is_ascii_alphanumeric(), "{segment}");
            assert!(!segment.contains(['/', '\0', '\n']), "{segment}");
        }
        assert_ne!(path_segment("a/b"), path_segment("a b"));
        assert_eq!(path_segment("gpt-4.1_mini"), "gpt-4.1_mini");
    }
}
