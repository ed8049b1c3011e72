//! Faults at system calls, put there by `strace`: a kill before the Nth call, or an error in its place.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Output, Project, run};

/// Is what is done to a call.
#[derive(Clone, Copy, Debug)]
pub enum Inject {
    /// The process is killed before the Nth call of this name.
    Kill,
    /// The Nth call fails and is not made.
    Once(&'static str),
    /// The Nth call and all after it fail and are not made.
    Forever(&'static str),
}

/// Says whether `strace` can be used here; says that the test is skipped where it cannot.
pub fn is_here() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "-e", "trace=none", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            println!("skipped: strace cannot trace here: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            println!("skipped: strace: {error}");
            false
        }
    }
}

/// Is a command that was run with a fault.
pub struct Faulted {
    /// What it said and how it ended; the code is that of the program, -1 after the kill.
    pub output: Output,
    /// Whether there was an Nth call, so that the fault fired.
    pub fired: bool,
    /// The line of the trace that shows the call.
    pub call: String,
}

/// Runs `exp` in a project and puts a fault at the `n`th call of `call`, counted over all its threads (which are few: the
/// program is told to use one for computing). Only calls on `paths` count, where there are any.
#[track_caller]
pub fn faulted(project: &Project, args: &[&str], call: &str, n: usize, inject: Inject, paths: &[PathBuf]) -> Faulted {
    let log = project.path("../trace");
    let program = project.command(args);
    let what = match inject {
        Inject::Kill => format!("signal=KILL:when={n}"),
        Inject::Once(errno) => format!("error={errno}:when={n}"),
        Inject::Forever(errno) => format!("error={errno}:when={n}+"),
    };
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o"]).arg(&log);
    command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}")]);
    for path in paths {
        command.arg("-P").arg(path);
    }
    command.arg("--").arg(program.get_program()).args(program.get_args()).current_dir(project.dir()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("RAYON_NUM_THREADS", "1");
    let output = run(&mut command);
    let trace = std::fs::read_to_string(&log).unwrap();
    let call = trace.lines().find(|line| match inject {
        Inject::Kill => line.contains("+++ killed by SIGKILL +++"),
        Inject::Once(_) | Inject::Forever(_) => line.contains("(INJECTED)"),
    });
    let fired = call.is_some();
    let last = |line: &str| line.to_owned();
    let shown = match inject {
        // The call before which it died is the last one that the trace begins.
        Inject::Kill => trace.lines().rev().find(|line| line.contains('(') && !line.contains("resumed")).map(last),
        Inject::Once(_) | Inject::Forever(_) => call.map(last),
    };
    Faulted { output, fired, call: shown.unwrap_or_default() }
}

/// Lists a directory and all that stands below it, links not followed.
pub fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    let mut at = 0;
    while at < all.len() {
        let here = all[at].clone();
        if std::fs::symlink_metadata(&here).unwrap().is_dir() {
            all.extend(std::fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    all
}
