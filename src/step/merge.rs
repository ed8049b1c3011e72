//! Joins a trial's parts into its tables.

mod agreement;
mod arm_draws;
mod item_scores;
mod predictions;
mod temperature;

use std::collections::{BTreeMap, HashMap};

use agreement::Ratings;
use arm_draws::ArmDraws;
use item_scores::ItemScoresTable;
use predictions::PredictionsTable;
pub use temperature::temperature_label;

use super::agreement::Agreement;
use super::dataset::Item;
use super::gold_line::GoldLabels;
use super::json_lines::{read_lines, unexpected, write_document, write_line};
use super::paired_item::PairedItem;
use super::parts::Parts;
use super::{InputProblem, Inputs, Outputs, StepError};
use crate::plan::{MergeParams, TrialDataset};

/// Is one item of a trial under one arm: the grain of the tables' rows.
#[derive(Clone, Copy)]
struct Row<'a> {
    dataset: &'a TrialDataset,
    /// What is shown as its dataset.
    label: &'a str,
    item: &'a str,
    /// `control` or `treatment`.
    condition: &'a str,
}

impl Row<'_> {
    /// Returns the word for the item's kind in tables.
    fn kind(&self) -> &'static str {
        kind_of(self.dataset.open)
    }
}

/// Returns the word for open-book or closed-book in tables and keys.
pub(super) fn kind_of(open: bool) -> &'static str {
    if open { "open" } else { "closed" }
}

/// Writes `predictions.csv`, `per_item_scores.csv` and `paired`.
///
/// Rows stand by dataset (by name), item (in the dataset's order), condition (control first) and draw.
pub fn run(params: &MergeParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let mut predictions = PredictionsTable::new(params)?;
    let mut scores = ItemScoresTable::new(params)?;
    let mut paired = Vec::new();
    let mut found = vec![false; params.subgroups.len()];
    let mut agreement = BTreeMap::new();
    let mut datasets: Vec<&TrialDataset> = params.datasets.iter().collect();
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    for dataset in datasets {
        let order = inputs.text(&format!("order/{}", dataset.name))?;
        let gold = Parts::read(inputs, "gold", &dataset.name)?;
        let labels = labels(&gold)?;
        let fields = fields(inputs, &dataset.name, &params.subgroups, &mut found)?;
        let arm = |condition: &str| -> Result<Option<[Parts; 2]>, StepError> {
            if !params.conditions.iter().any(|built| built == condition) {
                return Ok(None);
            }
            let parsed = Parts::read(inputs, &format!("parsed/{condition}"), &dataset.name)?;
            let scores = Parts::read(inputs, &format!("scores/{condition}"), &dataset.name)?;
            Ok(Some([parsed, scores]))
        };
        let texts = [arm("control")?, arm("treatment")?];
        let arms = [ArmDraws::of(texts[0].as_ref())?, ArmDraws::of(texts[1].as_ref())?];
        let rated = params.rated.iter().find(|rated| rated.dataset == dataset.name);
        for labels in rated.map(|rated| rated.labels.as_slice()).unwrap_or_default() {
            let mut ratings = Ratings::new(labels, &dataset.metrics);
            for (condition, arm) in ["control", "treatment"].into_iter().zip(&arms) {
                let Some(arm) = arm else { continue };
                let verdicts = Parts::read(inputs, &format!("verdicts/{condition}/{labels}"), &dataset.name)?;
                ratings.add(condition, &verdicts, arm.scored())?;
            }
            agreement
                .entry(dataset.name.clone())
                .or_insert_with(BTreeMap::new)
                .insert(labels.clone(), ratings.finish());
        }
        for id in item_ids(&dataset.name, &order) {
            let id = id?;
            let known = labels.get(id.as_str());
            let known = known.ok_or_else(|| unexpected("gold", format_args!("it has no line for the item `{id}`")))?;
            let label = known.dataset.as_deref().unwrap_or(&dataset.name);
            let mut of_arm = |at: usize, condition| {
                let Some(arm) = &arms[at] else { return Ok(None) };
                let row = Row { dataset, label, item: &id, condition };
                let draws = arm.of_item(&id);
                predictions.add(&row, draws.parsed)?;
                scores.add(&row, draws.scored)?;
                Ok(Some(draws.paired(&dataset.metrics)))
            };
            let line = PairedItem {
                dataset: dataset.name.as_str().into(),
                label: (label != dataset.name).then(|| label.into()),
                item: id.as_str().into(),
                group: known.group.as_deref().map(Into::into),
                fields: fields.get(id.as_str()).cloned().unwrap_or_default(),
                control: of_arm(0, "control")?,
                treatment: of_arm(1, "treatment")?,
            };
            write_line("paired", &mut paired, &line)?;
        }
    }
    let absent: Vec<_> = params.subgroups.iter().zip(&found).filter(|(_, found)| !**found).map(absent_field).collect();
    if !absent.is_empty() {
        return Err(StepError::Inputs(absent));
    }
    if !params.rated.is_empty() {
        outputs.put(AGREEMENT, write_document(AGREEMENT, &Agreement { schema_version: 1, datasets: agreement })?)?;
    }
    outputs.put("predictions.csv", predictions.finish()?)?;
    outputs.put("per_item_scores.csv", scores.finish()?)?;
    outputs.put("paired", paired)
}

