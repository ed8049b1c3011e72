//! A kill before every system call that changes something, and an error in place of each: nothing that was committed is
//! lost, nothing wrong is served, and the next build ends where an undisturbed one does.
//!
//! `EXP_SWEEP=full` visits every call, as `.ci/long` does; otherwise one in several.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use support::mills::mills;
use support::strace::{Inject, all_below, faulted, is_here};
use support::{Output, Project, copy, run_dir};

/// Are the calls that change what is on disk.
const CHANGING: [&str; 14] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "ftruncate",
    "symlink",
    "fchmod",
    "openat",
];

fn is_full() -> bool {
    std::env::var("EXP_SWEEP").is_ok_and(|mode| mode == "full")
}

fn project() -> Project {
    mills(Project::in_memory(), 3, 1)
}

/// Is an undisturbed build: its root, and the bytes of every file of its root that it shows.
struct Reference {
    root: String,
    files: BTreeMap<String, Vec<u8>>,
}

fn shown(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let reproducible = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let made = ["multi_trial_manifest.json", "trial_manifest.json", "provenance.md", "report.html"];
        path.metadata().unwrap().is_file() && !made.contains(&name)
    };
    let all = all_below(dir).into_iter().filter(|path| reproducible(path));
    all.map(|path| (path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect()
}

impl Reference {
    fn new() -> Self {
        Self::of(&project())
    }

    fn of(project: &Project) -> Self {
        let built = project.build();
        Self { root: built["root"].as_str().unwrap().to_owned(), files: shown(&run_dir(&built)) }
    }

    /// Forgets all that a build made.
    fn clear(project: &Project) {
        for dir in ["store", "experiments"] {
            std::fs::remove_dir_all(project.path(dir)).ok();
        }
    }

    /// Builds on after a fault, and compares.
    fn resume(&self, project: &Project, what: &str) {
        let (records, answers) = (records(project), answers(project));
        let built = project.exp(&["build", "--json"]);
        assert_eq!(built.code, 0, "{what}\n{}\n{}", built.stdout, built.stderr);
        let built = built.json();
        assert_eq!(built["state"], "complete", "{what}");
        assert_eq!(built["root"], self.root.as_str(), "{what}");
        assert_eq!(shown(&run_dir(&built)), self.files, "{what}");
        let hits = built["actions"]["hit"].as_u64().unwrap();
        assert!(hits >= records, "{what}: {records} actions were committed, {hits} were hits");
        let sent = built["requests"]["sent"].as_u64().unwrap();
        let total = built["requests"]["total"].as_u64().unwrap();
        assert!(
            sent + answers <= total,
            "{what}: {answers} of {total} answers were logged, {sent} were asked for again"
        );
        let audit = project.exp(&["audit"]);
        assert_eq!(audit.code, 0, "{what}\n{}", audit.stdout);
    }
}

/// Counts the records of actions that stand under their names.
fn records(project: &Project) -> u64 {
    let dir = project.path("store/actions");
    if !dir.exists() {
        return 0;
    }
    all_below(&dir).iter().filter(|path| path.is_file()).count() as u64
}

/// Counts the draws with an answer in the log, in a whole line.
fn answers(project: &Project) -> u64 {
    let dir = project.path("store/draws");
    if !dir.exists() {
        return 0;
    }
    let mut addresses = BTreeSet::new();
    for path in all_below(&dir).into_iter().filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let address = line.split_once(" {\"draw\":\"").and_then(|(_, rest)| rest.split('"').next());
            addresses.extend(address.map(str::to_owned));
        }
    }
    addresses.len() as u64
}

/// Visits the calls of each name from the first to the last: `visit` says whether there was an Nth one. Returns how many
/// faults fired, by name.
fn sweep(calls: &[&'static str], strides: &dyn Fn(&str) -> usize, visit: &mut dyn FnMut(&'static str, usize) -> bool) {
    let mut fired = BTreeMap::new();
    for &call in calls {
        let stride = if is_full() { 1 } else { strides(call) };
        // Another first call in each run of the sample would make a failure hard to repeat: it always begins at the first.
        let mut n = 1;
        while visit(call, n) {
            *fired.entry(call).or_insert(0) += 1;
            n += stride;
            assert!(n < 100_000, "{call} never ends");
        }
    }
    println!("faults that fired: {fired:?}");
    assert!(!fired.is_empty(), "no fault fired");
    for call in ["write", "pwrite64", "fsync", "renameat"] {
        assert!(!calls.contains(&call) || fired.contains_key(call), "no fault at {call} fired");
    }
}

