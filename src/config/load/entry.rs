use camino::{Utf8Path, Utf8PathBuf};

use super::super::language::{ROOT, Shape, check};
use super::super::{Config, Diagnostic, Files, Span, render, tree};
use super::{Loader, secrets};

/// Is the largest config in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Is the largest number of findings that are kept.
const MAX_FOUND: usize = 100;

/// Is a config file as the caller read it.
#[derive(Clone, Copy)]
pub struct ConfigFile<'a> {
    /// The path, as it is to be shown.
    pub path: &'a Utf8Path,
    /// The bytes of the file.
    pub bytes: &'a [u8],
    /// The directory that relative paths start from; see [`project_root`].
    pub root: &'a Utf8Path,
    /// Gives environment variables, for the legacy `paths:` alone.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// Is what a config file came to.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The experiment; absent when there is an error.
    pub config: Option<Config>,
    /// Everything found, in the order of the lines.
    pub diagnostics: Vec<Diagnostic>,
    /// The text of the file for [`render`], with literal keys masked.
    pub source: String,
}

impl Loaded {
    /// Renders every finding, with an empty line between two.
    pub fn render(&self, color: bool) -> String {
        let texts: Vec<_> = self.diagnostics.iter().map(|found| render(found, &self.source, color)).collect();
        texts.join("\n\n")
    }
}

/// Returns the directory that relative paths in a config start from: the parent of a directory named `config`, else the
/// config's own directory.
pub fn project_root(config_path: &Utf8Path) -> Utf8PathBuf {
    let directory = config_path.parent().unwrap_or(Utf8Path::new(""));
    let root = match directory.file_name() {
        Some("config") => directory.parent().unwrap_or(Utf8Path::new("")),
        _ => directory,
    };
    if root.as_str().is_empty() { Utf8PathBuf::from(".") } else { root.to_owned() }
}

/// Reads a config whole: the experiment, or every error in it at once.
pub fn load(file: &ConfigFile<'_>, files: &dyn Files) -> Loaded {
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut secrets = secrets::Secrets::default();
    let (config, mut found) = match unreadable(bytes) {
        // The text of a file that is too big or no text is not shown.
        Some(found) => (None, vec![found]),
        None => read(file, &text, files, &mut secrets),
    };
    found.sort_by_key(|diagnostic| (diagnostic.at, diagnostic.severity));
    found.dedup();
    if found.len() > MAX_FOUND {
        let more = found.len() - MAX_FOUND;
        let next = found[MAX_FOUND].at;
        found.truncate(MAX_FOUND);
        found.push(Diagnostic::error(next, format!("and {more} more findings from here on")));
    }
    for diagnostic in &mut found {
        file.path.clone_into(&mut diagnostic.file);
        secrets.redact(diagnostic);
    }
    let is_usable = !found.iter().any(Diagnostic::is_error);
    Loaded { config: config.filter(|_| is_usable), diagnostics: found, source: secrets.mask(&text) }
}

fn read(
    file: &ConfigFile<'_>,
    text: &str,
    files: &dyn Files,
    secrets: &mut secrets::Secrets,
) -> (Option<Config>, Vec<Diagnostic>) {
    let (root, mut found) = tree::parse(text);
    let Some(root) = root else { return (None, found) };
    secrets.look(&root, &mut found);
    check(&root, &Shape::Table(&ROOT), "the config", Span::new(1, 1, 0), &mut found);
    if root.entries().is_empty() {
        // Who wrote something else than a mapping was told so.
        if !found.iter().any(Diagnostic::is_error) {
            found.push(tree::nothing_written());
        }
        return (None, found);
    }
    let mut loader = Loader::new(file, files, &root, found);
    let config = loader.config(&root);
    (Some(config), loader.found)
}

/// Says why bytes are no text to read.
fn unreadable(bytes: &[u8]) -> Option<Diagnostic> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the config has {} bytes, and the most is {MAX_BYTES}", bytes.len());
        let found = Diagnostic::error(Span::new(1, 1, 0), message);
        return Some(found.remedy("a config describes an experiment; keep data in files that it names"));
    }
    let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if utf16 {
        let found = Diagnostic::error(Span::new(1, 1, 0), "the config is UTF-16");
        return Some(found.remedy("save it as UTF-8"));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let found = Diagnostic::error(place(bytes, error.valid_up_to()), "the config is not valid UTF-8");
        return Some(found.remedy("save it as UTF-8"));
    }
    let nul = bytes.iter().position(|byte| *byte == 0)?;
    let found = Diagnostic::error(place(bytes, nul), "the config holds a NUL character");
    Some(found.remedy("take it out; is this a text file?"))
}

/// Finds the line and column of a byte.
fn place(bytes: &[u8], at: usize) -> Span {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
    Span::new(line, column, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_found() {
        for (path, root) in [
            ("config/eval_config.yaml", "."),
            ("eval.yaml", "."),
            ("a/config/eval.yaml", "a"),
            ("/p/config/x.yaml", "/p"),
            ("/p/conf/x.yaml", "/p/conf"),
            ("/x.yaml", "/"),
        ] {
            assert_eq!(project_root(Utf8Path::new(path)), root, "{path}");
        }
    }
}
