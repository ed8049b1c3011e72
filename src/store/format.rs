use std::io::Read;

use camino::Utf8Path;

use super::folder::Folder;
use super::{Access, StoreError};

/// Is the file `FORMAT`: the oldest store format that a program must know to read this store, and to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    min_reader: u32,
    min_writer: u32,
}

/// Is the newest store format that this program knows.
const KNOWN: u32 = 2;

impl Format {
    /// Is what this program writes. Since 2 whoever writes holds what it relies on, so that collections see it; the files are
    /// those of 1.
    pub(super) const CURRENT: Self = Self { min_reader: 1, min_writer: 2 };

    /// Tells whether a store has to be copied before it is written to.
    pub(super) fn is_older(self) -> bool {
        self.min_writer < Self::CURRENT.min_writer
    }

    /// Returns the oldest format that a program must know to write the store.
    pub(super) fn writer(self) -> u32 {
        self.min_writer
    }

    /// Returns the bytes of the file.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        format!("{{\"min_reader\":{},\"min_writer\":{}}}\n", self.min_reader, self.min_writer).into_bytes()
    }

    /// Reads the file; `None` where there is none.
    pub(super) fn read(root: &Folder) -> Result<Option<Self>, StoreError> {
        let file = match root.open("FORMAT") {
            Ok((file, _)) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        let damaged = || StoreError::Corrupt { what: "the store's", id: "FORMAT".into() };
        file.take(4096).read_to_string(&mut text).map_err(|_| damaged())?;
        // A newer format may say more; only these two numbers are asked for.
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| damaged())?;
        let number = |name: &str| json.get(name)?.as_u64().and_then(|n| u32::try_from(n).ok());
        // There was no format 0.
        let number = |name| number(name).filter(|n| *n > 0);
        match (number("min_reader"), number("min_writer")) {
            (Some(min_reader), Some(min_writer)) => Ok(Some(Self { min_reader, min_writer })),
            _ => Err(damaged()),
        }
    }

    /// Fails when the store is too new for what is wanted of it.
    pub(super) fn check(self, path: &Utf8Path, access: Access) -> Result<(), StoreError> {
        let newer = |purpose, needs| StoreError::Newer { path: path.to_owned(), purpose, needs, known: KNOWN };
        if self.min_reader > KNOWN {
            return Err(newer("read", self.min_reader));
        }
        if access == Access::ReadWrite && self.min_writer > KNOWN {
            return Err(newer("write", self.min_writer));
        }
        Ok(())
    }
}