/// Says how many calls a sample passes over, by how many of the name there are (strace counts them in each thread).
fn sampled(call: &str) -> usize {
    match call {
        "mkdirat" => 131,
        "openat" => 67,
        "fsync" | "pwrite64" | "fchmod" => 5,
        _ => 2,
    }
}

#[test]
fn a_kill_before_any_call_loses_nothing() {
    if !is_here() {
        return;
    }
    let reference = Reference::new();
    let project = project();
    sweep(&CHANGING, &sampled, &mut |call, n| {
        Reference::clear(&project);
        let build = faulted(&project, &["build"], call, n, Inject::Kill, &[]);
        if build.fired {
            reference.resume(&project, &format!("killed before {call} {n}: {}", build.call));
        } else {
            assert_eq!(build.output.code, 0, "{call} {n}: {}", build.output.stderr);
        }
        build.fired
    });
}

/// The text that `exp` prints for an error number.
fn words(errno: &str) -> &'static [&'static str] {
    match errno {
        "EIO" => &["Input/output error", "disk I/O error"],
        "ENOSPC" => &["No space left on device", "database or disk is full", "disk I/O error"],
        "EDQUOT" => &["Disk quota exceeded", "Quota exceeded", "disk I/O error", "database or disk is full"],
        "EMFILE" => &["Too many open files", "unable to open database file", "disk I/O error"],
        // SQLite alone takes an interrupted fsync for a failed one; our own calls are made again.
        "EINTR" => &["disk I/O error"],
        _ => &[],
    }
}

/// Checks how a build with an error in it ended: right, or with 7, the path and the reason; never with a panic.
fn ended_well(output: &Output, errno: &str, reference: &Reference, project: &Project, what: &str, speaks: bool) {
    assert!(!output.stderr.contains("panicked"), "{what}\n{}", output.stderr);
    match output.code {
        0 => {
            let list = project.json(&["list"]);
            let run = &list["runs"].as_array().unwrap()[0];
            assert_eq!(run["root"], reference.root.as_str(), "{what}");
        }
        7 => {
            let said = &output.stderr;
            if !speaks {
                return;
            }
            assert!(words(errno).iter().any(|words| said.contains(words)), "{what}: the reason is not said\n{said}");
            assert!(said.contains('/') || said.contains("index"), "{what}: the path is not said\n{said}");
        }
        code => panic!("{what}: exit {code}\n{}\n{}", output.stdout, output.stderr),
    }
}

/// Puts an error in place of calls: a sample the first way, or every one both ways.
fn errors(errno: &'static str, ways: [fn(&'static str) -> Inject; 2]) {
    if !is_here() {
        return;
    }
    let reference = Reference::new();
    for make in &ways[..if is_full() { 2 } else { 1 }] {
        errors_made(errno, *make, &reference);
    }
}

fn errors_made(errno: &'static str, make: fn(&'static str) -> Inject, reference: &Reference) {
    let project = project();
    // The loader's files are not ours: only what is in the project counts where files are opened.
    project.build();
    let paths = all_below(&project.dir());
    let calls: Vec<&'static str> = CHANGING.into_iter().filter(|call| *call != "fchmod").collect();
    sweep(&calls, &|call| 2 * sampled(call), &mut |call, n| {
        Reference::clear(&project);
        let on: &[_] = if call == "openat" { &paths } else { &[] };
        let build = faulted(&project, &["build"], call, n, make(errno), on);
        if build.fired {
            let what = format!("{errno} at {call} {n}: {}", build.call);
            // What cannot be printed is not said: a terminal that is gone is no fault of the disk.
            if !build.call.contains("write(1<") && !build.call.contains("write(2<") {
                // Where no call to write comes through, nothing is printed either.
                let speaks = call != "write" || matches!(make(errno), Inject::Once(_));
                ended_well(&build.output, errno, reference, &project, &what, speaks);
            }
            reference.resume(&project, &what);
        }
        build.fired
    });
}

#[test]
fn an_input_output_error() {
    errors("EIO", [Inject::Once, Inject::Forever]);
}

#[test]
fn a_full_disk() {
    errors("ENOSPC", [Inject::Forever, Inject::Once]);
}

#[test]
fn a_quota() {
    errors("EDQUOT", [Inject::Once, Inject::Forever]);
}

