use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Found, Item, Json, Layout, Member, Origin, Problems, Row, listed, nearest};
use crate::digest::Digest;
use crate::plan::{DatasetFormat, FieldMap};

/// Says which field of a row is what: what the config states, else the names that the format is known by.
pub struct Mapping<'p> {
    format: DatasetFormat,
    stated: &'p FieldMap,
    split: Option<&'p str>,
}

/// Are the names that are looked for, in this order, where the config states none.
pub const QUESTION_NAMES: &[&str] = &["question", "query", "prompt"];
/// Are the names of passages.
pub const CONTEXT_NAMES: &[&str] = &["context", "passage"];
/// Are the names of answers.
pub const ANSWER_NAMES: &[&str] = &["answers", "answer"];
const ID_NAMES: &[&str] = &["id", "example_id", "qid", "uuid"];
const UNANSWERABLE_NAMES: &[&str] = &["is_unanswerable", "is_impossible", "unanswerable"];

/// Is a field of a row under the name that led to it.
struct Field<'n, 'j, 'a> {
    path: &'n str,
    value: &'j Json<'a>,
    at: usize,
}

/// Is an ending for what has been noted: this row gives no item.
struct Noted;

impl<'p> Mapping<'p> {
    /// Takes the format and what the config states.
    pub fn new(format: DatasetFormat, stated: &'p FieldMap, split: Option<&'p str>) -> Self {
        Self { format, stated, split }
    }

    /// Says how the rows of a format stand in its file.
    pub fn layout(format: DatasetFormat) -> Layout {
        match format {
            DatasetFormat::Jsonl | DatasetFormat::NqOpen | DatasetFormat::Gsm8k => Layout::Lines,
            DatasetFormat::Csv => Layout::Delimited(b','),
            DatasetFormat::Tsv => Layout::Delimited(b'\t'),
            DatasetFormat::Json => Layout::Array,
            DatasetFormat::Squad => Layout::ArrayUnder("data"),
            DatasetFormat::Triviaqa => Layout::ArrayUnder("Data"),
        }
    }

    /// Reads the label of a row, which a limit may be stated for; a label that cannot be used is noted later.
    pub fn label<'j>(&self, row: &'j Row<'_>) -> Option<Cow<'j, str>> {
        let found = row.value.find(self.stated.dataset.as_deref()?)?;
        (!matches!(found.value, Json::Null)).then(|| found.value.to_text())
    }

