use std::collections::BTreeMap;

use super::text::Text;

/// Is one line of a `differences` blob: what an item adds to the primary metrics, treatment minus control.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferenceLine<'a> {
    /// The dataset's name.
    #[serde(borrow)]
    pub dataset: Text<'a>,
    /// The item's id.
    #[serde(borrow)]
    pub item: Text<'a>,
    /// The cluster for standard errors.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Text<'a>>,
    /// The difference of each primary metric that has scores under both arms.
    pub deltas: BTreeMap<String, f64>,
}
