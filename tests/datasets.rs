//! Datasets, arms and recordings through the steps prepare, build and infer: real files, and every fault as exact text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use exp::digest::BlobId;
use exp::plan::{
    BuildParams, Condition, DatasetFormat, DuplicateIds, FieldMap, Frame, InferParams, Parts, PrepareParams,
    RecordingFormat, RecordingMapping, ReplayParams,
};
use exp::request::{Answer, AnswerStatus, Decoding, FailureCode, ProviderIdentity, Role, Usage};
use exp::step::{AnswersReader, Input, Inputs, ReadBlobs, RequestsReader, StepError, build, infer, prepare};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Holds blobs in memory, under the labels that people would see.
#[derive(Default)]
struct Blobs {
    bytes: BTreeMap<BlobId, Vec<u8>>,
    entries: Vec<Input>,
}

impl Blobs {
    fn with(mut self, name: &str, label: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let blob = BlobId::of(&bytes);
        self.bytes.insert(blob, bytes);
        self.entries.push(Input { name: name.into(), blob, label: label.into() });
        self
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs::new(self.entries.clone(), self)
    }
}

impl ReadBlobs for Blobs {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        // Reads come in small pieces, so that nothing depends on where a buffer ends.
        Ok(Box::new(Pieces(&self.bytes[blob])))
    }
}

struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let piece = if self.0.len() > 4096 { 1021 } else { 1 };
        let taken = self.0.len().min(buffer.len()).min(piece);
        buffer[..taken].copy_from_slice(&self.0[..taken]);
        self.0 = &self.0[taken..];
        Ok(taken)
    }
}

type Named = BTreeMap<String, Vec<u8>>;

fn params(format: DatasetFormat) -> PrepareParams {
    PrepareParams {
        format,
        fields: FieldMap::default(),
        conditions: Vec::new(),
        split: None,
        duplicate_ids: DuplicateIds::Error,
        max_items: None,
        max_items_by_label: BTreeMap::new(),
        parts: Parts::Count(1),
    }
}

fn prepared(params: &PrepareParams, source: impl Into<Vec<u8>>) -> Result<Named, StepError> {
    let mut outputs = Named::new();
    prepare::run(params, &Blobs::default().with("source", "data/q", source).inputs(), &mut outputs)?;
    Ok(outputs)
}

/// Gives the lines of one kind of output over all parts.
fn lines(outputs: &Named, kind: &str) -> Vec<Value> {
    let blobs = outputs.iter().filter(|(name, _)| name.starts_with(kind));
    let text: String = blobs.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Renders problems as `place: message | remedy`, one a line.
fn problems<T>(result: Result<T, StepError>) -> String {
    match result {
        Err(StepError::Inputs(list)) => {
            list.iter().map(|p| format!("{p} | {}", p.remedy)).collect::<Vec<_>>().join("\n")
        }
        Err(other) => format!("not about inputs: {other}"),
        Ok(_) => "no error".into(),
    }
}

fn jsonl_problems(source: impl Into<Vec<u8>>) -> String {
    problems(prepared(&params(DatasetFormat::Jsonl), source))
}

fn shared(path: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    if folder.is_dir() {
        return Some(std::fs::read(folder.join(path)).unwrap());
    }
    println!("skipped: ../shared is absent");
    None
}

// --- prepare: what is read ---------------------------------------------------------------------------------------

#[test]
fn items_hold_nothing_gold() {
    let rows = r#"{"qid":7,"query":"Who?","passage":"It was  Rollo.\n","answer":["Rollo",911],"level":1.50,"is_impossible":false}"#;
    let outputs = prepared(&params(DatasetFormat::Jsonl), rows).unwrap();
    let text = |name: &str| String::from_utf8(outputs[name].clone()).unwrap();
    assert_eq!(
        text("items/00000"),
        "{\"id\":\"7\",\"question\":\"Who?\",\"context\":\"It was  Rollo.\\n\",\"fields\":{\"qid\":7,\"query\":\"Who?\",\"passage\":\"It was  Rollo.\\n\",\"level\":1.50}}\n"
    );
    assert_eq!(
        text("gold/00000"),
        "{\"id\":\"7\",\"answers\":[\"Rollo\",\"911\"],\"unanswerable\":false,\"context\":\"It was  Rollo.\\n\"}\n"
    );
    assert_eq!(text("order"), "\"7\"\n");
}

#[test]
fn dotted_paths_reach_into_rows() {
    let mut params = params(DatasetFormat::Jsonl);
    params.fields = FieldMap {
        id: Some("meta.key".into()),
        question: Some("q".into()),
        answers: Some("gold.text".into()),
        group: Some("meta.who".into()),
        unanswerable: Some("meta.no".into()),
        dataset: Some("set".into()),
        context: None,
    };
    let row = r#"{"q":"Q","gold":{"text":["A"],"start":[3]},"meta":{"key":1e400,"who":12345678901234567890123,"no":0},"set":"s"}"#;
    let outputs = prepared(&params, row).unwrap();
    let item = json!({"id": "1e400", "question": "Q", "fields": {
        "q": "Q", "meta": {"key": "1e400", "who": 12345678901234567890123.0}, "set": "s"
    }});
    assert_eq!(lines(&outputs, "items/"), [item]);
    let gold = json!({
        "id": "1e400", "answers": ["A"], "unanswerable": false, "group": "12345678901234567890123", "dataset": "s"
    });
    assert_eq!(lines(&outputs, "gold/"), [gold]);
}

#[test]
fn without_an_id_it_is_a_digest_of_the_question() {
    let outputs = prepared(&params(DatasetFormat::Jsonl), r#"{"question":"Who?","answer":"x"}"#).unwrap();
    let id = blake3::hash(b"Who?").to_hex()[..32].to_owned();
    assert_eq!(lines(&outputs, "items/"), [json!({"id": id, "question": "Who?", "fields": {}})]);
}

#[test]
fn separated_values_are_split_and_flagged() {
    let mut params = params(DatasetFormat::Csv);
    params.split = Some("|".into());
    let source =
        "\u{feff}id,question,answers,unanswerable,note\r\n1,\"Who,\r\nthen?\",\"a | b||\",,x\r\n2,Q,,TRUE,\r\n";
    let outputs = prepared(&params, source).unwrap();
    assert_eq!(
        lines(&outputs, "gold/"),
        [
            json!({"id": "1", "answers": ["a", "b"], "unanswerable": false}),
            json!({"id": "2", "answers": [], "unanswerable": true})
        ]
    );
    assert_eq!(lines(&outputs, "items/")[0], json!({"id": "1", "question": "Who,\r\nthen?", "fields": {"note": "x"}}));
    params.format = DatasetFormat::Tsv;
    assert_eq!(prepared(&params, source.replace(',', "\t")).unwrap()["gold/00000"], outputs["gold/00000"]);
}

#[test]
fn a_leading_mark_crlf_blank_lines_and_a_missing_last_newline_are_no_faults() {
    let plain = prepared(
        &params(DatasetFormat::Jsonl),
        "{\"id\":1,\"question\":\"a\",\"answer\":\"b\"}\n{\"id\":2,\"question\":\"c\",\"answer\":\"d\"}\n",
    );
    let odd = "\u{feff}{\"id\":1,\"question\":\"a\",\"answer\":\"b\"}\r\n\r\n  \n{\"id\":2,\"question\":\"c\",\"answer\":\"d\"}";
    assert_eq!(prepared(&params(DatasetFormat::Jsonl), odd).unwrap(), plain.unwrap());
    let array = "\u{feff} [{\"id\":1,\"question\":\"a\",\"answer\":\"b\"} ,\r\n{\"id\":2,\"question\":\"c\",\"answer\":\"d\"}]\n";
    assert_eq!(
        prepared(&params(DatasetFormat::Json), array).unwrap(),
        prepared(&params(DatasetFormat::Jsonl), odd).unwrap()
    );
}

const SQUAD: &str = r#"{"version": "v2.0", "data": [
  {"title": "Normans", "paragraphs": [
    {"qas": [
      {"question": "Where?", "id": "b", "answers": [{"text": "France", "answer_start": 1}], "is_impossible": false},
      {"question": "Why?", "id": "a", "answers": [], "plausible_answers": [{"text": "x"}], "is_impossible": true}
    ], "context": "In \"France\"."},
    {"context": "C2", "qas": [{"question": "When?", "id": "c", "answers": []}]}
  ]}
]}"#;

