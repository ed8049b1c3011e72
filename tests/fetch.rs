//! A dataset behind a pinned address: fetched once into the store, never again, and never anything else than what is
//! pinned. The server is a socket of this test on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use support::Project;

const ROWS: &str = "{\"id\":\"a\",\"question\":\"Who built it?\",\"answers\":[\"Ada\"],\"context\":\"Ada built it.\"}\n\
                    {\"id\":\"b\",\"question\":\"When?\",\"answers\":[\"1890\"],\"context\":\"It was built in 1890.\"}\n";

/// Serves one answer to every request, and counts them; the thread ends with the process.
fn serve(head: &'static str, body: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            drop(answer(stream, head, body));
        }
    });
    (port, asked)
}

fn answer(mut stream: TcpStream, head: &str, body: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.push(byte[0]);
    }
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn project(url: &str, sha256: &str) -> Project {
    let project = Project::new();
    project.file("config/c.txt", "Answer.");
    project.file("config/t.txt", "Answer in as few words as possible.");
    project.config(&format!(
        "version: 1\nmodels: [{{name: lex, provider: lexical, model: lex}}]\n\
         datasets:\n  d: {{url: \"{url}\", sha256: {sha256}, format: jsonl, \
         fields: {{id: id, question: question, answers: answers, context: context}}}}\n\
         control: config/c.txt\nprompt_sets: {{t: config/t.txt}}\n"
    ));
    project
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn a_pinned_file_is_fetched_once() {
    let (port, asked) = serve("200 OK", ROWS);
    let project = project(&format!("http://127.0.0.1:{port}/d.jsonl"), &sha256(ROWS));
    let planned = project.json(&["plan"]);
    assert_eq!(planned["complete"], false);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a plan downloads nothing");
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 4);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let again = project.build();
    assert_eq!(again["up_to_date"], true);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what is in the store is not fetched again");
    project.exp(&["audit", "--rerun"]).expect_code(0);
}

#[test]
fn another_content_is_refused_and_nothing_is_kept() {
    let (port, _) = serve("200 OK", ROWS);
    let project = project(&format!("http://127.0.0.1:{port}/d.jsonl"), &sha256("something else"));
    let output = project.exp(&["build"]).expect_code(2);
    assert!(output.stderr.contains("and the config pins"), "{}", output.stderr);
    assert!(!project.path("experiments").exists());
}

#[test]
fn redirects_are_not_followed() {
    let (other, asked) = serve("200 OK", ROWS);
    let head: &'static str =
        Box::leak(format!("302 Found\r\nLocation: http://127.0.0.1:{other}/d.jsonl").into_boxed_str());
    let (port, _) = serve(head, "");
    let project = project(&format!("http://127.0.0.1:{port}/d.jsonl"), &sha256(ROWS));
    let output = project.exp(&["build"]).expect_code(2);
    assert!(output.stderr.contains("answered 302"), "{}", output.stderr);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn offline_fetches_nothing() {
    let (port, asked) = serve("200 OK", ROWS);
    let project = project(&format!("http://127.0.0.1:{port}/d.jsonl"), &sha256(ROWS));
    project.exp(&["build", "--offline"]).expect_code(2);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    project.build();
    project.exp(&["build", "--offline"]).expect_code(0);
}
