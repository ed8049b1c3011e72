use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use super::archive_anonymous::anonymous_circumstances;
use super::archive_plan::DRAWS_AT_ONCE;
use super::archived_draw::{ArchivedDraw, WithheldDraw};
use super::on_disk::{self, OnDisk, failed};
use super::{ArchivePlan, RunError};
use crate::digest::{BlobId, Digest, StreamHasher};
use crate::store::{LoggedDraw, Store, StoreError};

/// Is how hard the file is compressed.
const LEVEL: i32 = 6;

/// Is an archive that was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WrittenArchive {
    /// The file's length in bytes.
    pub bytes: u64,
    /// The hash of the file.
    pub digest: Digest,
    /// Whether the very same file was there already, and nothing was written.
    pub already: bool,
}

/// Writes the archive that a plan describes: aside, durable, and then under its name.
///
/// Equal runs give equal bytes. A file of that name with other content is left alone, and is an error.
pub fn write_archive(store: &Store, plan: &ArchivePlan) -> Result<WrittenArchive, RunError> {
    if !plan.missing.is_empty() {
        let why = format!("the store lacks {}", plan.missing.join("; "));
        return Err(RunError::Incomplete { id: plan.run_id.clone(), why });
    }
    let path = plan.path.as_path();
    let dir = path.parent().unwrap_or(Utf8Path::new("."));
    make_dir(dir)?;
    let io = |verb| failed(verb, path);
    let mut aside = tempfile::Builder::new()
        .prefix(ASIDE_PREFIX)
        .suffix(ASIDE_SUFFIX)
        .tempfile_in(dir)
        .map_err(io("create a file beside"))?;
    // Whoever cleans up sees by the lock that somebody is at work.
    aside.as_file().lock().map_err(io("lock a file beside"))?;
    pack(store, plan, aside.as_file_mut()).map_err(|error| error.at(path))?;
    aside.as_file().set_permissions(fs::Permissions::from_mode(0o444)).map_err(io("set the mode of"))?;
    aside.as_file().sync_all().map_err(io("sync"))?;
    let aside_path = Utf8Path::from_path(aside.path()).map(Utf8Path::to_owned);
    let digest = on_disk::hash(aside_path.as_deref().unwrap_or(path))?;
    let bytes = aside.as_file().metadata().map_err(io("look at"))?.len();
    match aside.persist_noclobber(path) {
        Ok(_) => {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))?;
            Ok(WrittenArchive { bytes, digest: *digest.digest(), already: false })
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            if matches!(OnDisk::at(path)?, OnDisk::File(_)) && on_disk::hash(path)? == digest {
                Ok(WrittenArchive { bytes, digest: *digest.digest(), already: true })
            } else {
                Err(RunError::Exists { path: path.to_owned() })
            }
        }
        Err(error) => Err(io("rename")(error.error)),
    }
}

/// Is how the name of a half-written archive begins and ends.
pub(super) const ASIDE_PREFIX: &str = ".archive-";
/// See [`ASIDE_PREFIX`].
pub(super) const ASIDE_SUFFIX: &str = ".new";

/// Makes the directory of archives; a link or a file in its place is left alone.
fn make_dir(dir: &Utf8Path) -> Result<(), RunError> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(failed("create", parent))?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match OnDisk::at(dir)? {
            OnDisk::Dir => Ok(()),
            _ => Err(RunError::NotOurs { path: dir.to_owned(), what: "not a directory" }),
        },
        other => other.map_err(failed("create", dir)),
    }
}

/// Is a failure while the file is written: of the store, or of the file itself.
enum PackError {
    Run(RunError),
    Io(io::Error),
}

impl PackError {
    fn at(self, path: &Utf8Path) -> RunError {
        match self {
            Self::Run(error) => error,
            Self::Io(source) => RunError::Io { verb: "write", path: path.to_owned(), source },
        }
    }
}

impl From<io::Error> for PackError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for PackError {
    fn from(error: StoreError) -> Self {
        Self::Run(error.into())
    }
}

fn pack(store: &Store, plan: &ArchivePlan, file: &mut File) -> Result<(), PackError> {
    let mut draws = Spool::new()?;
    for addresses in plan.addresses.chunks(DRAWS_AT_ONCE) {
        for draw in store.draws(addresses)?.into_iter().flatten() {
            draws.push(&line(draw, plan).map_err(io::Error::from)?)?;
        }
    }
    let readme = readme(plan);
    let lines = plan.withheld.iter().map(|file| format!("{}  {}\n", file.name, file.size));
    let withheld = lines.collect::<Vec<_>>().concat();
    let mut texts: Vec<(&str, &str)> =
        vec![("README.txt", &readme), ("manifest.json", &plan.manifest_text), ("run.json", &plan.run_text)];
    if plan.without_items || plan.names.is_some() {
        texts.push(("WITHHELD", &withheld));
    }
    let mut sums = String::new();
    let mut sum = |name: &str, digest: &Digest| sums.extend([&digest.to_hex(), "  ", name, "\n"]);
    for (name, text) in &texts {
        sum(name, &Digest::of(text.as_bytes()));
    }
    for (key, text) in &plan.actions {
        sum(&format!("actions/{}", key.digest().to_hex()), &Digest::of(text.as_bytes()));
    }
    for (blob, _) in &plan.blobs {
        sum(&format!("blobs/{}", blob.digest().to_hex()), blob.digest());
    }
    sum("draws.jsonl", &draws.hasher.finish().0);

    let mut encoder = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut tar = tar::Builder::new(encoder);
    // What says what the file is comes first, so that it can be read without the rest.
    for (name, text) in texts {
        put(&mut tar, name, text.len() as u64, text.as_bytes())?;
    }
    put(&mut tar, "B3SUMS", sums.len() as u64, sums.as_bytes())?;
    for (key, text) in &plan.actions {
        put(&mut tar, &format!("actions/{}", key.digest().to_hex()), text.len() as u64, text.as_bytes())?;
    }
    for (blob, size) in &plan.blobs {
        put_blob(&mut tar, store, blob, *size)?;
    }
    let (size, reader) = draws.finish()?;
    put(&mut tar, "draws.jsonl", size, reader)?;
    let mut out = tar.into_inner()?.finish()?;
    out.flush()?;
    Ok(())
}

