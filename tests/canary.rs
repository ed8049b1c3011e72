//! The key is in nothing that is written, printed or shown of the process, however the provider behaves. Every command of every test
//! has it in its environment, and is looked through: what it prints in `support::run`, what it writes when its project is dropped. Here is where the search is shown to find it, and what
//! files and output do not show: arguments, system calls, errors that repeat the key.

// A test may stop where it finds what it does not expect.
#![allow(clippy::format_collect)] // It is not in a hurry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use server::{Fault, ModelServer, Options};
use support::canary::{CANARY, base64, files_with, is_in};
use support::online::{Online, Setup};
use support::{KEY_ENV, Project, heard};

/// The negative control: planted in each form and place, it is found.
#[test]
fn the_search_finds_what_was_planted() {
    let folder = tempfile::tempdir().unwrap();
    let plant = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    plant("clean/log", b"canary, and other birds; canary+7f3");
    assert_eq!(files_with(folder.path()).len(), 0);
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let usual: String = CANARY
        .bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    plant("a/plain", format!("x{CANARY}x").as_bytes());
    plant("b/json", serde_json::json!({"key": CANARY}).to_string().replace('/', "\\/").as_bytes());
    plant("c/address", format!("?key={usual}&x=1").as_bytes());
    plant("d/half", &CANARY.as_bytes()[..CANARY.len() / 2]);
    plant("e/hex", CANARY.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().as_bytes());
    for (number, before) in ["", "a", "ab", "Bearer ", "user:"].iter().enumerate() {
        let text = base64(format!("{before}{CANARY}\n and more").as_bytes());
        plant(&format!("f/base64-{number}"), text.as_bytes());
        plant(&format!("f/url64-{number}"), text.replace('+', "-").replace('/', "_").as_bytes());
    }
    plant(&format!("g/{}", CANARY.replace('/', "")), b"the name holds its second half");
    plant("h/archive", &zstd::encode_all(CANARY.repeat(9).as_bytes(), 3).unwrap());
    std::os::unix::fs::symlink(format!("/nowhere/{CANARY}"), folder.path().join("link")).unwrap();
    let found = files_with(folder.path());
    assert_eq!(found.len(), 18, "{found:#?}");
    assert!(is_in(format!("error: {CANARY}").as_bytes()));
    assert!(!is_in(b"error: no key"));
}

/// A project whose key was written does not pass.
#[test]
#[should_panic(expected = "the key was written")]
fn a_project_that_holds_it_does_not_pass() {
    let online = Online::new(&Setup::default(), "http://127.0.0.1:9");
    online.project.file("store/draws/x.log", CANARY);
}

/// Nor does one that never asked anybody: the environment of every command holds the key.
#[test]
#[should_panic(expected = "the key was written")]
fn a_project_that_kept_its_environment_does_not_pass() {
    let project = Project::new();
    let shell = project.command(&[]);
    let mut env = std::process::Command::new("env");
    env.env_clear().envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
    project.file("store/blobs/kept", env.output().unwrap().stdout);
}

/// What a command prints is looked through as well.
#[test]
#[should_panic(expected = "the key was printed")]
fn a_command_that_prints_it_does_not_pass() {
    support::run(Command::new("printf").arg(CANARY));
}

/// The server got the key, so that its absence elsewhere says something; providers that repeat it in errors, answers, headers
/// and addresses do not get it into a file or onto the screen.
#[test]
fn a_provider_that_repeats_the_key_does_not_get_it_kept() {
    let echo = format!("Incorrect API key provided: {CANARY}. Bearer {CANARY}");
    for code in [400, 401, 403, 429, 500] {
        let value = echo.clone();
        let server = ModelServer::scripted(move |_| {
            // The server writes headers and addresses as they stand.
            Some(Fault::Status {
                code,
                headers: vec![("x-request-id", value.clone()), ("retry-after", "0".to_owned())],
            })
        });
        let setup = Setup { provider: "max_attempts: 2".to_owned(), ..Setup::default() };
        let online = Online::new(&setup, &server.origin());
        let output = online.exp(&["build", "--yes", "--json", "-vv"]);
        assert_ne!(output.code, 0);
        let book = server.book();
        let given = book.calls().next().unwrap().headers["authorization"].clone();
        assert_eq!(given, format!("Bearer {CANARY}"), "the server got the key");
    }
    let server =
        ModelServer::scripted(move |_| Some(Fault::Redirect { to: format!("http://127.0.0.1:9/?key={CANARY}") }));
    let online = Online::new(&Setup::default(), &server.origin());
    online.exp(&["build", "--yes", "-vv"]);
    assert!(server.sent() > 0);
    // Errors and answers whose text is the key.
    let server = ModelServer::scripted(move |asked| match asked.nth {
        0 => Some(Fault::Says { code: 503, text: echo.clone() }),
        _ => Some(Fault::Says { code: 200, text: echo.clone() }),
    });
    let online = Online::new(&Setup::default(), &server.origin());
    let built = online.build(0, &["-vv"]);
    assert!(online.predictions(&built).iter().all(|row| row["response_text"].contains("Incorrect API key provided")));
    for command in [&["show", "latest"][..], &["show", "latest", "--items"], &["plan"], &["list", "-v"], &["status"]] {
        online.exp(command);
    }
    online.exp(&["archive", "latest"]).expect_code(0);
}

/// Neither the arguments nor any system call but the sending itself has it.
#[test]
fn no_argument_and_no_write_has_it() {
    let options = Options { latency: Duration::from_millis(300), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let online = Online::on_disk(&Setup { items: 6, ..Setup::default() }, &server.origin());
    let mut child = online
        .command(&["build", "--yes", "--max-concurrent-requests", "4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while server.sent() == 0 {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none());
    }
    let shown = |name: &str| std::fs::read(format!("/proc/{}/{name}", child.id())).unwrap();
    assert!(shown("cmdline").starts_with(env!("CARGO_BIN_EXE_exp").as_bytes()));
    assert!(!is_in(&shown("cmdline")));
    assert!(is_in(&shown("environ")), "the control: this is where it came from");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    heard(&output.stdout);
    heard(&output.stderr);

    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not here");
        return;
    }
    let online = Online::on_disk(&Setup { items: 3, ..Setup::default() }, &server.origin());
    let traced = tempfile::tempdir().unwrap();
    let log = traced.path().join("log");
    let plain = online.command(&["build", "--yes"]);
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-yy",
        "-s",
        "99999",
        "-e",
        "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,execve,openat,rename,renameat2,symlinkat",
    ]);
    strace.arg("-o").arg(&log).arg(plain.get_program()).args(plain.get_args()).current_dir(online.project.dir());
    strace.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().unwrap();
    if !log.exists() || std::fs::read(&log).unwrap().is_empty() {
        println!("skipped: strace may not trace here");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    heard(&output.stdout);
    heard(&output.stderr);
    let (mut to_server, mut elsewhere) = (0, Vec::new());
    for line in String::from_utf8_lossy(&std::fs::read(&log).unwrap()).lines() {
        if is_in(line.as_bytes()) {
            if line.contains("TCP:[") {
                to_server += 1;
            } else {
                elsewhere.push(line.chars().take(200).collect::<String>());
            }
        }
    }
    assert_eq!(elsewhere, Vec::<String>::new(), "written to something that is no connection");
    assert!(to_server >= 6, "the control: {to_server} writes to the server hold it ({KEY_ENV})");
}
