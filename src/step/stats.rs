//! Tests the arms against each other.

mod block;
mod estimate;
pub(super) mod family;
mod item_set;

use std::collections::BTreeSet;

use block::block;
use item_set::ItemSet;

use super::json_lines::{read_lines, unexpected, write_document};
use super::merge::{kind_of, temperature_label};
use super::named_list::NamedList;
use super::paired_item::PairedItem;
use super::significance::{
    Block, Family, NO_TEMPERATURE, SCHEMA_VERSION, Significance, StatsConfig, Subgroups, TemperatureResults,
};
use super::{Inputs, Outputs, StepError};
use crate::digest::Decimal;
use crate::plan::{Analysis, StatsParams, TrialDataset};

/// Writes `significance.json`.
///
/// Sets of items that are equal are analysed once and shown in each place, with one interval: a type with a single
/// dataset is that dataset. Each random stream is named for its set and metric, so that no set depends on another.
pub fn run(params: &StatsParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let text = inputs.text("paired")?;
    let items: Vec<PairedItem<'_>> = read_lines("paired", &text).collect::<Result<_, _>>()?;
    let mut datasets: Vec<&TrialDataset> = params.datasets.iter().collect();
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sets = Sets { analysis: &params.analysis, items: &items, of_item: Vec::new(), datasets, found: Vec::new() };
    for item in &items {
        let at = sets.datasets.binary_search_by(|dataset| dataset.name.as_str().cmp(&item.dataset));
        sets.of_item.push(at.map_err(|_| unexpected("paired", format_args!("no dataset `{}`", item.dataset)))?);
    }
    let (family, results) = sets.results();
    let label = params.temperature.map_or_else(|| NO_TEMPERATURE.to_owned(), |t| temperature_label(Some(t)));
    let document = Significance {
        schema_version: SCHEMA_VERSION,
        temps: params.temperature.iter().map(Decimal::to_f64).collect(),
        stats_config: stats_config(&params.analysis),
        family,
        results: NamedList::from_iter([(label, results)]),
    };
    outputs.put("significance.json", write_document("significance.json", &document)?)
}

fn stats_config(analysis: &Analysis) -> StatsConfig {
    StatsConfig {
        bootstrap_samples: analysis.bootstrap_samples,
        permutation_samples: analysis.permutation_samples,
        random_seed: analysis.random_seed,
        alpha: analysis.alpha.to_f64(),
        confidence_level: 1.0 - analysis.alpha.to_f64(),
        multiplicity: analysis.multiplicity,
        cluster: analysis.cluster,
        primary: analysis.primary.clone(),
        margins: analysis.margins.iter().map(|(metric, margin)| (metric.clone(), margin.to_f64())).collect(),
        risk_thresholds: analysis.risk_thresholds.iter().map(Decimal::to_f64).collect(),
    }
}

/// Holds the sets of items that were analysed, each once.
struct Sets<'a> {
    analysis: &'a Analysis,
    items: &'a [PairedItem<'a>],
    /// The dataset of each item, as a place in `datasets`.
    of_item: Vec<usize>,
    datasets: Vec<&'a TrialDataset>,
    /// The items of each set, by place, with its block.
    found: Vec<(Vec<usize>, Block)>,
}

