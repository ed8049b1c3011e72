//! A small run, made through a real store, for the tests of what reads runs.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::trial_manifest::trial_manifest;
use super::{
    ActionEntry, CostSummary, MANIFEST_NAME, Manifest, OutputEntry, RequestCounts, RunRecord, RunState, SourceEntry,
    TrialEntry, TrialSettings, ViewDir, ViewEntry, root_of,
};
use crate::digest::{BlobId, Digest, PlanId, RequestKey};
use crate::plan::{ActionSpec, StepKind};
use crate::request::{Answer, AnswerStatus, Circumstances, DrawAddress, Usage};
use crate::store::{Access, ActionRecord, ActionState, Commit, LoggedDraw, NamedBlob, Session, Store};

/// Is a place with a store and an `experiments/`.
pub(super) struct Place {
    _dir: tempfile::TempDir,
    pub(super) root: Utf8PathBuf,
    pub(super) experiments: Utf8PathBuf,
    pub(super) store: Store,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().canonicalize_utf8().unwrap();
        let store = Store::open(&root.join("store"), Access::ReadWrite).unwrap();
        Self { _dir: dir, experiments: root.join("experiments"), root, store }
    }

    pub(super) fn record(&self, run_id: &str) -> RunRecord {
        RunRecord::parse(run_id, &self.store.run(run_id).unwrap().unwrap().text).unwrap()
    }

    pub(super) fn run_dir(&self, run_id: &str) -> Utf8PathBuf {
        self.experiments.join(format!("run_{run_id}"))
    }
}

/// Says how a sample run is made.
#[derive(Clone)]
pub(super) struct Sample<'a> {
    pub(super) run_id: &'a str,
    pub(super) prompt: &'a str,
    pub(super) margin: u32,
    pub(super) em: [f64; 3],
    pub(super) state: RunState,
    pub(super) created: &'a str,
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self {
            run_id: "r1",
            prompt: "Answer briefly.\nBe kind.\n",
            margin: 1,
            em: [1.0, 0.0, 1.0],
            state: RunState::Complete,
            created: "2026-11-23T00:00:00Z",
        }
    }
}

pub(super) const SLUG: &str = "mini-base-t07";

struct Making<'a> {
    session: &'a Session,
    actions: Vec<ActionEntry>,
    outputs: BTreeMap<String, BlobId>,
}

impl Making<'_> {
    fn source(&self, path: &str, text: &str) -> SourceEntry {
        let staged = self.session.stage(text.as_bytes()).unwrap();
        let blob = staged.blob();
        self.session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
        SourceEntry { path: path.to_owned(), blob: blob.id, size: blob.size }
    }

    fn action(&mut self, label: &str, params: serde_json::Value, inputs: &[(&str, BlobId)], outputs: &[(&str, &str)]) {
        let step = StepKind::parse(label.split('/').next().unwrap()).unwrap();
        let inputs = inputs.iter().map(|(name, blob)| ((*name).to_owned(), *blob)).collect();
        let spec = ActionSpec { step, revision: 1, params, inputs };
        let mut entry = ActionEntry {
            label: label.to_owned(),
            key: Some(spec.key()),
            verdict: "ran".to_owned(),
            reason: Some("never built".to_owned()),
            draws: 0,
            failures: 0,
            outputs: Vec::new(),
        };
        let mut commit = Commit::default();
        for (name, text) in outputs {
            let staged = self.session.stage(text.as_bytes()).unwrap();
            let blob = staged.blob();
            commit.blobs.push(staged);
            self.outputs.insert(format!("{label}:{name}"), blob.id);
            entry.outputs.push(OutputEntry { name: (*name).to_owned(), blob: blob.id, size: blob.size });
        }
        let outputs = entry.outputs.iter();
        commit.record = Some(ActionRecord {
            key: spec.key(),
            step: step.as_str().to_owned(),
            spec: serde_json::value::to_raw_value(&spec).unwrap(),
            outputs: outputs.map(|o| NamedBlob { name: o.name.clone(), blob: o.blob, size: o.size }).collect(),
            state: ActionState::Complete,
            draws: 0,
            failures: 0,
            tool: "exp 0".to_owned(),
            recorded_at: "2026-11-23T00:00:00Z".to_owned(),
            duration_ms: 1,
        });
        self.session.commit(vec![commit]).unwrap();
        self.actions.push(entry);
    }

    fn output(&self, name: &str) -> BlobId {
        self.outputs[name]
    }

    fn view(&self, slug: &str, name: &str, output: &str) -> ViewEntry {
        let blob = self.output(output);
        let outputs = self.actions.iter().flat_map(|action| &action.outputs);
        let size = outputs.clone().find(|output| output.blob == blob).unwrap().size;
        ViewEntry { slug: slug.to_owned(), name: name.to_owned(), blob, size }
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        status: AnswerStatus::Stop,
        text: text.to_owned(),
        reasoning: None,
        finish_reason: Some("stop".to_owned()),
        served_model: None,
        usage: Usage { input_tokens: Some(3), output_tokens: Some(1), reasoning_tokens: None },
    }
}

