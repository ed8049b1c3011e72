//! Draws nested in items.

use super::exact_sum::exact_sum;
use super::mean::{Mean, mean};

/// How an arm's variance splits into items and draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NestedVariance {
    /// Items with at least one draw.
    pub items: u64,
    /// Draws of all items.
    pub draws: u64,
    /// The mean of the item means, none if there is no item.
    pub mean: Option<f64>,
    /// The mean of the items' unbiased variances between draws; none if no item has two draws.
    pub within: Option<f64>,
    /// The variance of the item means with n − 1; none below two items.
    pub of_item_means: Option<f64>,
    /// The part of that variance that sampling adds, the mean of s²/K; none like `within`.
    pub from_sampling: Option<f64>,
    /// `of_item_means` − `from_sampling`, at least 0: the variance of the items' true means.
    pub between: Option<f64>,
    /// `from_sampling` / `of_item_means`, at most 1; none where the latter is 0.
    pub sampling_share: Option<f64>,
}

/// Splits the variance of scores into what items and what draws contribute.
///
/// Each element of `items` holds one item's draws; draws that are not finite are
/// left out, and so are items without any. Items with a single draw count for the
/// mean and the variance of the means; within-item variance, which a single draw
/// does not show, is averaged over the others and taken to hold for all.
pub fn nested_variance<I: AsRef<[f64]>>(items: impl IntoIterator<Item = I>) -> NestedVariance {
    let mut means = Vec::new();
    let (mut variances, mut rates) = (Vec::new(), Vec::new());
    let mut draws = 0;
    for item in items {
        let summary = mean(item.as_ref());
        if let Some(centre) = summary.mean {
            draws += summary.n;
            means.push(centre);
            rates.push(1.0 / summary.n as f64);
        }
        variances.extend(summary.variance);
    }
    let average = |values: &[f64]| {
        let n = values.len() as f64;
        (n > 0.0).then(|| exact_sum(values.iter().copied()) / n)
    };
    split(mean(&means), draws, average(&variances), average(&rates))
}

/// Splits the variance of item means: with one common within-item variance the mean of s²/K is s² times the mean of 1/K.
pub(super) fn split(means: Mean, draws: u64, within: Option<f64>, rate: Option<f64>) -> NestedVariance {
    let from_sampling = within.and_then(|v| Some(v * rate?));
    let of_item_means = means.variance;
    NestedVariance {
        items: means.n,
        draws,
        mean: means.mean,
        within,
        of_item_means,
        from_sampling,
        between: of_item_means.and_then(|all| Some((all - from_sampling?).max(0.0))),
        sampling_share: match (from_sampling, of_item_means) {
            (Some(part), Some(all)) if all > 0.0 => Some((part / all).min(1.0)),
            _ => None,
        },
    }
}

/// Returns the unbiased estimate of pass@k: 1 − C(n−c, k)/C(n, k) (Chen et al. 2021).
///
/// The probability that at least one of `k` draws, taken without replacement from
/// `n` draws of which `correct` are right, is right. None if k is 0 or exceeds n,
/// or `correct` exceeds n.
pub fn pass_at_k(n: u64, correct: u64, k: u64) -> Option<f64> {
    if k == 0 || k > n || correct > n {
        return None;
    }
    if n - correct < k {
        return Some(1.0);
    }
    // Π over the correct draws of the chance that each stays outside the k taken.
    let mut none = 1.0;
    for i in 0..correct {
        none *= (n - k - i) as f64 / (n - i) as f64;
    }
    Some(1.0 - none)
}

