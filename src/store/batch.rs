use crate::digest::{DrawId, Encoder};
use crate::request::DrawAddress;

use super::BlobRef;

/// Says how far a batch is. Each state is durable before the call that could lead to the next is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Its input stands in the store; nothing was sent.
    Prepared,
    /// Its input is at the provider; from here on the batch may have been created there.
    Uploaded,
    /// Some batch at the provider may be this one: only its results will say.
    Adopting,
    /// It was created at the provider, which gave it an id.
    Submitted,
    /// The provider was asked to cancel it.
    Cancelling,
    /// The provider does nothing more for it.
    Ended,
    /// Its results stand in the store.
    Fetched,
    /// What it brought is in the draw log. Terminal.
    Committed,
    /// Nothing is expected of it any more: it was never created, or it was given up. Terminal.
    Abandoned,
    /// It is at the provider, and it is somebody else's. Terminal.
    Foreign,
}

impl BatchState {
    /// Says whether nothing comes after it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Committed | Self::Abandoned | Self::Foreign)
    }

    /// Returns the name in files and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Uploaded => "uploaded",
            Self::Adopting => "adopting",
            Self::Submitted => "submitted",
            Self::Cancelling => "cancelling",
            Self::Ended => "ended",
            Self::Fetched => "fetched",
            Self::Committed => "committed",
            Self::Abandoned => "abandoned",
            Self::Foreign => "foreign",
        }
    }
}

/// Is what is known of a batch from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct BatchHead {
    /// The version of the format.
    pub batch: u32,
    /// Its name here, unique for ever; at providers that take tags it is the nonce by which it is found again.
    pub name: String,
    /// The identity of who answers.
    pub provider: String,
    /// The service that takes it: `openai`, `anthropic`, `fireworks`.
    pub service: String,
    /// The models that its requests name.
    pub models: Vec<String>,
    /// The hash of its draws' sorted ids.
    pub key: String,
    /// How many batches of the same draws there were here before, where a batch's name at the provider is made of its draws.
    #[serde(skip_serializing_if = "is_zero")]
    pub ordinal: u32,
    /// The provider's id of the expired batch that it goes on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// How many requests it has.
    pub requests: u64,
    /// The input; absent for one that was found at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<BlobRef>,
    /// A hash, salted with the name, of the key and organisation it is sent under.
    pub account: String,
    /// What it can cost at most, in US dollars; absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling_usd: Option<String>,
    /// When it was prepared: UTC, RFC 3339.
    pub created_at: String,
    /// The session that prepared it.
    pub session: String,
}

// Serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BatchHead {
    /// Returns the key of a batch: the hash of its draws, whatever their order.
    pub fn key_of(draws: &[DrawAddress]) -> String {
        let mut ids: Vec<DrawId> = draws.iter().map(DrawAddress::id).collect();
        ids.sort_unstable();
        let mut encoder = Encoder::new("exp 2026-11 batch");
        encoder.list(ids.len());
        for id in &ids {
            encoder.digest(id.digest());
        }
        encoder.finish().to_hex()
    }
}

/// Is one step in the life of a batch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BatchStep {
    /// The state it has from here on.
    pub state: BatchState,
    /// When: UTC, RFC 3339.
    #[serde(default)]
    pub at: String,
    /// The provider's ids: of the batch, or of those that may be it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote: Vec<String>,
    /// The provider's ids of files, to be removed once the results are here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The provider's word for its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Until when the provider works on it, or keeps its results: UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<BlobRef>,
    /// How many answers, failures and requests without a result it brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Brought>,
    /// What is worth a note, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Counts what a batch brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Brought {
    /// Answers.
    pub answers: u64,
    /// Failures of single requests.
    pub failures: u64,
    /// Requests without a result: they are asked again.
    pub unanswered: u64,
    /// Results that belong to none of its requests.
    pub unknown: u64,
}

impl BatchStep {
    /// Makes a step that says nothing but its state.
    pub fn new(state: BatchState, at: String) -> Self {
        let (remote, files) = (Vec::new(), Vec::new());
        Self { state, at, remote, files, status: None, expires: None, results: None, brought: None, note: None }
    }
}

/// Is a batch as its state log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// What is known from the beginning.
    pub head: BatchHead,
    /// Its draws, in the order of its input.
    pub draws: Vec<DrawAddress>,
    /// Its life.
    pub steps: Vec<BatchStep>,
}

impl StoredBatch {
    /// Returns its state.
    pub fn state(&self) -> BatchState {
        self.steps.last().map_or(BatchState::Prepared, |step| step.state)
    }

    /// Returns the provider's id of it, once there is one.
    pub fn remote(&self) -> Option<&str> {
        let named = self.steps.iter().rev().find(|step| step.state != BatchState::Adopting && step.remote.len() == 1);
        named.map(|step| step.remote[0].as_str())
    }

    /// Returns the last step that led to a state.
    pub fn step(&self, state: BatchState) -> Option<&BatchStep> {
        self.steps.iter().rev().find(|step| step.state == state)
    }
}
