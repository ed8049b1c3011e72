use super::failure::Failure;
use super::records::{Records, damaged};
use crate::digest::BlobId;
use crate::plan::{PairOrder, PairwiseParams, PairwiseReading};
use crate::run::{ActionEntry, Manifest};
use crate::store::Store;

/// Is what became of the pairs of an item on which a model compares the arms' answers.
pub struct PairVerdicts {
    /// How its verdicts are read.
    pub reading: PairwiseReading,
    rows: Vec<PairRow>,
}

/// Is a row of `pairwise.csv`, as far as it is shown.
#[derive(serde::Deserialize)]
pub struct PairRow {
    dataset: String,
    judge: String,
    item_id: String,
    sample_index: u32,
    control_first: String,
    treatment_first: String,
    /// `win`, `tie` or `loss` as treatment sees it; empty where there is none.
    pub outcome: String,
    /// Why nobody was asked, or why there is no outcome.
    pub why: String,
}

impl PairRow {
    /// Returns what one order says; none where it has no verdict.
    pub fn says(&self, order: PairOrder) -> Option<&str> {
        let said = match order {
            PairOrder::ControlFirst => &self.control_first,
            PairOrder::TreatmentFirst => &self.treatment_first,
        };
        Some(said.as_str()).filter(|said| !said.is_empty())
    }
}

/// Is a part that was compared: the action that made its pairs, who compared, and what was said.
pub struct ComparedPart<'m> {
    /// The `pairwise_build` action.
    pub build: &'m ActionEntry,
    /// The setting's name.
    pub judge: &'m str,
    /// What `judge_infer` gave.
    pub answers: BlobId,
}

impl PairVerdicts {
    /// Finds what was made of a part's verdicts on an item; none where nothing was made of them yet.
    pub fn of(
        store: &Store,
        manifest: &Manifest,
        part: &ComparedPart<'_>,
        item: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(pairs) = part.build.outputs.iter().find(|output| output.name == "pairs") else { return Ok(None) };
        let number = part.build.label.rsplit('/').next().unwrap_or_default();
        let records = Records::open(store, manifest)?;
        for action in manifest.actions.iter().filter(|action| action.label.starts_with("pairwise/")) {
            let Some(counted) = records.of(action)? else { continue };
            // Lengths and statuses may be those of another trial too: its verdicts are others.
            let place = counted.spec.inputs.iter().find_map(|(name, blob)| {
                let place = name.strip_prefix("pairs/")?;
                let is_it =
                    *blob == pairs.blob && counted.spec.inputs.get(&format!("answers/{place}")) == Some(&part.answers);
                let dataset =
                    place.strip_prefix(part.judge)?.strip_prefix('/')?.strip_suffix(number)?.strip_suffix('/')?;
                is_it.then_some(dataset)
            });
            let Some(dataset) = place else { continue };
            let params: PairwiseParams = counted.params.read()?;
            let judges =
                params.datasets.into_iter().filter(|known| known.name == dataset).flat_map(|known| known.judges);
            let Some(by) = judges.into_iter().find(|by| by.name == part.judge) else { continue };
            let Some(table) = counted.outputs.get("pairwise.csv") else { continue };
            let table = store.read(table)?;
            let mut rows = Vec::new();
            for row in csv::Reader::from_reader(table.as_slice()).into_deserialize::<PairRow>() {
                let row = row.map_err(|error| damaged(action, &format!("pairwise.csv: {error}")))?;
                if row.dataset == dataset && row.judge == part.judge && row.item_id == item {
                    rows.push(row);
                }
            }
            return Ok(Some(Self { reading: by.reading, rows }));
        }
        Ok(None)
    }

    /// Returns the row of the pair of draws with a number.
    pub fn row(&self, n: u32) -> Option<&PairRow> {
        self.rows.iter().find(|row| row.sample_index == n)
    }

    /// Says why nobody was asked about the item, where nobody was.
    pub fn why(&self) -> Option<&str> {
        self.rows.iter().map(|row| row.why.as_str()).find(|why| !why.is_empty() && *why != "no_verdict")
    }
}
