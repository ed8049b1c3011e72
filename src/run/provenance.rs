use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::RunError;
use super::latency::{Latency, LatencyDocument};
use crate::store::LoggedDraw;

/// Sums up when, by whom and how the answers of one arm were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArmProvenance {
    /// How many draws have an answer.
    pub draws: u64,
    /// When the first of them was logged: UTC, RFC 3339.
    pub first: Option<String>,
    /// When the last of them was.
    pub last: Option<String>,
    /// Counts them by how they were bought.
    pub bought: BTreeMap<String, u64>,
    /// Counts them by the model that the provider says it served.
    pub served: BTreeMap<String, u64>,
    /// Counts them by the provider's fingerprint of what served them.
    pub fingerprints: BTreeMap<String, u64>,
    /// Counts them by the revision that the server stated before it was asked.
    pub revisions: BTreeMap<String, u64>,
    /// Counts them by what the config stated of the revision when they were asked for, in words.
    pub stated: BTreeMap<String, u64>,
    /// Counts them by who served them behind a router.
    pub upstreams: BTreeMap<String, u64>,
    /// How many took more than one attempt.
    pub repeated: u64,
}

/// Is the item whose arms were answered furthest apart in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The dataset.
    pub dataset: String,
    /// The item.
    pub item: String,
    /// How far apart, in seconds.
    pub seconds: u64,
}

/// Is the first and the last time at which a side of an item was answered, in milliseconds.
type Span = (i64, i64);

/// Is when the sides of an item were answered.
#[derive(Debug)]
struct ItemTimes {
    dataset: Arc<str>,
    item: Arc<str>,
    spans: Vec<(&'static str, Span)>,
}

/// Is a row of `timings.csv`: where it stands among the others, and where its text is.
#[derive(Debug)]
struct Row {
    /// Which item it is of.
    item: u32,
    side: &'static str,
    number: u32,
    /// How long the answer took that was asked for online.
    milliseconds: Option<u64>,
    text: Range<usize>,
}

/// Gathers when, by whom and how the answers of one trial were given. None of it enters the root.
///
/// A run may have very many answers: what is known of each is kept as the row that it will be.
#[derive(Debug, Default)]
pub struct Provenance {
    /// By side: `control`, `treatment`.
    pub arms: BTreeMap<&'static str, ArmProvenance>,
    items: Vec<ItemTimes>,
    places: HashMap<(Arc<str>, Arc<str>), u32>,
    rows: Vec<Row>,
    /// The texts of the rows, in the order in which they came.
    texts: Vec<u8>,
}

/// The columns of `timings.csv`.
const TIMINGS: [&str; 17] = [
    "dataset",
    "item_id",
    "condition",
    "draw",
    "logged_at",
    "latency_ms",
    "attempt",
    "bought",
    "http_status",
    "request_id",
    "served_model",
    "fingerprint",
    "server_revision",
    "upstream",
    "service_tier",
    "cached_tokens",
    "cache_write_tokens",
];

/// Adds a row of CSV to a text.
fn put_row<'t>(into: &mut Vec<u8>, fields: impl IntoIterator<Item = &'t str>) -> Result<(), RunError> {
    let fail = |why: String| RunError::Unreadable { what: "timings.csv".into(), why };
    let mut out = csv::WriterBuilder::new().buffer_capacity(512).from_writer(into);
    out.write_record(fields).map_err(|error| fail(error.to_string()))?;
    out.flush().map_err(|error| fail(error.to_string()))
}

fn count(counts: &mut BTreeMap<String, u64>, name: Option<&String>) {
    if let Some(name) = name {
        *counts.entry(name.clone()).or_default() += 1;
    }
}

impl ArmProvenance {
    /// Takes a draw of the arm.
    pub fn add(&mut self, draw: &LoggedDraw) {
        let LoggedDraw { answer, circumstances, .. } = draw;
        self.draws += 1;
        count(&mut self.bought, circumstances.bought.as_ref());
        count(&mut self.served, answer.served_model.as_ref());
        count(&mut self.fingerprints, circumstances.fingerprint.as_ref());
        count(&mut self.revisions, circumstances.server_revision.as_ref());
        count(&mut self.upstreams, circumstances.upstream.as_ref());
        self.repeated += u64::from(circumstances.attempts.is_some_and(|attempts| attempts > 1));
        let Some(at) = &circumstances.logged_at else { return };
        // One format, one zone: the order of the texts is that of the times.
        if self.first.as_ref().is_none_or(|first| at < first) {
            self.first = Some(at.clone());
        }
        if self.last.as_ref().is_none_or(|last| at > last) {
            self.last = Some(at.clone());
        }
    }
}

