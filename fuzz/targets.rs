//! What reads bytes that others wrote, each under its target: a panic, or a result that contradicts itself, is a fault.
//!
//! `tests/fuzzed.rs` runs them on mutations of the seeds in `fuzz/corpus/`. Four more stand beside what nobody outside can reach,
//! and are tests of the library named `fuzzed`: how long a server asks to wait and its limits (`src/provider/retry_after.rs`), the
//! answers that an engine brought (`src/ask/handout/delivery.rs`) and, without a disk, the lines of the draw log
//! (`src/store/segment.rs`) and the entries of an archive (`src/run/archive_scan.rs`).

use std::collections::BTreeMap;
use std::io::{Read, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use exp::ask::HandoutManifest;
use exp::config::{ConfigFile, FileKind, Files, load};
use exp::digest::{ActionKey, BlobId, Digest};
use exp::flow::Clock;
use exp::plan::{DatasetFormat, DuplicateIds, FieldMap, Parts, PrepareParams, path_segment};
use exp::provider::{ClientSettings, Online, OnlineSettings, PromptCaching, Protocol, WireSettings};
use exp::request::{Outcome, ProviderIdentity};
use exp::run::{AuditOptions, Manifest, ManifestSignature, PublicKey, RunRecord, audit_archive, read_foreign};
use exp::step::{AnswersReader, Input, Inputs, ReadBlobs, RequestsReader, prepare};
use exp::store::{Access, ActionRecord, Store};

/// Is one target: its name, which is that of its corpus, and how much longer an execution takes than of the others.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub cost: usize,
}

/// Are all of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "config", run: config, cost: 4 },
    Target { name: "dataset", run: dataset, cost: 2 },
    Target { name: "draw_log", run: draw_log, cost: 40 },
    Target { name: "action_record", run: action_record, cost: 1 },
    Target { name: "manifest", run: manifest, cost: 4 },
    Target { name: "archive", run: archive, cost: 40 },
    Target { name: "reply", run: reply, cost: 2 },
    Target { name: "lines", run: lines, cost: 1 },
    Target { name: "names", run: names, cost: 1 },
    Target { name: "foreign_log", run: foreign_log, cost: 2 },
    Target { name: "handout", run: handout, cost: 1 },
    Target { name: "signature", run: signature, cost: 1 },
];

struct NoFiles;

impl Files for NoFiles {
    fn kind(&self, _: &Utf8Path) -> FileKind {
        FileKind::File(10)
    }

    fn read(&self, _: &Utf8Path) -> Result<Vec<u8>, String> {
        Ok(b"Answer.\n".to_vec())
    }
}

/// A config is used only where nothing is wrong with it, and what is wrong can be shown.
pub fn config(bytes: &[u8]) {
    let file = ConfigFile { path: Utf8Path::new("c.yaml"), bytes, root: Utf8Path::new("/p"), env: &|_| None };
    let loaded = load(&file, &NoFiles);
    let is_wrong = loaded.diagnostics.iter().any(exp::config::Diagnostic::is_error);
    assert_eq!(loaded.config.is_none(), is_wrong);
    assert!(loaded.diagnostics.is_empty() || !loaded.render(false).is_empty());
}

struct One<'a>(&'a [u8]);

impl ReadBlobs for One<'_> {
    fn open(&self, _: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0))
    }
}

/// Whatever a dataset is, it has as many questions as gold answers, or none of either.
pub fn dataset(bytes: &[u8]) {
    use DatasetFormat::{Csv, Gsm8k, Json, Jsonl, NqOpen, Squad, Triviaqa, Tsv};
    for format in [Jsonl, Csv, Tsv, Json, Squad, NqOpen, Triviaqa, Gsm8k] {
        let params = PrepareParams {
            format,
            fields: FieldMap::default(),
            conditions: Vec::new(),
            split: None,
            duplicate_ids: DuplicateIds::Error,
            max_items: None,
            max_items_by_label: BTreeMap::new(),
            parts: Parts::Count(1),
        };
        let input = Input { name: "source".into(), blob: BlobId::of(bytes), label: "data".into() };
        let (blobs, mut outputs) = (One(bytes), BTreeMap::<String, Vec<u8>>::new());
        if prepare::run(&params, &Inputs::new(vec![input], &blobs), &mut outputs).is_ok() {
            let count = |name: &str| {
                let parts = outputs.iter().filter(|(part, _)| part.starts_with(name));
                parts.map(|(_, bytes)| String::from_utf8_lossy(bytes).lines().count()).sum::<usize>()
            };
            assert_eq!((count("items"), count("gold")), (count("order"), count("order")));
        }
    }
}

