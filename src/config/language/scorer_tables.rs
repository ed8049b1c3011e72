//! The keys of scorers.

use super::shape::Shape::{AnyText, Boolean, Choice, Either, List, Map, Name, Names, Path, Text};
use super::shape::{Field, Shape, Table};
use super::tables::{AMOUNT, ANSWER, COUNT, DECODING, SHARE, TEXTS, field};

/// Names the scorers, in the order of [`SCORER`].
pub(crate) const SCORERS: &[&str] = &["squad", "qa", "includes", "exact", "numeric", "regex", "choice", "json"];

/// Is a scorer with its settings.
pub(super) static SCORER: Table = Table {
    what: "a scorer with its settings",
    fields: &[
        field("squad", Shape::Table(&SQUAD), "The official SQuAD evaluator."),
        field("qa", Shape::Table(&QA), "Exact match and F1 with abstention: the default."),
        field("includes", Shape::Table(&INCLUDES), "An accepted answer occurs in the answer."),
        field("exact", Shape::Table(&EXACT), "The answer is an accepted answer."),
        field("numeric", Shape::Table(&NUMERIC), "The number in the answer is the accepted one."),
        field("regex", Shape::Table(&REGEX), "The answer matches a pattern."),
        field("choice", Shape::Table(&CHOICE), "The answer chooses the right option."),
        field("json", Shape::Table(&JSON), "The answer holds the right JSON."),
        field("labels", Shape::Table(&LABELS), "People have said whether the answer is right."),
        field("judge", Shape::Table(&JUDGE), "A model says whether the answer is right."),
        field("judge_pairwise", Shape::Table(&PAIRWISE), "A model says which arm's answer is better."),
        field("external", Shape::Table(&EXTERNAL), "An executable says how right the answer is."),
    ],
};

const SCORER_NAME: Field =
    field("name", Name, "The name its metrics carry. Default: the scorer's own; two of a kind need names.");

static SQUAD: Table = Table { what: "the settings of `squad`", fields: &[SCORER_NAME] };

static QA: Table = Table {
    what: "the settings of `qa`",
    fields: &[
        SCORER_NAME,
        field(
            "support",
            Choice(&["baseline", "overlap"]),
            "How support in the passage is judged. Default: `baseline`.",
        ),
        field("threshold", SHARE, "An answer whose abstention reaches this is not unsupported. Default: 0.5."),
        field("min_token_overlap", SHARE, "The share of words that `overlap` asks for. Default: 0.6."),
    ],
};

static INCLUDES: Table = Table {
    what: "the settings of `includes`",
    fields: &[
        SCORER_NAME,
        field("ignore_case", Boolean, "Compares without case. Default: true."),
        field("words", Boolean, "Matches whole words only. Default: true."),
    ],
};

static EXACT: Table = Table {
    what: "the settings of `exact`",
    fields: &[
        SCORER_NAME,
        field("ignore_case", Boolean, "Compares without case. Default: false."),
        field("trim", Boolean, "Takes white space off both ends first. Default: true."),
    ],
};

static NUMERIC: Table = Table {
    what: "the settings of `numeric`",
    fields: &[
        SCORER_NAME,
        field("pick", Choice(&["first", "last"]), "Which number of the answer counts. Default: `last`."),
        field("tolerance", AMOUNT, "The largest difference that is still equal. Default: 0."),
        field("relative_tolerance", AMOUNT, "The same, as a share of the accepted number. Default: 0."),
    ],
};

static REGEX: Table = Table {
    what: "the settings of `regex`",
    fields: &[
        SCORER_NAME,
        field("pattern", Text, "A regular expression; `{{answer}}` stands for each accepted answer.").required(),
        field("full", Boolean, "The whole answer has to match. Default: false."),
    ],
};

static CHOICE: Table = Table {
    what: "the settings of `choice`",
    fields: &[
        SCORER_NAME,
        field(
            "options",
            Either(&[Text, List(&AnyText)]),
            "The options, in order; or the field of the items that lists them.",
        )
        .required(),
        field(
            "gold",
            Choice(&["text_or_letter", "index", "number"]),
            "How an accepted answer names its option; `index` counts from 0, `number` from 1. Default: `text_or_letter`.",
        ),
    ],
};

