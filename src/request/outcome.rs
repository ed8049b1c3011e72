use super::Answer;

/// Says why no answer was completed: a closed list, so that blobs of steps hold no message that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// A replayed item has no recorded answer for this draw.
    NoRecording,
    /// The connection failed, or the server could not be reached.
    Transport,
    /// Time ran out.
    Timeout,
    /// The server was overloaded or asked to wait for longer than the bound.
    RateLimited,
    /// The server failed.
    ServerError,
    /// The provider rejected this request as it stands.
    Rejected,
    /// The provider stopped serving us: key, credit, or unknown model.
    ProviderStopped,
    /// The response could not be read as an answer.
    Malformed,
    /// The run was stopped before the request was sent.
    NotSent,
}

impl FailureCode {
    /// Returns the name in files and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRecording => "no_recording",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::ProviderStopped => "provider_stopped",
            Self::Malformed => "malformed",
            Self::NotSent => "not_sent",
        }
    }
}

/// Is what asking once ended in: a value to keep, or a failure to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model completed a response, whatever it is.
    Answer(Answer),
    /// It did not.
    Failure(FailureCode),
}
