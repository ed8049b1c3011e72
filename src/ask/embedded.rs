use std::sync::mpsc::{Receiver, Sender};

use rayon::prelude::*;

use super::Providers;
use super::logger::Attempt;
use super::ticket::Message;
use super::waiting::Claimed;
use crate::flow::StopFlag;
use crate::provider::Line;

/// How many draws are answered between two looks at the stop flag.
const CHUNK: usize = 4096;

/// Answers the draws of providers that are embedded here, on all threads of the pool, until no more come.
pub(super) fn answer_all(
    pool: &rayon::ThreadPool,
    providers: &Providers,
    stop: &StopFlag,
    claimed: &Receiver<Vec<Claimed>>,
    log: &Sender<Attempt>,
    outbox: &Sender<Message>,
) {
    while let Ok(claimed) = claimed.recv() {
        for chunk in claimed.chunks(CHUNK) {
            if stop.is_raised() {
                drop(outbox.send(Message::Returned(chunk.iter().map(|draw| draw.id).collect())));
                continue;
            }
            let answer = |draw: &Claimed| {
                let provider = providers.find(&draw.request.provider)?;
                let given = provider.answer(&mut Line::default(), &draw.request, &draw.address);
                Some(Attempt { id: draw.id, address: draw.address, given, is_last: true, written: None })
            };
            let attempts: Vec<Attempt> = pool.install(|| chunk.par_iter().filter_map(answer).collect());
            for attempt in attempts {
                drop(log.send(attempt));
            }
        }
    }
}
