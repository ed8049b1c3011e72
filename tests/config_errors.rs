//! What the config's errors look like, letter by letter, and what configs of both languages come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use camino::Utf8Path;
use exp::config::{
    Config, ConfigFile, Diagnostic, FileKind, Files, Generation, Loaded, Multiplicity, Override, Parts, ProviderKind,
    ProviderMode, ScorerSettings, Severity, Source, Support, json_schema, load,
};
use exp::digest::Decimal;

/// Is a config with nothing wrong.
const BASE: &str = "\
models: [{name: base, provider: lexical}]
datasets:
  qa:
    path: data/qa.jsonl
    fields: {id: id, question: question, answers: answers}
    scorers: [qa]
control: prompts/control.txt
prompt_sets:
  brief: prompts/brief.txt
decoding: {temperature: 0}
";

/// Is a config with one error of every layer.
const SEVERAL: &str = "\
models: [{name: base, provider: lexical, colour: red}]
datasets:
  qa:
    path: data/gone.jsonl
    fields: {id: id, question: question, answers: answers}
    scorers: [qa, {exact: {trim: maybe}}]
control: prompts/control.txt
control: prompts/brief.txt
prompt_sets:
  brief: prompts/empty.txt
decoding: {temperature: .nan, top_p: 0.9}
sweep: {models: [bse]}
";

/// Is a file system of a few files.
#[derive(Default)]
struct Map(BTreeMap<String, Vec<u8>>);

impl Map {
    fn new() -> Self {
        let mut map = Self::default();
        for (path, bytes) in [
            ("data/qa.jsonl", &b"{\"id\": 1}\n"[..]),
            ("data/empty.jsonl", b""),
            ("data/qa.parquet", b"PAR1"),
            ("prompts/control.txt", b"Answer.\n"),
            ("prompts/brief.txt", b"Answer briefly.\n"),
            ("prompts/empty.txt", b" \n\t\n"),
            ("prompts/latin1.txt", b"caf\xe9\n"),
            ("prompts/broken.txt", b"Read.\nAsk {{question}.\n"),
            ("prompts/user.txt", b"Q: {{question}}\n"),
            ("data/prepared/open_book.jsonl", b"{}\n"),
            ("data/prepared/closed_book.jsonl", b"{}\n"),
            ("config/prompts/control_system.txt", b"c\n"),
            ("config/prompts/treatment_system.txt", b"t\n"),
            ("config/prompts/operational_only_system.md", b"o\n"),
        ] {
            map.0.insert(path.to_owned(), bytes.to_vec());
        }
        map
    }
}

impl Files for Map {
    fn kind(&self, path: &Utf8Path) -> FileKind {
        match (path.as_str(), self.0.get(path.as_str())) {
            (_, Some(bytes)) => FileKind::File(bytes.len() as u64),
            ("prompts", _) => FileKind::Directory,
            ("prompts/pipe", _) => FileKind::Other,
            _ => FileKind::Missing,
        }
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, String> {
        self.0.get(path.as_str()).cloned().ok_or_else(|| "no such file".to_owned())
    }
}

fn loaded(bytes: &[u8], files: &Map) -> Loaded {
    let env = |name: &str| match name {
        "HOME" => Some("/home/me".to_owned()),
        "DATA" => Some("data".to_owned()),
        _ => None,
    };
    let file = ConfigFile { path: Utf8Path::new("eval.yaml"), bytes, root: Utf8Path::new("."), env: &env };
    load(&file, files)
}

fn report_bytes(bytes: &[u8]) -> String {
    let loaded = loaded(bytes, &Map::new());
    let is_refused = loaded.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(loaded.config.is_none(), is_refused);
    loaded.render(false)
}

fn report(text: &str) -> String {
    report_bytes(text.as_bytes())
}

/// Compares reports; white space at the ends of lines does not count.
fn same(actual: &str, expected: &str) {
    let trimmed: Vec<_> = actual.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n"), expected.trim_matches('\n'), "\n{actual}\n");
}

#[test]
fn an_unknown_key_at_the_top() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"outcome: {length: wrong}
"
        )),
        r"
error: unknown key `outcome` in the config
  --> eval.yaml:11:1
   |
11 | outcome: {length: wrong}
   | ^^^^^^^ did you mean `outcomes`?
   |
   = help: known keys: version, experiments_dir, store, shared, views, trusted_keys, providers, models, datasets, control, prompt_sets, task_instructions, decoding, draws, sweep, trials, outcomes, analysis, reuse, budget, max_failed, parts_per_dataset, lines_per_part, max_concurrent_jobs, max_concurrent_requests
",
    );
}

#[test]
fn an_unknown_key_below() {
    same(
        &report(&BASE.replace("temperature: 0", "temprature: 0")),
        r"
error: unknown key `temprature` in `decoding`
  --> eval.yaml:10:12
   |
10 | decoding: {temprature: 0}
   |            ^^^^^^^^^^ did you mean `temperature`?
   |
   = help: known keys: temperature, top_p, top_k, min_p, max_output_tokens, frequency_penalty, presence_penalty, effort, stop, seed
",
    );
}

#[test]
fn a_key_in_the_wrong_place() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"temperature: 0.7
"
        )),
        r"
error: unknown key `temperature` in the config
  --> eval.yaml:11:1
   |
11 | temperature: 0.7
   | ^^^^^^^^^^^ `temperature` belongs under `decoding`
   |
   = help: known keys: version, experiments_dir, store, shared, views, trusted_keys, providers, models, datasets, control, prompt_sets, task_instructions, decoding, draws, sweep, trials, outcomes, analysis, reuse, budget, max_failed, parts_per_dataset, lines_per_part, max_concurrent_jobs, max_concurrent_requests
",
    );
}

#[test]
fn a_duplicate_key() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"control: prompts/brief.txt
"
        )),
        r"
error: the key `control` stands twice (lines 7 and 11)
  --> eval.yaml:11:1
   |
 7 | control: prompts/control.txt
   | ------- here first
...
11 | control: prompts/brief.txt
   | ^^^^^^^ here again
   |
   = help: keep one of the two
",
    );
}

#[test]
fn a_merge_key() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"outcomes:
  <<: {length: wrong}
"
        )),
        r"
error: merge keys (`<<`) are not supported
  --> eval.yaml:12:3
   |
12 |   <<: {length: wrong}
   |   ^^
   |
   = help: write the merged keys out
",
    );
}

#[test]
fn nan() {
    same(
        &report(&BASE.replace("temperature: 0", "temperature: .nan")),
        r"
error: `temperature` takes a finite number
  --> eval.yaml:10:25
   |
10 | decoding: {temperature: .nan}
   |                         ^^^^ this is none
   |
   = help: take the key out to leave the value unset
",
    );
}

#[test]
fn infinity() {
    same(
        &report(&BASE.replace("temperature: 0", "temperature: -.inf")),
        r"
error: `temperature` takes a finite number
  --> eval.yaml:10:25
   |
10 | decoding: {temperature: -.inf}
   |                         ^^^^^ this is none
   |
   = help: take the key out to leave the value unset
",
    );
}

#[test]
fn a_number_out_of_range() {
    same(
        &report(&BASE.replace("temperature: 0", "temperature: 1e400")),
        r"
error: `temperature` takes a number that can be kept exactly
  --> eval.yaml:10:25
   |
10 | decoding: {temperature: 1e400}
   |                         ^^^^^ too many digits, or out of range
   |
   = help: write at most 18 significant digits, between 1e-300 and 1e300
",
    );
}

#[test]
fn a_number_too_big() {
    same(
        &report(&BASE.replace("temperature: 0", "top_k: 99999999999999999999")),
        r"
error: `top_k` is too big
  --> eval.yaml:10:19
   |
10 | decoding: {top_k: 99999999999999999999}
   |                   ^^^^^^^^^^^^^^^^^^^^ the most is 4294967295
",
    );
}

#[test]
fn a_number_below_the_least() {
    same(
        &report(&BASE.replace("temperature: 0", "temperature: -0.5")),
        r"
error: `temperature` takes a number of at least 0
  --> eval.yaml:10:25
   |
10 | decoding: {temperature: -0.5}
   |                         ^^^^
",
    );
}

#[test]
fn a_number_in_quotes() {
    same(
        &report(&BASE.replace("temperature: 0", r#"temperature: "0.7""#)),
        r#"
error: `temperature` takes a number
  --> eval.yaml:10:25
   |
10 | decoding: {temperature: "0.7"}
   |                         ^^^^^ this is text in quotes
   |
   = help: write 0.7, without quotes
"#,
    );
}

#[test]
fn a_number_with_underscores() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"max_failed: 1_000
"
        )),
        r"
error: `max_failed` takes a number
  --> eval.yaml:11:13
   |
11 | max_failed: 1_000
   |             ^^^^^ this is text in YAML 1.2
   |
   = help: write 1000
",
    );
}

#[test]
fn a_number_with_a_radix() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"max_failed: 0o17
"
        )),
        r"
error: `max_failed` takes a decimal number
  --> eval.yaml:11:13
   |
11 | max_failed: 0o17
   |             ^^^^
   |
   = help: write 15
",
    );
}

#[test]
fn a_number_with_a_zero_before_it() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"max_failed: 017
"
        )),
        r"
error: `max_failed` begins with a zero
  --> eval.yaml:11:13
   |
11 | max_failed: 017
   |             ^^^ octal in YAML 1.1
   |
   = help: write the number without leading zeros
",
    );
}

#[test]
fn a_fraction_where_none_may_be() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"draws: 1.5
"
        )),
        r"
error: `draws` takes a whole number of at least 1
  --> eval.yaml:11:8
   |
11 | draws: 1.5
   |        ^^^ this has a fraction or an exponent
