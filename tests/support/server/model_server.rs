use std::collections::BTreeMap;
use std::io::{BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::batches::{BatchOptions, Batches};
use super::dialect::{Ending, Made};
use super::play::{After, play};
use super::wire::{self, Incoming, Outgoing};
use super::{Asked, Bill, Book, Dialect, Fault};

/// Says what is done to a call: it sees the call, with which one of its body it is, and nothing of what comes after it.
pub type Script = Arc<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

/// Says what is answered.
pub type Says = Arc<dyn Fn(&[String]) -> String + Send + Sync>;

/// Says how a server serves.
#[derive(Clone)]
pub struct Options {
    /// How long each answer takes.
    pub latency: Duration,
    /// How many calls are answered at once; one more gets 429.
    pub at_once: Option<usize>,
    /// Headers on each answer, for instance what is left of a rate limit.
    pub headers: Vec<(String, String)>,
    /// The key that is asked for: another gets 401.
    pub key: Option<String>,
    /// Whether a connection serves more than one request.
    pub keep_alive: bool,
    /// The numbers of the connections, from 0, that are reset before a byte is read.
    pub unread: Vec<usize>,
    /// The model that probes say is served.
    pub model: String,
    /// The model that answers say served them; absent: the one that was asked for.
    pub served: Option<String>,
    /// The digest and the file name's end that probes give: another one is another revision.
    pub revision: String,
    /// The context length that probes give.
    pub context: u64,
    /// What is said to the texts of a request; absent: something that depends on all of them.
    pub says: Option<Says>,
    /// How batches are served; absent: there are none.
    pub batches: Option<BatchOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            at_once: None,
            headers: Vec::new(),
            key: None,
            keep_alive: true,
            unread: Vec::new(),
            model: "ours".to_owned(),
            served: None,
            revision: "aaaa".to_owned(),
            context: 8192,
            says: None,
            batches: None,
        }
    }
}

/// Serves on loopback until it is dropped.
pub struct ModelServer {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    options: Options,
    script: Script,
    address: SocketAddr,
    started: Instant,
    book: Mutex<Book>,
    batches: Mutex<Batches>,
    in_flight: AtomicUsize,
    /// Until when nobody is listening.
    deaf: Mutex<Option<Instant>>,
    over: AtomicBool,
    open: Mutex<BTreeMap<usize, TcpStream>>,
}

impl ModelServer {
    /// Starts a server that answers everything at once.
    pub fn plain() -> Self {
        Self::start(Options::default(), |_| None)
    }

    /// Starts a server that does as the script says.
    pub fn scripted(script: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self::start(Options::default(), script)
    }

