//! Every key of the language, with its shape and what it means.

use super::scorer_tables::{SCORER, SCORERS};
use super::shape::Shape::{
    AnyText, Anything, Boolean, Choice, Either, Integer, List, Map, Name, Names, Null, Number, Open, Path, Single, Text,
};
use super::shape::{Field, Shape, Table};

const MAX: i64 = u32::MAX as i64;
pub(super) const COUNT: Shape = Integer(1, MAX);
const SIZE: Shape = Integer(0, i64::MAX);
pub(super) const SHARE: Shape = Number(Some("0"), Some("1"));
pub(super) const AMOUNT: Shape = Number(Some("0"), None);
pub(super) const TEXTS: Shape = List(&Text);
const TEXT_OR_TEXTS: Shape = Either(&[AnyText, List(&AnyText)]);
const ALL_OR_TEXTS: Shape = Either(&[Choice(&["all"]), TEXTS]);
const NUMBERS: Shape = List(&AMOUNT);
const ANY_TABLE: Shape = Map(&Anything);

pub(super) const fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field::new(name, shape, doc)
}

/// Is the whole config.
pub(crate) static ROOT: Table = Table {
    what: "the config",
    fields: &[
        field("version", Integer(1, 1), "The version of this language: 1."),
        field("experiments_dir", Path, "Where runs are shown. Default: `experiments`."),
        field("store", Path, "Where everything is kept; one store can serve many projects. Default: `store`."),
        field(
            "shared",
            Choice(&["owner", "group"]),
            "Who may use a store that is made: its owner alone (default), or the group of its directory.",
        ),
        field(
            "views",
            Choice(&["links", "copy"]),
            "Whether a run's files are links into the store (default) or copies.",
        ),
        field(
            "trusted_keys",
            TEXTS,
            "Whose signature makes an imported run's answers serve: lines `ssh-ed25519 AAAA…`, or files of them.",
        ),
        field("providers", Names(&Shape::Table(&PROVIDER)), "Who answers, by a name of your own."),
        field("models", List(&Either(&[Text, Shape::Table(&MODEL)])), "The models of the experiment."),
        field("datasets", Names(&Shape::Table(&DATASET)), "Where the questions come from, by name."),
        field(
            "control",
            ARM_OR_NULL,
            "What is compared against: a system prompt's path, a recipe, or `null` for no system message.",
        ),
        field(
            "prompt_sets",
            Names(&Either(&[Path, Shape::Table(&PROMPT_SET)])),
            "What is tried, by name: a system prompt's path, or a treatment (with its control).",
        ),
        field(
            "task_instructions",
            Shape::Table(&TASK_INSTRUCTIONS),
            "The text before the built-in frames of questions.",
        ),
        field("decoding", Shape::Table(&DECODING), "What the sampler is told; what is not written is not sent."),
        field("draws", COUNT, "How many answers are drawn for each request. Default: 1."),
        field("sweep", Shape::Table(&SWEEP), "Which combinations of models, prompt sets and decoding become trials."),
        field("trials", List(&Shape::Table(&TRIAL)), "Exactly these trials, in place of a sweep."),
        field("outcomes", Shape::Table(&OUTCOMES), "How answers that are no plain success enter the scores."),
        field("analysis", Shape::Table(&ANALYSIS), "What is tested, and how."),
        field("reuse", Shape::Table(&REUSE), "Which recorded answers are good enough."),
        field("budget", Shape::Table(&BUDGET), "What may be spent."),
        field("max_failed", SIZE, "How many failed draws a complete run may have. Default: 0."),
        field("parts_per_dataset", COUNT, "Divides each dataset into this many parts."),
        field(
            "lines_per_part",
            COUNT,
            "Divides each dataset into parts of at most this many items on average. Default: 2000.",
        ),
        field("max_concurrent_jobs", COUNT, "How many parts are worked on at once."),
        field("max_concurrent_requests", COUNT, "How many requests are in flight at once."),
        // The predecessor's.
        field("model_id", Text, "The id of the only model.").legacy(),
        field("samples_per_item", Map(&COUNT), "Draws by temperature.").legacy(),
        field("temps", NUMBERS, "Temperatures: one trial each.").legacy(),
        field("max_new_tokens", Shape::Table(&MAX_NEW_TOKENS), "The longest answers, by kind of question.").legacy(),
        field("top_p", SHARE, "`decoding.top_p`.").legacy(),
        field("top_k", Integer(0, MAX), "`decoding.top_k`.").legacy(),
        field("stop", TEXT_OR_TEXTS, "`decoding.stop`.").legacy(),
        field("sizes", Shape::Table(&SIZES), "The largest numbers of items.").legacy(),
        field("paths", Shape::Table(&PATHS), "Directories; `$VAR` and `~` are expanded.").legacy(),
        field("pricing", Open(&PRICING, &Map(&Open(&PROVIDER_PRICE, &Anything))), "Prices.").legacy(),
        field("use_batch_api", Boolean, "Whether batch prices apply. Default: true.").legacy(),
        field("provider", Shape::Table(&LEGACY_PROVIDER), "The provider of `backend: alt`.").legacy(),
        field("unsupported_threshold", SHARE, "`unsupported.threshold`.").legacy(),
        field("unsupported", Shape::Table(&UNSUPPORTED), "Settings of the scorer `qa`.").legacy(),
        field("optional", Shape::Table(&OPTIONAL), "Which optional analyses are made.").legacy(),
        field("stats", Shape::Table(&STATS), "Settings of `analysis`.").legacy(),
        field("model_aliases", Names(&Text), "Short names of model ids.").legacy(),
        field("default_prompt_set", Text, "The prompt set of a config without `sweep`.").legacy(),
        field("backend", Text, "`fireworks`, `local` or `alt`.").legacy(),
        field("local_engine", Choice(&["ollama", "llama_cpp"]), "The engine of `backend: local`.").legacy(),
        field("local_endpoint", Text, "The address of the engine.").legacy(),
        field("local_model", Text, "The engine's name of the model.").legacy(),
        field("tokenizer", Text, "The name of a tokenizer.").legacy(),
        field("enable_local_telemetry", Boolean, "Timings of local engines.").legacy(),
        field("local_n_ctx", SIZE, "The context length of llama.cpp.").legacy(),
        field("local_n_gpu_layers", Integer(i64::MIN, i64::MAX), "The layers on the GPU of llama.cpp.").legacy(),
    ],
};