const AGREEMENT: &str = "agreement.json";

fn labels(gold: &Parts) -> Result<HashMap<String, GoldLabels<'_>>, StepError> {
    let mut labels = HashMap::new();
    for (name, text) in gold.iter() {
        for line in read_lines::<GoldLabels<'_>>(name, text) {
            let line = line?;
            labels.insert(line.id.to_string(), line);
        }
    }
    Ok(labels)
}

/// Reads the subgroup fields of a dataset's items, by id, and notes which of them are found at all.
fn fields(
    inputs: &Inputs<'_>,
    dataset: &str,
    names: &[String],
    found: &mut [bool],
) -> Result<HashMap<String, BTreeMap<String, String>>, StepError> {
    let mut of_item = HashMap::new();
    if names.is_empty() {
        return Ok(of_item);
    }
    for (part, text) in Parts::read(inputs, "items", dataset)?.iter() {
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let item = Item::read_question(line).map_err(|problem| unexpected(part, problem.message))?;
            let values: BTreeMap<String, String> =
                names.iter().filter_map(|name| Some((name.clone(), item.find(name)?.into_owned()))).collect();
            for (name, found) in names.iter().zip(&mut *found) {
                *found |= values.contains_key(name);
            }
            of_item.insert(item.id.into_owned(), values);
        }
    }
    Ok(of_item)
}

fn absent_field((name, _): (&String, &bool)) -> InputProblem {
    InputProblem {
        file: "analysis.subgroups".to_owned(),
        line: None,
        column: None,
        source_line: None,
        message: format!("no item of this trial has the field `{name}`"),
        remedy: "name a field of the data files, as templates do: `id`, `question`, or a dotted path into the row"
            .to_owned(),
    }
}

