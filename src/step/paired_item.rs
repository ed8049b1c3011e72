use std::collections::BTreeMap;

use super::draw_status::DrawStatus;
use super::text::Text;

/// Is one line of a `paired` blob: an item of a trial with what each arm made of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedItem<'a> {
    /// The dataset's name.
    #[serde(borrow)]
    pub dataset: Text<'a>,
    /// The row's own label, where it differs from the dataset's name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Text<'a>>,
    /// The item's id.
    #[serde(borrow)]
    pub item: Text<'a>,
    /// The cluster for standard errors.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Text<'a>>,
    /// The fields that make subgroups, as their names and texts; a field that the item does not have is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The control's draws; absent where it was not built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<PairedArm>,
    /// The treatment's draws; absent where it was not built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment: Option<PairedArm>,
}

impl PairedItem<'_> {
    /// Returns the label under which the item is shown.
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.dataset)
    }

    /// Returns control and treatment, in this order.
    pub fn arms(&self) -> [Option<&PairedArm>; 2] {
        [self.control.as_ref(), self.treatment.as_ref()]
    }
}

/// Holds the draws of one item under one arm. Lists run over draws, by number, except where said.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedArm {
    /// What became of each draw.
    pub statuses: Vec<DrawStatus>,
    /// How many of them have scores.
    pub scored: u32,
    /// How many draws have each metric, in the order of the dataset's metrics; left out where that is `scored` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<u32>,
    /// The sum of the scores of each metric of the dataset, in the order of its metrics; empty if no draw has scores.
    pub sums: Vec<f64>,
    /// The sums of their squares, likewise; left out where they are not needed, as no item has two draws with scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub squares: Vec<f64>,
    /// For each draw that answers from a passage, by number, the share of its words that the passage holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub support: Vec<f64>,
    /// Tokens read; null where the provider did not say.
    pub input_tokens: Vec<Option<u64>>,
    /// Tokens written; null where the provider did not say.
    pub output_tokens: Vec<Option<u64>>,
}

impl PairedArm {
    /// Returns the mean of a metric over the draws that have scores; none if none has.
    pub fn mean(&self, metric: usize) -> Option<f64> {
        let sum = self.sums.get(metric)?;
        let count = self.count(metric);
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Returns how many draws have a metric.
    pub fn count(&self, metric: usize) -> u32 {
        self.counts.get(metric).copied().unwrap_or(self.scored)
    }

    /// Returns the mean number of tokens written over the draws that state one.
    pub fn mean_output_tokens(&self) -> Option<f64> {
        let known = || self.output_tokens.iter().flatten();
        let n = known().count();
        (n > 0).then(|| known().sum::<u64>() as f64 / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_what_is_known() {
        let arm = PairedArm {
            scored: 2,
            sums: vec![1.0],
            output_tokens: vec![Some(3), None, Some(4)],
            ..PairedArm::default()
        };
        assert_eq!((arm.mean(0), arm.mean(1), arm.mean_output_tokens()), (Some(0.5), None, Some(3.5)));
        let some = PairedArm { scored: 2, counts: vec![1, 0], sums: vec![1.0, 0.0], ..PairedArm::default() };
        assert_eq!((some.mean(0), some.mean(1)), (Some(1.0), None));
        assert_eq!(PairedArm::default().mean_output_tokens(), None);
    }

    #[test]
    fn a_line_reads_back() {
        let line = concat!(
            r#"{"dataset":"d","label":"l","item":"a","control":{"statuses":["stop","failed:timeout"],"scored":1,"#,
            r#""sums":[1.0,0.5],"input_tokens":[7,null],"output_tokens":[2,null]}}"#
        );
        let item: PairedItem<'_> = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&item).unwrap(), line);
        assert_eq!((item.label(), item.arms()[1]), ("l", None));
    }
}
