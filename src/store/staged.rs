use std::fs::File;
use std::io::{self, Read as _, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use camino::Utf8Path;

use super::folder::{SEALED, seal};
use super::layout::Layout;
use super::{BlobRef, StoreError};
use crate::digest::{BlobId, StreamHasher};

/// Is a blob whose bytes are written but do not yet have their name: [`Session::commit`](super::Session::commit) publishes
/// it; dropped before that, its temporary file goes too.
#[derive(Debug)]
pub struct StagedBlob {
    blob: BlobRef,
    pub(super) temp: Option<Temp>,
    pub(super) read_back: bool,
}

impl StagedBlob {
    /// Refers to bytes that need no temporary file: they are in the store, or in memory.
    pub(super) fn settled(blob: BlobRef) -> Self {
        Self { blob, temp: None, read_back: false }
    }

    /// Returns the blob's hash and size.
    pub fn blob(&self) -> BlobRef {
        self.blob
    }

    /// Asks that the bytes be read back and hashed before they are published: for what was paid for.
    #[must_use]
    pub fn read_back(mut self) -> Self {
        self.read_back = true;
        self
    }
}

/// Is a temporary file of a session, removed when dropped.
#[derive(Debug)]
pub(super) struct Temp {
    layout: Arc<Layout>,
    name: String,
    /// Is held open until the file is synced, so that no write error is forgotten in between; absent when too many are.
    file: Option<File>,
    published: bool,
    /// Counts the session's open temporary files.
    open: Arc<AtomicUsize>,
}

/// Is how many temporary files stay open at once, so that a large group does not use up the descriptors.
const MAX_OPEN: usize = 128;

impl Temp {
    pub(super) fn create(layout: &Arc<Layout>, name: String, open: &Arc<AtomicUsize>) -> Result<Self, StoreError> {
        let file = layout.tmp()?.create_new(&name)?;
        open.fetch_add(1, Ordering::Relaxed);
        Ok(Self { layout: Arc::clone(layout), name, file: Some(file), published: false, open: Arc::clone(open) })
    }

    pub(super) fn path(&self) -> camino::Utf8PathBuf {
        self.layout.dir().join("tmp").join(&self.name)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let closed = || io::Error::other("the temporary file is closed");
        self.file
            .as_ref()
            .ok_or_else(closed)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(StoreError::io("write", self.path()))
    }

    /// Takes away the right to write; when many files are open, closes this one until it is synced.
    pub(super) fn seal(&mut self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), |file| seal(file, SEALED, &self.path()))?;
        if self.open.load(Ordering::Relaxed) > MAX_OPEN {
            self.close();
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.file.take().is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Makes the bytes durable. It is asked once; a failure is final.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let file = self.reopened()?;
        let synced = file.sync_all().map_err(StoreError::io("sync", self.path()));
        self.close();
        synced
    }

    /// Reads the bytes back and hashes them.
    pub(super) fn hash(&mut self) -> Result<(BlobId, u64), StoreError> {
        use std::io::Seek as _;
        let path = self.path();
        let file = self.reopened()?;
        file.rewind().map_err(StoreError::io("read", &path))?;
        let (digest, size) = StreamHasher::read_all(&mut *file).map_err(StoreError::io("read", &path))?;
        Ok((BlobId::new(digest), size))
    }

    /// Returns the size on disk.
    pub(super) fn size(&self) -> Result<u64, StoreError> {
        if let Some(file) = &self.file {
            return Ok(file.metadata().map_err(StoreError::io("read the size of", self.path()))?.len());
        }
        let gone = || StoreError::io("read the size of", self.path())(io::ErrorKind::NotFound.into());
        Ok(self.layout.tmp()?.stat(&self.name)?.ok_or_else(gone)?.st_size as u64)
    }

    fn reopened(&mut self) -> Result<&mut File, StoreError> {
        if self.file.is_none() {
            self.file = Some(self.layout.tmp()?.open(&self.name)?.0);
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        self.file.as_mut().ok_or_else(|| StoreError::Unfit { why: "a temporary file is closed".into() })
    }

    /// Gives the file its name in another directory.
    pub(super) fn publish(&mut self, to: &super::folder::Folder, name: &str) -> Result<(), StoreError> {
        self.layout.tmp()?.rename(&self.name, to, name)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        self.close();
        if !self.published
            && let Ok(tmp) = self.layout.tmp()
        {
            let _ = tmp.unlink(&self.name);
        }
    }
}

/// Is how long a file is at least for a thread of its own to hash it, in bytes: to start one takes as long as to hash less.
const LONG: u64 = 8 << 20;

/// Is how much of a file is read at once, in bytes.
const BUFFER: usize = 1 << 18;

/// Is how many such pieces are read ahead of what is hashed.
const BUFFERS: usize = 8;

/// Takes the bytes of a blob as they are made, hashing on the way.
///
/// Whoever it is handed to as a [`Write`] sees an error like any other: [`failure`](Self::failure) tells the owner afterwards
/// that it was the store which could not keep what came, and why.
pub struct StagingWriter {
    temp: Temp,
    hasher: StreamHasher,
    failure: Option<StoreError>,
}

impl StagingWriter {
    pub(super) fn new(temp: Temp) -> Self {
        Self { temp, hasher: StreamHasher::new(), failure: None }
    }

    /// Takes why the last bytes could not be written, if that is so.
    pub fn failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_all(bytes)
            .map_err(|error| self.failure().unwrap_or_else(|| StoreError::io("write", self.temp.path())(error)))
    }

    /// Makes a blob of a whole file of some size: nothing may have been put before. What is long is hashed by another thread,
    /// while this one reads and writes what comes next.
    pub(super) fn copy(mut self, file: &File, size: u64, path: &Utf8Path) -> Result<StagedBlob, StoreError> {
        if size < LONG || !self.copy_beside(file, path)? {
            let mut buffer = vec![0; BUFFER];
            loop {
                match read(file, &mut buffer, path)? {
                    0 => break,
                    n => self.put(&buffer[..n])?,
                }
            }
        }
        self.finish()
    }

    /// Says whether it copied: where no thread can be started, it did nothing.
    fn copy_beside(&mut self, file: &File, path: &Utf8Path) -> Result<bool, StoreError> {
        let (full, to_hash) = mpsc::channel::<(Vec<u8>, usize)>();
        let (empty, free) = mpsc::channel();
        for _ in 0..BUFFERS {
            drop(empty.send(vec![0; BUFFER]));
        }
        std::thread::scope(|scope| {
            let hash = move || {
                let mut hasher = StreamHasher::new();
                for (buffer, n) in to_hash {
                    hasher.update(&buffer[..n]);
                    // Once all is read, nobody takes it back.
                    drop(empty.send(buffer));
                }
                hasher
            };
            let Ok(hashing) = std::thread::Builder::new().spawn_scoped(scope, hash) else { return Ok(false) };
            // Buffers come back as long as the other thread lives; should it panic, that is told when it is joined.
            while let Ok(mut buffer) = free.recv() {
                let n = read(file, &mut buffer, path)?;
                if n == 0 {
                    break;
                }
                self.temp.write(&buffer[..n])?;
                drop(full.send((buffer, n)));
            }
            drop(full);
            self.hasher = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(true)
        })
    }

    /// Ends the blob.
    pub fn finish(mut self) -> Result<StagedBlob, StoreError> {
        let (digest, size) = self.hasher.finish();
        self.temp.seal()?;
        let blob = BlobRef { id: BlobId::new(digest), size };
        Ok(StagedBlob { blob, temp: Some(self.temp), read_back: false })
    }
}

