use std::collections::{BTreeMap, HashMap};

use super::pair::{Outcome, Pair, Standing};
use crate::digest::Decimal;
use crate::stats::{self, LengthRow, NoLengthControl, cohen_kappa, lattice_round};
use crate::step::intervals::Intervals;
use crate::step::pairwise_results::{
    LabelsBlock, LengthBlock, PairwiseBlock, PositionBlock, ShareBlock, SignTestBlock, VerdictCounts,
};

/// Is what raters say of the draws of an arm, by item and number.
pub(super) type Rated = HashMap<(String, u32), f64>;

/// Says how what pairs come to is told.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    /// What the confidence level lacks to 1.
    pub(super) alpha: Decimal,
    /// Whether items of one group count as dependent.
    pub(super) cluster: bool,
}

impl Tally {
    /// Counts pairs; those of an item stand together.
    pub(super) fn of(
        self,
        model: &str,
        pairs: &[Pair],
        verdicts: VerdictCounts,
        labels: &BTreeMap<String, [Rated; 2]>,
    ) -> PairwiseBlock {
        let count = |is_it: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| is_it(pair)).count() as u64;
        let ends = |outcome| count(&|pair| pair.outcome() == Some(outcome));
        let mut not_compared = BTreeMap::new();
        for pair in pairs.iter().filter(|pair| matches!(pair.standing, Standing::Decided(_))) {
            *not_compared.entry(pair.why()).or_default() += 1;
        }
        let compared = count(&|pair| pair.outcome().is_some());
        let scores = by_item(pairs, |pair| pair.outcome().map(Outcome::score));
        PairwiseBlock {
            model: model.to_owned(),
            pairs: pairs.len() as u64,
            identical: count(&|pair| pair.standing == Standing::Identical),
            asked: count(&|pair| matches!(pair.standing, Standing::Asked(_))),
            verdicts,
            no_outcome: pairs.len() as u64 - compared - not_compared.values().sum::<u64>(),
            not_compared,
            compared,
            wins: ends(Outcome::Win),
            ties: ends(Outcome::Tie),
            losses: ends(Outcome::Loss),
            win_rate: self.share(&scores),
            sign_test: sign_test(&scores),
            position: self.position(pairs),
            length: self.length(pairs),
            labels: labels.iter().map(|(name, rated)| (name.clone(), agreement(pairs, rated))).collect(),
        }
    }

    /// Takes the mean over items, with Wilson's interval where all are 0 or 1 and independent, else a cluster-robust one; none where
    /// nothing varies.
    fn share(self, items: &[(f64, &str)]) -> ShareBlock {
        let (values, clusters): (Vec<f64>, Vec<&str>) = items.iter().copied().unzip();
        let found = stats::clustered_mean(&values, &clusters);
        let is_binary = values.iter().all(|value| *value == 0.0 || *value == 1.0);
        let right = values.iter().filter(|value| **value == 1.0).count() as u64;
        let intervals = Intervals::of(self.alpha, |level| {
            if is_binary && found.clusters == found.n {
                return stats::wilson(right, found.n, level);
            }
            found.standard_error.filter(|error| *error > 0.0)?;
            found.interval(level)
        });
        // A share lies between 0 and 1, whatever Student's interval says.
        let within = |ends: Option<[f64; 2]>| ends.map(|ends| ends.map(|end| end.clamp(0.0, 1.0)));
        ShareBlock {
            mean: found.mean,
            ci_95: within(intervals.ci_95),
            ci: within(intervals.ci),
            method: intervals.method,
            n: found.n,
            n_clusters: self.cluster.then_some(found.clusters).filter(|clusters| *clusters < found.n),
        }
    }

    fn position(self, pairs: &[Pair]) -> PositionBlock {
        let mut block = PositionBlock::default();
        for [control_first, treatment_first] in pairs.iter().filter_map(Pair::orders) {
            block.pairs += 1;
            match (control_first, treatment_first) {
                (a, b) if a == b => block.consistent += 1,
                (Outcome::Loss, Outcome::Win) => block.first_twice += 1,
                (Outcome::Win, Outcome::Loss) => block.second_twice += 1,
                _ => block.half_tied += 1,
            }
        }
        let share = |n: u64| (block.pairs > 0).then(|| n as f64 / block.pairs as f64);
        block.consistency = share(block.consistent);
        block.flipped = share(block.first_twice + block.second_twice);
        // The answer shown first is the control's, then the treatment's: which is better cancels out.
        let first = by_item(pairs, |pair| {
            let [control_first, treatment_first] = pair.orders()?;
            Some(f64::midpoint(1.0 - control_first.score(), treatment_first.score()))
        });
        let rate = self.share(&first);
        let less = |value: f64| lattice_round(value - 0.5);
        block.first_bias = ShareBlock {
            mean: rate.mean.map(less),
            ci_95: rate.ci_95.map(|ends| ends.map(less)),
            ci: rate.ci.map(|ends| ends.map(less)),
            ..rate
        };
        block
    }

    fn length(self, pairs: &[Pair]) -> LengthBlock {
        let compared = || pairs.iter().filter(|pair| pair.outcome().is_some());
        let mut of_item: HashMap<&str, f64> = HashMap::new();
        for pair in compared() {
            *of_item.entry(&pair.item).or_default() += 1.0;
        }
        let rows: Vec<LengthRow<&str>> = compared()
            .filter_map(|pair| {
                Some(LengthRow {
                    difference: pair.lengths[1] as f64 - pair.lengths[0] as f64,
                    score: pair.outcome()?.score(),
                    // Each item weighs the same, as in the plain win rate.
                    weight: 1.0 / of_item.get(pair.item.as_str())?,
                    cluster: pair.cluster.as_str(),
                })
            })
            .collect();
        let mean = |arm: usize| stats::mean(&compared().map(|pair| pair.lengths[arm] as f64).collect::<Vec<_>>()).mean;
        let differences: Vec<f64> = rows.iter().map(|row| row.difference).collect();
        let mut block = LengthBlock {
            control: mean(0),
            treatment: mean(1),
            sd: stats::mean(&differences).sd,
            ..LengthBlock::default()
        };
        match stats::length_controlled(&rows) {
            Ok(found) => {
                let intervals = Intervals::of(self.alpha, |level| found.interval(level));
                let param = |at: usize| [Some(found.params[at]), found.standard_errors.map(|errors| errors[at])];
                block.win_rate = Some(found.win_rate());
                (block.ci_95, block.ci, block.method) = (intervals.ci_95, intervals.ci, intervals.method);
                (block.theta, block.phi) = (Some(param(0)), Some(param(1)));
                block.is_extrapolated = found.is_extrapolated;
            }
            Err(why) => {
                let word = match why {
                    NoLengthControl::NoSpread => "no_spread",
                    NoLengthControl::Separated => "separated",
                    NoLengthControl::NotSettled => "not_settled",
                };
                block.why = Some(word.to_owned());
            }
        }
        block
    }
}