",
    );
}

#[test]
fn a_word_for_a_truth_value() {
    same(
        &report(&format!(
            "{BASE}{}",
            r#"providers:
  own: {kind: openai, base_url: "http://127.0.0.1:8000/v1", allow_http: yes}
"#
        )),
        r#"
error: `allow_http` takes `true` or `false`
  --> eval.yaml:12:73
   |
12 |   own: {kind: openai, base_url: "http://127.0.0.1:8000/v1", allow_http: yes}
   |                                                                         ^^^ `yes` is text in YAML 1.2
   |
   = help: write `true`, without quotes
"#,
    );
}

#[test]
fn a_tab() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"outcomes:
	length: wrong
"
        )),
        r"
error: a tab stands in the indentation
  --> eval.yaml:12:1
   |
12 |     length: wrong
   | ^^^^
   |
   = help: indent with spaces
",
    );
}

#[test]
fn two_documents() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"---
draws: 2
"
        )),
        r"
error: a second document begins here, and a config is one document
  --> eval.yaml:11:1
   |
11 | ---
   | ^^^
   |
   = help: take out the line `---`, or keep the second part in a file of its own
",
    );
}

#[test]
fn a_tag() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"draws: !!python/object/apply:os.system [ls]
"
        )),
        r"
error: the tag `!!python/object/apply:os.system` is not allowed: a config holds texts, numbers, lists and mappings
  --> eval.yaml:11:8
   |
11 | draws: !!python/object/apply:os.system [ls]
   |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: take the tag out; put a text in quotes

error: `draws` takes a whole number of at least 1
  --> eval.yaml:11:8
   |
11 | draws: !!python/object/apply:os.system [ls]
   |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this is a list
",
    );
}

#[test]
fn a_key_that_is_no_text() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"? [a, b]
: 1
"
        )),
        r"
error: a key is a text, not a list
  --> eval.yaml:11:3
   |
11 | ? [a, b]
   |   ^
   |
   = help: write the key as plain text before the colon
",
    );
}

#[test]
fn a_bracket_that_does_not_close() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"outcomes: {length: wrong
budget: {max_usd: 1}
"
        )),
        r"
error: this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
  --> eval.yaml:12:7
   |
12 | budget: {max_usd: 1}
   |       ^
   |
   = help: look at this line and the one before it: quotes, brackets, indentation
",
    );
}

#[test]
fn bytes_that_are_no_text() {
    same(
        &report_bytes(b"control: prompts/c.txt\nmodels: [caf\xe9]\n"),
        r"
error: the config is not valid UTF-8
 --> eval.yaml:2:13
  |
2 | models: [caf�]
  |             ^
  |
  = help: save it as UTF-8
",
    );
}

#[test]
fn a_nul() {
    same(
        &report_bytes(b"control: a\ndraws: 1\0\n"),
        r"
error: the config holds a NUL character
 --> eval.yaml:2:9
  |
2 | draws: 1␀
  |         ^
  |
  = help: take it out; is this a text file?
",
    );
}

#[test]
fn an_empty_file() {
    same(
        &report(""),
        r"
error: the config is empty
 --> eval.yaml:1:1
  |
1 |
  | ^
  |
  = help: `exp init` writes a project that builds at once
",
    );
}

#[test]
fn a_file_of_comments() {
    same(
        &report("# nothing yet\n"),
        r"
error: the config is empty
 --> eval.yaml:1:1
  |
1 | # nothing yet
  | ^
  |
  = help: `exp init` writes a project that builds at once
",
    );
}

#[test]
fn an_empty_mapping() {
    same(
        &report("{}"),
        r"
error: the config is empty
 --> eval.yaml:1:1
  |
1 | {}
  | ^
  |
  = help: `exp init` writes a project that builds at once
",
    );
}

#[test]
fn a_file_that_is_no_mapping() {
    same(
        &report("- control: a\n"),
        r"
error: the config takes a mapping
 --> eval.yaml:1:1
  |
1 | - control: a
  | ^ this is a list
",
    );
}

#[test]
fn a_missing_prompt_file() {
    same(
        &report(&BASE.replace("prompts/brief.txt", "prompts/breif.txt")),
        r"
error: `prompts/breif.txt` does not exist
 --> eval.yaml:9:10
  |
9 |   brief: prompts/breif.txt
  |          ^^^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `.`, the project's root
",
    );
}

#[test]
fn an_empty_prompt_file() {
    same(
        &report(&BASE.replace("prompts/brief.txt", "prompts/empty.txt")),
        r"
error: `prompts/empty.txt` is empty
 --> eval.yaml:9:10
  |
9 |   brief: prompts/empty.txt
  |          ^^^^^^^^^^^^^^^^^
  |
  = help: write the text into the file, or take the key out
",
    );
}

#[test]
fn a_prompt_file_in_another_encoding() {
    same(
        &report(&BASE.replace("prompts/brief.txt", "prompts/latin1.txt")),
        r"
error: `prompts/latin1.txt` is not valid UTF-8
 --> eval.yaml:9:10
  |
9 |   brief: prompts/latin1.txt
  |          ^^^^^^^^^^^^^^^^^^
  |
  = help: save it as UTF-8
",
    );
}

#[test]
fn a_directory_for_a_prompt() {
    same(
        &report(&BASE.replace("prompts/brief.txt", "prompts")),
        r"
error: `prompts` is a directory
 --> eval.yaml:9:10
  |
9 |   brief: prompts
  |          ^^^^^^^
  |
  = help: name a file in it
",
    );
}

#[test]
fn a_pipe_for_a_prompt() {
    same(
        &report(&BASE.replace("prompts/brief.txt", "prompts/pipe")),
        r"
error: `prompts/pipe` is not a regular file
 --> eval.yaml:9:10
  |
9 |   brief: prompts/pipe
  |          ^^^^^^^^^^^^
  |
  = help: name a regular file
",
    );
}

#[test]
fn a_template_that_does_not_close() {
    same(
        &report(&BASE.replace(
            "    scorers: [qa]",
            r"    user: prompts/broken.txt
    scorers: [qa]",
        )),
        r"
error: prompts/broken.txt:2:5: `{{` without `}}`
 --> eval.yaml:6:11
  |
6 |     user: prompts/broken.txt
  |           ^^^^^^^^^^^^^^^^^^
  |
  = help: write `{{field}}`
",
    );
}

#[test]
fn a_missing_dataset() {
    same(
        &report(&BASE.replace("data/qa.jsonl", "data/none.jsonl")),
        r"
error: `data/none.jsonl` does not exist
 --> eval.yaml:4:11
  |
4 |     path: data/none.jsonl
  |           ^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `.`, the project's root
",
    );
}

#[test]
fn an_empty_dataset_file() {
    same(
        &report(&BASE.replace("data/qa.jsonl", "data/empty.jsonl")),
        r"
error: `data/empty.jsonl` is empty
 --> eval.yaml:4:11
  |
4 |     path: data/empty.jsonl
  |           ^^^^^^^^^^^^^^^^
  |
  = help: write the data into the file, or name another
",
    );
}

#[test]
fn a_dataset_without_fields() {
    same(
        &report(&BASE.replace(
            r"    fields: {id: id, question: question, answers: answers}
",
            "",
        )),
        r"
error: the dataset `qa` does not say which field of a row is what
 --> eval.yaml:3:3
  |
3 |   qa:
  |   ^^
  |
  = help: write `fields: {id: …, question: …, answers: …}`; a SQuAD, NQ-open, TriviaQA or GSM8K file needs `format:` instead
",
    );
}

#[test]
fn a_dataset_without_a_question() {
    same(
        &report(&BASE.replace("question: question, ", "")),
        r"
error: the dataset `qa` names neither a question nor a `user` template
 --> eval.yaml:3:3
  |
3 |   qa:
  |   ^^
  |
  = help: write `fields: {question: FIELD}`, or `user: path/to/template.txt`
",
    );
}

#[test]
fn a_dataset_of_unknown_layout() {
    same(
        &report(&BASE.replace("data/qa.jsonl", "data/qa.parquet")),
        r"
error: the layout of `data/qa.parquet` cannot be told from its name
 --> eval.yaml:4:11
  |
4 |     path: data/qa.parquet
  |           ^^^^^^^^^^^^^^^
  |
  = help: write `format:` (jsonl, csv, tsv, json, squad, nq_open, triviaqa or gsm8k)
",
    );
}

#[test]
fn an_address_without_a_sum() {
    same(
        &report(&BASE.replace("path: data/qa.jsonl", "url: https://example.org/qa.jsonl")),
        r"
error: an address without `sha256` may give something else tomorrow
 --> eval.yaml:4:5
  |
4 |     url: https://example.org/qa.jsonl
  |     ^^^
  |
  = help: write `sha256:` with the 64 hexadecimal digits of `sha256sum FILE`
",
    );
}

#[test]
fn an_unknown_scorer() {
    same(
        &report(&BASE.replace("[qa]", "[includs]")),
        r"
error: an entry of `scorers` does not know `includs`
 --> eval.yaml:6:15
  |
6 |     scorers: [includs]
  |               ^^^^^^^ did you mean `includes`?
  |
  = help: known: squad, qa, includes, exact, numeric, regex, choice, json
",
    );
}

#[test]
fn an_unknown_scorer_with_settings() {
    same(
        &report(&BASE.replace("[qa]", "[{choices: {options: [a, b]}}]")),
        r"
error: unknown scorer `choices`
 --> eval.yaml:6:16
  |
6 |     scorers: [{choices: {options: [a, b]}}]
  |                ^^^^^^^ did you mean `choice`?
  |
  = help: known scorers: squad, qa, includes, exact, numeric, regex, choice, json, labels, judge, judge_pairwise, external
",
    );
}