/// Returns the probability that the strict majority of `k` of `n` draws is right.
///
/// Draws are taken without replacement; a tie of an even k counts one half. The
/// estimate is unbiased like [`pass_at_k`]. None if k is 0 or exceeds n, or
/// `correct` exceeds n.
pub fn majority_at_k(n: u64, correct: u64, k: u64) -> Option<f64> {
    if k == 0 || k > n || correct > n {
        return None;
    }
    let ln_choose = |n: u64, k: u64| {
        let ln_factorial = |v: u64| libm::lgamma(v as f64 + 1.0);
        ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
    };
    let wrong = n - correct;
    let (first, last) = (k.saturating_sub(wrong), k.min(correct));
    let (mut won, mut all) = (0.0, 0.0);
    for right in first..=last {
        let ways = ln_choose(correct, right) + ln_choose(wrong, k - right) - ln_choose(n, k);
        let share = libm::exp(ways);
        all += share;
        match (2 * right).cmp(&k) {
            core::cmp::Ordering::Greater => won += share,
            core::cmp::Ordering::Equal => won += 0.5 * share,
            core::cmp::Ordering::Less => {}
        }
    }
    // The masses sum to one but for rounding, which the ratio removes.
    Some(won / all)
}

/// Returns the score of the most frequent answer of one item.
///
/// `votes` are (draws, is right) per distinct answer. If several answers are most
/// frequent the score is the share of them that is right. None without a vote.
pub fn plurality(votes: &[(u64, bool)]) -> Option<f64> {
    let most = votes.iter().map(|vote| vote.0).max().filter(|&m| m > 0)?;
    let top = || votes.iter().filter(|vote| vote.0 == most);
    Some(top().filter(|vote| vote.1).count() as f64 / top().count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_counts_subsets() {
        assert_eq!(pass_at_k(4, 0, 2), Some(0.0));
        assert_eq!(pass_at_k(4, 1, 1), Some(0.25));
        // Of the six pairs from four draws with two right ones, one pair is all wrong.
        assert!((pass_at_k(4, 2, 2).unwrap() - 5.0 / 6.0).abs() < 1e-15);
        assert_eq!(pass_at_k(4, 3, 2), Some(1.0));
        assert_eq!(pass_at_k(4, 1, 5), None);
        assert_eq!(pass_at_k(4, 1, 0), None);
    }

    #[test]
    fn majority_counts_subsets_and_halves_ties() {
        // Pairs from two right and two wrong: one right, one wrong, four ties.
        assert!((majority_at_k(4, 2, 2).unwrap() - 0.5).abs() < 1e-14);
        // Triples from three right and two wrong: 1 + 6 of 10 have two or more right.
        assert!((majority_at_k(5, 3, 3).unwrap() - 0.7).abs() < 1e-13);
        assert_eq!(majority_at_k(5, 5, 5), Some(1.0));
        assert_eq!(majority_at_k(5, 0, 3), Some(0.0));
        assert_eq!(majority_at_k(3, 1, 4), None);
    }

    #[test]
    fn plurality_shares_ties() {
        assert_eq!(plurality(&[(3, false), (2, true)]), Some(0.0));
        assert_eq!(plurality(&[(2, false), (2, true), (1, true)]), Some(0.5));
        assert_eq!(plurality(&[]), None);
        assert_eq!(plurality(&[(0, true)]), None);
    }

    #[test]
    fn noise_alone_is_all_sampling() {
        let same = nested_variance([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        assert_eq!((same.of_item_means, same.within), (Some(0.0), Some(0.5)));
        assert_eq!((same.between, same.sampling_share), (Some(0.0), None));
        let steady = nested_variance([[0.0, 0.0], [1.0, 1.0]]);
        assert_eq!((steady.within, steady.sampling_share), (Some(0.0), Some(0.0)));
        assert_eq!(steady.between, steady.of_item_means);
    }

    #[test]
    fn single_draws_show_no_within_variance() {
        let single = nested_variance([vec![0.5], vec![1.0], vec![f64::NAN]]);
        assert_eq!((single.items, single.draws, single.within), (2, 2, None));
        assert_eq!((single.between, single.sampling_share), (None, None));
        assert_eq!(nested_variance::<Vec<f64>>([]).mean, None);
    }
}
