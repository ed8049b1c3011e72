use std::collections::{BTreeMap, BTreeSet};

use crate::stats::{Differences, Stream, bootstrap, mcnemar, paired};

/// Is how many resamples an interval is made of.
const RESAMPLES: u32 = 5000;
/// Is the seed of the intervals.
const SEED: u64 = 1337;
/// Is the level of the intervals.
const LEVEL: f64 = 0.95;
/// Is how many items are named for each direction of a flip.
const NAMED: usize = 20;

/// Compares one metric of one condition and type of item, on the items that have it on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MetricComparison {
    /// `control` or `treatment`.
    pub condition: String,
    /// `open` or `closed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The metric.
    pub metric: String,
    /// How many items.
    pub n: u64,
    /// The mean over them in `a`.
    pub mean_a: f64,
    /// The mean over them in `b`.
    pub mean_b: f64,
    /// The mean of `b` − `a`.
    pub delta: f64,
    /// Its 95 % bootstrap interval; absent below two items.
    pub ci_95: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<&'static str>,
    /// The test of no difference: `mcnemar-exact` where every value is 0 or 1, else `paired-t`.
    pub test: Option<&'static str>,
    /// Its two-sided p-value.
    pub p_value: Option<f64>,
    /// What changed sides, where every value is 0 or 1.
    pub flips: Option<Flips>,
}

/// Counts items whose value is 0 on one side and 1 on the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Flips {
    /// 0 in `a`, 1 in `b`: for a metric that is better when higher, wrong → right.
    pub up: u64,
    /// 1 in `a`, 0 in `b`.
    pub down: u64,
    /// The first items of `up`, by key.
    pub up_items: Vec<String>,
    /// The first items of `down`, by key.
    pub down_items: Vec<String>,
}

/// Is a row's place: condition, type, temperature (left out where the table has one only), item.
type Place = (String, String, String, String);

/// Is a row's values, by metric.
type Values = Vec<Option<f64>>;

/// Is a `per_item_scores.csv`, read.
#[derive(Debug, Default)]
pub(super) struct ItemTable {
    metrics: Vec<String>,
    temperatures: BTreeSet<String>,
    rows: BTreeMap<Place, Values>,
}

/// Are the columns that are not metrics.
const PLACES: [&str; 6] = ["condition", "item_key", "temp", "type", "n_draws", "n_missing"];

impl ItemTable {
    /// Reads the table; an empty cell is no value, which is not 0.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| header.iter().position(|column| column == name);
        let place = |name: &str| column(name).ok_or_else(|| format!("it has no column `{name}`"));
        let [condition, item, temperature, kind] =
            [place("condition")?, place("item_key")?, place("temp")?, place("type")?];
        let is_metric = |name: &str| {
            // `em_std` belongs to `em`.
            let spread = name.strip_suffix("_std").is_some_and(|metric| column(metric).is_some());
            !PLACES.contains(&name) && !spread
        };
        let columns: Vec<usize> = (0..header.len()).filter(|at| is_metric(&header[*at])).collect();
        let mut table = Self { metrics: columns.iter().map(|at| header[*at].to_owned()).collect(), ..Self::default() };
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let text = |at: usize| record.get(at).unwrap_or_default().to_owned();
            let mut values = Vec::with_capacity(columns.len());
            for at in &columns {
                let cell = record.get(*at).unwrap_or_default();
                let value = match cell {
                    "" => None,
                    _ => Some(
                        cell.parse::<f64>()
                            .ok()
                            .filter(|value| value.is_finite())
                            .ok_or_else(|| format!("`{cell}` in column `{}` is not a number", &header[*at]))?,
                    ),
                };
                values.push(value);
            }
            table.temperatures.insert(text(temperature));
            table.rows.insert((text(condition), text(kind), text(temperature), text(item)), values);
        }
        Ok(table)
    }

    /// Returns the rows by place, with the temperature in it only if it is needed to tell rows apart.
    fn by_place(&self, with_temperature: bool) -> BTreeMap<Place, &Values> {
        let place = |(condition, kind, temperature, item): &Place| {
            let temperature = if with_temperature { temperature.clone() } else { String::new() };
            (condition.clone(), kind.clone(), temperature, item.clone())
        };
        self.rows.iter().map(|(at, values)| (place(at), values)).collect()
    }
}

