use rusqlite::{Connection, OptionalExtension as _};

/// Is what the index's rows of actions were at some moment: as long as it is the same, not one of them was added, replaced
/// or removed. The database counts by itself, in the transaction that changes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Tells one index from the one that was rebuilt in its place.
    pub(super) epoch: String,
    pub(super) changes: i64,
}

impl Generation {
    /// Reads what it is now; an index without one is of no generation.
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached("SELECT epoch, changes FROM generation")?
            .query_row([], |row| Ok(Self { epoch: row.get(0)?, changes: row.get(1)? }))
            .optional()
    }
}