/// Averages what pairs have over each item, in the order of the items, with the cluster of each.
fn by_item<'p>(pairs: &'p [Pair], value: impl Fn(&Pair) -> Option<f64>) -> Vec<(f64, &'p str)> {
    let items = pairs.chunk_by(|a, b| a.item == b.item);
    let mean = |item: &'p [Pair]| {
        let values: Vec<f64> = item.iter().filter_map(&value).collect();
        let mean = stats::mean(&values).mean?;
        Some((mean, item.first()?.cluster.as_str()))
    };
    items.filter_map(mean).collect()
}

/// Tests whether as many clusters are won as lost: each is won whose items' mean is above one half.
fn sign_test(items: &[(f64, &str)]) -> SignTestBlock {
    let mut clusters: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (value, cluster) in items {
        clusters.entry(cluster).or_default().push(*value);
    }
    let mut block = SignTestBlock::default();
    for values in clusters.values() {
        let mean = lattice_round(stats::mean(values).mean.unwrap_or(0.5) - 0.5);
        let place = if mean > 0.0 {
            &mut block.won
        } else if mean < 0.0 {
            &mut block.lost
        } else {
            &mut block.even
        };
        *place += 1;
    }
    let n = block.won + block.lost;
    block.p_value = stats::binomial_test(block.won, n, 0.5).filter(|_| n > 0);
    block
}

