//! Tests the arms against each other.

mod block;
mod draws;
mod estimate;
pub(super) mod family;
mod item_set;
mod item_table;
mod metric;
mod missing;
pub(super) mod mixed_models;
pub(super) mod power_analysis;
mod risk;
pub(super) mod support_sweep;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;

pub use block::OUTPUT_TOKENS;
use block::block;
use item_set::ItemSet;
use item_table::ItemTable;

use super::difference_line::DifferenceLine;
use super::json_lines::{write_document, write_line};
use super::merge::{kind_of, temperature_label};
use super::named_list::NamedList;
use super::paired_item::PairedItem;
use super::pooled_effect::{Study, pool};
use super::sealed_plan::sealed_plan;
use super::significance::{
    Block, Deviation, Family, MetaBlock, NO_TEMPERATURE, PlanBlock, SCHEMA_VERSION, Significance, StatsConfig,
    Subgroups, TemperatureResults, methods,
};
use super::{Inputs, Outputs, StepError};
use crate::digest::Decimal;
use crate::plan::{Analysis, AnalysisPlan, Exclusions, StatsParams, TrialDataset};

/// Writes `significance.json`, `differences`, and the optional analyses.
///
/// Sets of items that are equal are analysed once and shown in each place, with one interval: a type with a single
/// dataset is that dataset. Each random stream is named for its set and metric, so that no set depends on another.
pub fn run(params: &StatsParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let analysis = &params.analysis;
    let plan = sealed_plan(inputs)?;
    let mut differences = Vec::new();
    let mut stated: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for dataset in &params.datasets {
        let metrics = family::confirmatory(analysis, plan.as_ref(), dataset).into_iter().filter_map(|metric| {
            let at = dataset.metrics.iter().position(|other| *other == metric)?;
            Some((metric, at))
        });
        stated.insert(dataset.name.clone(), metrics.collect());
    }
    let table = ItemTable::read(inputs, &params.datasets, |item, dataset| {
        let metrics = stated.get(&dataset.name).map_or(&[][..], Vec::as_slice);
        difference(item, metrics).map_or(Ok(()), |line| write_line("differences", &mut differences, &line))
    })?;
    let label = params.temperature.map_or_else(|| NO_TEMPERATURE.to_owned(), |t| temperature_label(Some(t)));
    let mut sets = Sets { analysis, plan: plan.as_ref(), table: &table, found: Vec::new() };
    let (family, exploratory, results) = sets.results();
    power_analysis::write(params, &label, &results, outputs)?;
    mixed_models::write(params, &table, outputs)?;
    support_sweep::write(params, &label, &table, outputs)?;
    let document = Significance {
        schema_version: SCHEMA_VERSION,
        methods: methods(),
        temps: params.temperature.iter().map(Decimal::to_f64).collect(),
        stats_config: stats_config(analysis),
        plan: plan.as_ref().map(|plan| plan_block(plan, analysis, params.exclusions.as_ref())),
        family,
        exploratory,
        results: NamedList::from_iter([(label, results)]),
    };
    outputs.put("differences", differences)?;
    outputs.put("significance.json", write_document("significance.json", &document)?)
}

/// Returns the differences of an item on the primary metrics of its dataset; none where an arm has no score.
fn difference<'a>(item: &'a PairedItem<'_>, metrics: &'a [(String, usize)]) -> Option<DifferenceLine<'a>> {
    let (control, treatment) = (item.control.as_ref()?, item.treatment.as_ref()?);
    let deltas: BTreeMap<&str, f64> = metrics
        .iter()
        .filter_map(|(metric, at)| Some((metric.as_str(), treatment.mean(*at)? - control.mean(*at)?)))
        .collect();
    (!deltas.is_empty()).then(|| DifferenceLine {
        dataset: item.dataset.as_str().into(),
        item: item.item.as_str().into(),
        group: item.group.as_deref().map(Into::into),
        deltas: deltas.into_iter().map(|(metric, delta)| (metric.to_owned(), delta)).collect(),
    })
}

fn plan_block(plan: &AnalysisPlan, analysis: &Analysis, exclusions: Option<&Exclusions>) -> PlanBlock {
    let found = exclusions.map(|exclusions| plan.deviations(analysis, exclusions)).unwrap_or_default();
    PlanBlock { deviations: found.into_iter().map(|[what, sealed, now]| Deviation { what, sealed, now }).collect() }
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
        wilcoxon_zeros: analysis.wilcoxon_zeros,
        subgroups: analysis.subgroups.clone(),
        power: analysis.power.to_f64(),
        targets: analysis.targets.iter().map(Decimal::to_f64).collect(),
    }
}

/// Holds the sets of items that were analysed, each once.
struct Sets<'a> {
    analysis: &'a Analysis,
    plan: Option<&'a AnalysisPlan>,
    table: &'a ItemTable,
    /// The items of each set, by place, with its block.
    found: Vec<(Vec<u32>, Block)>,
}