#[test]
fn an_unknown_scorer_setting() {
    same(
        &report(&BASE.replace("[qa]", "[{numeric: {pick: last, tolerence: 0.1}}]")),
        r"
error: unknown key `tolerence` in `numeric`
 --> eval.yaml:6:38
  |
6 |     scorers: [{numeric: {pick: last, tolerence: 0.1}}]
  |                                      ^^^^^^^^^ did you mean `tolerance`?
  |
  = help: known keys: name, pick, tolerance, relative_tolerance
",
    );
}

#[test]
fn two_scorers_of_one_name() {
    same(
        &report(&BASE.replace("[qa]", "[{includes: {words: false}}, includes]")),
        r"
error: two scorers are called `includes`, and their metrics would be too
 --> eval.yaml:6:43
  |
6 |     scorers: [{includes: {words: false}}, includes]
  |               - the first                 ^^^^^^^^
  |
  = help: name one: `includes: {name: …}`
",
    );
}

#[test]
fn options_that_cannot_be_told_apart() {
    same(
        &report(&BASE.replace("[qa]", "[{choice: {options: [a, b, 'A ']}}]")),
        r"
error: an option is empty, or there twice
 --> eval.yaml:6:41
  |
6 |     scorers: [{choice: {options: [a, b, 'A ']}}]
  |                                         ^^^^
  |
  = help: give each option a text of its own; case does not tell them apart
",
    );
}

#[test]
fn a_choice_without_a_choice() {
    same(
        &report(&BASE.replace("[qa]", "[choice]")),
        r"
error: the scorer `choice` needs the options
 --> eval.yaml:6:15
  |
6 |     scorers: [choice]
  |               ^^^^^^
  |
  = help: write `choice: {options: [first, second]}`, or name a field
",
    );
    same(
        &report(&BASE.replace("[qa]", "[{choice: {options: [a]}}]")),
        r"
error: there are 1 options; each has a letter, and there is one to choose
 --> eval.yaml:6:34
  |
6 |     scorers: [{choice: {options: [a]}}]
  |                                  ^
  |
  = help: list 2 to 26 of them
",
    );
}

#[test]
fn an_unknown_setting_of_json() {
    same(
        &report(&BASE.replace("[qa]", "[{json: {compare: some}}]")),
        r"
error: `compare` does not know `some`
 --> eval.yaml:6:32
  |
6 |     scorers: [{json: {compare: some}}]
  |                                ^^^^
  |
  = help: known: equal, subset
",
    );
}

#[test]
fn a_pattern_that_is_none() {
    same(
        &report(&BASE.replace("[qa]", "[{regex: {pattern: '(?<=a)b'}}]")),
        r"
error: this is not a regular expression: look-around, including look-ahead and look-behind, is not supported
 --> eval.yaml:6:33
  |
6 |     scorers: [{regex: {pattern: '(?<=a)b'}}]
  |                                 ^^^^^^^^^
  |
  = help: look-around and back-references are not supported; in YAML, single quotes keep backslashes
",
    );
}

#[test]
fn a_decoding_field_that_the_model_does_not_take() {
    same(
        &report(&BASE.replace("temperature: 0", "temperature: 0, top_k: 40")),
        r"
error: the model `base` (lexical) does not take `top_k`
  --> eval.yaml:10:28
   |
10 | decoding: {temperature: 0, top_k: 40}
   |                            ^^^^^
   |
   = help: take it out, or write `decoding: {top_k: unset}` on the model, or `sweep: {when_unsupported: collapse}` (or `skip`)
",
    );
}

#[test]
fn a_model_that_needs_a_limit() {
    same(
        &report(&BASE.replace("provider: lexical", "provider: anthropic, model: claude-haiku-4-5")),
        r"
error: anthropic refuses requests without `max_output_tokens`
 --> eval.yaml:1:17
  |
1 | models: [{name: base, provider: anthropic, model: claude-haiku-4-5}]
  |                 ^^^^
  |
  = help: write `decoding: {max_output_tokens: 1024}`, say
",
    );
}

#[test]
fn an_unknown_name_in_a_sweep() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"sweep: {models: [bsae], prompt_sets: [brief, long]}
"
        )),
        r"
error: no model is called `bsae`
  --> eval.yaml:11:18
   |
11 | sweep: {models: [bsae], prompt_sets: [brief, long]}
   |                  ^^^^ did you mean `base`?
   |
   = help: known: base

error: no prompt set is called `long`
  --> eval.yaml:11:46
   |
11 | sweep: {models: [bsae], prompt_sets: [brief, long]}
   |                                              ^^^^
   |
   = help: known: brief
",
    );
}

#[test]
fn trials_beside_a_sweep() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"sweep: {models: [base]}
trials: [{model: base, prompt_set: brief}]
"
        )),
        r"
error: `trials` lists exactly what is run, and `sweep` says something else
  --> eval.yaml:11:1
   |
11 | sweep: {models: [base]}
   | ^^^^^
12 | trials: [{model: base, prompt_set: brief}]
   | ------ the list
   |
   = help: keep one of the two
",
    );
}

#[test]
fn no_control() {
    same(
        &report(&BASE.replace(
            r"control: prompts/control.txt
",
            "",
        )),
        r"
error: the prompt set `brief` has nothing to be compared against
 --> eval.yaml:8:3
  |
8 |   brief: prompts/brief.txt
  |   ^^^^^
  |
  = help: write `control: path/to/system.txt` at the top level, or `control: null` for no system message
",
    );
}

#[test]
fn a_name_with_a_bar() {
    same(
        &report(&BASE.replace("  brief: prompts", r#"  "a|b": prompts"#)),
        r#"
error: a name holds `|`, which separates the fields of a `custom_id`
 --> eval.yaml:9:3
  |
9 |   "a|b": prompts/brief.txt
  |   ^^^^^
  |
  = help: choose another name
"#,
    );
}

#[test]
fn an_unknown_provider() {
    same(
        &report(&BASE.replace("provider: lexical", "provider: lexcal")),
        r"
error: no provider is called `lexcal`
 --> eval.yaml:1:33
  |
1 | models: [{name: base, provider: lexcal}]
  |                                 ^^^^^^ did you mean `lexical`?
  |
  = help: known: lexical, replay, openai, anthropic, ollama, fireworks, llama_cpp
",
    );
}

#[test]
fn a_key_of_another_kind() {
    same(
        &report(&BASE.replace(
            "models: [{name: base, provider: lexical}]",
            r#"providers: {me: {kind: lexical, base_url: "https://example.org"}}
models: [{name: base, provider: me}]"#,
        )),
        r#"
error: `base_url` means nothing to a provider of the kind `lexical`
 --> eval.yaml:1:33
  |
1 | providers: {me: {kind: lexical, base_url: "https://example.org"}}
  |                                 ^^^^^^^^
  |
  = help: take it out
"#,
    );
}

#[test]
fn replay_without_recordings() {
    same(
        &report(&BASE.replace("provider: lexical", "provider: replay")),
        r"
error: the model `base` has no recordings for `qa`, arm `brief`
 --> eval.yaml:1:17
  |
1 | models: [{name: base, provider: replay}]
  |                 ^
  |
  = help: write `recordings: {qa: {brief: {path: …}}}` on the model

error: the model `base` has no recordings for `qa`, arm `control`
 --> eval.yaml:1:17
  |
1 | models: [{name: base, provider: replay}]
  |                 ^
  |
  = help: write `recordings: {qa: {control: {path: …}}}` on the model
",
    );
}

#[test]
fn recordings_of_nobody() {
    same(
        &report(&BASE.replace(
            "provider: lexical",
            "provider: replay, recordings: {aq: {treatmnt: {path: data/qa.jsonl, fields: {text: a}}}}",
        )),
        r"
error: no dataset is called `aq`
 --> eval.yaml:1:54
  |
1 | models: [{name: base, provider: replay, recordings: {aq: {treatmnt: {path: data/qa.jsonl, fields: {text: a}}}}}]
  |                                                      ^^ did you mean `qa`?
  |
  = help: known: qa

error: no arm is called `treatmnt`
 --> eval.yaml:1:59
  |
1 | models: [{name: base, provider: replay, recordings: {aq: {treatmnt: {path: data/qa.jsonl, fields: {text: a}}}}}]
  |                                                           ^^^^^^^^ did you mean `treatment`?
  |
  = help: known: control, treatment, brief
",
    );
}

#[test]
fn a_literal_key() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"providers:
  own: {kind: openai, api_key: sk-proj-0123456789abcdef}  # was sk-old-0123456789abcdef
"
        )),
        r"
error: unknown key `api_key` in `own`
  --> eval.yaml:12:23
   |
12 |   own: {kind: openai, api_key: ************************}  # was ***********************
   |                       ^^^^^^^ did you mean `api_key_env`?
   |
   = help: known keys: kind, base_url, identity, api_key_env, api, anthropic_version, prompt_caching, response_format, timeouts, max_attempts, first_wait, max_wait, max_retry_time, requests_per_minute, tokens_per_minute, max_concurrent_requests, extra_body, headers, query, not_identity, mode, batch, account, allow_http, ca_file, corpus, threshold

error: a literal key stands in the config, and configs are kept and shared
  --> eval.yaml:12:32
   |
12 |   own: {kind: openai, api_key: ************************}  # was ***********************
   |                                ^^^^^^^^^^^^^^^^^^^^^^^^ not shown
   |
   = help: put the key into an environment variable, name that with `api_key_env: NAME`, and replace the key
",
    );
}

#[test]
fn a_key_where_its_name_belongs() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"providers:
  own: {kind: openai, api_key_env: sk-proj-0123456789abcdef}
