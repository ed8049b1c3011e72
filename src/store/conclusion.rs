use camino::Utf8Path;
use rusqlite::{OptionalExtension as _, params};

use super::layout::{Layout, Tree, raw_file_name};
use super::row::checksum;
use super::store::presence;
use super::{Generation, Presence, Store, StoreError};
use crate::digest::{BlobId, ConclusionKey};

type Result<T> = std::result::Result<T, StoreError>;

/// Is what a build with nothing to do came to, kept in the index so that the next one with the same key need not come to
/// it again: facts in words of the build's own, and every output of every action of its plan.
///
/// It stands on the rows of actions alone, and is void as soon as one of them changes ([`Generation`]). Whether the outputs
/// are there is never part of it: that is looked at each time ([`Store::holds_all`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// What the build has to say; the store does not read it.
    pub facts: String,
    /// Are distinct outputs in the order of their names: for each the hash and the size, 8 bytes little endian.
    outputs: Vec<u8>,
}

/// Is the length of one output: a hash and a size.
const OUTPUT: usize = 40;
/// Is the length of a checksum.
const SUM_LEN: usize = 16;
/// Is how many are kept: for so many selections of trials a build in turn finds its own.
const KEPT: u32 = 8;
/// Is the number of outputs that are worth a thread of their own.
const MANY: usize = 512;
/// Is the largest number of threads that look at outputs: the kernel is what they wait for.
const MOST_THREADS: usize = 8;

impl Conclusion {
    /// Takes down facts, and outputs in any order.
    pub fn new(facts: String, mut outputs: Vec<(BlobId, u64)>) -> Self {
        outputs.sort_unstable();
        outputs.dedup();
        let mut packed = Vec::with_capacity(outputs.len() * OUTPUT);
        for (blob, size) in outputs {
            packed.extend_from_slice(blob.digest().as_bytes());
            packed.extend_from_slice(&size.to_le_bytes());
        }
        Self { facts, outputs: packed }
    }

    /// Encodes it: the length of the facts (8 bytes little endian), the facts, the outputs, and a checksum over these, the
    /// key and the generation.
    fn to_bytes(&self, key: &ConclusionKey, generation: &Generation) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.facts.len() + self.outputs.len() + SUM_LEN);
        bytes.extend_from_slice(&(self.facts.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.facts.as_bytes());
        bytes.extend_from_slice(&self.outputs);
        let sum = checksum(&head(key, generation), &bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Decodes it; `None` where the checksum does not hold.
    fn from_bytes(key: &ConclusionKey, generation: &Generation, bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_LEN)?)?;
        if sum != checksum(&head(key, generation), body) {
            return None;
        }
        let (len, rest) = body.split_first_chunk()?;
        let (facts, outputs) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        let facts = str::from_utf8(facts).ok()?.to_owned();
        outputs.len().is_multiple_of(OUTPUT).then(|| Self { facts, outputs: outputs.to_vec() })
    }
}

fn head(key: &ConclusionKey, generation: &Generation) -> Vec<u8> {
    [key.digest().as_bytes().as_slice(), &generation.changes.to_le_bytes(), generation.epoch.as_bytes()].concat()
}

/// Checks the checksum of every row that is not void; returns how many rows there are, and what is wrong.
pub(super) fn check_rows(conn: &rusqlite::Connection) -> rusqlite::Result<(u64, Vec<&'static str>)> {
    let (mut count, mut bad) = (0, Vec::new());
    let now = Generation::read(conn)?;
    let mut all = conn.prepare("SELECT key, epoch, changes, body FROM conclusions")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        count += 1;
        let of = Generation { epoch: row.get(1)?, changes: row.get(2)? };
        let key = <[u8; 32]>::try_from(row.get_ref(0)?.as_blob()?).ok();
        let key = key.map(|key| ConclusionKey::new(crate::digest::Digest::from_bytes(key)));
        let body = row.get_ref(3)?.as_blob()?;
        if now.as_ref() == Some(&of) && key.is_none_or(|key| Conclusion::from_bytes(&key, &of, body).is_none()) {
            bad.push("the row of a conclusion");
        }
    }
    Ok((count, bad))
}