impl Sets<'_> {
    /// Analyses every dataset, type, label and subgroup, and corrects the families.
    fn results(&mut self) -> (Family, Family, TemperatureResults) {
        let table = self.table;
        let each: Vec<usize> = (0..table.datasets.len())
            .map(|at| {
                let dataset: &TrialDataset = &table.datasets[at];
                let of_dataset = |item: usize| table.dataset[item] as usize == at;
                self.find(&format!("dataset|{}", dataset.name), dataset.open, of_dataset)
            })
            .collect();
        let (family, exploratory) = family::correct(self.analysis, self.plan, &table.datasets, |at, read| {
            read(&mut self.found[each[at]].1);
        });
        let pooled = [false, true].map(|open| self.pooled(open));
        for (_, block) in &mut self.found {
            verdict::conclude(block, self.analysis);
        }
        let [closed, open] = pooled.map(|pooled| pooled.map(|pooled| self.shown(&pooled)));
        let mut results = TemperatureResults { closed, open, ..Default::default() };
        for (dataset, at) in table.datasets.iter().zip(each) {
            results.datasets.push(dataset.name.as_str(), self.found[at].1.clone());
        }
        (family, exploratory, results)
    }

    /// Analyses all items of a type and each of their labels and subgroups; none where no dataset is of that type.
    fn pooled(&mut self, open: bool) -> Option<PooledSets> {
        let table = self.table;
        if !table.datasets.iter().any(|dataset| dataset.open == open) {
            return None;
        }
        let kind = kind_of(open);
        let of_kind = |item: usize| table.datasets[table.dataset[item] as usize].open == open;
        let all = self.find(&format!("type|{kind}"), open, of_kind);
        let mut is_present = vec![false; table.labels.len()];
        for item in (0..table.len()).filter(|&item| of_kind(item)) {
            is_present[table.label[item] as usize] = true;
        }
        let mut labels: Vec<usize> = (0..table.labels.len()).filter(|&label| is_present[label]).collect();
        labels.sort_by(|&a, &b| table.labels[a].cmp(&table.labels[b]));
        let labels = labels.into_iter().map(|label| {
            let name = &table.labels[label];
            let of_label = |item: usize| of_kind(item) && table.label[item] as usize == label;
            (name.clone(), self.find(&format!("label|{kind}|{name}"), open, of_label))
        });
        let labels = labels.collect();
        let mut fields = Vec::new();
        for (field, column) in &table.fields {
            let mut order: Vec<usize> = (0..column.values.len()).collect();
            order.sort_by(|&a, &b| column.values[a].cmp(&column.values[b]));
            let mut values = Vec::new();
            for value in order {
                let of_value =
                    |item: usize| of_kind(item) && column.of_item.get(item).copied().flatten() == Some(value as u32);
                if (0..table.len()).any(of_value) {
                    let name = &column.values[value];
                    values.push((name.clone(), self.find(&format!("field|{kind}|{field}|{name}"), open, of_value)));
                }
            }
            fields.push((field.clone(), values));
        }
        Some(PooledSets { all, labels, fields })
    }

    /// Puts a type together with its labels and subgroups.
    fn shown(&self, sets: &PooledSets) -> Block {
        let block = |at: usize| self.found[at].1.clone();
        let dataset: NamedList<Block> = sets.labels.iter().map(|(name, at)| (name.clone(), block(*at))).collect();
        let of_field =
            |values: &Vec<(String, usize)>| values.iter().map(|(name, at)| (name.clone(), block(*at))).collect();
        let fields: NamedList<NamedList<Block>> = sets
            .fields
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(field, values)| (field.clone(), of_field(values)))
            .collect();
        let all = block(sets.all);
        let meta: NamedList<MetaBlock> = all
            .metrics
            .iter()
            .filter_map(|(metric, _)| {
                let study = |(name, block): (&str, &Block)| Some(Study::of(name, block.metrics.get(metric)?));
                let studies = dataset.iter().map(study).collect::<Option<Vec<_>>>()?;
                Some((metric.to_owned(), pool(&studies)?))
            })
            .collect();
        Block {
            subgroups: (!dataset.is_empty() || !fields.is_empty())
                .then(|| Subgroups { dataset, fields: (!fields.is_empty()).then_some(fields) }),
            meta: (!meta.is_empty()).then_some(meta),
            ..all
        }
    }

    /// Finds the block of a set of items, or makes it under the name `scope`.
    fn find(&mut self, scope: &str, open: bool, is_in: impl Fn(usize) -> bool) -> usize {
        let chosen: Vec<u32> = (0..self.table.len()).filter(|&item| is_in(item)).map(|item| item as u32).collect();
        // Two sets without any item need not be of one type.
        if !chosen.is_empty()
            && let Some(at) = self.found.iter().position(|(items, _)| *items == chosen)
        {
            return at;
        }
        let set = ItemSet::new(scope, open, self.table, chosen, self.analysis.cluster);
        let block = block(&set, self.analysis);
        self.found.push((set.items, block));
        self.found.len() - 1
    }
}

/// Names the sets of a type, by their places.
struct PooledSets {
    all: usize,
    labels: Vec<(String, usize)>,
    fields: Vec<(String, Vec<(String, usize)>)>,
}