/// Holds outcomes against the difference of what raters say of the two answers.
fn agreement(pairs: &[Pair], [control, treatment]: &[Rated; 2]) -> LabelsBlock {
    let mut block = LabelsBlock::default();
    let mut both = Vec::new();
    for pair in pairs {
        let key = (pair.item.clone(), pair.n);
        let rated = control.get(&key).zip(treatment.get(&key));
        let Some(((control, treatment), outcome)) = rated.zip(pair.outcome()) else { continue };
        let difference = lattice_round(treatment - control);
        let rated = if difference > 0.0 {
            Outcome::Win
        } else if difference < 0.0 {
            Outcome::Loss
        } else {
            Outcome::Tie
        };
        block.pairs += 1;
        if rated != Outcome::Tie {
            block.differing += 1;
            block.same += u64::from(outcome == rated);
            block.tied += u64::from(outcome == Outcome::Tie);
        }
        both.push((outcome.score(), rated.score()));
    }
    let found = cohen_kappa(both);
    block.accuracy = (block.differing > 0).then(|| block.same as f64 / block.differing as f64);
    (block.agreement, block.kappa) = (found.observed, found.kappa);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AnswerStatus;
    use crate::step::draw_status::DrawStatus;

    use Outcome::{Loss, Tie, Win};

    const TALLY: Tally = Tally { alpha: Decimal::new(5, -2), cluster: false };

    fn pair(item: &str, n: u32, lengths: [u64; 2], standing: Standing) -> Pair {
        let stop = DrawStatus::Answered(AnswerStatus::Stop);
        Pair { item: item.to_owned(), n, cluster: item.to_owned(), statuses: [stop, stop], lengths, standing }
    }

    fn asked(item: usize, orders: [Outcome; 2]) -> Pair {
        pair(&item.to_string(), 0, [10, 10], Standing::Asked(orders.map(Some)))
    }

    fn tally(pairs: &[Pair]) -> PairwiseBlock {
        TALLY.of("m", pairs, VerdictCounts::default(), &BTreeMap::new())
    }

    #[test]
    fn pairs_are_counted_by_how_they_end() {
        let refused = DrawStatus::Answered(AnswerStatus::Refusal);
        let mut decided = pair("f", 0, [0, 3], Standing::Decided([true, false]));
        decided.statuses[0] = refused;
        let pairs = [
            asked(0, [Win, Win]),
            asked(1, [Win, Win]),
            asked(2, [Loss, Loss]),
            asked(3, [Win, Loss]),
            asked(4, [Win, Tie]),
            pair("s", 0, [4, 4], Standing::Identical),
            pair("u", 0, [4, 5], Standing::Asked([Some(Win), None])),
            decided,
        ];
        let block = tally(&pairs);
        assert_eq!((block.pairs, block.asked, block.identical, block.compared, block.no_outcome), (8, 6, 1, 6, 1));
        assert_eq!((block.wins, block.ties, block.losses), (2, 3, 1));
        assert_eq!(block.not_compared, BTreeMap::from([("control:refusal".to_owned(), 1)]));
        let rate = &block.win_rate;
        assert_eq!((rate.n, rate.method.as_deref()), (6, Some("t-cluster-robust")));
        assert!((rate.mean.unwrap() - 3.5 / 6.0).abs() < 1e-15);
        let sign = block.sign_test;
        assert_eq!((sign.won, sign.even, sign.lost, sign.p_value), (2, 3, 1, Some(1.0)));
        let position = block.position;
        assert_eq!((position.pairs, position.consistent, position.half_tied), (5, 3, 1));
        assert_eq!((position.first_twice, position.second_twice, position.flipped), (0, 1, Some(0.2)));
    }

    #[test]
    fn a_judge_of_places_is_biased_and_decides_nothing() {
        let pairs: Vec<Pair> = (0..20).map(|item| asked(item, [Loss, Win])).collect();
        let block = tally(&pairs);
        assert_eq!((block.wins, block.ties, block.losses, block.win_rate.mean), (0, 20, 0, Some(0.5)));
        assert_eq!((block.win_rate.ci_95, block.sign_test.p_value), (None, None));
        let position = block.position;
        assert_eq!((position.consistency, position.flipped, position.first_twice), (Some(0.0), Some(1.0), 20));
        let bias = position.first_bias;
        assert_eq!((bias.mean, bias.method.as_deref()), (Some(0.5), Some("wilson")));
        let [low, high] = bias.ci_95.unwrap();
        assert!(low > 0.3 && high == 0.5, "{low} {high}");
    }

    #[test]
    fn draws_of_an_item_are_one_item_and_groups_are_one_cluster() {
        let mut pairs = vec![
            pair("a", 0, [1, 2], Standing::Asked([Some(Win), Some(Win)])),
            pair("a", 1, [1, 2], Standing::Asked([Some(Loss), Some(Loss)])),
            pair("b", 0, [1, 2], Standing::Asked([Some(Win), Some(Win)])),
            pair("c", 0, [1, 2], Standing::Asked([Some(Loss), Some(Loss)])),
        ];
        let block = tally(&pairs);
        assert_eq!((block.wins, block.losses, block.win_rate.mean, block.win_rate.n), (2, 2, Some(0.5), 3));
        assert_eq!((block.sign_test.won, block.sign_test.even, block.sign_test.lost), (1, 1, 1));
        assert_eq!(block.length.why.as_deref(), Some("no_spread"));
        for pair in &mut pairs[2..] {
            pair.cluster = "g".to_owned();
        }
        let grouped = Tally { cluster: true, ..TALLY };
        let block = grouped.of("m", &pairs, VerdictCounts::default(), &BTreeMap::new());
        assert_eq!((block.win_rate.n, block.win_rate.n_clusters, block.sign_test.even), (3, Some(2), 2));
    }

    #[test]
    fn outcomes_are_held_against_raters() {
        let pairs = [
            asked(0, [Win, Win]),
            asked(1, [Loss, Loss]),
            asked(2, [Win, Loss]),
            asked(3, [Tie, Tie]),
            asked(4, [Win, Win]),
        ];
        let rated = |values: [f64; 4]| -> Rated {
            values.into_iter().enumerate().map(|(item, value)| ((item.to_string(), 0), value)).collect()
        };
        let found = agreement(&pairs, &[rated([0.0, 0.0, 0.0, 1.0]), rated([1.0, 1.0, 1.0, 1.0])]);
        assert_eq!((found.pairs, found.differing, found.same, found.tied), (4, 3, 1, 1));
        assert_eq!((found.accuracy, found.agreement), (Some(1.0 / 3.0), Some(0.5)));
        // Outcomes: win, loss, tie, tie; raters: win, win, win, tie. Expected: (1·3 + 2·1) / 16.
        let chance = 5.0 / 16.0;
        assert!((found.kappa.unwrap() - (0.5 - chance) / (1.0 - chance)).abs() < 1e-15);
    }
}