impl Store {
    /// Finds what was concluded under a key, if no row of an action was added, replaced or removed since.
    pub fn conclusion(&self, key: &ConclusionKey) -> Result<Option<Conclusion>> {
        let Ok(opened) = self.opened() else { return Ok(None) };
        let name = key.digest().as_bytes();
        opened.index.read("read", |conn| {
            let Some(now) = Generation::read(conn)? else { return Ok(None) };
            let mut find =
                conn.prepare_cached("SELECT body FROM conclusions WHERE key = ?1 AND epoch = ?2 AND changes = ?3")?;
            let found = find.query_row(params![name, now.epoch, now.changes], |row| {
                Ok(Conclusion::from_bytes(key, &now, row.get_ref(0)?.as_blob()?))
            });
            Ok(found.optional()?.flatten())
        })
    }

    /// Keeps a conclusion that was drawn from rows of one generation, and the hashes of input files with it; says whether it
    /// did. It does not where a row has changed since, and not where the store may not be written.
    pub fn keep_conclusion(
        &self,
        key: &ConclusionKey,
        conclusion: &Conclusion,
        generation: &Generation,
    ) -> Result<bool> {
        let Ok(opened) = self.opened() else { return Ok(false) };
        if !opened.layout.writable() {
            return Ok(false);
        }
        let index = &opened.index;
        let body = conclusion.to_bytes(key, generation);
        let kept = index.write(|tx| {
            let write = || {
                if Generation::read(tx)?.as_ref() != Some(generation) {
                    return Ok(false);
                }
                let Generation { epoch, changes } = generation;
                tx.execute("DELETE FROM conclusions WHERE epoch <> ?1 OR changes <> ?2", params![epoch, changes])?;
                tx.execute(
                    "INSERT OR REPLACE INTO conclusions (key, epoch, changes, body) VALUES (?1, ?2, ?3, ?4)",
                    params![key.digest().as_bytes(), epoch, changes, body],
                )?;
                let oldest =
                    "DELETE FROM conclusions WHERE n NOT IN (SELECT n FROM conclusions ORDER BY n DESC LIMIT ?1)";
                tx.execute(oldest, [KEPT])?;
                Ok(true)
            };
            write().map_err(index.failed("write to"))
        });
        let hashes = self.keep_hashes();
        // A log left beside the index would send every reader the long way.
        index.close();
        hashes.and(kept)
    }

    /// Tells whether every output is there, a regular file of the right size. One that cannot be looked at is not.
    pub fn holds_all(&self, conclusion: &Conclusion) -> bool {
        let Ok(opened) = self.opened() else { return false };
        let (outputs, _) = conclusion.outputs.as_chunks::<OUTPUT>();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS);
        let each = outputs.len().div_ceil(cores).max(MANY);
        let (own, others) = outputs.split_at(each.min(outputs.len()));
        std::thread::scope(|scope| {
            let looking: Vec<_> =
                others.chunks(each).map(|share| scope.spawn(|| all_there(&opened.layout, share))).collect();
            let found = all_there(&opened.layout, own);
            looking.into_iter().all(|looking| looking.join().unwrap_or(false)) && found
        })
    }

    /// Keeps the hashes of input files that were not known, if there are any.
    pub fn keep_hashes(&self) -> Result<()> {
        let Ok(opened) = self.opened() else { return Ok(()) };
        if opened.layout.writable() && opened.inputs.has_fresh() {
            opened.inputs.flush(&opened.index)?;
            opened.index.close();
        }
        Ok(())
    }

    /// Tells whether a file's last change lies so far back that a later one would show in its times.
    pub fn is_settled(&self, path: &Utf8Path) -> Result<bool> {
        let opened = self.opened()?;
        opened.inputs.is_settled(path, &opened.layout)
    }
}

/// Looks at outputs that are sorted by name, so that each directory is opened once.
fn all_there(layout: &Layout, outputs: &[[u8; OUTPUT]]) -> bool {
    let mut name = [0; 63];
    outputs.chunk_by(|a, b| a[0] == b[0]).all(|shard| {
        let Ok(folder) = layout.shard(Tree::Blobs, shard[0][0]) else { return false };
        shard.iter().all(|output| {
            let Some((digest, size)) = output.split_first_chunk::<32>() else { return false };
            let Ok(size) = size.try_into().map(u64::from_le_bytes) else { return false };
            let stat = folder.stat_raw(raw_file_name(digest, &mut name));
            stat.is_ok_and(|stat| stat.is_some_and(|stat| presence(&stat, size) == Presence::Present))
        })
    })
}
