use camino::Utf8PathBuf;

use crate::store::StoreError;

/// Says why something about a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or directory under `experiments/` could not be read or written.
    #[error("cannot {verb} `{path}`")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A directory that should be ours is something else: a link, a file, or a directory without our manifest.
    #[error("`{path}` is {what}; it is left alone")]
    NotOurs {
        /// The path.
        path: Utf8PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// No run, archive or path has that name.
    #[error("there is no run `{name}`; there is: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// A run has no trial of that name, or several that begin so.
    #[error("run `{run}` has {what} `{name}`; its trials are {known}")]
    NoTrial {
        /// The run.
        run: String,
        /// What it has instead of one.
        what: &'static str,
        /// The name.
        name: String,
        /// The run's trials.
        known: String,
    },
    /// Several runs begin with that name.
    #[error("`{name}` is the beginning of several runs: {found}")]
    Ambiguous {
        /// The name.
        name: String,
        /// The runs.
        found: String,
    },
    /// A text cannot be a run id.
    #[error("`{id}` cannot be a run id: use letters, digits, `.`, `_` and `-`, at most 120, a letter or digit first")]
    BadId {
        /// The text.
        id: String,
    },
    /// Somebody worked on a run after it was decided to let it go.
    #[error("run `{id}` changed meanwhile; it is left alone")]
    Changed {
        /// The run.
        id: String,
    },
    /// A file that should be a manifest or a record is not.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// The file, or what it is.
        what: String,
        /// Why.
        why: String,
    },
    /// A file is not an archive of a run, or not a whole one.
    #[error("`{path}` is not a sound archive of a run: {why}")]
    BadArchive {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file that would be written is there already, with other content.
    #[error("`{path}` is there already and holds something else; it is left alone")]
    Exists {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A run cannot be taken in, because its id is taken.
    #[error("there is another run `{id}` in the store already")]
    Taken {
        /// The id.
        id: String,
    },
    /// Something has to come to its end first.
    #[error("{why}")]
    NotYet {
        /// What, in words.
        why: String,
    },
    /// A run cannot be archived as it is.
    #[error("run `{id}` cannot be archived: {why}")]
    Incomplete {
        /// The run.
        id: String,
        /// What is missing.
        why: String,
    },
}
