use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::{ExportError, ExportFile};

/// Writes files into a zip file, deflated, with no time and a fixed mode, so that equal files give equal bytes.
pub fn zip_file(files: &[ExportFile]) -> Result<Vec<u8>, ExportError> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in files {
        let file = archive.new_file(name.as_str()).compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.unix_permissions(0o100_644).start()?;
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
        writer.write_all(bytes)?;
        let (encoder, descriptor) = writer.finish()?;
        encoder.finish()?;
        entry.finish(descriptor)?;
    }
    Ok(archive.finish()?)
}
