//! Scoring against reference values that others computed: the official SQuAD 2.0 evaluator and published GSM8K flags.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use exp::scoring::{
    Extraction, Gold, IfAbsent, Numeric, NumericSettings, Pick, Qa, QaSettings, Scorer, Squad, Strategy, qa_normal,
    squad_normal, token_f1,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Gives the folder of reference data, or says that the test is skipped.
fn shared() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared is absent");
    None
}

fn json<T: DeserializeOwned>(path: PathBuf) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn jsonl<T: DeserializeOwned>(path: PathBuf) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Reads a number as it is written: `serde_json` may miss the nearest `f64` unless built with `float_roundtrip`.
fn number(raw: &RawValue) -> Option<f64> {
    raw.get().parse().ok()
}

fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// An object whose numbers are still text.
type Raw = HashMap<String, Box<RawValue>>;

/// Where the normal form of `qa` differs from the official evaluator's, by case number: each has an article that is
/// between word boundaries without being a token.
const QA_DIFFERS: [u64; 10] = [78, 79, 91, 95, 103, 134, 136, 137, 139, 151];

#[test]
fn normalisation_cases_agree_with_the_official_evaluator() {
    let Some(shared) = shared() else { return };
    let path = shared.join("golden/norm_cases.jsonl");
    let cases: Vec<Value> = jsonl(path.clone());
    let raw: Vec<Raw> = jsonl(path);
    assert_eq!(cases.len(), 100);
    let mut differs = Vec::new();
    for (case, raw) in cases.iter().zip(&raw) {
        let golds = strings(&case["gold"]);
        let answer = case["pred"].as_str().unwrap();
        let texts = || golds.iter().map(String::as_str).chain([answer]);
        let mut expected = strings(&case["norm_gold"]);
        expected.push(case["norm_pred"].as_str().unwrap().to_owned());
        assert_eq!(texts().map(squad_normal).collect::<Vec<_>>(), expected, "{case}");
        if texts().map(qa_normal).ne(expected) {
            differs.push(case["i"].as_u64().unwrap());
        }
        let scores = Scorer::from(Squad).score(answer, &Gold::closed(&golds));
        assert_eq!(scores.get("squad_em"), number(&raw["em"]), "{case}");
        assert_eq!(scores.get("squad_f1"), number(&raw["f1"]), "{case}");
    }
    assert_eq!(differs, QA_DIFFERS);
}

/// A question of SQuAD: its id, its gold answers, and whether it has none.
type Question = (String, Vec<String>, bool);

fn questions(squad: &Value) -> Vec<Question> {
    let articles = squad["data"].as_array().unwrap().iter();
    articles
        .flat_map(|article| article["paragraphs"].as_array().unwrap())
        .flat_map(|paragraph| paragraph["qas"].as_array().unwrap())
        .map(|question| {
            let answers = question["answers"].as_array().unwrap().iter();
            let texts = answers.map(|answer| answer["text"].as_str().unwrap().to_owned()).collect();
            let id = question["id"].as_str().unwrap().to_owned();
            (id, texts, question["is_impossible"].as_bool().unwrap())
        })
        .collect()
}

#[test]
fn six_prediction_sets_agree_with_the_official_evaluator() {
    let Some(shared) = shared() else { return };
    let questions = questions(&json(shared.join("data/squad_v2/dev-v2.0.part.json")));
    let golden = shared.join("golden/squad");
    let aggregates: HashMap<String, Raw> = json(golden.join("aggregates.json"));
    let scorer = Scorer::from(Squad);
    for (set, aggregate) in &aggregates {
        let predictions: Value = json(golden.join(format!("{set}.pred.json")));
        let rows: Vec<Raw> = jsonl(golden.join(format!("{set}.scores.jsonl")));
        let expected: HashMap<&str, &Raw> = rows.iter().map(|row| (row["id"].get().trim_matches('"'), row)).collect();
        let (mut exact, mut f1) = (0.0, 0.0);
        for (id, answers, unanswerable) in &questions {
            let answer = predictions[id.as_str()].as_str().unwrap();
            let scores = scorer.score(answer, &Gold::open(answers, *unanswerable, ""));
            let row = expected[id.as_str()];
            assert_eq!(scores.get("squad_em"), number(&row["exact"]), "{set} {id}");
            assert_eq!(scores.get("squad_f1"), number(&row["f1"]), "{set} {id}");
            exact += scores.get("squad_em").unwrap();
            f1 += scores.get("squad_f1").unwrap();
        }
        let total = questions.len() as f64;
        assert_eq!(number(&aggregate["n"]), Some(total));
        assert_eq!(number(&aggregate["exact"]), Some(100.0 * exact / total), "{set}");
        assert_eq!(number(&aggregate["f1"]), Some(100.0 * f1 / total), "{set}");
    }
    assert_eq!(aggregates.len(), 6);
}