    /// Makes an item of a row, or notes why it cannot be one.
    pub fn item<'a>(&self, row: &Row<'a>, problems: &mut Problems) -> Option<Item<'a>> {
        self.read(row, problems).ok()
    }

    fn read<'a>(&self, row: &Row<'a>, problems: &mut Problems) -> Result<Item<'a>, Noted> {
        let trivia = self.format == DatasetFormat::Triviaqa;
        let question =
            find(row, self.stated.question.as_deref(), if trivia { &["Question"] } else { QUESTION_NAMES }, problems)?;
        let Some(question) = question else {
            return Err(absent(row, "question", if trivia { &["Question"] } else { QUESTION_NAMES }, problems));
        };
        let question = match question.value {
            Json::Text(text) if text.trim().is_empty() => {
                problems.at(
                    &row.origin,
                    question.at,
                    "the question is empty",
                    "write it, or drop the row with `where`",
                );
                return Err(Noted);
            }
            Json::Text(text) => text.clone(),
            _ => return Err(not_text(row, &question, problems)),
        };
        let id = match find(row, self.stated.id.as_deref(), if trivia { &["QuestionId"] } else { ID_NAMES }, problems)?
        {
            None => Cow::Owned(Digest::of(question.as_bytes()).short(32)),
            Some(field) => match scalar(row, &field, problems)? {
                Some(id) if id.is_empty() => {
                    let remedy = "write one; without a field for ids, the id is a digest of the question";
                    problems.at(&row.origin, field.at, "the id is empty", remedy);
                    return Err(Noted);
                }
                Some(id) => id,
                None if self.stated.id.is_some() => return Err(not_text(row, &field, problems)),
                None => Cow::Owned(Digest::of(question.as_bytes()).short(32)),
            },
        };
        let context = match find(row, self.stated.context.as_deref(), CONTEXT_NAMES, problems)? {
            None => None,
            Some(field) => match field.value {
                Json::Null => None,
                Json::Text(text) => (!text.is_empty()).then(|| text.clone()),
                _ => return Err(not_text(row, &field, problems)),
            },
        };
        let flag = find(row, self.stated.unanswerable.as_deref(), UNANSWERABLE_NAMES, problems)?;
        let answers =
            find(row, self.stated.answers.as_deref(), if trivia { &["Answer"] } else { ANSWER_NAMES }, problems)?;
        let mut unanswerable = flag.as_ref().map_or(Ok(false), |field| truth(row, field, problems))?;
        let accepted = answers.as_ref().map_or(Ok(Vec::new()), |field| self.answers(row, field, problems))?;
        if accepted.iter().all(|answer| answer.is_empty()) && !unanswerable {
            match &answers {
                _ if self.format == DatasetFormat::Squad => unanswerable = true,
                None => return Err(absent(row, "answers", ANSWER_NAMES, problems)),
                Some(field) => {
                    let remedy = "write one, or say with `fields: {unanswerable: …}` which questions have none";
                    problems.at(&row.origin, field.at, "the row has no answers", remedy);
                    return Err(Noted);
                }
            }
        }
        let mut optional = |stated: Option<&str>| match find(row, stated, &[], problems)? {
            Some(field) => scalar(row, &field, problems),
            None => Ok(None),
        };
        let (group, dataset) = (optional(self.stated.group.as_deref())?, optional(self.stated.dataset.as_deref())?);
        let gold = answers.as_ref().and_then(|field| top_key(&row.value, field.path));
        let mut fields: Vec<Member<'a>> = row
            .value
            .members()
            .iter()
            .filter(|member| Some(member.name.as_ref()) != gold)
            // TriviaQA's lists are pages and search results that the answers were found in.
            .filter(|member| !trivia || !matches!(member.value, Json::List(_) | Json::Object(_)))
            .filter(|Member { name, value, .. }| match (name.as_ref(), value) {
                ("id", Json::Text(text)) => *text != id,
                ("question", Json::Text(text)) => *text != question,
                ("context", Json::Text(text)) => Some(text) != context.as_ref(),
                _ => true,
            })
            .cloned()
            .collect();
        if let Some(flag) = flag {
            remove(&mut fields, flag.path);
        }
        let fields = Json::Object(fields);
        Ok(Item { id, question, context, fields, answers: accepted, unanswerable, group, dataset })
    }

    fn answers<'a>(
        &self,
        row: &Row<'a>,
        field: &Field<'_, '_, 'a>,
        problems: &mut Problems,
    ) -> Result<Vec<Cow<'a, str>>, Noted> {
        match (self.format, field.value) {
            (DatasetFormat::Triviaqa, Json::Object(_)) if self.stated.answers.is_none() => trivia(row, field, problems),
            (DatasetFormat::Gsm8k, Json::Text(text)) => {
                let Some((_, answer)) = text.rsplit_once("####") else {
                    let remedy = "GSM8K states the result after `####`; other files are `format: jsonl`";
                    problems.at(&row.origin, field.at, "the answer has no `####`", remedy);
                    return Err(Noted);
                };
                Ok(vec![Cow::Owned(answer.trim().to_owned())])
            }
            (_, Json::Text(text)) => Ok(match self.split {
                Some(at) if !at.is_empty() => {
                    let pieces = text.split(at).map(str::trim).filter(|piece| !piece.is_empty());
                    pieces.map(|piece| Cow::Owned(piece.to_owned())).collect()
                }
                _ => vec![text.clone()],
            }),
            (_, Json::Number(number)) => Ok(vec![Cow::Borrowed(number)]),
            (_, Json::Null) => Ok(Vec::new()),
            (_, Json::List(items)) => items
                .iter()
                .map(|item| match item {
                    Json::Text(text) => Ok(text.clone()),
                    Json::Number(number) => Ok(Cow::Borrowed(*number)),
                    other => {
                        let message = format!("`{}` holds {}, not only texts", field.path, other.kind());
                        problems.at(&row.origin, field.at, message, "write the answers as a list of texts");
                        Err(Noted)
                    }
                })
                .collect(),
            _ => Err(not_text(row, field, problems)),
        }
    }
}

