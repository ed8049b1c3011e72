//! A project that asks a server of ours, with the canary for a key; when it is dropped, the canary is searched for in all
//! that it wrote and said.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

use super::canary::{CANARY, files_with, forms, is_in};
use super::{Output, Project, csv_rows, run, run_dir};

/// US dollars for a million tokens, in [`Online::config`].
pub const INPUT: f64 = 0.5;
pub const OUTPUT: f64 = 2.0;
/// The variable that holds the key.
pub const KEY_ENV: &str = "OURS_KEY";

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

/// Is a project and all that was said in it.
pub struct Online {
    pub project: Project,
    said: Mutex<Vec<u8>>,
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
        Self { project, said: Mutex::default() }
    }

    /// The binary with these arguments and the key in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env(KEY_ENV, CANARY);
        command
    }

    /// Runs the binary, and keeps what it says.
    #[track_caller]
    pub fn exp(&self, args: &[&str]) -> Output {
        let output = run(&mut self.command(args));
        self.heard(output.stdout.as_bytes());
        self.heard(output.stderr.as_bytes());
        output
    }

    /// Keeps what a process said that a test ran by itself.
    pub fn heard(&self, said: &[u8]) {
        self.said.lock().unwrap().extend_from_slice(said);
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

    /// Where the key is to be found below the project's directory and its home.
    pub fn leaks(&self) -> Vec<String> {
        let root = self.project.dir();
        let root = root.parent().unwrap();
        let mut leaks: Vec<String> = files_with(root, CANARY).iter().map(|path| path.display().to_string()).collect();
        if is_in(&self.said.lock().unwrap(), &forms(CANARY)) {
            leaks.push("what was printed".to_owned());
        }
        leaks
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.leaks(), Vec::<String>::new(), "the key was written or printed");
        }
    }
}
