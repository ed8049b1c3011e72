//! The fault server does what its faults say: without this, a test that survives them shows nothing.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use server::{Bill, Dialect, Fault, Generator, Kind, ModelServer, Options};

fn body(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": text}]})
}

fn request(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer k\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends one request over a connection of its own, without a client's manners; returns all that came, and how it ended.
fn raw(server: &ModelServer, path: &str, body: &Value, patience: Duration) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let mut stream = TcpStream::connect(server.origin().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    drop(stream.write_all(&request(path, body)));
    let mut got = Vec::new();
    let mut some = vec![0; 65_536];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return (got, None),
            Ok(n) => got.extend_from_slice(&some[..n]),
            Err(error) => return (got, Some(error.kind())),
        }
        // A connection that stays open has said all once the body is there.
        let text = String::from_utf8_lossy(&got);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_some_and(|length| rest.len() >= length.parse().unwrap()) {
                return (got, None);
            }
        }
    }
}

fn json_of(got: &[u8]) -> Value {
    let text = String::from_utf8_lossy(got);
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn each_protocol_is_answered_alike_for_the_same_body() {
    let server = ModelServer::plain();
    let chat = body("Where is the <<i1>> mill of Aldermoor?");
    let second = Duration::from_secs(5);
    let (first, _) = raw(&server, "/v1/chat/completions", &chat, second);
    let (again, _) = raw(&server, "/v1/chat/completions", &chat, second);
    let text = |got: &[u8]| json_of(got)["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(text(&first), text(&again));
    let responses = json!({"model": "m", "instructions": "Be short.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Who? <<i2>>"}]}]});
    assert_eq!(
        json_of(&raw(&server, "/v1/responses", &responses, second).0)["output"][0]["content"][0]["type"],
        "output_text"
    );
    let messages = json!({"model": "m", "max_tokens": 5, "system": "Be short.", "messages": [{"role": "user", "content": [{"type": "text", "text": "Who? <<i3>>"}]}]});
    assert_eq!(json_of(&raw(&server, "/v1/messages", &messages, second).0)["stop_reason"], "end_turn");
    assert_eq!(json_of(&raw(&server, "/api/chat", &chat, second).0)["done"], true);
    let book = server.book();
    assert_eq!((book.sent(), book.sent_again()), (4 + 1, 2), "the same body went to /api/chat too");
    let tags: Vec<&str> = book.calls().map(|asked| asked.tag.as_str()).collect();
    assert_eq!(tags, ["i1", "i1", "i2", "i3", "i1"]);
    let dialects: Vec<Dialect> = book.calls().filter_map(|asked| asked.dialect).collect();
    assert_eq!(dialects, [Dialect::Chat, Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Ollama]);
    let usage = &json_of(&first)["usage"];
    let bill = book.asked[0].bill.unwrap();
    assert_eq!(
        (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()),
        (Some(bill.input), Some(bill.output))
    );
    assert!(bill.input > 8 && bill.output >= 2, "{bill:?}");
    for probe in ["/v1/models", "/api/tags", "/api/show", "/props"] {
        assert!(json_of(&raw(&server, probe, &json!({}), second).0).is_object(), "{probe}");
    }
    assert_eq!(server.sent(), 5, "probes are no calls");
}

