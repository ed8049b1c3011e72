//! The bundled example: enough of everything, consistent, and each arm with the effect that its words have.
//!
//! It is read here without the config's loader, so that what is measured is the reader's doing alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use exp::digest::{Decimal, Digest};
use exp::provider::lexical::REVISION;
use exp::provider::{Corpus, Lexical, LexicalSettings, Line, Provider};
use exp::request::{Decoding, DrawAddress, Message, Outcome, Request, Role, Terms};
use exp::scoring::{Gold, Qa, Score};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("config/{name}: {error}"))
}

fn rows(name: &str) -> Vec<Value> {
    read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn answers(row: &Value) -> Vec<String> {
    row["answers"].as_array().unwrap().iter().map(|answer| answer.as_str().unwrap().to_owned()).collect()
}

/// The user message of the built-in frames.
fn frame(row: &Value, is_open: bool) -> String {
    if is_open {
        let instructions = read("task_instructions/open_book.txt");
        format!("{}\n\nCONTEXT:\n{}\n\nQUESTION:\n{}", instructions.trim(), text(row, "context"), text(row, "question"))
    } else {
        let instructions = read("task_instructions/closed_book.txt");
        format!("{}\n\nQUESTION:\n{}", instructions.trim(), text(row, "question"))
    }
}

fn messages(arm: &str, row: &Value, is_open: bool) -> Vec<Message> {
    let file = match arm {
        "control" | "fewshot" => "prompts/control_system.txt".to_owned(),
        _ => format!("prompts/{arm}_system.md"),
    };
    let mut messages = vec![Message::new(Role::System, read(&file).trim())];
    if arm == "fewshot" {
        for shot in rows("data/shots.jsonl") {
            messages.push(Message::new(Role::User, frame(&shot, is_open)));
            messages.push(Message::new(Role::Assistant, text(&shot, "answer")));
        }
    }
    messages.push(Message::new(Role::User, frame(row, is_open)));
    messages
}

/// What one arm comes to: the mean of each metric in percent, and the texts.
struct Measured {
    means: BTreeMap<&'static str, f64>,
    texts: Vec<String>,
}

fn measure(reader: &Lexical, arm: &str, is_open: bool, temperature: &str, draws: u32) -> Measured {
    let rows = rows(if is_open { "data/open_book.jsonl" } else { "data/closed_book.jsonl" });
    let mut measured = Measured { means: BTreeMap::new(), texts: Vec::new() };
    let temperature: Decimal = temperature.parse().unwrap();
    for row in &rows {
        let request = Request {
            terms: Terms {
                decoding: Decoding { temperature: Some(temperature), ..Decoding::default() },
                ..Terms::new(reader.identity().clone(), "lexical-baseline")
            }
            .into(),
            messages: messages(arm, row, is_open),
            recording: None,
        };
        let golds = answers(row);
        let context = is_open.then(|| text(row, "context"));
        let gold = Gold {
            answers: &golds,
            unanswerable: row["is_unanswerable"] == true,
            context,
            open: is_open,
            options: &[],
            normal_context: None,
        };
        for number in 0..draws {
            let address = DrawAddress { request: request.key(), generation: 0, number };
            let Outcome::Answer(answer) = reader.answer(&mut Line::default(), &request, &address).outcome else {
                panic!("{address:?}")
            };
            for (metric, value) in Qa::default().score(&answer.text, &gold).iter() {
                *measured.means.entry(metric).or_default() += 100.0 * value / (rows.len() as f64 * f64::from(draws));
            }
            measured.texts.push(answer.text);
        }
    }
    measured
}

fn reader() -> Lexical {
    let corpus = Corpus::parse(read("data/corpus.jsonl").as_bytes()).unwrap();
    Lexical::new(LexicalSettings { corpus: Some(corpus), ..LexicalSettings::default() })
}

#[test]
fn there_is_enough_of_everything() {
    let open = rows("data/open_book.jsonl");
    let closed = rows("data/closed_book.jsonl");
    let passages: BTreeSet<_> = open.iter().map(|row| text(row, "context")).collect();
    let groups: BTreeSet<_> = open.iter().map(|row| text(row, "group")).collect();
    let unanswerable = open.iter().filter(|row| row["is_unanswerable"] == true).count();
    assert!(open.len() >= 60 && passages.len() >= 12 && groups.len() == passages.len() && closed.len() >= 40);
    assert_eq!(unanswerable * 3, open.len());
    let ids: BTreeSet<_> = open.iter().map(|row| text(row, "id")).collect();
    assert_eq!(ids.len(), open.len());
    let ids: BTreeSet<_> = closed.iter().map(|row| text(row, "id")).collect();
    assert_eq!(ids.len(), closed.len());
    for row in &open {
        let golds = answers(row);
        assert_eq!(golds.is_empty(), row["is_unanswerable"] == true, "{row}");
        let stands = |gold: &String| text(row, "context").to_lowercase().contains(&gold.to_lowercase());
        assert!(golds.is_empty() || golds.iter().any(stands), "no answer stands in the passage: {row}");
    }
    for passage in passages {
        let words = passage.split_whitespace().count();
        assert!((90..=150).contains(&words), "{words} words: {passage}");
    }
    assert!(closed.iter().all(|row| !answers(row).is_empty() && row.get("context").is_none()));
    let corpus = Corpus::parse(read("data/corpus.jsonl").as_bytes()).unwrap();
    let stands = |row: &&Value| answers(row).iter().any(|gold| corpus.passages().iter().any(|p| p.contains(gold)));
    let general = |row: &&Value| text(row, "group") == "general";
    assert!(closed.iter().filter(|row| !general(row)).all(|row| stands(&row)));
    assert!(closed.iter().filter(general).count() >= 10);
}

#[test]
fn the_placebo_is_as_long_as_what_it_is_held_against() {
    let words = |name: &str| read(name).split_whitespace().count() as f64;
    let ratio = words("prompts/length_matched_system.md") / words("prompts/operational_only_system.md");
    assert!((ratio - 1.0).abs() <= 0.05, "{ratio}");
}

#[test]
fn each_arm_has_the_effect_of_its_words() {
    let reader = reader();
    let mut table = BTreeMap::new();
    for is_open in [true, false] {
        for (temperature, draws) in [("0", 1), ("0.7", 5)] {
            for arm in ["control", "operational_only", "length_matched", "cautious", "fewshot"] {
                let measured = measure(&reader, arm, is_open, temperature, draws);
                let book = if is_open { "open" } else { "closed" };
                println!("{book:6} t={temperature:3} {arm:17} {:.1?}", measured.means);
                table.insert((book, temperature, arm), measured);
            }
        }
    }
    let at = |book, t, arm, metric| table[&(book, t, arm)].means[metric];
    for t in ["0", "0.7"] {
        // Only an arm that is told so abstains.
        for book in ["open", "closed"] {
            assert_eq!(at(book, t, "control", "abstain_rate") + at(book, t, "length_matched", "abstain_rate"), 0.0);
            assert!(at(book, t, "operational_only", "abstain_rate") > 5.0);
            assert!(at(book, t, "cautious", "abstain_rate") > at(book, t, "operational_only", "abstain_rate") + 5.0);
        }
        let false_answers = |arm| at("open", t, arm, "false_answer_rate");
        assert!(false_answers("operational_only") < false_answers("control") - 5.0);
        assert!(false_answers("cautious") < false_answers("operational_only"));
        assert!(at("open", t, "operational_only", "em") > at("open", t, "control", "em"));
        // The placebo: chance at most.
        assert!((at("open", t, "length_matched", "em") - at("open", t, "control", "em")).abs() < 5.0);
        // An abstaining example permits to abstain.
        assert!(at("open", t, "fewshot", "abstain_rate") > 5.0);
    }
    // The reader's output on a fixture: whoever changes it raises REVISION and adds a line, else old answers stay in use.
    let texts: Vec<&str> = table.values().flat_map(|measured| &measured.texts).map(String::as_str).collect();
    let digest = Digest::of(texts.join("\n").as_bytes()).short(16);
    assert_eq!((REVISION, &*digest), (1, "9a9ac474b37e5dfe"));
    assert_eq!(table[&("open", "0", "control")].texts, table[&("open", "0", "length_matched")].texts);
    assert_ne!(table[&("open", "0.7", "control")].texts, table[&("open", "0.7", "length_matched")].texts);
    assert_ne!(table[&("open", "0", "fewshot")].texts, table[&("open", "0", "operational_only")].texts);
}