    /// Starts a server.
    pub fn start(options: Options, script: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shared = Arc::new(Shared {
            options,
            script: Arc::new(script),
            address: listener.local_addr().unwrap(),
            started: Instant::now(),
            book: Mutex::default(),
            batches: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            deaf: Mutex::default(),
            over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&shared, listener))
        };
        Self { shared, accepting: Some(accepting) }
    }

    /// The address without a path: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// What it was asked until now.
    pub fn book(&self) -> Book {
        self.shared.book().clone()
    }

    /// What it has of batches.
    pub fn batches(&self) -> MutexGuard<'_, Batches> {
        self.shared.batches.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many calls came until now, without a copy of them.
    pub fn sent(&self) -> usize {
        self.shared.book().sent()
    }

    /// How many calls are being answered.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// Forgets what it was asked: bodies are counted from nothing again.
    pub fn forget(&self) {
        *self.shared.book() = Book::default();
    }

    /// Waits until every connection has ended, so that the book is final: also that of a client who was killed with requests on
    /// their way, which are read after its death.
    pub fn settle(&self) {
        // Connections are accepted in turn: once this one is closed, those before it are in the list of open ones.
        if let Ok(mut last) = TcpStream::connect(self.shared.address) {
            drop(last.shutdown(std::net::Shutdown::Write));
            drop(last.set_read_timeout(Some(Duration::from_secs(5))));
            drop(last.read(&mut [0]));
        }
        let until = Instant::now() + Duration::from_secs(20);
        let is_open = || !self.shared.open.lock().unwrap().is_empty();
        while is_open() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values() {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
        self.shared.wake();
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes the accepting thread look up.
    fn wake(&self) {
        drop(TcpStream::connect(self.address));
    }
}

fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    let mut listener = Some(listener);
    for number in 0.. {
        let accepted = listener.as_ref().and_then(|listener| listener.accept().ok());
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let deaf = *shared.deaf.lock().unwrap();
        if let Some(until) = deaf {
            drop(listener.take());
            // The end may move while it sleeps.
            while let Some(left) = shared.deaf.lock().unwrap().unwrap_or(until).checked_duration_since(Instant::now()) {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::sleep(left.min(Duration::from_millis(20)));
            }
            *shared.deaf.lock().unwrap() = None;
            listener = Some(TcpListener::bind(shared.address).expect("the port is still ours"));
            continue;
        }
        let Some((stream, _)) = accepted else { continue };
        drop(stream.set_nodelay(true));
        shared.book().connections += 1;
        shared.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
        let shared = shared.clone();
        std::thread::spawn(move || {
            let unread = shared.options.unread.contains(&number);
            let after = if unread { After::Reset } else { converse(&shared, stream.try_clone().unwrap()) };
            shared.open.lock().unwrap().remove(&number);
            if after == After::Reset {
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
        });
    }
}

fn converse(shared: &Shared, stream: TcpStream) -> After {
    let mut to = stream.try_clone().unwrap();
    let mut from = BufReader::new(stream);
    while let Some(incoming) = wire::read(&mut from) {
        let after = serve(shared, incoming, &mut to);
        if after != After::Open {
            return after;
        }
        if !shared.options.keep_alive {
            return After::Closed;
        }
    }
    After::Closed
}

/// Counts a call as being answered for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn serve(shared: &Shared, incoming: Incoming, to: &mut TcpStream) -> After {
    if let Some(options) = &shared.options.batches {
        let mut batches = shared.batches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let served = batches
            .serve(options, &incoming)
            .or_else(|| batches.serve_messages(options, &incoming))
            .or_else(|| batches.serve_jobs(options, &incoming));
        if let Some((outgoing, _)) = served.as_ref().filter(|_| options.is_recorded) {
            batches.traffic.push(json!({
                "method": incoming.method, "path": incoming.path, "request": String::from_utf8_lossy(&incoming.body),
                "status": outgoing.status, "response": String::from_utf8_lossy(&outgoing.body),
            }));
        }
        drop(batches);
        match served {
            Some((_, true)) => return After::Reset,
            Some((outgoing, false)) => return if outgoing.write(to).is_ok() { After::Open } else { After::Closed },
            None => {}
        }
    }
    let dialect = (incoming.method == "POST").then(|| Dialect::of(&incoming.path)).flatten();
    let at_once = shared.in_flight.fetch_add(usize::from(dialect.is_some()), Ordering::SeqCst) + 1;
    let guard = dialect.map(|_| InFlight(&shared.in_flight));
    let body: Value = serde_json::from_slice(&incoming.body).unwrap_or(Value::Null);
    let texts = dialect.map(|dialect| dialect.texts(&body)).unwrap_or_default();
    let hash = blake3::hash(&incoming.body).to_hex()[..16].to_owned();
    let mut asked = Asked {
        ordinal: 0,
        nth: 0,
        at: shared.started.elapsed(),
        ended: None,
        path: incoming.path,
        dialect,
        body: hash.clone(),
        tag: texts.last().map(|text| tag_of(text)).unwrap_or_default(),
        text: incoming.body,
        headers: incoming.headers,
        fault: None,
        bill: None,
    };
    let served = shared.options.served.clone();
    let made = Made {
        id: String::new(),
        model: served.unwrap_or_else(|| body["model"].as_str().unwrap_or("unknown").to_owned()),
        text: match &shared.options.says {
            Some(says) if dialect.is_some() => says(&texts),
            _ => answer_to(&texts, &hash),
        },
        ending: Ending::Stop,
        usage: None,
    };
    let bill =
        Bill { input: words(&texts) + 3 * texts.len() as u64, output: words(std::slice::from_ref(&made.text)) + 1 };
    {
        let mut book = shared.book();
        asked.ordinal = book.asked.len();
        if dialect.is_some() {
            let count = book.by_body.entry(hash.clone()).or_default();
            asked.nth = *count;
            *count += 1;
            book.most_in_flight = book.most_in_flight.max(at_once);
            asked.fault = denied(shared, &asked, at_once).or_else(|| (shared.script)(&asked));
            let charged = asked.fault.as_ref().is_none_or(Fault::is_charged);
            asked.bill = charged.then_some(bill);
        }
        book.asked.push(asked.clone());
    }
    let after = match dialect {
        None => {
            let known = probe(&shared.options, &asked.path);
            let outgoing = known.unwrap_or_else(|| Outgoing::json(404, &json!({"error": "there is no such path"})));
            if outgoing.write(to).is_ok() { After::Open } else { After::Closed }
        }
        Some(dialect) => {
            let made = Made { id: format!("{hash}-{}", asked.nth), usage: Some(bill), ..made };
            call(shared, &asked, dialect, made, to)
        }
    };
    let ended = shared.started.elapsed();
    if let Some(entry) = shared.book().asked.get_mut(asked.ordinal) {
        entry.ended = Some(ended);
    }
    drop(guard);
    after
}

