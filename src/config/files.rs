use camino::Utf8Path;

/// Says what stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file of this many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A device, pipe or socket: never opened.
    Other,
    /// Nothing.
    Missing,
    /// It cannot be told, for this reason.
    Unreadable(String),
}

/// Gives the loader its only sight of the file system.
pub trait Files {
    /// Says what stands at a path, symbolic links followed, without opening it.
    fn kind(&self, path: &Utf8Path) -> FileKind;

    /// Reads a regular file; the error is the reason in words.
    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, String>;
}

/// Looks at the real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn kind(&self, path: &Utf8Path) -> FileKind {
        match std::fs::metadata(path) {
            Ok(data) if data.is_dir() => FileKind::Directory,
            Ok(data) if data.is_file() => FileKind::File(data.len()),
            Ok(_) => FileKind::Other,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileKind::Missing,
            Err(error) => FileKind::Unreadable(error.to_string()),
        }
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| error.to_string())
    }
}