const ARM_OR_NULL: Shape = Either(&[Null, Path, Shape::Table(&ARM)]);

pub(crate) const PROVIDER_KINDS: &[&str] =
    &["lexical", "replay", "openai", "anthropic", "ollama", "fireworks", "llama_cpp"];

static PROVIDER: Table = Table {
    what: "a provider",
    fields: &[
        field("kind", Choice(PROVIDER_KINDS), "The protocol it speaks.").required(),
        field("base_url", Text, "The address; absent: the kind's own."),
        field("identity", Text, "A name that stands for kind and address in the identity of requests."),
        field("api_key_env", Text, "The environment variable that holds the key; never the key."),
        field("api", Choice(&["chat", "responses"]), "`openai`: which protocol is spoken. Default: `chat`."),
        field("anthropic_version", Text, "`anthropic`: the version of the protocol. Default: `2023-06-01`."),
        field(
            "prompt_caching",
            Choice(&["off", "5m", "1h"]),
            "`anthropic`: how long the system prompt is kept there. Default: `off`.",
        ),
        field("response_format", ANY_TABLE, "The form of answers, as chat completions take it."),
        field("timeouts", Shape::Table(&TIMEOUTS), "How long is waited for a response."),
        field("max_attempts", Integer(1, 100), "How often a draw is sent at most in one build. Default: 8."),
        field("first_wait", Text, "The wait before a second attempt; it doubles from there. Default: `500ms`."),
        field("max_wait", Text, "The longest wait that a server may ask for. Default: `2m`."),
        field("max_retry_time", Text, "How long a draw is tried in all. Default: `15m`."),
        field("requests_per_minute", COUNT, "How many requests are sent in a minute at most."),
        field("tokens_per_minute", Integer(1, i64::MAX), "How many tokens are asked for in a minute at most."),
        field("max_concurrent_requests", COUNT, "How many requests are in flight at once at most."),
        field("extra_body", ANY_TABLE, "Further fields of each request's body."),
        field("headers", Map(&Text), "Further headers of each request."),
        field("query", Map(&Text), "Further parameters of the address."),
        field("not_identity", TEXTS, "Fields of `extra_body` and headers that do not decide the answer."),
        field("mode", Choice(&["online", "batch", "auto"]), "How requests are sent. Default: `online`."),
        field("batch", Shape::Table(&BATCH), "How batches are gone about."),
        field("account", Text, "The account's name (Fireworks)."),
        field("allow_http", Boolean, "Allows plain http to another machine."),
        field("ca_file", Path, "A file of certificates to trust."),
        field(
            "corpus",
            Either(&[Path, Shape::Table(&SOURCE)]),
            "`lexical`: passages to retrieve from when a question brings none.",
        ),
        field("threshold", AMOUNT, "`lexical`: the score below which it abstains when told that it may."),
    ],
};

