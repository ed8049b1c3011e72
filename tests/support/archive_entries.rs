//! What is in an archive, and archives of other things than `exp` would write.

use std::io::{Read as _, Write as _};
use std::path::Path;

/// Is one file of an archive.
pub type Entry = (tar::Header, Vec<u8>);

/// The bytes of an archive, unpacked.
pub fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The files of an archive, in its order.
pub fn entries(path: &Path) -> Vec<Entry> {
    let bytes = unpacked(path);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.header().clone(), bytes)
    });
    read.collect()
}

/// The name of a file of an archive.
pub fn name(header: &tar::Header) -> String {
    String::from_utf8(header.path_bytes().into_owned()).unwrap()
}

/// Writes an archive of these files, whatever they are.
pub fn pack(path: &Path, entries: &[Entry]) {
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for (header, bytes) in entries {
        let mut header = header.clone();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        out.write_all(header.as_bytes()).unwrap();
        out.write_all(bytes).unwrap();
        out.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()]).unwrap();
    }
    out.write_all(&[0; 1024]).unwrap();
    std::fs::write(path, out.finish().unwrap()).unwrap();
}
