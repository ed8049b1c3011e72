use super::{Session, StagedBlob, StoreError};
use crate::digest::BlobId;

/// Is where blobs are read from and made: a session on disk, or memory over a store that is only read.
///
/// Both keep to one set of tests. A staged blob can be read once it is published: at once in memory, by
/// [`Session::commit`] on disk.
pub trait BlobStore: Send + Sync {
    /// Reads a whole blob, checked against its hash.
    fn read(&self, id: &BlobId) -> Result<Vec<u8>, StoreError>;

    /// Takes in the bytes of a blob.
    fn stage(&self, bytes: &[u8]) -> Result<StagedBlob, StoreError>;
}

impl BlobStore for Session {
    fn read(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        self.store().read(id)
    }

    fn stage(&self, bytes: &[u8]) -> Result<StagedBlob, StoreError> {
        Self::stage(self, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Access, BlobRef, Commit, MemoryBlobs, Store};

    /// Is the suite that every implementation keeps to.
    fn conforms(blobs: &dyn BlobStore, publish: &dyn Fn(StagedBlob)) {
        for bytes in [b"".as_slice(), b"one", &vec![7; 3_000_000]] {
            let id = BlobId::of(bytes);
            assert!(matches!(blobs.read(&id), Err(StoreError::Missing { .. })));
            let staged = blobs.stage(bytes).unwrap();
            assert_eq!(staged.blob(), BlobRef::of(bytes));
            publish(staged);
            assert_eq!(blobs.read(&id).unwrap(), bytes);
            // The same again is no different.
            publish(blobs.stage(bytes).unwrap());
            assert_eq!(blobs.read(&id).unwrap(), bytes);
        }
    }

    #[test]
    fn the_disk_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        let session = Store::open(&path, Access::ReadWrite).unwrap().session().unwrap();
        conforms(&session, &|staged| session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap());
    }

    #[test]
    fn memory_conforms_and_reads_through() {
        let dir = tempfile::tempdir().unwrap();
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        conforms(&MemoryBlobs::new(Store::open(&path, Access::ReadOnly).unwrap()), &drop);
        assert!(!path.exists());
        let session = Store::open(&path, Access::ReadWrite).unwrap().session().unwrap();
        let staged = session.stage(b"below").unwrap();
        session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
        let memory = MemoryBlobs::new(Store::open(&path, Access::ReadOnly).unwrap());
        assert_eq!(memory.read(&BlobId::of(b"below")).unwrap(), b"below");
        conforms(&memory, &drop);
        assert!(matches!(session.store().read(&BlobId::of(b"one")), Err(StoreError::Missing { .. })));
    }
}
