//! Builds and collections at once on one store: nothing that a build relies on goes, and each request is sent once.
//!
//! `EXP_GC_ROUNDS` says how many rounds there are of eight builds and a collection that never ends (2 unless set), and that
//! all stops of the other two tests are visited (one in several, unless set).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::mills::{config, mills};
use support::{Output, Project, copy, run_dir};

const ITEMS: u64 = 24;
const BUILDS: usize = 8;
const COLLECT: [&str; 6] = ["gc", "--yes", "--keep-last", "1", "--grace", "0"];

fn rounds() -> Option<u64> {
    std::env::var("EXP_GC_ROUNDS").ok().map(|text| text.parse().unwrap())
}

fn lines(project: &Project, kind: &str) -> usize {
    let segments = std::fs::read_dir(project.path("store/draws")).unwrap().map(|entry| entry.unwrap().path());
    segments.map(|path| std::fs::read_to_string(path).unwrap().matches(kind).count()).sum()
}

fn build(project: &Project) -> Child {
    let mut command = project.command(&["build", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn builds_and_collections_do_not_get_in_each_others_way() {
    let rounds = rounds().unwrap_or(2);
    let project = mills(Project::in_memory(), ITEMS as u32, 4);
    let two = config(4).replace("{brief: prompts/brief.txt}", "{one: prompts/one.txt, two: prompts/two.txt}");
    project.config(&two);
    let (mut expected, mut sent, mut all_collections) = (ITEMS, 0, 0);
    for round in 0..rounds {
        // What earlier rounds made is garbage as far as this one's runs are let go.
        project.file("prompts/one.txt", format!("Answer briefly, {round}.\n"));
        project.file("prompts/two.txt", format!("Answer at length, {round}.\n"));
        expected += 2 * ITEMS;
        let (ended, collections) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let collected = project.exp(&COLLECT);
                    // A run may change between the plan and its execution: then nothing of it goes.
                    let is_done = collected.code == 0 || collected.stderr.contains("changed meanwhile");
                    assert!(is_done, "{}\n{}", collected.stdout, collected.stderr);
                    collections.fetch_add(1, Ordering::Relaxed);
                }
            });
            let builds: Vec<Child> = (0..BUILDS).map(|_| build(&project)).collect();
            let outputs: Vec<_> = builds.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
            ended.store(true, Ordering::Relaxed);
            for output in outputs {
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "round {round}: {stderr}");
                let built: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(built["state"], "complete", "{built:#}");
                sent += built["requests"]["sent"].as_u64().unwrap();
            }
        });
        assert_eq!(
            (sent, lines(&project, "{\"draw\":") as u64, lines(&project, "{\"surplus\":")),
            (expected, expected, 0)
        );
        project.exp(&["audit"]).expect_code(0);
        all_collections += collections.load(Ordering::Relaxed);
    }
    println!("{rounds} rounds of {BUILDS} builds, {all_collections} collections, {sent} requests sent, each once");
    project.exp(&["verify"]).expect_code(0);
    // The negative control: without a run that names them, all of it goes.
    let before = project.json(&["gc", "--grace", "0"]);
    for entry in std::fs::read_dir(project.path("store/runs")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let after = project.json(&["gc", "--grace", "0"]);
    assert!(after["plan"]["blobs"]["count"].as_u64() > before["plan"]["blobs"]["count"].as_u64().map(|n| n + 20));
}

/// Is a command that stops before its Nth call of one name, as if the scheduler had forgotten it, until it is let go.
struct Stopped {
    strace: Child,
    /// The program's number where it stopped; none where it ended before.
    program: Option<Pid>,
}