#[test]
fn squad_is_read_paragraph_by_paragraph() {
    let outputs = prepared(&params(DatasetFormat::Squad), SQUAD).unwrap();
    let fields = json!({"title": "Normans"});
    assert_eq!(
        lines(&outputs, "items/"),
        [
            json!({"id": "a", "question": "Why?", "context": "In \"France\".", "fields": fields}),
            json!({"id": "b", "question": "Where?", "context": "In \"France\".", "fields": fields}),
            json!({"id": "c", "question": "When?", "context": "C2", "fields": fields}),
        ]
    );
    assert_eq!(
        lines(&outputs, "gold/"),
        [
            json!({"id": "a", "answers": [], "unanswerable": true, "context": "In \"France\".", "group": "Normans#0"}),
            json!({"id": "b", "answers": ["France"], "unanswerable": false, "context": "In \"France\".", "group": "Normans#0"}),
            json!({"id": "c", "answers": [], "unanswerable": true, "context": "C2", "group": "Normans#1"}),
        ]
    );
    assert_eq!(outputs["order"], b"\"b\"\n\"a\"\n\"c\"\n");
}

#[test]
fn triviaqa_takes_value_and_aliases() {
    let source = r#"{"Data": [{"Answer": {"Aliases": ["Sinclair Lewis", "Lewis"], "Value": "Lewis", "Type": "W"},
        "Question": "Who?", "QuestionId": "tc_1", "SearchResults": [], "QuestionSource": "s"}], "Domain": "Web"}"#;
    let outputs = prepared(&params(DatasetFormat::Triviaqa), source).unwrap();
    let gold = json!({"id": "tc_1", "answers": ["Lewis", "Sinclair Lewis"], "unanswerable": false});
    assert_eq!(lines(&outputs, "gold/"), [gold]);
    let fields = json!({"Question": "Who?", "QuestionId": "tc_1", "QuestionSource": "s"});
    assert_eq!(lines(&outputs, "items/")[0]["fields"], fields);
}

#[test]
fn gsm8k_takes_the_result_and_hides_the_working() {
    let source = r#"{"question": "2+40?", "answer": "2+40=<<2+40=42>>42\n#### 42"}"#;
    let outputs = prepared(&params(DatasetFormat::Gsm8k), source).unwrap();
    assert_eq!(lines(&outputs, "gold/")[0]["answers"], json!(["42"]));
    assert_eq!(lines(&outputs, "items/")[0]["fields"], json!({}));
}

#[test]
fn limits_take_the_first_rows_that_are_kept() {
    let row = |n: u32| {
        format!("{{\"id\":\"{n}\",\"question\":\"q\",\"answer\":\"a\",\"set\":\"{}\"}}\n", ["x", "y"][n as usize % 2])
    };
    let source: String = (0..8).map(row).collect();
    let mut params = params(DatasetFormat::Jsonl);
    params.fields.dataset = Some("set".into());
    let order = |params: &PrepareParams| {
        let order = prepared(params, source.clone()).unwrap().remove("order").unwrap();
        String::from_utf8(order).unwrap().replace(['"', '\n'], "")
    };
    params.max_items = Some(3);
    assert_eq!(order(&params), "012");
    params.conditions = vec![Condition { field: "set".into(), value: "x".into(), equals: false }];
    assert_eq!(order(&params), "135");
    params.conditions.clear();
    params.max_items = Some(5);
    params.max_items_by_label = BTreeMap::from([("x".into(), 1)]);
    assert_eq!(order(&params), "01357");
    params.max_items_by_label = BTreeMap::from([("x".into(), 0), ("y".into(), 2)]);
    assert_eq!(order(&params), "13");
    params.max_items = Some(0);
    assert_eq!(prepared(&params, source.clone()).unwrap(), Named::from([("order".into(), Vec::new())]));
}

