//! How what must not be kept is erased: bytes go, and a tombstone says that they went on purpose.

use std::collections::{BTreeMap, HashSet};

use super::folder::Folder;
use super::layout::{Layout, Tree, place};
use super::line::{Line, put_forgotten};
use super::rewrite::Rewriting;
use super::segment::{Found, scan};
use super::{Store, StoreError, draw_log, session};
use crate::digest::{BlobId, RequestKey};
use crate::request::DrawAddress;

type Result<T> = std::result::Result<T, StoreError>;

/// Is the directory of tombstones: an empty file for each blob that was erased.
const FORGOTTEN: &str = "forgotten";

/// Is what was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// Blobs.
    pub blobs: u64,
    /// Answers, second answers, and attempts of which something was kept.
    pub draws: u64,
    /// Bytes of both.
    pub bytes: u64,
}

impl Store {
    /// Tells whether a blob was erased on purpose, so that it is no damage that it is missing.
    pub fn is_forgotten(&self, id: &BlobId) -> Result<bool> {
        self.opened().map_or(Ok(false), |opened| is_forgotten(&opened.layout, id))
    }

    /// Counts the answers, second answers and attempts that the draw log holds of requests.
    pub fn logged_of(&self, requests: &HashSet<RequestKey>) -> Result<u64> {
        let Ok(opened) = self.opened() else { return Ok(0) };
        let layout = &*opened.layout;
        let draws = match layout.draws() {
            Err(error) if error.is_not_found() => return Ok(0),
            other => other?,
        };
        let mut count = 0;
        for name in draws.names()?.iter().filter(|name| draw_log::session_of(name).is_some()) {
            let (file, _) = draws.open(name)?;
            scan(&file, 0, &draws.path().join(name), |found| {
                count += u64::from(of_requests(found.line, requests).is_some());
            })?;
        }
        Ok(count)
    }

    /// Erases blobs, and all that the draw log holds of requests. Tombstones are durable first, so that whatever is cut short
    /// is no damage, and is gone after the same call.
    ///
    /// It is an error if any session is at work: it may rely on them.
    pub fn forget(&self, blobs: &[(BlobId, u64)], requests: &HashSet<RequestKey>) -> Result<Forgotten> {
        let opened = self.opened()?;
        let layout = &*opened.layout;
        layout.require_writable()?;
        let _alone = session::alone(layout)?;
        let mut done = Forgotten::default();
        raise(layout, blobs)?;
        let mut rewriting = Rewriting::new(layout)?;
        erase(&mut rewriting, requests, &mut done)?;
        rewriting.finish(&opened.index)?;
        let mut touched: BTreeMap<u8, Folder> = BTreeMap::new();
        for (id, size) in blobs {
            let (byte, name) = place(id.digest());
            let shard = match layout.shard(Tree::Blobs, byte) {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            if shard.stat(&name)?.is_some() {
                shard.unlink(&name)?;
                done.blobs += 1;
                done.bytes += size;
                touched.insert(byte, shard);
            }
        }
        touched.values().try_for_each(Folder::sync)?;
        Ok(done)
    }
}

/// See [`Store::is_forgotten`].
pub(super) fn is_forgotten(layout: &Layout, id: &BlobId) -> Result<bool> {
    folder(layout)?.map_or(Ok(false), |folder| Ok(folder.stat(&id.digest().to_hex())?.is_some()))
}

fn folder(layout: &Layout) -> Result<Option<Folder>> {
    match layout.root().folder(FORGOTTEN) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets the tombstones.
fn raise(layout: &Layout, blobs: &[(BlobId, u64)]) -> Result<()> {
    layout.root().make(FORGOTTEN)?;
    layout.root().sync()?;
    let folder = layout.root().folder(FORGOTTEN)?;
    for (id, _) in blobs {
        let name = id.digest().to_hex();
        folder.open_or_create(&name)?;
    }
    folder.sync()
}

/// Writes every segment that holds something of the requests anew, without it and with a line that says whose it was.
fn erase(rewriting: &mut Rewriting<'_>, requests: &HashSet<RequestKey>, done: &mut Forgotten) -> Result<()> {
    for name in rewriting.names()? {
        let mut erased: Vec<DrawAddress> = Vec::new();
        rewriting.visit(&name, |found| erased.extend(of_requests(found.line, requests)))?;
        if erased.is_empty() {
            continue;
        }
        erased.sort_unstable();
        erased.dedup();
        let mut tail = Vec::new();
        put_forgotten(&mut tail, &erased);
        let keeps = |found: &Found<'_>| {
            let is_erased = of_requests(found.line, requests).is_some();
            if is_erased {
                done.draws += 1;
                done.bytes += found.line.len() as u64;
            }
            !is_erased
        };
        rewriting.write(&name, keeps, &tail)?;
    }
    Ok(())
}

/// Returns whose answer or attempt a line holds, if it is one of these requests'.
fn of_requests(line: &[u8], requests: &HashSet<RequestKey>) -> Option<DrawAddress> {
    let address = match Line::parse(line)? {
        Line::Draw(draw) | Line::Surplus(draw) => draw.address,
        Line::Failure(failure) => failure.address,
        _ => return None,
    };
    requests.contains(&address.request).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{addresses, filled, text};
    use crate::store::{Claim, FlawPart};

    #[test]
    fn what_is_forgotten_is_gone_from_blobs_and_log_and_the_rest_is_served() {
        let place = filled();
        let store = place.open();
        let wanted = addresses(4);
        let blob = (BlobId::of(text(0).as_bytes()), text(0).len() as u64);
        let requests: HashSet<RequestKey> = [wanted[0].request].into();
        let count = wanted.iter().filter(|address| address.request == wanted[0].request).count() as u64;
        assert_eq!(store.logged_of(&requests).unwrap(), count);
        let session = store.session().unwrap();
        assert!(store.forget(&[blob], &requests).is_err(), "somebody is at work");
        drop(session);
        let done = store.forget(&[blob], &requests).unwrap();
        assert_eq!((done.blobs, done.draws), (1, count));
        assert_eq!(store.forget(&[blob], &requests).unwrap(), Forgotten::default(), "it is done");
        assert!(store.is_forgotten(&blob.0).unwrap() && store.read(&blob.0).is_err());
        let log: Vec<u8> = place.segments().iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
        let log = String::from_utf8(log).unwrap();
        assert!(log.contains("{\"forgotten\":[\""), "{log}");
        for (n, found) in store.draws(&wanted).unwrap().into_iter().enumerate() {
            let is_erased = wanted[n].request == wanted[0].request;
            assert_eq!(found.is_none(), is_erased, "{n}");
            assert_eq!(log.contains(&text(n as u32)), !is_erased, "{n}");
        }
        let flaws = store.verify().unwrap().flaws;
        assert!(flaws.is_empty(), "{flaws:?}");
        // A lost index does not bring it back, and what it was may be asked for again.
        std::fs::remove_file(place.file("index.sqlite")).unwrap();
        let store = place.open();
        let session = store.session().unwrap();
        let claims = session.claim(&wanted).unwrap();
        assert_eq!(claims.iter().filter(|claim| **claim == Claim::Mine).count() as u64, count);
        drop(session);
        // Without the tombstone it is damage.
        std::fs::remove_dir_all(place.file("forgotten")).unwrap();
        let flaws = place.read_only().verify().unwrap().flaws;
        assert!(matches!(flaws[..], [crate::store::Flaw { part: FlawPart::MissingBlob(_), .. }]), "{flaws:?}");
    }
}