"
        )),
        r"
error: a literal key stands in the config, and configs are kept and shared
  --> eval.yaml:12:36
   |
12 |   own: {kind: openai, api_key_env: ************************}
   |                                    ^^^^^^^^^^^^^^^^^^^^^^^^ not shown
   |
   = help: put the key into an environment variable, name that with `api_key_env: NAME`, and replace the key

error: `api_key_env` takes the name of an environment variable: letters, digits and `_`
  --> eval.yaml:12:36
   |
12 |   own: {kind: openai, api_key_env: ************************}
   |                                    ^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: write `api_key_env: OPENAI_API_KEY`, and set that variable to the key
",
    );
}

#[test]
fn a_key_in_a_header() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"providers:
  own: {kind: openai, headers: {Authorization: Bearer abcdefghijklmnop}}
"
        )),
        r"
error: a literal key stands in the config, and configs are kept and shared
  --> eval.yaml:12:48
   |
12 |   own: {kind: openai, headers: {Authorization: ***********************}}
   |                                                ^^^^^^^^^^^^^^^^^^^^^^^ not shown
   |
   = help: put the key into an environment variable, name that with `api_key_env: NAME`, and replace the key
",
    );
}

#[test]
fn an_address_with_a_password() {
    same(
        &report(&format!(
            "{BASE}{}",
            r#"providers:
  own: {kind: openai, base_url: "https://me:hunter2@example.org/v1"}
"#
        )),
        r#"
error: an address holds a user or a password, and configs are kept and shared
  --> eval.yaml:12:33
   |
12 |   own: {kind: openai, base_url: "https://**********@example.org/v1"}
   |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: name the key with `api_key_env`, and take it out of the address
"#,
    );
}

#[test]
fn an_address_with_a_query() {
    same(
        &report(&format!(
            "{BASE}{}",
            r#"providers:
  own: {kind: openai, base_url: "https://example.org/v1?version=2"}
"#
        )),
        r#"
error: an address has a query, which would be lost when the path of a call is added
  --> eval.yaml:12:33
   |
12 |   own: {kind: openai, base_url: "https://example.org/v1?version=2"}
   |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: write it under `query: {name: value}`
"#,
    );
}

#[test]
fn plain_http_to_another_machine() {
    same(
        &report(&format!(
            "{BASE}{}",
            r#"providers:
  own: {kind: openai, base_url: "http://example.org/v1"}
"#
        )),
        r#"
error: plain http to another machine shows prompts and key to everyone on the way
  --> eval.yaml:12:33
   |
12 |   own: {kind: openai, base_url: "http://example.org/v1"}
   |                                 ^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: use https, or write `allow_http: true` on the provider
"#,
    );
}

#[test]
fn tools() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"tools: [{name: search}]
"
        )),
        r"
error: `tools` is not supported: agents, tool execution and conversations that a model continues are out of scope
  --> eval.yaml:11:1
   |
11 | tools: [{name: search}]
   | ^^^^^
   |
   = help: a recorded conversation can be asked with `messages: FILE` on an arm
",
    );
}

#[test]
fn another_version() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"version: 2
"
        )),
        r"
error: `version` takes 1
  --> eval.yaml:11:10
   |
11 | version: 2
   |          ^
",
    );
}

#[test]
fn two_ways_to_divide() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"parts_per_dataset: 6
lines_per_part: 100
"
        )),
        r"
error: `parts_per_dataset` and `lines_per_part` both say how datasets are divided
  --> eval.yaml:12:1
   |
11 | parts_per_dataset: 6
   | ----------------- the other
12 | lines_per_part: 100
   | ^^^^^^^^^^^^^^
   |
   = help: keep one of the two
",
    );
}

#[test]
fn a_span_of_time_without_a_unit() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"reuse: {max_gap_between_arms: {limit: 7}}
"
        )),
        r"
error: a span of time is a whole number with `s`, `m`, `h` or `d`
  --> eval.yaml:11:39
   |
11 | reuse: {max_gap_between_arms: {limit: 7}}
   |                                       ^
   |
   = help: write `7d`, say
",
    );
}

#[test]
fn a_metric_of_no_dataset() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"analysis: {primary: [aq.em]}
"
        )),
        r"
error: `aq.em` is not `dataset.metric` of a dataset of this config
  --> eval.yaml:11:22
   |
11 | analysis: {primary: [aq.em]}
   |                      ^^^^^ did you mean `qa`?
   |
   = help: datasets: qa
",
    );
}

#[test]
fn a_power_of_one_and_a_field_named_twice() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"analysis: {power: 1, subgroups: [era, era]}
"
        )),
        r"
error: a power lies between 0 and 1, both excluded
  --> eval.yaml:11:19
   |
11 | analysis: {power: 1, subgroups: [era, era]}
   |                   ^
   |
   = help: write 0.8, say

error: `era` is named twice
  --> eval.yaml:11:33
   |
11 | analysis: {power: 1, subgroups: [era, era]}
   |                                 ^
   |
   = help: name each field once
",
    );
}

#[test]
fn both_spellings_of_one_thing() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"temps: [0.0, 0.7]
"
        )),
        r"
error: `temps` and `decoding.temperature` say the same thing
  --> eval.yaml:11:1
   |
10 | decoding: {temperature: 0}
   |            ----------- the other
11 | temps: [0.0, 0.7]
   | ^^^^^
   |
   = help: keep one of the two

note: the predecessor's defaults apply to what is not written: `top_p: 1.0`, `top_k: 50`, `max_new_tokens: 1024`
  --> eval.yaml:11:1
   |
11 | temps: [0.0, 0.7]
   | ^^^^^
",
    );
}

#[test]
fn an_unknown_strategy() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"unsupported: {strategy: nli}
"
        )),
        r"
error: `strategy` does not know `nli`
  --> eval.yaml:11:25
   |
11 | unsupported: {strategy: nli}
   |                         ^^^
   |
   = help: known: baseline, overlap
",
    );
}

#[test]
fn an_unknown_backend() {
    same(
        &report(&format!(
            "{BASE}{}",
            r"backend: vertex
model_id: a/b
"
        )),
        r"
error: no backend is called `vertex`
  --> eval.yaml:11:10
   |
11 | backend: vertex
   |          ^^^^^^
   |
   = help: known: fireworks, local, alt

note: the predecessor's defaults apply to what is not written: `top_p: 1.0`, `top_k: 50`, `max_new_tokens: 1024`
  --> eval.yaml:12:1
   |
12 | model_id: a/b
   | ^^^^^^^^
",
    );
}

#[test]
fn a_variable_that_is_not_set() {
    same(
        &report("model_id: m\nbackend: local\nlocal_engine: ollama\npaths: {prepared_dir: $NOWHERE/prepared}\n"),
        r"
note: without `prompt_sets`, the predecessor's pair applies: `config/prompts/control_system.txt` and `config/prompts/treatment_system.txt`
 --> eval.yaml:1:1
  |
1 | model_id: m
  | ^^^^^^^^

note: the predecessor's defaults apply to what is not written: `top_p: 1.0`, `top_k: 50`, `max_new_tokens: 1024`
 --> eval.yaml:1:1
  |
1 | model_id: m
  | ^^^^^^^^

error: the environment variable `NOWHERE` is not set
 --> eval.yaml:4:23
  |
4 | paths: {prepared_dir: $NOWHERE/prepared}
  |                       ^^^^^^^^^^^^^^^^^
  |
  = help: set it, or write the path out
",
    );
}

#[test]
fn a_model_key_misspelt() {
    same(
        &report(&BASE.replace("provider: lexical", "provider: lexical, decoding: {topk: 1}")),
        r"
error: unknown key `topk` in `decoding`
 --> eval.yaml:1:53
  |
1 | models: [{name: base, provider: lexical, decoding: {topk: 1}}]
  |                                                     ^^^^ did you mean `top_k`?
  |
  = help: known keys: temperature, top_p, top_k, min_p, max_output_tokens, frequency_penalty, presence_penalty, effort, stop, seed
",
    );
}

#[test]
fn several_errors_at_once() {
    same(
        &report(SEVERAL),
        r"
error: unknown key `colour` in an entry of `models`
 --> eval.yaml:1:42
  |
1 | models: [{name: base, provider: lexical, colour: red}]
  |                                          ^^^^^^
  |
  = help: known keys: name, provider, model, revision, price, decoding, takes, sends_as, num_ctx, max_context, response_format, extra_body, recordings

error: `data/gone.jsonl` does not exist
 --> eval.yaml:4:11
  |
4 |     path: data/gone.jsonl
  |           ^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `.`, the project's root

error: `trim` takes `true` or `false`
 --> eval.yaml:6:34
  |
6 |     scorers: [qa, {exact: {trim: maybe}}]
  |                                  ^^^^^ this is text

error: the key `control` stands twice (lines 7 and 8)
 --> eval.yaml:8:1
  |
7 | control: prompts/control.txt
  | ------- here first
8 | control: prompts/brief.txt
  | ^^^^^^^ here again
  |
  = help: keep one of the two

error: `prompts/empty.txt` is empty
  --> eval.yaml:10:10
   |
10 |   brief: prompts/empty.txt
   |          ^^^^^^^^^^^^^^^^^
   |
   = help: write the text into the file, or take the key out

error: `temperature` takes a finite number
  --> eval.yaml:11:25
   |
11 | decoding: {temperature: .nan, top_p: 0.9}
   |                         ^^^^ this is none
   |
   = help: take the key out to leave the value unset

error: no model is called `bse`
  --> eval.yaml:12:18
   |
12 | sweep: {models: [bse]}
   |                  ^^^ did you mean `base`?
   |
   = help: known: base
",
    );
}

