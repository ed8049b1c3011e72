use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::ask::AskError;
use crate::config::Config;
use crate::engine::NodeFailure;
use crate::flow::StopFlag;
use crate::plan::{ExternalParams, From, NodeIndex, Plan};
use crate::step::{InputProblem, StepError};
use crate::store::Store;

/// Is how much an executable may say of one part.
const MOST_OUTPUT: u64 = 1 << 30;
/// Is how much of its complaints is shown.
const MOST_WORDS: usize = 2000;
/// Is how often its end, its time limit and a wish to stop are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Is how long its pipes may stay open after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the executable of a scorer: it and the files that it reads are put into an empty directory, where it is told of answers on its
/// standard input and says scores on its standard output. It sees the variables of the config, and `PATH`.
///
/// It is killed, with all that it started, after its time limit, and when the build is to stop.
pub fn run(
    config: &Config,
    plan: &Plan,
    store: &Store,
    stop: &StopFlag,
    node: NodeIndex,
    told: Vec<u8>,
) -> Result<Vec<u8>, NodeFailure> {
    let node = plan.graph.node(node);
    let params: ExternalParams = node.params.read()?;
    let problem = |message: String, remedy: &str| -> NodeFailure {
        StepError::Inputs(vec![InputProblem {
            file: format!("the scorer `{}`", params.name),
            line: None,
            column: None,
            source_line: None,
            message,
            remedy: remedy.to_owned(),
        }])
        .into()
    };
    let cannot =
        |what: &str, error: &std::io::Error| problem(format!("{what}: {error}"), "free space, or mend the file");
    let dir = tempfile::tempdir().map_err(|error| cannot("it has no place to work in", &error))?;
    let mut program = None;
    for (name, from) in &node.inputs {
        let Some((kind, path)) = name.split_once('/').filter(|(kind, _)| matches!(*kind, "program" | "file")) else {
            continue;
        };
        let From::Source(at) = from else { continue };
        let blob = plan.graph.sources()[*at as usize].blob;
        let bytes = store.read(&blob).map_err(|error| NodeFailure::Store(error.into()))?;
        let path = dir.path().join(path);
        put(&path, &bytes, kind == "program").map_err(|error| cannot("a file cannot be given to it", &error))?;
        if kind == "program" {
            program = Some(path);
        }
    }
    let Some(program) = program else { return Err(problem("it names no executable".to_owned(), "write `command:`")) };
    let mut command = Command::new(&program);
    command.args(&params.arguments).current_dir(dir.path()).env_clear().envs(&params.environment);
    // One that the config declares is an input, and is what it sees.
    if !params.environment.contains_key("PATH")
        && let Some(path) = std::env::var_os("PATH")
    {
        command.env("PATH", path);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = spawn(&mut command).map_err(|error| {
        problem(format!("it cannot be started: {error}"), "does it begin with `#!`, and is that here?")
    })?;
    // A label ends with dataset, arm and scorer.
    let dataset = node.scope.rsplit('/').nth(2).and_then(|name| config.datasets.get(name));
    let external = dataset.and_then(|dataset| dataset.externals.iter().find(|external| external.name == params.name));
    let Some(limit) = external.map(|external| external.time_limit) else {
        return Err(problem("the config does not name it".to_owned(), "write it among the `scorers:` of its dataset"));
    };
    let (end, said, words) = converse(&mut child, told, limit, stop);
    match end {
        End::Stopped => Err(AskError::Stopped.into()),
        End::TooLong => {
            let message = format!("it was not done after {} s, and was killed", limit.as_secs_f64());
            Err(problem(
                message,
                "`time_limit: 30m` gives it more; smaller parts (`lines_per_part`) give it less to do",
            ))
        }
        End::Held => {
            let message = "it ended, and something that it started holds its output open".to_owned();
            Err(problem(message, "let it wait for what it starts"))
        }
        End::Unknown(error) => Err(problem(format!("its end cannot be seen: {error}"), "build again")),
        // Nobody hears it any more then, and it ends with a broken pipe.
        End::Ended(_) if said.len() as u64 > MOST_OUTPUT => {
            Err(problem("it said more than 1 GiB".to_owned(), "it writes one short line for each answer"))
        }
        End::Ended(status) if status.success() => Ok(said),
        End::Ended(status) => {
            let words = String::from_utf8_lossy(&words);
            Err(problem(format!("it failed ({status}): {}", words.trim()), "mend it; `exp build` runs it again"))
        }
    }
}

enum End {
    Ended(ExitStatus),
    TooLong,
    Stopped,
    /// It ended, and its output did not.
    Held,
    Unknown(std::io::Error),
}

fn put(path: &Path, bytes: &[u8], is_program: bool) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes)?;
    let mode = if is_program { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Starts it. A file that was written a moment ago is busy as long as a process that was forked meanwhile has not become another.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < 100 => {
                tries += 1;
                std::thread::sleep(LOOK);
            }
            other => return other,
        }
    }
}

/// Tells it all, hears all, and waits for its end.
///
/// What it started in a session of its own is out of reach, and may hold its pipes open for ever: the threads that hear are
/// left to that after a while.
fn converse(child: &mut Child, told: Vec<u8>, limit: Duration, stop: &StopFlag) -> (End, Vec<u8>, Vec<u8>) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // It may say what it likes before it has heard all, and need not hear it all.
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&told)));
    let said = hearing(move || heard(stdout, MOST_OUTPUT + 1));
    let words = hearing(move || last_words(stderr));
    let started = Instant::now();
    let end = loop {
        match child.try_wait() {
            Ok(Some(status)) => break End::Ended(status),
            Ok(None) if stop.is_raised() => break End::Stopped,
            Ok(None) if started.elapsed() > limit => break End::TooLong,
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => break End::Unknown(error),
        }
    };
    let group = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    drop(child.wait());
    let words = words.recv_timeout(LAST_WORDS).unwrap_or_default();
    match (end, said.recv_timeout(LAST_WORDS)) {
        (end, Ok(said)) => (end, said, words),
        (End::Ended(status), Err(_)) if status.success() => (End::Held, Vec::new(), words),
        (end, Err(_)) => (end, Vec::new(), words),
    }
}

/// Hears in a thread of its own, and hands over what it heard.
fn hearing(hear: impl FnOnce() -> Vec<u8> + Send + 'static) -> Receiver<Vec<u8>> {
    let (heard, hearer) = channel();
    // Whoever waited may have left.
    std::thread::spawn(move || drop(heard.send(hear())));
    hearer
}

/// Hears all, and keeps the end of it.
fn last_words(from: Option<impl Read>) -> Vec<u8> {
    let (mut words, mut chunk) = (Vec::new(), [0; 4096]);
    let Some(mut from) = from else { return words };
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        words.extend_from_slice(&chunk[..n]);
        words.drain(..words.len().saturating_sub(MOST_WORDS));
    }
    words
}

fn heard(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(from) = from {
        // A pipe that breaks is the process's end, which is told by its status.
        drop(from.take(most).read_to_end(&mut all));
    }
    all
}
