use std::borrow::Cow;

use super::{Found, Json, JsonProblem, Member, parse_json, write_text};

/// Is one question with all that prepare found out about it.
#[derive(Debug)]
pub struct Item<'a> {
    /// Its id, unique in the dataset.
    pub id: Cow<'a, str>,
    /// The question, white space as it was.
    pub question: Cow<'a, str>,
    /// The passage.
    pub context: Option<Cow<'a, str>>,
    /// Everything else in the row but what is gold, and but what would only repeat the three above.
    pub fields: Json<'a>,
    /// The accepted answers.
    pub answers: Vec<Cow<'a, str>>,
    /// Whether the passage holds no answer.
    pub unanswerable: bool,
    /// The cluster for standard errors.
    pub group: Option<Cow<'a, str>>,
    /// The row's own label.
    pub dataset: Option<Cow<'a, str>>,
}

impl<'a> Item<'a> {
    /// Appends the line of `items/NNNNN`: what a request may be made of, and nothing gold.
    pub fn write_question(&self, out: &mut String) {
        out.push_str("{\"id\":");
        write_text(&self.id, out);
        out.push_str(",\"question\":");
        write_text(&self.question, out);
        write_optional("context", self.context.as_deref(), out);
        out.push_str(",\"fields\":");
        self.fields.write(out);
        out.push_str("}\n");
    }

    /// Appends the line of `gold/NNNNN`.
    pub fn write_gold(&self, out: &mut String) {
        out.push_str("{\"id\":");
        write_text(&self.id, out);
        out.push_str(",\"answers\":[");
        for (n, answer) in self.answers.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            write_text(answer, out);
        }
        out.push_str("],\"unanswerable\":");
        out.push_str(if self.unanswerable { "true" } else { "false" });
        write_optional("context", self.context.as_deref(), out);
        write_optional("group", self.group.as_deref(), out);
        write_optional("dataset", self.dataset.as_deref(), out);
        out.push_str("}\n");
    }

    /// Reads a line of `items/NNNNN`; what is gold is left empty.
    pub fn read_question(line: &'a str) -> Result<Self, JsonProblem> {
        let (mut id, mut question, mut context, mut fields) = (None, None, None, None);
        if let Json::Object(members) = parse_json(line)? {
            for Member { name, value, .. } in members {
                match (name.as_ref(), value) {
                    ("id", Json::Text(text)) => id = Some(text),
                    ("question", Json::Text(text)) => question = Some(text),
                    ("context", Json::Text(text)) => context = Some(text),
                    ("fields", value @ Json::Object(_)) => fields = Some(value),
                    _ => {}
                }
            }
        }
        let (Some(id), Some(question), Some(fields)) = (id, question, fields) else {
            let message = "an item has `id`, `question` and `fields`".to_owned();
            return Err(JsonProblem { at: 0, message, remedy: String::new() });
        };
        let answers = Vec::new();
        Ok(Self { id, question, context, fields, answers, unanswerable: false, group: None, dataset: None })
    }

    /// Finds what `{{path}}` in a template, or a join on `path`, stands for.
    ///
    /// `id`, `question` and `context` are the item's own; everything else is a dotted path into the row.
    pub fn find(&self, path: &str) -> Option<Cow<'_, str>> {
        match path {
            "id" => Some(Cow::Borrowed(&self.id)),
            "question" => Some(Cow::Borrowed(&self.question)),
            "context" => self.context.as_deref().map(Cow::Borrowed),
            _ => self.fields.find(path).map(|Found { value, .. }| value.to_text()),
        }
    }

    /// Lists the options that a field offers: a list of 2 to 26 texts, or an object from letters, `A` on, to texts.
    pub fn options(&self, path: &str) -> Option<Vec<String>> {
        let options: Vec<String> = match self.fields.find(path)?.value {
            Json::List(elements) => elements.iter().map(|element| element.to_text().into_owned()).collect(),
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|a, b| a.name.cmp(&b.name));
                let is_lettered =
                    members.iter().zip('A'..='Z').all(|(member, letter)| member.name.chars().eq([letter]));
                if !is_lettered {
                    return None;
                }
                members.iter().map(|member| member.value.to_text().into_owned()).collect()
            }
            _ => return None,
        };
        (2..=26).contains(&options.len()).then_some(options)
    }

    /// Lists the names that [`find`](Self::find) knows on the level that `path` reaches.
    pub fn names(&self, path: &str) -> Vec<String> {
        let near = self.fields.names_near(path);
        if path.contains('.') && near.iter().all(|name| name.contains('.')) && !near.is_empty() {
            return near;
        }
        let own = [Some("id"), Some("question"), self.context.as_ref().map(|_| "context")];
        own.into_iter().flatten().map(str::to_owned).chain(near).collect()
    }
}

fn write_optional(name: &str, text: Option<&str>, out: &mut String) {
    if let Some(text) = text {
        out.push(',');
        write_text(name, out);
        out.push(':');
        write_text(text, out);
    }
}