/// A name for a key may be the key itself, whatever it looks like: it is nowhere in the report.
#[test]
fn no_report_shows_a_secret() {
    for (secret, text) in [
        ("correct-horse-battery", "providers: {own: {kind: openai, api_key_env: correct-horse-battery}}\n"),
        ("correcthorsebattery", "providers: {own: {kind: openai, headers: {x-api-key: correcthorsebattery}}}\n"),
        ("hunter2", "providers: {own: {kind: openai, base_url: 'ftp://me:hunter2@example.org'}}\n"),
        ("sk-0123456789abcdefgh", "control: sk-0123456789abcdefgh\n"),
        ("sk-0123456789abcdefgh", "sk-0123456789abcdefgh: 1\n"),
        ("sk-0123456789abcdefgh", "decoding: {effort: &a sk-0123456789abcdefgh, tmp: *a}\n"),
        ("sk-0123456789abcdefgh", "draws: [1, 2 # sk-0123456789abcdefgh\n"),
    ] {
        let report = report(text);
        assert!(!report.contains(secret), "{report}");
        assert!(report.contains("error"), "{text}");
    }
}

#[test]
fn bombs_are_one_error_and_soon() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.extend([format!("a{n}: &a{n} [{aliases}]\n")]);
    }
    let keys = (0..24_000).fold(String::new(), |text, n| text + &format!("k{n}: 1\n"));
    for (text, expected) in [
        (bomb, "error: the config has more than 50000 values"),
        ("[".repeat(100_000), "error: the config is nested more than 64 levels deep"),
        ("a: {".repeat(60_000), "error: the config is nested more than 64 levels deep"),
        (" ".repeat(2 << 20), "error: the config has 2097152 bytes, and the most is 1048576"),
        (keys, "error: the config has no `datasets`"),
    ] {
        let start = std::time::Instant::now();
        let loaded = loaded(text.as_bytes(), &Map::new());
        // A bomb that goes off takes minutes; the bound leaves room for a busy machine.
        assert!(start.elapsed().as_secs_f64() < 10.0, "{:?}", start.elapsed());
        assert!(loaded.config.is_none() && loaded.diagnostics.len() <= 101);
        let first = &loaded.diagnostics[..2.min(loaded.diagnostics.len())];
        let texts: Vec<_> = first.iter().map(|found| format!("error: {}", found.message)).collect();
        assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:?}");
    }
}

fn usable(text: &str) -> (Config, Vec<Diagnostic>) {
    usable_with(text, &Map::new())
}

fn usable_with(text: &str, files: &Map) -> (Config, Vec<Diagnostic>) {
    let loaded = loaded(text.as_bytes(), files);
    let report = loaded.render(false);
    (loaded.config.unwrap_or_else(|| panic!("{report}")), loaded.diagnostics)
}

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Writes trials as `model set name/temperature/top_p/top_k/closed-open/draws`.
fn trials(config: &Config) -> Vec<String> {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let one = |trial: &exp::config::TrialConfig| {
        let point = &trial.decoding;
        let decoding = &point.decoding;
        let limits = match (point.max_output_tokens_closed, point.max_output_tokens_open) {
            (Some(closed), Some(open)) => format!("{closed}-{open}"),
            _ => text(decoding.max_output_tokens.map(|count| count.to_string())),
        };
        format!(
            "{} {} {}/{}/{}/{}/{limits}/{}",
            trial.model,
            trial.prompt_set,
            text(point.name.clone()),
            text(decoding.temperature.map(|number| number.to_string())),
            text(decoding.top_p.map(|number| number.to_string())),
            text(decoding.top_k.map(|number| number.to_string())),
            point.draws
        )
    };
    config.trials.iter().map(one).collect()
}

#[test]
fn a_good_config_has_no_findings() {
    let (config, found) = usable(BASE);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(trials(&config), ["base brief -/0/-/-/-/1"]);
    assert_eq!(config.store_dir, "store");
    assert_eq!(config.parts, Parts::Lines(2000));
    assert_eq!(config.analysis.multiplicity, Multiplicity::Holm);
}

/// A BOM, other line ends, comments, the order of keys and the way of writing a number change nothing but places.
#[test]
fn writing_changes_nothing() {
    let (config, _) = usable(BASE);
    let others = [
        format!("\u{feff}{BASE}"),
        BASE.replace('\n', "\r\n"),
        format!("# words\n{BASE}"),
        BASE.replace("temperature: 0", "temperature: 0.00"),
        BASE.replace("path: data", "path: ./data"),
        format!("decoding: {{temperature: -0}}\n{}", BASE.replace("decoding: {temperature: 0}\n", "")),
    ];
    for other in others {
        let (other, found) = usable(&other);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(other.trials, config.trials);
        let path = |config: &Config| match &config.datasets["qa"].source {
            Source::File(file) => file.path.clone(),
            Source::Url { url, .. } => url.into(),
        };
        assert_eq!(path(&other), path(&config));
        assert_eq!(other.datasets["qa"].scorers, config.datasets["qa"].scorers);
    }
}

/// Is nearly everything that the language has.
const FULL: &str = "\
version: 1
experiments_dir: runs
store: ../store
views: copy
providers:
  reader: {kind: lexical, threshold: 0.30}
  house:
    kind: openai
    base_url: http://127.0.0.1:8000/v1/
    identity: house llama 3.1 8B q8
    mode: batch
    extra_body: {response_format: {type: json_object}, user: me, top_n: 1}
    headers: {x-route: eu}
    query: {api-version: 2026-01-01}
    not_identity: [user, X-Route]
models:
  - {name: reader, provider: reader, revision: 1.10}
  - {name: mini, provider: openai, model: gpt-4.1-mini-2025-04-14, price: {input: 0.40, cached_input: 0.10, cache_write: 0.45, output: 1.60, batch: 0.5, long_prompt: {above: 200000, input: 0.80, output: 2.40}, as_of: 2026-11-23}}
  - {name: opus, provider: anthropic, model: claude-opus-4-7, decoding: {effort: low, temperature: unset, max_output_tokens: 4096}}
  - {name: llama, provider: house, decoding: {top_k: 20, stop: [a, b]}}
  - name: recorded
    provider: replay
    takes: [temperature, max_output_tokens]
    recordings:
      tickets:
        control: {path: data/qa.jsonl, fields: {key: q.text, text: a, input_tokens: u.in, output_tokens: u.out}, join: text, join_lists: '; ', where: {system: x, ok: {not: false}, note: null}}
        treatment: {path: data/map.json}
        fewshot: {path: data/qa.csv, fields: {text: a}}
decoding: {temperature: 0, max_output_tokens: 300}
draws: 2
datasets:
  tickets:
    path: data/qa.csv
    fields: {id: id, answers: team, context: a.b}
    group: customer
    where: {lang: de, n: 1.0, improper: {not: true}}
    split: ' / '
    duplicate_ids: number
    max_items: 0
    book: open
    user: prompts/user.txt
    instructions: prompts/brief.txt
    answer: {extract: '(?im)^team:\\s*(.+)$', pick: first, if_absent: missing}
    scorers:
      - squad
      - qa: {support: overlap, threshold: 0.0}
      - numeric: {pick: first, tolerance: 0.010, name: first_number}
      - numeric:
      - regex: {pattern: '^{{answer}}\\b', full: true}
      - choice: {options: q.choices, gold: number}
      - json: {compare: subset, paths: [a.b], ignore_case: true}
    max_output_tokens: 50
control: null
prompt_sets:
  concise: prompts/brief.txt
  fewshot: {treatment: {system: prompts/control.txt, examples: data/qa.jsonl, prefill: prompts/brief.txt}}
  same: {treatment: {system: null, draw_salt: again}, control: null}
task_instructions: {open_book: prompts/control.txt}
sweep:
  models: all
  prompt_sets: [concise, fewshot]
  decoding: [{name: t0, temperature: 0}, {name: t07, temperature: 0.70, draws: 3}]
  when_unsupported: collapse
outcomes: {length: as_is, refusal: missing, content_filter: wrong, empty: missing, no_answer: wrong}
analysis: {primary: [tickets.squad_em], alpha: 0.01, multiplicity: bh, margins: {tickets.em: 0.02}, bootstrap_samples: 100, permutation_samples: 0, seed: 7, wilcoxon_zeros: pratt, subgroups: [q.lang, era], power: 0.9, targets: [0.1, 0.05, 0.1]}
reuse: {generation: 2, same_served_model: refuse, max_gap_between_arms: {limit: 7d, then: warn}}
budget: {max_usd: 5, confirm_above_usd: 1.50, unknown_price: allow}
max_failed: 3
lines_per_part: 64
max_concurrent_jobs: 4
max_concurrent_requests: 16
";

fn full_files() -> Map {
    let mut files = Map::new();
    files.0.insert("data/qa.csv".into(), b"id\n1\n".to_vec());
    files.0.insert("data/map.json".into(), b"{}".to_vec());
    files
}

