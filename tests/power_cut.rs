//! Power cuts: a file system in a file is shut down at a random moment of a build, as if the current had gone, and mounted
//! again. What `exp` had said is complete must be there, whole, and serve.
//!
//! Needs root, loop mounts, `python3` (for one ioctl), and the makers of the file systems; says what it lacks and passes
//! over that. `EXP_POWER_CUTS` says how many cuts (20 unless set), `EXP_POWER_SEED` where to begin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use support::mills::mills;
use support::{Project, run};

/// Is how many builds are made before the one that is cut, at most.
const BEFORE: u64 = 3;

fn cuts() -> u64 {
    std::env::var("EXP_POWER_CUTS").map_or(20, |cuts| cuts.parse().unwrap())
}

/// Makes the project. In many parts, its groups of files are so large that the file system is synced as one for them; in
/// few, each file is synced by itself.
fn project(parts: u32) -> Project {
    mills(Project::in_memory(), 24, parts)
}

/// Says in how many parts a round is.
fn parts(seed: u64) -> u32 {
    if seed.is_multiple_of(2) { 3 } else { 24 }
}

/// Writes the project as it is for its build number `n`.
fn edit(project: &Project, n: u64) {
    project.file("prompts/brief.txt", format!("Answer briefly, version {n}.\n"));
}

/// Is a file system in a file, mounted; it is unmounted when dropped.
struct Disk {
    dir: tempfile::TempDir,
    /// What its file is on, where the kind cannot be shut down by itself.
    below: Option<Box<Disk>>,
}

impl Disk {
    /// Makes and mounts one; `Err` says why that cannot be done here.
    fn new(kind: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        // btrfs is cut by cutting the disk that it is on: what it has not flushed is lost as in the cache of a drive.
        let below = if kind == "btrfs" { Some(Box::new(Self::new("ext4")?)) } else { None };
        let disk = Self { dir, below };
        let size = if disk.below.is_some() { 300 << 20 } else { 400 << 20 };
        std::fs::File::create(disk.image()).unwrap().set_len(size).unwrap();
        std::fs::create_dir(disk.at()).unwrap();
        let maker = format!("mkfs.{kind}");
        call(Command::new(&maker).arg("-q").arg(disk.image())).map_err(|why| format!("{maker}: {why}"))?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.below.as_ref().map_or_else(|| self.dir.path().to_owned(), |below| below.at()).join("image")
    }

