use std::time::Duration;

use super::Ceiling;
use super::waiting::Claimed;
use crate::digest::DrawId;
use crate::flow::Reservation;
use crate::request::Request;

/// Is a draw in the queue of a lane, or on its way.
pub(super) struct Sending {
    pub(super) draw: Claimed,
    /// How many tokens it asks for, about.
    pub(super) tokens: u64,
    /// The most it can cost.
    pub(super) ceiling: Ceiling,
    pub(super) attempts: u32,
    pub(super) first_sent: Option<Duration>,
    /// What is set aside for the attempt that is under way.
    pub(super) reserved: Option<Reservation>,
    /// What the server said that it serves for the model, when it was asked.
    pub(super) revision: Option<String>,
}

impl Sending {
    /// Starts with a draw that was not sent yet, and the most that it can cost.
    pub(super) fn new(ceiling: Ceiling, draw: Claimed) -> Self {
        let tokens = tokens_of(&draw.request);
        Self { draw, tokens, ceiling, attempts: 0, first_sent: None, reserved: None, revision: None }
    }
}

/// Estimates how many tokens a request asks for: four bytes of its text for one, and the most it may answer.
fn tokens_of(request: &Request) -> u64 {
    let bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
    bytes as u64 / 4 + u64::from(request.decoding.max_output_tokens.unwrap_or(256))
}

/// Waits in the queue until its time.
pub(super) struct Later(pub(super) Duration, pub(super) DrawId, pub(super) Sending);

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
