use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::finish::{duration_text, thousands};
use super::output::Output;
use crate::flow::{Budget, Clock, Event, Money, Tally};
use crate::plan::Plan;

/// Shows how a build goes: one redrawn line on a terminal, plain lines elsewhere, with never two seconds between them.
///
/// What is asked is shown for each trial that is at work: reused, sent, failed, tokens in a second, what it has cost so far,
/// and the time left, as far as it can be told from the requests that are known. A draw that several trials want counts for
/// each of them: the sum over all is in the first line.
pub struct Progress<'a> {
    out: &'a Output,
    clock: &'a Clock,
    budget: &'a Budget,
    /// The trials that want the draws of a node.
    trials_of: HashMap<u32, Vec<usize>>,
    state: Mutex<State>,
}

struct State {
    total: usize,
    finished: usize,
    tally: Tally,
    trials: Vec<Trial>,
    last: String,
    shown: Duration,
    waiting: bool,
}

struct Trial {
    slug: String,
    /// Its `infer` actions, and those whose requests are known.
    nodes: u64,
    known: u64,
    wanted: u64,
    tally: Tally,
    /// When its first request was settled.
    began: Option<Duration>,
}

/// How often a plain line is written: with the time between two looks, a little less than two seconds.
const EVERY: Duration = Duration::from_millis(1600);
/// How often the line of a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(80);
/// How many seconds a trial stands in the line of a terminal before the next one does.
const TURN: usize = 3;
/// How many trials have a plain line of their own at a time.
const LINES: usize = 4;

impl Trial {
    fn settled(&self) -> u64 {
        self.tally.reused + self.tally.sent + self.tally.failed
    }

    /// Writes how far it is: `m_t0: 120 reused, 300 sent, 2 failed of 4,800 · 812 tokens/s · $0.21 · 3m12s left`.
    fn words(&self, now: Duration) -> String {
        let Tally { reused, sent, failed, tokens, cost } = self.tally;
        let mut text = format!("{}: {} reused, {} sent", self.slug, thousands(reused), thousands(sent));
        if failed > 0 {
            let _ = write!(text, ", {} failed", thousands(failed));
        }
        // The parts are alike: those whose requests are not known yet want as many as the others.
        let all = self.wanted * self.nodes / self.known.max(1);
        let about = if self.known < self.nodes { "about " } else { "" };
        let _ = write!(text, " of {about}{}", thousands(all));
        let seconds = self.began.map_or(0.0, |began| now.saturating_sub(began).as_secs_f64());
        let has_rate = sent > 0 && seconds > 0.5;
        if has_rate {
            let _ = write!(text, " · {} tokens/s", thousands((tokens as f64 / seconds) as u64));
        }
        if cost > Money::ZERO {
            let _ = write!(text, " · {cost}");
        }
        if has_rate {
            let left = all.saturating_sub(self.settled()) as f64 * seconds / sent as f64;
            let _ = write!(text, " · {} left", duration_text(Duration::from_secs(left as u64)));
        }
        text
    }
}

impl<'a> Progress<'a> {
    /// Starts a display of at most `total` actions.
    pub fn new(out: &'a Output, clock: &'a Clock, budget: &'a Budget, plan: &Plan, total: usize) -> Self {
        let mut trials_of: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut trials = Vec::new();
        for trial in &plan.trials {
            let mut nodes = 0;
            for node in trial.infer.values().flatten() {
                nodes += 1;
                trials_of.entry(node.0).or_default().push(trials.len());
            }
            let slug = trial.label.slug.clone();
            trials.push(Trial { slug, nodes, known: 0, wanted: 0, tally: Tally::default(), began: None });
        }
        let state = State {
            total,
            finished: 0,
            tally: Tally::default(),
            trials,
            last: String::new(),
            // What was said before it began counts: the first line is not due later for that.
            shown: clock.monotonic().saturating_sub(out.quiet_for()),
            waiting: false,
        };
        Self { out, clock, budget, trials_of, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, owner: u32) -> &[usize] {
        self.trials_of.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// Takes an event.
    pub fn take(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Finished { label, .. } => {
                state.finished += 1;
                state.last.clone_from(label);
            }
            Event::Wanted { owner, draws } => {
                for at in self.of(*owner) {
                    let trial = &mut state.trials[*at];
                    trial.known += 1;
                    trial.wanted += draws;
                }
            }
            Event::Drawn { tally, owners } => {
                state.tally += *tally;
                let now = self.clock.monotonic();
                for (owner, tally) in owners {
                    for at in self.of(*owner) {
                        let trial = &mut state.trials[*at];
                        trial.tally += *tally;
                        if tally.sent > 0 {
                            trial.began.get_or_insert(now);
                        }
                    }
                }
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
                    self.out.progress("");
                    self.out.note(&format!("{provider} serves `{model}` as revision {revision}"));
                }
            }
            Event::Batch { provider, text } => {
                self.out.progress("");
                self.out.note(&format!("{provider}: {text}"));
            }
            Event::AskedAgain { provider, why, wait } => {
                self.out.progress("");
                self.out.note(&format!("{provider} is asked again after {} ({why})", duration_text(*wait)));
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
        self.show(&mut state);
    }

    /// Goes on with the display although nothing happened.
    pub fn tick(&self) {
        self.show(&mut self.state());
    }

    fn show(&self, state: &mut State) {
        let now = self.clock.monotonic();
        let every = if self.out.live { REDRAW } else { EVERY };
        if now.saturating_sub(state.shown) < every {
            return;
        }
        state.shown = now;
        let Tally { reused, sent, failed, .. } = state.tally;
        let failed = if failed > 0 { format!(", {} failed", thousands(failed)) } else { String::new() };
        let spent = self.budget.spending().spent;
        let spent = if spent > Money::ZERO { format!(" · {spent}") } else { String::new() };
        let text = format!(
            "{} of at most {} actions · requests: {} reused, {} sent{failed}{spent}",
            state.finished,
            state.total,
            thousands(reused),
            thousands(sent),
        );
        let trials: Vec<&Trial> = state.trials.iter().filter(|trial| trial.settled() < trial.wanted).collect();
        if self.out.live {
            // One line has room for one of them: each in its turn.
            let turn = now.as_secs() as usize / TURN % trials.len().max(1);
            let more = trials.get(turn).map_or_else(|| state.last.clone(), |trial| trial.words(now));
            self.out.progress(&format!("{text} · {more}"));
            return;
        }
        if trials.is_empty() {
            self.out.note(&format!("{text} · {}", state.last));
            return;
        }
        self.out.note(&text);
        for trial in trials.iter().take(LINES) {
            self.out.note(&format!("  {}", trial.words(now)));
        }
        if trials.len() > LINES {
            self.out.note(&format!("  and {} more trials", trials.len() - LINES));
        }
    }

    /// Clears the display.
    pub fn end(&self) {
        self.out.progress("");
    }
}
