use camino::Utf8PathBuf;

/// Is where something stands in the config file: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
}

/// Is a file that the config names: an input, known to the plan by content only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as written.
    pub written: String,
    /// The path resolved against the project's root.
    pub path: Utf8PathBuf,
    /// Where the config names it.
    pub at: Location,
}

/// Is where a dataset's (or corpus') bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of the project.
    File(SourceFile),
    /// An address, fetched once; its content is pinned.
    Url {
        /// The address as written.
        url: String,
        /// The pinned SHA-256, 64 lower-case hexadecimal digits.
        sha256: String,
        /// Where the config names it.
        at: Location,
    },
}
