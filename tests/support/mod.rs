//! A project of its own for each test, and the real binary in it.

// Each test binary compiles this file anew and needs its own part of it.
#![allow(dead_code)]
// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unused_self)]
// It is not in a hurry.
#![allow(clippy::format_collect)]

pub mod bridges;
pub mod canary;
pub mod mills;
pub mod online;
pub mod strace;
pub mod stub;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use canary::{CANARY, files_with, is_in};
use serde_json::Value;

/// The variable that holds the key of the tests' own providers.
pub const KEY_ENV: &str = "OURS_KEY";

/// Is a fresh directory with a config. When it is dropped the canary is searched for in all that was written there, and it is removed.
pub struct Project {
    temp: tempfile::TempDir,
}

/// Is what a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Returns itself where the exit code is the one expected; else shows all that the command said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Parses standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr))
    }
}

impl Project {
    /// Makes an empty project.
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("home")).unwrap();
        std::fs::create_dir_all(temp.path().join("project/config")).unwrap();
        Self { temp }
    }

    /// Makes an empty project in memory where there is such a place: for tests that build dozens of times, and say
    /// nothing of what survives a power cut.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
        let temp = if room > 1 << 30 {
            tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir())
        } else {
            tempfile::tempdir()
        };
        let temp = temp.unwrap();
        std::fs::create_dir(temp.path().join("home")).unwrap();
        std::fs::create_dir_all(temp.path().join("project/config")).unwrap();
        Self { temp }
    }

    /// The project's directory.
    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("project")
    }

    /// A path below the project's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Writes `config/eval_config.yaml`.
    pub fn config(&self, text: &str) -> &Self {
        self.file("config/eval_config.yaml", text)
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Prepares the binary with these arguments: in the project's directory, with a bare environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exp"));
        command.args(args).current_dir(self.dir()).env_clear().env("HOME", self.temp.path().join("home"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in [KEY_ENV, "OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
            command.env(name, CANARY);
        }
        command
    }

    /// Runs the binary with these arguments under a limit of the shell's, as in `ulimit -f 100`.
    pub fn limited(&self, limit: &str, args: &[&str]) -> Output {
        let base = self.command(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$@\""), "sh", env!("CARGO_BIN_EXE_exp")]).args(args);
        command.current_dir(self.dir()).env_clear();
        command.envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(&mut command)
    }

    /// Where the key is to be found below the project's directory and its home; `.env` is where a person writes it.
    pub fn leaks(&self) -> Vec<PathBuf> {
        let found = files_with(self.temp.path()).into_iter();
        found.filter(|path| path.file_name().is_none_or(|name| name != ".env")).collect()
    }

    /// Runs the binary with these arguments.
    #[track_caller]
    pub fn exp(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Runs the binary with these arguments and `--json`, expects exit 0, and parses what it printed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.exp(&[args, &["--json"]].concat()).expect_code(0).json()
    }

    /// Builds everything and expects a complete run; returns what `exp build --json` printed.
    #[track_caller]
    pub fn build(&self) -> Value {
        let built = self.json(&["build"]);
        assert_eq!(built["state"], "complete", "{built:#}");
        built
    }

    /// The manifest of the run that a build printed.
    #[track_caller]
    pub fn manifest(&self, built: &Value) -> Value {
        serde_json::from_str(&self.run_file(built, "multi_trial_manifest.json")).unwrap()
    }

    /// The text of a file of the run that a build printed.
    #[track_caller]
    pub fn run_file(&self, built: &Value, name: &str) -> String {
        let path = run_dir(built).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The actions of the run that a build printed, by label.
    #[track_caller]
    pub fn actions(&self, built: &Value) -> BTreeMap<String, Action> {
        let manifest = self.manifest(built);
        let actions = manifest["actions"].as_array().unwrap().iter().map(|action| {
            let text = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
            let entry = Action { verdict: text("verdict"), reason: text("reason"), key: text("key") };
            (text("label"), entry)
        });
        actions.collect()
    }

    /// Counts the conclusions in the store's index that still hold.
    #[track_caller]
    pub fn conclusions(&self) -> u32 {
        let conn = rusqlite::Connection::open(self.path("store/index.sqlite")).unwrap();
        let holding = "SELECT count(*) FROM conclusions JOIN generation USING (epoch, changes)";
        conn.query_row(holding, [], |row| row.get(0)).unwrap()
    }

    /// The labels of the actions that this build ran (not those of earlier builds of the same run).
    #[track_caller]
    pub fn ran(&self, built: &Value) -> Vec<String> {
        let actions = self.actions(built).into_iter();
        actions.filter(|(_, action)| action.verdict == "ran").map(|(label, _)| label).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.leaks(), Vec::<PathBuf>::new(), "the key was written");
        }
    }
}

/// Is one action of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `hit`, `ran`, `failed` or `not_run`.
    pub verdict: String,
    /// Why it ran; empty where it did not.
    pub reason: String,
    /// Its key; empty where it is not known.
    pub key: String,
}

/// The directory of the run that a build printed.
#[track_caller]
pub fn run_dir(built: &Value) -> PathBuf {
    PathBuf::from(built["run_dir"].as_str().unwrap_or_else(|| panic!("no run_dir in {built:#}")))
}

/// The slugs of the trials that a build printed.
#[track_caller]
pub fn slugs(built: &Value) -> Vec<String> {
    let trials = built["trials"].as_array().unwrap_or_else(|| panic!("no trials in {built:#}"));
    trials.iter().map(|trial| trial["slug"].as_str().unwrap().to_owned()).collect()
}

/// Fails where the key is in what a command printed; what it printed is not shown then.
#[track_caller]
pub fn heard(said: &[u8]) {
    assert!(!is_in(said), "the key was printed");
}

/// Runs a command to its end; nothing that it prints may hold the key.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    heard(&output.stdout);
    heard(&output.stderr);
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Copies a directory as it is: links, modes and times.
#[track_caller]
pub fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to)).expect_code(0);
}

/// The rows of a CSV text, each by its column's name.
#[track_caller]
pub fn csv_rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

/// A path in the reference data beside the project, if it is there; else says that the test is skipped.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    println!("skipped: ../shared is absent");
    None
}
