//! Row 48 of the matrix of faults: certificates that `openssl` makes, shown by a server that speaks TLS, on loopback. What is not
//! good is fatal: one connection, one message with its remedy, and not one byte of a request.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use server::ModelServer;
use support::Output;
use support::online::{Online, Setup};

/// Makes certificates with `openssl`, in a directory of their own.
struct Certificates {
    dir: tempfile::TempDir,
}

/// What `openssl ca` wants to be told before it signs anything.
const CA: &str = "\
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
";

impl Certificates {
    /// Makes an authority; none where there is no `openssl`.
    fn new() -> Option<Self> {
        if let Err(error) = Command::new("openssl").arg("version").output() {
            println!("skipped: openssl: {error}");
            return None;
        }
        let made = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(made.path("ca.cnf"), CA).unwrap();
        std::fs::write(made.path("index.txt"), "").unwrap();
        made.own("ca", "critical,CA:TRUE", &[]);
        Some(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a certificate that is signed with its own key.
    fn own(&self, name: &str, constraints: &str, more: &[&str]) {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        let (subject, constraints) = (format!("/CN={name}"), format!("basicConstraints={constraints}"));
        let args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let own = ["-keyout", &key, "-out", &pem, "-subj", &subject, "-addext", &constraints];
        self.openssl(&[&args[..], &own, more].concat());
    }

    /// Makes a certificate of the authority for a name, from one day to another.
    fn signed(&self, name: &str, alternative: &str, from: &str, until: &str) {
        let [key, request, pem, extensions] = ["key", "csr", "pem", "ext"].map(|end| format!("{name}.{end}"));
        let subject = format!("/CN={name}");
        std::fs::write(self.path(&extensions), format!("subjectAltName={alternative}\nbasicConstraints=CA:FALSE\n"))
            .unwrap();
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let own = ["-keyout", &key, "-out", &request, "-subj", &subject];
        self.openssl(&[&["req"][..], &curve, &own].concat());
        let days = ["-startdate", from, "-enddate", until, "-extfile", &extensions];
        let by = ["-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        self.openssl(&[&["ca", "-in", &request, "-out", &pem][..], &by, &days].concat());
    }

    fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

const THEN: &str = "20200101000000Z";
const NOW: [&str; 2] = ["20250101000000Z", "20490101000000Z"];
const HERE: &str = "IP:127.0.0.1";

/// Ends TLS before a server that speaks none, and counts who came and what they said.
struct Terminator {
    port: u16,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Terminator {
    /// Shows a certificate, and passes on what is asked after that.
    fn start(certificates: &Certificates, name: &str, behind: &str) -> Self {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&certificates.pem(&format!("{name}.pem")))
                .collect::<Result<_, _>>()
                .unwrap();
        let key = PrivateKeyDer::from_pem_slice(&certificates.pem(&format!("{name}.key"))).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, heard) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let behind = behind.trim_start_matches("http://").to_owned();
        let (counted, kept) = (connections.clone(), heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let connection = ServerConnection::new(config.clone()).unwrap();
                let tls = StreamOwned::new(connection, stream.unwrap());
                let (behind, kept) = (behind.clone(), kept.clone());
                std::thread::spawn(move || pass_on(tls, &behind, &kept));
            }
        });
        Self { port, connections, heard }
    }

    fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// Reads a message of HTTP that says how long it is; none where the connection ends.
fn message(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut reader = BufReader::with_capacity(1, from);
    let (mut bytes, mut length) = (Vec::new(), 0);
    loop {
        let before = bytes.len();
        if reader.read_until(b'\n', &mut bytes).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&bytes[before..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let head = bytes.len();
    bytes.resize(head + length, 0);
    reader.read_exact(&mut bytes[head..]).ok()?;
    Some(bytes)
}

fn pass_on(mut tls: StreamOwned<ServerConnection, TcpStream>, behind: &str, heard: &Mutex<Vec<u8>>) {
    let mut plain = TcpStream::connect(behind).unwrap();
    while let Some(asked) = message(&mut tls) {
        heard.lock().unwrap().extend(&asked);
        plain.write_all(&asked).unwrap();
        let Some(answer) = message(&mut plain) else { return };
        if tls.write_all(&answer).and_then(|()| tls.flush()).is_err() {
            return;
        }
    }
}

/// A project whose provider is asked at an address, with a file of certificates to trust or without.
fn project(kind: &'static str, origin: &str, trusted: Option<&[u8]>) -> Online {
    let provider = if trusted.is_some() { "ca_file: trusted.pem" } else { "" };
    let path = if kind == "openai" { "/v1" } else { "" };
    let setup = Setup { items: 12, kind, path, provider: provider.to_owned(), ..Setup::default() };
    let online = Online::new(&setup, origin);
    if let Some(pem) = trusted {
        online.project.file("trusted.pem", pem);
    }
    online
}

/// Expects one message, with the reason and the remedy, and that nothing was answered or paid for.
#[track_caller]
fn refused(what: &str, output: &Output, online: &Online, reason: &str, remedy: &str) {
    assert_eq!(output.code, 1, "{what}: {output:?}");
    let told: Vec<&str> = output.stderr.lines().filter(|line| line.contains("TLS")).collect();
    let [line] = told[..] else { panic!("{what}: told {} times: {}", told.len(), output.stderr) };
    assert!(line.starts_with("nothing more is sent to ") && line.contains(reason), "{what}: {line}");
    assert!(line.contains(remedy), "{what}: no remedy like `{remedy}` in: {line}");
    let built = output.json();
    assert_eq!((&built["requests"]["sent"], &built["requests"]["failed"]), (&0.into(), &24.into()), "{what}");
    let cost = &built["cost_usd"];
    assert_eq!((&cost["spent"], &cost["uncertain"]["attempts"]), (&0.0.into(), &0.into()), "{what}: {cost}");
    assert!(online.predictions(&built).iter().all(|row| row["status"] == "failed:provider_stopped"), "{what}");
}

const BUILD: [&str; 5] = ["build", "--yes", "--json", "--max-concurrent-requests", "1"];

#[test]
fn row_48_a_certificate_that_is_not_good_is_fatal() {
    let Some(certificates) = Certificates::new() else { return };
    certificates.signed("expired", HERE, THEN, "20200201000000Z");
    certificates.signed("early", HERE, "20480101000000Z", NOW[1]);
    certificates.signed("elsewhere", "DNS:api.example.org", NOW[0], NOW[1]);
    certificates.signed("good", HERE, NOW[0], NOW[1]);
    certificates.own("alone", "critical,CA:FALSE", &["-addext", "subjectAltName=IP:127.0.0.1"]);
    let ca = certificates.pem("ca.pem");
    let cases = [
        ("expired", Some(&ca[..]), "xpired", "renew the certificate"),
        ("early", Some(&ca), "not valid yet", "the clock"),
        ("elsewhere", Some(&ca), "not valid for name", "correct `base_url`"),
        ("alone", Some(&ca), "UnknownIssuer", "`ca_file`"),
        ("alone", None, "UnknownIssuer", "`ca_file`"),
        ("good", None, "UnknownIssuer", "`ca_file`"),
    ];
    std::thread::scope(|scope| {
        for (name, trusted, reason, remedy) in cases {
            let certificates = &certificates;
            scope.spawn(move || {
                // What is asked before anything is sent comes first of one kind, the request itself of the other.
                for kind in ["openai", "anthropic"] {
                    let what = format!("{name}, trusted {}, {kind}", trusted.is_some());
                    let behind = ModelServer::plain();
                    let server = Terminator::start(certificates, name, &behind.origin());
                    let online = project(kind, &server.origin(), trusted);
                    let output = online.exp(&BUILD);
                    refused(&what, &output, &online, reason, remedy);
                    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{what}: it is not tried again");
                    assert!(server.heard.lock().unwrap().is_empty(), "{what}: something was sent");
                    assert_eq!(behind.sent(), 0);
                    let doctor = online.exp(&["doctor"]).expect_code(2).stdout;
                    let line = doctor.lines().find(|line| line.starts_with("fail  provider ours"));
                    assert!(line.is_some_and(|line| line.contains(reason)), "{what}: {doctor}");
                }
            });
        }
    });
}

#[test]
fn row_48_a_good_certificate_is_trusted_by_the_file_that_names_its_authority() {
    let Some(certificates) = Certificates::new() else { return };
    certificates.signed("good", HERE, NOW[0], NOW[1]);
    let behind = ModelServer::plain();
    let server = Terminator::start(&certificates, "good", &behind.origin());
    let online = project("openai", &server.origin(), Some(&certificates.pem("ca.pem")));
    let built = online.build(0, &[]);
    assert_eq!((&built["state"], behind.sent()), (&"complete".into(), 24));
    assert!(server.heard.lock().unwrap().windows(5).any(|some| some == b"POST "), "it went through TLS");
    // The file is no part of what is asked: without it, and with the server gone, everything is there.
    drop(server);
    let again = project("openai", "https://127.0.0.1:9", None);
    let config = again.project.read("config/eval_config.yaml");
    online.project.config(&config);
    assert_eq!(online.build(0, &[])["up_to_date"], true);
}

/// A server that speaks TLS 1.0 and nothing newer.
struct Old(Child);

impl Drop for Old {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn old(certificates: &Certificates, port: u16, said: &Path) -> Option<Old> {
    let said = std::fs::File::create(said).unwrap();
    let accept = format!("127.0.0.1:{port}");
    let child = Command::new("openssl")
        .args(["s_server", "-accept", &accept, "-cert", "good.pem", "-key", "good.key", "-tls1"])
        .args(["-cipher", "ALL:@SECLEVEL=0"])
        .current_dir(certificates.dir.path())
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap();
    let mut old = Old(child);
    let until = Instant::now() + Duration::from_secs(10);
    // It counts as ready once it shows its own kind of client what it speaks; a build of openssl may have it left out.
    while Instant::now() < until && old.0.try_wait().unwrap().is_none() {
        let client = Command::new("openssl")
            .args(["s_client", "-connect", &accept, "-tls1", "-cipher", "ALL:@SECLEVEL=0"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if String::from_utf8_lossy(&client.stdout).contains("New, TLSv1.0") {
            return Some(old);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("skipped: this openssl has no TLS 1.0");
    None
}

#[test]
fn row_48_tls_1_0_is_not_spoken() {
    let Some(certificates) = Certificates::new() else { return };
    certificates.signed("good", HERE, NOW[0], NOW[1]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = certificates.path("said.txt");
    let Some(_old) = old(&certificates, port, &said) else { return };
    let before = std::fs::read_to_string(&said).unwrap();
    let ca = certificates.pem("ca.pem");
    let online = project("openai", &format!("https://127.0.0.1:{port}"), Some(&ca));
    let output = online.exp(&BUILD);
    refused("TLS 1.0", &output, &online, "TLS", "TLS 1.2");
    let said = std::fs::read_to_string(&said).unwrap();
    let since = &said[before.len()..];
    assert_eq!(since.matches("unsupported protocol").count(), 1, "{since}");
    assert!(!since.contains("HTTP/1.1") && !since.contains("uthorization"), "{since}");
}
