use super::text::Text;

/// Is one line of a `gold` blob: what an item's answers are held against.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct GoldLine<'a> {
    /// The item's id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Every accepted answer.
    #[serde(default)]
    pub answers: Vec<String>,
    /// Whether the item has no answer.
    #[serde(default)]
    pub unanswerable: bool,
    /// The passage.
    #[serde(borrow, default)]
    pub context: Option<Text<'a>>,
}

/// Is what merging needs of a line of a `gold` blob.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct GoldLabels<'a> {
    /// The item's id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// The cluster for standard errors.
    #[serde(borrow, default)]
    pub group: Option<Text<'a>>,
    /// The row's own label, shown as its dataset.
    #[serde(borrow, default)]
    pub dataset: Option<Text<'a>>,
}
