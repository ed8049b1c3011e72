use std::borrow::Cow;
use std::ops::ControlFlow;

use super::mapping::{not_the_format, place_of};
use super::{Found, Json, Member, Origin, Problems, Row};

/// Takes an article of the official SQuAD layout apart: a row for each question, and the group it belongs to.
///
/// The group is the article's title and the number of the paragraph in it, from 0, as questions on one passage are not
/// independent. A row has `id`, `question`, `context`, `title`, `answers` (texts) and `is_impossible`.
pub fn each_question(
    article: &Row<'_>,
    problems: &mut Problems,
    visit: &mut dyn FnMut(Row<'_>, String, &mut Problems) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let origin = article.origin;
    let title = match article.value.find("title") {
        Some(Found { value: Json::Text(title), .. }) => Some(title.clone()),
        _ => None,
    };
    let Some(paragraphs) = list(&article.value, "paragraphs", &origin, article.at, problems) else {
        return ControlFlow::Continue(());
    };
    let (mut line, mut counted) = (origin.line, 0);
    for (number, paragraph) in paragraphs.iter().enumerate() {
        let at = place_of(paragraph, article.at);
        let Some(questions) = list(paragraph, "qas", &origin, at, problems) else { continue };
        let Some(Found { value: Json::Text(context), .. }) = paragraph.find("context") else {
            not_the_format(&origin, at, "a paragraph has no text `context`".to_owned(), problems);
            continue;
        };
        for question in questions {
            let at = place_of(question, at);
            // Questions come in the order of the text: counting from the last one keeps this linear.
            line +=
                origin.text.as_bytes()[counted..at.max(counted)].iter().map(|&b| u64::from(b == b'\n')).sum::<u64>();
            counted = counted.max(at);
            let mut members = Vec::with_capacity(6);
            for member in question.members() {
                match member.name.as_ref() {
                    "id" | "question" | "is_impossible" => members.push(member.clone()),
                    "answers" => {
                        let texts = answers(&member.value);
                        let Some(texts) = texts else {
                            not_the_format(&origin, member.at, "`answers` is no list of texts".to_owned(), problems);
                            continue;
                        };
                        members.push(Member { name: Cow::Borrowed("answers"), at: member.at, value: texts });
                    }
                    _ => {}
                }
            }
            members.push(named("context", at, context));
            members.extend(title.as_ref().map(|title| named("title", at, title)));
            let group = format!("{}#{number}", title.as_deref().unwrap_or_default());
            visit(Row { origin, at, line, key: None, value: Json::Object(members) }, group, problems)?;
            if problems.is_full() {
                return ControlFlow::Break(());
            }
        }
    }
    ControlFlow::Continue(())
}

fn named<'a>(name: &'static str, at: usize, text: &Cow<'a, str>) -> Member<'a> {
    Member { name: Cow::Borrowed(name), at, value: Json::Text(text.clone()) }
}

fn list<'j, 'a>(
    value: &'j Json<'a>,
    name: &str,
    origin: &Origin<'_>,
    at: usize,
    problems: &mut Problems,
) -> Option<&'j [Json<'a>]> {
    if let Some(Found { value: Json::List(items), .. }) = value.find(name) {
        return Some(items);
    }
    not_the_format(origin, at, format!("the list `{name}` is missing"), problems);
    None
}

/// Takes the texts out of `[{"text": …, "answer_start": …}]`.
fn answers<'a>(value: &Json<'a>) -> Option<Json<'a>> {
    let Json::List(items) = value else { return None };
    let text = |item: &Json<'a>| match item.find("text")?.value {
        Json::Text(text) => Some(Json::Text(text.clone())),
        _ => None,
    };
    items.iter().map(text).collect::<Option<Vec<_>>>().map(Json::List)
}