static LABELS: Table = Table {
    what: "the settings of `labels`",
    fields: &[
        SCORER_NAME,
        field("path", Path, "The file of verdicts, a row for each.").required(),
        field("format", Choice(&["jsonl", "csv", "tsv", "json"]), "The layout; absent: by the file's extension."),
        field("fields", Shape::Table(&LABEL_FIELDS), "Which field of a row is what."),
        field(
            "values",
            Names(&SHARE),
            "What each verdict is worth; absent: `true` is 1, `false` 0, and numbers from 0 to 1 are themselves.",
        ),
        field(
            "rule",
            Choice(&["majority", "mean"]),
            "What several raters come to; a majority that is tied is the mean of what is tied. Default: `majority`.",
        ),
    ],
};

static JUDGE: Table = Table {
    what: "the settings of `judge`",
    fields: &[
        SCORER_NAME,
        field("model", Text, "The model that judges: one of `models`. It answers nothing itself unless `sweep` or `trials` names it.")
            .required(),
        field("user", Path, "The template of what it is asked: the item's fields, `answer`, `text` (of which that is a part) and `gold` (the accepted answers, one a line).")
            .required(),
        field("system", Path, "The template of its system message; absent: none."),
        field("decoding", Shape::Table(&DECODING), "What its sampler is told; what is not written is not sent."),
        field("draws", COUNT, "How many verdicts are drawn of each answer. Default: 1."),
        field("verdict", Shape::Table(&ANSWER), "How the verdict is taken out of what it says; absent: all of it."),
        field(
            "values",
            Names(&SHARE),
            "What each verdict is worth, case aside; absent: `true` is 1, `false` 0, and numbers from 0 to 1 are themselves.",
        ),
        field(
            "rule",
            Choice(&["majority", "mean"]),
            "What several verdicts come to; a majority that is tied is the mean of what is tied. Default: `majority`.",
        ),
    ],
};

static PAIRWISE: Table = Table {
    what: "the settings of `judge_pairwise`",
    fields: &[
        field("name", Name, "What its results are called. Default: `judge_pairwise`; two on a dataset need names."),
        field("model", Text, "The model that judges: one of `models`. It answers nothing itself unless `sweep` or `trials` names it.")
            .required(),
        field("user", Path, "The template of what it is asked: the item's fields, `answer_a` and `answer_b`, `text_a` and `text_b` (of which these are a part), and `gold` (the accepted answers, one a line).")
            .required(),
        field("system", Path, "The template of its system message; absent: none."),
        field("decoding", Shape::Table(&DECODING), "What its sampler is told; what is not written is not sent."),
        field("draws", COUNT, "How many verdicts are drawn of each pair in each order. Default: 1."),
        field("verdict", Shape::Table(&ANSWER), "How the verdict is taken out of what it says; absent: all of it."),
        field(
            "values",
            Names(&Choice(&["a", "b", "tie"])),
            "What each verdict says, case aside; absent: `a`, `b` and `tie`.",
        ),
    ],
};

static EXTERNAL: Table = Table {
    what: "the settings of `external`",
    fields: &[
        SCORER_NAME,
        field("command", TEXTS, "The executable, a file of the project, and its arguments.").required(),
        field("inputs", List(&Path), "The files that it reads; it finds them under the paths written here."),
        field("version", Text, "What it calls itself: another version scores anew."),
        field("environment", Map(&AnyText), "The variables that it sees, besides `PATH`."),
        field("time_limit", Text, "How long it may take for one part: `30s`, `10m`. Default: `10m`."),
    ],
};

static LABEL_FIELDS: Table = Table {
    what: "the fields of a verdict",
    fields: &[
        field("item", Text, "The item's id. Default: `item`."),
        field("model", Text, "The model's name; a row without it is about any. Default: `model`."),
        field("arm", Text, "`control`, or the prompt set's name; a row without it is about any. Default: `arm`."),
        field("draw", Text, "The draw's number, from 0; a row without it is about any. Default: `draw`."),
        field("answer", Text, "The text that was rated; a row without it is about any. Default: `answer`."),
        field("rater", Text, "Who says it; a row without it is by the one rater. Default: `rater`."),
        field("verdict", Text, "What they say; empty: nothing yet. Default: `verdict`."),
    ],
};

static JSON: Table = Table {
    what: "the settings of `json`",
    fields: &[
        SCORER_NAME,
        field(
            "compare",
            Choice(&["equal", "subset"]),
            "Whether an answer's objects may have more members than the accepted one's. Default: `equal`.",
        ),
        field("paths", TEXTS, "The dotted paths that are compared; absent: everything."),
        field("ignore_case", Boolean, "Compares texts without case. Default: false."),
    ],
};
