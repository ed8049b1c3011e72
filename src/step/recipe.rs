use std::borrow::Cow;
use std::ops::ControlFlow;

use super::dataset::{
    ANSWER_NAMES, CONTEXT_NAMES, Found, Item, Json, Layout, Origin, Problems, QUESTION_NAMES, Row, Surrogates,
    each_row, listed,
};
use super::template::{Anchor, Template};
use super::text_input::{read_text, strip, without_final_newline};
use super::{InputProblem, Inputs, StepError};
use crate::plan::Frame;
use crate::request::{Message, Role};

/// Is what an arm asks around an item: messages that are the same for all, and messages that are made for each.
#[derive(Debug)]
pub struct Recipe {
    prefix: Vec<Message>,
    turns: Vec<Turn>,
}

#[derive(Debug)]
enum Turn {
    Fixed(Message),
    Filled(Role, Template),
    Framed(BuiltIn),
}

/// Stands around a question where there is no template.
#[derive(Clone, Debug)]
struct BuiltIn {
    frame: Frame,
    instructions: Option<String>,
}

const OPEN: &str = "Answer the question from the passage in as few words as you can; if the passage does not hold the answer, \
                    reply exactly: I don't know.";
const CLOSED: &str =
    "Answer the question in as few words as you can; if you do not know the answer, reply exactly: I don't know.";

impl BuiltIn {
    fn render(&self, item: &Item<'_>) -> String {
        let context = item.context.as_deref().filter(|_| self.frame == Frame::OpenBook);
        let built_in = if context.is_some() { OPEN } else { CLOSED };
        let instructions = self.instructions.as_deref().unwrap_or(built_in);
        match context {
            Some(context) => format!("{instructions}\n\nCONTEXT:\n{context}\n\nQUESTION:\n{}", item.question),
            None => format!("{instructions}\n\nQUESTION:\n{}", item.question),
        }
    }
}

impl Recipe {
    /// Reads the inputs `messages`, or `system`, `user`, `instructions` and `examples`, and `prefill`.
    ///
    /// Errors: [`StepError::Inputs`] with what is wrong in all of them.
    pub fn read(frame: Frame, inputs: &Inputs<'_>) -> Result<Self, StepError> {
        let mut found = Vec::new();
        let mut turns = Vec::new();
        if let Some(text) = read_text(inputs, "messages", &mut found)? {
            messages(&inputs.need("messages")?.label, &text, &mut turns, &mut found);
        } else if inputs.find("messages").is_none() {
            if let Some(text) = read_text(inputs, "system", &mut found)? {
                let text = strip(&text);
                if text.is_empty() {
                    let remedy = "write it, or `system: null` for no system message";
                    whole(&inputs.need("system")?.label, "the system prompt is empty", remedy, &mut found);
                }
                turns.push(Turn::Fixed(Message::new(Role::System, text)));
            }
            let question = question(frame, inputs, &mut found)?;
            if let (Some(text), Some(question)) = (read_text(inputs, "examples", &mut found)?, &question) {
                examples(&inputs.need("examples")?.label, &text, question, &mut turns, &mut found);
            }
            turns.extend(question);
        }
        if let Some(text) = read_text(inputs, "prefill", &mut found)? {
            turns.push(Turn::Fixed(Message::new(Role::Assistant, without_final_newline(&text))));
        }
        if !found.is_empty() {
            return Err(StepError::Inputs(found));
        }
        let shared = turns.iter().take_while(|turn| matches!(turn, Turn::Fixed(_))).count();
        let rest = turns.split_off(shared);
        let message = |turn| match turn {
            Turn::Fixed(message) => Some(message),
            _ => None,
        };
        Ok(Self { prefix: turns.into_iter().filter_map(message).collect(), turns: rest })
    }

    /// Returns the first messages, as far as they are the same for every item.
    pub fn prefix(&self) -> &[Message] {
        &self.prefix
    }

    /// Makes the messages after the prefix; what the item lacks is added to `found`.
    pub fn rest(&self, item: &Item<'_>, found: &mut Vec<InputProblem>) -> Vec<Message> {
        self.turns.iter().map(|turn| turn.message(item, found)).collect()
    }
}

impl Turn {
    fn message(&self, item: &Item<'_>, found: &mut Vec<InputProblem>) -> Message {
        match self {
            Self::Fixed(message) => message.clone(),
            Self::Filled(role, template) => Message::new(*role, template.render(item, found)),
            Self::Framed(frame) => Message::new(Role::User, frame.render(item)),
        }
    }
}

fn whole(file: &str, message: &str, remedy: &str, found: &mut Vec<InputProblem>) {
    let mut problems = Problems::new(file);
    problems.file(message, remedy);
    problems.append_to(found);
}

/// Reads the user turn: the template if there is one, else the frame.
fn question(frame: Frame, inputs: &Inputs<'_>, found: &mut Vec<InputProblem>) -> Result<Option<Turn>, StepError> {
    let Some(input) = inputs.find("user") else {
        let text = read_text(inputs, "instructions", found)?;
        let instructions = text.map(|text| strip(&text).to_owned());
        return Ok(Some(Turn::Framed(BuiltIn { frame, instructions })));
    };
    let Some(text) = read_text(inputs, "user", found)? else { return Ok(None) };
    let template = Template::parse(&input.label, without_final_newline(&text), Anchor::Whole, found);
    if template.as_ref().is_some_and(Template::is_fixed) {
        let remedy = "write `{{question}}` where the question belongs";
        whole(&input.label, "the template names no field: every item would be asked the same", remedy, found);
    }
    Ok(template.map(|template| Turn::Filled(Role::User, template)))
}