/// Writes a draw as the archive shows it.
fn line(mut draw: LoggedDraw, plan: &ArchivePlan) -> serde_json::Result<Vec<u8>> {
    let mut withheld = plan.without_items;
    if let Some(names) = &plan.names {
        // A response as received has the provider's ids in it, and whatever else the provider knows of who asked.
        draw.raw = Vec::new();
        draw.circumstances = anonymous_circumstances(draw.circumstances);
        withheld |= names.found(&serde_json::to_vec(&draw.answer)?).is_some();
    }
    if withheld { serde_json::to_vec(&WithheldDraw::new(draw)) } else { serde_json::to_vec(&ArchivedDraw::from(draw)) }
}

fn put<W: io::Write>(tar: &mut tar::Builder<W>, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o444);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    let mut counted = Counted { inner: bytes, left: size };
    tar.append_data(&mut header, name, &mut counted)?;
    if counted.left == 0 { Ok(()) } else { Err(io::Error::other(format!("{name} is shorter than it was"))) }
}

fn put_blob<W: io::Write>(tar: &mut tar::Builder<W>, store: &Store, blob: &BlobId, size: u64) -> Result<(), PackError> {
    let reader = store.open_blob(blob)?;
    Ok(put(tar, &format!("blobs/{}", blob.digest().to_hex()), size, reader)?)
}

/// Passes on exactly as many bytes as were announced: one more is an error, since the next header would be taken for it.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => {
                self.left = left;
                Ok(n)
            }
            None => Err(io::Error::other("a file grew while it was archived")),
        }
    }
}

/// Collects the lines of `draws.jsonl` compressed in memory: their length and hash have to be known before they are written.
struct Spool {
    packed: zstd::Encoder<'static, Vec<u8>>,
    hasher: StreamHasher,
}

impl Spool {
    fn new() -> io::Result<Self> {
        Ok(Self { packed: zstd::Encoder::new(Vec::new(), 1)?, hasher: StreamHasher::new() })
    }

    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        for bytes in [line, b"\n"] {
            self.packed.write_all(bytes)?;
            self.hasher.update(bytes);
        }
        Ok(())
    }

    fn finish(self) -> io::Result<(u64, impl Read)> {
        let packed = self.packed.finish()?;
        Ok((self.hasher.finish().1, zstd::Decoder::new(io::Cursor::new(packed))?))
    }
}

/// Says what an archive without items lacks.
const WITHHELD: &str = "
The text of items is withheld: WITHHELD lists, by hash and size, the blobs that the manifest names and that are not here, and
draws.jsonl holds, in place of each answer, the hash of it. Whoever has the bytes can check them with b3sum.
";

/// Says what an anonymous archive lacks.
const ANONYMOUS: &str = "
This archive does not say who ran it, or where. manifest.json has a digest of its own, and states that of the original
(anonymous_of). WITHHELD lists, by hash and size, the blobs (and, as actions/HASH, the records) that the manifest names and
that are not here since a host, a user, an organisation or a path stands in them; draws.jsonl has no ids of requests and no
responses as received, and the hash of an answer in place of one that shows such a name.
";

fn readme(plan: &ArchivePlan) -> String {
    let state = plan.marked.clone().unwrap_or_else(|| "this run is complete".to_owned());
    format!(
        "This is an archive of run {id}, made by exp. Note: {state}.

It can be checked without exp, with tar, zstd and b3sum (the BLAKE3 tool):

    mkdir run && zstd -dc {name}{suffix} | tar -x -C run -f - && cd run
    b3sum --check B3SUMS

Every file in blobs/ is named by the BLAKE3 hash of its bytes, so `b3sum blobs/*` prints each name twice.
manifest.json lists, by these hashes, the config, the files that were read, what each action made, and the files that the
run shows (`views`). Its last field, manifest_digest, is the hash of the text without that field:

    {{ head -n -2 manifest.json | sed '$ s/,$//'; echo '}}'; }} | b3sum

actions/ holds one record for each action, named by the hash of its specification: the step, its parameters, the hashes
of its inputs and outputs. The last field of each, `self`, is the hash of the record without that field.
run.json is the run's own record. draws.jsonl holds every answer the run is made of, as it was logged.
{withheld}
    exp audit FILE      checks all of this
    exp import FILE     {import}
",
        withheld = match (plan.names.is_some(), plan.without_items) {
            (true, true) => [ANONYMOUS, WITHHELD].concat(),
            (true, false) => ANONYMOUS.to_owned(),
            (false, true) => WITHHELD.to_owned(),
            (false, false) => String::new(),
        },
        import = if plan.names.is_some() || plan.without_items {
            "cannot take it in: too much is withheld"
        } else {
            "takes the run into a store"
        },
        id = plan.run_id,
        name = plan.name,
        suffix = super::ARCHIVE_SUFFIX,
    )
}
