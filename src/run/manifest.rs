use super::{RunError, RunState, ServedModel};
use crate::digest::{ActionKey, BlobId, Digest, PlanId, RootId};

/// Is one file of the project that the run read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// The path as written in the config.
    pub path: String,
    /// Its content.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
}

/// Is one reproducible file that the run shows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewEntry {
    /// The trial; empty for the whole run.
    pub slug: String,
    /// The path below the trial's (or the run's) directory.
    pub name: String,
    /// Its content.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
}

impl ViewEntry {
    /// Returns the path below the run's directory.
    pub fn path(&self) -> String {
        if self.slug.is_empty() { self.name.clone() } else { format!("{}/{}", self.slug, self.name) }
    }
}

/// Is one output of an action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputEntry {
    /// Its name.
    pub name: String,
    /// Its content.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
}

/// Is one action of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionEntry {
    /// What people call it: `infer/lexical/t0/open_book/control/00003`.
    pub label: String,
    /// Its key; absent where it was never known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ActionKey>,
    /// `hit`, `ran`, `failed` or `not_run`.
    pub verdict: String,
    /// Why it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many draws it holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub draws: u64,
    /// How many of them failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u64,
    /// What it made.
    pub outputs: Vec<OutputEntry>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Is a trial's settings under the names that the predecessor's scripts read.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSettings {
    /// Always null; the slug names the trial.
    pub id: Option<String>,
    /// The model's id.
    pub model_id: String,
    /// The prompt set's name.
    pub prompt_set: String,
    /// The one temperature of the trial; empty where none is sent.
    pub temps: Vec<crate::digest::Decimal>,
    /// The nucleus mass.
    pub top_p: Option<crate::digest::Decimal>,
    /// The number of candidates.
    pub top_k: Option<u32>,
    /// The largest number of output tokens: `closed_book`, `open_book`.
    pub max_new_tokens: std::collections::BTreeMap<String, Option<u32>>,
    /// The model's name in the config.
    pub model: String,
    /// The provider's kind.
    pub provider: String,
    /// How many draws of each request.
    pub draws: u32,
}

/// Is the system prompt of one side.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptEntry {
    /// The path as written in the config.
    pub path: String,
    /// Its content.
    pub blob: BlobId,
    /// The SHA-256 of the file, 64 hexadecimal digits, as the predecessor recorded it.
    pub sha256: String,
    /// Its words, as white space parts them.
    pub words: u64,
}

/// Is one trial of the run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialEntry {
    /// The directory's name.
    pub slug: String,
    /// Its settings.
    pub trial: TrialSettings,
    /// The system prompts, by side; a side that sends none is absent.
    pub prompts: std::collections::BTreeMap<String, PromptEntry>,
    /// The decoding fields as they were sent.
    pub decoding: std::collections::BTreeMap<String, String>,
    /// Its results, below the run's directory.
    pub results_dir: String,
    /// Its reports, below the run's directory.
    pub reports_dir: String,
    /// Its report, below the run's directory.
    pub report_path: String,
}

/// Counts the draws of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCounts {
    /// Wanted in all.
    pub total: u64,
    /// Found in the store.
    pub reused: u64,
    /// Sent and answered.
    pub sent: u64,
    /// Sent and failed.
    pub failed: u64,
}

/// Sums up what a run cost, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostSummary {
    /// The known prices of what its sessions bought.
    pub spent: f64,
    /// The known prices of its answers that were there already.
    pub saved: f64,
    /// Answers bought whose price is unknown.
    pub unknown: u64,
    /// What may have been spent beyond that.
    #[serde(default)]
    pub uncertain: CostRange,
}

/// Bounds what attempts cost of which nobody knows whether they were billed, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostRange {
    /// How many attempts.
    pub attempts: u64,
    /// The least: always 0.
    pub min: f64,
    /// The most; null where something has no ceiling.
    pub max: Option<f64>,
}

impl Default for CostRange {
    fn default() -> Self {
        Self { attempts: 0, min: 0.0, max: Some(0.0) }
    }
}

/// Says under which sealed plan a run was analysed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealEntry {
    /// The plan's path.
    pub path: String,
    /// Its content.
    pub blob: BlobId,
    /// When it was sealed.
    pub sealed_at: String,
    /// How many answers the run is made of.
    pub draws: u64,
    /// How many of them were logged before that.
    pub draws_before: u64,
    /// How many do not say when they were logged: imported ones.
    pub draws_undated: u64,
}

/// Is an action that failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureEntry {
    /// The action's label.
    pub label: String,
    /// Why.
    pub why: String,
}

