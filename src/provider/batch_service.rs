use std::io::{Read, Write};
use std::time::Duration;

use super::http::Client;
use super::{Given, Line, Online, Protocol};
use crate::request::{DrawAddress, ProviderIdentity, Request};

/// Says how an input is written around its lines, so that it can be counted before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// What stands before the first line.
    pub before: &'static str,
    /// What stands between two.
    pub between: &'static str,
    /// What stands after the last.
    pub after: &'static str,
}

/// Says what one batch may hold, as the provider documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Requests.
    pub requests: u64,
    /// Bytes of its input.
    pub bytes: u64,
    /// Whether all its requests have to name one model.
    pub one_model: bool,
    /// Whether all its requests have to be under one decoding.
    pub one_decoding: bool,
}

/// Says how a batch is found again whose id was never written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// It carries a tag of ours, which the list shows.
    Tag,
    /// Nothing but its results says whose it is: until it has ended, any that could be it counts as it.
    Results,
    /// It has a name of our choosing.
    Name,
}

/// Is a batch about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct BatchTicket<'t> {
    /// Its name here: the nonce.
    pub name: &'t str,
    /// The hash of its draws.
    pub key: &'t str,
    /// A request of it: where all have to be alike, as all are.
    pub sample: &'t Request,
    /// The bytes of its input.
    pub size: u64,
    /// How many requests it has.
    pub requests: u64,
    /// How many batches of the same draws there were here before.
    pub ordinal: u32,
    /// The provider's id of the batch that it goes on with.
    pub continues: Option<&'t str>,
}

/// Says how far a provider is with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemotePhase {
    /// It has not begun.
    Waiting,
    /// It works on it.
    Running,
    /// It does nothing more for it: what there is of results can be fetched.
    Ended,
}

/// Is a batch as the provider shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBatch {
    /// The provider's id.
    pub id: String,
    /// How far it is.
    pub phase: RemotePhase,
    /// The provider's word for that.
    pub status: String,
    /// Our name of it, where it carries it.
    pub tag: Option<String>,
    /// The id of its input at the provider.
    pub input: Option<String>,
    /// The ids of its results, or their addresses; empty where it has none.
    pub outputs: Vec<String>,
    /// How many requests it has, as far as it says.
    pub requests: Option<u64>,
    /// How many of them are done.
    pub finished: Option<u64>,
    /// When it was created, in seconds since 1970.
    pub created_at: Option<i64>,
    /// Until when the provider works on it or, once it has ended, keeps its results; in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Why it failed as a whole.
    pub complaints: Vec<BatchComplaint>,
}

/// Is what a provider complains of in the input of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchComplaint {
    /// Its code.
    pub code: String,
    /// What it says to people.
    pub message: String,
    /// The line of the input that it is about, from 1.
    pub line: Option<u64>,
}

impl BatchComplaint {
    /// Says whether it is that too much is waiting already, so that a smaller batch, or a later one, may be taken.
    pub fn is_about_quota(&self) -> bool {
        let words = ["token_limit_exceeded", "enqueued_token", "quota", "too_many_batches", "rate_limit"];
        let says = ["enqueued token", "enqueued limit", "too many batch"];
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|word| self.code.contains(word)) || says.iter().any(|says| message.contains(says))
    }
}

/// Says what kind of trouble a call about a batch had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchTroubleKind {
    /// It may pass.
    Passing,
    /// There is no such thing, or it cannot be seen with this key.
    Absent,
    /// The call is refused as it stands.
    Refused,
    /// Too much is waiting at the provider already.
    Quota,
    /// The provider must not be asked again.
    Stopped,
}

/// Is the trouble that a call about a batch had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTrouble {
    /// Of what kind it is.
    pub kind: BatchTroubleKind,
    /// Whether the call may have done what it was to do all the same.
    pub may_have_arrived: bool,
    /// How long the provider asks to wait.
    pub after: Option<Duration>,
    /// Why, in one sentence.
    pub why: String,
}

/// Is one line of the results of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchResult {
    /// Which request it is of.
    pub custom_id: String,
    /// What it says: an answer, or a failure and what to do about it.
    pub given: Given,
}

