use super::StepError;
use super::dataset::Item;
use super::gold_line::GoldLine;
use super::json_lines::{read_lines, unexpected};

/// Stands for the accepted answers of an item that has none.
const NO_GOLD: &str = "(none: the question cannot be answered)";

/// Goes through the items of a part, with what is accepted of each, beside the draws that a judge is asked about: all stand in
/// one order.
pub(super) struct JudgedItems<'a, I, G> {
    items: I,
    gold: G,
    current: Option<(Item<'a>, String)>,
}

/// Begins at the first item of `items` and the first line of `gold`.
pub(super) fn judged_items<'a>(
    items: &'a str,
    gold: &'a str,
) -> JudgedItems<
    'a,
    impl Iterator<Item = Result<Item<'a>, StepError>>,
    impl Iterator<Item = Result<GoldLine<'a>, StepError>>,
> {
    let read = |line| Item::read_question(line).map_err(|problem| unexpected("items", problem.message));
    JudgedItems { items: items.lines().map(read), gold: read_lines::<GoldLine<'_>>("gold", gold), current: None }
}

impl<'a, I, G> JudgedItems<'a, I, G>
where
    I: Iterator<Item = Result<Item<'a>, StepError>>,
    G: Iterator<Item = Result<GoldLine<'a>, StepError>>,
{
    /// Goes on to the item of a draw; returns it with its accepted answers, one a line.
    pub(super) fn of(&mut self, id: &str) -> Result<&(Item<'a>, String), StepError> {
        loop {
            if let Some(found) = self.current.take_if(|(item, _)| item.id == id) {
                return Ok(self.current.insert(found));
            }
            let absent = || unexpected("items", format_args!("it has no line for `{id}`, or not here"));
            let (item, truth) = (self.items.next().ok_or_else(absent)??, self.gold.next().ok_or_else(absent)??);
            if truth.id.as_str() != item.id {
                return Err(unexpected("gold", "its items are not those of `items`"));
            }
            let accepted = if truth.answers.is_empty() { NO_GOLD.to_owned() } else { truth.answers.join("\n") };
            self.current = Some((item, accepted));
        }
    }
}