/// Finds a field that the config states, which must be there, or one of the known names, which need not.
fn find<'n, 'j, 'a>(
    row: &'j Row<'a>,
    stated: Option<&'n str>,
    known: &[&'static str],
    problems: &mut Problems,
) -> Result<Option<Field<'n, 'j, 'a>>, Noted> {
    let field = |path, Found { value, at }| Field { path, value, at };
    let Some(path) = stated else {
        return Ok(known.iter().find_map(|&name| row.value.find(name).map(|found| field(name, found))));
    };
    if let Some(found) = row.value.find(path) {
        return Ok(Some(field(path, found)));
    }
    let names = row.value.names_near(path);
    let meant = nearest(path, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`? "));
    let remedy = format!("{}the row has {}", meant.unwrap_or_default(), listed(&names));
    problems.row(&row.origin, row.at, format!("the row has no field `{path}`"), remedy);
    Err(Noted)
}

/// Joins `Value` and `Aliases` of TriviaQA, sorted, each once.
fn trivia<'a>(row: &Row<'a>, field: &Field<'_, '_, 'a>, problems: &mut Problems) -> Result<Vec<Cow<'a, str>>, Noted> {
    let mut set = BTreeSet::new();
    if let Some(Found { value: Json::Text(text), .. }) = field.value.find("Value") {
        set.insert(text.clone());
    }
    if let Some(Found { value: Json::List(aliases), .. }) = field.value.find("Aliases") {
        for alias in aliases {
            let Json::Text(text) = alias else {
                let message = format!("`Answer.Aliases` holds {}, not only texts", alias.kind());
                problems.at(&row.origin, field.at, message, "write the aliases as a list of texts");
                return Err(Noted);
            };
            set.insert(text.clone());
        }
    }
    Ok(set.into_iter().collect())
}

/// Notes that none of the known names is there.
fn absent(row: &Row<'_>, role: &str, known: &[&str], problems: &mut Problems) -> Noted {
    let names = row.value.names_near("");
    let message = format!("the row has no {role}: no field {}", listed(known));
    let remedy = format!("name it, `fields: {{{role}: …}}`; the row has {}", listed(&names));
    problems.row(&row.origin, row.at, message, remedy);
    Noted
}

fn not_text(row: &Row<'_>, field: &Field<'_, '_, '_>, problems: &mut Problems) -> Noted {
    let path = field.path;
    let remedy = match field.value {
        Json::List(_) => format!("`{path}.0` reaches the first of a list"),
        Json::Object(members) => match members.first() {
            Some(member) => format!("a dotted path reaches inside: `{path}.{}`", member.name),
            None => "name another field".to_owned(),
        },
        Json::Null => "write it, or drop the row with `where`".to_owned(),
        _ => "write it as a text in quotes".to_owned(),
    };
    problems.at(&row.origin, field.at, format!("`{path}` is {}, not a text", field.value.kind()), remedy);
    Noted
}

/// Reads a text or a number; null is none.
fn scalar<'a>(
    row: &Row<'_>,
    field: &Field<'_, '_, 'a>,
    problems: &mut Problems,
) -> Result<Option<Cow<'a, str>>, Noted> {
    match field.value {
        Json::Null => Ok(None),
        Json::Text(text) => Ok(Some(text.clone())),
        Json::Number(number) => Ok(Some(Cow::Borrowed(*number))),
        _ => Err(not_text(row, field, problems)),
    }
}

fn truth(row: &Row<'_>, field: &Field<'_, '_, '_>, problems: &mut Problems) -> Result<bool, Noted> {
    let text = field.value.to_text().to_lowercase();
    match (field.value, text.as_str()) {
        (Json::Null, _) | (_, "false" | "0" | "no" | "") => Ok(false),
        (_, "true" | "1" | "yes") => Ok(true),
        _ => {
            let message = format!("`{}` is no truth value", field.path);
            problems.at(&row.origin, field.at, message, "write true or false");
            Err(Noted)
        }
    }
}

/// Returns the key of the row under which a path begins.
fn top_key<'j>(row: &'j Json<'_>, path: &str) -> Option<&'j str> {
    let key = |name: &str| row.members().iter().find(|member| member.name == name).map(|member| &*member.name);
    key(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let key = key(&path[..dot])?;
            row.find(key)?.value.find(&path[dot + 1..]).map(|_| key)
        })
    })
}

/// Removes the field that a path through objects leads to.
fn remove(members: &mut Vec<Member<'_>>, path: &str) {
    if let Some(at) = members.iter().position(|member| member.name == path) {
        members.remove(at);
        return;
    }
    for (dot, _) in path.match_indices('.') {
        if let Some(Member { value: Json::Object(inner), .. }) = members.iter_mut().find(|m| m.name == path[..dot]) {
            remove(inner, &path[dot + 1..]);
        }
    }
}

/// Says where the first text of a row stands, for rows that are cut out of a larger text.
pub fn place_of(value: &Json<'_>, otherwise: usize) -> usize {
    value.members().first().map_or(otherwise, |member| member.at)
}

/// Notes that the layout is not that of the format.
pub fn not_the_format(origin: &Origin<'_>, at: usize, message: String, problems: &mut Problems) {
    problems.at(origin, at, message, "check `format`; the official layout is described in docs/formats.md");
}