/// Is what matching two tables gives.
pub(super) struct ItemsCompared {
    pub(super) matched: u64,
    pub(super) only_in_a: u64,
    pub(super) only_in_b: u64,
    pub(super) metrics: Vec<MetricComparison>,
}

/// Matches the rows of two tables and compares every metric that both have values of.
pub(super) fn compare_items(a: &ItemTable, b: &ItemTable) -> ItemsCompared {
    let with_temperature = a.temperatures.len() > 1 || b.temperatures.len() > 1;
    let (rows_a, rows_b) = (a.by_place(with_temperature), b.by_place(with_temperature));
    let both: Vec<(&Place, &Values, &Values)> =
        rows_a.iter().filter_map(|(place, one)| Some((place, *one, *rows_b.get(place)?))).collect();
    let groups: BTreeSet<(&str, &str)> = both.iter().map(|(place, ..)| (place.0.as_str(), place.1.as_str())).collect();
    let mut metrics = Vec::new();
    for (condition, kind) in groups {
        for (at_a, metric) in a.metrics.iter().enumerate() {
            let Some(at_b) = b.metrics.iter().position(|other| other == metric) else { continue };
            let rows = both.iter().filter(|(place, ..)| place.0 == condition && place.1 == kind);
            let pairs: Vec<(&str, f64, f64)> =
                rows.filter_map(|(place, one, other)| Some((place.3.as_str(), one[at_a]?, other[at_b]?))).collect();
            metrics.extend(compare_metric(condition, kind, metric, &pairs));
        }
    }
    let matched = both.len() as u64;
    ItemsCompared {
        matched,
        only_in_a: rows_a.len() as u64 - matched,
        only_in_b: rows_b.len() as u64 - matched,
        metrics,
    }
}

fn compare_metric(condition: &str, kind: &str, metric: &str, pairs: &[(&str, f64, f64)]) -> Option<MetricComparison> {
    let differences = Differences::omitting(pairs.iter().map(|(_, a, b)| (*a, *b)));
    let summary = paired(&differences);
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / pairs.len() as f64;
    let mut stream = Stream::derive(SEED, &format!("compare|{condition}|{kind}|{metric}"));
    let interval = bootstrap(&differences, RESAMPLES, &mut stream).and_then(|bootstrap| bootstrap.percentile(LEVEL));
    let is_binary = pairs.iter().all(|(_, a, b)| [a, b].into_iter().all(|value| *value == 0.0 || *value == 1.0));
    let flips = is_binary.then(|| flips(pairs));
    let (test, p_value) = match &flips {
        Some(flips) => (Some("mcnemar-exact"), Some(mcnemar(flips.up, flips.down).p_exact)),
        None => match summary.t_test() {
            Some(test) => (Some("paired-t"), Some(test.p)),
            None => (None, None),
        },
    };
    Some(MetricComparison {
        condition: condition.to_owned(),
        kind: kind.to_owned(),
        metric: metric.to_owned(),
        n: summary.n,
        // No pair, no mean: the metric is left out.
        delta: summary.mean?,
        mean_a: mean(&mut pairs.iter().map(|(_, a, _)| *a)),
        mean_b: mean(&mut pairs.iter().map(|(_, _, b)| *b)),
        ci_95: interval.map(|interval| [interval.lower, interval.upper]),
        method: interval.map(|interval| interval.method.name()),
        test,
        p_value,
        flips,
    })
}