static BATCH: Table = Table {
    what: "how batches are gone about",
    fields: &[
        field("from", COUNT, "`mode: auto`: from how many missing requests on batches are sent. Default: 100."),
        field("max_requests", COUNT, "Requests in one batch at most. Default: 95 % of what the provider takes."),
        field(
            "max_bytes",
            Integer(1024, i64::MAX),
            "Bytes of one input at most. Default: 95 % of what the provider takes.",
        ),
        field("poll", Text, "How long is waited between two looks at a batch. Default: `30s`."),
        field(
            "start_deadline",
            Text,
            "How long a batch may wait before it begins; then it is cancelled. Default: `24h`.",
        ),
        field("list_delay", Text, "How long a batch may be at the provider before its list shows it. Default: `30s`."),
        field(
            "remove_files",
            Boolean,
            "Removes files at the provider once the results are in the store. Default: false.",
        ),
    ],
};

static TIMEOUTS: Table = Table {
    what: "how long is waited (a number with `ms`, `s`, `m` or `h`)",
    fields: &[
        field("connect", Text, "For a connection. Default: `15s`."),
        field("read", Text, "For the next bytes; the first come when the model has finished. Default: `10m`."),
        field("total", Text, "For one attempt in all. Default: `20m`."),
    ],
};

static SOURCE: Table = Table {
    what: "a file or an address",
    fields: &[
        field("path", Path, "A file."),
        field("url", Text, "An address, fetched once."),
        field("sha256", Text, "The SHA-256 of what the address gives: 64 hexadecimal digits."),
    ],
};

static MODEL: Table = Table {
    what: "a model",
    fields: &[
        field("name", Name, "The name in slugs and on the command line. Default: `model`."),
        field("provider", Text, "A name of `providers`, or a kind.").required(),
        field("model", Text, "The id that the provider takes. Default: `name`."),
        field("revision", Text, "A revision that you state."),
        field("price", Shape::Table(&PRICE), "What it costs; absent is unknown, not free."),
        field(
            "decoding",
            Shape::Table(&DECODING_OVERRIDE),
            "Departures from the decoding of trials: a value, or `unset`.",
        ),
        field(
            "takes",
            List(&Choice(&crate::request::Decoding::FIELDS)),
            "The decoding fields that the model takes, in place of the built-in table.",
        ),
        field("sends_as", Map(&Text), "The name in the body of a decoding field, in place of the built-in table's."),
        field("num_ctx", COUNT, "`ollama`: the context length, in tokens; it has to be said."),
        field("max_context", COUNT, "The longest context that the model takes, in tokens."),
        field("response_format", ANY_TABLE, "The form of answers, as chat completions take it."),
        field("extra_body", ANY_TABLE, "Further fields of each request's body, over the provider's."),
        field(
            "recordings",
            Names(&Map(&Shape::Table(&RECORDINGS))),
            "`replay`: answers by dataset and arm (`control`, a prompt set, or `treatment`).",
        ),
    ],
};

static PRICE: Table = Table {
    what: "a price in US dollars for a million tokens",
    fields: &[
        field("input", AMOUNT, "Input tokens.").required(),
        field("cached_input", AMOUNT, "Input tokens read from the provider's prompt cache."),
        field("cache_write", AMOUNT, "Input tokens written to the provider's prompt cache."),
        field("output", AMOUNT, "Output tokens.").required(),
        field("batch", AMOUNT, "The factor for batches (0.5 is half price)."),
        field("long_prompt", Shape::Table(&LONG_PROMPT), "What requests with a long input cost."),
        field("as_of", Text, "When the price was read: `2026-11-23`. After 180 days a build says that it is old."),
    ],
};