/// Every fault, once: the bytes are what its name says, and the bill is charged where an answer was made.
#[test]
fn each_fault_is_what_it_says() {
    let patience = Duration::from_millis(400);
    let elsewhere = "http://127.0.0.1:9/v1/chat/completions".to_owned();
    let cases: Vec<(Fault, &str)> = vec![
        (Fault::with_header(429, "retry-after", "1e9"), "retry-after: 1e9"),
        (Fault::with_header(503, "x-should-retry", "false"), "x-should-retry: false"),
        (Fault::InsufficientQuota, "insufficient_quota"),
        (Fault::BadKey, " 401 "),
        (Fault::NoCredit, " 402 "),
        (Fault::Forbidden, " 403 "),
        (Fault::UnknownModel, " 404 "),
        (Fault::Rejected(422), " 422 "),
        (Fault::ContentPolicy, "content_policy_violation"),
        (Fault::HtmlPage, "<!doctype html>"),
        (Fault::EmptyBody, "content-length: 0"),
        (Fault::ErrorBody, "server_error"),
        (Fault::NoChoices, "\"choices\":[]"),
        (Fault::NullContent, "\"content\":null"),
        (Fault::Refusal, "I cannot help with that."),
        (Fault::ToolCalls, "tool_calls"),
        (Fault::Length, "\"finish_reason\":\"length\""),
        (Fault::ContentFilter, "\"finish_reason\":\"content_filter\""),
        (Fault::ManyChoices, "A second choice."),
        (Fault::AbsurdUsage, "18446744073709551615"),
        (Fault::LoneSurrogate, "half \\ud800 pair"),
        (Fault::WrongContentType, "content-type: text/plain"),
        (Fault::MalformedJson, "\u{1}"),
        (Fault::Redirect { to: elsewhere }, "location: http://127.0.0.1:9/"),
    ];
    let faults: Vec<Fault> = cases.iter().map(|(fault, _)| fault.clone()).collect();
    let server = ModelServer::scripted(move |asked| faults.get(asked.nth).cloned());
    for (fault, sign) in &cases {
        let (got, _) = raw(&server, "/v1/chat/completions", &body("q"), patience);
        let text = String::from_utf8_lossy(&got);
        assert!(text.contains(sign), "{fault:?}: {text}");
        let charged = server.book().asked.last().unwrap().bill.is_some();
        assert_eq!(charged, fault.is_charged(), "{fault:?}");
        assert!(!charged || matches!(fault.kind(), Kind::Answer | Kind::Uncertain), "{fault:?}");
    }
    let (plain, _) = raw(&server, "/v1/chat/completions", &body("q"), patience);
    assert!(json_of(&plain)["usage"].is_object(), "after the script comes an answer");
}

#[test]
fn each_broken_connection_breaks_as_it_says() {
    use std::io::ErrorKind::{ConnectionReset, TimedOut, WouldBlock};
    let faults = [
        Fault::ResetAfterReading { generated: true },
        Fault::ClosedAfterReading { generated: false },
        Fault::Silent { generated: true, seconds: 0.6 },
        Fault::CutBody,
        Fault::StalledChunks { seconds: 0.6 },
        Fault::UnterminatedChunks,
        Fault::GzipBomb { megabytes: 8 },
    ];
    let script = faults.clone();
    let options = Options { unread: vec![0], ..Options::default() };
    let server = ModelServer::start(options, move |asked| script.get(asked.nth).cloned());
    let next = || raw(&server, "/v1/chat/completions", &body("q"), Duration::from_millis(200));
    assert_eq!(next(), (Vec::new(), Some(ConnectionReset)), "unread");
    assert_eq!(next(), (Vec::new(), Some(ConnectionReset)), "read");
    assert_eq!(next(), (Vec::new(), None));
    let (silent, end) = next();
    assert!(silent.is_empty() && matches!(end, Some(WouldBlock | TimedOut)), "{end:?}");
    let (cut, end) = next();
    assert!(cut.ends_with(b"\"") || !cut.ends_with(b"}"), "{}", String::from_utf8_lossy(&cut));
    assert_eq!(end, None);
    let (stalled, end) = next();
    assert!(!stalled.is_empty() && matches!(end, Some(WouldBlock | TimedOut)), "{end:?}");
    let (open, end) = next();
    assert!(!open.ends_with(b"0\r\n\r\n") && open.ends_with(b"\r\n") && end.is_none());
    let (bomb, _) = next();
    let at = bomb.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(bomb.len() < 60_000);
    assert_eq!(unpacked(&bomb[at..]), (8 << 20) / 258 * 258 + 1);
    server.settle();
    let book = server.book();
    assert_eq!(book.fired(|_| true), faults.len());
    let charged: Vec<bool> = book.calls().map(|asked| asked.bill.is_some()).collect();
    assert_eq!(charged, [true, false, true, true, true, true, false]);
}

