//! Rows 36-42 and 47 of the matrix of faults, against a server of ours that scripts them and knows what it was asked: a thousand
//! generated sequences of faults, and each row by itself.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use server::{Bill, Fault, Generator, Kind, ModelServer};
use support::online::{INPUT, OUTPUT, Online, Setup};

/// How often a draw is sent in one build, at most.
const ATTEMPTS: usize = 3;

/// The sequence of a body: by its hash alone, so that the order of arrival does not matter.
fn sequence_of(body: &str, seed: u64) -> Vec<Option<Fault>> {
    Generator::new(seed ^ u64::from_str_radix(body, 16).unwrap()).sequence(ATTEMPTS)
}

/// Says how one build ends for a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has its answer, with this status.
    Answered(&'static str),
    /// It failed with this code, and the next build asks again.
    Failed(&'static str),
    /// It was rejected, and is not asked again.
    Rejected,
}

/// What a client that follows the rules of the protocols makes of a fault: whether it asks again in the same build, and
/// what the draw ends as if it does not.
fn meant(fault: Option<&Fault>) -> (bool, End) {
    let Some(fault) = fault else { return (false, End::Answered("stop")) };
    match fault {
        Fault::Status { code, headers } => {
            let said = headers.iter().find(|(name, _)| *name == "x-should-retry").map(|(_, value)| value == "true");
            let end = match code {
                429 | 529 => End::Failed("rate_limited"),
                408 | 504 => End::Failed("timeout"),
                409 | 500.. => End::Failed("server_error"),
                _ => End::Rejected,
            };
            (said.unwrap_or(end != End::Rejected), end)
        }
        Fault::Rejected(_) => (false, End::Rejected),
        Fault::ResetAfterReading { .. } | Fault::ClosedAfterReading { .. } => (true, End::Failed("transport")),
        // Something is wrong with the way, and may be right the next time.
        Fault::CutBody | Fault::UnterminatedChunks | Fault::EmptyBody | Fault::ErrorBody => {
            (true, End::Failed("malformed"))
        }
        // A whole response that is no answer is asked for by the next build, not at once: it may have been paid for.
        Fault::MalformedJson | Fault::WrongContentType | Fault::HtmlPage | Fault::NoChoices => {
            (false, End::Failed("malformed"))
        }
        Fault::NullContent | Fault::ToolCalls => (false, End::Answered("empty")),
        Fault::Refusal => (false, End::Answered("refusal")),
        Fault::Length => (false, End::Answered("length")),
        Fault::ContentFilter | Fault::ContentPolicy => (false, End::Answered("content_filter")),
        Fault::ManyChoices | Fault::NoUsage | Fault::AbsurdUsage | Fault::LoneSurrogate => {
            (false, End::Answered("stop"))
        }
        other => panic!("{other:?} is in no sequence"),
    }
}

/// How often a draw is sent in each build, and how each build ends for it, until nothing is left to ask.
fn expected(sequence: &[Option<Fault>]) -> Vec<(usize, End)> {
    let mut faults = sequence.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let mut builds = Vec::new();
    loop {
        let mut attempts = 0;
        let end = loop {
            attempts += 1;
            let (again, end) = meant(faults.next().unwrap());
            if !again || attempts == ATTEMPTS {
                break end;
            }
        };
        builds.push((attempts, end));
        if !matches!(end, End::Failed(_)) {
            return builds;
        }
    }
}

/// What the manifest says that the run cost.
#[derive(Debug)]
struct Ledger {
    spent: f64,
    unknown: u64,
    attempts: u64,
    most_uncertain: f64,
}

fn ledger(online: &Online, built: &Value) -> Ledger {
    let manifest = online.project.manifest(built);
    let cost = &manifest["cost_usd"];
    Ledger {
        spent: cost["spent"].as_f64().unwrap(),
        unknown: cost["unknown"].as_u64().unwrap(),
        attempts: cost["uncertain"]["attempts"].as_u64().unwrap(),
        most_uncertain: cost["uncertain"]["max"].as_f64().unwrap_or_else(|| panic!("no bound in {cost}")),
    }
}

fn dollars(bill: Bill) -> f64 {
    (bill.input as f64 * INPUT + bill.output as f64 * OUTPUT) / 1e6
}

#[test]
fn a_thousand_sequences_end_in_the_right_state() {
    let seed: u64 = std::env::var("EXP_FAULT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let items: usize = std::env::var("EXP_FAULT_ITEMS").map_or(500, |items| items.parse().unwrap());
    let server = ModelServer::scripted(move |asked| sequence_of(&asked.body, seed).get(asked.nth).cloned().flatten());
    let setup = Setup { items, provider: format!("max_attempts: {ATTEMPTS}"), ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let started = std::time::Instant::now();
    let mut wanted: BTreeMap<String, Vec<(usize, End)>> = BTreeMap::new();
    for number in 0.. {
        let output = online.exp(&["build", "--yes", "--json", "--max-concurrent-requests", "64"]);
        assert!(matches!(output.code, 0 | 1), "{output:?}");
        let built = output.json();
        server.settle();
        let book = server.book();
        if number == 0 {
            let bodies: Vec<String> = book.by_body.keys().cloned().collect();
            assert_eq!(bodies.len(), 2 * items, "each request was sent");
            wanted = bodies
                .into_iter()
                .map(|body| (expected(&sequence_of(&body, seed)), body))
                .map(|(w, b)| (b, w))
                .collect();
        }
        // Sends: as often as the rules say, to the attempt.
        for (body, builds) in &wanted {
            let sent: usize = builds.iter().take(number + 1).map(|(attempts, _)| attempts).sum();
            assert_eq!(book.by_body[body], sent, "build {number}: {body}: {:?} {builds:?}", sequence_of(body, seed));
        }
        check_states(&online, &built, &book, &wanted, number);
        check_bill(&online, &built, &book);
        let left = wanted.values().filter(|builds| builds.len() > number + 1).count();
        println!("build {number}: {} sent, {left} sequences left, {:?}", book.sent(), started.elapsed());
        if left == 0 {
            break;
        }
        assert!(number < 12, "twelve builds and no end");
    }
    // And once more: there is nothing to ask.
    let before = server.sent();
    online.exp(&["build", "--yes", "--json"]);
    assert_eq!(server.sent(), before);
    // The search would have found something: every kind of end occurred, and so did every row.
    let ends: Vec<End> = wanted.values().flatten().map(|(_, end)| *end).collect();
    for end in [
        End::Answered("stop"),
        End::Answered("length"),
        End::Answered("refusal"),
        End::Answered("empty"),
        End::Answered("content_filter"),
        End::Failed("malformed"),
        End::Failed("transport"),
        End::Failed("rate_limited"),
        End::Failed("server_error"),
        End::Rejected,
    ] {
        assert!(ends.contains(&end) || items < 500, "{end:?} never occurred");
    }
    let book = server.book();
    for row in [36, 37, 38, 40, 41, 42] {
        assert!(book.fired(|fault| fault.row() == row) > 0, "row {row} never occurred");
    }
}

/// Every row of predictions.csv has the status that its sequence leads to.
fn check_states(
    online: &Online,
    built: &Value,
    book: &server::Book,
    wanted: &BTreeMap<String, Vec<(usize, End)>>,
    number: usize,
) {
    let rows: BTreeMap<(String, String), BTreeMap<String, String>> = online
        .predictions(built)
        .into_iter()
        .map(|row| ((row["item_id"].clone(), row["condition"].clone()), row))
        .collect();
    assert_eq!(rows.len(), wanted.len());
    for asked in book.calls().filter(|asked| asked.nth == 0) {
        let builds = &wanted[&asked.body];
        let (_, end) = builds[number.min(builds.len() - 1)];
        let is_control = asked.text.windows(9).any(|some| some == b"\"Answer.\"");
        let arm = if is_control { "control" } else { "treatment" };
        let row = &rows[&(asked.tag.clone(), arm.to_owned())];
        let status = match end {
            End::Answered(status) => status.to_owned(),
            End::Failed(code) => format!("failed:{code}"),
            End::Rejected => "failed:rejected".to_owned(),
        };
        assert_eq!(row["status"], status, "build {number}: {row:?} {builds:?}");
        if end == End::Answered("stop") {
            assert!(!row["response_text"].is_empty(), "{row:?}");
        }
    }
}

/// The true bill lies in the ledger's range; what came without a usable count of tokens is counted as unknown.
fn check_bill(online: &Online, built: &Value, book: &server::Book) {
    let ledger = ledger(online, built);
    let is_uncounted = |fault: &Option<Fault>| matches!(fault, Some(Fault::NoUsage | Fault::AbsurdUsage));
    let counted: f64 =
        book.calls().filter(|asked| !is_uncounted(&asked.fault)).filter_map(|asked| asked.bill).map(dollars).sum();
    let slack = 1e-9;
    assert!(ledger.spent <= counted + slack, "{ledger:?}, and the true bill is {counted}");
    assert!(counted <= ledger.spent + ledger.most_uncertain + slack, "{ledger:?}, and the true bill is {counted}");
    let unknown = book.calls().filter(|asked| is_uncounted(&asked.fault) || asked.fault == Some(Fault::ContentPolicy));
    assert_eq!(ledger.unknown, unknown.count() as u64, "{ledger:?}");
    // What is known for sure is what came whole.
    let certain: f64 = book
        .calls()
        .filter(|asked| asked.fault.as_ref().is_none_or(|fault| fault.kind() == Kind::Answer))
        .filter(|asked| !is_uncounted(&asked.fault))
        .filter_map(|asked| asked.bill)
        .map(dollars)
        .sum();
    assert!((ledger.spent - certain).abs() < slack, "{ledger:?}, and {certain} came whole");
    // The range is no blanket: it counts the attempts whose fate a client cannot know, and those that a gateway lost.
    let lost = |fault: &Fault| fault.kind() == Kind::Uncertain || matches!(fault, Fault::Status { code: 500.., .. });
    let at_most = book.fired(lost) as u64;
    let at_least = book.fired(|fault| fault.kind() == Kind::Uncertain) as u64;
    assert!((at_least..=at_most).contains(&ledger.attempts), "{ledger:?}: {at_least} to {at_most}");
}