impl Provenance {
    /// Takes a draw of the trial.
    ///
    /// Errors: [`RunError::Unreadable`] where its row cannot be written.
    pub fn add(&mut self, side: &'static str, dataset: &str, item: &str, draw: &LoggedDraw) -> Result<(), RunError> {
        let LoggedDraw { address, answer, circumstances: c, .. } = draw;
        self.arms.entry(side).or_default().add(draw);
        let place = self.place(dataset, item);
        if let Some(at) = &c.logged_at
            && let Ok(time) = at.parse::<jiff::Timestamp>()
        {
            let time = time.as_millisecond();
            let spans = &mut self.items[place as usize].spans;
            if let Some((_, span)) = spans.iter_mut().find(|(of, _)| *of == side) {
                *span = (span.0.min(time), span.1.max(time));
            } else {
                // An item has two sides at most.
                spans.reserve_exact(1);
                spans.push((side, (time, time)));
            }
        }
        if c.bought.as_deref() == Some("embedded") {
            return Ok(());
        }
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let text = |text: &'_ Option<String>| text.as_deref().unwrap_or_default().to_owned();
        let start = self.texts.len();
        let fields: [String; TIMINGS.len()] = [
            dataset.to_owned(),
            item.to_owned(),
            side.to_owned(),
            address.number.to_string(),
            text(&c.logged_at),
            number(c.latency_ms),
            number(c.attempts.map(u64::from)),
            text(&c.bought),
            number(c.http_status.map(u64::from)),
            text(&c.request_id),
            text(&answer.served_model),
            text(&c.fingerprint),
            text(&c.server_revision),
            text(&c.upstream),
            text(&c.service_tier),
            number(c.cached_tokens),
            number(c.cache_write_tokens),
        ];
        put_row(&mut self.texts, fields.iter().map(String::as_str))?;
        self.rows.push(Row {
            item: place,
            side,
            number: address.number,
            milliseconds: c.latency_ms.filter(|_| c.bought.as_deref() == Some("online")),
            text: start..self.texts.len(),
        });
        Ok(())
    }

    fn place(&mut self, dataset: &str, item: &str) -> u32 {
        let dataset = match self.items.last() {
            Some(last) if *last.dataset == *dataset => last.dataset.clone(),
            _ => dataset.into(),
        };
        let key = (dataset, Arc::from(item));
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.items.len() as u32;
        self.items.push(ItemTimes { dataset: key.0.clone(), item: key.1.clone(), spans: Vec::new() });
        self.places.insert(key, place);
        place
    }

