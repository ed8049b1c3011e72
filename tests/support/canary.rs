//! A key that nothing but a request's header may hold, and the search for it in all that was written and printed.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

/// Is the one key of the whole suite: in the environment of every command that a test runs, and what every server is given. Its characters look different in an address, in base64 and in JSON.
pub const CANARY: &str = "canary+7f3a/9c1e=5b2d?0e4f>8a6b~key";

/// The texts by which the key would be recognised: as it is, escaped as in JSON and in addresses, in hexadecimal, and in both
/// alphabets of base64 at each of the three places where it can begin among what stands before it.
fn forms(key: &str) -> Vec<String> {
    let mut forms = vec![key.to_owned(), key.replace('/', "\\/")];
    let escaped = |upper: bool| -> String {
        key.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                _ if upper => format!("%{byte:02X}"),
                _ => format!("%{byte:02x}"),
            })
            .collect()
    };
    forms.extend([escaped(true), escaped(false)]);
    forms.push(key.bytes().map(|byte| format!("{byte:02x}")).collect());
    for before in 0..3 {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(key.bytes()).collect();
        // Characters that depend on the neighbours are left out: the first ones, and those of the last group.
        let whole = base64(&bytes[..bytes.len() / 3 * 3]);
        let own = whole[[0, 2, 3][before]..].to_owned();
        forms.push(own.replace('+', "-").replace('/', "_"));
        forms.push(own);
    }
    // Part of a key is no smaller a leak; half of it does not come about by chance.
    forms.push(key[..key.len() / 2].to_owned());
    forms.push(key[key.len() / 2..].to_owned());
    forms.sort();
    forms.dedup();
    forms
}

static ANY_FORM: LazyLock<Regex> = LazyLock::new(|| {
    let forms: Vec<String> = forms(CANARY).iter().map(|form| regex::escape(form)).collect();
    Regex::new(&forms.join("|")).unwrap()
});

/// Whether any form of the key is in these bytes.
pub fn is_in(bytes: &[u8]) -> bool {
    ANY_FORM.is_match(bytes)
}

/// Lists the files below a directory that hold the key in their bytes or their names; links are not followed.
pub fn files_with(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            let named = is_in(entry.file_name().as_encoded_bytes());
            if kind.is_dir() {
                open.push(path.clone());
            }
            let holds = if kind.is_symlink() {
                std::fs::read_link(&path).is_ok_and(|to| is_in(to.as_os_str().as_encoded_bytes()))
            } else {
                kind.is_file() && std::fs::read(&path).is_ok_and(|bytes| is_in(&bytes) || is_in(&unpacked(&bytes)))
            };
            if named || holds {
                found.push(path);
            }
        }
    }
    found
}

/// What a file of zstd unpacks to; nothing, where it is none.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { zstd::decode_all(bytes).unwrap_or_default() } else { Vec::new() }
}

/// Base64 (RFC 4648) without padding.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..three.len()].copy_from_slice(three);
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for at in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}
