use crate::report::Unit;

/// Is one item of a trial, with what both arms made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PageItem {
    /// The dataset.
    pub dataset: String,
    /// The item's id.
    pub id: String,
    /// The question.
    pub question: String,
    /// The passage.
    pub passage: Option<String>,
    /// The accepted answers.
    pub gold: Vec<String>,
    /// Whether the passage holds no answer.
    pub is_unanswerable: bool,
    /// Subgroup fields with the item's values.
    pub fields: Vec<(String, String)>,
    /// What control and treatment answered.
    pub arms: [PageAnswer; 2],
    /// The mean score under control and treatment by metric.
    pub scores: Vec<(String, Unit, [Option<f64>; 2])>,
    /// Which way the item flipped: `up`, `down`, or `other` where another metric or a status differs.
    pub flip: &'static str,
}

/// Is one arm's first draw on an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageAnswer {
    /// What became of each draw, by number.
    pub statuses: Vec<String>,
    /// The text of the draw shown; absent for a failure.
    pub text: Option<String>,
    /// The answer within the text, where it is not all of it.
    pub answer: Option<String>,
    /// The reasoning.
    pub reasoning: Option<String>,
    /// Which draw is shown, from 0.
    pub draw: u32,
    /// What people and models said of that draw.
    pub verdicts: Vec<PageVerdict>,
}

/// Is what several raters, or several draws of a judge, said of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct PageVerdict {
    /// The metric under which it stands.
    pub by: String,
    /// What it comes to; absent where nothing was said that counts.
    pub value: Option<f64>,
    /// By rater or draw: what the verdict is worth, and the words where a model said it.
    pub said: Vec<(String, Option<f64>, Option<String>)>,
}

impl PageVerdict {
    /// Writes what something is worth: as short as it reads back.
    pub fn worth(value: Option<f64>) -> String {
        value.map_or_else(|| "no verdict".to_owned(), |value| value.to_string())
    }
}

/// Is the items of one trial that are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemList {
    /// The trial's slug.
    pub slug: String,
    /// How many items there are.
    pub items: u64,
    /// On how many the arms disagree.
    pub disagreements: u64,
    /// The items shown, by dataset and in its order.
    pub shown: Vec<PageItem>,
}

impl ItemList {
    /// Says what is shown, and how it was chosen.
    pub fn words(&self) -> String {
        use crate::report::number::count;
        let (all, differ, shown) = (count(self.items), count(self.disagreements), self.shown.len() as u64);
        match self.disagreements {
            0 => format!("The arms do not disagree on any of {all} items."),
            n if n == shown => format!("The arms disagree on {differ} of {all} items; all are shown."),
            _ => format!(
                "The arms disagree on {differ} of {all} items; shown are {} of them, chosen by a hash of the item's id, so that \
                 the choice does not depend on what was answered.",
                count(shown)
            ),
        }
    }
}
