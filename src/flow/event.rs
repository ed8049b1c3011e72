use std::time::Duration;

use super::Money;

/// Is something that happened during a build. Displays and logs are consumers; nothing depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An action ran and its outputs are durable.
    Finished {
        /// The action's label.
        label: String,
        /// Whether some of its draws failed.
        partial: bool,
    },
    /// An action wants draws.
    Wanted {
        /// The action, in the caller's numbering.
        owner: u32,
        /// How many.
        draws: u64,
    },
    /// Draws were settled.
    Drawn {
        /// What became of them, each counted once.
        tally: Tally,
        /// The same for each action that wanted some, in the caller's numbering; a draw counts for all that wanted it.
        owners: Vec<(u32, Tally)>,
    },
    /// A server said what it serves under a model's name.
    Looked {
        /// Who serves it.
        provider: String,
        /// The model's id.
        model: String,
        /// The revision, where the server says.
        revision: Option<String>,
        /// The longest context, in tokens.
        context_length: Option<u64>,
        /// What else it says.
        note: Option<String>,
    },
    /// Something became of a batch.
    Batch {
        /// At which provider.
        provider: String,
        /// What, in one line.
        text: String,
    },
    /// An attempt failed and will be repeated; told now and then, not of each.
    AskedAgain {
        /// Who was asked.
        provider: String,
        /// What became of the attempt.
        why: String,
        /// How long its draw waits.
        wait: Duration,
    },
    /// Nothing more is sent to a provider in this build.
    ProviderStopped {
        /// Who.
        provider: String,
        /// Why, and what to do.
        why: String,
    },
    /// Others hold claims on draws that this build waits for.
    Waiting {
        /// How many.
        draws: usize,
        /// The session that holds the first of them.
        session: String,
    },
    /// An action could not finish.
    Failed {
        /// The action's label.
        label: String,
        /// Why, in one line.
        why: String,
    },
}

/// Counts what became of draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Draws found in the store.
    pub reused: u64,
    /// Draws that were sent and answered.
    pub sent: u64,
    /// Draws that failed.
    pub failed: u64,
    /// Tokens of output that the answers sent for have.
    pub tokens: u64,
    /// The known prices of the answers sent for.
    pub cost: Money,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.reused += other.reused;
        self.sent += other.sent;
        self.failed += other.failed;
        self.tokens += other.tokens;
        self.cost = self.cost.plus(other.cost);
    }
}

/// Takes events; called from any thread.
pub type Events<'a> = dyn Fn(Event) + Sync + 'a;
