use std::collections::BTreeMap;

use super::{Analysis, Condition, Multiplicity, Outcomes};
use crate::digest::Decimal;

/// Says which answers and items are left out of an analysis.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusions {
    /// How statuses enter the scores.
    pub outcomes: Outcomes,
    /// What is left out of each dataset, by name.
    pub datasets: BTreeMap<String, DatasetExclusions>,
}

/// Says which items of a dataset are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetExclusions {
    /// How many items at most.
    pub max_items: Option<u64>,
    /// How many items of a label at most.
    pub max_items_by_label: BTreeMap<String, u64>,
    /// Which rows are kept.
    pub conditions: Vec<Condition>,
}

/// Is what was decided before the answers were seen: the content of `analysis_plan.lock`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisPlan {
    /// The version of the layout.
    pub version: u32,
    /// When it was sealed: UTC, RFC 3339. Nothing is decided by it; the manifest counts draws by it.
    pub sealed_at: String,
    /// The primary metrics as `dataset.metric`: with the trials, the family.
    pub primary: Vec<String>,
    /// The slugs of the trials.
    pub trials: Vec<String>,
    /// The level of tests.
    pub alpha: Decimal,
    /// The correction within a family.
    pub multiplicity: Multiplicity,
    /// Whether items of one group count as dependent.
    pub cluster: bool,
    /// Margins of equivalence by metric.
    pub margins: BTreeMap<String, Decimal>,
    /// The fields of items that make subgroups.
    pub subgroups: Vec<String>,
    /// The seed of every random stream.
    pub seed: u64,
    /// What is left out.
    pub exclusions: Exclusions,
}

impl AnalysisPlan {
    /// Is the version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// Lists what an analysis does otherwise, as what it is, what the plan says, and what is so now.
    ///
    /// The trials are compared by who sees them all.
    pub fn deviations(&self, analysis: &Analysis, exclusions: &Exclusions) -> Vec<[String; 3]> {
        let margins = |margins: &BTreeMap<String, Decimal>| {
            listed(margins.iter().map(|(metric, margin)| format!("{metric}: {margin}")))
        };
        let mut rows = vec![
            ["alpha".to_owned(), self.alpha.to_string(), analysis.alpha.to_string()],
            ["multiplicity".to_owned(), word(&self.multiplicity), word(&analysis.multiplicity)],
            ["cluster".to_owned(), self.cluster.to_string(), analysis.cluster.to_string()],
            ["margins".to_owned(), margins(&self.margins), margins(&analysis.margins)],
            ["subgroups".to_owned(), listed(self.subgroups.iter()), listed(analysis.subgroups.iter())],
            ["seed".to_owned(), self.seed.to_string(), analysis.random_seed.to_string()],
        ];
        if !analysis.primary.is_empty() {
            let sorted = |names: &[String]| {
                let mut names = names.to_vec();
                names.sort();
                listed(names.iter())
            };
            rows.push(["primary".to_owned(), sorted(&self.primary), sorted(&analysis.primary)]);
        }
        let sealed = &self.exclusions;
        rows.push(["outcomes".to_owned(), word(&sealed.outcomes), word(&exclusions.outcomes)]);
        // A dataset that was added later has no exclusions that were sealed; its tests are exploratory.
        for (name, before) in &sealed.datasets {
            let now = exclusions.datasets.get(name).map_or_else(|| "not there".to_owned(), word);
            rows.push([format!("items of {name}"), word(before), now]);
        }
        rows.retain(|[_, before, now]| before != now);
        rows
    }
}

fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Writes a value as its JSON text, without the quotes of a plain word.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis() -> Analysis {
        Analysis { random_seed: 1, ..Analysis::default() }
    }

    #[test]
    fn what_is_as_it_was_is_no_deviation() {
        let exclusions = Exclusions {
            outcomes: Outcomes::default(),
            datasets: BTreeMap::from([("d".to_owned(), DatasetExclusions::default())]),
        };
        let plan = AnalysisPlan {
            version: AnalysisPlan::VERSION,
            sealed_at: "2026-11-23T00:00:00Z".to_owned(),
            primary: vec!["d.em".to_owned()],
            trials: vec!["m-s".to_owned()],
            alpha: Decimal::new(5, -2),
            multiplicity: Multiplicity::Holm,
            cluster: false,
            margins: BTreeMap::new(),
            subgroups: Vec::new(),
            seed: 1,
            exclusions: exclusions.clone(),
        };
        assert_eq!(plan.deviations(&analysis(), &exclusions), [[""; 3]; 0]);
        let mut other = analysis();
        other.alpha = Decimal::new(1, -1);
        other.primary = vec!["d.f1".to_owned(), "d.em".to_owned()];
        other.margins.insert("em".to_owned(), Decimal::new(1, -2));
        let mut fewer = exclusions.clone();
        fewer.datasets.insert("d".to_owned(), DatasetExclusions { max_items: Some(5), ..Default::default() });
        let found = plan.deviations(&other, &fewer);
        let names: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["alpha", "margins", "primary", "items of d"]);
        assert_eq!(found[0][1..], ["0.05", "0.1"]);
        assert_eq!(found[1][1..], ["none", "em: 0.01"]);
        assert_eq!(found[2][1..], ["d.em", "d.em, d.f1"]);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<AnalysisPlan>(&text).unwrap(), plan);
    }
}
