use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::request::ProviderIdentity;

/// Says how a provider is asked in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// From how many missing draws on they are sent in batches; absent: none is, and batches that there are are ended.
    pub from: Option<u64>,
    /// How many batches are under way at once, at most.
    pub most_at_once: usize,
    /// Requests in one batch, at most, where that is less than the provider takes.
    pub most_requests: Option<u64>,
    /// Bytes of one input, at most, where that is less than the provider takes.
    pub most_bytes: Option<u64>,
    /// How long is waited between two looks at a batch, at most.
    pub poll: Duration,
    /// How long a batch may wait at the provider before it begins; then it is cancelled.
    pub start_deadline: Duration,
    /// How long a batch may be at a provider before its list shows it.
    pub list_delay: Duration,
    /// Whether files at the provider are removed once the results are in the store.
    pub removes_files: bool,
    /// In how many batches of one build a draw is, at most.
    pub rounds: u32,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        Self {
            from: None,
            most_at_once: 16,
            most_requests: None,
            most_bytes: None,
            poll: Duration::from_secs(30),
            start_deadline: Duration::from_hours(24),
            list_delay: Duration::from_secs(30),
            removes_files: false,
            rounds: 3,
        }
    }
}

/// Holds how batches are gone about in one build.
#[derive(Clone, Debug, Default)]
pub struct Batching {
    policies: BTreeMap<ProviderIdentity, BatchPolicy>,
    /// Nothing is waited for: the build ends once all is submitted.
    pub detach: bool,
    /// Batches, by our name or the provider's id, that are to be left alone.
    pub ignored: BTreeSet<String>,
}

impl Batching {
    /// Makes what is said for all providers.
    pub fn new(detach: bool, ignored: BTreeSet<String>) -> Self {
        Self { policies: BTreeMap::new(), detach, ignored }
    }

    /// Adds the policy of a provider.
    pub fn add(&mut self, provider: ProviderIdentity, policy: BatchPolicy) {
        self.policies.insert(provider, policy);
    }

    /// Returns a provider's policy; without one of its own nothing new is sent in batches.
    pub fn of(&self, provider: &ProviderIdentity) -> BatchPolicy {
        self.policies.get(provider).copied().unwrap_or_default()
    }
}
