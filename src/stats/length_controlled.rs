//! A win rate at equal lengths.

use std::collections::BTreeMap;

use super::gee::{inverse, sandwich};
use super::interval::{Interval, Method};
use super::mean::{mean, t_interval_of};

/// Steps that are smaller than this end the iteration.
const TOLERANCE: f64 = 1e-12;
/// Is how many steps there are at most.
const MOST_STEPS: u32 = 100;

/// A comparison of two answers, for [`length_controlled`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthRow<C> {
    /// How much longer the answer is whose wins are counted.
    pub difference: f64,
    /// 1 where it wins, 0 where it loses, ½ for a tie.
    pub score: f64,
    /// What the comparison weighs; above 0.
    pub weight: f64,
    /// What it depends on.
    pub cluster: C,
}

/// A logistic model of wins by the difference of lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthControlled {
    /// θ, the logit of the win rate at equal lengths, and φ, the coefficient of tanh(difference / sd).
    pub params: [f64; 2],
    /// Their cluster-robust standard errors; none below two clusters, and where the fit leaves no residual.
    pub standard_errors: Option<[f64; 2]>,
    /// The standard deviation of the differences, with n − 1.
    pub sd: f64,
    /// The number of rows.
    pub rows: u64,
    /// The number of clusters.
    pub clusters: u64,
    /// How many Newton steps it took.
    pub steps: u32,
    /// Whether no two answers of equal length lie within what was seen: one answer is always the longer one.
    pub is_extrapolated: bool,
}

/// Why there is no win rate at equal lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLengthControl {
    /// The differences of lengths are all the same, or there are fewer than two.
    NoSpread,
    /// Wins and losses are on different sides of a difference, or there are only wins, or only losses: the estimate is infinite.
    Separated,
    /// The iteration did not settle.
    NotSettled,
}

impl LengthControlled {
    /// Returns the win rate at equal lengths, σ(θ).
    pub fn win_rate(&self) -> f64 {
        expit(self.params[0])
    }

    /// Returns σ of the ends of θ ± t(G − 1) × standard error; none without an error.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let df = self.clusters as f64 - 1.0;
        let logit = t_interval_of(self.params[0], self.standard_errors?[0], df, level, Method::ClusteredT)?;
        Interval::checked(expit(logit.lower), expit(logit.upper), level, Method::ClusteredT)
    }
}

