//! The test server of batches under the providers' own clients (PyPI `openai`, `anthropic`, `fireworks-ai`), and the traffic of these
//! and of `exp` against the providers' own OpenAPI descriptions. `tests/real_servers/setup.sh` puts them below the target
//! directory; where they are not, that is said and passed over.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use server::{BatchOptions, ModelServer, Options};
use support::heard;
use support::online::{Online, Setup};

/// The interpreter of the venv with the clients, where it was set up.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_exp")).ancestors().nth(2)?;
    let venv = target.join("venv-sdks");
    if venv.join("finished").exists() {
        return Some(venv.join("bin/python"));
    }
    println!("skipped: the providers' own clients are not set up (tests/real_servers/setup.sh)");
    None
}

fn server() -> ModelServer {
    let batches = BatchOptions { takes: Duration::from_millis(300), is_recorded: true, ..BatchOptions::default() };
    ModelServer::start(Options { batches: Some(batches), ..Options::default() }, |_| None)
}

fn run(python: &Path, script: &str, args: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks").join(script);
    let output = Command::new(python)
        .arg(script)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    heard(&output.stdout);
    heard(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_providers_own_clients_take_all_that_the_server_says() {
    let Some(python) = python() else { return };
    for which in ["openai", "anthropic", "fireworks"] {
        let server = server();
        let said = run(&python, "drive.py", &[&server.origin(), "a-key", which]);
        assert!(said.contains(&format!("{which}: its own client took everything")), "{said}");
    }
}

#[test]
fn the_traffic_is_what_the_providers_own_descriptions_say() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for (kind, path) in [("openai", "/v1"), ("anthropic", "")] {
        let server = server();
        run(&python, "drive.py", &[&server.origin(), "a-key", kind]);
        let provider = "mode: batch, batch: {poll: 20ms, list_delay: 60ms}".to_owned();
        let decoding = "{temperature: 0.5, top_p: 0.9, max_output_tokens: 16, stop: ['\\n\\n']}";
        let online =
            Online::new(&Setup { kind, path, provider, decoding, items: 12, ..Setup::default() }, &server.origin());
        let before = server.batches().traffic.len();
        online.build(6, &["--detach"]);
        online.exp(&["jobs", "--watch"]).expect_code(0);
        online.build(0, &[]);
        let batches = server.batches();
        assert!(batches.traffic.len() > before + 4, "exp itself was heard");
        all.extend(batches.traffic.iter().map(|exchange| format!("{exchange}\n")));
    }
    let traffic = dir.path().join("traffic.jsonl");
    std::fs::write(&traffic, all).unwrap();
    let said = run(&python, "check.py", &[traffic.to_str().unwrap()]);
    println!("{said}");
    for what in
        ["createBatch: request", "listBatches: response", "body of a request", "body of a response", "line of results"]
    {
        assert!(said.contains(what), "{what}: {said}");
    }
}
