//! Reads and counts the verdicts on the arms' answers.

mod pair;
mod preference;
mod tally;

use std::collections::{BTreeMap, HashMap};

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use pair::{Outcome, Pair, Standing, Votes};
pub use preference::PreferenceReader;
use tally::{Rated, Tally};

use super::answers::AnswersReader;
use super::gold_line::GoldLabels;
use super::json_lines::{read_lines, write_document};
use super::named_list::NamedList;
use super::pairwise_build::PairLine;
use super::pairwise_results::{PairwiseResults, VerdictCounts};
use super::parts::{Parts, part_names};
use super::scored_draw::ScoredDraw;
use super::{Inputs, Outputs, StepError};
use crate::plan::{ComparedBy, ComparedDataset, PairOrder, PairwiseParams, PairwiseReading};

const RESULTS: &str = "pairwise.json";
const TABLE: &str = "pairwise.csv";

/// Reads pairs, verdicts on them and what people said of the answers, and gives `pairwise.json` and `pairwise.csv`, a row for each pair.
///
/// In each order the verdicts come to their majority. A pair is won where treatment is preferred in both orders, lost where control
/// is, and everything else is a tie (Zheng et al. 2023, section 3.4).
pub fn run(params: &PairwiseParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let mut results = PairwiseResults { schema_version: 1, datasets: BTreeMap::new() };
    let mut table = PairsTable::new()?;
    let tally = Tally { alpha: params.alpha, cluster: params.cluster };
    for dataset in &params.datasets {
        let groups = if params.cluster { groups(inputs, &dataset.name)? } else { HashMap::new() };
        let labels = labels(inputs, dataset)?;
        let mut blocks = NamedList::default();
        for by in &dataset.judges {
            let (pairs, verdicts) = pairs(inputs, &dataset.name, by, &groups)?;
            for pair in &pairs {
                table.add(&dataset.name, &by.name, pair)?;
            }
            blocks.push(by.name.as_str(), tally.of(&by.model, &pairs, verdicts, &labels));
        }
        results.datasets.insert(dataset.name.clone(), blocks);
    }
    outputs.put(RESULTS, write_document(RESULTS, &results)?)?;
    outputs.put(TABLE, table.finish()?)
}

/// Reads the group of each item that has one.
fn groups(inputs: &Inputs<'_>, dataset: &str) -> Result<HashMap<String, String>, StepError> {
    let gold = Parts::read(inputs, "gold", dataset)?;
    let mut groups = HashMap::new();
    for (name, text) in gold.iter() {
        for line in read_lines::<GoldLabels<'_>>(name, text) {
            let line = line?;
            groups.extend(line.group.map(|group| (line.id.to_string(), group.to_string())));
        }
    }
    Ok(groups)
}

/// Reads what people said of the draws of control and treatment, by the metric of the raters.
fn labels(inputs: &Inputs<'_>, dataset: &ComparedDataset) -> Result<BTreeMap<String, [Rated; 2]>, StepError> {
    let mut all = BTreeMap::new();
    for labels in &dataset.labels {
        let mut arms = [Rated::new(), Rated::new()];
        for (arm, rated) in ["control", "treatment"].into_iter().zip(&mut arms) {
            for (name, text) in Parts::read(inputs, &format!("labels/{arm}/{labels}"), &dataset.name)?.iter() {
                for line in read_lines::<ScoredDraw<'_>>(name, text) {
                    let line = line?;
                    let value = line.scores.as_ref().and_then(|scores| scores.get(labels));
                    rated.extend(value.map(|value| ((line.item.to_string(), line.n), value)));
                }
            }
        }
        all.insert(labels.clone(), arms);
    }
    Ok(all)
}