/// Fits P(win) = σ(θ + φ tanh(difference / sd)), the terms of AlpacaEval's length-controlled win rate (Dubois, Galambosi,
/// Liang and Hashimoto 2024) that do not depend on other systems, by maximum weighted likelihood.
///
/// A tie counts half a win. Newton's method from 0; a step that lowers the likelihood is halved; it ends when no parameter moves
/// by 1e-12, and gives up after 100 steps. Errors are the sandwich estimator with the factor G/(G − 1). That the estimate is finite
/// is decided before, exactly: the ranges of the rows that are no full loss and of those that are no full win have to overlap
/// (Albert and Anderson 1984, for one variable). Rows that are not finite are left out; neither their order nor the names of the
/// clusters decide a bit, as far as the clusters are in the same order.
pub fn length_controlled<C: Ord>(rows: &[LengthRow<C>]) -> Result<LengthControlled, NoLengthControl> {
    let is_row = |row: &&LengthRow<C>| row.difference.is_finite() && row.weight > 0.0 && row.weight.is_finite();
    let mut rows: Vec<&LengthRow<C>> = rows.iter().filter(is_row).collect();
    rows.sort_by(|a, b| {
        let numbers = a.difference.total_cmp(&b.difference).then(a.score.total_cmp(&b.score));
        numbers.then(a.weight.total_cmp(&b.weight)).then(a.cluster.cmp(&b.cluster))
    });
    let differences: Vec<f64> = rows.iter().map(|row| row.difference).collect();
    let sd = mean(&differences).sd.filter(|sd| *sd > 0.0).ok_or(NoLengthControl::NoSpread)?;
    let terms: Vec<f64> = differences.iter().map(|difference| libm::tanh(difference / sd)).collect();
    if is_separated(&rows) {
        return Err(NoLengthControl::Separated);
    }
    let (mut params, mut steps) = ([0.0, 0.0], 0);
    let mut likelihood = likelihood_at(&rows, &terms, params);
    loop {
        let (score, information) = equations(&rows, &terms, params);
        let inverse = inverse(information).ok_or(NoLengthControl::NotSettled)?;
        let mut step = [inverse[0] * score[0] + inverse[1] * score[1], inverse[1] * score[0] + inverse[2] * score[1]];
        let mut next = [params[0] + step[0], params[1] + step[1]];
        let mut gained = likelihood_at(&rows, &terms, next);
        // Rounding alone may lower what is at its top already.
        while gained < likelihood - 1e-9 * (1.0 + likelihood.abs()) {
            step = step.map(|step| step / 2.0);
            next = [params[0] + step[0], params[1] + step[1]];
            gained = likelihood_at(&rows, &terms, next);
        }
        (params, likelihood, steps) = (next, gained, steps + 1);
        if step[0].abs().max(step[1].abs()) < TOLERANCE {
            break;
        }
        if steps == MOST_STEPS || !params.iter().all(|param| param.is_finite()) {
            return Err(NoLengthControl::NotSettled);
        }
    }
    let mut clusters: BTreeMap<&C, [f64; 2]> = BTreeMap::new();
    for (row, term) in rows.iter().zip(&terms) {
        let residual = row.weight * (row.score - expit(params[0] + params[1] * term));
        let sums = clusters.entry(&row.cluster).or_default();
        *sums = [sums[0] + residual, sums[1] + residual * term];
    }
    let groups = clusters.len() as f64;
    let mut meat = [0.0; 3];
    for [a, b] in clusters.values() {
        meat = [meat[0] + a * a, meat[1] + a * b, meat[2] + b * b];
    }
    let bread = inverse(equations(&rows, &terms, params).1).ok_or(NoLengthControl::NotSettled)?;
    let errors = sandwich(bread, meat).map(|variance| libm::sqrt(variance * groups / (groups - 1.0)));
    Ok(LengthControlled {
        params,
        standard_errors: errors.iter().all(|se| se.is_finite() && *se > 1e-9).then_some(errors),
        sd,
        rows: rows.len() as u64,
        clusters: clusters.len() as u64,
        steps,
        is_extrapolated: differences.first() > Some(&0.0) || differences.last() < Some(&0.0),
    })
}

/// Says whether some line through the differences has all wins on one side and all losses on the other; rows on it count for
/// neither. Rows are sorted by difference, and not all the same.
fn is_separated<C>(rows: &[&LengthRow<C>]) -> bool {
    let range = |is_in: &dyn Fn(f64) -> bool| {
        let mut all = rows.iter().filter(|row| is_in(row.score)).map(|row| row.difference);
        let first = all.next()?;
        Some((first, all.next_back().unwrap_or(first)))
    };
    match (range(&|score| score > 0.0), range(&|score| score < 1.0)) {
        (Some(wins), Some(losses)) => losses.1 <= wins.0 || wins.1 <= losses.0,
        _ => true,
    }
}

fn expit(x: f64) -> f64 {
    if x >= 0.0 {
        return 1.0 / (1.0 + libm::exp(-x));
    }
    let e = libm::exp(x);
    e / (1.0 + e)
}

fn likelihood_at<C>(rows: &[&LengthRow<C>], terms: &[f64], params: [f64; 2]) -> f64 {
    let each = rows.iter().zip(terms).map(|(row, term)| {
        let logit = params[0] + params[1] * term;
        let normaliser = logit.max(0.0) + libm::log1p(libm::exp(-logit.abs()));
        row.weight * (row.score * logit - normaliser)
    });
    each.sum()
}