#[test]
fn too_many_files() {
    errors("EMFILE", [Inject::Once, Inject::Forever]);
}

/// SQLite does not say why it cannot open its file, and takes one that it can only read: each opening of it, in a sample too.
#[test]
fn an_index_that_cannot_be_opened_once_is_opened_again() {
    if !is_here() {
        return;
    }
    let reference = Reference::new();
    let project = project();
    let index = [project.path("store/index.sqlite")];
    for errno in ["EIO", "EDQUOT"] {
        sweep(&["openat"], &|_| 1, &mut |call, n| {
            Reference::clear(&project);
            let build = faulted(&project, &["build"], call, n, Inject::Once(errno), &index);
            let what = format!("{errno} at opening {n} of the index: {}\n{}", build.call, build.output.stderr);
            assert_eq!(build.output.code, 0, "{what}");
            reference.resume(&project, &what);
            build.fired
        });
    }
}

#[test]
fn an_interrupted_call_is_made_again() {
    if !is_here() {
        return;
    }
    let reference = Reference::new();
    let project = project();
    project.build();
    let paths = all_below(&project.dir());
    sweep(
        &["write", "pwrite64", "fsync", "fdatasync", "openat", "ftruncate"],
        &|call| 2 * sampled(call),
        &mut |call, n| {
            Reference::clear(&project);
            let on: &[_] = if call == "openat" { &paths } else { &[] };
            let build = faulted(&project, &["build"], call, n, Inject::Once("EINTR"), on);
            if build.fired {
                let what = format!("EINTR at {call} {n}: {}", build.call);
                ended_well(&build.output, "EINTR", &reference, &project, &what, true);
                if build.output.code != 0 {
                    reference.resume(&project, &what);
                }
            }
            build.fired
        },
    );
}

/// Large groups are made durable by one sync of the file system: a fault there is like one at any file's.
#[test]
fn a_fault_where_a_group_is_synced_as_one_loses_nothing() {
    let parts = || mills(Project::new(), 24, 24);
    let project = parts();
    let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(project.dir()).output().unwrap();
    let kind = String::from_utf8(kind.stdout).unwrap();
    if !is_here() || !["ext2/ext3", "xfs", "btrfs"].contains(&kind.trim()) {
        println!("skipped: where temporary files are ({}), or without strace, no file system is synced", kind.trim());
        return;
    }
    let reference = Reference::of(&parts());
    for inject in [Inject::Kill, Inject::Once("EIO")] {
        sweep(&["syncfs"], &|_| 4, &mut |call, n| {
            Reference::clear(&project);
            // It is done only while little else waits to be written.
            assert!(Command::new("sync").arg("-f").arg(project.dir()).status().unwrap().success());
            let build = faulted(&project, &["build"], call, n, inject, &[]);
            if build.fired {
                let what = format!("{inject:?} at {call} {n}: {}", build.call);
                if let Inject::Once(errno) = inject {
                    assert_eq!(build.output.code, 7, "{what}\n{}\n{}", build.output.stdout, build.output.stderr);
                    ended_well(&build.output, errno, &reference, &project, &what, true);
                }
                reference.resume(&project, &what);
            } else {
                assert_eq!(build.output.code, 0, "{call} {n}: {}", build.output.stderr);
            }
            build.fired
        });
    }
}

/// Is a project with all that an archive, a collection and a cleaning have to do: two finished runs, and one that died.
struct Full {
    project: Project,
    root: String,
}

impl Full {
    fn new() -> Self {
        let project = project();
        project.file("prompts/brief.txt", "Answer shortly.\n");
        project.build();
        project.file("prompts/brief.txt", "Answer in a word.\n");
        let is_interrupted = |n: usize| {
            assert!(faulted(&project, &["build"], "renameat", n, Inject::Kill, &[]).fired, "no build died in between");
            project.exp(&["list"]).expect_code(0).stdout.contains("interrupted")
        };
        assert!((8..40).any(is_interrupted), "no build died while its run was at work");
        project.file("prompts/brief.txt", "Answer briefly.\n");
        let built = project.json(&["build", "--run-id", "last"]);
        for dir in ["store", "experiments"] {
            copy(&project.path(dir), &project.path(&format!("saved-{dir}")));
        }
        Self { project, root: built["root"].as_str().unwrap().to_owned() }
    }

    fn restore(&self) {
        for dir in ["store", "experiments"] {
            std::fs::remove_dir_all(self.project.path(dir)).unwrap();
            copy(&self.project.path(&format!("saved-{dir}")), &self.project.path(dir));
        }
    }

