use std::fmt::Write as _;

use super::escape;

/// Is an HTML table in the making; cells are HTML already.
pub(in crate::report) struct HtmlTable {
    html: String,
    right: Vec<bool>,
}

impl HtmlTable {
    /// Starts a table; a column whose heading starts with `>` is set to the right. A reader with script can sort it.
    pub(in crate::report) fn new<S: AsRef<str>>(headings: impl IntoIterator<Item = S>) -> Self {
        let mut html = String::from("<div class=\"scroll\"><table class=\"sortable\"><thead><tr>");
        let mut right = Vec::new();
        for heading in headings {
            let heading = heading.as_ref();
            let (name, is_right) = heading.strip_prefix('>').map_or((heading, false), |name| (name, true));
            let class = if is_right { " class=\"r\"" } else { "" };
            let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(name));
            right.push(is_right);
        }
        html.push_str("</tr></thead><tbody>");
        Self { html, right }
    }

    /// Adds a row.
    pub(in crate::report) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.html.push_str("<tr>");
        for (at, cell) in cells.into_iter().enumerate() {
            let class = if self.right.get(at) == Some(&true) { " class=\"r\"" } else { "" };
            let _ = write!(self.html, "<td{class}>{}</td>", cell.as_ref());
        }
        self.html.push_str("</tr>");
    }

    /// Ends the table.
    pub(in crate::report) fn finish(self) -> String {
        self.html + "</tbody></table></div>\n"
    }
}

/// Shows a name from outside.
pub(super) fn name(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}
