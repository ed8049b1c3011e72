use super::ExportFile;

/// Writes files into a zip file, not compressed, with a fixed time and mode, so that equal files give equal bytes.
///
/// The layout is that of APPNOTE 6.3: a header before each file, and the directory at the end. `None`: a file, or all of them
/// together, are too large for it (4 GiB), or there are more than 65,535.
pub fn zip_file(files: &[ExportFile]) -> Option<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let (start, size) = (u32::try_from(out.len()).ok()?, u32::try_from(bytes.len()).ok()?);
        let length = u16::try_from(name.len()).ok()?;
        // Version 2.0, names in UTF-8, stored, the first moment that the format knows.
        let mut head = Vec::new();
        for half in [20u16, 0x0800, 0, 0, 0x21] {
            head.extend_from_slice(&half.to_le_bytes());
        }
        for word in [crc32(bytes), size, size] {
            head.extend_from_slice(&word.to_le_bytes());
        }
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&[0, 0]);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&head);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        // Made on Unix: a regular file that all may read.
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&head);
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&(0o100_644u32 << 16).to_le_bytes());
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (start, size) = (u32::try_from(out.len()).ok()?, u32::try_from(directory.len()).ok()?);
    let count = u16::try_from(files.len()).ok()?.to_le_bytes();
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    Some(out)
}

/// Computes the checksum of zip files: CRC-32, the polynomial reversed.
fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|at| {
        (0..8).fold(at as u32, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ table[((crc ^ u32::from(*byte)) & 255) as usize])
}