static LONG_PROMPT: Table = Table {
    what: "the price of requests with a long input, in US dollars for a million tokens",
    fields: &[
        field("above", SIZE, "Input tokens beyond which it holds, for all tokens of the request.").required(),
        field("input", AMOUNT, "Input tokens; those of the prompt cache change in proportion.").required(),
        field("output", AMOUNT, "Output tokens.").required(),
    ],
};

static RECORDINGS: Table = Table {
    what: "recorded answers",
    fields: &[
        field("path", Path, "The file.").required(),
        field(
            "format",
            Choice(&["jsonl", "csv", "tsv", "json", "json_map"]),
            "The layout; absent: by the file's extension.",
        ),
        field("fields", Shape::Table(&RECORDING_FIELDS), "Which field of a recording is what."),
        field("join", Text, "The item's field that a recording's key is equal to. Default: `id`."),
        field("join_lists", AnyText, "Joins a list of texts with this."),
        field("where", CONDITIONS, "Keeps the recordings that meet every condition."),
    ],
};

static RECORDING_FIELDS: Table = Table {
    what: "the fields of a recording (dotted paths)",
    fields: &[
        field("key", Text, "What names the item. Default: the field that `join` names."),
        field("text", Text, "The answer."),
        field("input_tokens", Text, "The number of input tokens."),
        field("output_tokens", Text, "The number of output tokens."),
    ],
};

const CONDITIONS: Shape = Map(&Either(&[Single, Shape::Table(&CONDITION)]));

static CONDITION: Table =
    Table { what: "a condition", fields: &[field("not", Single, "Keeps what differs from this.").required()] };

static DATASET: Table = Table {
    what: "a dataset",
    fields: &[
        field("path", Path, "The file."),
        field("url", Text, "An address, fetched once; needs `sha256`."),
        field("sha256", Text, "The SHA-256 of what the address gives: 64 hexadecimal digits."),
        field(
            "format",
            Choice(&["jsonl", "csv", "tsv", "json", "squad", "nq_open", "triviaqa", "gsm8k"]),
            "The layout; absent: by the file's extension.",
        ),
        field("fields", Shape::Table(&FIELDS), "Which field of a row is what."),
        field("where", CONDITIONS, "Keeps the rows that meet every condition."),
        field("split", AnyText, "Splits a single text of answers at this text."),
        field(
            "duplicate_ids",
            Choice(&["error", "number"]),
            "What is done with a second row of one id. Default: `error`.",
        ),
        field("max_items", SIZE, "How many items at most, in the order of the file: 0 is none, `null` is all."),
        field("book", Choice(&["open", "closed"]), "Whether items are open-book; absent: those with a passage are."),
        field("user", Path, "The user template; absent: the built-in frame."),
        field("instructions", Path, "The text before the built-in frame, in place of `task_instructions`."),
        field("answer", Shape::Table(&ANSWER), "How the answer is taken out of the text; absent: all of it."),
        field(
            "scorers",
            List(&Either(&[Choice(SCORERS), Shape::Table(&SCORER)])),
            "How answers are scored. Default: `[qa]`.",
        ),
        field("max_output_tokens", COUNT, "Replaces the decoding's largest number of output tokens."),
        field("group", Text, "The field that is the cluster for standard errors (also `fields.group`)."),
    ],
};

static FIELDS: Table = Table {
    what: "the fields of a row (dotted paths)",
    fields: &[
        field("id", Text, "The item's id; absent: the digest of the question."),
        field("question", Text, "The question."),
        field("answers", Text, "The accepted answers: a text or a list of texts."),
        field("context", Text, "The passage."),
        field("group", Text, "The cluster for standard errors."),
        field("unanswerable", Text, "A truth value: the passage has no answer."),
        field("dataset", Text, "A label of the row's own."),
    ],
};

pub(super) static ANSWER: Table = Table {
    what: "an extraction",
    fields: &[
        field("extract", Text, "A regular expression: the group `answer`, else the first group, else the whole match.")
            .required(),
        field("pick", Choice(&["first", "last"]), "Which match. Default: `last`."),
        field("if_absent", Choice(&["whole", "missing"]), "What the answer is when nothing matches. Default: `whole`."),
    ],
};

