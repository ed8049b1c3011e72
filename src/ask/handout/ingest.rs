use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::delivery::{self, Delivered};
use super::{HandoutError, HandoutManifest, body_hash};
use crate::digest::{Digest, StreamHasher};
use crate::flow::Clock;
use crate::provider::Online;
use crate::request::{Answer, DrawAddress, Outcome, ProviderIdentity};
use crate::store::{LoggedDraw, Session};

/// Is the longest line that is read: 64 MiB. A longer one is passed over and counted.
const LONGEST: u64 = 64 << 20;
/// Is how many answers are made durable together.
const GROUP: usize = 1000;
/// Is how many lines that were not taken are told of one by one.
const SAMPLES: usize = 20;

/// Is one draw that may be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    who: u32,
    body: Option<Digest>,
    is_altered: bool,
}

/// Is all that may be delivered, and under which names.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    who: Vec<(ProviderIdentity, String)>,
    known: HashMap<DrawAddress, Expectation>,
    names: HashMap<String, Named>,
}

/// Is what a name of others' making stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    One(DrawAddress),
    Several,
}

impl Expectations {
    /// Expects what a manifest lists.
    pub fn of_manifest(manifest: &HandoutManifest) -> Self {
        let mut expected = Self::default();
        for draw in &manifest.draws {
            let shard = &manifest.shards[draw.shard as usize];
            expected.add(draw.draw, &ProviderIdentity(shard.identity.clone()), &shard.model, Some(draw.body));
        }
        expected
    }

    /// Expects a draw; `body` is the hash of what is asked, where it is known.
    pub fn add(&mut self, draw: DrawAddress, identity: &ProviderIdentity, model: &str, body: Option<Digest>) {
        // Neighbours have the same, as a rule.
        let is_it = |(known, name): &(ProviderIdentity, String)| known == identity && name == model;
        let who = self.who.iter().rposition(is_it).unwrap_or_else(|| {
            self.who.push((identity.clone(), model.to_owned()));
            self.who.len() - 1
        });
        self.known.insert(draw, Expectation { who: who as u32, body, is_altered: false });
    }

    /// Lets a draw be delivered under another's name for it; a name of two draws is nobody's.
    pub fn name(&mut self, custom_id: String, draw: DrawAddress) {
        self.names
            .entry(custom_id)
            .and_modify(|known| *known = if *known == Named::One(draw) { *known } else { Named::Several })
            .or_insert(Named::One(draw));
    }

    /// Finds the draw that a name stands for: as it is, or with `*` for the first of its fields.
    fn named(&self, custom_id: &str) -> Option<Named> {
        let found = self.names.get(custom_id);
        let rest = || self.names.get(&format!("*|{}", custom_id.split_once('|')?.1));
        found.or_else(rest).copied()
    }

    /// Lists who is expected to answer.
    pub fn identities(&self) -> BTreeSet<&ProviderIdentity> {
        self.who.iter().map(|(identity, _)| identity).collect()
    }

    /// Compares the shards that are there with the manifest. What was asked by a line that was changed is not taken; the
    /// number of such lines is returned.
    pub fn check_shards(&mut self, dir: &Utf8Path, manifest: &HandoutManifest) -> Result<u64, HandoutError> {
        #[derive(serde::Deserialize)]
        struct Line {
            custom_id: String,
            body: serde_json::Value,
        }
        let mut altered = 0;
        for shard in &manifest.shards {
            let path = dir.join(&shard.file);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(HandoutError::io("read", path)(error)),
            };
            let (digest, _) = StreamHasher::read_all(&file).map_err(HandoutError::io("read", &path))?;
            if digest == shard.blake3 {
                continue;
            }
            let mut lines = Lines::open(&path)?;
            while let Some(line) = lines.next()? {
                let Ok(Line { custom_id, body }) = serde_json::from_slice(line.bytes) else { continue };
                let Some(draw) = DrawAddress::from_custom_id(&custom_id) else { continue };
                if let Some(known) = self.known.get_mut(&draw)
                    && known.body.is_some_and(|expected| expected != body_hash(&body))
                {
                    known.is_altered = true;
                    altered += 1;
                }
            }
        }
        Ok(altered)
    }
}

