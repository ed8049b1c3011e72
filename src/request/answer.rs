/// Says how a completed response ended. Each of these is a result: it is recorded, counted and reused, never asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    /// The model ended by itself or at a stop text.
    Stop,
    /// The answer was cut at the token limit.
    Length,
    /// The provider's filter withheld or cut the answer.
    ContentFilter,
    /// The model or the provider declined, in a field of its own.
    Refusal,
    /// The model completed with no text at all.
    Empty,
}

impl AnswerStatus {
    /// Lists every status.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Length, Self::ContentFilter, Self::Refusal, Self::Empty];

    /// Returns the name in files and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Empty => "empty",
        }
    }
}

/// Counts tokens as the provider reported them; what it did not report is absent, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens written, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens written as reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// Is the value of a draw: what the model completed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// How it ended.
    pub status: AnswerStatus,
    /// The text, as it came; unpaired surrogates are U+FFFD.
    pub text: String,
    /// Reasoning that came in a field of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The provider's own word for how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The model that the provider says it served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_model: Option<String>,
    /// Tokens read and written.
    #[serde(default)]
    pub usage: Usage,
}
