use std::sync::Mutex;
use std::time::Duration;

use super::output::Output;
use crate::flow::{Clock, Event};

/// Shows how a build goes: one redrawn line on a terminal, a plain line every few seconds elsewhere.
pub struct Progress<'a> {
    out: &'a Output,
    clock: &'a Clock,
    state: Mutex<State>,
}

struct State {
    total: usize,
    finished: usize,
    reused: u64,
    sent: u64,
    failed: u64,
    last: String,
    shown: Duration,
    waiting: bool,
}

/// How often a plain line is written.
const EVERY: Duration = Duration::from_secs(2);
/// How often the line of a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(80);

impl<'a> Progress<'a> {
    /// Starts a display of at most `total` actions.
    pub fn new(out: &'a Output, clock: &'a Clock, total: usize) -> Self {
        let state = State {
            total,
            finished: 0,
            reused: 0,
            sent: 0,
            failed: 0,
            last: String::new(),
            shown: clock.monotonic(),
            waiting: false,
        };
        Self { out, clock, state: Mutex::new(state) }
    }

    /// Takes an event.
    pub fn take(&self, event: &Event) {
        let Ok(mut state) = self.state.lock() else { return };
        match event {
            Event::Finished { label, .. } => {
                state.finished += 1;
                state.last.clone_from(label);
            }
            Event::Drawn { reused, sent, failed, .. } => {
                state.reused += reused;
                state.sent += sent;
                state.failed += failed;
            }
            Event::Waiting { draws, session } => {
                if !state.waiting {
                    state.waiting = true;
                    self.out.note(&format!(
                        "waiting for {draws} answers that another build (session {session}) is asking for"
                    ));
                }
            }
            Event::Looked { provider, model, revision, .. } => {
                if let Some(revision) = revision {
                    self.out.note(&format!("{provider} serves `{model}` as revision {revision}"));
                }
            }
            Event::ProviderStopped { provider, why } => {
                self.out.progress("");
                self.out.note(&format!("nothing more is sent to {provider}: {why}"));
            }
            Event::Failed { label, why } => {
                self.out.progress("");
                self.out.note(&format!("failed: {label}: {why}"));
            }
        }
        let now = self.clock.monotonic();
        let every = if self.out.live { REDRAW } else { EVERY };
        if now.saturating_sub(state.shown) >= every {
            state.shown = now;
            let failed = if state.failed > 0 { format!(", {} failed", state.failed) } else { String::new() };
            let text = format!(
                "{} of at most {} actions · requests: {} reused, {} sent{failed} · {}",
                state.finished, state.total, state.reused, state.sent, state.last
            );
            if self.out.live { self.out.progress(&text) } else { self.out.note(&text) }
        }
    }

    /// Clears the display.
    pub fn end(&self) {
        self.out.progress("");
    }
}
