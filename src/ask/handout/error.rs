use camino::Utf8PathBuf;

use crate::store::StoreError;

/// Says why a handout cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HandoutError {
    /// A file could not be read or written.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is not one that this version reads.
    #[error("`{path}`: {why}")]
    Manifest {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HandoutError {
    /// Returns what makes this error of one of the system, for `map_err`.
    pub fn io(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