#[test]
fn repeated_ids_are_numbered_on_request() {
    let source: String = ["a", "b", "a", "a-2", "a"]
        .map(|id| format!("{{\"id\":\"{id}\",\"question\":\"q\",\"answer\":\"a\"}}\n"))
        .concat();
    let mut params = params(DatasetFormat::Jsonl);
    params.duplicate_ids = DuplicateIds::Number;
    assert_eq!(prepared(&params, source).unwrap()["order"], b"\"a\"\n\"b\"\n\"a-2\"\n\"a-2-2\"\n\"a-3\"\n");
}

proptest! {
    /// The order of the rows enters `order` alone, each item is in exactly one part, and parts are sorted.
    #[test]
    fn reordering_rows_moves_nothing(
        ids in prop::collection::btree_set("[a-z]{1,4}", 1..40),
        parts in prop_oneof![(1u32..9).prop_map(Parts::Count), (1u32..9).prop_map(Parts::Lines)],
        seed in any::<prop::sample::Index>(),
    ) {
        let mut params = params(DatasetFormat::Jsonl);
        params.parts = parts;
        let mut rows: Vec<String> = ids.iter().map(|id| format!("{{\"id\":\"{id}\",\"question\":\"q {id}\",\"answer\":\"a\"}}\n")).collect();
        let mut one = prepared(&params, rows.concat()).unwrap();
        let at = seed.index(rows.len());
        rows.rotate_left(at);
        rows.reverse();
        let mut other = prepared(&params, rows.concat()).unwrap();
        one.remove("order");
        let order = other.remove("order").unwrap();
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(String::from_utf8(order).unwrap().lines().count(), ids.len());
        let mut seen = BTreeSet::new();
        for (name, bytes) in one.iter().filter(|(name, _)| name.starts_with("items/")) {
            let part = BTreeMap::from([(name.clone(), bytes.clone())]);
            let part: Vec<_> = lines(&part, "items/").iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
            prop_assert!(part.is_sorted());
            let gold = BTreeMap::from([(name.clone(), one[&name.replace("items", "gold")].clone())]);
            let gold: Vec<_> = lines(&gold, "items/").iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(&gold, &part);
            seen.extend(part);
        }
        prop_assert_eq!(seen, ids);
    }
}

// --- prepare: what is refused ------------------------------------------------------------------------------------