/// Reads few-shot examples, JSONL: each is a user turn, made as the question is, and the assistant's answer to it.
fn examples(file: &str, text: &str, question: &Turn, turns: &mut Vec<Turn>, found: &mut Vec<InputProblem>) {
    let mut problems = Problems::new(file);
    let mut unknown = Vec::new();
    let mut rows = 0;
    let mut visit = |row: Row<'_>, problems: &mut Problems| {
        rows += 1;
        if let Some((item, answer)) = example(&row, question, problems) {
            turns.push(Turn::Fixed(question.message(&item, &mut unknown)));
            turns.push(Turn::Fixed(Message::new(Role::Assistant, answer)));
        }
        ControlFlow::Continue(())
    };
    let read = each_row(&mut text.as_bytes(), Layout::Lines, Surrogates::Reject, &mut problems, &mut visit);
    if let Err(error) = read {
        problems.file(error.to_string(), "check the file");
    }
    if rows == 0 && problems.is_empty() {
        problems.file("there are no examples in it", "write one JSON object a line, or remove `examples`");
    }
    problems.append_to(found);
    found.append(&mut unknown);
}

fn example<'a>(row: &Row<'a>, question: &Turn, problems: &mut Problems) -> Option<(Item<'a>, String)> {
    let named = |names: &[&str]| {
        names.iter().find_map(|name| match row.value.find(name)?.value {
            Json::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    let names = row.value.names_near("");
    let mut lacks = |what: &str| {
        let message = format!("the example has no {what}");
        problems.row(&row.origin, row.at, message, format!("the example has {}", listed(&names)));
    };
    let answer = ANSWER_NAMES.iter().rev().find_map(|name| match row.value.find(name)?.value {
        Json::Text(text) => Some(text.to_string()),
        Json::Number(number) => Some((*number).to_owned()),
        Json::List(items) => items.first().map(|first| first.to_text().into_owned()),
        _ => None,
    });
    let Some(answer) = answer else {
        lacks("`answer`");
        return None;
    };
    let text = named(QUESTION_NAMES);
    let item = Item {
        id: named(&["id"]).unwrap_or_default(),
        question: text.clone().unwrap_or_default(),
        context: named(CONTEXT_NAMES),
        fields: row.value.clone(),
        answers: Vec::new(),
        unanswerable: false,
        group: None,
        dataset: None,
    };
    let has = |field: &str| match field {
        "id" => row.value.find("id").is_some(),
        "question" => text.is_some(),
        _ => true,
    };
    let missing = match question {
        Turn::Framed(_) => text.is_none().then(|| "`question`".to_owned()),
        Turn::Filled(_, template) => template
            .fields()
            .find(|field| !has(field) || item.find(field).is_none())
            .map(|field| format!("`{field}`, which the template names")),
        Turn::Fixed(_) => None,
    };
    if let Some(missing) = missing {
        lacks(&missing);
        return None;
    }
    Some((item, answer))
}

/// Reads a whole conversation, JSONL or a JSON array of `{"role", "content"}`; contents are templates.
fn messages(file: &str, text: &str, turns: &mut Vec<Turn>, found: &mut Vec<InputProblem>) {
    let layout = if text.trim_start().starts_with('[') { Layout::Array } else { Layout::Lines };
    let mut problems = Problems::new(file);
    let mut faults = Vec::new();
    let mut visit = |row: Row<'_>, problems: &mut Problems| {
        if let Some((role, content, at)) = message(&row, problems) {
            let place = row.origin.place(at);
            let anchor = Anchor::Within { line: place.line, column: place.column, source_line: place.source_line };
            turns.extend(Template::parse(file, &content, anchor, &mut faults).map(|template| {
                if template.is_fixed() {
                    Turn::Fixed(Message::new(role, template.text()))
                } else {
                    Turn::Filled(role, template)
                }
            }));
        }
        ControlFlow::Continue(())
    };
    if let Err(error) = each_row(&mut text.as_bytes(), layout, Surrogates::Reject, &mut problems, &mut visit) {
        problems.file(error.to_string(), "check the file");
    }
    if problems.is_empty() && faults.is_empty() && !turns.iter().any(|turn| matches!(turn, Turn::Filled(..))) {
        let remedy = "write `{{question}}` where the question belongs";
        problems.file("no message names a field: every item would be asked the same", remedy);
    }
    problems.append_to(found);
    found.append(&mut faults);
}

fn message<'a>(row: &Row<'a>, problems: &mut Problems) -> Option<(Role, Cow<'a, str>, usize)> {
    let origin: &Origin<'_> = &row.origin;
    for member in row.value.members() {
        if !matches!(member.name.as_ref(), "role" | "content") {
            let message = format!("a message has no field `{}`", member.name);
            problems.at(origin, member.at, message, "a message has `role` and `content`");
            return None;
        }
    }
    let (role, content) = (row.value.find("role"), row.value.find("content"));
    let (Some(role), Some(content)) = (role, content) else {
        let missing = if role.is_none() { "role" } else { "content" };
        problems.row(origin, row.at, format!("the message has no `{missing}`"), "a message has `role` and `content`");
        return None;
    };
    let known = match role.value.to_text().as_ref() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            let message = format!("`{other}` is no role");
            problems.at(origin, role.at, message, "write `system`, `user` or `assistant`");
            return None;
        }
    };
    match content {
        Found { value: Json::Text(text), at } => Some((known, text.clone(), at)),
        Found { value, at } => {
            let message = format!("`content` is {}, not a text", value.kind());
            problems.at(origin, at, message, "write one text; images and tools are out of scope");
            None
        }
    }
}