/// Is one line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sample {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// Is what became of the lines of output files. Every line counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ingested {
    /// Files that were read.
    pub files: u64,
    /// Lines in them, empty ones left out.
    pub lines: u64,
    /// Answers that are draws from now on.
    pub taken: u64,
    /// Answers that were there already, word for word.
    pub already: u64,
    /// Further lines that say the same as one that counts.
    pub repeated: u64,
    /// Errors: their draws stay missing.
    pub errors: u64,
    /// Lines that are not whole at the end of a file.
    pub truncated: u64,
    /// Lines that cannot be read.
    pub malformed: u64,
    /// Refused: names that nothing was asked under.
    pub unknown: u64,
    /// Refused: names that stand for several draws.
    pub ambiguous: u64,
    /// Refused: what was asked is not what was handed out.
    pub wrong_body: u64,
    /// Refused: nobody in the config has the identity that was to answer.
    pub other_identity: u64,
    /// Refused: two lines of one draw say different things, or the store holds another answer, which stands.
    pub differing: u64,
    /// Draws that somebody else logged meanwhile; the log keeps both, and the first is served.
    pub surplus: u64,
    /// Answers taken, by the model that the engine says it served.
    pub served: BTreeMap<String, u64>,
    /// The first lines that were not taken.
    pub samples: Vec<Sample>,
}

impl Ingested {
    /// Counts what was refused: lines that may not become draws whatever is done again.
    pub fn refused(&self) -> u64 {
        self.unknown + self.ambiguous + self.wrong_body + self.other_identity + self.differing
    }

    fn sample(&mut self, file: &Utf8Path, line: u64, why: impl Into<String>) {
        if self.samples.len() < SAMPLES {
            self.samples.push(Sample { file: file.to_string(), line, why: why.into() });
        }
    }
}

/// Takes answers in that others got.
pub struct Ingest<'a> {
    /// Writes to the store.
    pub session: &'a Session,
    /// The clock of the log.
    pub clock: &'a Clock,
    /// Who reads the responses, by identity.
    pub providers: &'a BTreeMap<ProviderIdentity, Arc<Online>>,
    /// What may be delivered.
    pub expected: &'a Expectations,
}

/// Is the line that counts of a draw.
struct Seen {
    file: u32,
    offset: u64,
    value: Digest,
    is_torn: bool,
}

