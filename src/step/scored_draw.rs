use super::draw_status::DrawStatus;
use super::metric_values::MetricValues;
use super::text::Text;

/// Is one line of a `scores` blob: a draw with its scores, or the word that it has none.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoredDraw<'a> {
    /// The item's id.
    #[serde(borrow)]
    pub item: Text<'a>,
    /// The draw's number, from 0.
    pub n: u32,
    /// What became of it.
    pub status: DrawStatus,
    /// The metrics, as the scorers name them; absent where the draw is missing.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<MetricValues<'a>>,
    /// The share of the answer's words that its passage holds, where the score asks whether it is borne out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<f64>,
    /// Whether the draw has no scores.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
}
