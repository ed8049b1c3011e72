//! The array script of `docs/slurm.md`, run by a real Slurm on loopback with a stand-in engine. `tests/slurm/setup.sh` installs it;
//! where it is not there or cannot start, the test is skipped, and says so.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::online::{Online, Setup};

const ENGINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/engine.py");
const START: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/start.sh");
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Is a cluster of one node; its processes end when it is dropped.
struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    /// Starts it; the error says why it cannot be had here.
    fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        for program in ["slurmctld", "slurmd", "munged", "sbatch"] {
            if !PATH.split(':').any(|dir| Path::new(dir).join(program).exists()) {
                return Err(format!("there is no {program}"));
            }
        }
        let cluster = Self { dir: tempfile::tempdir().unwrap() };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Command::new("bash").args([START, cluster.path().to_str().unwrap(), &port.to_string()]).output();
        let started = started.unwrap();
        if !started.status.success() {
            return Err(format!("it does not start: {}", String::from_utf8_lossy(&started.stderr)));
        }
        Ok(cluster)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Runs one of Slurm's programs.
    fn run(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> String {
        let output = Command::new(program)
            .args(args)
            .env("PATH", PATH)
            .env("SLURM_CONF", self.path().join("slurm.conf"))
            .envs(env.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pids = std::fs::read_to_string(self.path().join("pids")).unwrap_or_default();
        // The node before the controller, both before what they are known by.
        for pid in pids.lines().rev().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let until = Instant::now() + Duration::from_secs(5);
            while rustix::process::test_kill_process(pid).is_ok() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Is the stand-in as a server of the same answers; it is killed when dropped.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let mut child = Command::new("python3").args([ENGINE, "--serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The script as the page has it.
fn script() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/slurm.md")).unwrap();
    let begin = page.find("```bash\n").expect("a script") + 8;
    page[begin..begin + page[begin..].find("```").unwrap()].to_owned()
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no python3");
    }
    found
}

fn setup() -> Setup {
    Setup { items: 24, sets: 2, ..Setup::default() }
}

/// Builds the same experiment over HTTP.
fn asked_directly() -> Value {
    let server = Server::start();
    let online = Online::new(&setup(), &format!("http://127.0.0.1:{}", server.1));
    let built = online.build(0, &[]);
    assert_eq!(built["requests"]["sent"], 72);
    built["root"].clone()
}

fn ingest(online: &Online, dir: &str) -> Value {
    online.exp(&["ingest", dir, "--json"]).expect_code(0).json()
}

/// Answers the shards of a handout one after the other, by the page's script.
fn answer_here(online: &Online, dir: &str, env: &[(&str, &str)]) {
    online.project.file("handout.sbatch", script());
    for task in 0..4 {
        let mut bash = Command::new("bash");
        bash.args(["handout.sbatch", dir])
            .current_dir(online.project.dir())
            .env("SLURM_ARRAY_TASK_ID", task.to_string());
        let status = bash.env("ENGINE", ENGINE).envs(env.iter().copied()).status().unwrap();
        assert_eq!(status.success(), env.iter().all(|(_, failed)| *failed != task.to_string()), "task {task}");
    }
}

#[test]
fn handed_out_and_asked_directly_are_one() {
    if !has_python() {
        return;
    }
    let online = Online::new(&setup(), "http://127.0.0.1:9");
    online.exp(&["requests", "--out", "h", "--shards", "4"]).expect_code(0);
    answer_here(&online, "h", &[("ENGINE_FAILED", "2")]);
    let seen = ingest(&online, "h");
    assert_eq!((&seen["taken"], &seen["truncated"]), (&json!(55), &json!(1)), "{seen:#}");
    let short = online.exp(&["build", "--offline"]).expect_code(2);
    assert!(short.stderr.contains("17 answers"), "{}", short.stderr);
    online.exp(&["requests", "--out", "rest", "--shards", "2"]).expect_code(0);
    answer_here(&online, "rest", &[]);
    assert_eq!(ingest(&online, "rest")["taken"], 17);
    assert_eq!(online.build(0, &["--offline"])["root"], asked_directly());
}

#[test]
fn a_slurm_array_ends_with_the_same_root() {
    if !has_python() {
        return;
    }
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(why) => {
            eprintln!("skipped: no Slurm here: {why}");
            return;
        }
    };
    let online = Online::new(&setup(), "http://127.0.0.1:9");
    online.exp(&["requests", "--out", "h", "--shards", "4"]).expect_code(0);
    online.project.file("handout.sbatch", script());
    let dir = online.project.dir();
    let env = [("ENGINE", ENGINE), ("ENGINE_REQUEUED", "1"), ("ENGINE_FAILED", "2")];
    let args = ["--parsable", "--array=0-3", "-D", dir.to_str().unwrap(), "handout.sbatch", "h"];
    let script = dir.join("handout.sbatch");
    let args: Vec<&str> =
        args.iter().map(|arg| if *arg == "handout.sbatch" { script.to_str().unwrap() } else { arg }).collect();
    let job = cluster.run("sbatch", &args, &env).trim().to_owned();
    let until = Instant::now() + Duration::from_secs(90);
    let states = loop {
        let states = cluster.run("squeue", &["-h", "-j", &job, "-t", "all", "-r", "-o", "%K %T"], &[]);
        if states.lines().count() == 4
            && states.lines().all(|line| line.ends_with(" COMPLETED") || line.ends_with(" FAILED"))
        {
            break states;
        }
        assert!(Instant::now() < until, "the array does not end:\n{states}");
        std::thread::sleep(Duration::from_millis(300));
    };
    let failed: Vec<&str> = states.lines().filter(|line| line.ends_with(" FAILED")).collect();
    assert_eq!(failed, ["2 FAILED"], "{states}");
    let requeued = cluster.run("scontrol", &["show", "job", &format!("{job}_1")], &[]);
    assert!(requeued.contains("Restarts=1"), "{requeued}");
    drop(cluster);
    let seen = ingest(&online, "h");
    assert_eq!((&seen["taken"], &seen["truncated"]), (&json!(55), &json!(1)), "{seen:#}");
    online.exp(&["requests", "--out", "rest"]).expect_code(0);
    answer_here(&online, "rest", &[]);
    assert_eq!(ingest(&online, "rest")["taken"], 17);
    assert_eq!(online.build(0, &["--offline"])["root"], asked_directly());
}
