//! A project that asks a server of ours, with the canary for a key.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::{KEY_ENV, Output, Project, csv_rows, run_dir};

/// US dollars for a million tokens, in [`Online::config`].
pub const INPUT: f64 = 0.5;
pub const OUTPUT: f64 = 2.0;

/// Says what a config is made of; what is not said is as plain as can be.
#[derive(Clone)]
pub struct Setup {
    pub items: usize,
    /// Treatments beside the control.
    pub sets: usize,
    pub kind: &'static str,
    /// What comes after the origin in `base_url`.
    pub path: &'static str,
    /// Further keys of the provider, as in a flow mapping: `max_attempts: 3, …`.
    pub provider: String,
    /// Further keys of the model.
    pub model: String,
    /// Further lines of the config.
    pub more: String,
    pub decoding: &'static str,
    pub identity: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            items: 4,
            sets: 1,
            kind: "openai",
            path: "/v1",
            provider: String::new(),
            model: String::new(),
            more: String::new(),
            decoding: "{temperature: 0, max_output_tokens: 16}",
            identity: Some("ours"),
        }
    }
}

impl Setup {
    /// The config for a server at this origin.
    pub fn config(&self, origin: &str) -> String {
        let Self { kind, path, provider, model, more, decoding, sets, .. } = self;
        let identity = self.identity.map(|identity| format!("identity: {identity}, ")).unwrap_or_default();
        let sets: String = (0..*sets).map(|n| format!("  s{n}: prompts/{n}.txt\n")).collect();
        format!(
            "version: 1\n\
             providers:\n  ours: {{kind: {kind}, base_url: '{origin}{path}', {identity}api_key_env: {KEY_ENV}{}}}\n\
             models:\n  - {{name: m, provider: ours, model: ours, price: {{input: {INPUT}, output: {OUTPUT}, as_of: '2026-11-23'}}{}}}\n\
             decoding: {decoding}\n\
             datasets:\n  d: {{path: data/d.jsonl, fields: {{id: id, question: question, answers: answers}}}}\n\
             control: prompts/control.txt\n\
             prompt_sets:\n{sets}{more}",
            comma(provider),
            comma(model),
        )
    }
}

fn comma(more: &str) -> String {
    if more.is_empty() { String::new() } else { format!(", {more}") }
}

/// Is a project whose config names a server.
pub struct Online {
    pub project: Project,
}

impl Online {
    /// Makes a project in memory that asks a server at this origin.
    pub fn new(setup: &Setup, origin: &str) -> Self {
        Self::within(Project::in_memory(), setup, origin)
    }

    /// Makes one on a disk.
    pub fn on_disk(setup: &Setup, origin: &str) -> Self {
        Self::within(Project::new(), setup, origin)
    }

    fn within(project: Project, setup: &Setup, origin: &str) -> Self {
        let items: String = (0..setup.items)
            .map(|n| {
                let question =
                    format!("Which mill by the river did the miller <<i{n}>> of Aldermoor build in {}?", 1700 + n);
                format!(
                    "{}\n",
                    serde_json::json!({"id": format!("i{n}"), "question": question, "answers": ["Aldermoor"]})
                )
            })
            .collect();
        project.file("data/d.jsonl", items).file("prompts/control.txt", "Answer.");
        for n in 0..setup.sets {
            project.file(&format!("prompts/{n}.txt"), format!("Answer in at most {} words.", n + 1));
        }
        project.config(&setup.config(origin));
        Self { project }
    }

    /// The binary with these arguments and the key in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        self.project.command(args)
    }

    /// Runs the binary.
    #[track_caller]
    pub fn exp(&self, args: &[&str]) -> Output {
        self.project.exp(args)
    }

    /// Builds with `--yes --json` and expects this exit code; returns what was printed.
    #[track_caller]
    pub fn build(&self, code: i32, args: &[&str]) -> Value {
        self.exp(&[&["build", "--yes", "--json"], args].concat()).expect_code(code).json()
    }

    /// The rows of predictions.csv of the only trial, or of the first.
    #[track_caller]
    pub fn predictions(&self, built: &Value) -> Vec<BTreeMap<String, String>> {
        csv_rows(&self.predictions_text(built))
    }

    /// The text of predictions.csv of the only trial, or of the first.
    #[track_caller]
    pub fn predictions_text(&self, built: &Value) -> String {
        let slug = built["trials"][0]["slug"].as_str().unwrap_or_else(|| panic!("no trial in {built:#}"));
        let path = run_dir(built).join(slug).join("results/predictions.csv");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