/// Is the file with every hash in it: `multi_trial_manifest.json`.
///
/// Its last field, `manifest_digest`, is the BLAKE3 hash of the text as it would stand without it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub schema_version: u32,
    /// The run's id.
    pub run_id: String,
    /// How far the run is.
    pub state: RunState,
    /// When it began: UTC, RFC 3339.
    pub created_utc: String,
    /// When this file was written.
    pub updated_utc: String,
    /// The program and its version.
    pub tool: String,
    /// The run that this one re-scores.
    pub parent: Option<String>,
    /// Whether it was asked for less than the whole experiment, and what completes it.
    pub narrowed: Option<String>,
    /// What it builds.
    pub plan: PlanId,
    /// The views' identity, once all are there.
    pub root: Option<RootId>,
    /// The config.
    pub config: SourceEntry,
    /// How many trials.
    pub num_trials: usize,
    /// What became of the draws.
    pub requests: RequestCounts,
    /// What it cost.
    pub cost_usd: CostSummary,
    /// The seed of the order in which items are asked.
    #[serde(default)]
    pub order_seed: u64,
    /// What servers said that they serve.
    #[serde(default)]
    pub served: Vec<ServedModel>,
    /// The plan that was sealed beforehand, where there is one, once all views are there.
    #[serde(default)]
    pub sealed: Option<SealEntry>,
    /// The trials, sorted by slug.
    pub trials: Vec<TrialEntry>,
    /// What failed.
    pub failures: Vec<FailureEntry>,
    /// The digest of the manifest that this one is an anonymous form of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_of: Option<Digest>,
    /// The files it read.
    pub sources: Vec<SourceEntry>,
    /// The files it shows.
    pub views: Vec<ViewEntry>,
    /// Further files it shows: when, by whom and how answers were given. They are no part of the root.
    #[serde(default)]
    pub circumstances: Vec<ViewEntry>,
    /// Its actions, in the order of the plan.
    pub actions: Vec<ActionEntry>,
}

const DIGEST_FIELD: &str = ",\n  \"manifest_digest\": \"";

impl Manifest {
    /// Is the version that this program writes; the predecessor wrote 1 and 2.
    pub const SCHEMA_VERSION: u32 = 3;

    /// Ends `tool` in the manifest of a run that was made by the predecessor.
    pub(super) const OF_PREDECESSOR: &str = "of a run of the predecessor's";

    /// Says whether the run was taken in from a directory of the predecessor's: its files are its own, and there is nothing
    /// else of it.
    pub fn is_predecessors(&self) -> bool {
        self.tool.ends_with(Self::OF_PREDECESSOR)
    }

    /// Writes the manifest's text, its digest last. Long lists have one entry a line.
    pub fn to_text(&self) -> Result<String, RunError> {
        let fail = |error: serde_json::Error| RunError::Unreadable {
            what: format!("the manifest of run `{}`", self.run_id),
            why: error.to_string(),
        };
        let mut head = Vec::new();
        let mut lists = Vec::new();
        let value = serde_json::to_value(Short(self)).map_err(fail)?;
        for name in SHORT_FIELDS {
            let field = serde_json::to_string_pretty(&value[name]).map_err(fail)?;
            head.push(format!("  \"{name}\": {}", field.replace('\n', "\n  ")));
        }
        // Only in an anonymous manifest: what every other one looks like does not change.
        if let Some(original) = &self.anonymous_of {
            head.push(format!("  \"anonymous_of\": \"{original}\""));
        }
        lists.push(("served", lines(&self.served).map_err(fail)?));
        lists.push(("trials", lines(&self.trials).map_err(fail)?));
        lists.push(("failures", lines(&self.failures).map_err(fail)?));
        lists.push(("sources", lines(&self.sources).map_err(fail)?));
        lists.push(("views", lines(&self.views).map_err(fail)?));
        lists.push(("circumstances", lines(&self.circumstances).map_err(fail)?));
        lists.push(("actions", lines(&self.actions).map_err(fail)?));
        for (name, text) in lists {
            head.push(format!("  \"{name}\": {text}"));
        }
        let body = format!("{{\n{}", head.join(",\n"));
        let digest = Digest::of(format!("{body}\n}}\n").as_bytes());
        Ok(format!("{body}{DIGEST_FIELD}{digest}\"\n}}\n"))
    }

    /// Lists every file that the run shows as a link: those of the root, and those beside it.
    pub fn shown(&self) -> impl Iterator<Item = &ViewEntry> {
        self.views.iter().chain(&self.circumstances)
    }

