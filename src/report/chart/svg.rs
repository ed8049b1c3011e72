use std::fmt::Write as _;

use crate::report::page::escape;

/// Is the size at which headings are measured: they are bold, and of size 14.
pub(super) const BOLD: f64 = 15.6;

/// Says which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Is a drawing in the making. Its elements have classes; the page's style gives them colours.
pub(super) struct Svg {
    width: f64,
    body: String,
    label: String,
}

impl Svg {
    /// Starts a drawing; the label says what it shows to those who cannot see it.
    pub(super) fn new(width: f64, label: &str) -> Self {
        Self { width, body: String::new(), label: escape(label) }
    }

    /// Writes a text; it is escaped here.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ =
            write!(self.body, "<text x=\"{}\" y=\"{}\"{anchor} class=\"{class}\">{}</text>", n(x), n(y), escape(text));
    }

    /// Draws a line.
    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = write!(self.body, "<path d=\"M{} {}L{} {}\" class=\"{class}\"/>", n(x1), n(y1), n(x2), n(y2));
    }

    /// Draws a rectangle; one without extent is left out.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
        if width > 0.0 && height > 0.0 {
            let _ = write!(
                self.body,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{class}\"/>",
                n(x),
                n(y),
                n(width),
                n(height)
            );
        }
    }

    /// Draws a circle.
    pub(super) fn circle(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        let _ = write!(self.body, "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" class=\"{class}\"/>", n(x), n(y), n(radius));
    }

    /// Draws a line through points; a closed one is an area.
    pub(super) fn path(&mut self, points: &[(f64, f64)], closed: bool, class: &str) {
        let mut d = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{} {}", if at == 0 { "M" } else { "L" }, n(*x), n(*y));
        }
        let end = if closed { "Z" } else { "" };
        let _ = write!(self.body, "<path d=\"{d}{end}\" class=\"{class}\"/>");
    }

    /// Ends the drawing at a height.
    pub(super) fn finish(self, height: f64) -> String {
        let (width, height) = (n(self.width), n(height));
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            self.label, self.body
        )
    }
}

/// Writes a length with one decimal at most.
fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Cuts a text to a width, by what its letters take at a size, and says so with an ellipsis.
///
/// It is cut in the middle: names that begin alike are told apart by their ends.
pub(super) fn fitting(text: &str, width: f64, size: f64) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if extent(&text, size) <= width {
        return text;
    }
    let room = width - size;
    let taken = |letters: &mut dyn Iterator<Item = char>, room: f64| {
        let mut used = 0.0;
        letters
            .take_while(|c| {
                used += letter(*c) * size;
                used <= room
            })
            .collect::<Vec<_>>()
    };
    let end: String = taken(&mut text.chars().rev(), room * 0.4).into_iter().rev().collect();
    let start: String = taken(&mut text.chars(), room - extent(&end, size)).into_iter().collect();
    format!("{}…{}", start.trim_end(), end.trim_start())
}

/// Estimates the width of a text at a size.
pub(super) fn extent(text: &str, size: f64) -> f64 {
    text.chars().map(letter).sum::<f64>() * size
}

fn letter(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | '(' | ')' | '[' | ']' => 0.34,
        'm' | 'w' | 'M' | 'W' | '%' => 0.9,
        'A'..='Z' => 0.68,
        c if c.is_ascii() => 0.57,
        c if (c as u32) < 0x2e80 => 0.62,
        _ => 1.05,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_keeps_what_tells_it_apart() {
        let long = "EM · open_book · operational_only · t0";
        let (cold, warm) = (fitting(long, 200.0, 13.0), fitting(&format!("{long}7"), 200.0, 13.0));
        assert!(cold != warm && cold.starts_with("EM · open") && cold.ends_with("t0"), "{cold} {warm}");
        assert!(extent(&warm, 13.0) <= 200.0);
        assert_eq!(fitting("short", 200.0, 13.0), "short");
    }
}