/// How many bytes a gzip file unpacks to, by the system's own gunzip; its check sum does not count.
fn unpacked(file: &[u8]) -> usize {
    let mut gunzip = std::process::Command::new("gzip")
        .args(["-dc"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut input = gunzip.stdin.take().unwrap();
    let file = file.to_vec();
    let writing = std::thread::spawn(move || drop(input.write_all(&file)));
    let mut out = Vec::new();
    gunzip.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    writing.join().unwrap();
    gunzip.wait().unwrap();
    assert!(out.iter().all(|byte| *byte == b' '));
    out.len()
}

#[test]
fn a_closed_listener_opens_again_on_its_port() {
    let span = Duration::from_millis(300);
    let server = ModelServer::scripted(move |asked| (asked.ordinal == 0).then_some(Fault::Refused(span)));
    let address = server.origin().trim_start_matches("http://").to_owned();
    raw(&server, "/v1/chat/completions", &body("q"), Duration::from_secs(1));
    let closed = Instant::now();
    let mut refused = 0;
    while TcpStream::connect(&address).is_err() {
        refused += 1;
        std::thread::sleep(Duration::from_millis(20));
        assert!(closed.elapsed() < Duration::from_secs(5));
    }
    assert!(refused > 2, "{refused}");
    let (plain, _) = raw(&server, "/v1/chat/completions", &body("q"), Duration::from_secs(1));
    assert!(json_of(&plain)["usage"].is_object());
}

#[test]
fn a_server_wants_its_key_and_serves_so_many_at_once() {
    let options = Options {
        latency: Duration::from_millis(300),
        at_once: Some(2),
        headers: vec![("x-ratelimit-remaining-requests".to_owned(), "7".to_owned())],
        ..Options::default()
    };
    let server = ModelServer::start(options, |_| None);
    let refused = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| raw(&server, "/v1/chat/completions", &body("q"), Duration::from_secs(3)).0))
            .collect();
        let got: Vec<String> =
            asking.into_iter().map(|got| String::from_utf8_lossy(&got.join().unwrap()).into_owned()).collect();
        assert!(got.iter().all(|text| text.contains("x-ratelimit-remaining-requests: 7")));
        got.iter().filter(|text| text.starts_with("HTTP/1.1 429")).count()
    });
    assert_eq!(refused, 3);
    let book = server.book();
    let one = book.asked.iter().find_map(|asked| asked.bill).unwrap();
    assert_eq!(book.bill(), Bill { input: 2 * one.input, output: 2 * one.output });
    let wants = ModelServer::start(Options { key: Some("other".to_owned()), ..Options::default() }, |_| None);
    let (got, _) = raw(&wants, "/v1/chat/completions", &body("q"), Duration::from_secs(1));
    assert!(got.starts_with(b"HTTP/1.1 401"));
}

#[test]
fn sequences_come_from_the_seed() {
    let sequences = |seed: u64| {
        let mut generator = Generator::new(seed);
        (0..500).map(|_| generator.sequence(8)).collect::<Vec<_>>()
    };
    assert_eq!(sequences(1), sequences(1));
    assert_ne!(sequences(1), sequences(2));
    let all = sequences(3);
    let rows: std::collections::BTreeSet<u8> = all.iter().flatten().flatten().map(Fault::row).collect();
    assert_eq!(rows, [36, 37, 38, 40, 41, 42].into());
    assert!(all.iter().any(|sequence| sequence.len() > 9), "some are longer than any patience");
    assert!(all.iter().any(|sequence| *sequence == [None]), "some are no faults at all");
}
