use std::time::Duration;

use crate::flow::Reservation;
use crate::provider::RemoteBatch;
use crate::store::{BatchState, HeldBatch};

/// Is a batch that this process works on.
pub(super) struct UnderWay {
    pub held: HeldBatch,
    /// It was prepared here, and nobody can have created it yet.
    pub is_fresh: bool,
    /// When it is looked at next.
    pub next: Duration,
    /// How often it was looked at in vain, for the time to the next look.
    pub looks: u32,
    /// How many calls in a row had troubles.
    pub troubles: u32,
    /// What is set aside for it.
    pub reserved: Option<Reservation>,
    /// Since when it has been looked for at the provider.
    pub sought: Option<Duration>,
    /// What the provider last said of it.
    pub last: Option<RemoteBatch>,
    /// It was seen at work before it ended: whoever cancelled it did so while this build was waiting.
    pub was_running: bool,
    /// Why nothing more can be done for it here.
    pub stuck: Option<String>,
}

impl UnderWay {
    pub(super) fn new(held: HeldBatch, is_fresh: bool, reserved: Option<Reservation>) -> Self {
        Self {
            held,
            is_fresh,
            next: Duration::ZERO,
            looks: 0,
            troubles: 0,
            reserved,
            sought: None,
            last: None,
            was_running: false,
            stuck: None,
        }
    }

    pub(super) fn state(&self) -> BatchState {
        self.held.stored().state()
    }

    /// Says whether it is at the provider, as far as that can be known, so that nobody has to wait for it to get there.
    pub(super) fn is_submitted(&self) -> bool {
        self.stuck.is_some()
            || matches!(self.state(), BatchState::Submitted | BatchState::Cancelling | BatchState::Adopting)
    }

    /// Says whether it was looked at in this process and nothing can be done before the next look.
    pub(super) fn was_looked_at(&self) -> bool {
        self.last.is_some() && self.looks > 0 || self.troubles > 0 || self.state() == BatchState::Adopting
    }

    /// Names it in a sentence.
    pub(super) fn named(&self) -> String {
        match self.held.stored().remote() {
            Some(remote) => format!("batch {} ({remote})", self.held.name()),
            None => format!("batch {}", self.held.name()),
        }
    }
}
