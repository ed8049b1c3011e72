use std::collections::{BTreeMap, HashMap};

use super::item_table::ItemTable;

/// Is, by dataset and name of the setting, the mean score of each item's pairs: 1 is a win of the treatment, 0 a loss.
pub(super) type PreferenceScores = BTreeMap<(String, String), HashMap<String, f64>>;

/// Is what of a row of `pairwise.csv` counts here.
#[derive(serde::Deserialize)]
struct Row {
    dataset: String,
    judge: String,
    item_id: String,
    score: Option<f64>,
}

/// Reads a `pairwise.csv`; a pair without an outcome has no score.
pub(super) fn preference_scores(bytes: &[u8]) -> Result<PreferenceScores, String> {
    let mut sums: BTreeMap<(String, String), HashMap<String, (f64, u32)>> = BTreeMap::new();
    for row in csv::Reader::from_reader(bytes).into_deserialize::<Row>() {
        let row = row.map_err(|error| error.to_string())?;
        let Some(score) = row.score else { continue };
        let (sum, n) = sums.entry((row.dataset, row.judge)).or_default().entry(row.item_id).or_default();
        *sum += score;
        *n += 1;
    }
    let mean = |(item, (sum, n)): (String, (f64, u32))| (item, sum / f64::from(n));
    Ok(sums.into_iter().map(|(key, items)| (key, items.into_iter().map(mean).collect())).collect())
}

/// Are the items of two trials, and for each of the first its place among those of the second, where it has one.
pub(super) struct Partners<'t> {
    pub(super) a: &'t ItemTable,
    pub(super) b: &'t ItemTable,
    pub(super) partner: &'t [Option<u32>],
}

impl Partners<'_> {
    /// Lists the items of a dataset that have a score on both sides, by their keys in `a`.
    pub(super) fn pairs(
        &self,
        dataset: &str,
        scores_a: &HashMap<String, f64>,
        scores_b: &HashMap<String, f64>,
    ) -> Vec<(&str, f64, f64)> {
        let pair = |(key, partner): (&'_ String, &Option<u32>)| {
            let other = self.b.items().get((*partner)? as usize)?;
            Some((score(key, dataset, scores_a)?, score(other, dataset, scores_b)?))
        };
        let all = self.a.items().iter().zip(self.partner);
        all.filter_map(|(key, partner)| pair((key, partner)).map(|(a, b)| (key.as_str(), a, b))).collect()
    }
}

/// Finds the score of an item by its key, `dataset|item`.
fn score(key: &str, dataset: &str, scores: &HashMap<String, f64>) -> Option<f64> {
    let item = key.strip_prefix(dataset)?.strip_prefix('|')?;
    scores.get(item).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_mean_of_its_pairs_that_have_an_outcome() {
        let table = "dataset,judge,item_id,sample_index,outcome,score,why\r\n\
            d,j,\"a,1\",0,win,1.0,\r\nd,j,\"a,1\",1,tie,0.5,\r\nd,j,\"a,1\",2,,,no_verdict\r\nd,j,b,0,,,no_verdict\r\nd,k,b,0,loss,0.0,\r\n";
        let scores = preference_scores(table.as_bytes()).unwrap();
        let of = |judge: &str| scores[&("d".to_owned(), judge.to_owned())].clone();
        assert_eq!(of("j"), HashMap::from([("a,1".to_owned(), 0.75)]));
        assert_eq!(of("k"), HashMap::from([("b".to_owned(), 0.0)]));
        assert!(preference_scores(b"a,b\n1,2\n").is_err());
    }
}
