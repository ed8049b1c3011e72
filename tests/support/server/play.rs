use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::dialect::{Ending, Made};
use super::wire::Outgoing;
use super::{Bill, Dialect, Fault};

/// Says what becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next request may come.
    Open,
    /// It is closed in good order.
    Closed,
    /// It is reset.
    Reset,
}

/// Does to a request that was read what the fault says; what comes before reading is not done here.
pub fn play(fault: &Fault, dialect: Dialect, mut made: Made, to: &mut TcpStream, limits: &[(String, String)]) -> After {
    let plain =
        |made: &Made| Outgoing::json(200, &dialect.answer(made)).with("x-request-id", format!("req-{}", made.id));
    let ended = |made: &mut Made, ending| {
        made.ending = ending;
        plain(made)
    };
    let error = |status, kind: &str, message: &str| Outgoing::json(status, &dialect.error(kind, message));
    let outgoing = match fault {
        Fault::Status { code, headers } => {
            let refused = error(*code, name_of(*code), "not now");
            headers.iter().fold(refused, |refused, (name, value)| refused.with(name, value.as_str()))
        }
        Fault::InsufficientQuota => error(429, "insufficient_quota", "You exceeded your current quota."),
        Fault::BadKey => {
            let kind = if dialect == Dialect::Messages { "authentication_error" } else { "invalid_api_key" };
            error(401, kind, "The key is wrong.")
        }
        Fault::NoCredit => error(402, "billing_error", "There is no credit left."),
        Fault::Forbidden => error(403, "permission_error", "This key may not use this."),
        Fault::UnknownModel => match dialect {
            Dialect::Messages => error(404, "not_found_error", &format!("model: {}", made.model)),
            Dialect::Ollama => error(404, "", &format!("model '{}' not found", made.model)),
            _ => error(404, "model_not_found", &format!("The model `{}` does not exist", made.model)),
        },
        Fault::Rejected(code) => error(*code, "invalid_request_error", "This request is not taken."),
        Fault::ContentPolicy => error(400, "content_policy_violation", "Withheld by the content policy."),
        Fault::Refused(_) | Fault::ResetAfterReading { .. } => return After::Reset,
        Fault::ClosedAfterReading { .. } => return After::Closed,
        Fault::Silent { seconds, .. } => {
            std::thread::sleep(Duration::from_secs_f64(*seconds));
            return After::Closed;
        }
        Fault::MalformedJson => {
            let mut whole = plain(&made);
            let middle = whole.body.len() / 2;
            whole.body[middle] = 0x01;
            whole
        }
        Fault::CutBody => {
            let whole = plain(&made);
            let mut bytes = whole.head(&format!("content-length: {}", whole.body.len()));
            bytes.extend_from_slice(&whole.body[..whole.body.len() / 2]);
            drop(to.write_all(&bytes));
            return After::Closed;
        }
        Fault::StalledChunks { seconds } => {
            let whole = plain(&made);
            drop(to.write_all(&chunked(&whole, whole.body.len() / 2)));
            std::thread::sleep(Duration::from_secs_f64(*seconds));
            return After::Closed;
        }
        Fault::UnterminatedChunks => {
            let whole = plain(&made);
            drop(to.write_all(&chunked(&whole, whole.body.len())));
            return After::Closed;
        }
        Fault::GzipBomb { megabytes } => {
            Outgoing::of(200, "application/json", gzip_of_spaces(*megabytes)).with("content-encoding", "gzip")
        }
        Fault::WrongContentType => Outgoing::of(200, "text/plain", plain(&made).body),
        Fault::HtmlPage => {
            Outgoing::of(200, "text/html; charset=utf-8", b"<!doctype html><title>Sign in</title>".to_vec())
        }
        Fault::EmptyBody => Outgoing::of(200, "application/json", Vec::new()),
        Fault::ErrorBody => error(200, "server_error", "The server had an error."),
        Fault::NoChoices => Outgoing::json(200, &dialect.nothing(&made)),
        Fault::NullContent => ended(&mut made, Ending::Null),
        Fault::Refusal => ended(&mut made, Ending::Refusal),
        Fault::ToolCalls => ended(&mut made, Ending::ToolCalls),
        Fault::Length => ended(&mut made, Ending::Length),
        Fault::ContentFilter => ended(&mut made, Ending::ContentFilter),
        Fault::ManyChoices => ended(&mut made, Ending::ManyChoices),
        Fault::NoUsage => {
            made.usage = None;
            plain(&made)
        }
        Fault::AbsurdUsage => {
            made.usage = Some(Bill { input: u64::MAX, output: u64::MAX });
            plain(&made)
        }
        Fault::LoneSurrogate => {
            made.text = format!("SURROGATE {}", made.text);
            let mut whole = plain(&made);
            let text = String::from_utf8(whole.body).unwrap();
            whole.body = text.replace("SURROGATE", "half \\ud800 pair").into_bytes();
            whole
        }
        Fault::Says { code: 200, text } => {
            made.text.clone_from(text);
            plain(&made)
        }
        Fault::Says { code, text } => error(*code, name_of(*code), text),
        Fault::Redirect { to } => Outgoing::of(307, "text/plain", Vec::new()).with("location", to.as_str()),
    };
    let outgoing = limits.iter().fold(outgoing, |outgoing, (name, value)| outgoing.with(name, value.as_str()));
    if outgoing.write(to).is_ok() { After::Open } else { After::Closed }
}

fn name_of(code: u16) -> &'static str {
    match code {
        429 => "rate_limit_exceeded",
        529 => "overloaded_error",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

/// The head and the first bytes of a body in chunks of 64, without the last chunk.
fn chunked(whole: &Outgoing, length: usize) -> Vec<u8> {
    let mut bytes = whole.head("transfer-encoding: chunked");
    for chunk in whole.body[..length].chunks(64) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A gzip file that unpacks to so many megabytes of spaces: white space is no error until JSON ends.
fn gzip_of_spaces(megabytes: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // One block with fixed codes (RFC 1951, 3.2.6): a literal space, then copies of 258 bytes from one byte back.
    bits.push(0b1, 1);
    bits.push(0b01, 2);
    bits.push_code(0x30 + 0x20, 8);
    let copies = (megabytes << 20) / 258;
    for _ in 0..copies {
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    bits.push_code(0, 7);
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    file.extend_from_slice(&bits.finish());
    // The check sum and the length are wrong on purpose: nobody is to come this far.
    file.extend_from_slice(&[0; 8]);
    file
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Adds the lowest bits first.
    fn push(&mut self, value: u32, length: u32) {
        for at in 0..length {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> at) as u8 & 1;
            *self.bytes.last_mut().unwrap() |= bit << (self.used % 8);
            self.used += 1;
        }
    }

    /// Adds a Huffman code: the highest bit first.
    fn push_code(&mut self, code: u32, length: u32) {
        for at in (0..length).rev() {
            self.push(code >> at & 1, 1);
        }
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