/// Reads the next bytes of a file that is copied.
fn read(mut file: &File, buffer: &mut [u8], path: &Utf8Path) -> Result<usize, StoreError> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(StoreError::io("read", path)),
        }
    }
}

impl Write for StagingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let closed = || io::Error::other("the temporary file is closed");
        match self.temp.file.as_mut().ok_or_else(closed)?.write(buffer) {
            Ok(n) => {
                self.hasher.update(&buffer[..n]);
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                // Whoever writes is told the same as the owner, with the system's own number.
                let told = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
                self.failure = Some(StoreError::io("write", self.temp.path())(error));
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Access, Commit, Store};

    #[test]
    fn a_file_of_any_length_is_copied_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let store = Store::open(&dir.join("store"), Access::ReadWrite).unwrap();
        let session = store.session().unwrap();
        let input = dir.join("input");
        let all: Vec<u8> =
            (0..LONG + 5 * BUFFER as u64 + 3).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
        let long = LONG as usize;
        for length in [0, 1, BUFFER, BUFFER + 1, long - 1, long, long + 1, long + BUFFER, all.len()] {
            let bytes = &all[..length];
            std::fs::write(&input, bytes).unwrap();
            let other = session.stage_file(&input, &BlobId::of(b"other"));
            assert!(matches!(other, Err(StoreError::ChangedWhileRead { .. })), "{length}");
            let staged = session.stage_file(&input, &BlobId::of(bytes)).unwrap();
            assert_eq!(staged.blob(), BlobRef::of(bytes), "{length}");
            session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
            assert!(store.read(&BlobId::of(bytes)).unwrap() == bytes, "{length}");
        }
    }
}
