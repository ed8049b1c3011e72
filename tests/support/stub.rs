//! A server on this machine for what a test has to say word by word.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Is a question that was sent.
pub struct Asked {
    /// The request's first line and its headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// Answers questions (`POST`) as `answer` says: a status and a JSON body. Whatever else is sent is not found.
///
/// Returns the base URL; the server ends with the test's process.
pub fn serve(answer: impl Fn(&Asked) -> (&'static str, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(asked) = read(&mut reader) {
                    let is_question = asked.head.starts_with("POST");
                    let (status, body) = if is_question { answer(&asked) } else { ("404 Not Found", "{}".to_owned()) };
                    let length = body.len();
                    let reply = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    if stream.write_all(reply.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// Reads one request; `None` once the client has gone.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(Asked { head, body: String::from_utf8(body).unwrap() })
}
