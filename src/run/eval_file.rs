use std::io::Read;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder};
use serde_json::Value;

/// Is how long one file in a log may be: far beyond any sample, and far below what a crafted file could unpack to.
const LONGEST: u64 = 1 << 30;

/// Reads Inspect's `.eval`, a zip file of JSON: its header, then each sample to `take`, in the order of the file.
///
/// A log of an evaluation that did not end has no header; what it began with stands for it. The error says in words what is wrong.
pub(super) fn read_eval(bytes: &[u8], mut take: impl FnMut(Value)) -> Result<Value, String> {
    let words = |error: rawzip::Error| format!("the zip file cannot be read: {error}");
    let archive = ZipArchive::from_slice(bytes).map_err(words)?;
    let mut samples: Vec<Entry> = Vec::new();
    let (mut header, mut start) = (None, None);
    let mut entries = archive.entries();
    while let Some(record) = entries.next_entry().map_err(words)? {
        let name = String::from_utf8_lossy(record.file_path().as_bytes()).into_owned();
        let entry = Entry { method: record.compression_method(), at: record.wayfinder(), name };
        if entry.name == "header.json" {
            header = Some(entry);
        } else if entry.name == "_journal/start.json" {
            start = Some(entry);
        } else if entry.name.starts_with("samples/") && !entry.name.ends_with('/') {
            samples.push(entry);
        }
    }
    let header = header
        .or(start)
        .ok_or("the zip file is no log of Inspect: it has neither `header.json` nor `_journal/start.json`")?;
    let header = read(&archive, &header)?;
    for sample in &samples {
        take(read(&archive, sample)?);
    }
    Ok(header)
}

/// Is one file in the zip file.
struct Entry {
    name: String,
    method: CompressionMethod,
    at: ZipArchiveEntryWayfinder,
}

fn read(archive: &rawzip::ZipSliceArchive<&[u8]>, entry: &Entry) -> Result<Value, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("`{}` in the zip file: {why}", entry.name);
    let found = archive.get_entry(entry.at).map_err(|error| wrong(&error))?;
    let packed = found.data();
    let plain: Box<dyn Read> = match entry.method {
        CompressionMethod::STORE => Box::new(packed),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
        CompressionMethod::ZSTD => Box::new(zstd::Decoder::new(packed).map_err(|error| wrong(&error))?),
        other => return Err(wrong(&format!("compressed by method {}, which is not known here", other.as_u16()))),
    };
    let mut text = Vec::new();
    found.verifying_reader(plain).take(LONGEST).read_to_end(&mut text).map_err(|error| wrong(&error))?;
    if text.len() as u64 == LONGEST {
        return Err(wrong(&"it is longer than 1 GiB"));
    }
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}
