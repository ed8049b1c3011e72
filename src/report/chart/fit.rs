/// Says for which width a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Fit {
    /// A page, 880 units wide.
    Wide,
    /// A phone, 360 units wide.
    Narrow,
}

impl Fit {
    /// Returns the width of a chart that fills the page.
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Wide => 880.0,
            Self::Narrow => 360.0,
        }
    }
}

/// Draws a chart for both widths.
pub(in crate::report) fn both(draw: impl Fn(Fit) -> String) -> String {
    format!("<div class=\"wide\">{}</div><div class=\"narrow\">{}</div>\n", draw(Fit::Wide), draw(Fit::Narrow))
}