impl Sets<'_> {
    /// Analyses every dataset, type and label, and corrects the family.
    fn results(&mut self) -> (Family, TemperatureResults) {
        let each: Vec<_> = (0..self.datasets.len())
            .map(|at| {
                let scope = format!("dataset|{}", self.datasets[at].name);
                self.find(&scope, self.datasets[at].open, |sets, item| sets.of_item[item] == at)
            })
            .collect();
        let family = family::correct(self.analysis, &self.datasets, |at, read| read(&mut self.found[each[at]].1));
        let mut results =
            TemperatureResults { closed: self.pooled(false), open: self.pooled(true), ..Default::default() };
        for (dataset, at) in self.datasets.iter().zip(each) {
            results.datasets.push(dataset.name.as_str(), self.found[at].1.clone());
        }
        (family, results)
    }

    /// Analyses all items of a type and each of their labels; none where no dataset is of that type.
    fn pooled(&mut self, open: bool) -> Option<Block> {
        if !self.datasets.iter().any(|dataset| dataset.open == open) {
            return None;
        }
        let kind = kind_of(open);
        let of_kind = |sets: &Self, item: usize| sets.datasets[sets.of_item[item]].open == open;
        let all = self.find(&format!("type|{kind}"), open, of_kind);
        let labels: BTreeSet<&str> =
            (0..self.items.len()).filter(|&item| of_kind(self, item)).map(|item| self.items[item].label()).collect();
        let mut subgroups = NamedList::default();
        for label in labels {
            let of_label = |sets: &Self, item: usize| of_kind(sets, item) && sets.items[item].label() == label;
            let at = self.find(&format!("label|{kind}|{label}"), open, of_label);
            subgroups.push(label, self.found[at].1.clone());
        }
        Some(Block { subgroups: Some(Subgroups { dataset: subgroups }), ..self.found[all].1.clone() })
    }

    /// Finds the block of a set of items, or makes it under the name `scope`.
    fn find(&mut self, scope: &str, open: bool, is_in: impl Fn(&Self, usize) -> bool) -> usize {
        let chosen: Vec<usize> = (0..self.items.len()).filter(|&item| is_in(self, item)).collect();
        // Two sets without any item need not be of one type.
        if !chosen.is_empty()
            && let Some(at) = self.found.iter().position(|(items, _)| *items == chosen)
        {
            return at;
        }
        let rows = chosen.iter().map(|&item| (self.of_item[item], &self.items[item])).collect();
        let set = ItemSet::new(scope, open, &self.datasets, rows, self.analysis.cluster);
        let block = block(&set, self.analysis);
        self.found.push((chosen, block));
        self.found.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::plan::Multiplicity;
    use crate::step::memory::run_in_memory;

    fn dataset(name: &str, open: bool, metrics: &[&str]) -> TrialDataset {
        TrialDataset { name: name.to_owned(), open, metrics: metrics.iter().map(ToString::to_string).collect() }
    }

    fn params(datasets: Vec<TrialDataset>) -> StatsParams {
        StatsParams {
            temperature: Some(Decimal::ZERO),
            datasets,
            analysis: Analysis {
                primary: Vec::new(),
                alpha: Decimal::new(5, -2),
                multiplicity: Multiplicity::Holm,
                bootstrap_samples: 500,
                permutation_samples: 500,
                random_seed: 7,
                cluster: true,
                margins: std::collections::BTreeMap::new(),
                risk_thresholds: Vec::new(),
            },
        }
    }

    /// Writes an item with one draw an arm: `(em, f1)` under control and treatment, and the tokens written.
    fn item(dataset: &str, id: usize, extra: &str, control: (f64, f64), treatment: (f64, f64)) -> String {
        let arm = |(em, f1): (f64, f64)| {
            format!(
                r#"{{"statuses":["stop"],"scored":1,"sums":[{em:?},{f1:?}],"input_tokens":[5],"output_tokens":[{}]}}"#,
                id % 3
            )
        };
        format!(
            "{{\"dataset\":\"{dataset}\",\"item\":\"i{id}\"{extra},\"control\":{},\"treatment\":{}}}\n",
            arm(control),
            arm(treatment)
        )
    }

    fn analysed(params: &StatsParams, paired: &str) -> (Value, String) {
        let inputs = [("paired", paired)];
        let mut out = run_in_memory(&inputs, |inputs, outputs| run(params, inputs, outputs)).unwrap();
        let text = out.remove("significance.json").unwrap();
        (serde_json::from_str(&text).unwrap(), text)
    }

    /// Makes 40 items of which 9 turn right and 1 wrong.
    fn forty(dataset: &str, extra: impl Fn(usize) -> String) -> String {
        (0..40)
            .map(|id| match id {
                0..9 => item(dataset, id, &extra(id), (0.0, 0.25), (1.0, 1.0)),
                9 => item(dataset, id, &extra(id), (1.0, 1.0), (0.0, 0.0)),
                _ => item(dataset, id, &extra(id), (1.0, 1.0), (1.0, 1.0)),
            })
            .collect()
    }

    #[test]
    fn one_dataset_is_its_type_and_its_label() {
        let params = params(vec![dataset("q", false, &["em", "f1"])]);
        let (json, text) = analysed(&params, &forty("q", |_| String::new()));
        let results = &json["results"]["0.0"];
        let closed = &results["closed"];
        assert_eq!((json["schema_version"].as_u64(), &json["temps"][0]), (Some(3), &Value::from(0.0)));
        assert_eq!(closed["subgroups"]["dataset"]["q"], results["datasets"]["q"]);
        assert_eq!(closed["metrics"], results["datasets"]["q"]["metrics"]);
        assert!(results.get("open").is_none());
        assert_eq!((closed["n_items"].as_u64(), closed["n_missing"].as_u64()), (Some(40), Some(0)));
        // 2 × (1 + 10) / 2^10.
        assert_eq!(closed["mcnemar"]["p_exact"].as_f64(), Some(22.0 / 1024.0));
        assert_eq!(closed["mcnemar"]["q_value"].as_f64(), Some(22.0 / 1024.0));
        assert_eq!((closed["mcnemar"]["b"].as_u64(), closed["mcnemar"]["c"].as_u64()), (Some(9), Some(1)));
        assert_eq!(closed["metrics"]["em"]["delta_mean"].as_f64(), Some(0.2));
        assert_eq!(closed["metrics"]["em"]["test"]["name"], "mcnemar-exact");
        assert_eq!(closed["metrics"]["f1"]["test"]["name"], "paired-t");
        assert_eq!(closed["metrics"]["f1"]["test"]["q_value"], Value::Null);
        assert_eq!(closed["metrics"]["output_tokens"]["delta_mean"].as_f64(), Some(0.0));
        assert_eq!(closed["arms"]["control"]["em"]["method"], "wilson");
        assert_eq!(closed["arms"]["control"]["f1"]["method"], "t");
        assert_eq!(closed["arms"]["control"]["em"]["mean"].as_f64(), Some(31.0 / 40.0));
        assert_eq!(closed["statuses"]["treatment"]["stop"].as_u64(), Some(40));
        assert!(!text.contains("NaN") && !text.contains("inf"));
        let again: Significance = serde_json::from_str(&text).unwrap();
        assert_eq!(again.results.get("0.0").unwrap().datasets.get("q").unwrap().n_items, 40);
    }

    #[test]
    fn a_set_never_depends_on_another() {
        let one = params(vec![dataset("q", false, &["em", "f1"])]);
        let two = params(vec![dataset("a", false, &["em"]), dataset("q", false, &["em", "f1"])]);
        let paired = forty("q", |_| String::new());
        let other = (0..5).map(|id| item("a", id, "", (0.0, 0.0), (1.0, 1.0))).collect::<String>();
        let (alone, _) = analysed(&one, &paired);
        let (both, _) = analysed(&two, &(other.replace(",0.0]", "]").replace(",1.0]", "]") + &paired));
        let metrics = |json: &Value| {
            let mut metrics = json["results"]["0.0"]["datasets"]["q"]["metrics"].clone();
            metrics["em"]["test"]["q_value"].take();
            metrics
        };
        assert_eq!(metrics(&alone), metrics(&both));
        assert!(metrics(&alone)["f1"]["ci_95"][0].as_f64() > Some(0.0));
        // The pool has what both have, and its test is in no family.
        let closed = &both["results"]["0.0"]["closed"];
        assert_eq!(closed["n_items"].as_u64(), Some(45));
        assert!(closed["metrics"].get("f1").is_none());
        assert_eq!(closed["mcnemar"]["q_value"], Value::Null);
        // Holm over two: the smaller p is doubled.
        let tests = both["family"]["tests"].as_array().unwrap();
        assert_eq!(tests.len(), 2);
        assert_eq!(tests[0]["p_value"].as_f64(), Some(2.0 / 32.0));
        assert_eq!(tests[1]["q_value"].as_f64(), Some(44.0 / 1024.0));
    }

    #[test]
    fn groups_make_clusters() {
        let mut params = params(vec![dataset("q", true, &["em", "f1"])]);
        let paired = forty("q", |id| format!(",\"group\":\"g{}\"", id / 4));
        let (json, _) = analysed(&params, &paired);
        let open = &json["results"]["0.0"]["open"];
        assert_eq!(open["n_clusters"].as_u64(), Some(10));
        assert_eq!(open["metrics"]["em"]["method"], "cluster-bootstrap-percentile");
        assert_eq!(open["metrics"]["em"]["test"]["name"], "cluster-robust-t");
        assert_eq!(open["arms"]["control"]["em"]["method"], "t-cluster-robust");
        assert_eq!(open["mcnemar"]["q_value"], Value::Null);
        params.analysis.cluster = false;
        let (json, _) = analysed(&params, &paired);
        assert_eq!(json["results"]["0.0"]["open"]["n_clusters"], Value::Null);
    }

    #[test]
    fn missing_items_and_arms_are_counted() {
        let params = params(vec![dataset("q", false, &["em"])]);
        let arm = |statuses: &str, scored: u32, sums: &str| {
            format!(r#"{{"statuses":{statuses},"scored":{scored},"sums":{sums},"input_tokens":[],"output_tokens":[]}}"#)
        };
        let right = arm(r#"["stop","stop"]"#, 2, "[2.0]");
        let half = arm(r#"["stop","stop"]"#, 2, "[1.0]");
        let failed = arm(r#"["failed:timeout","content_filter"]"#, 0, "[]");
        let line = |id: u32, control: &str, treatment: &str| {
            format!("{{\"dataset\":\"q\",\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}\n")
        };
        let paired = line(0, &half, &right) + &line(1, &right, &failed) + &line(2, &right, &right);
        let (json, _) = analysed(&params, &paired);
        let closed = &json["results"]["0.0"]["closed"];
        assert_eq!((closed["n_items"].as_u64(), closed["n_missing"].as_u64()), (Some(2), Some(1)));
        assert_eq!(closed["missing"]["treatment"], serde_json::json!({"items": 1, "draws": 2}));
        assert_eq!(closed["statuses"]["treatment"]["failed:timeout"].as_u64(), Some(1));
        assert_eq!(closed["arms"]["control"]["em"]["n"].as_u64(), Some(3));
        // Half of the draws right is not right.
        assert_eq!((closed["mcnemar"]["b"].as_u64(), &closed["mcnemar"]["or_ci_95"][1]), (Some(1), &Value::Null));
        assert!(closed["mcnemar"]["binarised"].is_string());
        let one_armed = format!("{{\"dataset\":\"q\",\"item\":\"0\",\"control\":{right}}}\n");
        let (json, _) = analysed(&params, &one_armed);
        let closed = &json["results"]["0.0"]["closed"];
        assert_eq!((closed["n_items"].as_u64(), &closed["mcnemar"]), (Some(0), &Value::Null));
        assert!(closed["arms"].get("treatment").is_none());
        assert_eq!(json["family"]["tests"][0]["p_value"], Value::Null);
    }

    #[test]
    fn another_level_stands_beside_the_usual_interval() {
        let mut params = params(vec![dataset("q", false, &["em", "f1"])]);
        params.temperature = None;
        params.analysis.alpha = Decimal::new(1, -1);
        params.analysis.primary = vec!["q.f1".to_owned(), "r.em".to_owned()];
        params.analysis.multiplicity = Multiplicity::None;
        let (json, _) = analysed(&params, &forty("q", |_| String::new()));
        let em = &json["results"]["default"]["closed"]["metrics"]["em"];
        assert!(em["ci"][0].as_f64() > em["ci_95"][0].as_f64());
        assert_eq!(json["family"]["tests"].as_array().map(Vec::len), Some(1));
        assert_eq!(json["family"]["tests"][0]["metric"], "f1");
        assert_eq!(json["family"]["tests"][0]["q_value"], Value::Null);
    }

    #[test]
    fn nothing_at_all_is_still_a_document() {
        let (json, _) = analysed(&params(vec![dataset("q", true, &["em"])]), "");
        let open = &json["results"]["0.0"]["open"];
        assert_eq!((open["n_items"].as_u64(), open["type"].as_str()), (Some(0), Some("open")));
    }
}