#[test]
fn the_whole_language_is_read() {
    let (config, found) = usable_with(FULL, &full_files());
    assert!(found.iter().all(|found| found.severity == Severity::Note), "{found:?}");
    assert_eq!(
        trials(&config),
        [
            "reader concise t0/0/-/-/300/2",
            "reader concise t07/0.7/-/-/300/3",
            "reader fewshot t0/0/-/-/300/2",
            "reader fewshot t07/0.7/-/-/300/3",
            "mini concise t0/0/-/-/300/2",
            "mini concise t07/0.7/-/-/300/3",
            "mini fewshot t0/0/-/-/300/2",
            "mini fewshot t07/0.7/-/-/300/3",
            "opus concise -/-/-/-/4096/3",
            "opus fewshot -/-/-/-/4096/3",
            "llama concise t0/0/-/20/300/2",
            "llama concise t07/0.7/-/20/300/3",
            "llama fewshot t0/0/-/20/300/2",
            "llama fewshot t07/0.7/-/20/300/3",
            "recorded concise t0/0/-/-/300/2",
            "recorded concise t07/0.7/-/-/300/3",
            "recorded fewshot t0/0/-/-/300/2",
            "recorded fewshot t07/0.7/-/-/300/3",
        ]
    );
    let house = &config.providers["house"];
    assert_eq!(house.base_url.as_deref(), Some("http://127.0.0.1:8000/v1"));
    assert_eq!((house.kind, house.mode, &house.api_key_env), (ProviderKind::OpenAi, ProviderMode::Batch, &None));
    assert_eq!(house.extra_body["response_format"], serde_json::json!({"type": "json_object"}));
    assert_eq!(house.query["api-version"], "2026-01-01");
    assert_eq!(config.providers["openai"].api_key_env.as_deref(), Some("OPENAI_API_KEY"));
    assert!(config.models["llama"].batch_pricing && !config.models["mini"].batch_pricing);
    assert_eq!(config.models["reader"].revision.as_deref(), Some("1.10"));
    let price = config.models["mini"].price.unwrap();
    assert_eq!((price.input, price.batch), (number("0.4"), Some(number("0.5"))));
    assert_eq!(price.cache_write, Some(number("0.45")));
    let long = price.long_prompt.unwrap();
    assert_eq!((long.above, long.input, long.output), (200_000, number("0.8"), number("2.4")));
    assert_eq!(config.models["mini"].price_as_of.as_deref(), Some("2026-11-23"));
    assert_eq!(config.models["opus"].decoding["temperature"], Override::Unset);
    let arms = &config.models["recorded"].recordings["tickets"];
    assert_eq!(arms.keys().collect::<Vec<_>>(), ["concise", "control", "fewshot", "same"]);
    let control = &arms["control"].mapping;
    assert_eq!((control.key.as_deref(), control.join.as_str()), (Some("q.text"), "text"));
    let conditions: Vec<_> = control.conditions.iter().map(|c| (&*c.field, &*c.value, c.equals)).collect();
    assert_eq!(conditions, [("system", "x", true), ("ok", "false", false), ("note", "null", true)]);
    assert_eq!(arms["concise"].mapping.key, None);
    assert_eq!(arms["fewshot"].mapping.key.as_deref(), Some("id"));
    let tickets = &config.datasets["tickets"];
    assert_eq!((tickets.max_items, tickets.open, tickets.split.as_deref()), (Some(0), Some(true), Some(" / ")));
    assert_eq!(tickets.fields.group.as_deref(), Some("customer"));
    assert_eq!(tickets.conditions[1].value, "1.0");
    assert_eq!(tickets.instructions_closed.as_ref().unwrap().written, "prompts/brief.txt");
    let names: Vec<_> = tickets.scorers.iter().map(|scorer| scorer.name.as_str()).collect();
    assert_eq!(names, ["squad", "qa", "first_number", "numeric", "regex", "choice", "json"]);
    let zero = Decimal::ZERO;
    let qa = ScorerSettings::Qa { support: Support::Overlap, threshold: zero, min_token_overlap: number("0.6") };
    assert_eq!(tickets.scorers[1].settings, qa);
    assert!(config.analysis.cluster);
    assert_eq!(config.analysis.wilcoxon_zeros, exp::config::ZeroRule::Pratt);
    assert_eq!(config.analysis.subgroups, ["era", "q.lang"]);
    assert_eq!(
        (config.analysis.power, &config.analysis.targets[..]),
        (number("0.9"), &[number("0.05"), number("0.1")][..])
    );
    assert_eq!(config.prompt_sets["same"].treatment.draw_salt.as_deref(), Some("again"));
    assert_eq!(config.prompt_sets["concise"].control, exp::config::ArmConfig::default());
    assert_eq!((config.generation, config.max_failed, config.parts), (Generation::of_both(2), 3, Parts::Lines(64)));
    assert_eq!(config.reuse.max_gap_between_arms.unwrap().seconds, 604_800);
    assert_eq!(config.max_usd, Some(number("5")));
}

#[test]
fn unsupported_fields_can_be_skipped_or_collapsed() {
    let points =
        "sweep: {decoding: [{temperature: 0}, {top_k: 40, draws: 4}, {top_p: unset}], when_unsupported: WHEN}\n";
    let with = |when: &str| format!("{BASE}{}", points.replace("WHEN", when));
    let (skipped, found) = usable(&with("skip"));
    assert_eq!(trials(&skipped), ["base brief -/0/-/-/-/1"]);
    assert!(found.iter().any(|found| found.message.contains("left out")));
    let (collapsed, _) = usable(&with("collapse"));
    assert_eq!(trials(&collapsed), ["base brief -/0/-/-/-/4"]);
    assert!(loaded(with("error").as_bytes(), &Map::new()).config.is_none());
    assert_eq!(skipped.trials_without_sweep, usable(BASE).0.trials);
}

/// Is the predecessor's config, every key of it written.
const LEGACY: &str = "\
model_id: accounts/x/models/gpt-oss-120b
samples_per_item: {0.0: 1, '0.70': 5}
temps: [0.0, 0.7, 1.0]
max_new_tokens: {closed_book: 64, open_book: 128}
top_p: 0.95
top_k: 40
stop: ['###']
sizes: {closed_book_max_items: 0, open_book_max_items: null, triviaqa_max_items: 7, nq_open_max_items: null, squad_v2_max_items: 0}
paths: {raw_dir: data/raw, prepared_dir: $DATA/prepared, batch_inputs_dir: data/bi, results_dir: results, reports_dir: reports, run_manifest: $NOT_EXPANDED/m.json, experiments_dir: '~/exp/${DATA}'}
pricing:
  input_per_million: 0.15
  output_per_million: 0.60
  batch_discount: 0.25
  providers: {fireworks: {Small: {input_per_mtok: 0.1, output_per_mtok: 0.2, batch_discount: 0.4, note: kept}}}
  openai: {gpt: {input_per_mtok_batch: 1, output_per_mtok_batch: 2}}
use_batch_api: true
provider:
  name: fireworks
  model: null
  account_id: acme
  region: eu
  pricing_key: null
  batch: {endpoint: /v1/responses, completion_window: 24h, max_output_tokens: 10, max_tokens: 10, temperature: 0.5, top_p: 0.5, allow_temperature: true, allow_top_p: true}
  allow_temperature: true
  allow_top_p: false
  metadata: {a: b}
  batch_params: {a: 1}
  request_overrides: {reasoning: {effort: low}, cache_control: system}
  request_metadata: {a: b}
  batch_metadata: {a: b}
  client_options: {timeout: 5}
  rate_limits: {batch_requests_per_minute: 10, processing_queue_limit: 10, processing_queue_safety_margin: 0.1, processing_queue_poll_seconds: 10, max_rate_limit_retries: 5, retry_after_fallback_seconds: 30}
  cache_control: {enable_system_cache: true, type: ephemeral, ttl: 5m}
unsupported_threshold: 0.5
unsupported: {strategy: overlap, threshold: 0.0, min_token_overlap: 0.6, nli_model: null}
optional: {enable_unsupported_sensitivity: true, enable_mixed_effects: false, enable_power_analysis: true, enable_cost_effectiveness: true}
stats: {bootstrap_samples: 500, permutation_samples: 400, random_seed: 1, enable_permutation: false, enable_fdr: true, risk_thresholds: [1.5, 0.25, -1], tost_alpha: 0.05, tost_margins: {em: 0.02}}
model_aliases: {big: accounts/x/models/gpt-oss-120b}
models: [big, accounts/y/models/Small]
prompt_sets:
  default: {control: config/prompts/control_system.txt, treatment: config/prompts/treatment_system.txt}
  operational_only: {control: config/prompts/control_system.txt, treatment: config/prompts/operational_only_system.md}
default_prompt_set: operational_only
sweep: {models: [big], prompt_sets: null, temps: null, top_p: [1.0, 0.9], top_k: null, max_new_tokens: null}
trials: null
backend: Fireworks
local_engine: null
local_endpoint: null
local_model: null
tokenizer: cl100k
enable_local_telemetry: false
local_n_ctx: null
local_n_gpu_layers: -1
max_concurrent_requests: 1
";

#[test]
fn every_legacy_key_is_read() {
    let (config, found) = usable(LEGACY);
    assert!(found.iter().all(|found| found.severity == Severity::Note), "{found:?}");
    assert_eq!(
        trials(&config),
        [
            "big operational_only -/0/-/40/64-128/1",
            "big operational_only -/0.7/-/40/64-128/5",
            "big operational_only -/1/-/40/64-128/1",
        ],
        "top_p is not sent, so its axis is one point"
    );
    assert_eq!(config.trials_without_sweep.len(), 6);
    assert!(found.iter().any(|found| found.message.contains("no entry for 1: the first one's 1 applies")));
    assert_eq!(config.experiments_dir, "/home/me/exp/data");
    assert_eq!(config.datasets["closed_book"].max_items, Some(0));
    assert_eq!(config.datasets["open_book"].max_items, None);
    let labels = BTreeMap::from([("squad_v2".to_owned(), 0), ("triviaqa".to_owned(), 7)]);
    assert_eq!(config.datasets["open_book"].max_items_by_label, labels);
    let zero = Decimal::ZERO;
    let qa = ScorerSettings::Qa { support: Support::Overlap, threshold: zero, min_token_overlap: number("0.6") };
    assert_eq!(config.datasets["open_book"].scorers[0].settings, qa, "a threshold of 0 stays 0");
    assert_eq!(config.models["big"].model, "accounts/x/models/gpt-oss-120b");
    let price = |name: &str| config.models[name].price.map(|price| (price.input, price.output, price.batch));
    assert_eq!(price("big"), Some((number("0.15"), number("0.6"), Some(number("0.25")))));
    assert!(config.models["Small"].batch_pricing);
    let fireworks = &config.providers["fireworks"];
    assert_eq!((fireworks.mode, fireworks.account.as_deref()), (ProviderMode::Batch, Some("acme")));
    assert_eq!(fireworks.extra_body.keys().collect::<Vec<_>>(), ["reasoning"]);
    let analysis = &config.analysis;
    assert_eq!((analysis.bootstrap_samples, analysis.permutation_samples, analysis.random_seed), (500, 0, 1));
    assert_eq!(analysis.risk_thresholds, [zero, number("0.25"), Decimal::ONE]);
    assert_eq!(analysis.multiplicity, Multiplicity::BenjaminiHochberg);
    assert!(!config.optional.mixed_effects && config.optional.power_analysis);
}