/// A place in memory for what can only be read from a disk.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A segment of the draw log is read, looked at as a whole, and mended by the next session; what it says then is sound.
pub fn draw_log(bytes: &[u8]) {
    let dir = place();
    let path = Utf8PathBuf::from_path_buf(dir.path().join("store")).unwrap();
    for folder in ["blobs", "actions", "draws", "runs", "tmp", "sessions", "locks", "quarantine"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    std::fs::write(path.join("FORMAT"), "{\"min_reader\":1,\"min_writer\":2}\n").unwrap();
    std::fs::write(path.join("draws/sdead-0.log"), bytes).unwrap();
    let store = Store::open(&path, Access::ReadWrite).unwrap();
    let found = store.verify().unwrap().flaws;
    store.ledger(&["sdead".to_owned()], |_| {}).unwrap();
    let session = store.session().unwrap();
    for flaw in &found {
        session.put_right(flaw).unwrap();
    }
    drop(session);
    store.set_lines_aside(&[].into()).unwrap();
    let left = store.verify().unwrap().flaws;
    assert!(left.is_empty(), "{left:?}");
}

/// A record that is believed is written as it was read.
pub fn action_record(bytes: &[u8]) {
    let key = serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|json| {
        let text = json["key"].as_str()?.to_owned();
        serde_json::from_value::<ActionKey>(text.into()).ok()
    });
    if let Some(record) = key.and_then(|key| ActionRecord::from_bytes(bytes, &key)) {
        assert_eq!(record.to_bytes().unwrap(), bytes);
    }
}

/// A manifest, or a run's record, that is believed is written as it was read.
pub fn manifest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok((manifest, _)) = Manifest::parse("m", &text) {
        assert_eq!(manifest.to_text().unwrap(), text);
    }
    if let Ok(record) = RunRecord::parse("r", &text) {
        drop(record.to_text().unwrap());
    }
}

/// An archive is read from the first byte to the last. The bytes are those of the tar: compression would hide them.
pub fn archive(bytes: &[u8]) {
    let dir = place();
    let path = Utf8PathBuf::from_path_buf(dir.path().join("a.tar.zst")).unwrap();
    let mut encoder = zstd::Encoder::new(std::fs::File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    drop(exp::run::ArchiveFile::head(&path));
    audit_archive(&path, AuditOptions::default()).unwrap();
}

/// A response is an answer or a failure, whatever it is; its bytes are kept.
pub fn reply(bytes: &[u8]) {
    for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages, Protocol::Ollama] {
        let settings = OnlineSettings {
            identity: ProviderIdentity("p".into()),
            name: "p".into(),
            base_url: "http://localhost:1".into(),
            wire: WireSettings {
                protocol,
                says_store: false,
                prompt_caching: PromptCaching::Off,
                models: BTreeMap::new(),
            },
            key: None,
            key_env: None,
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            anthropic_version: "2023-06-01".into(),
            is_own_server: false,
            is_llama_cpp: false,
            client: ClientSettings::default(),
        };
        let clock = Clock::new(|| "2026-11-23T12:00:00.000Z".to_owned(), || std::time::Duration::ZERO);
        let online = Online::new(settings, clock).unwrap();
        for status in [200, 400, 429, 500] {
            let given = online.delivered("m", status, bytes.to_vec());
            assert_eq!(given.raw, bytes);
            assert!(status == 200 || status == 400 || !matches!(given.outcome, Outcome::Answer(_)));
        }
    }
}

/// Blobs of requests and answers are read line by line.
pub fn lines(bytes: &[u8]) {
    for line in AnswersReader::new(bytes) {
        if line.is_err() {
            break;
        }
    }
    if let Ok(requests) = RequestsReader::new(bytes) {
        for line in requests {
            if line.is_err() {
                break;
            }
        }
    }
}

/// Every text names a file, and no two texts the same one.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let name = path_segment(&text);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    assert!(name.chars().all(fits) && name.len() <= 120 && name.starts_with(|c: char| c.is_ascii_alphanumeric()));
    assert!(name == text || name.len() > 9);
    assert_eq!(path_segment(&name), name, "what fits stays");
}

/// A log of another tool is read or refused; an answer belongs to an item.
pub fn foreign_log(bytes: &[u8]) {
    if let Some(Ok(log)) = read_foreign(bytes) {
        assert!(log.answers.iter().all(|answer| !answer.item.is_empty()));
    }
}

/// The manifest of a handout, its own hash set right, says the same once it was read and written again.
pub fn handout(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Utf8Path::new("manifest.json");
    let Some(at) = text.rfind("\"manifest_digest\":") else { return drop(HandoutManifest::parse(path, &text)) };
    let head = &text[..at];
    let sealed = format!("{head}\"manifest_digest\":\"{}\"\n}}\n", Digest::of(head.as_bytes()));
    if let Ok(manifest) = HandoutManifest::parse(path, &sealed) {
        let written = manifest.to_text().unwrap();
        assert_eq!(HandoutManifest::parse(path, &written).unwrap(), manifest);
    }
}

/// A signature that is read signs nothing but what it was made for.
pub fn signature(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(signature) = ManifestSignature::parse(&text) {
        assert!(!signature.signs(&Digest::of(bytes)));
        assert!(signature.key().fingerprint().starts_with("SHA256:"));
    }
    drop(PublicKey::parse_file(&text));
}