static ARM: Table = Table {
    what: "a recipe of messages",
    fields: &[
        field("system", Either(&[Null, Path]), "The system message; absent or `null`: none."),
        field("user", Path, "The user template; absent: the dataset's."),
        field("examples", Path, "Worked examples (JSONL), each a user and an assistant turn."),
        field("messages", Path, "A whole conversation of templates, in place of the rest."),
        field("prefill", Path, "The start of the answer, sent as a last assistant turn."),
        field("draw_salt", Text, "Asks for draws of its own, apart from equal requests (A/A tests)."),
    ],
};

static PROMPT_SET: Table = Table {
    what: "a treatment with its control",
    fields: &[
        field("treatment", ARM_OR_NULL, "What is tried; nothing is inherited from the control.").required(),
        field("control", ARM_OR_NULL, "What it is compared against; absent: the top-level `control`."),
    ],
};

static TASK_INSTRUCTIONS: Table = Table {
    what: "the instructions before questions",
    fields: &[
        field("open_book", Path, "Before questions with a passage."),
        field("closed_book", Path, "Before questions without one."),
    ],
};

const LIMITS: Shape = Shape::Table(&BY_BOOK);

/// Lists the decoding fields, each shape with these further alternatives.
macro_rules! decoding_fields {
    ($($more:expr),*) => {[
        field("temperature", Either(&[AMOUNT $(, $more)*]), "The sampling temperature."),
        field("top_p", Either(&[SHARE $(, $more)*]), "The nucleus mass."),
        field("top_k", Either(&[Integer(0, MAX) $(, $more)*]), "The number of candidates kept."),
        field("min_p", Either(&[SHARE $(, $more)*]), "The floor on a candidate's probability relative to the best."),
        field("max_output_tokens", Either(&[COUNT, LIMITS $(, $more)*]), "The longest answer in tokens; or one each for open-book and closed-book questions."),
        field("frequency_penalty", Either(&[Number(Some("-2"), Some("2")) $(, $more)*]), "Penalises tokens by how often they occurred."),
        field("presence_penalty", Either(&[Number(Some("-2"), Some("2")) $(, $more)*]), "Penalises tokens that occurred at all."),
        field("effort", Text, "The reasoning effort, in the provider's words."),
        field("stop", TEXT_OR_TEXTS, "The texts at which the answer ends."),
        field("seed", Either(&[Choice(&["per_draw"]), Integer(i64::MIN, i64::MAX) $(, $more)*]), "`per_draw`: a seed for each draw; a number: this one for all; absent: none is sent."),
    ]};
}

pub(super) static DECODING: Table = Table { what: "what the sampler is told", fields: &decoding_fields!() };

const OVERRIDES: [Field; 10] = decoding_fields!(Choice(&["unset"]));

static DECODING_OVERRIDE: Table = Table { what: "what the sampler is told", fields: &OVERRIDES };

static DECODING_POINT: Table = Table { what: "a point of the decoding axis", fields: &point_fields() };

const fn point_fields() -> [Field; 12] {
    let name = field("name", Name, "A name for the slug; absent: made from the fields.");
    let mut all = [name; 12];
    all[1] = field("draws", COUNT, "How many answers are drawn for each request.");
    let mut n = 0;
    while n < OVERRIDES.len() {
        all[n + 2] = OVERRIDES[n];
        n += 1;
    }
    all
}

static BY_BOOK: Table = Table {
    what: "largest numbers of output tokens",
    fields: &[
        field("open_book", COUNT, "For open-book questions.").required(),
        field("closed_book", COUNT, "For closed-book questions.").required(),
    ],
};

static SWEEP: Table = Table {
    what: "the axes of trials",
    fields: &[
        field("models", ALL_OR_TEXTS, "Names of models, or `all`. Default: all."),
        field("prompt_sets", ALL_OR_TEXTS, "Names of prompt sets, or `all`. Default: all."),
        field("decoding", List(&Shape::Table(&DECODING_POINT)), "Points, each over the top-level `decoding`."),
        field(
            "when_unsupported",
            Choice(&["error", "skip", "collapse"]),
            "What happens to a decoding field that a model does not take. Default: `error`.",
        ),
        field("temps", NUMBERS, "Temperatures.").legacy(),
        field("top_p", List(&SHARE), "Nucleus masses.").legacy(),
        field("top_k", List(&Integer(0, MAX)), "Numbers of candidates.").legacy(),
        field("max_new_tokens", Shape::Table(&MAX_NEW_TOKENS_AXES), "The longest answers.").legacy(),
    ],
};