/// Each key alone, beside what the predecessor required.
#[test]
fn each_legacy_key_loads_alone() {
    let lines: Vec<&str> = LEGACY.lines().collect();
    let mut blocks: Vec<String> = Vec::new();
    for line in lines {
        match blocks.last_mut() {
            Some(block) if line.starts_with(' ') => block.extend([line, "\n"]),
            _ => blocks.push(format!("{line}\n")),
        }
    }
    let required = format!("{}{}", blocks[0], blocks[1]);
    assert!(blocks.len() > 30);
    for block in &blocks[2..] {
        // What a name stands for comes with it.
        let aliases =
            if block.starts_with("models") || block.starts_with("sweep") { "model_aliases: {big: a/b}\n" } else { "" };
        let set = if block.starts_with("default_prompt_set") {
            "prompt_sets: {operational_only: {control: null, treatment: prompts/brief.txt}}\n"
        } else {
            ""
        };
        usable(&format!("{required}{aliases}{set}{block}"));
    }
}

#[test]
fn legacy_defaults_apply_and_are_said() {
    let (config, found) = usable("model_id: a/b.c\nsamples_per_item: {'0.0': 2}\n");
    assert_eq!(trials(&config), ["b-c default -/0/1/50/1024-1024/2", "b-c default -/0.7/1/50/1024-1024/2"]);
    let texts: Vec<_> = found.iter().map(|found| found.message.as_str()).collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("`top_p: 1.0`, `top_k: 50`, `max_new_tokens: 1024`, `temps: [0.0, 0.7]`")),
        "{texts:?}"
    );
    assert_eq!(config.models["b-c"].price, None, "no price is written, so none is known");
}

/// A default that nobody wrote is not held against a model that does not take it; what is written is.
#[test]
fn implied_fields_give_way() {
    let text = "model_id: gpt-4.1\ntemps: [0]\nbackend: alt\nprovider: {name: openai}\n";
    assert_eq!(trials(&usable(text).0), ["gpt-4-1 default -/0/1/-/1024-1024/1"]);
    assert!(report(&format!("{text}top_k: 50\n")).contains("does not take `top_k`"));
}

#[test]
fn a_list_of_trials_is_exactly_that() {
    let text = "\
model_id: a/base
samples_per_item: {0.0: 1, 0.7: 3}
temps: [0.0]
top_p: 0.95
model_aliases: {other: x/other-model}
prompt_sets: {one: {control: null, treatment: prompts/brief.txt}}
trials:
  - {id: t1, model_id: null, prompt_set: null, temps: null, top_p: null, top_k: null, max_new_tokens: null}
  - {model: other, temps: [0.0, 0.7], top_k: 7, max_new_tokens: {open_book: 9}}
";
    let expected =
        ["base one -/0/0.95/50/1024-1024/1", "other one -/0/0.95/7/1024-9/1", "other one -/0.7/0.95/7/1024-9/3"];
    assert_eq!(trials(&usable(text).0), expected);
    let new = format!(
        "{BASE}trials:\n  - {{model: base, prompt_set: brief, decoding: {{name: hot, temperature: 1, draws: 2}}}}\n  - {{}}\n"
    );
    assert_eq!(trials(&usable(&new).0), ["base brief hot/1/-/-/-/2", "base brief -/0/-/-/-/1"]);
}

#[test]
fn legacy_axes_multiply() {
    let text = "\
model_id: m
temps: [0.5]
prompt_sets: {a: {control: null, treatment: prompts/brief.txt}, b: {control: null, treatment: prompts/brief.txt}}
sweep: {models: [m, n], prompt_sets: [b], temps: [0, 1], top_k: [5], max_new_tokens: {open_book: [1, 2], closed_book: [3]}}
";
    let expected =
        ["m b -/0/1/5/3-1/1", "m b -/1/1/5/3-1/1", "m b -/0/1/5/3-2/1", "m b -/1/1/5/3-2/1", "n b -/0/1/5/3-1/1"];
    let (config, _) = usable(text);
    assert_eq!(&trials(&config)[..5], expected);
    assert_eq!(config.trials.len(), 8);
    assert_eq!(config.trials_without_sweep.len(), 1);
}

#[test]
fn prices_follow_the_tables() {
    let price = |more: &str, pricing: &str| {
        let text = format!("model_id: gpt\ntemps: [0]\nbackend: alt\n{more}pricing: {{{pricing}}}\n");
        let model = usable(&text).0.models["gpt"].clone();
        model.price.map(|price| (price.input.to_string(), price.output.to_string(), price.batch.unwrap().to_string()))
    };
    let of = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
    let both =
        "openai: {GPT: {input_per_mtok: 4, output_per_mtok: 8, input_per_mtok_batch: 1, output_per_mtok_batch: 3}}";
    assert_eq!(price("", both), of("1", "3", "1"));
    assert_eq!(price("use_batch_api: false\n", both), of("4", "8", "0.5"));
    assert_eq!(price("", "batch_discount: 0.3"), of("0.15", "0.6", "0.3"));
    assert_eq!(price("", "providers: {other: {gpt: {input_per_mtok: 4, output_per_mtok: 8}}}"), None);
}

/// Accepts what the schema accepts, as far as it goes: types, enums, keys, bounds, alternatives.
fn accepts(schema: &serde_json::Value, value: &serde_json::Value) -> bool {
    use serde_json::Value;
    let Some(schema) = schema.as_object() else { return schema == &Value::Bool(true) };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let by_type = match schema.get("type") {
        Some(Value::String(kind)) => is(kind),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    let array = |key: &str| schema.get(key).and_then(Value::as_array);
    let by_bounds = match (value.as_f64(), schema.get("minimum"), schema.get("maximum")) {
        (Some(number), least, most) => {
            least.and_then(Value::as_f64).is_none_or(|least| number >= least)
                && most.and_then(Value::as_f64).is_none_or(|most| number <= most)
        }
        _ => true,
    };
    let by_items = match (value.as_array(), schema.get("items")) {
        (Some(items), Some(schema)) => items.iter().all(|item| accepts(schema, item)),
        _ => true,
    };
    let by_keys = value.as_object().is_none_or(|object| {
        let properties = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        object.iter().all(|(key, value)| match (properties.and_then(|p| p.get(key)), rest) {
            (Some(schema), _) | (None, Some(schema)) => accepts(schema, value),
            (None, None) => true,
        }) && array("required").is_none_or(|keys| keys.iter().all(|key| object.contains_key(key.as_str().unwrap())))
    });
    by_type
        && by_bounds
        && by_items
        && by_keys
        && array("enum").is_none_or(|words| words.contains(value))
        && array("anyOf").is_none_or(|schemas| schemas.iter().any(|schema| accepts(schema, value)))
}

/// Reads YAML by the other parser, into JSON; keys that are numbers become their texts.
fn as_json(text: &str) -> serde_json::Value {
    let value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    serde_json::to_value(value).unwrap()
}

#[test]
fn the_schema_knows_what_the_loader_knows() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let legacy = LEGACY.replace("{0.0: 1", "{'0.0': 1");
    for text in [BASE, FULL, &legacy] {
        assert!(accepts(&schema, &as_json(text)), "{text}");
    }
    for wrong in [
        BASE.replace("temperature: 0", "temprature: 0"),
        BASE.replace("temperature: 0", "temperature: -1"),
        BASE.replace("[qa]", "[qaa]"),
        BASE.replace("provider: lexical", "name2: x"),
        format!("{BASE}draws: 0\n"),
    ] {
        assert!(!accepts(&schema, &as_json(&wrong)), "{wrong}");
        assert!(loaded(wrong.as_bytes(), &Map::new()).config.is_none(), "{wrong}");
    }
}

/// Every example that comes with the project is in the language.
#[test]
fn bundled_configs_are_in_the_schema() {
    let directory = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let Ok(entries) = directory.read_dir_utf8() else { return };
    for entry in entries.flatten().filter(|entry| entry.path().extension() == Some("yaml")) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(accepts(&json_schema(), &as_json(&text)), "{}", entry.path());
    }
}

/// The manual names every key of the language.
#[test]
fn the_manual_is_complete() {
    fn keys(schema: &serde_json::Value, all: &mut std::collections::BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(map) => {
                let properties = map.get("properties").and_then(serde_json::Value::as_object);
                all.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
                map.values().for_each(|inner| keys(inner, all));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|inner| keys(inner, all)),
            _ => {}
        }
    }
    let manual =
        std::fs::read_to_string(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: std::collections::BTreeSet<&str> = manual.split(|c| !is_word(c)).collect();
    let mut all = std::collections::BTreeSet::new();
    keys(&json_schema(), &mut all);
    let missing: Vec<_> = all.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(all.len() > 150 && missing.is_empty(), "{missing:?}");
}

