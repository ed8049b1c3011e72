use std::borrow::Cow;

use crate::request::{Message, Role};

/// Is a request's messages, taken apart as a reader of them would.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conversation<'a> {
    /// The instructions, in the order of reading.
    pub(super) instructions: Vec<&'a str>,
    /// The answers of worked examples.
    pub(super) examples: Vec<&'a str>,
    /// The passage, if one is there.
    pub(super) passage: Option<Cow<'a, str>>,
    /// The question.
    pub(super) question: &'a str,
    /// The start of the answer, to be gone on with.
    pub(super) prefill: &'a str,
}

/// Is a word that, at the start of a line, says what follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Context,
    Question,
    Answer,
}

/// Is the fewest words that read as a passage where nothing marks one.
const SHORTEST_PASSAGE: usize = 20;

impl<'a> Conversation<'a> {
    /// Takes a conversation apart.
    ///
    /// The last user message is the one that asks. Where a line of it starts with `QUESTION:`, the last such starts the
    /// question, the `CONTEXT:` nearest before it (else after it) starts the passage, and what stands before both is
    /// instructions. Without `QUESTION:` the question is the last sentence that ends in `?`, else the last paragraph, and
    /// the rest of the user's text is both passage and instructions, if it has [`SHORTEST_PASSAGE`] words; failing that,
    /// the system's text is.
    pub(super) fn read(messages: &'a [Message]) -> Self {
        let (messages, prefill) = match messages.split_last() {
            Some((last, rest)) if last.role == Role::Assistant => (rest, &*last.content),
            _ => (messages, ""),
        };
        let asking = messages.iter().rposition(|m| m.role == Role::User);
        let mut instructions = Vec::with_capacity(3);
        let mut examples = Vec::new();
        let mut loose = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            let followed = messages.get(i + 1).is_some_and(|next| next.role == Role::Assistant);
            match message.role {
                Role::System => instructions.push(&*message.content),
                Role::Assistant => examples.push(&*message.content),
                Role::User if Some(i) != asking && !followed => loose.push(&*message.content),
                Role::User => {}
            }
        }
        let systems = instructions.len();
        instructions.extend(&loose);
        let text = asking.map_or("", |i| &*messages[i].content);
        if let Some((before, passage, question, after)) = marked(text) {
            instructions.push(before);
            instructions.push(after);
            let passage = passage.map(Cow::Borrowed);
            return Self { instructions, examples, passage, question, prefill };
        }
        let (before, question, after) = unmarked(text);
        let mut parts = loose;
        parts.extend([before, after]);
        parts.retain(|part| !part.trim().is_empty());
        let is_passage =
            |parts: &[&str]| parts.iter().flat_map(|p| p.split_whitespace()).nth(SHORTEST_PASSAGE - 1).is_some();
        let passage = if is_passage(&parts) {
            Some(Cow::Owned(parts.join("\n")))
        } else if is_passage(&instructions[..systems]) {
            Some(Cow::Owned(instructions[..systems].join("\n")))
        } else {
            None
        };
        instructions.extend([before, after]);
        Self { instructions, examples, passage, question, prefill }
    }
}

/// Takes a marked text apart: what is before, the passage, the question, and what follows `ANSWER:`.
fn marked(text: &str) -> Option<(&str, Option<&str>, &str, &str)> {
    let mut markers: Vec<(Marker, usize, usize)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some((marker, len)) = marker(line) {
            markers.push((marker, at, at + len));
        }
        at += line.len();
    }
    let question = markers.iter().rposition(|m| m.0 == Marker::Question)?;
    let context = markers[..question]
        .iter()
        .rposition(|m| m.0 == Marker::Context)
        .or_else(|| markers[question..].iter().position(|m| m.0 == Marker::Context).map(|i| question + i));
    let last = context.map_or(question, |c| c.max(question));
    let end = markers[last..].iter().find(|m| m.0 == Marker::Answer);
    let (stop, after) = end.map_or((text.len(), ""), |m| (m.1, &text[m.2..]));
    let (_, question_at, question_from) = markers[question];
    let Some(context) = context else {
        return Some((&text[..question_at], None, text[question_from..stop].trim(), after));
    };
    let (_, context_at, context_from) = markers[context];
    let (passage, question) = if context_at < question_at {
        (&text[context_from..question_at], &text[question_from..stop])
    } else {
        (&text[context_from..stop], &text[question_from..context_at])
    };
    Some((&text[..context_at.min(question_at)], Some(passage.trim()), question.trim(), after))
}