static TRIAL: Table = Table {
    what: "a trial",
    fields: &[
        field("model", Text, "The model's name."),
        field("prompt_set", Text, "The prompt set's name."),
        field("decoding", Shape::Table(&DECODING_POINT), "Over the top-level `decoding`."),
        field("id", Single, "A label without effect.").legacy(),
        field("model_id", Text, "`model`.").legacy(),
        field("temps", NUMBERS, "Temperatures: one trial each.").legacy(),
        field("samples_per_item", Map(&COUNT), "Draws by temperature.").legacy(),
        field("top_p", SHARE, "`decoding.top_p`.").legacy(),
        field("top_k", Integer(0, MAX), "`decoding.top_k`.").legacy(),
        field("max_new_tokens", Shape::Table(&MAX_NEW_TOKENS), "The longest answers.").legacy(),
    ],
};

const RULE: Shape = Choice(&["wrong", "missing", "as_is"]);

static OUTCOMES: Table = Table {
    what: "rules for answers that are no plain success",
    fields: &[
        field("length", RULE, "An answer that was cut at the token limit. Default: `wrong`."),
        field("refusal", RULE, "A refusal. Default: `wrong`."),
        field("content_filter", RULE, "An answer withheld by a filter. Default: `missing`."),
        field("empty", RULE, "A response with no text. Default: `wrong`."),
        field("no_answer", RULE, "A text in which the extraction found nothing. Default: `missing`."),
    ],
};

static ANALYSIS: Table = Table {
    what: "what is tested",
    fields: &[
        field("primary", TEXTS, "The primary metrics as `dataset.metric`; absent: each dataset's first."),
        field("alpha", SHARE, "The level of tests. Default: 0.05."),
        field(
            "multiplicity",
            Choice(&[
                "holm",
                "bonferroni",
                "sidak",
                "hochberg",
                "hommel",
                "bh",
                "benjamini_hochberg",
                "by",
                "benjamini_yekutieli",
                "none",
            ]),
            "The correction within a trial's family. Default: `holm`.",
        ),
        field(
            "cluster",
            Choice(&["group", "none"]),
            "Whether standard errors are clustered by group. Default: `group` where a dataset has one.",
        ),
        field("margins", Map(&AMOUNT), "Margins of equivalence by metric."),
        field("bootstrap_samples", COUNT, "Resamples of a bootstrap. Default: 5000."),
        field("permutation_samples", Integer(0, MAX), "Sign flips of a permutation test; 0 is none. Default: 5000."),
        field("seed", SIZE, "The seed of every random stream of the analysis. Default: 1337."),
        field("risk_thresholds", List(&SHARE), "Abstention thresholds of the risk-coverage table."),
        field(
            "wilcoxon_zeros",
            Choice(&["wilcox", "pratt", "zsplit"]),
            "What signed-rank tests do with differences of zero. Default: `wilcox`, which drops them.",
        ),
        field("subgroups", TEXTS, "Fields of items by whose values results are shown apart."),
        field("power", SHARE, "The power that designs are planned for. Default: 0.8."),
        field("targets", List(&AMOUNT), "Differences that designs are to detect. Default: 0.02, 0.05, 0.1."),
    ],
};

static REUSE: Table = Table {
    what: "which recorded answers are good enough",
    fields: &[
        field(
            "generation",
            Either(&[Integer(0, MAX), Shape::Table(&GENERATION)]),
            "Which asking of the requests is used: a number, or one for each side. Default: 0.",
        ),
        field("redraws", Path, "The file in which `--redraw-status` writes down which requests were asked again."),
        field(
            "same_served_model",
            Choice(REACTION),
            "What happens when a trial's answers were served by several models. Default: `warn`.",
        ),
        field("max_gap_between_arms", Shape::Table(&GAP), "How far apart in time the arms of an item may be drawn."),
    ],
};

static GENERATION: Table = Table {
    what: "the generation of each side",
    fields: &[
        field("control", Integer(0, MAX), "Of what is compared against. Default: 0."),
        field("treatment", Integer(0, MAX), "Of what is tried. Default: 0."),
    ],
};

const REACTION: &[&str] = &["ignore", "warn", "refuse"];