/// The predecessor's own files load, up to the files they name on its machine.
#[test]
fn the_predecessors_files_load() {
    let shared = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if !shared.exists() {
        println!("skipped: ../shared is absent");
        return;
    }
    let mut files = Map::new();
    for path in ["golden/main/prepared/open_book.jsonl", "/project/prepared/closed_book.jsonl"] {
        files.0.insert(path.to_owned(), b"{}\n".to_vec());
    }
    for (name, expected) in [
        ("main/config.yaml", &["demo-20b default -/0/1/50/1024-1024/1", "demo-20b default -/0.7/1/50/1024-1024/5"]),
        (
            "pipeline/config.yaml",
            &["demo-20b default -/0/0.95/40/64-128/1", "demo-20b operational_only -/0/0.95/40/64-128/1"],
        ),
        (
            "pipeline/experiments/run_gold1/effective_config.yaml",
            &["demo-20b default -/0/0.95/40/64-128/1", "demo-20b operational_only -/0/0.95/40/64-128/1"],
        ),
    ] {
        let text = std::fs::read_to_string(shared.join(name)).unwrap();
        let (config, found) = usable_with(&text, &files);
        assert!(found.iter().all(|found| found.severity == Severity::Note), "{name}");
        assert_eq!(trials(&config), expected, "{name}");
        if name.starts_with("pipeline") {
            assert_eq!(config.providers["ollama"].base_url.as_deref(), Some("http://127.0.0.1:11999"));
        }
    }
}

/// What a provider would refuse, and what would replace what a request is made of, is an error at its place.
#[test]
fn what_is_asked_over_a_network_is_checked() {
    let config = |providers: &str, model: &str, decoding: &str| {
        let text = BASE.replace("{name: base, provider: lexical}", model).replace("{temperature: 0}", decoding);
        format!("{text}providers: {providers}\n")
    };
    let none = "{p: {kind: openai}}";
    let openai = |more: &str| format!("{{p: {{kind: openai{more}}}}}");
    let anthropic = |model: &str| format!("{{name: m, provider: anthropic, model: {model}}}");
    let m = "{name: m, provider: p}";
    let decoding = "{max_output_tokens: 9}";
    let cases = [
        (config(none, "{name: m, provider: ollama}", decoding), "depends on the machine's memory unless it is stated"),
        (
            config(none, "{name: m, provider: p, num_ctx: 9}", decoding),
            "`num_ctx` means nothing to a provider of the kind `openai`",
        ),
        (config(none, "{name: m, provider: lexical, extra_body: {a: 1}}", "{}"), "`extra_body` means nothing"),
        (config(none, "{name: m, provider: p, extra_body: {n: 2}}", decoding), "`n` in `extra_body` would replace"),
        (config(&openai(", extra_body: {messages: []}"), m, decoding), "`messages` in `extra_body` would replace"),
        (config(&openai(", extra_body: {stream: true}"), m, decoding), "responses are read whole"),
        (config(&openai(", timeouts: {read: soon}"), m, decoding), "a span of time is a number with"),
        (config(&openai(", max_wait: 0s"), m, decoding), "a span of time is a number with"),
        (config(&openai(", prompt_caching: 5m"), m, decoding), "`prompt_caching` means nothing"),
        (config(&openai(", api: responses, response_format: {type: x}"), m, decoding), "extra_body: {text: {format"),
        (config(&openai(", api: responses"), m, "{stop: x}"), "does not take `stop`"),
        (
            config(none, "{name: m, provider: p, sends_as: {max_tokens: x}}", decoding),
            "`max_tokens` is no decoding field",
        ),
        (config(none, m, "{temperature: 2.5}"), "takes a `temperature` of at most 2"),
        (config(none, m, "{stop: [a, b, c, d, e]}"), "takes at most 4 stop texts"),
        (config(none, "{name: o3, provider: p}", "{effort: extreme}"), "knows no effort `extreme`"),
        (
            config(none, "{name: gpt-5.1, provider: p}", "{effort: low, temperature: 1}"),
            "`temperature` or `effort`, not both",
        ),
        (config(none, &anthropic("claude-haiku-4-5"), "{temperature: 1.5, max_output_tokens: 9}"), "of at most 1"),
        (
            config(none, &anthropic("claude-haiku-4-5"), "{temperature: 1, top_p: 0.9, max_output_tokens: 9}"),
            "`top_p` or `temperature`, not both",
        ),
        (config(none, "{name: m, provider: p, max_context: 9}", decoding), "would leave no room for the question"),
        (config(none, "{name: m, provider: ollama, num_ctx: 99, max_context: 9}", "{}"), "`num_ctx` is more than"),
        (config(&openai(", query: {key: abcdefghijklmnop}"), m, decoding), "a literal key stands in the config"),
        (
            config(&openai(", headers: {Ocp-Apim-Subscription-Key: abcdefghijklmnop}"), m, decoding),
            "a literal key stands",
        ),
        (
            config(&openai(", headers: {Authorization: \"Basic abcdefghijklmnop\"}"), m, decoding),
            "a literal key stands",
        ),
    ];
    for (text, expected) in cases {
        let report = report(&text);
        assert!(report.contains(expected), "{expected}:\n{report}");
        assert!(!report.contains("abcdefghijklmnop"), "{report}");
    }
    for good in [
        config(&openai(", base_url: \"https://h/v1\""), m, "{temperature: 2.5, stop: [a, b, c, d, e]}"),
        config(none, "{name: m, provider: p, takes: [temperature]}", "{temperature: 2.5}"),
        config(none, "{name: gpt-5.1, provider: p}", "{effort: none, temperature: 1}"),
        config("{p: {kind: ollama, extra_body: {options: {num_ctx: 9}}}}", m, "{}"),
        config(none, "{name: m, provider: ollama, extra_body: {options: {num_ctx: 9}}}", "{}"),
    ] {
        usable(&good);
    }
}

#[test]
fn how_a_provider_may_be_asked_is_read() {
    let text = BASE.replace("provider: lexical", "provider: p")
        + "providers: {p: {kind: openai, timeouts: {connect: 500ms, read: 90s, total: 1.5h}, max_attempts: 3, first_wait: 50ms, max_wait: 10m, \
           max_retry_time: 1h, requests_per_minute: 60, tokens_per_minute: 90000, max_concurrent_requests: 4}}\n";
    let (config, _) = usable(&text);
    let seconds = |n| Some(std::time::Duration::from_secs(n));
    let expected = exp::config::AskingLimits {
        connect_timeout: Some(std::time::Duration::from_millis(500)),
        read_timeout: seconds(90),
        total_timeout: seconds(5400),
        max_attempts: Some(3),
        first_wait: Some(std::time::Duration::from_millis(50)),
        max_wait: seconds(600),
        max_retry_time: seconds(3600),
        requests_per_minute: Some(60),
        tokens_per_minute: Some(90_000),
        max_concurrent_requests: Some(4),
    };
    assert_eq!(config.providers["p"].asking, expected);
}

/// Colour is asked for, and changes nothing but colour.
#[test]
fn reports_can_be_coloured() {
    let loaded = loaded(b"draw: 1\n", &Map::new());
    let plain = loaded.render(false);
    assert!(!plain.contains('\u{1b}'));
    assert!(loaded.render(true).contains('\u{1b}'));
}

proptest::proptest! {
    /// A damaged config is read to the end, whatever was done to it, and is used only when nothing is wrong.
    #[test]
    fn damage_is_reported_and_nothing_else(
        cuts in proptest::collection::vec((0.0..1.0f64, 0.0..1.0f64, "[-a-z0-9:{}\\[\\], \n'\"*&!#~|.]{0,6}"), 1..4),
        is_legacy in proptest::bool::ANY,
    ) {
        let mut text: Vec<char> = if is_legacy { LEGACY } else { FULL }.chars().collect();
        for (start, length, put) in cuts {
            let start = (start * text.len() as f64) as usize;
            let end = (start + (length * length * 40.0) as usize).min(text.len());
            text.splice(start..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        let loaded = loaded(text.as_bytes(), &full_files());
        let is_wrong = loaded.diagnostics.iter().any(Diagnostic::is_error);
        proptest::prop_assert_eq!(loaded.config.is_none(), is_wrong);
        proptest::prop_assert!(loaded.diagnostics.is_sorted_by_key(|found| found.at));
        proptest::prop_assert!(loaded.diagnostics.is_empty() || !loaded.render(false).is_empty());
    }
}

#[test]
fn an_executable_scorer_whose_files_would_be_one() {
    same(
        &report(&BASE.replace("[qa]", "[{external: {command: [prompts/user.txt], inputs: [./prompts/user.txt]}}]")),
        r"
error: the executable would find two of its files as `prompts/user.txt`
 --> eval.yaml:6:65
  |
6 |     scorers: [{external: {command: [prompts/user.txt], inputs: [./prompts/user.txt]}}]
  |                                                                 ^^^^^^^^^^^^^^^^^^
  |
  = help: give it the file under another path below the project
",
    );
    same(
        &report(&BASE.replace("[qa]", "[{external: {command: []}}]")),
        r"
error: `command` names no executable
 --> eval.yaml:6:36
  |
6 |     scorers: [{external: {command: []}}]
  |                                    ^
  |
  = help: write `command: [scorers/mine.py]`
",
    );
    same(
        &report(&BASE.replace("[qa]", "[{external: {command: [prompts/gone.py]}}]")),
        r"
error: `prompts/gone.py` does not exist
 --> eval.yaml:6:37
  |
6 |     scorers: [{external: {command: [prompts/gone.py]}}]
  |                                     ^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `.`, the project's root
",
    );
}