/// Reads a dataset's pairs with what one judge says of them.
fn pairs(
    inputs: &Inputs<'_>,
    dataset: &str,
    by: &ComparedBy,
    groups: &HashMap<String, String>,
) -> Result<(Vec<Pair>, VerdictCounts), StepError> {
    let (mut pairs, mut counts) = (Vec::new(), VerdictCounts::default());
    let kind = format!("pairs/{}", by.name);
    for name in part_names(inputs, &kind, dataset) {
        let text = inputs.text(&name)?;
        let answers = format!("answers/{}", name.strip_prefix("pairs/").unwrap_or(&name));
        let mut votes = votes(inputs, &answers, &by.reading, &mut counts)?;
        for line in read_lines::<PairLine<'_>>(&name, &text) {
            let line = line?;
            let mut outcome = |order: PairOrder| {
                let said = votes.remove(&order.compared_name(line.n, &line.item))?.majority()?;
                Some(Outcome::of(said, order))
            };
            let standing = if line.decided != [false; 2] {
                Standing::Decided(line.decided)
            } else if line.is_same {
                Standing::Identical
            } else {
                Standing::Asked(PairOrder::BOTH.map(&mut outcome))
            };
            // An item's own cluster is told from a group of that name.
            let cluster = match groups.get(line.item.as_str()) {
                Some(group) => format!("group {group}"),
                None => format!("item {}", line.item),
            };
            let item = line.item.to_string();
            pairs.push(Pair { item, n: line.n, cluster, statuses: line.statuses, lengths: line.lengths, standing });
        }
    }
    Ok((pairs, counts))
}

/// Reads the verdicts of a part, by the name of what was asked.
fn votes(
    inputs: &Inputs<'_>,
    answers: &str,
    reading: &PairwiseReading,
    counts: &mut VerdictCounts,
) -> Result<HashMap<String, Votes>, StepError> {
    let reader = PreferenceReader::new(reading)?;
    let mut votes: HashMap<String, Votes> = HashMap::new();
    for line in AnswersReader::new(inputs.open(answers)?) {
        let line = line?;
        counts.drawn += 1;
        if let Some(failure) = line.failure {
            *counts.failed.entry(failure.as_str().to_owned()).or_default() += 1;
        }
        let Some(answer) = &line.answer else { continue };
        match reader.read(&answer.text) {
            Some(preferred) => {
                counts.read += 1;
                votes.entry(line.item).or_default().add(preferred);
            }
            None => counts.unknown += 1,
        }
    }
    Ok(votes)
}

/// Builds `pairwise.csv`.
struct PairsTable {
    table: Writer<Vec<u8>>,
}

impl PairsTable {
    fn new() -> Result<Self, StepError> {
        let table = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .quote_style(QuoteStyle::Necessary)
            .from_writer(Vec::new());
        let mut started = Self { table };
        started.row([
            "dataset",
            "judge",
            "item_id",
            "sample_index",
            "control_status",
            "treatment_status",
            "control_length",
            "treatment_length",
            "control_first",
            "treatment_first",
            "outcome",
            "score",
            "why",
        ])?;
        Ok(started)
    }

    fn row<T: AsRef<[u8]>>(&mut self, cells: [T; 13]) -> Result<(), StepError> {
        self.table
            .write_record(cells)
            .map_err(|source| StepError::Write { output: TABLE.to_owned(), source: source.into() })
    }

    fn add(&mut self, dataset: &str, judge: &str, pair: &Pair) -> Result<(), StepError> {
        let word = |outcome: Option<Outcome>| outcome.map_or("", Outcome::as_str).to_owned();
        let orders = match pair.standing {
            Standing::Asked(orders) => orders,
            _ => [None; 2],
        };
        let outcome = pair.outcome();
        self.row([
            dataset.to_owned(),
            judge.to_owned(),
            pair.item.clone(),
            pair.n.to_string(),
            pair.statuses[0].to_string(),
            pair.statuses[1].to_string(),
            pair.lengths[0].to_string(),
            pair.lengths[1].to_string(),
            word(orders[0]),
            word(orders[1]),
            word(outcome),
            outcome.map_or_else(String::new, |outcome| format!("{:?}", outcome.score())),
            pair.why(),
        ])
    }

