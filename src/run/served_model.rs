/// Is what a server said of a model before it was first asked: a circumstance of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedModel {
    /// The provider's identity.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// What tells one revision of it from another, where the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The longest context, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// What else it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
