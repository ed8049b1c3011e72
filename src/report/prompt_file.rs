/// Is one file of an arm's prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFile {
    /// The arm.
    pub arm: String,
    /// What it is: system, user, examples, messages, prefill.
    pub part: String,
    /// Its size.
    pub bytes: u64,
    /// How many words, between white space.
    pub words: u64,
    /// Its digest.
    pub digest: String,
}