/// Reads the ids of a dataset's items, in its order: one JSON text a line.
fn item_ids<'a>(dataset: &'a str, order: &'a str) -> impl Iterator<Item = Result<super::text::Text<'a>, StepError>> {
    read_lines(dataset, order)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::step::memory::run_in_memory;

    fn dataset(name: &str, open: bool, metrics: &[&str]) -> TrialDataset {
        TrialDataset { name: name.to_owned(), open, metrics: metrics.iter().map(ToString::to_string).collect() }
    }

    fn params(conditions: &[&str]) -> MergeParams {
        MergeParams {
            temperature: Some("0.7".parse().unwrap()),
            draws: 2,
            datasets: vec![dataset("alpha", true, &["em", "exact"]), dataset("beta", false, &["em"])],
            conditions: conditions.iter().map(ToString::to_string).collect(),
            subgroups: Vec::new(),
            rated: Vec::new(),
        }
    }

    fn texts() -> Vec<(&'static str, &'static str)> {
        vec![
            ("order/alpha", "\"b\"\n\"a,1\"\n"),
            ("order/beta", "\"c\"\n"),
            ("gold/alpha/00000", "{\"id\":\"a,1\",\"answers\":[],\"group\":\"g\",\"dataset\":\"x\"}\n"),
            ("gold/alpha/00001", "{\"id\":\"b\",\"answers\":[]}\n"),
            ("gold/beta/00000", "{\"id\":\"c\",\"answers\":[]}\n"),
            (
                "parsed/control/alpha/00000",
                concat!(
                    r#"{"item":"a,1","n":0,"status":"stop","text":"say \"x\"\nand \\","answer":"x","finish_reason":"stop","served_model":"m","usage":{"input_tokens":3,"output_tokens":4,"reasoning_tokens":1}}"#,
                    "\n",
                    r#"{"item":"a,1","n":1,"status":"failed:timeout"}"#,
                    "\n"
                ),
            ),
            (
                "scores/control/alpha/00000",
                concat!(
                    r#"{"item":"a,1","n":0,"status":"stop","scores":{"em":1.0,"exact":0.0}}"#,
                    "\n",
                    r#"{"item":"a,1","n":1,"status":"failed:timeout","missing":true}"#,
                    "\n"
                ),
            ),
            (
                "parsed/control/alpha/00001",
                "{\"item\":\"b\",\"n\":0,\"status\":\"content_filter\",\"text\":\"\",\"answer\":\"\",\"usage\":{\"input_tokens\":3}}\n",
            ),
            ("scores/control/alpha/00001", "{\"item\":\"b\",\"n\":0,\"status\":\"content_filter\",\"missing\":true}\n"),
            (
                "parsed/control/beta/00000",
                "{\"item\":\"c\",\"n\":0,\"status\":\"stop\",\"text\":\"=1\",\"answer\":\"=1\"}\n",
            ),
            ("scores/control/beta/00000", "{\"item\":\"c\",\"n\":0,\"status\":\"stop\",\"scores\":{\"em\":0.5}}\n"),
        ]
    }

    fn merge(params: &MergeParams) -> Result<BTreeMap<String, String>, StepError> {
        run_in_memory(&texts(), |inputs, outputs| run(params, inputs, outputs))
    }

    #[test]
    fn rows_follow_the_order_and_keep_every_byte() {
        let out = merge(&params(&["control"])).unwrap();
        let expected = concat!(
            "custom_id,dataset,item_id,condition,temp,sample_index,type,request_id,finish_reason,response_text,",
            "prompt_tokens,completion_tokens,total_tokens,status,answer,reasoning_tokens,served_model\r\n",
            "alpha|b|control|0.7|0|open,alpha,b,control,0.7,0,open,,,,3,,,content_filter,,,\r\n",
            "\"x|a,1|control|0.7|0|open\",x,\"a,1\",control,0.7,0,open,,stop,\"say \"\"x\"\"\nand \\\",3,4,7,stop,x,1,m\r\n",
            "\"x|a,1|control|0.7|1|open\",x,\"a,1\",control,0.7,1,open,,,,,,,failed:timeout,,,\r\n",
            "beta|c|control|0.7|0|closed,beta,c,control,0.7,0,closed,,,=1,,,,stop,=1,,\r\n",
        );
        assert_eq!(out["predictions.csv"], expected);
        let expected = concat!(
            "condition,em,em_std,item_key,temp,type,n_draws,n_missing,exact,exact_std\r\n",
            "control,,,alpha|b,0.7,open,1,1,,\r\n",
            "control,1.0,0.0,\"x|a,1\",0.7,open,2,1,0.0,0.0\r\n",
            "control,0.5,0.0,beta|c,0.7,closed,1,0,,\r\n",
        );
        assert_eq!(out["per_item_scores.csv"], expected);
        let expected = [
            r#"{"dataset":"alpha","item":"b","control":{"statuses":["content_filter"],"scored":0,"sums":[],"input_tokens":[3],"output_tokens":[null]}}"#,
            r#"{"dataset":"alpha","label":"x","item":"a,1","group":"g","control":{"statuses":["stop","failed:timeout"],"scored":1,"sums":[1.0,0.0],"input_tokens":[3,null],"output_tokens":[4,null]}}"#,
            r#"{"dataset":"beta","item":"c","control":{"statuses":["stop"],"scored":1,"sums":[0.5],"input_tokens":[null],"output_tokens":[null]}}"#,
        ];
        assert_eq!(out["paired"].lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_arm_without_parts_still_has_its_rows() {
        let out = merge(&params(&["control", "treatment"])).unwrap();
        assert!(out["per_item_scores.csv"].contains("treatment,,,beta|c,0.7,closed,0,0,,\r\n"));
        assert_eq!(out["predictions.csv"].matches("treatment").count(), 0);
    }

    #[test]
    fn draws_that_do_not_match_are_refused() {
        let mut texts = texts();
        texts.pop();
        let params = params(&["control"]);
        let error = run_in_memory(&texts, |inputs, outputs| run(&params, inputs, outputs)).unwrap_err();
        assert!(error.to_string().contains("not those of `parsed`"), "{error}");
        texts.retain(|(name, _)| *name != "gold/alpha/00001");
        let error = run_in_memory(&texts, |inputs, outputs| run(&params, inputs, outputs)).unwrap_err();
        assert!(error.to_string().contains("the item `b`"), "{error}");
    }
}
