use std::io::Read;

use crate::digest::BlobId;
use crate::step::ReadBlobs;
use crate::store::Store;

/// Reads a step's inputs from the store, hashed on the way.
pub struct StoreBlobs<'a>(pub &'a Store);

impl ReadBlobs for StoreBlobs<'_> {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0.open_blob(blob)?))
    }
}
