use std::collections::HashMap;
use std::sync::Arc;

use super::AskError;
use crate::digest::DrawId;
use crate::request::{Answer, DrawAddress, FailureCode, Request};

/// Is one draw that an action wants.
#[derive(Clone, Debug)]
pub struct WantedDraw {
    /// What is asked.
    pub request: Arc<Request>,
    /// Where the draw stands.
    pub address: DrawAddress,
}

/// Is all that one action wants.
#[derive(Debug)]
pub struct Ticket {
    /// The action, in the caller's numbering.
    pub owner: u32,
    /// The draws.
    pub wanted: Vec<WantedDraw>,
}

/// Is what became of a draw: an answer, or the failure of this attempt to get one.
pub type Settled = Result<Answer, FailureCode>;

/// Is a ticket's end: every draw it wanted, or why there is none.
#[derive(Debug)]
pub struct Settlement {
    /// The ticket's owner.
    pub owner: u32,
    /// What became of each draw.
    pub draws: Result<HashMap<DrawId, Settled>, AskError>,
}