    fn finish(self) -> Result<Vec<u8>, StepError> {
        self.table
            .into_inner()
            .map_err(|source| StepError::Write { output: TABLE.to_owned(), source: source.into_error().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::memory::run_in_memory;

    #[test]
    fn verdicts_become_outcomes() {
        let pairs = concat!(
            r#"{"item":"a","n":0,"statuses":["stop","stop"],"lengths":[3,5]}"#,
            "\n",
            r#"{"item":"b","n":0,"statuses":["stop","stop"],"lengths":[3,4]}"#,
            "\n",
            r#"{"item":"c","n":0,"statuses":["stop","stop"],"lengths":[3,3],"is_same":true}"#,
            "\n",
            r#"{"item":"d,1","n":0,"statuses":["refusal","stop"],"decided":[true,false],"lengths":[0,3]}"#,
            "\n"
        );
        let said = [
            ("0.control_first/a", "Verdict: B"),
            ("0.treatment_first/a", "<think>B?</think>Verdict: **A**."),
            ("0.control_first/b", "Verdict: perhaps"),
            ("0.treatment_first/b", "Verdict: tie"),
        ];
        let answers: String = said
            .iter()
            .map(|(item, text)| {
                format!("{{\"item\":\"{item}\",\"n\":0,\"answer\":{{\"status\":\"stop\",\"text\":\"{text}\",\"usage\":{{}}}}}}\n")
            })
            .collect::<Vec<_>>()
            .concat();
        let answers = answers + "{\"item\":\"0.control_first/b\",\"n\":1,\"failure\":\"timeout\"}\n";
        let labelled =
            |value: &str| format!("{{\"item\":\"a\",\"n\":0,\"status\":\"stop\",\"scores\":{{\"people\":{value}}}}}\n");
        let (control, treatment) = (labelled("0.0"), labelled("1.0"));
        let params = serde_json::json!({
            "alpha": 0.05, "cluster": true,
            "datasets": [{"name": "d", "labels": ["people"], "judges": [{
                "name": "j", "model": "m", "reading": {"extraction": {"extract": "(?m)^Verdict: (.+)$", "if_absent": "missing"}},
            }]}],
        });
        let params: PairwiseParams = serde_json::from_value(params).unwrap();
        let inputs = [
            ("pairs/j/d/00000", pairs),
            ("answers/j/d/00000", answers.as_str()),
            ("gold/d/00000", "{\"id\":\"a\",\"answers\":[],\"group\":\"g\"}\n"),
            ("labels/control/people/d/00000", control.as_str()),
            ("labels/treatment/people/d/00000", treatment.as_str()),
        ];
        let out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        let expected = concat!(
            "dataset,judge,item_id,sample_index,control_status,treatment_status,control_length,treatment_length,",
            "control_first,treatment_first,outcome,score,why\r\n",
            "d,j,a,0,stop,stop,3,5,win,win,win,1.0,\r\n",
            "d,j,b,0,stop,stop,3,4,,tie,,,no_verdict\r\n",
            "d,j,c,0,stop,stop,3,3,,,tie,0.5,identical\r\n",
            "d,j,\"d,1\",0,refusal,stop,0,3,,,,,control:refusal\r\n",
        );
        assert_eq!(out[TABLE], expected);
        let results: PairwiseResults = serde_json::from_str(&out[RESULTS]).unwrap();
        let block = results.datasets["d"].get("j").unwrap();
        assert_eq!((block.wins, block.ties, block.losses, block.no_outcome), (1, 1, 0, 1));
        let counts = &block.verdicts;
        assert_eq!((counts.drawn, counts.read, counts.unknown), (5, 3, 1));
        assert_eq!(counts.failed, BTreeMap::from([("timeout".to_owned(), 1)]));
        assert_eq!((block.labels["people"].pairs, block.labels["people"].accuracy), (1, Some(1.0)));
    }
}
