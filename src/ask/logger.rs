use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::Settled;
use super::ticket::Message;
use crate::digest::DrawId;
use crate::flow::Clock;
use crate::provider::Given;
use crate::request::{Circumstances, DrawAddress, Outcome};
use crate::store::{LoggedDraw, LoggedFailure, Session, StoreError, Written};

/// Is one attempt that has ended, on its way to the log.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: DrawId,
    pub(super) address: DrawAddress,
    pub(super) given: Given,
    /// No further attempt follows in this build.
    pub(super) is_last: bool,
    /// Set for an answer that stands in the log already, and is to be made durable.
    pub(super) written: Option<Written>,
}

/// Is what became durable together.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// The draws that are settled by it.
    pub(super) settled: Vec<(DrawId, Settled)>,
    /// How the answers among them were given one by one; what came with a batch is not in it.
    pub(super) given: HashMap<DrawId, Circumstances>,
    /// Set where it could not be logged: the draws above are then not settled.
    pub(super) error: Option<Arc<StoreError>>,
}

/// How many attempts share one write, at most.
const GROUP: usize = 4096;
/// How long an attempt waits for others that would share its write.
const GATHER: Duration = Duration::from_millis(20);
/// How long it sleeps between two looks at what has come.
const LOOK: Duration = Duration::from_millis(2);
/// How many attempts are enough to write without waiting for more.
const ENOUGH: usize = 256;

/// Logs attempts in groups, until nobody can send more: an answer counts once it is durable, and not before.
pub(super) fn log(session: &Session, clock: &Clock, attempts: &Receiver<Attempt>, outbox: &Sender<Message>) {
    while let Ok(first) = attempts.recv() {
        let mut group = vec![first];
        let until = clock.monotonic() + GATHER;
        loop {
            group.extend(attempts.try_iter().take(GROUP - group.len()));
            if group.len() >= ENOUGH || clock.monotonic() >= until {
                break;
            }
            // Not woken by each attempt that comes: with thousands in a second that would cost more than logging them.
            std::thread::sleep(LOOK);
        }
        let logged = write(session, &clock.now(), group);
        if outbox.send(Message::Logged(logged)).is_err() {
            return;
        }
    }
}

fn write(session: &Session, now: &str, group: Vec<Attempt>) -> Logged {
    let mut logged = Logged::default();
    let (mut draws, mut failures, mut given_up) = (Vec::new(), Vec::new(), Vec::new());
    let mut in_log = Vec::new();
    for Attempt { id, address, given, is_last, written } in group {
        let Given { outcome, mut circumstances, raw, .. } = given;
        circumstances.logged_at = Some(now.to_owned());
        match outcome {
            Outcome::Answer(answer) => {
                if let Some(written) = written {
                    logged.settled.push((id, Ok(answer)));
                    logged.given.insert(id, circumstances);
                    in_log.push(written);
                    continue;
                }
                logged.settled.push((id, Ok(answer.clone())));
                draws.push(LoggedDraw { address, answer, circumstances, raw });
            }
            Outcome::Failure(code) => {
                if is_last {
                    logged.settled.push((id, Err(code)));
                    given_up.push(address);
                }
                failures.push(LoggedFailure { address, code, circumstances, raw });
            }
        }
    }
    let written = session
        .settle_draws(&in_log)
        .and_then(|_| session.log_draws(&draws))
        .and_then(|_| session.log_failures(&failures))
        // What failed is free for others from here on, not only when this process ends.
        .and_then(|()| session.release(&given_up));
    logged.error = written.err().map(Arc::new);
    logged
}