    /// Reads a manifest's text and checks its digest; `Err` says what is wrong.
    pub fn parse(what: &str, text: &str) -> Result<(Self, Digest), RunError> {
        let fail = |why: String| RunError::Unreadable { what: what.to_owned(), why };
        let at = text.rfind(DIGEST_FIELD).ok_or_else(|| fail("it has no `manifest_digest`".into()))?;
        let (body, tail) = text.split_at(at);
        let digest = Digest::of(format!("{body}\n}}\n").as_bytes());
        if tail != format!("{DIGEST_FIELD}{digest}\"\n}}\n") {
            return Err(fail("its digest does not match: it was edited or damaged".into()));
        }
        let manifest = serde_json::from_str(&format!("{body}\n}}\n")).map_err(|error| fail(error.to_string()))?;
        Ok((manifest, digest))
    }
}

const SHORT_FIELDS: [&str; 16] = [
    "schema_version",
    "run_id",
    "state",
    "created_utc",
    "updated_utc",
    "tool",
    "parent",
    "narrowed",
    "plan",
    "root",
    "config",
    "num_trials",
    "requests",
    "cost_usd",
    "sealed",
    "order_seed",
];

/// Serialises the fields that are not lists.
struct Short<'a>(&'a Manifest);

impl serde::Serialize for Short<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let m = self.0;
        let mut map = serializer.serialize_map(Some(SHORT_FIELDS.len()))?;
        map.serialize_entry("schema_version", &m.schema_version)?;
        map.serialize_entry("run_id", &m.run_id)?;
        map.serialize_entry("state", &m.state)?;
        map.serialize_entry("created_utc", &m.created_utc)?;
        map.serialize_entry("updated_utc", &m.updated_utc)?;
        map.serialize_entry("tool", &m.tool)?;
        map.serialize_entry("parent", &m.parent)?;
        map.serialize_entry("narrowed", &m.narrowed)?;
        map.serialize_entry("plan", &m.plan)?;
        map.serialize_entry("root", &m.root)?;
        map.serialize_entry("config", &m.config)?;
        map.serialize_entry("num_trials", &m.num_trials)?;
        map.serialize_entry("requests", &m.requests)?;
        map.serialize_entry("cost_usd", &m.cost_usd)?;
        map.serialize_entry("sealed", &m.sealed)?;
        map.serialize_entry("order_seed", &m.order_seed)?;
        map.end()
    }
}

fn lines<T: serde::Serialize>(entries: &[T]) -> Result<String, serde_json::Error> {
    if entries.is_empty() {
        return Ok("[]".to_owned());
    }
    let mut out = String::from("[\n");
    for (at, entry) in entries.iter().enumerate() {
        out.push_str("    ");
        out.push_str(&serde_json::to_string(entry)?);
        out.push_str(if at + 1 < entries.len() { ",\n" } else { "\n" });
    }
    out.push_str("  ]");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let blob = BlobId::of(b"x");
        let output = OutputEntry { name: "answers".into(), blob, size: 1 };
        Manifest {
            schema_version: Manifest::SCHEMA_VERSION,
            run_id: "r1".into(),
            state: RunState::Complete,
            created_utc: "2026-11-23T00:00:00Z".into(),
            updated_utc: "2026-11-23T00:00:01Z".into(),
            tool: "exp 0".into(),
            parent: None,
            narrowed: None,
            plan: PlanId::new(Digest::of(b"p")),
            root: Some(RootId::new(Digest::of(b"r"))),
            config: SourceEntry { path: "config/eval_config.yaml".into(), blob, size: 1 },
            num_trials: 0,
            requests: RequestCounts::default(),
            cost_usd: CostSummary::default(),
            order_seed: 7,
            served: vec![ServedModel {
                provider: "ollama here".into(),
                model: "m".into(),
                revision: Some("sha256:1".into()),
                context_length: Some(4096),
                note: None,
            }],
            sealed: None,
            trials: Vec::new(),
            failures: Vec::new(),
            anonymous_of: None,
            sources: Vec::new(),
            views: vec![ViewEntry { slug: "s".into(), name: "results/costs.json".into(), blob, size: 1 }],
            circumstances: vec![ViewEntry { slug: "s".into(), name: "results/timings.csv".into(), blob, size: 1 }],
            actions: vec![ActionEntry {
                label: "infer/a".into(),
                key: None,
                verdict: "ran".into(),
                reason: Some("never built".into()),
                draws: 1,
                failures: 0,
                outputs: vec![output],
            }],
        }
    }

    #[test]
    fn the_text_reads_back() {
        let text = manifest().to_text().unwrap();
        assert_eq!(Manifest::parse("m", &text).unwrap().0, manifest());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let text = manifest().to_text().unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(Manifest::parse("m", &changed).is_err(), "byte {at}");
        }
    }
}
