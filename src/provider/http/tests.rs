use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// Says what a server does once it has read a request.
type Script = Box<dyn Fn(&mut TcpStream) + Send>;

/// Serves one connection after another, each with the next of these; returns what was received on each.
fn serve(scripts: Vec<Script>) -> (String, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handle = std::thread::spawn(move || {
        let mut received = Vec::new();
        for script in scripts {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            received.push(request_of(&mut stream));
            script(&mut stream);
        }
        received
    });
    (url, handle)
}

/// Reads a request: headers, then as many bytes as they say.
fn request_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        bytes.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap_or_default();
    bytes.extend(body);
    bytes
}

fn say(text: &'static str) -> Script {
    Box::new(move |stream| stream.write_all(text.as_bytes()).unwrap_or_default())
}

fn client(read: u64, max_response: u64) -> Client {
    let timeouts = Timeouts {
        connect: Duration::from_secs(2),
        send: Duration::from_secs(2),
        read: Duration::from_millis(read),
        total: Duration::from_millis(1500),
    };
    Client::new(ClientSettings { timeouts, max_response, ..ClientSettings::default() })
}

fn call(url: &str) -> Call {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let key = Secret::new("canary-0123456789").map(|key| ("authorization", "Bearer ", key));
    Call { url: format!("{url}/v1/x"), headers, key, body: Some(b"{\"a\":1}".to_vec()), is_delete: false }
}

fn failed(script: Script) -> SendFailure {
    let (url, server) = serve(vec![script]);
    let failure = client(300, 1000).send(&call(&url)).unwrap_err();
    server.join().unwrap();
    failure
}

#[test]
fn a_request_is_sent_as_it_is_and_the_reply_comes_whole() {
    let ok = "HTTP/1.1 429 Slow Down\r\ncontent-type: application/json\r\nx-request-id: r1\r\nset-cookie: a=b\r\nretry-after: 3\r\n\
              content-length: 2\r\n\r\n{}";
    let (url, server) = serve(vec![say(ok)]);
    let reply = client(1000, 1000).send(&call(&url)).unwrap();
    assert_eq!((reply.status, &*reply.body), (429, &b"{}"[..]));
    assert_eq!(reply.header("retry-after"), Some("3"));
    assert_eq!(reply.headers.keys().collect::<Vec<_>>(), ["content-type", "retry-after", "x-request-id"]);
    let received = String::from_utf8(server.join().unwrap().remove(0)).unwrap();
    assert!(received.starts_with("POST /v1/x HTTP/1.1\r\n"), "{received}");
    assert!(received.contains("authorization: Bearer canary-0123456789\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\n{\"a\":1}"), "{received}");
}

#[test]
fn a_refused_connection_sent_nothing() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let failure = client(300, 1000).send(&call(&url)).unwrap_err();
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Connection, false));
    let failure = client(300, 1000).send(&call("https://no-such-host.invalid")).unwrap_err();
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Connection, false));
}

#[test]
fn a_hang_up_after_the_body_is_uncertain() {
    let failure = failed(Box::new(|_| {}));
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Connection, true));
    let failure = failed(say("HTTP/1.1 200 OK\r\ncontent-le"));
    assert!(failure.may_have_arrived, "{failure:?}");
}

#[test]
fn a_truncated_body_is_broken_and_kept() {
    let failure = failed(say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":\"x\""));
    assert_eq!((failure.trouble, failure.may_have_arrived, failure.status), (Trouble::Broken, true, Some(200)));
    assert_eq!(failure.partial, b"{\"id\":\"x\"");
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let failure = failed(say(chunks));
    assert_eq!((failure.trouble, &*failure.partial), (Trouble::Broken, &b"hello"[..]));
    let failure = failed(say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n"));
    assert_eq!(failure.trouble, Trouble::Broken);
    let failure = failed(say("this is no HTTP\r\n\r\n"));
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Broken, true));
}

