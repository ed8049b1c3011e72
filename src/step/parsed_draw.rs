use super::draw_status::DrawStatus;
use super::text::Text;
use crate::request::Usage;

/// Is one line of a `parsed` blob: a draw with its text taken apart.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParsedDraw<'a> {
    /// The item's id.
    #[serde(borrow)]
    pub item: Text<'a>,
    /// The draw's number, from 0.
    pub n: u32,
    /// What became of it.
    pub status: DrawStatus,
    /// The text without reasoning, trimmed; absent for a failure.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// The answer within the text; absent where the extraction found none, and for a failure.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Text<'a>>,
    /// The reasoning, from a field of its own and from the text, in this order, joined by a line feed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Text<'a>>,
    /// The text as it came, where it differs from `text`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Text<'a>>,
    /// The provider's own word for how it ended.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Text<'a>>,
    /// The model that the provider says it served.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub served_model: Option<Text<'a>>,
    /// Tokens read and written.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub usage: Usage,
}

fn is_unknown(usage: &Usage) -> bool {
    *usage == Usage::default()
}
