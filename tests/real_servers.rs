//! Two servers that nobody here wrote, started on loopback: llama-cpp-python's, with a model of random weights, and LiteLLM's proxy.
//! `tests/real_servers/setup.sh` puts them below the target directory; what is not there is skipped, and said to be.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::canary::CANARY;
use support::online::{Online, Setup};
use support::{run_dir, shared};

/// Is a server of another project, in a directory of its own; it is killed when dropped.
struct Real {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Real {
    /// Starts a program of a venv, and waits until it answers at a path.
    fn start(program: &Path, args: &[&str], folder: &Path, alive: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.join(format!("log-{port}"));
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(args)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("PYTHONUNBUFFERED", "1")
            // Nothing is fetched: not even a table of prices.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut real = Self { child, port, log };
        let until = Instant::now() + Duration::from_secs(150);
        while !real.answers(alive) {
            assert!(real.child.try_wait().unwrap().is_none(), "it ended:\n{}", real.said());
            assert!(Instant::now() < until, "it does not answer:\n{}", real.said());
            std::thread::sleep(Duration::from_millis(200));
        }
        real
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn answers(&self, path: &str) -> bool {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut start = [0; 12];
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_exact(&mut start).is_ok()
            && &start == b"HTTP/1.1 200"
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// How many requests its own log says that it was asked at a path, whatever it answered.
    fn asked(&self, path: &str) -> usize {
        self.said().lines().filter(|line| line.contains(&format!("POST {path} "))).count()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A program of a venv below the target directory, if it is there and complete.
fn program(venv: &str, name: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(venv);
    if venv.join("finished").exists() {
        return Some(venv.join("bin").join(name));
    }
    println!("skipped: {} is not there; tests/real_servers/setup.sh makes it", venv.display());
    None
}

/// The pipeline to its end, with a report; then a second build, which asks nothing.
fn builds_once(online: &Online, real: &Real, path: &str, requests: usize) -> Value {
    let built = online.build(0, &["--max-concurrent-requests", "4"]);
    assert_eq!((&built["state"], built["requests"]["sent"].as_u64()), (&"complete".into(), Some(requests as u64)));
    assert_eq!(real.asked(path), requests, "{}", real.said());
    let slug = built["trials"][0]["slug"].as_str().unwrap();
    let report = std::fs::read_to_string(run_dir(&built).join(slug).join("reports/report.md")).unwrap();
    assert!(report.contains("treatment"), "{report}");
    for row in online.predictions(&built) {
        assert!(matches!(&*row["status"], "stop" | "length"), "{row:?}");
        assert!(row["prompt_tokens"].parse::<u64>().unwrap() > 0, "{row:?}");
        assert!(row["completion_tokens"].parse::<u64>().unwrap() > 0, "{row:?}");
        assert_ne!(row["served_model"], "", "{row:?}");
    }
    let again = online.build(0, &[]);
    assert_eq!((&again["up_to_date"], &again["root"]), (&true.into(), &built["root"]));
    assert_eq!(real.asked(path), requests, "the second build asks nothing");
    built
}

#[test]
fn llama_cpp_serves_a_whole_experiment_and_may_move() {
    let Some(python) = program("venv-llama", "python") else { return };
    let Some(writer) = shared("tools/mkgguf.py") else { return };
    let folder = tempfile::tempdir().unwrap();
    let wrote = Command::new(&python).arg(writer).current_dir(folder.path()).output().unwrap();
    assert!(wrote.status.success(), "{}", String::from_utf8_lossy(&wrote.stderr));
    let args = ["-m", "llama_cpp.server", "--model", "tiny.gguf", "--chat_format", "chatml"];
    let path = "/v1/chat/completions";
    let real = Real::start(&python, &args, folder.path(), "/v1/models");
    let setup = Setup {
        items: 5,
        decoding: "{temperature: 0, max_output_tokens: 6, seed: 3}",
        identity: Some("tiny-random"),
        ..Setup::default()
    };
    let config = |origin: &str| setup.config(origin).replace("model: ours", "model: tiny.gguf");
    let online = Online::new(&setup, &real.origin());
    online.project.config(&config(&real.origin()));
    let built = builds_once(&online, &real, path, 2 * setup.items);
    let first = real.origin();
    drop(real);
    // On another port it is the same server, because the config says so.
    let moved = Real::start(&python, &args, folder.path(), "/v1/models");
    assert_ne!(moved.origin(), first);
    online.project.config(&config(&moved.origin()));
    let again = online.build(0, &[]);
    assert_eq!((again["requests"]["sent"].as_u64(), &again["root"]), (Some(0), &built["root"]));
    assert_eq!(moved.asked(path), 0, "{}", moved.said());
    // The control: under another identity all is asked, and a greedy sampler gives the same texts.
    online.project.config(&config(&moved.origin()).replace("identity: tiny-random", "identity: another"));
    let other = online.build(0, &[]);
    assert_eq!(moved.asked(path), 2 * setup.items);
    let texts = |built: &Value| -> Vec<String> {
        online.predictions(built).iter().map(|row| row["response_text"].clone()).collect()
    };
    assert_eq!(texts(&other), texts(&built));
}

/// The proxy: one model behind each protocol, and one that is always too busy. It wants the canary for a key.
fn litellm(folder: &Path) -> Option<Real> {
    let program = program("venv-litellm", "litellm")?;
    std::fs::write(
        folder.join("proxy.yaml"),
        format!(
            "model_list:\n\
             - model_name: gpt-mock\n  litellm_params: {{model: openai/gpt-4.1-mini, api_key: none, mock_response: Aldermoor}}\n\
             - model_name: claude-mock\n  litellm_params: {{model: anthropic/claude-haiku-4-5, api_key: none, mock_response: Aldermoor}}\n\
             - model_name: busy\n  litellm_params: {{model: openai/gpt-4.1-mini, api_key: none, mock_response: litellm.RateLimitError}}\n\
             general_settings: {{master_key: '{CANARY}'}}\n\
             litellm_settings: {{num_retries: 0, telemetry: false}}\n\
             router_settings: {{num_retries: 0, disable_cooldowns: true}}\n"
        ),
    )
    .unwrap();
    let args = ["--config", "proxy.yaml", "--num_workers", "1"];
    Some(Real::start(&program, &args, folder, "/health/liveliness"))
}

#[test]
fn litellm_serves_two_protocols_and_refuses_in_a_third_model() {
    let folder = tempfile::tempdir().unwrap();
    let Some(real) = litellm(folder.path()) else { return };
    let setup = Setup { items: 5, ..Setup::default() };
    for (setup, path, model) in [
        (setup.clone(), "/v1/chat/completions", "gpt-mock"),
        (Setup { kind: "anthropic", path: "", ..setup.clone() }, "/v1/messages", "claude-mock"),
    ] {
        let online = Online::new(&setup, &real.origin());
        online.project.config(&setup.config(&real.origin()).replace("model: ours", &format!("model: {model}")));
        let built = builds_once(&online, &real, path, 10);
        assert!(online.predictions(&built).iter().all(|row| row["response_text"] == "Aldermoor"));
        assert!(built["cost_usd"]["spent"].as_f64().unwrap() > 0.0, "{built}");
    }
    // Too busy, always: asked as often as the config allows, and not charged.
    let before = real.asked("/v1/chat/completions");
    let setup = Setup { items: 2, provider: "max_attempts: 2".to_owned(), ..setup };
    let online = Online::new(&setup, &real.origin());
    online.project.config(&setup.config(&real.origin()).replace("model: ours", "model: busy"));
    let built = online.build(1, &[]);
    assert!(online.predictions(&built).iter().all(|row| row["status"] == "failed:rate_limited"), "{built}");
    assert_eq!(real.asked("/v1/chat/completions") - before, 8, "{}", real.said());
    let cost = &built["cost_usd"];
    assert_eq!((cost["spent"].as_f64(), cost["uncertain"]["attempts"].as_u64()), (Some(0.0), Some(0)), "{cost}");
    // A key that it does not know.
    let wrong = online.command(&["build", "--yes"]).env(support::KEY_ENV, "wrong").output().unwrap();
    assert!(!wrong.status.success());
}