#[test]
fn silence_ends_at_the_read_timeout_and_dripping_at_the_total() {
    let stall: Script = Box::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(700));
    });
    let failure = failed(stall);
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Timeout, true));
    assert_eq!(failure.partial, b"hello");
    let silent = failed(Box::new(|_| std::thread::sleep(Duration::from_millis(700))));
    assert_eq!((silent.trouble, silent.may_have_arrived), (Trouble::Timeout, true));
    let drip = failed(Box::new(|stream| {
        for byte in b"HTTP/1.1 200 OK\r\nx-a: 0123456789" {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }));
    assert_eq!((drip.trouble, drip.may_have_arrived), (Trouble::Timeout, true), "{drip:?}");
}

#[test]
fn what_is_too_large_is_not_kept() {
    let large = failed(Box::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n").unwrap();
        stream.write_all(&[b'x'; 5000]).unwrap_or_default();
    }));
    assert_eq!((large.trouble, large.may_have_arrived), (Trouble::TooLarge, true));
    assert!(large.partial.len() <= 1001);
    // 20,000 zero bytes.
    let bomb = failed(Box::new(|stream| {
        let zipped: [u8; 54] = [
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 193, 49, 1, 0, 0, 0, 194, 160, 245, 79, 109, 13, 15, 160, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 120, 48, 2, 83, 47, 151, 32, 78, 0, 0,
        ];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", zipped.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&zipped).unwrap();
    }));
    assert_eq!(bomb.trouble, Trouble::TooLarge, "{bomb:?}");
    let broken = failed(say("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"));
    assert_eq!(broken.trouble, Trouble::Broken);
    let headers = failed(Box::new(|stream| {
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(40_000)).as_bytes())
            .unwrap_or_default();
    }));
    assert!(headers.may_have_arrived, "{headers:?}");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = elsewhere.local_addr().unwrap();
    let (url, server) = serve(vec![Box::new(move |stream| {
        let head = format!("HTTP/1.1 307 Moved\r\nlocation: http://{to}/v1/x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    })]);
    let reply = client(300, 1000).send(&call(&url)).unwrap();
    assert_eq!((reply.status, reply.header("location")), (307, Some(&*format!("http://{to}/v1/x"))));
    server.join().unwrap();
    assert!(elsewhere.accept().is_err(), "nobody may be sent there");
}

#[test]
fn tls_to_a_plain_port_is_a_fault_of_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 64];
        assert!(stream.read(&mut bytes).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let failure = client(300, 1000).send(&call(&url)).unwrap_err();
    server.join().unwrap();
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Tls, false), "{failure:?}");
}

#[test]
fn plain_http_leaves_this_machine_only_where_it_may() {
    let failure = client(300, 1000).send(&call("http://192.0.2.1")).unwrap_err();
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Unusable, false));
}

#[test]
fn a_proxy_is_asked_for_the_way() {
    let (proxy, server) = serve(vec![say("HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n")]);
    let proxies = Proxies { all: Some(proxy), ..Proxies::default() };
    let mut client = Client::new(ClientSettings { proxies, ..ClientSettings::default() });
    let failure = client.send(&call("https://api.example.org")).unwrap_err();
    assert_eq!((failure.trouble, failure.may_have_arrived), (Trouble::Connection, false), "{failure:?}");
    let received = String::from_utf8(server.join().unwrap().remove(0)).unwrap();
    assert!(received.starts_with("CONNECT api.example.org:443 HTTP/1.1\r\n"), "{received}");
    assert!(!received.contains("canary"), "the key is not for the proxy");
    let socks = Proxies { all: Some("socks5://me:pw@127.0.0.1:1".into()), ..Proxies::default() };
    let mut client = Client::new(ClientSettings { proxies: socks, ..ClientSettings::default() });
    let failure = client.send(&call("https://api.example.org")).unwrap_err();
    assert_eq!(failure.why, "the proxy `socks5://127.0.0.1:1` is neither http nor https");
}

