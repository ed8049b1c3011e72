use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::provider::{ModelWire, PromptCaching};
use crate::request::{Answer, AnswerStatus, Decoding, FailureCode, Message, Role};

const KEY: &str = "canary-0123456789-abcdef";

/// Answers each connection with the next of these, and returns what it was sent.
fn serve(replies: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handle = std::thread::spawn(move || {
        let mut received = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = text.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            received.push(format!("{head}\n{}", String::from_utf8(body).unwrap()));
            stream.write_all(reply.as_bytes()).unwrap();
        }
        received
    });
    (url, handle)
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n\
         {body}"
    )
}

fn online(protocol: Protocol, base_url: &str) -> Online {
    let model = ModelWire { num_ctx: Some(4096), ..ModelWire::default() };
    let settings = OnlineSettings {
        identity: ProviderIdentity("openai test".into()),
        name: "mine".into(),
        base_url: base_url.into(),
        wire: WireSettings {
            protocol,
            says_store: false,
            prompt_caching: PromptCaching::Off,
            models: [("m".to_owned(), model)].into(),
        },
        key: Secret::new(KEY),
        key_env: Some("MY_KEY".into()),
        headers: [("X-Title".to_owned(), "t".to_owned())].into(),
        query: [("tag".to_owned(), "a b".to_owned())].into(),
        anthropic_version: "2023-06-01".into(),
        is_own_server: true,
        is_llama_cpp: false,
        client: ClientSettings::default(),
    };
    let clock = Clock::new(|| "2026-11-23T12:00:00.000Z".to_owned(), || Duration::from_millis(5));
    Online::new(settings, clock).unwrap()
}

fn request() -> Request {
    Request {
        provider: ProviderIdentity("openai test".into()),
        model: "m".into(),
        revision: None,
        messages: vec![Message::new(Role::System, "S"), Message::new(Role::User, "U")],
        decoding: Decoding { max_output_tokens: Some(9), ..Decoding::default() },
        extra: [
            ("headers".to_owned(), serde_json::json!({"X-Keyed": "k"})),
            ("query".to_owned(), serde_json::json!({"api-version": "1"})),
        ]
        .into(),
        recording: None,
        draw_salt: None,
    }
}

fn ask(protocol: Protocol, reply: String) -> (Given, String) {
    let (url, server) = serve(vec![reply]);
    let provider = online(protocol, &url);
    let request = request();
    let draw = DrawAddress { request: request.key(), generation: 0, number: 0 };
    let given = provider.answer(&mut Line::default(), &request, &draw);
    assert!(!format!("{given:?}").contains("canary"), "{given:?}");
    (given, server.join().unwrap().remove(0))
}

fn answer_of(given: &Given) -> &Answer {
    match &given.outcome {
        Outcome::Answer(answer) => answer,
        Outcome::Failure(code) => panic!("{code:?}: {:?}", given.circumstances.note),
    }
}

const CHAT: &str = r#"{"id":"c1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