#[test]
fn f1_is_the_evaluators_to_the_last_digit() {
    // 2PR/(P+R) and 2s/(m+n) are one number on paper and two in binary: the order of operations is part of the result.
    let (precision, recall) = (1.0 / 4.0, 1.0 / 3.0);
    let expected = (2.0 * precision * recall) / (precision + recall);
    assert_ne!(expected, 2.0 / 7.0);
    assert_eq!(token_f1("x y z", "x b c d"), expected);
}

#[test]
fn published_gsm8k_flags_are_reproduced() {
    let Some(shared) = shared() else { return };
    let items: Vec<Value> = jsonl(shared.join("data/gsm8k/test.jsonl"));
    let solutions: Vec<Value> = jsonl(shared.join("data/gsm8k/example_model_solutions.jsonl"));
    let flags: Value = json(shared.join("golden/gsm8k_flags.json"));
    let extraction = Extraction::new("A: (.*)", Pick::Last, IfAbsent::Missing).unwrap();
    let scorer = Scorer::from(Numeric::new(NumericSettings::default()));
    for (system, sum) in
        [("6b_finetuning", 286), ("6b_verification", 515), ("175b_finetuning", 458), ("175b_verification", 742)]
    {
        let mut scored = String::new();
        for (item, solution) in items.iter().zip(&solutions) {
            assert_eq!(item["question"], solution["question"]);
            let gold = [item["answer"].as_str().unwrap().to_owned()];
            let text = solution[system]["solution"].as_str().unwrap();
            let answer = extraction.apply(text).answer;
            let value = answer.and_then(|answer| {
                let scores = scorer.score(answer, &Gold::closed(&gold));
                scores.get("numeric")
            });
            scored.push(if value == Some(1.0) { '1' } else { '0' });
        }
        assert_eq!(flags[system].as_str(), Some(scored.as_str()), "{system}");
        assert_eq!(scored.matches('1').count(), sum, "{system}");
    }
}

/// The answers of `golden/main` on which the predecessor erred: phrases it did not match, or matched within a sentence
/// or a name. The blank answer, which it called unsupported, is the other case.
const PREDECESSOR_ERRED: [&str; 5] = [
    "I don't know.",
    "The Unknown Soldier",
    "I'm not sure about that",
    "insufficient information in the text",
    "The passage cannot answer this",
];

#[test]
fn qa_differs_from_the_predecessor_only_where_it_erred() {
    let Some(shared) = shared() else { return };
    let golden = shared.join("golden/main");
    let mut items: HashMap<String, Value> = HashMap::new();
    for kind in ["open", "closed"] {
        for item in jsonl::<Value>(golden.join(format!("prepared/{kind}_book.jsonl"))) {
            let key = format!("{}|{}|{kind}", item["dataset"].as_str().unwrap(), item["id"].as_str().unwrap());
            items.insert(key, item);
        }
    }
    let table = fs::read_to_string(golden.join("out/per_item_scores.csv")).unwrap();
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let column = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let key = ["item_key", "type", "condition", "temp"].map(column);
    let published: HashMap<String, Vec<&str>> = lines.map(|row| (key.map(|at| row[at]).join("|"), row)).collect();

    let mut settings = QaSettings::default();
    settings.unsupported.strategy = Strategy::Overlap;
    let scorer = Scorer::from(Qa::new(&settings));
    let (mut same, mut differs) = (0, 0);
    for row in jsonl::<Value>(golden.join("results_combined.jsonl")) {
        // dataset|id|condition|temperature|draw|type; at temperature 0 there is one draw, so the mean is its score.
        let id: Vec<_> = row["custom_id"].as_str().unwrap().split('|').collect();
        if id[3] != "0.0" {
            continue;
        }
        let body = row["response"].get("body").unwrap_or(&row["response"]);
        let answer = body["choices"][0]["message"]["content"].as_str().unwrap();
        let item = &items[&format!("{}|{}|{}", id[0], id[1], id[5])];
        let answers = strings(&item["answers"]);
        let gold = Gold {
            answers: &answers,
            unanswerable: item["is_unanswerable"] == true,
            context: item["context"].as_str(),
            open: id[5] == "open",
            options: &[],
            normal_context: None,
        };
        let row = &published[&[id[0], id[1], id[5], id[2], id[3]].join("|")];
        for (metric, value) in scorer.score(answer, &gold).iter() {
            // The predecessor gave closed items no F1.
            let Ok(expected) = row[column(metric)].parse::<f64>() else { continue };
            if value == expected {
                same += 1;
                continue;
            }
            differs += 1;
            let erred = PREDECESSOR_ERRED.contains(&answer) || (answer.is_empty() && metric == "unsupported_rate");
            assert!(erred, "{id:?} {metric}: {value}, published {expected}, for {answer:?}");
        }
    }
    assert_eq!((same, differs), (7496, 680));
}
