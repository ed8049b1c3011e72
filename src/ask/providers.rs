use std::collections::BTreeMap;
use std::sync::Arc;

use crate::provider::{BatchService, Provider};
use crate::request::ProviderIdentity;

/// Holds who can be asked, by identity.
#[derive(Clone, Default)]
pub struct Providers {
    alone: BTreeMap<ProviderIdentity, Arc<dyn Provider>>,
    in_batches: BTreeMap<ProviderIdentity, Arc<dyn BatchService>>,
}

impl Providers {
    /// Adds a provider under its identity.
    pub fn add(&mut self, provider: Arc<dyn Provider>) {
        self.alone.insert(provider.identity().clone(), provider);
    }

    /// Adds who takes batches for a provider, under the same identity.
    pub fn add_batches(&mut self, service: Arc<dyn BatchService>) {
        self.in_batches.insert(service.identity().clone(), service);
    }

    /// Says whether a provider's batches can be gone on with here.
    pub fn takes_batches(&self, identity: &ProviderIdentity) -> bool {
        self.in_batches.contains_key(identity)
    }

    /// Lists who takes batches, by identity.
    pub fn batch_services(&self) -> impl Iterator<Item = &dyn BatchService> {
        self.in_batches.values().map(|service| &**service)
    }

    /// Lists who can be asked, by identity.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Provider> {
        self.alone.values().map(|provider| &**provider)
    }

    /// Finds who answers under an identity.
    pub fn find(&self, identity: &ProviderIdentity) -> Option<&dyn Provider> {
        self.alone.get(identity).map(|provider| &**provider)
    }
}