#[test]
fn a_completion_is_asked_and_read() {
    let (given, sent) =
        ask(Protocol::Chat, http("200 OK", "x-request-id: r1\r\nx-ratelimit-remaining-requests: 7\r\n", CHAT));
    assert_eq!((answer_of(&given).text.as_str(), answer_of(&given).status), ("Hi", AnswerStatus::Stop));
    assert_eq!((given.raw.as_slice(), &given.advice), (CHAT.as_bytes(), &Advice::Keep));
    let expected = Circumstances {
        request_id: Some("r1".into()),
        http_status: Some(200),
        latency_ms: Some(0),
        bought: Some("online".into()),
        ..Circumstances::default()
    };
    assert_eq!(given.circumstances, expected);
    assert_eq!(given.limits.requests_left, Some(7));
    assert!(sent.starts_with("POST /chat/completions?api-version=1&tag=a%20b HTTP/1.1\r\n"), "{sent}");
    for header in
        ["authorization: Bearer canary-0123456789-abcdef", "x-keyed: k", "x-title: t", "content-type: application/json"]
    {
        assert!(sent.contains(&format!("{header}\r\n")), "{header} in {sent}");
    }
    assert!(sent.ends_with(r#"{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}],"max_output_tokens":9}"#));
}

#[test]
fn each_protocol_has_its_address_and_key() {
    let message = r#"{"id":"m1","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}"#;
    let (given, sent) = ask(Protocol::Messages, http("200 OK", "request-id: q1\r\n", message));
    assert_eq!((&*answer_of(&given).text, given.circumstances.request_id.as_deref()), ("Hi", Some("q1")));
    assert!(sent.starts_with("POST /v1/messages?"), "{sent}");
    assert!(sent.contains("x-api-key: canary") && sent.contains("anthropic-version: 2023-06-01\r\n"), "{sent}");
    assert!(!sent.contains("authorization:"), "{sent}");
    let chat = r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop"}"#;
    let (given, sent) = ask(Protocol::Ollama, http("200 OK", "", chat));
    assert_eq!(answer_of(&given).text, "Hi");
    assert!(sent.starts_with("POST /api/chat?"), "{sent}");
    let response =
        r#"{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}"#;
    let (given, sent) = ask(Protocol::Responses, http("200 OK", "", response));
    assert_eq!(answer_of(&given).text, "Hi");
    assert!(sent.starts_with("POST /responses?"), "{sent}");
}

#[test]
fn a_key_that_is_echoed_is_taken_out() {
    let echo = format!(r#"{{"error":{{"message":"bad key {KEY}, Bearer {KEY}","code":"invalid_api_key"}}}}"#);
    let (given, _) = ask(Protocol::Chat, http("401 Unauthorized", &format!("x-request-id: {KEY}\r\n"), &echo));
    let Advice::StopProvider { why } = &given.advice else { panic!("{given:?}") };
    assert!(why.contains("MY_KEY") && why.contains("[key]"), "{why}");
    assert!(String::from_utf8_lossy(&given.raw).contains("bad key [key]"));
    // What an answer holds is the model's, but for the key itself.
    let answer = CHAT.replace("Hi", &format!("{KEY} sk-abcdefghijk"));
    let (given, _) = ask(Protocol::Chat, http("200 OK", "", &answer));
    assert_eq!(answer_of(&given).text, "[key] sk-abcdefghijk");
}

#[test]
fn what_is_no_answer_is_a_failure_that_is_kept() {
    let malformed = |reply: String, advice: Advice| {
        let (given, _) = ask(Protocol::Chat, reply);
        assert_eq!(given.outcome, Outcome::Failure(FailureCode::Malformed), "{given:?}");
        assert_eq!(given.circumstances.billed, Some(crate::request::Billed::Uncertain));
        assert_eq!(given.advice, advice, "{given:?}");
        given
    };
    let again = Advice::Retry { after: None, overloaded: false };
    malformed(http("200 OK", "", ""), again.clone());
    malformed(http("200 OK", "", &CHAT[..50]), again.clone());
    malformed(http("200 OK", "", "{\"choices\":[]}"), Advice::Keep);
    malformed(http("200 OK", "", "not json"), Advice::Keep);
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>".to_owned();
    let given = malformed(page, Advice::Keep);
    assert_eq!(
        (given.raw.as_slice(), given.circumstances.note.as_deref()),
        (&b"<html></html>"[..], Some("the content type is `text/html`"))
    );
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{CHAT}");
    let given = malformed(cut, again);
    assert_eq!((given.raw.as_slice(), given.circumstances.http_status), (CHAT.as_bytes(), Some(200)));
}

#[test]
fn surrogates_are_flagged_and_the_bytes_kept() {
    let body = CHAT.replace("Hi", "a\\ud800b");
    let (given, _) = ask(Protocol::Chat, http("200 OK", "", &body));
    assert_eq!(answer_of(&given).text, "a\u{fffd}b");
    assert_eq!(given.circumstances.note.as_deref(), Some("an unpaired surrogate became U+FFFD"));
    assert_eq!(given.raw, body.as_bytes());
}

#[test]
fn a_server_is_asked_what_it_serves() {
    let models = r#"{"data":[{"id":"m","root":"r","max_model_len":4096}]}"#;
    let (url, server) = serve(vec![http("200 OK", "", models)]);
    let served = online(Protocol::Chat, &url).look(&mut Line::default(), "m").unwrap().unwrap();
    assert_eq!((served.revision.as_deref(), served.context_length), (Some("root=r"), Some(4096)));
    assert!(server.join().unwrap()[0].starts_with("GET /models"));

    let (url, server) = serve(vec![http("404 Not Found", "", "{\"detail\":\"Not Found\"}")]);
    assert_eq!(online(Protocol::Chat, &url).look(&mut Line::default(), "m"), Ok(None));
    server.join().unwrap();

    let (url, server) = serve(vec![http("401 Unauthorized", "", &format!("{{\"error\":\"no {KEY}\"}}"))]);
    let error = online(Protocol::Chat, &url).look(&mut Line::default(), "m").unwrap_err();
    let why = &error.why;
    assert!(why.contains("MY_KEY") && !why.contains("canary") && !error.may_pass, "{error:?}");
    server.join().unwrap();

    let (url, server) = serve(vec![http("503 Busy", "", "{}")]);
    let error = online(Protocol::Chat, &url).look(&mut Line::default(), "m").unwrap_err();
    assert!(error.may_pass, "{error:?}");
    server.join().unwrap();

    let tags = r#"{"models":[{"name":"m:latest","digest":"d1"}]}"#;
    let show = r#"{"model_info":{"x.context_length":2048}}"#;
    let (url, server) = serve(vec![http("200 OK", "", tags), http("200 OK", "", show)]);
    let served = online(Protocol::Ollama, &url).look(&mut Line::default(), "m").unwrap().unwrap();
    assert_eq!((served.revision.as_deref(), served.context_length), (Some("d1"), Some(2048)));
    assert_eq!(served.note.as_deref(), Some("num_ctx 4096 is more than the model's 2048"));
    assert!(server.join().unwrap()[1].ends_with("{\"model\":\"m\"}"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
    #[test]
    fn no_body_makes_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), status in 100..600_u16) {
        check_body(bytes, status);
    }

    #[test]
    fn no_damage_to_a_body_makes_a_panic(at in 0..CHAT.len(), byte in proptest::prelude::any::<u8>(), cut in 0..CHAT.len()) {
        let mut bytes = CHAT.as_bytes().to_vec();
        bytes[at] = byte;
        check_body(bytes.clone(), 200);
        bytes.truncate(cut);
        check_body(bytes, 200);
    }
}

/// Judges a body under every protocol: an answer or a failure, and nothing paid for sure without an answer.
fn check_body(body: Vec<u8>, status: u16) {
    let reply = Reply { status, body, ..Reply::default() };
    for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages, Protocol::Ollama] {
        let provider = online(protocol, "http://127.0.0.1:9");
        let (verdict, _) = provider.judge(&reply, provider.whom("u", "m"));
        let is_answer = matches!(verdict.outcome, Outcome::Answer(_));
        assert_eq!(is_answer, verdict.billed.is_none());
        assert!(is_answer || verdict.note.is_some());
    }
}