/// Are the fields of a message that no batch of Anthropic's takes (November 2026): what streams, is faster for money, or falls
/// back to another model.
const NOT_IN_BATCHES: [&str; 3] = ["stream", "speed", "fallbacks"];

/// Says why a request cannot be sent in a batch, whoever takes it; `None`: it can.
pub fn unfit_for_batch(protocol: Protocol, request: &Request) -> Option<String> {
    let own = ["headers", "query"].into_iter().find(|part| request.extra.contains_key(*part));
    if let Some(part) = own {
        return Some(format!("a batch has no `{part}` of its own for each request"));
    }
    let fields = if protocol == Protocol::Messages { &NOT_IN_BATCHES[..] } else { &[] };
    let field = fields.iter().find(|field| request.extra.contains_key(**field))?;
    Some(format!("batches take no `{field}`"))
}

/// Takes requests in batches: one implementation for each API.
///
/// A call does what it says once and returns; waiting, trying again, finding again and every decision are in `ask/batches`.
pub trait BatchService: Send + Sync {
    /// Returns who answers its requests one by one: the same key, headers and timeouts.
    fn online(&self) -> &Online;

    /// Returns the identity that its requests carry: the same as that of who answers them one by one.
    fn identity(&self) -> &ProviderIdentity {
        &self.online().settings().identity
    }

    /// Returns the name of the API in files.
    fn name(&self) -> &'static str;

    /// Returns what one batch may hold.
    fn limits(&self) -> BatchLimits;

    /// Says how a batch is found again.
    fn recognition(&self) -> Recognition;

    /// Says how an input is written.
    fn framing(&self) -> Framing;

    /// Opens what calls go through.
    fn open(&self) -> Line {
        Line::new(Client::new(self.online().settings().client.clone()))
    }

    /// Returns a hash of the key and organisation that it sends under, salted.
    fn account(&self, salt: &str) -> String {
        super::batch_calls::account(self.online(), salt)
    }

    /// Writes the line of a request in an input, without its end; the error says why it cannot be sent in a batch.
    fn line(&self, request: &Request, draw: &DrawAddress) -> Result<String, String>;

    /// Sends the input; returns the provider's id of it, where it has one apart from the batch's.
    fn upload(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        input: &mut dyn Read,
    ) -> Result<Option<String>, BatchTrouble>;

    /// Creates the batch. It is never called twice for one name.
    fn create(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        uploaded: Option<&str>,
        input: &mut dyn Read,
    ) -> Result<RemoteBatch, BatchTrouble>;

    /// Lists the batches that it shows to this key, newest first, back to a time in seconds since 1970.
    fn list(&self, line: &mut Line, since: i64) -> Result<Vec<RemoteBatch>, BatchTrouble>;

    /// Looks at one.
    fn look(&self, line: &mut Line, id: &str) -> Result<RemoteBatch, BatchTrouble>;

    /// Asks for it to be cancelled.
    fn cancel(&self, line: &mut Line, id: &str) -> Result<(), BatchTrouble>;

    /// Returns what there is of a batch that was cancelled and that the provider does not show any more; `None`: it shows them.
    fn left_by_cancelling(&self, _id: &str) -> Option<RemoteBatch> {
        None
    }

    /// Says whether a batch can be one that goes on with another which has expired.
    fn goes_on_with_expired(&self) -> bool {
        false
    }

    /// Visits the `custom_id`s of the input of a batch found at the provider; `false`: they cannot be known before it ends.
    fn contents(&self, line: &mut Line, batch: &RemoteBatch, visit: &mut dyn FnMut(&str))
    -> Result<bool, BatchTrouble>;

    /// Writes all results of an ended batch, a line each, without keys.
    fn fetch(&self, line: &mut Line, batch: &RemoteBatch, into: &mut dyn Write) -> Result<(), BatchTrouble>;

    /// Reads one line of results; the error says why it cannot be read.
    fn read(&self, line: &[u8]) -> Result<BatchResult, String>;

    /// Removes a file of a batch from the provider.
    fn remove(&self, line: &mut Line, file: &str) -> Result<(), BatchTrouble>;
}
