/// Says whether an attempt that gave no answer was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Nothing was generated: it never arrived, or was turned away.
    No,
    /// Nobody here can know: it was sent, and no whole response came back. The ledger counts it as a range.
    Uncertain,
}

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
    /// Input tokens that the provider wrote to its prompt cache, where that has a price of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// The provider's word for the class of service that it charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The revision of the model that the server stated before it was first asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_revision: Option<String>,
    /// Who served it behind a router, in the router's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The status of the HTTP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Of an attempt without an answer: whether it was paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
    /// Wall time from sending to the last byte, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Which attempt of this build it was, from 1.
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