    fn at(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn mount(&self) -> Result<(), String> {
        call(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(self.at()))
            .map_err(|why| format!("mount: {why}"))
    }

    /// Stops the file system: nothing that was not synced survives (`2`), or its names do and their bytes do not (`1`).
    fn cut(&self, how: u32) {
        if let Some(below) = &self.below {
            return below.cut(how);
        }
        let code = "import fcntl, os, struct, sys\n\
                    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', int(sys.argv[2])))";
        call(Command::new("python3").args(["-c", code]).arg(self.at()).arg(how.to_string())).unwrap();
    }

    fn remount(&self) {
        // Those that were killed may not be gone yet.
        let mut tries = 0;
        while let Err(why) = call(Command::new("umount").arg(self.at())) {
            assert!(tries < 100, "{why}");
            tries += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        // Whoever made a mount namespace meanwhile keeps the file system, shut down as it is, and would pass it on.
        let attached =
            || Command::new("losetup").arg("-j").arg(self.image()).output().is_ok_and(|o| !o.stdout.is_empty());
        while attached() {
            assert!(tries < 600, "{} is still in use", self.image().display());
            tries += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(below) = &self.below {
            below.remount();
        }
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.at()).stderr(Stdio::null()).status());
    }
}

fn call(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Prepares `exp` with its store and its views on a disk.
fn exp(project: &Project, disk: &Path, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("EXP_STORE", disk.join("store")).arg("--experiments-dir").arg(disk.join("experiments"));
    command
}

/// Wraps a command so that every fsync says that it is done, and nothing is.
fn lying(command: &Command) -> Command {
    let mut wrapped = Command::new("strace");
    wrapped.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,syncfs"]);
    wrapped
        .args(["-e", "inject=fsync,fdatasync,syncfs:retval=0", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped.current_dir(command.get_current_dir().unwrap()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// Is a build that said it was complete.
struct Acknowledged {
    number: u64,
    run_id: String,
    root: String,
}

/// Is a small stream of numbers (splitmix64).
struct Stream(u64);

impl Stream {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Cuts the power once; returns what is wrong afterwards.
fn round(kind: &str, seed: u64, roots: &[String], is_lying: bool) -> Vec<String> {
    let mut stream = Stream(seed);
    let disk = Disk::new(kind).unwrap();
    let at = disk.at();
    let project = project(parts(seed));
    let before = stream.below(BEFORE + 1);
    let mut acknowledged = Vec::new();
    for number in 0..before {
        edit(&project, number);
        let mut build = exp(&project, &at, &["build", "--json"]);
        let built = if is_lying { run(&mut lying(&build)) } else { run(&mut build) }.expect_code(0).json();
        let text = |name: &str| built[name].as_str().unwrap().to_owned();
        acknowledged.push(Acknowledged { number, run_id: text("run_id"), root: text("root") });
    }
    edit(&project, before);
    let build = exp(&project, &at, &["build", "-q"]);
    let mut build = if is_lying { lying(&build) } else { build };
    let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(stream.below(400)));
    disk.cut(1 + stream.below(2) as u32);
    // With strace around it, it is two processes.
    kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    disk.remount();

    let mut wrong = Vec::new();
    for Acknowledged { number, run_id, root } in &acknowledged {
        let audit = run(&mut exp(&project, &at, &["audit", run_id]));
        if audit.code != 0 {
            wrong.push(format!("run {number} of {before} is damaged: {}{}", audit.stdout, audit.stderr));
        }
        edit(&project, *number);
        let again = run(&mut exp(&project, &at, &["build", "--json"]));
        let built: Value = serde_json::from_str(&again.stdout).unwrap_or_default();
        let same =
            built["root"] == root.as_str() && built["requests"]["sent"] == 0 && built["actions"]["executed"] == 0;
        if !same {
            wrong.push(format!("build {number} of {before} was complete and is not: {}{}", again.stdout, again.stderr));
        }
    }
    // The one that was cut goes on, to the same end.
    edit(&project, before);
    let again = run(&mut exp(&project, &at, &["build", "--json"]));
    let built: Value = serde_json::from_str(&again.stdout).unwrap_or_default();
    if built["root"] != roots[before as usize].as_str() {
        wrong.push(format!("the build that was cut does not go on: {}{}", again.stdout, again.stderr));
    }
    wrong
}

/// Returns the roots that builds 0 to [`BEFORE`] have where nothing goes wrong.
fn roots() -> Vec<String> {
    let project = project(3);
    let build = |number| {
        edit(&project, number);
        project.build()["root"].as_str().unwrap().to_owned()
    };
    (0..=BEFORE).map(build).collect()
}

fn survives(kind: &str) {
    if let Err(why) = Disk::new(kind) {
        println!("skipped: no {kind} in a file here: {why}");
        return;
    }
    let seed: u64 = std::env::var("EXP_POWER_SEED").map_or(1, |seed| seed.parse().unwrap());
    let roots = roots();
    for number in 0..cuts() {
        let wrong = round(kind, seed + number, &roots, false);
        assert!(wrong.is_empty(), "{kind}, seed {}:\n{}", seed + number, wrong.join("\n"));
    }
    println!("{} power cuts on {kind}, seeds from {seed}: nothing lost", cuts());
}

#[test]
fn nothing_acknowledged_is_lost_on_ext4() {
    survives("ext4");
}

#[test]
fn nothing_acknowledged_is_lost_on_xfs() {
    survives("xfs");
}

#[test]
fn nothing_acknowledged_is_lost_on_btrfs() {
    survives("btrfs");
}

#[test]
fn without_fsync_the_same_rounds_find_losses() {
    let lacks = Disk::new("ext4").err();
    if lacks.is_some() || !support::strace::is_here() {
        println!("skipped: no ext4 in a file here: {lacks:?}");
        return;
    }
    let roots = roots();
    // Few cuts are enough, where nothing is synced; rounds with nothing acknowledged have nothing to lose.
    let lost = (100..140).find(|seed| !round("ext4", *seed, &roots, true).is_empty());
    assert!(lost.is_some(), "forty cuts without fsync lost nothing: the test cannot see a loss");
}
