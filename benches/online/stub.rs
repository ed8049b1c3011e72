use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Answers every request alike, with as little work as a server can do: two system calls a request.
pub struct Stub {
    /// The port on loopback.
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    connections: AtomicUsize,
    span: Mutex<Option<(Instant, Instant)>>,
}

const BODY: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1764000000,"model":"stub","choices":[{"index":0,"message":{"role":"assistant","content":"Person7 of the mill","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":58,"completion_tokens":6,"total_tokens":64,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_stub"}"#;

impl Stub {
    /// Starts to listen; each answer takes so long. The threads end with their connections, the listener with the process.
    pub fn start(latency: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Seen::default());
        let counts = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = counts.clone();
                let serve = move || serve(stream, latency, &seen);
                drop(std::thread::Builder::new().stack_size(64 << 10).spawn(serve));
            }
        });
        Ok(Self { port, seen })
    }

    /// How many requests were answered, over how many connections, and how long it took from the first to the last.
    pub fn seen(&self) -> (u64, usize, Duration) {
        let span = self.seen.span.lock().ok().and_then(|span| *span);
        let span = span.map_or(Duration::ZERO, |(first, last)| last - first);
        (self.seen.requests.load(Ordering::Relaxed), self.seen.connections.load(Ordering::Relaxed), span)
    }
}

fn serve(mut stream: TcpStream, latency: Duration, seen: &Seen) {
    drop(stream.set_nodelay(true));
    seen.connections.fetch_add(1, Ordering::Relaxed);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-0\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut buffer = vec![0; 8192];
    let (mut filled, mut first, mut last, mut requests) = (0, None, Instant::now(), 0);
    while let Ok(read) = stream.read(&mut buffer[filled..]) {
        if read == 0 {
            break;
        }
        filled += read;
        if !is_whole(&buffer[..filled]) {
            continue;
        }
        filled = 0;
        // What is asked of the server itself does not count.
        let is_call = buffer.starts_with(b"POST");
        if is_call {
            first.get_or_insert_with(Instant::now);
        }
        if !latency.is_zero() {
            std::thread::sleep(latency);
        }
        if stream.write_all(answer.as_bytes()).is_err() {
            break;
        }
        last = Instant::now();
        requests += u64::from(is_call);
    }
    seen.requests.fetch_add(requests, Ordering::Relaxed);
    if let (Some(first), Ok(mut span)) = (first, seen.span.lock()) {
        let (from, to) = span.unwrap_or((first, last));
        *span = Some((from.min(first), to.max(last)));
    }
}

/// Whether a request is there with all of its body.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let name = b"content-length:";
    let Some(at) = bytes[..head].windows(name.len()).position(|some| some.eq_ignore_ascii_case(name)) else {
        return true;
    };
    let digits = bytes[at + name.len()..head].iter().skip_while(|byte| **byte == b' ');
    let length = digits.take_while(|byte| byte.is_ascii_digit()).fold(0, |n, byte| n * 10 + usize::from(byte - b'0'));
    bytes.len() >= head + 4 + length
}