#[test]
fn every_row_fault_says_where_what_and_what_to_do() {
    let long = format!("{{\"question\":\"{}\"}}\n{{\"question\":1,\"answer\":\"b\"}}", "x".repeat(17 << 20));
    let cases: [(&[u8], &str); 22] = [
        (
            b"{\"question\":\"\xE9\",\"answer\":\"a\"}",
            "data/q:1:14: the byte 0xE9 is not UTF-8 | save the file as UTF-8",
        ),
        (b"\xFF\xFE{\0", "data/q:1:1: the byte 0xFF is not UTF-8 | the file is UTF-16: save it as UTF-8"),
        (
            b"{\"question\":\"a\0\"}",
            "data/q:1:15: a NUL byte stands in the text | remove it, or write `\\u0000` in JSON",
        ),
        (
            b"\n[1]",
            "data/q:2: the row is a list, not an object | write one JSON object a line; an array of objects is `format: json`",
        ),
        (
            b"{\"qustion\":\"a\",\"answer\":\"b\"}",
            "data/q:1: the row has no question: no field `question`, `query`, `prompt` | name it, `fields: {question: …}`; the row has `qustion`, `answer`",
        ),
        (
            b"{\"question\":[\"a\"],\"answer\":\"b\"}",
            "data/q:1:2: `question` is a list, not a text | `question.0` reaches the first of a list",
        ),
        (
            b"{\"answer\":\"b\",\"question\":{\"text\":\"a\"}}",
            "data/q:1:15: `question` is an object, not a text | a dotted path reaches inside: `question.text`",
        ),
        (
            b"{\"question\":\" \\n\",\"answer\":\"b\"}",
            "data/q:1:2: the question is empty | write it, or drop the row with `where`",
        ),
        (
            b"{\"question\":\"a\"}",
            "data/q:1: the row has no answers: no field `answers`, `answer` | name it, `fields: {answers: …}`; the row has `question`",
        ),
        (
            b"{\"question\":\"a\",\"answers\":[]}",
            "data/q:1:17: the row has no answers | write one, or say with `fields: {unanswerable: …}` which questions have none",
        ),
        (
            b"{\"question\":\"a\",\"answers\":[{}]}",
            "data/q:1:17: `answers` holds an object, not only texts | write the answers as a list of texts",
        ),
        (
            b"{\"question\":\"a\",\"answer\":true}",
            "data/q:1:17: `answer` is a truth value, not a text | write it as a text in quotes",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\",\"context\":7}",
            "data/q:1:30: `context` is a number, not a text | write it as a text in quotes",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\",\"unanswerable\":\"maybe\"}",
            "data/q:1:30: `unanswerable` is no truth value | write true or false",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\",\"id\":\"\"}",
            "data/q:1:30: the id is empty | write one; without a field for ids, the id is a digest of the question",
        ),
        (
            b"{\"id\":1,\"question\":\"a\",\"answer\":\"b\"}\n\n{\"id\":\"1\",\"question\":\"a\",\"answer\":\"b\"}",
            "data/q:3: the id `1` stands already on line 1 | give each row an id of its own, or set `duplicate_ids: number`",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\",\"question\":\"c\"}",
            "data/q:1:30: the key `question` stands twice in one object | remove one of the two",
        ),
        (
            b"{\"question\":\"\\ud800\",\"answer\":\"b\"}",
            "data/q:1:14: `\\ud800` is half a character (an unpaired surrogate) | write the character that was meant, or `\\ufffd`",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\"",
            "data/q:1:29: expected `,` or `}`, found the end | correct the JSON here",
        ),
        (
            b"{\"question\":\"a\",\"answer\":\"b\"} {}",
            "data/q:1:31: text stands after the end of the value | write one value, or one a line",
        ),
        (b"", "data/q: the dataset is empty | add rows, or remove the dataset from the config"),
        (
            long.as_bytes(),
            "data/q:1: the line is longer than 16 MiB | write one row a line; a JSON array is `format: json`\ndata/q:2:2: `question` is a number, not a text | write it as a text in quotes",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(jsonl_problems(source), expected);
    }
}

#[test]
fn the_line_at_fault_is_shown() {
    let source = format!("{{\"question\":\"{}\",\"answer\":[true]}}", "ä".repeat(200));
    let Err(StepError::Inputs(list)) = prepared(&params(DatasetFormat::Jsonl), source) else { panic!("no problem") };
    assert_eq!(list[0].source_line, Some(format!("{{\"question\":\"{}…", "ä".repeat(147))));
    assert_eq!(list[0].column, Some(216));
}

#[test]
fn twenty_problems_are_shown_at_once() {
    let shown = jsonl_problems("{}\n".repeat(50));
    assert_eq!(shown.lines().count(), 20);
    assert!(shown.lines().last().unwrap().starts_with("data/q:20: "));
}

#[test]
fn a_stated_field_that_is_missing_is_guessed_at() {
    let mut params = params(DatasetFormat::Jsonl);
    params.fields.answers = Some("team.nmae".into());
    let source = r#"{"question":"a","team":{"name":"b","size":2}}"#;
    assert_eq!(
        problems(prepared(&params, source)),
        "data/q:1: the row has no field `team.nmae` | did you mean `team.name`? the row has `team.name`, `team.size`"
    );
}

#[test]
fn conditions_that_leave_nothing_are_shown() {
    let mut params = params(DatasetFormat::Jsonl);
    params.conditions = vec![
        Condition { field: "set".into(), value: "dev".into(), equals: true },
        Condition { field: "bad".into(), value: "true".into(), equals: false },
    ];
    assert_eq!(
        problems(prepared(&params, "{\"question\":\"a\",\"answer\":\"b\"}\n".repeat(2))),
        "data/q: no row is left of 2: none meets `where` (`set` is `dev` and `bad` is not `true`) | correct `where`: \
         values are compared as texts, numbers and truth values as written"
    );
}

#[test]
fn faults_of_json_files_have_their_place() {
    let cases = [
        (
            DatasetFormat::Json,
            "{\"question\":\"a\"}",
            "data/q:1:1: expected `[`, found `{` | the rows stand in a list; one object a line is `format: jsonl`",
        ),
        (
            DatasetFormat::Json,
            "[\n  {\"question\":\"a\",\n   \"answer\":true}, 3]",
            "data/q:3:4: `answer` is a truth value, not a text | write it as a text in quotes\ndata/q:3: the row is a number, not an object | write an object with named fields",
        ),
        (
            DatasetFormat::Json,
            "[\n {\"a\": [1, 2}\n",
            "data/q:2:2: the value that begins here is not closed before the end of the file | close it, or complete the file",
        ),
        (
            DatasetFormat::Json,
            "[] x",
            "data/q:1:4: text stands after the end of the JSON | the file must hold one JSON value; one object a line is `format: jsonl`",
        ),
        (DatasetFormat::Json, "[]", "data/q: the dataset is empty | add rows, or remove the dataset from the config"),
        (
            DatasetFormat::Json,
            "[{\"question\":\"a\",\"answer\":\"b\"}",
            "data/q:1:31: the file ends where `,` or `]` should stand | is the file complete?",
        ),
        (
            DatasetFormat::Squad,
            "[]",
            "data/q:1:1: expected `{`, found `[` | the rows stand in an object; an array of objects is `format: json`",
        ),
        (
            DatasetFormat::Squad,
            "{\"version\": 1}",
            "data/q: the file has no list `data` | check `format`; a plain array of objects is `format: json`, one object a line `format: jsonl`",
        ),
        (
            DatasetFormat::Squad,
            "{\"data\": [\n{\"title\": \"t\"}]}",
            "data/q:2:1: the list `paragraphs` is missing | check `format`; the official layout is described in docs/formats.md",
        ),
        (
            DatasetFormat::Gsm8k,
            "{\"question\": \"q\", \"answer\": \"42\"}",
            "data/q:1:19: the answer has no `####` | GSM8K states the result after `####`; other files are `format: jsonl`",
        ),
        (DatasetFormat::Csv, "", "data/q: the file has no header line | begin it with the names of its columns"),
        (
            DatasetFormat::Csv,
            "id,question,id\n",
            "data/q:1:13: the header names the column `id` twice | give each column a name of its own",
        ),
        (
            DatasetFormat::Csv,
            "id,question,answer\n1,\"a\nb\",c\n2,x\n",
            "data/q:4: the row has 2 values, the header 3 columns | quote values that hold the separator, a quote or a line break",
        ),
        (
            DatasetFormat::Csv,
            "id,question,answer\n1,,c\n",
            "data/q:2:3: the question is empty | write it, or drop the row with `where`",
        ),
    ];
    for (format, source, expected) in cases {
        assert_eq!(problems(prepared(&params(format), source)), expected);
    }
    let broken = SQUAD.replace("\"question\": \"When?\"", "\"question\": null");
    assert_eq!(
        problems(prepared(&params(DatasetFormat::Squad), broken)),
        "data/q:7:32: `question` is null, not a text | write it, or drop the row with `where`"
    );
    let repeated = SQUAD.replace("\"id\": \"c\"", "\"id\": \"a\"");
    assert_eq!(
        problems(prepared(&params(DatasetFormat::Squad), repeated)),
        "data/q:7: the id `a` stands already on line 5 | give each row an id of its own, or set `duplicate_ids: number`"
    );
}

// --- build ---------------------------------------------------------------------------------------------------------

const ITEMS: &str = "{\"id\":\"a\",\"question\":\"Who?\",\"context\":\"Rollo.\",\"fields\":{\"lang\":\"en\"}}\n\
                     {\"id\":\"b\",\"question\":\"When?\",\"fields\":{\"lang\":\"de\"}}\n";

fn build_params(frame: Frame) -> BuildParams {
    BuildParams {
        provider: ProviderIdentity("test".into()),
        model: "m".into(),
        revision: None,
        decoding: Decoding { temperature: Some("0.70".parse().unwrap()), ..Decoding::default() },
        extra: BTreeMap::from([("n".into(), json!({"x": 1}))]),
        frame,
        replay: None,
        draw_salt: Some("s".into()),
    }
}

fn built(params: &BuildParams, files: &[(&str, &str)]) -> Result<Vec<u8>, StepError> {
    let blobs = Blobs::default().with("items", "prepare tickets", ITEMS);
    let blobs = files.iter().fold(blobs, |blobs, (name, text)| blobs.with(name, &format!("prompts/{name}"), *text));
    let mut outputs = Named::new();
    build::run(params, &blobs.inputs(), &mut outputs)?;
    Ok(outputs.remove("requests").unwrap())
}

/// Renders each request's messages as `s: …`, `u: …`, `a: …`.
fn asked(blob: &[u8]) -> Vec<String> {
    RequestsReader::new(blob)
        .unwrap()
        .map(|line| {
            let messages = line.unwrap().request.messages;
            messages
                .iter()
                .map(|m| format!("{}: {}", &m.role.as_str()[..1], m.content))
                .collect::<Vec<_>>()
                .join("\n--\n")
        })
        .collect()
}

#[test]
fn frames_stand_around_questions() {
    let files = [("system", " \u{1c}Be brief.\n"), ("instructions", "\nDo it. \n"), ("prefill", "Answer: \n")];
    assert_eq!(
        asked(&built(&build_params(Frame::OpenBook), &files).unwrap()),
        [
            "s: Be brief.\n--\nu: Do it.\n\nCONTEXT:\nRollo.\n\nQUESTION:\nWho?\n--\na: Answer: ",
            "s: Be brief.\n--\nu: Do it.\n\nQUESTION:\nWhen?\n--\na: Answer: ",
        ]
    );
    assert_eq!(
        asked(&built(&build_params(Frame::ClosedBook), &files[1..2]).unwrap())[0],
        "u: Do it.\n\nQUESTION:\nWho?"
    );
    let bare = asked(&built(&build_params(Frame::OpenBook), &[]).unwrap());
    assert!(bare[0].starts_with("u: Answer the question from the passage"), "{}", bare[0]);
    assert!(bare[1].starts_with("u: Answer the question in as few"), "{}", bare[1]);
}

#[test]
fn examples_are_turns_made_as_the_question_is() {
    let shots = "{\"question\":\"Eins?\",\"lang\":\"de\",\"answer\":\"1\"}\n\n{\"question\":\"Two?\",\"lang\":\"en\",\"answers\":[2]}\n";
    let files = [("user", "[{{lang}}] {{ question }}\n"), ("examples", shots), ("system", "S")];
    let blob = built(&build_params(Frame::ClosedBook), &files).unwrap();
    assert_eq!(asked(&blob)[1], "s: S\n--\nu: [de] Eins?\n--\na: 1\n--\nu: [en] Two?\n--\na: 2\n--\nu: [de] When?");
    // What all requests share is written once.
    let text = String::from_utf8(blob).unwrap();
    assert_eq!(text.matches("Eins?").count(), 1);
    assert!(text.lines().nth(1).unwrap().ends_with(r#""messages":[{"role":"user","content":"[en] Who?"}]}"#), "{text}");
}

#[test]
fn a_whole_conversation_replaces_the_rest() {
    let lines = "{\"role\":\"system\",\"content\":\"\\\\{{ S\"}\n{\"role\":\"user\",\"content\":\"{{question}}\"}\n{\"role\":\"assistant\",\"content\":\"Hm {{lang}}\"}";
    let array = format!("[{}]", lines.replace('\n', ",\n"));
    let expected = ["s: {{ S\n--\nu: Who?\n--\na: Hm en", "s: {{ S\n--\nu: When?\n--\na: Hm de"];
    for text in [lines, &array] {
        let blob = built(&build_params(Frame::OpenBook), &[("messages", text), ("system", "ignored")]).unwrap();
        assert_eq!(asked(&blob), expected);
    }
}

#[test]
fn a_request_blob_gives_back_what_was_asked() {
    let params = build_params(Frame::OpenBook);
    let blob = built(&params, &[("system", "S")]).unwrap();
    let requests: Vec<_> = RequestsReader::new(blob.as_slice()).unwrap().map(Result::unwrap).collect();
    assert_eq!(requests.iter().map(|r| r.item.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    for line in &requests {
        assert_eq!(line.key, line.request.key());
        assert_eq!((&line.request.provider, &line.request.model), (&params.provider, &params.model));
        assert_eq!((&line.request.decoding, &line.request.extra), (&params.decoding, &params.extra));
        assert_eq!(line.request.draw_salt, params.draw_salt);
        assert_eq!(line.request.messages[0].role, Role::System);
    }
    assert_ne!(requests[0].key, requests[1].key);
    let header = "{\"format\":\"exp-requests/1\",\"request\":{\"provider\":\"test\",\"model\":\"m\",\"decoding\":{\"temperature\":";
    assert!(blob.starts_with(header.as_bytes()), "{}", String::from_utf8_lossy(&blob));
}

#[test]
fn prompt_faults_say_where_what_and_what_to_do() {
    let cases: [(&[(&str, &str)], &str); 14] = [
        (
            &[("user", "{{question}}\n in {{land}}: {{context}}")],
            "prompts/user:2:5: `{{land}}` is no field of item `a` | did you mean `lang`? the item has `id`, `question`, `context`, `lang`\nprompts/user:2:15: `{{context}}` is no field of item `b` | the item has `id`, `question`, `lang`",
        ),
        (
            &[("user", "{{question"), ("system", "  \n")],
            "prompts/system: the system prompt is empty | write it, or `system: null` for no system message\nprompts/user:1:1: `{{` is not closed | two braces that mean no field are written `\\{{`",
        ),
        (
            &[("user", "What?")],
            "prompts/user: the template names no field: every item would be asked the same | write `{{question}}` where the question belongs",
        ),
        (
            &[("user", "a\nb\0{{id}}")],
            "prompts/user:2:2: a NUL byte stands in the text | remove it, or write `\\u0000` in JSON",
        ),
        (
            &[("examples", "{\"question\":\"q\"}\n")],
            "prompts/examples:1: the example has no `answer` | the example has `question`",
        ),
        (
            &[("examples", "\n{\"answer\":\"q\"}\n")],
            "prompts/examples:2: the example has no `question` | the example has `answer`",
        ),
        (
            &[("user", "{{lang}} {{question}}"), ("examples", "{\"question\":\"q\",\"answer\":\"q\"}\n")],
            "prompts/examples:1: the example has no `lang`, which the template names | the example has `question`, `answer`",
        ),
        (
            &[("examples", "")],
            "prompts/examples: there are no examples in it | write one JSON object a line, or remove `examples`",
        ),
        (
            &[("examples", "{\"question\":\"q\",\"question\":1}")],
            "prompts/examples:1:17: the key `question` stands twice in one object | remove one of the two",
        ),
        (
            &[("messages", "{\"role\":\"tool\",\"content\":\"x\"}")],
            "prompts/messages:1:2: `tool` is no role | write `system`, `user` or `assistant`",
        ),
        (
            &[("messages", "{\"role\":\"user\",\"content\":[]}")],
            "prompts/messages:1:16: `content` is a list, not a text | write one text; images and tools are out of scope",
        ),
        (
            &[("messages", "{\"role\":\"user\",\"name\":\"x\"}")],
            "prompts/messages:1:16: a message has no field `name` | a message has `role` and `content`",
        ),
        (
            &[("messages", "{\"role\":\"user\",\"content\":\"x\"}")],
            "prompts/messages: no message names a field: every item would be asked the same | write `{{question}}` where the question belongs",
        ),
        (
            &[("messages", "[\n{\"role\":\"user\",\"content\":\"{{foo}}\"}]")],
            "prompts/messages:2:16: `{{foo}}` is no field of item `a` | the item has `id`, `question`, `context`, `lang`",
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(problems(built(&build_params(Frame::OpenBook), files)), expected);
    }
}

fn mapping(format: RecordingFormat) -> RecordingMapping {
    RecordingMapping {
        format,
        key: Some("q".into()),
        join: "question".into(),
        text: Some("out.text".into()),
        join_lists: None,
        conditions: Vec::new(),
        input_tokens: None,
        output_tokens: Some("tokens".into()),
    }
}

fn replay(mapping: RecordingMapping, recordings: &str) -> Result<Vec<u8>, StepError> {
    let mut params = build_params(Frame::ClosedBook);
    params.replay = Some(ReplayParams { dataset: "d".into(), arm: "control".into(), mapping });
    built(&params, &[("recordings", recordings)])
}

/// Renders the recorded answers of both items.
fn recorded(blob: Result<Vec<u8>, StepError>) -> Vec<Vec<(String, Option<u64>)>> {
    let blob = blob.unwrap_or_else(|error| panic!("{}", problems::<()>(Err(error))));
    RequestsReader::new(blob.as_slice())
        .unwrap()
        .map(|line| {
            let line = line.unwrap();
            assert_eq!(line.key, line.request.key());
            let recording = line.request.recording.unwrap();
            assert_eq!(
                (recording.dataset.as_str(), recording.arm.as_str(), &recording.item),
                ("d", "control", &line.item)
            );
            recording.answers.into_iter().map(|answer| (answer.text, answer.usage.output_tokens)).collect()
        })
        .collect()
}

#[test]
fn recordings_are_joined_on_a_field() {
    let rows = "{\"q\":\"Who?\",\"out\":{\"text\":\"Rollo \\ud800\"},\"tokens\":3,\"sys\":\"x\"}\n\
                {\"q\":\"Else?\",\"out\":{\"text\":\"none\"},\"tokens\":null,\"sys\":\"x\"}\n\
                {\"q\":\"Who?\",\"out\":{\"text\":4.0},\"tokens\":null,\"sys\":\"x\"}\n\
                {\"q\":\"When?\",\"out\":{\"text\":\"left out\"},\"tokens\":null,\"sys\":\"y\"}\n";
    let mut mapping_x = mapping(RecordingFormat::Jsonl);
    mapping_x.conditions = vec![Condition { field: "sys".into(), value: "x".into(), equals: true }];
    let expected = vec![vec![("Rollo \u{fffd}".to_owned(), Some(3)), ("4.0".to_owned(), None)], vec![]];
    assert_eq!(recorded(replay(mapping_x.clone(), rows)), expected);
    mapping_x.format = RecordingFormat::Json;
    let array = format!("[{}]", rows.trim_end().replace('\n', ","));
    assert_eq!(recorded(replay(mapping_x, &array)), expected);
    let mut table = mapping(RecordingFormat::Csv);
    table.text = Some("out".into());
    assert_eq!(
        recorded(replay(table, "q,out,tokens\nWhen?,\"a\nb\",12\n")),
        [vec![], vec![("a\nb".to_owned(), Some(12))]]
    );
}

#[test]
fn a_map_of_recordings_has_one_text_a_draw() {
    let mut map = mapping(RecordingFormat::JsonMap);
    (map.join, map.key, map.text, map.output_tokens) = ("id".into(), None, None, None);
    let text = "{\"z\": \"passed over\", \"a\": [\"one\", \"two\"],\n \"b\": \"three\"}";
    let draws = |texts: &[&str]| texts.iter().map(|text| ((*text).to_owned(), None)).collect::<Vec<_>>();
    assert_eq!(recorded(replay(map.clone(), text)), [draws(&["one", "two"]), draws(&["three"])]);
    map.join_lists = Some("; ".into());
    assert_eq!(recorded(replay(map.clone(), text)), [draws(&["one; two"]), draws(&["three"])]);
    assert_eq!(
        problems(replay(map, "{\"a\": \"x\",\n \"a\": \"y\"}")),
        "prompts/recordings:2:2: the key `a` stands twice in one object | remove one of the two"
    );
}

#[test]
fn recording_faults_say_where_what_and_what_to_do() {
    let cases = [
        (
            "{\"q\":\"Who?\",\"out\":{\"text\":[\"a\",\"b\"]},\"tokens\":1}",
            "prompts/recordings:1:20: the recorded answer is a list, not a text | set `join_lists` to the text that stands between the parts",
        ),
        (
            "\n{\"q\":\"Who?\",\"out\":{\"text\":null},\"tokens\":1}",
            "prompts/recordings:2:20: the recorded answer is null, not a text | leave such rows out with `where`; their items are then counted as missing",
        ),
        (
            "{\"q\":\"Who?\",\"out\":{\"txt\":\"x\"},\"tokens\":1}",
            "prompts/recordings:1: the recording has no field `out.text` | did you mean `out.txt`? the recording has `out.txt`",
        ),
        (
            "{\"out\":{\"text\":\"x\"},\"tokens\":1}",
            "prompts/recordings:1: the recording has no field `q` | the recording has `out`, `tokens`",
        ),
        (
            "{\"q\":\"Who?\",\"out\":{\"text\":\"x\"},\"tokens\":1.5}",
            "prompts/recordings:1:32: `tokens` is no number of tokens | write a whole number, or null",
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(problems(replay(mapping(RecordingFormat::Jsonl), rows)), expected);
    }
    let mut other = mapping(RecordingFormat::Jsonl);
    other.join = "lnag".into();
    assert_eq!(
        problems(replay(other, "")),
        "prompts/recordings: item `a` has no field `lnag` to join on | join on a field of the items: `id`, `question`, `context`, `lang`"
    );
}

// --- infer ---------------------------------------------------------------------------------------------------------

#[test]
fn draws_are_wanted_and_collected_in_order() {
    let blob = built(&build_params(Frame::OpenBook), &[]).unwrap();
    let wanted = infer::demand(blob.as_slice(), None, &InferParams { generation: 2, draws: 2 }).unwrap().wanted;
    let order: Vec<_> = wanted.iter().map(|w| (w.item.as_str(), w.address.number, w.address.generation)).collect();
    assert_eq!(order, [("a", 0, 2), ("a", 1, 2), ("b", 0, 2), ("b", 1, 2)]);
    assert!(wanted.iter().all(|w| w.address.request == w.request.key()));
    let answer = Answer {
        status: AnswerStatus::Stop,
        text: "x\n".into(),
        reasoning: None,
        finish_reason: None,
        served_model: None,
        usage: Usage::default(),
    };
    let first = wanted[0].address;
    let settled = |address: &exp::request::DrawAddress| match address {
        address if *address == first => Some(Ok(answer.clone())),
        address if address.number == 1 => Some(Err(FailureCode::NoRecording)),
        _ => None,
    };
    let (blob, failures) = infer::collect(&wanted, settled).unwrap();
    assert_eq!(failures, 3);
    assert_eq!(
        String::from_utf8(blob.clone()).unwrap(),
        "{\"item\":\"a\",\"n\":0,\"answer\":{\"status\":\"stop\",\"text\":\"x\\n\",\"usage\":{}}}\n\
         {\"item\":\"a\",\"n\":1,\"failure\":\"no_recording\"}\n\
         {\"item\":\"b\",\"n\":0,\"failure\":\"not_sent\"}\n\
         {\"item\":\"b\",\"n\":1,\"failure\":\"no_recording\"}\n"
    );
    let lines: Vec<_> = AnswersReader::new(blob.as_slice()).map(Result::unwrap).collect();
    assert_eq!(
        (lines.len(), lines[0].answer.as_ref(), lines[3].failure),
        (4, Some(&answer), Some(FailureCode::NoRecording))
    );
}

// --- real files ----------------------------------------------------------------------------------------------------

#[test]
fn squad_v2_as_published() {
    let Some(bytes) = shared("data/squad_v2/dev-v2.0.part.json") else { return };
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    let questions: Vec<&Value> = file["data"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|article| article["paragraphs"].as_array().unwrap())
        .flat_map(|paragraph| paragraph["qas"].as_array().unwrap())
        .collect();
    let mut params = params(DatasetFormat::Squad);
    params.parts = Parts::Lines(400);
    let outputs = prepared(&params, bytes).unwrap();
    let gold = lines(&outputs, "gold/");
    assert_eq!(gold.len(), 2828);
    assert_eq!(outputs.keys().filter(|name| name.starts_with("items/")).count(), 8);
    let count = |list: &[Value]| list.iter().filter(|line| line["unanswerable"] == true).count();
    assert_eq!(count(&gold), questions.iter().filter(|q| q["is_impossible"] == true).count());
    let order: Vec<String> = std::str::from_utf8(&outputs["order"])
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(order, questions.iter().map(|q| q["id"].as_str().unwrap()).collect::<Vec<_>>());
    let by_id: BTreeMap<&str, &Value> = gold.iter().map(|line| (line["id"].as_str().unwrap(), line)).collect();
    for question in questions {
        let texts: Vec<&Value> = question["answers"].as_array().unwrap().iter().map(|a| &a["text"]).collect();
        assert_eq!(by_id[question["id"].as_str().unwrap()]["answers"], json!(texts));
    }
}

#[test]
fn nq_open_and_gsm8k_as_published() {
    let Some(bytes) = shared("data/nq_open/NQ-open.dev.jsonl") else { return };
    let outputs = prepared(&params(DatasetFormat::NqOpen), bytes).unwrap();
    assert_eq!(lines(&outputs, "gold/").len(), 3610);
    let Some(bytes) = shared("data/gsm8k/test.jsonl") else { return };
    let gold = lines(&prepared(&params(DatasetFormat::Gsm8k), bytes).unwrap(), "gold/");
    assert_eq!(gold.len(), 1319);
    assert!(gold.iter().all(|line| line["answers"][0].as_str().unwrap().replace(',', "").parse::<f64>().is_ok()));
}

#[test]
fn evouna_keeps_the_proper_rows() {
    let Some(bytes) = shared("data/evouna/NQ.json") else { return };
    let mut params = params(DatasetFormat::Json);
    params.fields.answers = Some("golden_answer".into());
    params.conditions = vec![Condition { field: "improper".into(), value: "true".into(), equals: false }];
    let shown = problems(prepared(&params, bytes.clone()));
    assert!(shown.contains(" stands already on line "), "{shown}");
    params.duplicate_ids = DuplicateIds::Number;
    let items = lines(&prepared(&params, bytes).unwrap(), "items/");
    assert_eq!(items.len(), 3020);
    assert_eq!(items.iter().filter(|item| item["id"].as_str().unwrap().ends_with("-2")).count(), 1);
    assert!(items.iter().all(|item| item["fields"].get("golden_answer").is_none()));
}

#[test]
fn openqa_recordings_join_on_the_question() {
    let (Some(questions), Some(recordings)) =
        (shared("data/nq_open/NQ-open.dev.jsonl"), shared("data/openqa_eval/NQ301_text-davinci-003_fewshot-n64.jsonl"))
    else {
        return;
    };
    let items = prepared(&params(DatasetFormat::NqOpen), questions).unwrap().remove("items/00000").unwrap();
    let mut params = build_params(Frame::ClosedBook);
    let mapping = RecordingMapping {
        format: RecordingFormat::Jsonl,
        key: Some("question".into()),
        join: "question".into(),
        text: Some("prediction".into()),
        join_lists: Some(", ".into()),
        conditions: Vec::new(),
        input_tokens: None,
        output_tokens: None,
    };
    params.replay = Some(ReplayParams { dataset: "nq".into(), arm: "control".into(), mapping });
    let blobs = Blobs::default().with("items", "prepare nq", items).with("recordings", "r.jsonl", recordings);
    let mut outputs = Named::new();
    build::run(&params, &blobs.inputs(), &mut outputs).unwrap();
    let texts: Vec<Vec<String>> = RequestsReader::new(outputs["requests"].as_slice())
        .unwrap()
        .map(|line| line.unwrap().request.recording.unwrap().answers.into_iter().map(|answer| answer.text).collect())
        .collect();
    assert_eq!(texts.len(), 3610);
    assert_eq!(texts.iter().filter(|texts| texts.len() == 1).count(), 301);
    assert_eq!(texts.iter().filter(|texts| texts.is_empty()).count(), 3309);
    assert!(texts.iter().any(|texts| texts == &["Bobby Scott, Bob Russell"]));
}

/// Counts the items that have exactly one recorded answer.
fn answered(format: DatasetFormat, source: Vec<u8>, mapping: RecordingMapping, recordings: Vec<u8>) -> usize {
    let items = prepared(&params(format), source).unwrap().remove("items/00000").unwrap();
    let mut params = build_params(Frame::OpenBook);
    params.replay = Some(ReplayParams { dataset: "d".into(), arm: "control".into(), mapping });
    let blobs = Blobs::default().with("items", "items", items).with("recordings", "r", recordings);
    let mut outputs = Named::new();
    build::run(&params, &blobs.inputs(), &mut outputs).unwrap();
    let requests = RequestsReader::new(outputs["requests"].as_slice()).unwrap();
    requests.filter(|line| line.as_ref().unwrap().request.recording.as_ref().unwrap().answers.len() == 1).count()
}

#[test]
fn published_answers_find_every_question() {
    let Some(squad) = shared("data/squad_v2/dev-v2.0.part.json") else { return };
    for name in ["empty", "noise_ascii", "perfect", "random_spans", "real_bert_single", "real_nlnet_single"] {
        let mut map = mapping(RecordingFormat::JsonMap);
        (map.join, map.key, map.text, map.output_tokens) = ("id".into(), None, None, None);
        let predictions = shared(&format!("golden/squad/{name}.pred.json")).unwrap();
        assert_eq!(answered(DatasetFormat::Squad, squad.clone(), map, predictions), 2828, "{name}");
    }
    let solutions = shared("data/gsm8k/example_model_solutions.jsonl").unwrap();
    let mut nested = mapping(RecordingFormat::Jsonl);
    (nested.key, nested.text) = (Some("question".into()), Some("6b_verification.solution".into()));
    nested.output_tokens = None;
    let questions = shared("data/gsm8k/test.jsonl").unwrap();
    assert_eq!(answered(DatasetFormat::Gsm8k, questions, nested, solutions), 1319);
}
