use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BlobRef, BlobStore, StagedBlob, Store, StoreError};
use crate::digest::BlobId;

/// Keeps new blobs in memory over a store that is only read: what a plan computes leaves no trace.
#[derive(Debug)]
pub struct MemoryBlobs {
    below: Store,
    new: Mutex<HashMap<BlobId, Arc<[u8]>>>,
}

impl MemoryBlobs {
    /// Starts with nothing in memory.
    pub fn new(below: Store) -> Self {
        Self { below, new: Mutex::default() }
    }

    /// Returns the store beneath.
    pub fn store(&self) -> &Store {
        &self.below
    }
}

impl BlobStore for MemoryBlobs {
    fn read(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        new.map_or_else(|| self.below.read(id), |bytes| Ok(bytes.to_vec()))
    }

    fn stage(&self, bytes: &[u8]) -> Result<StagedBlob, StoreError> {
        let blob = BlobRef::of(bytes);
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.entry(blob.id).or_insert_with(|| bytes.into());
        Ok(StagedBlob::settled(blob))
    }
}
