use super::SourceFile;

/// Is what is asked around an item: a recipe of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArmConfig {
    /// The system message; absent: none is sent.
    pub system: Option<SourceFile>,
    /// The user template; absent: the dataset's.
    pub user: Option<SourceFile>,
    /// Worked examples (JSONL: the item's fields and `answer`), each a user and an assistant turn before the question.
    pub examples: Option<SourceFile>,
    /// A whole conversation (JSONL or a JSON array of `{role, content}`, contents are templates) in place of the rest.
    pub messages: Option<SourceFile>,
    /// The start of the answer, sent as a last assistant turn.
    pub prefill: Option<SourceFile>,
    /// Asks for draws of its own (A/A tests).
    pub draw_salt: Option<String>,
}

/// Is a named treatment with its control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSet {
    /// What is compared against.
    pub control: ArmConfig,
    /// What is tried.
    pub treatment: ArmConfig,
}
