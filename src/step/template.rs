use std::borrow::Cow;

use super::InputProblem;
use super::dataset::{Item, Origin, Problems, listed, nearest};

/// Is a text with `{{field}}` in it; `\{{` stands for two braces.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    text: String,
    anchor: Anchor,
    pieces: Vec<Piece>,
}

/// Says where the text of a template stands in its file.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// It is the file.
    Whole,
    /// It is a JSON string in it: all its faults are shown at this line and column.
    Within {
        /// The line.
        line: u64,
        /// The column.
        column: u64,
        /// The text of that line.
        source_line: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { path: String, at: usize },
}

const ESCAPE: &str = "two braces that mean no field are written `\\{{`";

impl Template {
    /// Reads a template; faults are added to `found`.
    pub fn parse(file: &str, text: &str, anchor: Anchor, found: &mut Vec<InputProblem>) -> Option<Self> {
        let mut template = Self { file: file.to_owned(), text: text.to_owned(), anchor, pieces: Vec::new() };
        let mut literal = String::new();
        let mut from = 0;
        let before = found.len();
        while let Some(open) = text[from..].find("{{").map(|at| from + at) {
            if text[from..open].ends_with('\\') {
                literal.push_str(&text[from..open - 1]);
                literal.push_str("{{");
                from = open + 2;
                continue;
            }
            literal.push_str(&text[from..open]);
            let inside = &text[open + 2..];
            let Some(close) = inside.find("}}") else {
                template.fault(open, "`{{` is not closed".to_owned(), ESCAPE.to_owned(), found);
                return None;
            };
            let name = inside[..close].trim();
            from = open + 2 + close + 2;
            if name.is_empty() || name.contains(['{', '}', '\n']) {
                let message = format!("`{{{{{}}}}}` names no field", inside[..close].escape_debug());
                template.fault(open, message, format!("write `{{{{question}}}}`; {ESCAPE}"), found);
                continue;
            }
            if !literal.is_empty() {
                template.pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            template.pieces.push(Piece::Field { path: name.to_owned(), at: open });
        }
        literal.push_str(&text[from..]);
        if !literal.is_empty() {
            template.pieces.push(Piece::Text(literal));
        }
        (found.len() == before).then_some(template)
    }

    /// Says whether every item is given the same text.
    pub fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Fills in the fields of an item: texts as they are, other values as compact JSON, numbers as they were written.
    ///
    /// Every field that the item does not have is added to `found` at its place in the template.
    pub fn render(&self, item: &Item<'_>, found: &mut Vec<InputProblem>) -> String {
        self.render_with(item, &|_| None, found)
    }

    /// Does the same, with fields of `more` that stand before the item's own.
    pub fn render_with<'m>(
        &self,
        item: &Item<'_>,
        more: &dyn Fn(&str) -> Option<Cow<'m, str>>,
        found: &mut Vec<InputProblem>,
    ) -> String {
        let mut out = String::with_capacity(self.text.len() + item.context.as_deref().map_or(256, |c| c.len() + 256));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { path, at } => match more(path).or_else(|| item.find(path)) {
                    Some(text) => out.push_str(&text),
                    None => self.unknown(path, *at, item, found),
                },
            }
        }
        out
    }

    /// Lists the fields that it names, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field { path, .. } => Some(path.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Returns the text of a template that names no field.
    pub fn text(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field { .. } => String::new(),
        };
        self.pieces.iter().map(text).collect()
    }

    fn unknown(&self, path: &str, at: usize, item: &Item<'_>, found: &mut Vec<InputProblem>) {
        let names = item.names(path);
        let meant = nearest(path, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`? "));
        let remedy = format!("{}the item has {}", meant.unwrap_or_default(), listed(&names));
        self.fault(at, format!("`{{{{{path}}}}}` is no field of item `{}`", item.id), remedy, found);
    }

    /// Notes a fault at an offset of the text.
    pub fn fault(&self, at: usize, message: String, remedy: String, found: &mut Vec<InputProblem>) {
        match &self.anchor {
            Anchor::Whole => {
                let mut problems = Problems::new(self.file.clone());
                problems.at(&Origin::line(&self.text, 1), at, message, remedy);
                problems.append_to(found);
            }
            Anchor::Within { line, column, source_line } => found.push(InputProblem {
                file: self.file.clone(),
                line: Some(*line),
                column: Some(*column),
                source_line: Some(source_line.clone()),
                message,
                remedy,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ITEM: &str = r#"{"id":"t1","question":"Who?","context":"Rollo.","fields":{"n":1.50,"team":{"name":"A"},"l":[1,"x"],"b":true}}"#;

    fn render(text: &str) -> Result<String, Vec<InputProblem>> {
        let item = Item::read_question(ITEM).unwrap();
        let mut found = Vec::new();
        let template = Template::parse("p.txt", text, Anchor::Whole, &mut found);
        let rendered = template.map(|template| template.render(&item, &mut found));
        rendered.filter(|_| found.is_empty()).ok_or(found)
    }

    #[test]
    fn fields_are_filled_in() {
        assert_eq!(render("{{id}}: {{ question }}|{{context}}").unwrap(), "t1: Who?|Rollo.");
        assert_eq!(render("{{n}} {{team.name}} {{l}} {{l.1}} {{b}}").unwrap(), r#"1.50 A [1,"x"] x true"#);
        assert_eq!(render(r#"{"a": \{{id}}, {x} }}"#).unwrap(), r#"{"a": {{id}}, {x} }}"#);
    }

    #[test]
    fn an_unknown_field_is_shown_in_its_line() {
        let found = render("Ticket:\n ä {{tema.name}} and {{team.nmae}}\n{{context}}").unwrap_err();
        let shown: Vec<_> = found.iter().map(|p| (p.to_string(), p.remedy.as_str())).collect();
        assert_eq!(
            shown,
            [
                (
                    "p.txt:2:4: `{{tema.name}}` is no field of item `t1`".to_owned(),
                    "the item has `id`, `question`, `context`, `n`, `team`, `l`, `b`"
                ),
                (
                    "p.txt:2:22: `{{team.nmae}}` is no field of item `t1`".to_owned(),
                    "did you mean `team.name`? the item has `team.name`"
                ),
            ]
        );
        assert_eq!(found[0].source_line.as_deref(), Some(" ä {{tema.name}} and {{team.nmae}}"));
    }

    #[test]
    fn what_names_no_field_is_an_error() {
        let fail = |text| render(text).unwrap_err()[0].to_string();
        assert_eq!(fail("a {{id"), "p.txt:1:3: `{{` is not closed");
        assert_eq!(fail("a {{ }}"), "p.txt:1:3: `{{ }}` names no field");
        assert_eq!(fail("{{{id}}}"), "p.txt:1:1: `{{{id}}` names no field");
    }

    proptest! {
        /// Text without braces is itself, and a text whose double braces are escaped gives them back.
        #[test]
        fn escaped_text_gives_itself(text in r"[ab}\n]{0,8}(\{\{[ab}]{0,4}){0,3}") {
            prop_assert_eq!(render(&text.replace("{{", "\\{{")).unwrap(), text);
        }

        #[test]
        fn literal_text_around_a_field_stays(before in "[a-z\\\\ }]{0,6}", after in "[a-z\\\\ {]{0,6}") {
            prop_assume!(!before.ends_with('\\') && !after.contains("{{"));
            prop_assert_eq!(render(&format!("{before}{{{{id}}}}{after}")).unwrap(), format!("{before}t1{after}"));
        }
    }
}