fn marker(line: &str) -> Option<(Marker, usize)> {
    const MARKERS: [(&str, Marker); 4] = [
        ("CONTEXT:", Marker::Context),
        ("PASSAGE:", Marker::Context),
        ("QUESTION:", Marker::Question),
        ("ANSWER:", Marker::Answer),
    ];
    let start = line.len() - line.trim_start_matches([' ', '\t', '#', '*', '>']).len();
    let rest = &line.as_bytes()[start..];
    let found = MARKERS
        .iter()
        .find(|(name, _)| rest.get(..name.len()).is_some_and(|r| r.eq_ignore_ascii_case(name.as_bytes())));
    found.map(|(name, marker)| (*marker, start + name.len()))
}

/// Takes an unmarked text apart: what is before the question, the question, what is after it.
fn unmarked(text: &str) -> (&str, &str, &str) {
    let text = text.trim();
    if let Some(mark) = text.rfind('?') {
        let end = mark + 1;
        let before = &text[..mark];
        let cut = |pattern: &str| before.rfind(pattern).map_or(0, |at| at + pattern.len());
        let start = [". ", "! ", "? ", "\n"].iter().map(|p| cut(p)).max().unwrap_or(0);
        return (&text[..start], text[start..end].trim(), &text[end..]);
    }
    let start = text.rfind("\n\n").map_or(0, |at| at + 2);
    (&text[..start], &text[start..], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Vec<Message> {
        vec![Message::new(Role::System, "Be kind."), Message::new(Role::User, text)]
    }

    #[test]
    fn the_built_in_frames_are_read() {
        let messages = user("Read.\n\nCONTEXT:\nOne.\nQUESTION: two?\n\nQUESTION:\nWhere is it?");
        let open = Conversation::read(&messages);
        assert_eq!(open.instructions, ["Be kind.", "Read.\n\n", ""]);
        assert_eq!(open.passage.as_deref(), Some("One.\nQUESTION: two?"));
        assert_eq!(open.question, "Where is it?");
        let messages = user("Read.\n\nQUESTION:\nWhere is it?\n");
        let closed = Conversation::read(&messages);
        assert_eq!((closed.passage, closed.question), (None, "Where is it?"));
    }

    #[test]
    fn a_question_may_come_first_and_an_answer_may_be_asked_for() {
        let messages = user("Question: Who?\nPassage: Ann did.\nAnswer: in short");
        let read = Conversation::read(&messages);
        assert_eq!((read.passage.as_deref(), read.question), (Some("Ann did."), "Who?"));
        assert_eq!(read.instructions, ["Be kind.", "", " in short"]);
    }

    #[test]
    fn turns_before_are_examples_and_one_after_is_a_prefill() {
        let mut messages = user("QUESTION:\nA?");
        messages.push(Message::new(Role::Assistant, "a"));
        messages.push(Message::new(Role::User, "QUESTION:\nB?"));
        messages.push(Message::new(Role::Assistant, "The answer is"));
        let read = Conversation::read(&messages);
        assert_eq!((read.examples, read.question, read.prefill), (vec!["a"], "B?", "The answer is"));
    }

    #[test]
    fn without_marks_the_last_question_is_asked_of_the_rest() {
        let passage =
            "The mill stands by the river and was built in 1820 by Ann Weir, who sold it to the town in 1850.";
        let text = format!("{passage} Is that so? Who built the mill? Thanks.");
        let messages = user(&text);
        let read = Conversation::read(&messages);
        assert_eq!(read.question, "Who built the mill?");
        assert_eq!(read.passage.as_deref(), Some(&*format!("{passage} Is that so? \n Thanks.")));
        let messages = user("Tell me.\n\nName the mill");
        let read = Conversation::read(&messages);
        assert_eq!((read.question, read.passage), ("Name the mill", None));
        assert_eq!(Conversation::read(&[]).question, "");
    }

    #[test]
    fn a_document_in_the_system_message_is_read() {
        let document = "word ".repeat(20);
        let messages = [Message::new(Role::System, &*document), Message::new(Role::User, "Who?")];
        assert_eq!(Conversation::read(&messages).passage.as_deref(), Some(&*document));
    }
}
