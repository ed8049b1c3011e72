//! The names of trials' directories, from configs in both spellings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use camino::Utf8Path;
use exp::config::{ConfigFile, Disk, load};
use exp::plan::{Selection, select};

const DATA: &str = "datasets:\n  \
    open: {path: d.jsonl, fields: {id: id, question: q, answers: a, context: c}OPEN}\n  \
    closed: {path: d.jsonl, fields: {id: id, question: q, answers: a}CLOSED}\n";

/// Gives the slugs of a config in an empty project; `c.txt`, `t.txt` and `d.jsonl` are there.
fn slugs(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(dir.path()).unwrap();
    for name in ["c.txt", "t.txt", "d.jsonl", "open_book.jsonl", "closed_book.jsonl"] {
        std::fs::write(root.join(name), "{}\n").unwrap();
    }
    let file =
        ConfigFile { path: Utf8Path::new("eval_config.yaml"), bytes: text.as_bytes(), root, env: &|_: &str| None };
    let loaded = load(&file, &Disk::default());
    let report = loaded.render(false);
    let config = loaded.config.unwrap_or_else(|| panic!("{report}"));
    select(&config, &Selection::default()).unwrap().into_iter().map(|trial| trial.slug).collect()
}

fn modern(model: &str, decoding: &str, open: &str, closed: &str) -> String {
    let data = DATA.replace("OPEN", open).replace("CLOSED", closed);
    format!(
        "version: 1\nmodels: [{{name: lex, provider: lexical{model}}}]\n{data}\
         control: c.txt\nprompt_sets: {{t: t.txt}}\ndecoding: {{temperature: 0{decoding}}}\n"
    )
}

#[test]
fn a_slug_says_how_long_answers_may_be() {
    for (model, decoding, open, closed, expected) in [
        ("", "", "", "", "lex-t"),
        ("", ", max_output_tokens: 64", "", "", "lex-t-mx64-64"),
        ("", ", max_output_tokens: 64", ", max_output_tokens: 128", "", "lex-t-mx64-128"),
        ("", ", max_output_tokens: 64", "", ", max_output_tokens: 9", "lex-t-mx9-64"),
        ("", "", ", max_output_tokens: 128", ", max_output_tokens: 9", "lex-t-mx9-128"),
        // The model's own number is what is sent, whatever the datasets say.
        (
            ", decoding: {max_output_tokens: 7}",
            ", max_output_tokens: 64",
            ", max_output_tokens: 128",
            "",
            "lex-t-mx7-7",
        ),
    ] {
        assert_eq!(slugs(&modern(model, decoding, open, closed)), [expected], "{decoding} {open} {closed}");
    }
}

/// Where datasets of one kind differ, no one number is theirs: the slug has that of the decoding.
#[test]
fn datasets_that_differ_leave_the_decodings_number() {
    let more = modern("", ", max_output_tokens: 64", ", max_output_tokens: 128", "").replace(
        "control: c.txt",
        "  other: {path: d.jsonl, fields: {question: q, answers: a, context: c}}\ncontrol: c.txt",
    );
    assert_eq!(slugs(&more), ["lex-t-mx64-64"]);
}

#[test]
fn the_predecessors_limits_are_in_its_slugs() {
    let legacy = |limits: &str| {
        format!(
            "model_id: accounts/fireworks/models/gpt-oss-120b\nsamples_per_item: {{0.0: 1}}\ntemps: [0.0]\n\
             paths: {{prepared_dir: .}}\nprompt_sets: {{operational_only: {{control: c.txt, treatment: t.txt}}}}\n{limits}"
        )
    };
    for (limits, expected) in [
        ("", "gpt-oss-120b-operational_only-tp1-tk50-mx1024-1024"),
        ("max_new_tokens: {closed_book: 64, open_book: 128}\n", "gpt-oss-120b-operational_only-tp1-tk50-mx64-128"),
    ] {
        assert_eq!(slugs(&legacy(limits)), [expected]);
    }
}
