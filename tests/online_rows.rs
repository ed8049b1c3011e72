//! Rows 36-42 and 47 of the matrix of faults, each by itself, with a look at the server's book: that the fault was played, and
//! what was sent because of it.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use server::{Asked, Fault, ModelServer, Options};
use support::online::{Online, Setup};

const PLAIN: Duration = Duration::from_millis(500);

/// The status of each row of predictions.csv, by item and arm.
fn statuses(online: &Online, built: &Value) -> BTreeMap<(String, String), String> {
    let rows = online.predictions(built).into_iter();
    rows.map(|row| ((row["item_id"].clone(), row["condition"].clone()), row["status"].clone())).collect()
}

/// How many rows have each status.
fn counted(online: &Online, built: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for status in statuses(online, built).into_values() {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

fn is_control(asked: &Asked) -> bool {
    asked.text.windows(9).any(|some| some == b"\"Answer.\"")
}

/// Plays a fault once, to the control's request of one item.
fn once(item: &'static str, fault: Fault) -> ModelServer {
    ModelServer::scripted(move |asked| {
        (asked.tag == item && asked.nth == 0 && is_control(asked)).then(|| fault.clone())
    })
}

#[test]
fn row_36_a_wait_is_waited_for_in_each_of_its_forms() {
    let date = |seconds: i64| {
        let at = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let forms: Vec<(&'static str, String, Duration)> = vec![
        ("retry-after", "2".into(), Duration::from_secs(2)),
        ("retry-after", "1.7".into(), Duration::from_millis(1700)),
        ("retry-after-ms", "1600".into(), Duration::from_millis(1600)),
        // A date names whole seconds: of three, two are left at the least.
        ("retry-after", date(4), Duration::from_secs(2)),
        ("retry-after", date(-3600), PLAIN),
        ("retry-after", "in a while".into(), PLAIN),
        ("retry-after", "-20".into(), PLAIN),
        ("retry-after", String::new(), PLAIN),
    ];
    std::thread::scope(|scope| {
        for (name, value, least) in forms {
            scope.spawn(move || {
                let fault = Fault::with_header(429, name, &value);
                let server = once("i0", fault);
                let online = Online::new(&Setup { items: 2, ..Setup::default() }, &server.origin());
                let built = online.build(0, &[]);
                let book = server.book();
                assert_eq!((book.fired(|_| true), book.sent(), built["requests"]["sent"].as_u64()), (1, 5, Some(4)));
                let refused = book.calls().find(|asked| asked.fault.is_some()).unwrap();
                let again = book.calls().find(|asked| asked.body == refused.body && asked.nth == 1).unwrap();
                let waited = again.at.saturating_sub(refused.ended.unwrap());
                let most = least + Duration::from_secs(3);
                assert!(least <= waited && waited < most, "{name}: {value}: waited {waited:?}, not {least:?}");
            });
        }
    });
}

#[test]
fn row_36_beyond_the_ceiling_the_provider_is_left_alone_and_nothing_has_failed() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = ModelServer::scripted(move |_| {
        let is_first = is_first.swap(false, std::sync::atomic::Ordering::SeqCst);
        is_first.then(|| Fault::with_header(429, "retry-after", "1e9"))
    });
    let online = Online::new(&Setup { items: 40, ..Setup::default() }, &server.origin());
    let started = std::time::Instant::now();
    let output = online.exp(&["build", "--yes", "--json", "--max-concurrent-requests", "2"]);
    assert_ne!(output.code, 0);
    assert!(started.elapsed() < Duration::from_secs(20), "a wait of thirty years is not waited for");
    assert!(output.stderr.contains("left alone for"), "{}", output.stderr);
    let first = server.book();
    assert_eq!(first.fired(|_| true), 1);
    assert!(first.sent() < 20, "{} were sent all the same", first.sent());
    // Building again goes on: what was answered is not asked again.
    let built = online.build(0, &[]);
    let book = server.book();
    assert_eq!((book.sent(), book.sent_again()), (81, 1));
    assert_eq!(counted(&online, &built), [("stop".to_owned(), 80)].into());
}

#[test]
fn row_36_a_limit_of_the_server_is_found_and_kept_to() {
    let options = Options { latency: Duration::from_millis(20), at_once: Some(4), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let online = Online::new(&Setup { items: 60, ..Setup::default() }, &server.origin());
    let built = online.build(0, &["--max-concurrent-requests", "64"]);
    assert_eq!(counted(&online, &built), [("stop".to_owned(), 120)].into());
    let book = server.book();
    let refused = book.fired(|_| true);
    assert!((1..60).contains(&refused), "{refused} were refused for 120 that were answered");
    assert_eq!(book.sent(), 120 + refused);
}

#[test]
fn row_36_what_is_left_of_a_rate_limit_is_heeded() {
    let headers = |left: &str| {
        let pairs = [("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", "1s")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let took = |left: &str| {
        let server = ModelServer::start(Options { headers: headers(left), ..Options::default() }, |_| None);
        let online = Online::new(&Setup { items: 3, ..Setup::default() }, &server.origin());
        online.build(0, &["--max-concurrent-requests", "1"]);
        let book = server.book();
        assert_eq!(book.sent(), 6);
        book.asked.last().unwrap().at.saturating_sub(book.calls().next().unwrap().at)
    };
    let (held, free) = (took("0"), took("500"));
    assert!(held >= Duration::from_millis(4500), "{held:?}: one request a second");
    assert!(free < Duration::from_secs(3), "{free:?}: the control");
}

#[test]
fn what_the_config_allows_a_minute_is_kept_to() {
    let took = |limit: &str| {
        let server = ModelServer::plain();
        let setup = Setup { items: 9, provider: limit.to_owned(), ..Setup::default() };
        Online::new(&setup, &server.origin()).build(0, &[]);
        let book = server.book();
        assert_eq!((book.sent(), book.fired(|_| true)), (18, 0));
        let times: Vec<Duration> = book.calls().map(|asked| asked.at).collect();
        times.iter().max().unwrap().saturating_sub(*times.iter().min().unwrap())
    };
    // Ten at once and one a second; 500 tokens at once and 50 a second, of requests that ask for some 45 each.
    let limits = ["requests_per_minute: 60", "tokens_per_minute: 3000", ""];
    let [requests, tokens, free] = std::thread::scope(|scope| {
        limits.map(|limit| scope.spawn(move || took(limit))).map(|thread| thread.join().unwrap())
    });
    assert!(requests >= Duration::from_millis(7500), "{requests:?}: eight of them one a second");
    assert!(tokens >= Duration::from_secs(3), "{tokens:?}: tokens count");
    assert!(free < Duration::from_secs(3), "{free:?}: the control");
}

/// The config of two providers, each with a model of its own.
fn two_providers(setup: &Setup, one: &str, two: &str) -> String {
    let mut config = setup.config(one).replace("{name: m,", "{name: first,");
    let (provider, model) = (
        "  theirs: {kind: openai, base_url: 'TWO/v1', identity: theirs}\n",
        "  - {name: second, provider: theirs, model: ours, price: {input: 0.5, output: 2}}\n",
    );
    config = config.replace("models:\n", &format!("{}models:\n", provider.replace("TWO", two)));
    config
        .replace("decoding:", &format!("{model}decoding:"))
        .replace("prompt_sets:", "sweep: {models: [first, second]}\nprompt_sets:")
}

#[test]
fn row_37_a_provider_that_cannot_serve_is_stopped_and_the_rest_goes_on() {
    let faults = [Fault::InsufficientQuota, Fault::BadKey, Fault::NoCredit, Fault::Forbidden, Fault::UnknownModel];
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || {
                let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
                let (is_broken, played) = (broken.clone(), fault.clone());
                let one = ModelServer::scripted(move |_| {
                    is_broken.load(std::sync::atomic::Ordering::SeqCst).then(|| played.clone())
                });
                let two = ModelServer::plain();
                let setup = Setup { items: 100, ..Setup::default() };
                let online = Online::new(&setup, &one.origin());
                online.project.config(&two_providers(&setup, &one.origin(), &two.origin()));
                let output = online.exp(&["build", "--yes", "--json", "--max-concurrent-requests", "4"]);
                assert_eq!(output.code, 1, "{output:?}");
                assert_eq!(one.book().fired(|fired| *fired == fault), one.sent());
                assert!((1..=8).contains(&one.sent()), "{fault:?}: sent {} times, four at once", one.sent());
                let told = output.stderr.lines().filter(|line| line.starts_with("nothing more is sent")).count();
                assert_eq!(told, 1, "{fault:?}: one clear message: {}", output.stderr);
                assert_eq!((two.sent(), two.book().sent_again()), (200, 0), "{fault:?}");
                // Mended, the rest is asked, and nothing twice.
                broken.store(false, std::sync::atomic::Ordering::SeqCst);
                let sent = one.sent();
                online.build(0, &[]);
                assert_eq!((one.sent() - sent, two.sent()), (200, 200), "{fault:?}");
            });
        }
    });
}

#[test]
fn row_37_what_is_wrong_with_one_item_is_that_items_alone() {
    let server = ModelServer::scripted(|asked| match (asked.tag.as_str(), is_control(asked)) {
        ("i0", true) => Some(Fault::Rejected(400)),
        ("i1", true) => Some(Fault::Rejected(413)),
        ("i2", false) => Some(Fault::Rejected(422)),
        ("i3", true) => Some(Fault::ContentPolicy),
        _ => None,
    });
    let online = Online::new(&Setup { items: 30, ..Setup::default() }, &server.origin());
    let built = online.build(1, &[]);
    let counts = [("content_filter".to_owned(), 1), ("failed:rejected".to_owned(), 3), ("stop".to_owned(), 56)];
    assert_eq!(counted(&online, &built), counts.clone().into());
    assert_eq!(statuses(&online, &built)[&("i2".to_owned(), "treatment".to_owned())], "failed:rejected");
    assert_eq!(server.sent(), 60, "none of them twice");
    let built = online.build(1, &[]);
    assert_eq!((server.sent(), counted(&online, &built)), (60, counts.into()), "nor by the next build");
    online.build(1, &["--retry-rejected"]);
    assert_eq!(server.sent(), 63, "until it is told to; the answer `content_filter` is kept even then");
}

#[test]
fn row_38_attempts_are_bounded_and_the_server_has_a_say() {
    let cases: Vec<(&'static str, Fault, usize)> = vec![
        ("i0", Fault::status(408), 3),
        ("i1", Fault::status(409), 3),
        ("i2", Fault::status(500), 3),
        ("i3", Fault::status(502), 3),
        ("i4", Fault::status(503), 3),
        ("i5", Fault::status(504), 3),
        ("i6", Fault::status(529), 3),
        ("i7", Fault::with_header(503, "x-should-retry", "false"), 1),
        ("i8", Fault::with_header(400, "x-should-retry", "true"), 3),
        ("i9", Fault::status(400), 1),
    ];
    let script: BTreeMap<&str, Fault> = cases.iter().map(|(item, fault, _)| (*item, fault.clone())).collect();
    let server =
        ModelServer::scripted(move |asked| script.get(asked.tag.as_str()).filter(|_| is_control(asked)).cloned());
    let setup = Setup { items: 20, provider: "max_attempts: 3".to_owned(), ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let output = online.exp(&["build", "--yes", "--json"]).expect_code(1);
    assert!(output.stderr.contains("openai ours is asked again after "), "{}", output.stderr);
    let built = output.json();
    let book = server.book();
    for (item, fault, sends) in &cases {
        let sent = book.calls().filter(|asked| asked.tag == *item && asked.fault.is_some()).count();
        assert_eq!(sent, *sends, "{item}: {fault:?}");
    }
    assert_eq!(counted(&online, &built)["stop"], 30);
    assert_eq!(book.sent(), 40 - cases.len() + cases.iter().map(|(_, _, sends)| sends).sum::<usize>());
}

#[test]
fn row_39_what_never_arrived_is_asked_again_and_not_charged() {
    // Nobody listens at first; then somebody does, at another port under the same identity.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let setup = Setup { items: 10, provider: "max_attempts: 2".to_owned(), ..Setup::default() };
    let online = Online::new(&setup, &format!("http://127.0.0.1:{port}"));
    let output = online.exp(&["build", "--yes", "--json"]);
    assert_eq!(output.code, 1, "{output:?}");
    let cost = online.project.manifest(&output.json())["cost_usd"].clone();
    assert_eq!((cost["spent"].as_f64(), cost["uncertain"]["attempts"].as_u64()), (Some(0.0), Some(0)), "{cost}");
    let server =
        ModelServer::start(Options { unread: vec![0, 3, 5], keep_alive: false, ..Options::default() }, |asked| {
            (asked.ordinal == 3).then_some(Fault::Refused(Duration::from_millis(1500)))
        });
    let setup = Setup { provider: "max_attempts: 6".to_owned(), ..setup };
    online.project.config(&setup.config(&server.origin()));
    let built = online.build(0, &["--max-concurrent-requests", "3"]);
    assert_eq!(counted(&online, &built), [("stop".to_owned(), 20)].into());
    let book = server.book();
    assert_eq!(book.fired(|_| true), 1, "the listener was closed for a while");
    assert!(book.connections > 5, "and some connections were reset unread");
    let charged = book.calls().filter(|asked| asked.bill.is_some()).count();
    assert_eq!((charged, book.sent()), (20, 21), "each was answered and charged once");
}

#[test]
fn row_40_an_attempt_of_unknown_fate_is_a_range_in_the_ledger() {
    let faults = [
        Fault::ResetAfterReading { generated: true },
        Fault::ClosedAfterReading { generated: true },
        Fault::Silent { generated: true, seconds: 1.2 },
        Fault::Silent { generated: false, seconds: 1.2 },
    ];
    for policy in ["retry", "stop"] {
        let script = faults.clone();
        let server = ModelServer::scripted(move |asked| {
            let number: usize = asked.tag.trim_start_matches('i').parse().unwrap();
            (asked.nth == 0 && is_control(asked)).then(|| script.get(number).cloned()).flatten()
        });
        let setup = Setup { items: 6, provider: "timeouts: {read: 400ms}".to_owned(), ..Setup::default() };
        let online = Online::new(&setup, &server.origin());
        let output = online.exp(&["build", "--yes", "--json", "--on-uncertain", policy]);
        assert_eq!(output.code, i32::from(policy == "stop"), "{output:?}");
        let built = output.json();
        server.settle();
        let book = server.book();
        assert_eq!(book.fired(|_| true), 4);
        assert_eq!(book.sent(), if policy == "retry" { 16 } else { 12 }, "{policy}");
        let cost = online.project.manifest(&built)["cost_usd"].clone();
        let (spent, most) = (cost["spent"].as_f64().unwrap(), cost["uncertain"]["max"].as_f64().unwrap());
        assert_eq!(cost["uncertain"]["attempts"], 4, "{cost}");
        assert_eq!(cost["uncertain"]["min"], 0.0);
        let truth = book.cost(support::online::INPUT, support::online::OUTPUT);
        assert!(spent < truth && truth <= spent + most, "{truth} is not in {cost}");
        assert!(output.stderr.contains("uncertain") || built.to_string().contains("uncertain"), "{output:?}");
        if policy == "stop" {
            let failed = counted(&online, &built);
            assert_eq!((failed["failed:timeout"], failed["failed:transport"]), (2, 2), "{failed:?}");
        }
    }
}

#[test]
fn row_41_what_is_no_response_is_a_failure_whose_bytes_are_kept() {
    let faults: Vec<(Fault, &str)> = vec![
        (Fault::MalformedJson, "chat.completion"),
        (Fault::CutBody, "chatcmpl-"),
        (Fault::StalledChunks { seconds: 6.0 }, "chatcmpl-"),
        (Fault::UnterminatedChunks, "finish_reason"),
        (Fault::WrongContentType, "finish_reason"),
        (Fault::HtmlPage, "<title>Sign in</title>"),
        (Fault::EmptyBody, ""),
        (Fault::ErrorBody, "The server had an error."),
        (Fault::NoChoices, "\\\"choices\\\":[]"),
        (Fault::GzipBomb { megabytes: 48 }, ""),
    ];
    let script: Vec<Fault> = faults.iter().map(|(fault, _)| fault.clone()).collect();
    let server = ModelServer::scripted(move |asked| {
        let number: usize = asked.tag.trim_start_matches('i').parse().unwrap();
        is_control(asked).then(|| script.get(number).cloned()).flatten()
    });
    let setup = Setup { items: 14, provider: "max_attempts: 1, timeouts: {read: 4s}".to_owned(), ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let built = online.build(1, &[]);
    let statuses = statuses(&online, &built);
    for (number, (fault, _)) in faults.iter().enumerate() {
        let status = &statuses[&(format!("i{number}"), "control".to_owned())];
        let expected = if matches!(fault, Fault::StalledChunks { .. }) { "failed:timeout" } else { "failed:malformed" };
        assert_eq!(status, expected, "{fault:?}");
        assert_eq!(statuses[&(format!("i{number}"), "treatment".to_owned())], "stop");
    }
    server.settle();
    assert_eq!(server.book().fired(|_| true), faults.len());
    let log = failures_in_log(&online);
    for (fault, kept) in &faults {
        assert!(log.iter().any(|line| line.contains(kept)), "{fault:?}: the log lacks {kept}");
    }
    assert_eq!(log.len(), faults.len());
    assert!(log.iter().all(|line| line.len() < 200_000), "what is kept of a body that broke off is bounded");
    assert!(log.iter().all(|line| line.contains("\"billed\":\"uncertain\"")), "{log:?}");
}

/// The lines of the draw log that are failures.
fn failures_in_log(online: &Online) -> Vec<String> {
    let entries = std::fs::read_dir(online.project.path("store/draws")).unwrap();
    let texts =
        entries.map(|entry| String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.into_iter().filter(|line| line.contains(" {\"failure\":")).collect()
}

#[test]
fn row_42_every_ending_has_its_status_in_every_protocol() {
    let faults: Vec<(Fault, &str)> = vec![
        (Fault::NullContent, "empty"),
        (Fault::Refusal, "refusal"),
        (Fault::ToolCalls, "empty"),
        (Fault::Length, "length"),
        (Fault::ContentFilter, "content_filter"),
        (Fault::ManyChoices, "stop"),
        (Fault::NoUsage, "stop"),
        (Fault::AbsurdUsage, "stop"),
        (Fault::LoneSurrogate, "stop"),
    ];
    let chat = Setup { items: 12, ..Setup::default() };
    let with_context = "{temperature: 0, max_output_tokens: 16}";
    let setups = [
        ("chat", chat.clone()),
        ("responses", Setup { provider: "api: responses".to_owned(), ..chat.clone() }),
        ("messages", Setup { kind: "anthropic", path: "", ..chat.clone() }),
        (
            "ollama",
            Setup {
                kind: "ollama",
                path: "",
                provider: "extra_body: {options: {num_ctx: 2048}}".to_owned(),
                decoding: with_context,
                ..chat
            },
        ),
    ];
    for (protocol, setup) in setups {
        let script: Vec<Fault> = faults.iter().map(|(fault, _)| fault.clone()).collect();
        let server = ModelServer::scripted(move |asked| {
            let number: usize = asked.tag.trim_start_matches('i').parse().unwrap();
            is_control(asked).then(|| script.get(number).cloned()).flatten()
        });
        let online = Online::new(&setup, &server.origin());
        let built = online.build(0, &[]);
        let book = server.book();
        assert_eq!((book.fired(|_| true), book.sent()), (faults.len(), 24), "{protocol}: an answer is an answer");
        let rows = online.predictions(&built);
        for (number, (fault, expected)) in faults.iter().enumerate() {
            let row = rows.iter().find(|row| row["item_id"] == format!("i{number}") && row["condition"] == "control");
            let row = row.unwrap();
            // Anthropic knows one word for both, and Ollama neither.
            let expected = match (protocol, fault) {
                ("messages", Fault::ContentFilter) => "refusal",
                ("ollama", Fault::Refusal) => "empty",
                ("ollama", Fault::ContentFilter) => "stop",
                _ => expected,
            };
            assert_eq!(row["status"], expected, "{protocol}: {fault:?}: {row:?}");
            match fault {
                Fault::NoUsage | Fault::AbsurdUsage => {
                    assert_eq!((&*row["prompt_tokens"], &*row["completion_tokens"]), ("", ""), "{protocol}: {fault:?}");
                }
                Fault::LoneSurrogate => assert!(row["response_text"].contains("half \u{fffd} pair"), "{row:?}"),
                _ => assert_ne!(row["prompt_tokens"], "", "{protocol}: {fault:?}"),
            }
        }
        let cost = online.project.manifest(&built)["cost_usd"].clone();
        assert_eq!(cost["unknown"], 2, "{protocol}: unknown is unknown, never 0: {cost}");
        let logs = online.project.path("store/draws");
        let raw = std::fs::read_dir(logs)
            .unwrap()
            .any(|entry| String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).contains("\\\\ud800"));
        assert!(raw, "{protocol}: the bytes as they came are in the log");
    }
}

#[test]
fn row_47_a_redirect_is_not_followed() {
    let elsewhere = ModelServer::plain();
    let to = format!("{}/v1/chat/completions", elsewhere.origin());
    let server = ModelServer::scripted(move |_| Some(Fault::Redirect { to: to.clone() }));
    let online = Online::new(&Setup { items: 30, ..Setup::default() }, &server.origin());
    let output = online.exp(&["build", "--yes", "--json", "--max-concurrent-requests", "2"]);
    assert_eq!(output.code, 1, "{output:?}");
    let book = server.book();
    assert!(book.fired(|_| true) >= 1 && book.sent() <= 4, "{}", book.sent());
    assert!(book.calls().all(|asked| asked.headers.contains_key("authorization")), "the key went where it belongs");
    let other = elsewhere.book();
    assert_eq!((other.asked.len(), other.connections), (0, 0), "and nowhere else");
    assert!(output.stderr.contains("elsewhere"), "{}", output.stderr);
}

#[test]
fn a_slow_endpoint_does_not_starve_another() {
    let slow = ModelServer::start(Options { latency: Duration::from_secs(2), ..Options::default() }, |_| None);
    let fast = ModelServer::plain();
    let setup = Setup { items: 40, ..Setup::default() };
    let online = Online::new(&setup, &slow.origin());
    online.project.config(&two_providers(&setup, &slow.origin(), &fast.origin()));
    online.build(0, &["--max-concurrent-requests", "20"]);
    assert_eq!((slow.sent(), fast.sent()), (80, 80));
    let span = |server: &ModelServer| {
        let book = server.book();
        book.asked.last().unwrap().ended.unwrap().saturating_sub(book.asked[0].at)
    };
    assert!(span(&slow) > Duration::from_secs(6), "{:?}", span(&slow));
    assert!(span(&fast) < Duration::from_secs(3), "{:?}", span(&fast));
}
