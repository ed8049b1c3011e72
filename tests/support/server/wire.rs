use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::TcpStream;

/// Is one request as it was read.
#[derive(Debug)]
pub struct Incoming {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Reads a request; `None`: the connection has ended, or what comes is no HTTP.
pub fn read(from: &mut BufReader<TcpStream>) -> Option<Incoming> {
    let mut line = String::new();
    if from.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        from.read_line(&mut line).ok()?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        from.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            line.clear();
            from.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
            let before = body.len();
            from.take(length as u64).read_to_end(&mut body).ok()?;
            if body.len() != before + length {
                return None;
            }
            line.clear();
            from.read_line(&mut line).ok()?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length") {
        let length: usize = length.parse().ok()?;
        from.take(length as u64).read_to_end(&mut body).ok()?;
        if body.len() != length {
            return None;
        }
    }
    Some(Incoming { method, path, headers, body })
}

/// Is a response: the head and the body are written as they stand, so that they may contradict each other.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Outgoing {
    /// Makes a response with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::of(status, "application/json", body.to_string().into_bytes())
    }

    /// Makes a response of a type.
    pub fn of(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The bytes of the head with these framing headers.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str(framing);
        head.push_str("\r\n\r\n");
        head.into_bytes()
    }

    /// Writes it whole.
    pub fn write(&self, to: &mut TcpStream) -> std::io::Result<()> {
        let mut bytes = self.head(&format!("content-length: {}", self.body.len()));
        bytes.extend_from_slice(&self.body);
        to.write_all(&bytes)
    }
}