fn call(shared: &Shared, asked: &Asked, dialect: Dialect, made: Made, to: &mut TcpStream) -> After {
    match &asked.fault {
        None => {
            std::thread::sleep(shared.options.latency);
            let answer = Outgoing::json(200, &dialect.answer(&made)).with("x-request-id", format!("req-{}", made.id));
            let headers = &shared.options.headers;
            let answer = headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value.as_str()));
            if answer.write(to).is_ok() { After::Open } else { After::Closed }
        }
        Some(Fault::Refused(span)) => {
            let until = Instant::now() + *span;
            let mut deaf = shared.deaf.lock().unwrap();
            *deaf = Some(deaf.map_or(until, |other| other.max(until)));
            drop(deaf);
            // Whoever comes after this reset is to find nobody.
            while TcpStream::connect(shared.address).is_ok() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            After::Reset
        }
        Some(fault) => play(fault, dialect, made, to, &shared.options.headers),
    }
}

/// What the server does by itself: it wants its key, and serves so many at once.
fn denied(shared: &Shared, asked: &Asked, at_once: usize) -> Option<Fault> {
    if let Some(key) = &shared.options.key {
        let given = asked.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let given = given.or_else(|| asked.headers.get("x-api-key").map(String::as_str));
        let given = given.or_else(|| asked.headers.get("api-key").map(String::as_str));
        if given != Some(key) {
            return Some(Fault::BadKey);
        }
    }
    shared.options.at_once.is_some_and(|most| at_once > most).then(|| Fault::status(429))
}

/// What comes between `<<` and `>>`.
pub(super) fn tag_of(text: &str) -> String {
    let tag = text.split_once("<<").and_then(|(_, rest)| rest.split_once(">>"));
    tag.map(|(tag, _)| tag.to_owned()).unwrap_or_default()
}

/// Picks a word of the last text, by the body's hash, or declines: the same for the same body.
pub(super) fn answer_to(texts: &[String], hash: &str) -> String {
    let at = usize::from_str_radix(&hash[..8], 16).unwrap();
    let words: Vec<&str> = texts.last().map(|text| text.split_whitespace().collect()).unwrap_or_default();
    if words.is_empty() || at.is_multiple_of(7) {
        return "unanswerable".to_owned();
    }
    words[at / 7 % words.len()].trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned()
}

pub(super) fn words(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.split_whitespace().count() as u64).sum()
}

/// Answers what is asked about the server itself.
fn probe(options: &Options, path: &str) -> Option<Outgoing> {
    let Options { model, revision, context, .. } = options;
    let details = json!({"format": "gguf", "family": "llama", "parameter_size": "1B", "quantization_level": "Q4_0"});
    let digest = format!("{revision:0>64}");
    let body = match path.split('?').next()? {
        "/api/tags" => json!({"models": [
            {"name": model, "model": model, "modified_at": "2026-01-01T00:00:00Z", "size": 1, "digest": digest, "details": details}
        ]}),
        "/api/show" => json!({
            "modelfile": format!("FROM /models/blobs/sha256-{digest}"), "parameters": "", "template": "{{ .Prompt }}",
            "details": details, "capabilities": ["completion"], "modified_at": "2026-01-01T00:00:00Z",
            "model_info": {"general.architecture": "llama", "llama.context_length": context},
        }),
        "/api/version" => json!({"version": "0.9.9"}),
        "/props" => json!({
            "default_generation_settings": {"n_ctx": context, "params": {}}, "total_slots": 4,
            "model_path": format!("/models/{model}-{revision}.gguf"), "chat_template": "", "build_info": "b9999-0123abc",
        }),
        path if path.ends_with("/models") => json!({"object": "list", "data": [
            {"id": model, "object": "model", "created": 1_764_000_000, "owned_by": "us",
             "root": format!("us/{model}-{revision}"), "max_model_len": context}
        ]}),
        _ => return None,
    };
    Some(Outgoing::json(200, &body))
}
