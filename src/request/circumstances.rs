/// Is what happened while a draw was made: kept in the draw log and in views outside the root, never in a step's input.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Circumstances {
    /// The provider's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The provider's fingerprint of what served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Input tokens that the provider read from its prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Wall time from sending to the last byte, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// How often it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How it was bought: `embedded` (no network), `online`, `batch` or `ingested`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bought: Option<String>,
    /// When it was logged: UTC, RFC 3339, to the millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_at: Option<String>,
    /// What else is worth a note in the log, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