fn flips(pairs: &[(&str, f64, f64)]) -> Flips {
    let mut flips = Flips::default();
    for (item, a, b) in pairs.iter().filter(|(_, a, b)| a != b) {
        let (count, items) =
            if b > a { (&mut flips.up, &mut flips.up_items) } else { (&mut flips.down, &mut flips.down_items) };
        *count += 1;
        if items.len() < NAMED {
            items.push((*item).to_owned());
        }
    }
    flips
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "condition,em,em_std,item_key,temp,type,n_draws,n_missing,f1,f1_std\r\n\
        control,1.0,0.0,d|1,0.0,open,1,0,0.5,0.0\r\n\
        control,0.0,0.0,d|2,0.0,open,1,0,,\r\n\
        control,0.0,0.0,d|3,0.0,open,1,0,0.25,0.0\r\n\
        control,,,d|4,0.0,open,1,1,,\r\n\
        treatment,1.0,0.0,d|1,0.0,open,1,0,,\r\n";
    const B: &str = "condition,em,em_std,item_key,temp,type,n_draws,n_missing,f1,f1_std\r\n\
        control,0.0,0.0,d|1,0.7,open,1,0,0.75,0.0\r\n\
        control,1.0,0.0,d|2,0.7,open,1,0,0.5,0.0\r\n\
        control,1.0,0.0,d|3,0.7,open,1,0,0.25,0.0\r\n\
        control,1.0,0.0,d|4,0.7,open,1,1,,\r\n\
        control,1.0,0.0,d|9,0.7,open,1,0,,\r\n";

    #[test]
    fn rows_are_matched_whatever_the_one_temperature_is() {
        let compared = compare_items(&ItemTable::read(A.as_bytes()).unwrap(), &ItemTable::read(B.as_bytes()).unwrap());
        assert_eq!((compared.matched, compared.only_in_a, compared.only_in_b), (4, 1, 1));
        let [em, f1] = compared.metrics.as_slice() else { panic!("{:?}", compared.metrics) };
        assert_eq!((em.metric.as_str(), em.n, em.mean_a, em.mean_b), ("em", 3, 1.0 / 3.0, 2.0 / 3.0));
        let flips = em.flips.as_ref().unwrap();
        assert_eq!((flips.up, flips.down), (2, 1));
        assert_eq!(
            (flips.up_items.as_slice(), flips.down_items.as_slice()),
            (&["d|2".into(), "d|3".into()][..], &["d|1".into()][..])
        );
        assert_eq!((em.test, em.p_value), (Some("mcnemar-exact"), Some(1.0)));
        assert!(em.ci_95.is_some_and(|[low, high]| low < em.delta && em.delta < high));
        // An empty cell is no value: of four rows two have f1 on both sides.
        assert_eq!((f1.metric.as_str(), f1.n, f1.mean_a, f1.delta, f1.flips.clone()), ("f1", 2, 0.375, 0.125, None));
    }

    #[test]
    fn a_metric_without_values_is_absent() {
        let empty = A.replace("0.5,0.0\r\n", ",\r\n").replace("0.25,0.0\r\n", ",\r\n");
        let compared =
            compare_items(&ItemTable::read(empty.as_bytes()).unwrap(), &ItemTable::read(B.as_bytes()).unwrap());
        assert_eq!(compared.metrics.iter().map(|m| m.metric.as_str()).collect::<Vec<_>>(), ["em"]);
    }

    #[test]
    fn sides_exchanged_are_mirrored() {
        let (a, b) = (ItemTable::read(A.as_bytes()).unwrap(), ItemTable::read(B.as_bytes()).unwrap());
        let (there, back) = (compare_items(&a, &b), compare_items(&b, &a));
        for (x, y) in there.metrics.iter().zip(&back.metrics) {
            assert_eq!((x.delta, x.ci_95), (-y.delta, y.ci_95.map(|[low, high]| [-high, -low])));
            assert_eq!(x.p_value, y.p_value);
        }
    }

    #[test]
    fn tables_that_are_none_are_refused() {
        assert!(ItemTable::read(b"a,b\n1,2\n").is_err());
        assert!(ItemTable::read(A.replace("0.25", "x").as_bytes()).is_err());
    }
}
