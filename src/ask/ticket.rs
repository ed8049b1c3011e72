use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::AskError;
use super::logger::Logged;
use crate::digest::{Digest, DrawId};
use crate::request::{Answer, DrawAddress, FailureCode, Request};
use crate::store::StoreError;

/// Is one draw that an action wants.
#[derive(Clone, Debug)]
pub struct WantedDraw {
    /// What is asked.
    pub request: Arc<Request>,
    /// Where the draw stands.
    pub address: DrawAddress,
    /// When it is its turn, smallest first: equal for all arms of an item, so that these are asked one after the other.
    pub turn: u64,
    /// Whether the provider has rejected the request as it stands, so that it is not asked again.
    pub is_rejected: bool,
}

impl WantedDraw {
    /// Returns the turn of an item: the same for all arms, and no order that the data was written in.
    pub fn turn_of(order_seed: u64, item: &str) -> u64 {
        let digest = Digest::of(format!("{order_seed}/{item}").as_bytes());
        u64::from_le_bytes(std::array::from_fn(|at| digest.as_bytes()[at]))
    }
}

/// Is all that one action wants.
#[derive(Debug)]
pub struct Ticket {
    /// The action, in the caller's numbering.
    pub owner: u32,
    /// The draws.
    pub wanted: Vec<WantedDraw>,
    /// Counts how many draws are neither settled nor given up.
    pub(super) open: Arc<AtomicUsize>,
}

impl Ticket {
    /// Asks for draws on behalf of an owner; they are added to what `open` counts, and taken off as they end.
    pub fn new(owner: u32, wanted: Vec<WantedDraw>, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(wanted.len(), Ordering::Relaxed);
        Self { owner, wanted, open }
    }
}

/// Is what became of a draw: an answer, or the failure of the last attempt to get one.
pub type Settled = Result<Answer, FailureCode>;

/// Is a ticket's end: every draw it wanted, or why there is none.
#[derive(Debug)]
pub struct Settlement {
    /// The ticket's owner.
    pub owner: u32,
    /// What became of each draw.
    pub draws: Result<BTreeMap<DrawId, Settled>, AskError>,
}

/// Is what an asker is told, by those who want draws and by its own threads.
#[derive(Debug)]
pub(super) enum Message {
    /// An action wants draws.
    Ticket(Ticket),
    /// No more tickets come.
    NoMore,
    /// A group of attempts is in the log.
    Logged(Logged),
    /// The log cannot be written: nothing more may be sent.
    Broken(Arc<StoreError>),
    /// A lane gives back draws that it did not send.
    Returned(Vec<DrawId>),
    /// All that is wanted for now has been handed over.
    Gathered,
    /// A batch lane gives back draws that are free, or answered by somebody else: they are looked for anew.
    Again(Vec<DrawId>),
    /// A batch lane does without draws.
    GivenUp(Vec<DrawId>, AskError),
}

/// Takes tickets for an asker; dropping it says that there are no more.
#[derive(Debug)]
pub struct Tickets(Sender<Message>);

/// Is where an asker finds its tickets.
#[derive(Debug)]
pub struct Inbox {
    pub(super) messages: Receiver<Message>,
    pub(super) own: Sender<Message>,
}

impl Tickets {
    /// Opens a way to hand tickets to an asker.
    pub fn open() -> (Self, Inbox) {
        let (own, messages) = channel();
        (Self(own.clone()), Inbox { messages, own })
    }

    /// Says that all that is wanted for now has been handed over, so that batches can be packed.
    pub fn gathered(&self) {
        drop(self.0.send(Message::Gathered));
    }

    /// Hands over a ticket. Where the asker is gone, nobody is left to wait for it.
    pub fn send(&self, ticket: Ticket) {
        drop(self.0.send(Message::Ticket(ticket)));
    }
}

impl Drop for Tickets {
    fn drop(&mut self) {
        drop(self.0.send(Message::NoMore));
    }
}
