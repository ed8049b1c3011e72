use std::fs::File;
use std::sync::Arc;

use rustix::fs::Mode;

use super::StoreError;
use super::folder::{Folder, SEALED, read_at, seal, write_whole};
use super::layout::{Layout, is_name};
use super::line::{checked, put_head};
use super::notices::Notices;
use super::segment::scan;

type Result<T> = std::result::Result<T, StoreError>;

/// Is the size at which a segment is sealed and the next one begun: 64 MiB.
const FULL: u64 = 64 << 20;

/// Writes one session's part of the draw log: segments that are only ever appended to, and sealed (0444) when they are
/// full or the session ends.
#[derive(Debug)]
pub(super) struct DrawLog {
    layout: Arc<Layout>,
    session: String,
    next: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    name: String,
    file: File,
    size: u64,
}

/// Is where appended bytes came to stand.
#[derive(Clone, Debug)]
pub(super) struct Appended {
    /// The segment's file name.
    pub(super) segment: String,
    /// Where the bytes start.
    pub(super) start: u64,
    /// The end of the segment after them.
    pub(super) end: u64,
}

impl DrawLog {
    pub(super) fn new(layout: Arc<Layout>, session: &str) -> Self {
        Self { layout, session: session.to_owned(), next: 0, open: None }
    }

    /// Appends complete lines with one write, and makes them durable where that is asked for.
    ///
    /// After any failure the segment is left as it is, whole lines and all, and never written to again: what a failed
    /// `fsync` left in memory cannot be trusted, so it is not asked twice.
    pub(super) fn append(&mut self, lines: &[u8], durable: bool) -> Result<Appended> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let path = self.layout.draws()?.path().join(&open.name);
        if let Err(error) = write_whole(&open.file, lines, &path) {
            abandon(&open.file, open.size, &path);
            return Err(error);
        }
        if durable {
            open.file.sync_data().map_err(StoreError::io("sync", &path))?;
        }
        let appended = Appended { segment: open.name.clone(), start: open.size, end: open.size + lines.len() as u64 };
        open.size = appended.end;
        if open.size >= FULL {
            seal(&open.file, SEALED, &path)?;
        } else {
            self.open = Some(open);
        }
        Ok(appended)
    }

    fn begin(&mut self) -> Result<Open> {
        let draws = self.layout.draws()?;
        let name = format!("{}-{}.log", self.session, self.next);
        let created = draws.create_new(&name)?;
        let number = self.next;
        self.next += 1;
        let mut head = Vec::new();
        put_head(&mut head, &self.session, number);
        let path = draws.path().join(&name);
        let written = write_whole(&created, &head, &path).and_then(|()| draws.sync());
        if let Err(error) = written {
            let _ = draws.unlink(&name);
            return Err(error);
        }
        // Appending needs no position of its own; the descriptor is opened so that nothing can ever be overwritten.
        let (file, _) = draws.open_append(&name)?;
        Ok(Open { name, file, size: head.len() as u64 })
    }

    /// Seals the open segment, at the end of the session.
    pub(super) fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = self.layout.draws()?.path().join(&open.name);
        open.file.sync_data().map_err(StoreError::io("sync", &path))?;
        seal(&open.file, SEALED, &path)
    }
}

/// Cuts a half-written line off a segment that will not be written again; best effort, since mending does it too.
fn abandon(file: &File, known: u64, path: &camino::Utf8Path) {
    if let Ok(scanned) = scan(file, known, path, |_| {}) {
        let _ = rustix::fs::ftruncate(file, scanned.complete);
    }
    let _ = file.sync_data();
}

/// Returns the session that a segment's file name belongs to; `None` when it is not the name of a segment.
pub(super) fn session_of(name: &str) -> Option<&str> {
    let (session, number) = name.strip_suffix(".log")?.rsplit_once('-')?;
    (is_name(session) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(session)
}

/// Mends the end of a segment whose session is gone, and seals it.
///
/// Only an incomplete last line is touched: a line that lacks no more than its newline is given one; anything else after
/// the last newline (half a line, zeros) is copied to `quarantine/` and then cut off. `from` is the start of some line.
pub(super) fn mend(layout: &Layout, notices: &Notices, draws: &Folder, name: &str, from: u64) -> Result<()> {
    let path = draws.path().join(name);
    // Sealed or not, the owner may write: make it so where the mode says otherwise.
    let (file, stat) = draws.open(name)?;
    let scanned = scan(&file, from, &path, |_| {})?;
    if scanned.complete < scanned.size {
        seal(&file, Mode::RUSR | Mode::WUSR, &path)?;
        let (file, _) = draws.open_write(name)?;
        let mut tail = vec![0; (scanned.size - scanned.complete) as usize];
        read_at(&file, &mut tail, scanned.complete, &path)?;
        let whole = if checked(&tail).is_some() {
            Some(tail.len())
        } else {
            // The last byte may be a newline with a flipped bit.
            checked(&tail[..tail.len() - 1]).map(|_| tail.len() - 1)
        };
        layout.quarantine_bytes(&tail, &format!("tail-{name}"))?;
        if let Some(len) = whole {
            use std::os::unix::fs::FileExt as _;
            file.write_all_at(b"\n", scanned.complete + len as u64).map_err(StoreError::io("write", &path))?;
            notices.add(format!("draw log {name} was mended: its last line had no newline"));
        } else {
            rustix::fs::ftruncate(&file, scanned.complete)
                .map_err(|errno| StoreError::io("shorten", &path)(errno.into()))?;
            notices.add(format!("draw log {name} was mended: {} bytes of an unfinished line were cut off", tail.len()));
        }
        file.sync_all().map_err(StoreError::io("sync", &path))?;
    }
    if stat.st_mode & 0o777 != SEALED.bits() || scanned.complete < scanned.size {
        seal(&file, SEALED, &path)?;
        // A session that ended uncleanly may have left lines that were never made durable.
        file.sync_all().map_err(StoreError::io("sync", &path))?;
    }
    Ok(())
}
