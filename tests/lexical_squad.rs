//! The embedded reader on real questions: good enough to be a baseline, the same every time, and told what to do by words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use exp::digest::Decimal;
use exp::provider::{Lexical, LexicalSettings, Line, Provider};
use exp::request::{AnswerStatus, Decoding, DrawAddress, Message, Outcome, Request, Role, Terms};
use exp::scoring::{Gold, Score, Squad};

struct Asked {
    article: usize,
    question: String,
    context: String,
    golds: Vec<String>,
    is_unanswerable: bool,
}

/// Reads the official layout, or says that the data is not there.
fn squad() -> Option<Vec<Asked>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/squad_v2/dev-v2.0.part.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: ../shared is absent");
        return None;
    };
    let root: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().unwrap().clone();
    let string = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap().to_owned();
    let mut asked = Vec::new();
    for (number, article) in list(&root, "data").iter().enumerate() {
        for paragraph in list(article, "paragraphs") {
            for qa in list(&paragraph, "qas") {
                asked.push(Asked {
                    article: number,
                    question: string(&qa, "question"),
                    context: string(&paragraph, "context"),
                    golds: list(&qa, "answers").iter().map(|answer| string(answer, "text")).collect(),
                    is_unanswerable: qa["is_impossible"] == true,
                });
            }
        }
    }
    Some(asked)
}

fn request(reader: &Lexical, instructions: &str, asked: &Asked, temperature: Option<Decimal>) -> Request {
    let user = format!("{instructions}\n\nCONTEXT:\n{}\n\nQUESTION:\n{}", asked.context, asked.question);
    Request {
        terms: Terms {
            decoding: Decoding { temperature, ..Decoding::default() },
            ..Terms::new(reader.identity().clone(), "lexical-baseline")
        }
        .into(),
        messages: vec![Message::new(Role::System, "You answer questions."), Message::new(Role::User, user)],
        recording: None,
    }
}

fn answer(reader: &Lexical, request: &Request, number: u32) -> String {
    let address = DrawAddress { request: request.key(), generation: 0, number };
    match reader.answer(&mut Line::default(), request, &address).outcome {
        Outcome::Answer(answer) => {
            assert_eq!(answer.status, AnswerStatus::Stop);
            answer.text
        }
        Outcome::Failure(code) => panic!("{code:?}"),
    }
}

/// Scores a set of questions: exact match and F1, in percent.
fn score<'a>(reader: &Lexical, instructions: &str, asked: impl Iterator<Item = &'a Asked>) -> (f64, f64) {
    let (mut em, mut f1, mut n) = (0.0, 0.0, 0.0);
    for item in asked {
        let text = answer(reader, &request(reader, instructions, item, None), 0);
        let scores = Squad.score(&text, &Gold::open(&item.golds, false, &item.context));
        em += scores.get("squad_em").unwrap();
        f1 += scores.get("squad_f1").unwrap();
        n += 1.0;
    }
    (100.0 * em / n, 100.0 * f1 / n)
}

const BRIEF: &str = "Answer with the shortest span of the passage.";

#[test]
fn answerable_questions_reach_em_25_and_f1_35() {
    let Some(asked) = squad() else { return };
    let reader = Lexical::new(LexicalSettings::default());
    let answerable = || asked.iter().filter(|item| !item.is_unanswerable);
    let (em, f1) = score(&reader, BRIEF, answerable());
    println!("answerable: EM {em:.1} F1 {f1:.1}");
    assert!(em >= 25.0 && f1 >= 35.0, "EM {em:.1} F1 {f1:.1}");
    // No single article carries it.
    for article in 0..8 {
        let (em, f1) = score(&reader, BRIEF, answerable().filter(|item| item.article == article));
        println!("  article {article}: EM {em:.1} F1 {f1:.1}");
        assert!(f1 >= 25.0, "article {article}: EM {em:.1} F1 {f1:.1}");
    }
}

#[test]
fn permission_to_abstain_is_used_more_where_there_is_no_answer() {
    let Some(asked) = squad() else { return };
    let reader = Lexical::new(LexicalSettings::default());
    let rate = |instructions: &str, unanswerable: bool| {
        let set: Vec<_> = asked.iter().filter(|item| item.is_unanswerable == unanswerable).collect();
        let abstained =
            set.iter().filter(|i| answer(&reader, &request(&reader, instructions, i, None), 0) == "I don't know.");
        abstained.count() as f64 / set.len() as f64
    };
    let may = format!("{BRIEF} If the passage does not answer the question, say \"I don't know.\"");
    let cautious = format!("{may} When in doubt, say so.");
    assert_eq!(rate(BRIEF, true), 0.0);
    let (without, with) = (rate(&may, true), rate(&may, false));
    assert!(without > with + 0.05, "{without} {with}");
    assert!(rate(&cautious, true) > without && rate(&cautious, false) > with);
}

#[test]
fn draws_vary_with_temperature_and_repeat_with_their_address() {
    let Some(asked) = squad() else { return };
    let reader = Lexical::new(LexicalSettings::default());
    let again = Lexical::new(LexicalSettings::default());
    let warm = Some("0.7".parse().unwrap());
    let mut varied = 0;
    // Backwards for the second reader: what was asked before must not matter.
    let asked: Vec<_> = asked.iter().step_by(40).collect();
    let ask = |reader: &Lexical, item: &Asked| -> Vec<String> {
        let request = request(reader, BRIEF, item, warm);
        (0..5).map(|number| answer(reader, &request, number)).collect()
    };
    let first: Vec<_> = asked.iter().map(|item| ask(&reader, item)).collect();
    let mut second: Vec<_> = asked.iter().rev().map(|item| ask(&again, item)).collect();
    second.reverse();
    assert_eq!(first, second);
    for draws in &first {
        varied += usize::from(draws.iter().any(|draw| *draw != draws[0]));
    }
    assert!(varied * 2 > first.len(), "{varied} of {}", first.len());
}
