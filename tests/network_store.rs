//! A store on what may be a network file system: a file system in user space here, which is taken for one. Its index is in the
//! user's cache, and machines are told apart by their caches.
#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::mills::mills;
use support::{Output, Project, run};

/// Is a directory seen through a file system in user space; it is unmounted when dropped.
struct Shared {
    dir: tempfile::TempDir,
    server: Child,
}

impl Shared {
    /// Mounts one; `None`, said so, where that cannot be done here.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["server", "mnt"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut server = Command::new("bindfs");
        server.arg("-f").arg(dir.path().join("server")).arg(dir.path().join("mnt"));
        let server = match server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(server) => server,
            Err(error) => {
                println!("skipped: bindfs: {error}");
                return None;
            }
        };
        let mut shared = Self { dir, server };
        let until = Instant::now() + Duration::from_secs(10);
        while !is_mount(&shared.at()) {
            if shared.server.try_wait().unwrap().is_some() || Instant::now() > until {
                println!("skipped: bindfs does not mount here");
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(shared)
    }

    fn at(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.at()).stderr(Stdio::null()).status());
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn is_mount(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    device(dir) != device(dir.parent().unwrap())
}

/// Is a machine: a project and a cache of its own.
struct Machine<'s> {
    project: Project,
    caches: tempfile::TempDir,
    shared: &'s Shared,
}

impl<'s> Machine<'s> {
    fn new(shared: &'s Shared) -> Self {
        Self { project: mills(Project::in_memory(), 12, 2), caches: tempfile::tempdir().unwrap(), shared }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env("EXP_STORE", self.shared.at().join("store")).env("XDG_CACHE_HOME", self.caches.path());
        command
    }

    fn exp(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    fn build(&self) -> Value {
        self.exp(&["build", "--json"]).expect_code(0).json()
    }

    fn ask(&self, what: &str) {
        self.project.file("prompts/brief.txt", what);
    }

    /// Finds the index in the cache.
    fn index(&self) -> PathBuf {
        let mut homes = std::fs::read_dir(self.caches.path().join("exp")).unwrap();
        let home = homes.next().unwrap().unwrap().path();
        assert!(homes.next().is_none(), "one store, one index");
        home.join("index.sqlite")
    }
}

fn sent(built: &Value) -> u64 {
    built["requests"]["sent"].as_u64().unwrap()
}

#[test]
fn machines_take_turns_on_a_store_that_they_share_and_buy_nothing_twice() {
    let Some(shared) = Shared::mount() else { return };
    let (a, b) = (Machine::new(&shared), Machine::new(&shared));
    let first = a.build();
    assert!(sent(&first) > 0);
    assert!(a.index().exists());
    let names = || std::fs::read_dir(shared.at().join("store")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names().all(|name| !name.to_str().unwrap().starts_with("index")), "the index is in the store");

    // What one has, the other finds, and the other way round, whoever was there last.
    let again = b.build();
    assert_eq!((&again["root"], sent(&again)), (&first["root"], 0));
    for (turn, machine) in [&b, &a, &b, &a].into_iter().enumerate() {
        machine.ask(&format!("Answer, version {turn}.\n"));
        assert!(sent(&machine.build()) > 0);
        let other = if turn % 2 == 0 { &a } else { &b };
        other.ask(&format!("Answer, version {turn}.\n"));
        assert_eq!(sent(&other.build()), 0, "turn {turn}");
    }
    // What one has collected, the other does not find in an index that is behind.
    a.exp(&["gc", "--yes", "--keep-last", "1", "--grace", "0"]).expect_code(0);
    b.ask("Answer, version 0.\n");
    let rebuilt = b.build();
    assert_eq!(rebuilt["state"], "complete");
    b.exp(&["audit"]).expect_code(0);
    for machine in [&a, &b] {
        machine.exp(&["verify"]).expect_code(0);
    }
    assert!(names().all(|name| !name.to_str().unwrap().starts_with("index")));
}

#[test]
fn one_machine_waits_for_nobody_and_is_told_that_another_is_at_work() {
    let Some(shared) = Shared::mount() else { return };
    let (a, b) = (Machine::new(&shared), Machine::new(&shared));
    a.build();
    // The lock that a build holds as long as it may write to its index.
    let name = std::fs::read_to_string(a.index().with_file_name("machine")).unwrap();
    let lock = std::fs::File::open(shared.at().join("store/locks").join(format!("machine-{name}"))).unwrap();
    lock.lock_shared().unwrap();
    b.ask("Answer in one word.\n");
    let refused = b.exp(&["build"]).expect_code(7);
    assert!(refused.stderr.contains("another machine, or another user, is at work"), "{}", refused.stderr);
    // The machine's own builds are not kept out.
    a.ask("Answer in two words.\n");
    assert!(sent(&a.build()) > 0);
    lock.unlock().unwrap();
    assert!(sent(&b.build()) > 0);
}