/// Returns the score and the information at a parameter.
fn equations<C>(rows: &[&LengthRow<C>], terms: &[f64], params: [f64; 2]) -> ([f64; 2], [f64; 3]) {
    let (mut score, mut information) = ([0.0; 2], [0.0; 3]);
    for (row, term) in rows.iter().zip(terms) {
        let share = expit(params[0] + params[1] * term);
        let residual = row.weight * (row.score - share);
        let weight = row.weight * share * (1.0 - share);
        score = [score[0] + residual, score[1] + residual * term];
        information = [information[0] + weight, information[1] + weight * term, information[2] + weight * term * term];
    }
    (score, information)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(f64, f64)]) -> Vec<LengthRow<usize>> {
        let row = |(cluster, (difference, score)): (usize, &(f64, f64))| LengthRow {
            difference: *difference,
            score: *score,
            weight: 1.0,
            cluster,
        };
        of.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_win_rate_that_length_does_not_move_is_the_plain_one() {
        let of = [(-2.0, 1.0), (2.0, 1.0), (-2.0, 0.0), (2.0, 0.0), (-2.0, 1.0), (2.0, 1.0)];
        let found = length_controlled(&rows(&of)).unwrap();
        assert!((found.win_rate() - 2.0 / 3.0).abs() < 1e-12 && found.params[1].abs() < 1e-12, "{found:?}");
        // A saturated table: two shares at two lengths are met exactly.
        let of = [(-1.0, 1.0), (-1.0, 0.0), (-1.0, 0.0), (3.0, 1.0), (3.0, 1.0), (3.0, 0.0)];
        let found = length_controlled(&rows(&of)).unwrap();
        for (difference, share) in [(-1.0, 1.0 / 3.0), (3.0, 2.0 / 3.0)] {
            let at = found.params[0] + found.params[1] * libm::tanh(difference / found.sd);
            assert!((expit(at) - share).abs() < 1e-12, "{difference}");
        }
        assert!(!found.is_extrapolated);
    }

    #[test]
    fn a_judge_of_length_alone_is_separated() {
        let of = |of: &[(f64, f64)]| length_controlled(&rows(of)).map(|found| found.params);
        assert_eq!(of(&[(-2.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (2.0, 1.0)]), Err(NoLengthControl::Separated));
        assert_eq!(of(&[(-2.0, 1.0), (-1.0, 1.0), (1.0, 0.0)]), Err(NoLengthControl::Separated));
        assert_eq!(of(&[(-2.0, 1.0), (1.0, 1.0)]), Err(NoLengthControl::Separated));
        assert_eq!(of(&[(-2.0, 0.0), (1.0, 0.0)]), Err(NoLengthControl::Separated));
        // They touch at one length alone.
        assert_eq!(of(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (2.0, 1.0)]), Err(NoLengthControl::Separated));
        assert_eq!(of(&[(0.0, 0.0), (1.0, 0.5), (2.0, 1.0)]), Err(NoLengthControl::Separated));
        assert!(of(&[(0.0, 0.0), (1.0, 1.0), (1.5, 0.0), (2.0, 1.0)]).is_ok());
        assert_eq!(of(&[(1.0, 0.0), (1.0, 1.0)]), Err(NoLengthControl::NoSpread));
        assert_eq!(of(&[]), Err(NoLengthControl::NoSpread));
    }

    #[test]
    fn ties_alone_say_a_half_without_an_error() {
        let found = length_controlled(&rows(&[(-1.0, 0.5), (4.0, 0.5), (2.0, 0.5)])).unwrap();
        assert_eq!((found.win_rate(), found.standard_errors, found.interval(0.95)), (0.5, None, None));
    }

    #[test]
    fn neither_order_nor_sides_decide() {
        let of = [(-3.0, 0.0), (1.0, 1.0), (5.0, 1.0), (2.0, 0.0), (-4.0, 1.0), (7.0, 0.5), (0.0, 1.0)];
        let found = length_controlled(&rows(&of)).unwrap();
        let mut turned = rows(&of);
        turned.reverse();
        assert_eq!(length_controlled(&turned).unwrap(), found);
        let swapped: Vec<(f64, f64)> = of.iter().map(|(d, s)| (-d, 1.0 - s)).collect();
        let swapped = length_controlled(&rows(&swapped)).unwrap();
        assert!((swapped.win_rate() + found.win_rate() - 1.0).abs() < 1e-12);
        let (ends, mirrored) = (found.interval(0.95).unwrap(), swapped.interval(0.95).unwrap());
        assert!((ends.lower + mirrored.upper - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_row_twice_with_half_the_weight_is_the_row() {
        let of = [(-3.0, 0.0), (1.0, 1.0), (5.0, 1.0), (2.0, 0.0), (-4.0, 1.0)];
        let once = length_controlled(&rows(&of)).unwrap();
        let mut twice: Vec<LengthRow<usize>> = rows(&of).into_iter().chain(rows(&of)).collect();
        for row in &mut twice {
            row.weight = 0.5;
        }
        let twice = length_controlled(&twice).unwrap();
        // The standard deviation is over rows, so that the term's scale differs a little, and nothing at equal lengths.
        assert!(twice.clusters == 5 && twice.rows == 10 && (twice.win_rate() - once.win_rate()).abs() < 0.01);
    }
}