/// Makes a run of three items, one prompt and one trial, with all that a run has.
pub(super) fn make(place: &Place, sample: &Sample<'_>) -> Manifest {
    let session = place.store.session().unwrap();
    let mut making = Making { session: &session, actions: Vec::new(), outputs: BTreeMap::new() };
    let config =
        making.source("config/eval_config.yaml", &format!("version: 1\nmargin: {}\nsame: yes\n", sample.margin));
    let prompt = making.source("prompts/base.md", sample.prompt);
    let data = making.source("data/items.jsonl", "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n");

    making.action("prepare/quiz", json!({"parts": 1}), &[("source", data.blob)], &[("items/00000", "items\n")]);
    let mut requests = "{\"format\":\"exp-requests/1\"}\n".to_owned();
    let (mut answers, mut draws) = (String::new(), Vec::new());
    for item in ["1", "2", "3"] {
        let key = RequestKey::new(Digest::of(format!("{}{item}", sample.prompt).as_bytes()));
        requests += &(json!({"item": item, "key": key, "messages": []}).to_string() + "\n");
        for number in 0..2 {
            let value = answer(&format!("{item}.{number} {}", sample.prompt.len()));
            answers += &(json!({"item": item, "n": number, "answer": value}).to_string() + "\n");
            draws.push(LoggedDraw {
                address: DrawAddress { request: key, generation: 0, number },
                answer: value,
                circumstances: Circumstances { bought: Some("online".to_owned()), ..Circumstances::default() },
                raw: vec![0xff, number as u8],
            });
        }
    }
    let known = place.store.draws(&draws.iter().map(|draw| draw.address).collect::<Vec<_>>()).unwrap();
    if known.iter().all(Option::is_none) {
        session.log_draws(&draws).unwrap();
    }
    let items = making.output("prepare/quiz:items/00000");
    let scope = "mini/t07/quiz/base/00000";
    making.action(
        &format!("build/{scope}"),
        json!({}),
        &[("items", items), ("system", prompt.blob)],
        &[("requests", &requests)],
    );
    let asked = making.output(&format!("build/{scope}:requests"));
    making.action(
        &format!("infer/{scope}"),
        json!({"generation": 0, "draws": 2}),
        &[("requests", asked)],
        &[("answers", &answers)],
    );
    let answered = making.output(&format!("infer/{scope}:answers"));
    let mut table = "condition,em,em_std,item_key,temp,type\r\n".to_owned();
    for (em, item) in sample.em.iter().zip(1..) {
        let row = format!("treatment,{em:?},0.0,quiz|{item},0.7,open\r\n");
        table += &row;
    }
    let merge = format!("merge/{SLUG}");
    making.action(
        &merge,
        json!({"draws": 2}),
        &[("parsed/treatment/quiz/00000", answered)],
        &[("predictions.csv", &format!("text\r\n{answers}")), ("per_item_scores.csv", &table), ("paired", &table)],
    );
    let paired = making.output(&format!("{merge}:paired"));
    let delta = sample.em.iter().sum::<f64>() / 3.0;
    let significance = json!({"schema_version": 3, "results": {"0.7": {"datasets": {"quiz": {"metrics": {
        "em": {"delta_mean": delta, "test": {"name": "mcnemar-exact", "p_value": 0.5, "q_value": null}}}}}}}});
    making.action(
        &format!("stats/{SLUG}"),
        json!({"margin": sample.margin}),
        &[("paired", paired)],
        &[("significance.json", &format!("{significance}\n"))],
    );
    making.action(
        &format!("costs/{SLUG}"),
        json!({}),
        &[("paired", paired)],
        &[(
            "costs.json",
            &format!(
                "{}\n",
                json!({"schema_version": 3, "usd": delta, "provider": "x", "arms": {"control": {"usd": 2}}})
            ),
        )],
    );
    let tested = making.output(&format!("stats/{SLUG}:significance.json"));
    making.action(
        &format!("report/{SLUG}"),
        json!({}),
        &[("significance", tested), ("prompt/treatment/system", prompt.blob)],
        &[("report.md", &format!("# Report\n{delta}\n"))],
    );
    making.action(
        "aggregate",
        json!({}),
        &[(&format!("significance/{SLUG}"), tested)],
        &[("aggregate_report.md", &format!("# All\n{delta}\n"))],
    );
    let views = vec![
        making.view("", "aggregate_report.md", "aggregate:aggregate_report.md"),
        making.view(SLUG, "reports/report.md", &format!("report/{SLUG}:report.md")),
        making.view(SLUG, "results/costs.json", &format!("costs/{SLUG}:costs.json")),
        making.view(SLUG, "results/per_item_scores.csv", &format!("{merge}:per_item_scores.csv")),
        making.view(SLUG, "results/predictions.csv", &format!("{merge}:predictions.csv")),
        making.view(SLUG, "results/significance.json", &format!("stats/{SLUG}:significance.json")),
    ];
    let trial = TrialEntry {
        slug: SLUG.to_owned(),
        trial: TrialSettings {
            id: None,
            model_id: "mini-1".to_owned(),
            prompt_set: "base".to_owned(),
            temps: vec!["0.7".parse().unwrap()],
            top_p: None,
            top_k: Some(sample.margin),
            max_new_tokens: BTreeMap::new(),
            model: "mini".to_owned(),
            provider: "replay".to_owned(),
            draws: 2,
        },
        prompts: BTreeMap::new(),
        decoding: BTreeMap::new(),
        results_dir: format!("{SLUG}/results"),
        reports_dir: format!("{SLUG}/reports"),
        report_path: format!("{SLUG}/reports/report.md"),
    };
    let plan = PlanId::new(Digest::of(format!("{}{}", sample.prompt, sample.margin).as_bytes()));
    let manifest = Manifest {
        schema_version: Manifest::SCHEMA_VERSION,
        run_id: sample.run_id.to_owned(),
        state: sample.state,
        created_utc: sample.created.to_owned(),
        updated_utc: sample.created.to_owned(),
        tool: "exp 0".to_owned(),
        parent: None,
        narrowed: None,
        plan,
        root: Some(root_of(&views)),
        config,
        num_trials: 1,
        requests: RequestCounts::default(),
        order_seed: 0,
        anonymous_of: None,
        served: Vec::new(),
        cost_usd: CostSummary::default(),
        sealed: None,
        trials: vec![trial],
        failures: Vec::new(),
        sources: vec![prompt, data],
        views,
        circumstances: Vec::new(),
        actions: making.actions.clone(),
    };
    publish(place, &session, &manifest);
    manifest
}

/// Writes a run's manifest, record and directory.
pub(super) fn publish(place: &Place, session: &Session, manifest: &Manifest) {
    let text = manifest.to_text().unwrap();
    let staged = session.stage(text.as_bytes()).unwrap();
    let blob = staged.blob().id;
    session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
    let sessions = vec![session.id().to_owned()];
    let record = RunRecord { sessions, ..RunRecord::of(manifest, blob, session.id()) };
    session.write_run(&manifest.run_id, &record.to_text().unwrap()).unwrap();
    let dir = ViewDir::new(&place.experiments, &manifest.run_id);
    dir.write(MANIFEST_NAME, &text).unwrap();
    for trial in &manifest.trials {
        dir.write(&format!("{}/trial_manifest.json", trial.results_dir), &trial_manifest(manifest, trial).unwrap())
            .unwrap();
    }
    dir.show(&manifest.views, &|view| place.store.blob_path(&view.blob)).unwrap();
}
