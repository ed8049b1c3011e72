use std::fmt::Write as _;

use super::inline::Words;
use super::markdown::Table;
use super::page::HtmlTable;

/// Is a short section that stands in Markdown and in HTML alike: a heading, what is shown, a table, what is to be known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Panel {
    /// The heading.
    pub(super) heading: &'static str,
    /// What is shown.
    pub(super) before: Words,
    /// The table's headings; a column whose heading starts with `>` is set to the right.
    pub(super) headings: Vec<String>,
    /// Its rows; none where there is nothing to be shown.
    pub(super) rows: Vec<Vec<Words>>,
    /// What is to be known of it.
    pub(super) after: Words,
}

impl Panel {
    /// Writes it as Markdown, under a third-level heading.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.heading);
        let sentences = |text: &mut String, words: &Words| {
            if !words.is_empty() {
                let _ = write!(text, "{}\n\n", words.markdown());
            }
        };
        sentences(&mut text, &self.before);
        if !self.rows.is_empty() {
            let mut table = Table::new(&self.headings);
            for row in &self.rows {
                table.row(row.iter().map(Words::markdown));
            }
            text.push_str(&table.finish());
        }
        sentences(&mut text, &self.after);
        text
    }

    /// Writes it as HTML, under a heading of the third level.
    pub(super) fn html(&self) -> String {
        let mut html = format!("<h3>{}</h3>", self.heading);
        let sentences = |html: &mut String, words: &Words| {
            if !words.is_empty() {
                let _ = write!(html, "<p class=\"small\">{}</p>", words.html());
            }
        };
        sentences(&mut html, &self.before);
        if !self.rows.is_empty() {
            let mut table = HtmlTable::new(&self.headings);
            for row in &self.rows {
                table.row(row.iter().map(Words::html));
            }
            html.push_str(&table.finish());
        }
        sentences(&mut html, &self.after);
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_two_markups() {
        let panel = Panel {
            heading: "Power",
            before: Words::default().text("By ").code("a|b").text("."),
            headings: vec!["Set".to_owned(), ">n".to_owned()],
            rows: vec![vec![Words::default().code("<i>"), Words::default().text("3")]],
            after: Words::default(),
        };
        assert_eq!(panel.markdown(), "### Power\n\nBy `a¦b`.\n\n| Set | n |\n|---|---:|\n| `<i>` | 3 |\n\n");
        let html = panel.html();
        assert!(html.starts_with("<h3>Power</h3><p class=\"small\">By <code>a|b</code>.</p><div"), "{html}");
        assert!(html.contains("<td><code>&lt;i&gt;</code></td><td class=\"r\">3</td>"), "{html}");
    }
}