#[test]
fn certificates_are_read_from_pem() {
    assert!(Trusted::read(b"").is_err());
    assert!(Trusted::read(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").is_err());
}

#[test]
fn a_name_is_resolved_once_until_something_goes_wrong() {
    use ureq::unversioned::transport::time::Duration::NotHappening;
    let addresses = Addresses::default();
    let config = ureq::Agent::config_builder().build();
    let resolve = |url: &str| {
        let timeout = NextTimeout { after: NotHappening, reason: Timeout::Resolve, per_read: None, per_write: None };
        addresses.resolve(&url.parse().unwrap(), &config, timeout).map(|resolved| resolved.to_vec())
    };
    let one: SocketAddr = "127.0.0.1:9".parse().unwrap();
    *addresses.known() = Some(("model.invalid:80".to_owned(), vec![one]));
    assert_eq!(resolve("http://model.invalid/v1").unwrap(), [one], "nobody knows this name");
    assert_eq!(resolve("http://127.0.0.1:81/v1").unwrap(), ["127.0.0.1:81".parse().unwrap()]);
    assert_eq!(addresses.known().as_ref().unwrap().0, "127.0.0.1:81", "the last one is kept");
    // A request that fails forgets it: the next one asks anew.
    let mut client = Client::new(ClientSettings::default());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let call = Call { url: format!("http://127.0.0.1:{port}/"), ..Call::default() };
    *client.addresses.known() = Some((format!("127.0.0.1:{port}"), vec![one]));
    client.send(&call).unwrap_err();
    assert!(client.addresses.known().is_none());
}

/// Reads what arrives first, and then the rest.
fn first_and_all(listener: &TcpListener, length: usize) -> (usize, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut bytes = vec![0; 64 << 10];
    let first = stream.read(&mut bytes).unwrap();
    bytes.truncate(first);
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut rest = vec![0; (head + length).saturating_sub(first)];
    stream.read_exact(&mut rest).unwrap();
    bytes.extend(rest);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    (first, bytes.split_off(head))
}

/// Sizes about that of the buffer, in which head and body have to fit together, and a body that looks like a head.
#[test]
fn a_head_is_sent_with_its_body() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bodies = [0, 1, 100, BUFFER - 400, BUFFER - 200, BUFFER - 1, BUFFER, BUFFER + 1, 50_000]
        .map(|length| (0..length).map(|n| b'a' + (n % 26) as u8).collect::<Vec<u8>>());
    let bodies: Vec<Vec<u8>> =
        bodies.into_iter().chain([b"POST /x HTTP/1.1\r\n\r\n".to_vec(), b"\r\n\r\n".to_vec()]).collect();
    for body in bodies {
        let (sent, url) = (body.clone(), url.clone());
        let client = std::thread::spawn(move || {
            let call = Call { body: Some(sent), ..call(&url) };
            client(2000, 1000).send(&call).map(|reply| reply.body)
        });
        let (first, received) = first_and_all(&listener, body.len());
        assert_eq!(received, body, "{} bytes", body.len());
        assert!(body.len() > 10_000 || first > body.len(), "{} bytes: {first} came first", body.len());
        assert_eq!(client.join().unwrap().unwrap(), b"ok");
    }
}

#[test]
fn what_comes_after_an_answer_is_not_the_next_answer() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let keep = held.clone();
    let talkative: Script = Box::new(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged").unwrap();
        keep.lock().unwrap().push(stream.try_clone().unwrap());
    });
    let (url, server) = serve(vec![talkative, say("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond")]);
    let mut client = client(1000, 1000);
    assert_eq!(client.send(&call(&url)).unwrap().body, b"first");
    // The connection stands, and something lies in it.
    while held.lock().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.send(&call(&url)).unwrap().body, b"second");
    server.join().unwrap();
}