impl Ingest<'_> {
    /// Takes in what stands in these files, in memory that grows with the number of draws and not with their answers.
    ///
    /// All is read twice: first to find which lines agree, then to log them. So no order of lines or files decides which of
    /// two different answers becomes a draw (neither does), and a second time takes nothing.
    pub fn run(&self, files: &[Utf8PathBuf]) -> Result<Ingested, HandoutError> {
        let mut ingested = Ingested::default();
        let mut seen: HashMap<DrawAddress, Seen> = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            self.look_through(at as u32, file, &mut seen, &mut ingested)?;
        }
        let mut places: Vec<Vec<(u64, Digest)>> = vec![Vec::new(); files.len()];
        for found in seen.values().filter(|found| !found.is_torn) {
            places[found.file as usize].push((found.offset, found.value));
        }
        drop(seen);
        for (file, mut places) in files.iter().zip(places) {
            places.sort_unstable_by_key(|(offset, _)| *offset);
            self.take(file, &places, &mut ingested)?;
        }
        Ok(ingested)
    }

    fn look_through(
        &self,
        at: u32,
        path: &Utf8Path,
        seen: &mut HashMap<DrawAddress, Seen>,
        ingested: &mut Ingested,
    ) -> Result<(), HandoutError> {
        ingested.files += 1;
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next()? {
            ingested.lines += 1;
            match self.read(&line) {
                Ok(draw) => match seen.get_mut(&draw.address) {
                    None => {
                        let value = value_of(&draw.answer);
                        seen.insert(draw.address, Seen { file: at, offset: line.offset, value, is_torn: false });
                    }
                    Some(first) if !first.is_torn && first.value == value_of(&draw.answer) => ingested.repeated += 1,
                    Some(first) => {
                        // The line that came first is not taken either.
                        ingested.differing += 1 + u64::from(!first.is_torn);
                        first.is_torn = true;
                        ingested.sample(path, line.number, "it says something else than another line of the same draw");
                    }
                },
                Err((fault, why)) => {
                    let count = match fault {
                        Fault::Truncated => &mut ingested.truncated,
                        Fault::Malformed => &mut ingested.malformed,
                        Fault::Unknown => &mut ingested.unknown,
                        Fault::Ambiguous => &mut ingested.ambiguous,
                        Fault::WrongBody => &mut ingested.wrong_body,
                        Fault::OtherIdentity => &mut ingested.other_identity,
                        Fault::Error => &mut ingested.errors,
                    };
                    *count += 1;
                    ingested.sample(path, line.number, why);
                }
            }
        }
        Ok(())
    }

    fn take(&self, path: &Utf8Path, places: &[(u64, Digest)], ingested: &mut Ingested) -> Result<(), HandoutError> {
        if places.is_empty() {
            return Ok(());
        }
        let mut lines = Lines::open(path)?;
        let mut places = places.iter();
        let mut next = places.next();
        let mut group: Vec<(u64, LoggedDraw)> = Vec::with_capacity(GROUP);
        while let Some(line) = lines.next()? {
            let Some((offset, value)) = next else { break };
            if line.offset != *offset {
                continue;
            }
            next = places.next();
            match self.read(&line) {
                Ok(draw) if value_of(&draw.answer) == *value => group.push((line.number, draw)),
                _ => {
                    ingested.errors += 1;
                    ingested.sample(path, line.number, "the file changed while it was read");
                }
            }
            if group.len() >= GROUP {
                self.log(path, &mut group, ingested)?;
            }
        }
        self.log(path, &mut group, ingested)
    }

    fn log(
        &self,
        path: &Utf8Path,
        group: &mut Vec<(u64, LoggedDraw)>,
        ingested: &mut Ingested,
    ) -> Result<(), HandoutError> {
        let addresses: Vec<DrawAddress> = group.iter().map(|(_, draw)| draw.address).collect();
        let there = self.session.store().draws(&addresses)?;
        let mut new = Vec::new();
        for ((line, draw), there) in group.drain(..).zip(there) {
            match there {
                None => new.push(draw),
                Some(there) if there.answer == draw.answer => ingested.already += 1,
                Some(_) => {
                    ingested.differing += 1;
                    ingested.sample(path, line, "the store holds another answer to this draw, which stands");
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        for draw in &new {
            let model = draw.answer.served_model.clone().unwrap_or_default();
            *ingested.served.entry(model).or_default() += 1;
        }
        let surplus = self.session.log_draws(&new)?;
        ingested.surplus += surplus;
        ingested.taken += new.len() as u64 - surplus;
        Ok(())
    }

    /// Reads a line into a draw.
    fn read(&self, line: &Line<'_>) -> Result<LoggedDraw, (Fault, String)> {
        let broken = |why: String| (if line.is_last { Fault::Truncated } else { Fault::Malformed }, why);
        if line.is_too_long {
            return Err((Fault::Malformed, format!("it is longer than {} MiB", LONGEST >> 20)));
        }
        let text = std::str::from_utf8(line.bytes).map_err(|_| broken("it is not UTF-8".to_owned()))?;
        let delivery = delivery::read(text).map_err(|error| broken(error.to_string()))?;
        let custom_id = &delivery.custom_id;
        let unknown = || (Fault::Unknown, format!("nothing was asked as `{}`", shortened(custom_id)));
        let address = match self.expected.named(custom_id) {
            Some(Named::One(address)) => address,
            Some(Named::Several) => {
                let why = format!("`{}` stands for several draws: name one trial", shortened(custom_id));
                return Err((Fault::Ambiguous, why));
            }
            None => DrawAddress::from_custom_id(custom_id).ok_or_else(unknown)?,
        };
        let expected = self.expected.known.get(&address).ok_or_else(unknown)?;
        let asked = delivery.asked.as_ref().map(body_hash);
        if expected.is_altered || asked.zip(expected.body).is_some_and(|(asked, body)| asked != body) {
            return Err((Fault::WrongBody, "what was asked is not what was handed out".to_owned()));
        }
        let Some((identity, model)) = self.expected.who.get(expected.who as usize) else { return Err(unknown()) };
        let Some(provider) = self.providers.get(identity) else {
            let why = format!("it answers for `{}`, and no provider of the config is that", identity.0);
            return Err((Fault::OtherIdentity, why));
        };
        let (status, request_id, body) = match delivery.end {
            Delivered::Error(why) => return Err((Fault::Error, why)),
            Delivered::Response { status, request_id, body } => (status, request_id, body),
        };
        let given = provider.delivered(model, status, body);
        let answer = match given.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Failure(code) => {
                let note = given.circumstances.note.unwrap_or_else(|| code.as_str().to_owned());
                return Err((Fault::Error, note));
            }
        };
        let mut circumstances = given.circumstances;
        circumstances.request_id = circumstances.request_id.or(request_id.filter(|id| id.len() <= 200));
        circumstances.bought = Some("ingested".to_owned());
        circumstances.logged_at = Some(self.clock.now());
        Ok(LoggedDraw { address, answer, circumstances, raw: given.raw })
    }
}

/// Says why a line is no draw.
#[derive(Clone, Copy)]
enum Fault {
    Truncated,
    Malformed,
    Unknown,
    Ambiguous,
    WrongBody,
    OtherIdentity,
    Error,
}

/// Names the value of a draw, to compare it with others in little memory.
fn value_of(answer: &Answer) -> Digest {
    let mut hasher = StreamHasher::new();
    // An answer is texts and counts; it always has a JSON text.
    hasher.update(&serde_json::to_vec(answer).unwrap_or_default());
    hasher.finish().0
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Is one line of a file.
struct Line<'l> {
    /// Without its end.
    bytes: &'l [u8],
    offset: u64,
    number: u64,
    is_too_long: bool,
    /// Whether it has no line feed, as when a file was cut off.
    is_last: bool,
}

/// Reads a file line by line, no more than [`LONGEST`] of a line at once; empty lines are passed over.
struct Lines {
    path: Utf8PathBuf,
    source: BufReader<File>,
    line: Vec<u8>,
    offset: u64,
    number: u64,
}

impl Lines {
    fn open(path: &Utf8Path) -> Result<Self, HandoutError> {
        let file = File::open(path).map_err(HandoutError::io("read", path))?;
        let source = BufReader::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_owned(), source, line: Vec::new(), offset: 0, number: 0 })
    }

    fn next(&mut self) -> Result<Option<Line<'_>>, HandoutError> {
        loop {
            self.line.clear();
            let offset = self.offset;
            let io = |error| HandoutError::io("read", &self.path)(error);
            let mut n = self.source.by_ref().take(LONGEST).read_until(b'\n', &mut self.line).map_err(io)? as u64;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            let is_too_long = n == LONGEST && self.line.last() != Some(&b'\n');
            if is_too_long {
                n += self.source.skip_until(b'\n').map_err(|error| HandoutError::io("read", &self.path)(error))? as u64;
            }
            self.offset += n;
            let is_last = !is_too_long && self.line.last() != Some(&b'\n');
            let start = if offset == 0 && self.line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            if self.line[start..].trim_ascii().is_empty() {
                continue;
            }
            let bytes = self.line[start..].trim_ascii();
            return Ok(Some(Line { bytes, offset, number: self.number, is_too_long, is_last }));
        }
    }
}