    /// Checks that nothing of the last run was lost, and that the next build has nothing to do.
    fn is_whole(&self, what: &str) {
        let audit = self.project.exp(&["audit", "last"]);
        assert_eq!(audit.code, 0, "{what}\n{}{}", audit.stdout, audit.stderr);
        let built = self.project.json(&["build"]);
        assert_eq!((&built["root"], &built["requests"]["sent"]), (&self.root.as_str().into(), &0.into()), "{what}");
        assert_eq!(built["up_to_date"], true, "{what}");
    }
}

/// Kills a command before each of its calls, and does it again: it ends as if nothing had been.
fn killed_anywhere(args: &[&str], ended: impl Fn(&Project, &str)) {
    if !is_here() {
        return;
    }
    let full = Full::new();
    let mut fired = 0;
    for call in CHANGING {
        let stride = if is_full() { 1 } else { 6 * sampled(call) };
        let mut n = 1;
        loop {
            full.restore();
            let command = faulted(&full.project, args, call, n, Inject::Kill, &[]);
            if !command.fired {
                assert_eq!(command.output.code, 0, "{call} {n}: {}", command.output.stderr);
                break;
            }
            fired += 1;
            let what = format!("{args:?} killed before {call} {n}: {}", command.call);
            full.is_whole(&what);
            let again = full.project.exp(args);
            assert_eq!(again.code, 0, "{what}\n{}{}", again.stdout, again.stderr);
            full.is_whole(&what);
            // Before that a run may be half let go.
            let verified = full.project.exp(&["verify"]);
            assert_eq!(verified.code, 0, "{what}\n{}{}", verified.stdout, verified.stderr);
            ended(&full.project, &what);
            n += stride;
        }
    }
    println!("{fired} kills of {args:?}");
    assert!(fired >= 5, "{fired} kills fired");
}

#[test]
fn an_archive_that_is_cut_short_is_none_and_is_written_again() {
    killed_anywhere(&["archive", "last", "--experiment-name", "a"], |project, what| {
        let audit = project.exp(&["audit", "a"]);
        assert_eq!(audit.code, 0, "{what}\n{}", audit.stdout);
        project.exp(&["clean", "--yes"]).expect_code(0);
        let names: Vec<String> = all_below(&project.path("experiments/archives"))
            .iter()
            .skip(1)
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.tar.zst"], "{what}");
    });
}

#[test]
fn a_collection_that_is_cut_short_is_finished_by_the_next() {
    killed_anywhere(&["gc", "--yes", "--keep-last", "1", "--grace", "0"], |project, what| {
        let left = project.json(&["gc", "--grace", "0"]);
        // What the dead one was holding goes with the next one.
        assert_eq!(left["plan"]["blobs"]["count"], 0, "{what}: {left:#}");
    });
}

#[test]
fn a_cleaning_that_is_cut_short_is_finished_by_the_next() {
    killed_anywhere(&["clean", "--yes"], |project, what| {
        let again = project.exp(&["clean", "--dry-run"]).expect_code(0).stdout;
        assert!(again.contains("nothing to"), "{what}: {again}");
    });
}

#[test]
fn what_is_forgotten_halfway_is_no_damage_and_goes_with_the_next_call() {
    if !is_here() {
        return;
    }
    let full = Full::new();
    let args = ["forget", "--dataset", "mills", "--item", "1", "--yes"];
    let mut fired = 0;
    for call in ["unlinkat", "openat", "renameat", "fsync", "pwrite64", "unlink"] {
        let mut n = 1;
        loop {
            full.restore();
            let command = faulted(&full.project, &args, call, n, Inject::Kill, &[]);
            if !command.fired {
                break;
            }
            fired += 1;
            let what = format!("killed before {call} {n}: {}", command.call);
            full.project.exp(&args).expect_code(0);
            for check in [["audit", "last"].as_slice(), &["verify"]] {
                let checked = full.project.exp(check);
                assert_eq!(checked.code, 0, "{what}: {check:?}\n{}{}", checked.stdout, checked.stderr);
            }
            let left = all_below(&full.project.path("store")).into_iter().filter(|path| path.is_file());
            let holding = left
                .filter(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains("Who built mill 1?"));
            assert_eq!(holding.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "{what}");
            n += if is_full() { 1 } else { 3 * sampled(call) };
        }
    }
    println!("{fired} kills");
    assert!(fired >= 5);
}