    /// Says whether anything was answered by somebody else than this program.
    pub fn is_remote(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Writes `latency.json`: how long answers took under both arms; none where nothing was answered online.
    ///
    /// The time of an answer that came with a batch or from a file says nothing about the arm.
    pub fn latency_json(&self) -> Result<Option<Vec<u8>>, RunError> {
        let latencies = self.rows.iter().filter_map(|row| {
            let milliseconds = row.milliseconds?;
            let ItemTimes { dataset, item, .. } = &self.items[row.item as usize];
            Some(Latency { dataset, item, side: row.side, milliseconds })
        });
        LatencyDocument::of(latencies).map(|document| document.to_json()).transpose()
    }

    /// Finds the item whose two sides were answered furthest apart; `None` where no item has both.
    pub fn widest_gap(&self) -> Option<Gap> {
        let gap = |times: &ItemTimes| -> Option<i64> {
            let of = |side: &str| times.spans.iter().find(|(of, _)| *of == side).map(|(_, span)| span);
            let (a, b) = (of("control")?, of("treatment")?);
            Some((a.1 - b.0).max(b.1 - a.0))
        };
        let gaps = self.items.iter().filter_map(|times| Some((gap(times)?, (&times.dataset, &times.item))));
        // Of equal ones the first by name, whatever the order in which they came.
        let (widest, (dataset, item)) = gaps.max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)))?;
        Some(Gap { dataset: (**dataset).to_owned(), item: (**item).to_owned(), seconds: (widest.max(0) / 1000) as u64 })
    }

    /// Counts the models that the providers say they served, over both sides.
    pub fn served_models(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (model, n) in self.arms.values().flat_map(|arm| &arm.served) {
            *all.entry(model.clone()).or_default() += n;
        }
        all
    }

    /// Writes `timings.csv`: one row for each draw that came from elsewhere, sorted by dataset, item, side and number.
    pub fn timings_csv(&mut self) -> Result<Vec<u8>, RunError> {
        let items = &self.items;
        let of = |row: &Row| (&items[row.item as usize].dataset, &items[row.item as usize].item);
        self.rows.sort_by(|a, b| (of(a), a.side, a.number).cmp(&(of(b), b.side, b.number)));
        let mut out = Vec::with_capacity(self.texts.len() + 256);
        put_row(&mut out, TIMINGS)?;
        for row in &self.rows {
            out.extend_from_slice(&self.texts[row.text.clone()]);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Digest, RequestKey};
    use crate::request::{Answer, AnswerStatus, Circumstances, DrawAddress, Usage};

    fn draw(at: &str, served: &str, attempts: u32) -> LoggedDraw {
        LoggedDraw {
            address: DrawAddress { request: RequestKey::new(Digest::of(b"q")), generation: 0, number: 2 },
            answer: Answer {
                status: AnswerStatus::Stop,
                text: "x".into(),
                reasoning: None,
                finish_reason: None,
                served_model: Some(served.into()),
                usage: Usage::default(),
            },
            circumstances: Circumstances {
                logged_at: Some(at.into()),
                attempts: Some(attempts),
                bought: Some("online".into()),
                latency_ms: Some(120),
                ..Circumstances::default()
            },
            raw: Vec::new(),
        }
    }

    #[test]
    fn dates_models_and_gaps_are_found() {
        let mut trial = Provenance::default();
        trial.add("control", "d", "a", &draw("2026-11-01T00:00:00.000Z", "m-1", 1)).unwrap();
        trial.add("control", "d", "b", &draw("2026-11-02T00:00:00.000Z", "m-2", 3)).unwrap();
        trial.add("treatment", "d", "a", &draw("2026-11-08T00:00:01.000Z", "m-2", 1)).unwrap();
        trial.add("treatment", "d", "c", &draw("2026-12-08T00:00:00.000Z", "m-2", 1)).unwrap();
        let control = &trial.arms["control"];
        assert_eq!((control.draws, control.repeated), (2, 1));
        assert_eq!(control.first.as_deref(), Some("2026-11-01T00:00:00.000Z"));
        assert_eq!(control.last.as_deref(), Some("2026-11-02T00:00:00.000Z"));
        assert_eq!(trial.served_models(), BTreeMap::from([("m-1".to_owned(), 1), ("m-2".to_owned(), 3)]));
        let gap = trial.widest_gap().unwrap();
        assert_eq!((gap.item.as_str(), gap.seconds), ("a", 7 * 86_400 + 1), "only items with both sides count");
        let csv = String::from_utf8(trial.timings_csv().unwrap()).unwrap();
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.contains("d,a,control,2,2026-11-01T00:00:00.000Z,120,1,online,,,m-1,,,,,,"), "{csv}");
        let latency = String::from_utf8(trial.latency_json().unwrap().unwrap()).unwrap();
        assert!(latency.contains("\"n_items\": 1"), "{latency}");
        let mut batch = draw("2026-11-01T00:00:00.000Z", "m-1", 1);
        batch.circumstances.bought = Some("batch".into());
        let mut bought = Provenance::default();
        bought.add("control", "d", "a", &batch).unwrap();
        assert_eq!((bought.is_remote(), bought.latency_json().unwrap()), (true, None));
    }

    #[test]
    fn what_is_embedded_has_no_timings() {
        let mut trial = Provenance::default();
        let mut embedded = draw("2026-11-01T00:00:00.000Z", "m", 1);
        embedded.circumstances.bought = Some("embedded".into());
        trial.add("control", "d", "a", &embedded).unwrap();
        assert!(!trial.is_remote());
        assert_eq!(trial.widest_gap(), None);
    }
}