impl Stopped {
    fn new(project: &Project, args: &[&str], call: &str, n: usize) -> Self {
        let log = project.path("../stops");
        std::fs::remove_file(&log).ok();
        let program = project.command(args);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:signal=STOP:when={n}"), "--"]);
        command.arg(program.get_program()).args(program.get_args()).current_dir(project.dir()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut strace = command.spawn().unwrap();
        let since = Instant::now();
        let program = loop {
            let has_ended = strace.try_wait().unwrap().is_some();
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("--- stopped by SIGSTOP ---") {
                break Some(traced(&strace));
            }
            if has_ended {
                break None;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{args:?} neither stops at {call} {n} nor ends");
            std::thread::sleep(Duration::from_millis(2));
        };
        Self { strace, program }
    }

    /// Lets the program go on, and waits for its end.
    fn go_on(mut self) -> Output {
        // Each of its threads has an Nth call.
        while let Some(program) = self.program
            && self.strace.try_wait().unwrap().is_none()
        {
            let _ = kill_process(program, Signal::CONT);
            std::thread::sleep(Duration::from_millis(10));
        }
        ended(self.strace)
    }
}

/// Finds the program that `strace` runs.
fn traced(strace: &Child) -> Pid {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", strace.id())).unwrap();
    let number = children.split_whitespace().next_back().unwrap();
    Pid::from_raw(number.parse().unwrap()).unwrap()
}

fn ended(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for a build, but no longer than `patience`: it may wait for a lock that the stopped one has.
fn wait(child: &mut Child, patience: Duration) {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() && since.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a project whose store holds two builds, of which the older one may go; its prompt is `old`. Where its run is not kept,
/// what it is made of is garbage, and a build with that prompt has everything to show and nothing to ask.
fn with_garbage(keeps_run: bool) -> Project {
    let project = mills(Project::in_memory(), 6, 1);
    project.file("prompts/brief.txt", "old\n");
    let old = project.build();
    project.file("prompts/brief.txt", "new\n");
    project.build();
    if !keeps_run {
        std::fs::remove_dir_all(run_dir(&old)).unwrap();
        std::fs::remove_file(project.path("store/runs").join(old["run_id"].as_str().unwrap())).unwrap();
    }
    copy(&project.path("store"), &project.path("saved"));
    copy(&project.path("experiments"), &project.path("shown"));
    project
}

/// Makes all of it as it was, whatever became of it in the last round.
fn again(project: &Project) {
    for (from, to) in [("saved", "store"), ("shown", "experiments")] {
        std::fs::remove_dir_all(project.path(to)).unwrap();
        copy(&project.path(from), &project.path(to));
    }
}

/// Checks that the build is complete, asked nothing again, and lost nothing to the collection.
fn is_whole(project: &Project, built: &Output, collected: &Output, what: &str) {
    assert_eq!(built.code, 0, "{what}\n{}{}", built.stdout, built.stderr);
    let built = built.json();
    assert_eq!((&built["state"], &built["requests"]["sent"]), (&"complete".into(), &0.into()), "{what}");
    let is_done = collected.code == 0 || collected.stderr.contains("changed meanwhile");
    assert!(is_done, "{what}\n{}{}", collected.stdout, collected.stderr);
    let audit = project.exp(&["audit", built["run_id"].as_str().unwrap()]);
    // A build that found everything done holds nothing: its run may be let go as soon as it has been named.
    let is_gone = built["up_to_date"] == true && audit.code == 2 && audit.stderr.contains("no run");
    assert!(audit.code == 0 || is_gone, "{what}\n{}{}", audit.stdout, audit.stderr);
    let verified = project.exp(&["verify"]);
    assert_eq!(verified.code, 0, "{what}\n{}{}", verified.stdout, verified.stderr);
}

/// Visits the calls of each name from the first to the last that there is; returns how many there were.
fn visit(calls: &[(&'static str, usize)], visit: impl Fn(&'static str, usize) -> bool) {
    let mut stops = 0;
    for (call, stride) in calls {
        let mut n = 1;
        while visit(call, n) {
            stops += 1;
            n += if rounds().is_some() { 1 } else { *stride };
        }
    }
    println!("{stops} stops");
    assert!(stops >= calls.len(), "there was no stop at some call: nothing was forced");
}

#[test]
fn a_collection_that_stops_anywhere_takes_nothing_from_a_build_that_begins_then() {
    if !support::strace::is_here() {
        return;
    }
    let calls = [("flock", 3), ("unlinkat", 9), ("pwrite64", 11), ("getdents64", 211)];
    for (project, calls) in
        [(with_garbage(true), [&calls[..], &[("unlink", 9)]].concat()), (with_garbage(false), calls.to_vec())]
    {
        visit(&calls, |call, n| {
            again(&project);
            let collection = Stopped::new(&project, &COLLECT, call, n);
            let is_stopped = collection.program.is_some();
            // All that the collection is about to take is what this build is made of.
            project.file("prompts/brief.txt", "old\n");
            let mut build = build(&project);
            if is_stopped {
                wait(&mut build, Duration::from_millis(400));
            }
            let collected = collection.go_on();
            let built = ended(build);
            is_whole(&project, &built, &collected, &format!("the collection stopped before {call} {n}"));
            is_stopped
        });
    }
}

#[test]
fn a_build_that_stops_anywhere_loses_nothing_to_a_collection() {
    if !support::strace::is_here() {
        return;
    }
    let project = with_garbage(false);
    let calls = [("flock", 7), ("renameat", 5), ("pwrite64", 13), ("write", 5), ("fsync", 7), ("symlinkat", 5)];
    visit(&calls, |call, n| {
        again(&project);
        project.file("prompts/brief.txt", "old\n");
        let build = Stopped::new(&project, &["build", "--json"], call, n);
        let is_stopped = build.program.is_some();
        let mut command = project.command(&COLLECT);
        let mut collection = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if is_stopped {
            wait(&mut collection, Duration::from_millis(400));
        }
        let built = build.go_on();
        let collected = ended(collection);
        is_whole(&project, &built, &collected, &format!("the build stopped before {call} {n}"));
        is_stopped
    });
}
