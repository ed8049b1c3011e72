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
    /// Draws were settled.
    Drawn {
        /// Draws found in the store.
        reused: u64,
        /// Draws that were sent and answered.
        sent: u64,
        /// Draws that failed.
        failed: u64,
        /// Tokens of output that the answers sent for have.
        tokens: u64,
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

/// Takes events; called from any thread.
pub type Events<'a> = dyn Fn(Event) + Sync + 'a;
