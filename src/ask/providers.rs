use std::collections::BTreeMap;
use std::sync::Arc;

use crate::provider::Provider;
use crate::request::ProviderIdentity;

/// Holds who can be asked, by identity.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<ProviderIdentity, Arc<dyn Provider>>);

impl Providers {
    /// Adds a provider under its identity.
    pub fn add(&mut self, provider: Arc<dyn Provider>) {
        self.0.insert(provider.identity().clone(), provider);
    }

    /// Lists who can be asked, by identity.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Provider> {
        self.0.values().map(|provider| &**provider)
    }

    /// Finds who answers under an identity.
    pub fn find(&self, identity: &ProviderIdentity) -> Option<&dyn Provider> {
        self.0.get(identity).map(|provider| &**provider)
    }
}