static GAP: Table = Table {
    what: "a span of time",
    fields: &[
        field("limit", Text, "A number with `m`, `h` or `d`, such as `7d`.").required(),
        field("then", Choice(REACTION), "What happens beyond it. Default: `warn`."),
    ],
};

static BUDGET: Table = Table {
    what: "what may be spent",
    fields: &[
        field("max_usd", AMOUNT, "The most that one build may spend, in US dollars (also `--max-cost`)."),
        field("confirm_above_usd", AMOUNT, "Asks before spending more than this, in US dollars. Default: 0."),
        field(
            "unknown_price",
            Choice(&["refuse", "warn", "allow"]),
            "What happens where a price is unknown. Default: `refuse`.",
        ),
    ],
};

static MAX_NEW_TOKENS: Table = Table {
    what: "the longest answers",
    fields: &[
        field("closed_book", COUNT, "For closed-book questions.").legacy(),
        field("open_book", COUNT, "For open-book questions.").legacy(),
    ],
};

const COUNT_OR_COUNTS: Shape = Either(&[COUNT, List(&COUNT)]);

static MAX_NEW_TOKENS_AXES: Table = Table {
    what: "the longest answers",
    fields: &[
        field("closed_book", COUNT_OR_COUNTS, "For closed-book questions.").legacy(),
        field("open_book", COUNT_OR_COUNTS, "For open-book questions.").legacy(),
    ],
};

static SIZES: Table = Table {
    what: "the largest numbers of items",
    fields: &[
        field("closed_book_max_items", SIZE, "Closed-book items: 0 is none, `null` is all.").legacy(),
        field("open_book_max_items", SIZE, "Open-book items.").legacy(),
        field("triviaqa_max_items", SIZE, "Items labelled `triviaqa`.").legacy(),
        field("nq_open_max_items", SIZE, "Items labelled `nq_open`.").legacy(),
        field("squad_v2_max_items", SIZE, "Items labelled `squad_v2`.").legacy(),
    ],
};

static PATHS: Table = Table {
    what: "directories",
    fields: &[
        field("raw_dir", Path, "Raw data.").legacy(),
        field("prepared_dir", Path, "Prepared data: `open_book.jsonl`, `closed_book.jsonl`.").legacy(),
        field("batch_inputs_dir", Path, "Batch inputs.").legacy(),
        field("results_dir", Path, "Results.").legacy(),
        field("reports_dir", Path, "Reports.").legacy(),
        field("run_manifest", Path, "The manifest.").legacy(),
        field("experiments_dir", Path, "`experiments_dir`.").legacy(),
    ],
};

static PRICING: Table = Table {
    what: "prices",
    fields: &[
        field("input_per_million", AMOUNT, "Input tokens. Default: 0.15.").legacy(),
        field("output_per_million", AMOUNT, "Output tokens. Default: 0.60.").legacy(),
        field("batch_discount", AMOUNT, "The factor for batches. Default: 0.5.").legacy(),
        field("providers", Map(&Map(&Open(&PROVIDER_PRICE, &Anything))), "Prices by provider and model.").legacy(),
    ],
};

static PROVIDER_PRICE: Table = Table {
    what: "the price of a model",
    fields: &[
        field("input_per_mtok", AMOUNT, "Input tokens.").legacy(),
        field("output_per_mtok", AMOUNT, "Output tokens.").legacy(),
        field("input_per_mtok_batch", AMOUNT, "Input tokens in a batch.").legacy(),
        field("output_per_mtok_batch", AMOUNT, "Output tokens in a batch.").legacy(),
        field("batch_discount", AMOUNT, "The factor for batches.").legacy(),
    ],
};

