use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::on_disk::{OnDisk, failed};
use super::{ManifestSignature, RunError};

/// Is how the name of a signature beside an archive ends.
const SUFFIX: &str = ".sig";
/// Is the longest file that is read as a signature.
const LONGEST: u64 = 1 << 16;

/// Reads the signatures that stand beside an archive: `FILE.<16 digits>.sig`, sorted by name.
///
/// Links are not followed. What does not read as a signature is returned as well, for the audit to report.
pub(super) fn signatures_beside(archive: &Utf8Path) -> Result<Vec<String>, RunError> {
    let dir = dir_of(archive);
    let Some(name) = archive.file_name() else { return Ok(Vec::new()) };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let entry = entry.map_err(failed("list", dir))?.file_name();
        let Some(entry) = entry.to_str() else { continue };
        let key = entry.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(SUFFIX));
        if key.is_some_and(|key| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            paths.push(dir.join(entry));
        }
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        if !matches!(OnDisk::at(&path)?, OnDisk::File(_)) {
            continue;
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(failed("open", &path))?;
        file.take(LONGEST).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(texts)
}

/// Writes a signature beside an archive, durably; an earlier one of the same key gives way. Returns where it stands.
pub fn sign_archive(archive: &Utf8Path, signature: &ManifestSignature, text: &str) -> Result<Utf8PathBuf, RunError> {
    let dir = dir_of(archive);
    let path = Utf8PathBuf::from(format!("{archive}.{}{SUFFIX}", signature.key().short_hex()));
    let io = |verb| failed(verb, &path);
    let mut aside = tempfile::NamedTempFile::new_in(dir).map_err(io("create a file beside"))?;
    aside.write_all(text.as_bytes()).map_err(io("write"))?;
    aside.as_file().set_permissions(fs::Permissions::from_mode(0o444)).map_err(io("set the mode of"))?;
    aside.as_file().sync_all().map_err(io("sync"))?;
    aside.persist(&path).map_err(|error| error.error).map_err(io("rename"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))?;
    Ok(path)
}

fn dir_of(archive: &Utf8Path) -> &Utf8Path {
    archive.parent().filter(|dir| !dir.as_str().is_empty()).unwrap_or(Utf8Path::new("."))
}
