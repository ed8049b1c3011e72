use camino::Utf8Path;

use super::{Access, Sharing};

/// Says how a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// What may be done to it.
    pub access: Access,
    /// Who may use a store that is made.
    pub sharing: Sharing,
    /// The user's directory for what can be made again: the index of a store on a network file system is kept below it, since
    /// SQLite needs memory that all who use a file share. Absent: it is kept in the store whatever that is on.
    pub index_home: Option<&'a Utf8Path>,
}

impl Opening<'_> {
    /// Opens a store of its owner's, with its index in it.
    pub fn of(access: Access) -> Self {
        Self { access, sharing: Sharing::Owner, index_home: None }
    }
}