static LEGACY_PROVIDER: Table = Table {
    what: "the provider of `backend: alt`",
    fields: &[
        field("name", Text, "`openai` or `anthropic`.").required().legacy(),
        field("model", Text, "The provider's id of the model.").legacy(),
        field("account_id", Text, "The account.").legacy(),
        field("region", Text, "A region.").legacy(),
        field("pricing_key", Text, "The model's key in `pricing.providers`. Default: `model`.").legacy(),
        field("batch", Shape::Table(&LEGACY_BATCH), "Settings of batches.").legacy(),
        field("allow_temperature", Boolean, "Whether the temperature is sent.").legacy(),
        field("allow_top_p", Boolean, "Whether top_p is sent.").legacy(),
        field("metadata", ANY_TABLE, "Tags.").legacy(),
        field("batch_params", ANY_TABLE, "Further parameters of a batch.").legacy(),
        field("request_overrides", ANY_TABLE, "Further fields of each request's body.").legacy(),
        field("request_metadata", ANY_TABLE, "Tags.").legacy(),
        field("batch_metadata", ANY_TABLE, "Tags.").legacy(),
        field("client_options", ANY_TABLE, "Options of a client library.").legacy(),
        field("rate_limits", Shape::Table(&RATE_LIMITS), "Limits of the predecessor's queue.").legacy(),
        field("cache_control", Shape::Table(&CACHE_CONTROL), "Prompt caching.").legacy(),
    ],
};

static LEGACY_BATCH: Table = Table {
    what: "settings of batches",
    fields: &[
        field("endpoint", Text, "The path of the call.").legacy(),
        field("completion_window", Text, "The time that a batch may take.").legacy(),
        field("max_output_tokens", COUNT, "Validated, never sent.").legacy(),
        field("max_tokens", COUNT, "Validated, never sent.").legacy(),
        field("temperature", Number(Some("0"), Some("2")), "Validated, never sent.").legacy(),
        field("top_p", SHARE, "Validated, never sent.").legacy(),
        field("allow_temperature", Boolean, "Whether the temperature is sent.").legacy(),
        field("allow_top_p", Boolean, "Whether top_p is sent.").legacy(),
    ],
};

static RATE_LIMITS: Table = Table {
    what: "limits of the predecessor's queue",
    fields: &[
        field("batch_requests_per_minute", COUNT, "Requests in a minute.").legacy(),
        field("processing_queue_limit", COUNT, "Requests in the queue.").legacy(),
        field("processing_queue_safety_margin", SHARE, "A margin below the limit.").legacy(),
        field("processing_queue_poll_seconds", AMOUNT, "Seconds between looks.").legacy(),
        field("max_rate_limit_retries", SIZE, "Retries.").legacy(),
        field("retry_after_fallback_seconds", AMOUNT, "Seconds before a retry.").legacy(),
    ],
};

static CACHE_CONTROL: Table = Table {
    what: "prompt caching",
    fields: &[
        field("enable_system_cache", Boolean, "Whether the system prompt is cached.").legacy(),
        field("type", Choice(&["ephemeral", "persistent"]), "The kind.").legacy(),
        field("ttl", Text, "How long.").legacy(),
    ],
};

static UNSUPPORTED: Table = Table {
    what: "settings of the scorer `qa`",
    fields: &[
        field("strategy", Choice(&["baseline", "overlap"]), "`support`.").legacy(),
        field("threshold", SHARE, "`threshold`.").legacy(),
        field("min_token_overlap", SHARE, "`min_token_overlap`.").legacy(),
        field("nli_model", Text, "A model that judges support.").legacy(),
    ],
};

static OPTIONAL: Table = Table {
    what: "optional analyses",
    fields: &[
        field("enable_unsupported_sensitivity", Boolean, "Default: true.").legacy(),
        field("enable_mixed_effects", Boolean, "Default: true.").legacy(),
        field("enable_power_analysis", Boolean, "Default: true.").legacy(),
        field("enable_cost_effectiveness", Boolean, "Default: true.").legacy(),
    ],
};

static STATS: Table = Table {
    what: "settings of `analysis`",
    fields: &[
        field("bootstrap_samples", COUNT, "`analysis.bootstrap_samples`.").legacy(),
        field("permutation_samples", COUNT, "`analysis.permutation_samples`.").legacy(),
        field("random_seed", SIZE, "`analysis.seed`.").legacy(),
        field("enable_permutation", Boolean, "Whether permutation tests are made. Default: true.").legacy(),
        field("enable_fdr", Boolean, "`true` is `analysis.multiplicity: bh`, `false` is `none`. Default: true.")
            .legacy(),
        field("risk_thresholds", List(&Number(None, None)), "`analysis.risk_thresholds`, clamped to 0 to 1.").legacy(),
        field("tost_alpha", SHARE, "`analysis.alpha`.").legacy(),
        field("tost_margins", Map(&AMOUNT), "`analysis.margins`.").legacy(),
    ],
};
