//! Draws nested in items, given by their sums.

use super::exact_sum::exact_sum;
use super::mean::mean;
use super::nested::{NestedVariance, split};

/// The draws of one item under one arm, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DrawMoments {
    /// The number of draws.
    pub draws: u64,
    /// The sum of their scores.
    pub sum: f64,
    /// The sum of the squares of their scores.
    pub squares: f64,
}

impl DrawMoments {
    /// Returns the mean score, none without a draw.
    pub fn mean(&self) -> Option<f64> {
        (self.draws > 0).then(|| self.sum / self.draws as f64)
    }

    /// Returns the unbiased variance between draws, (Σx² − (Σx)²/K)/(K − 1), at least 0; none below two draws.
    pub fn variance(&self) -> Option<f64> {
        let count = self.draws as f64;
        (self.draws > 1).then(|| ((self.squares - self.sum * self.sum / count) / (count - 1.0)).max(0.0))
    }

    /// Returns how many draws are right, where every score is 0 or 1: then the squares add up as the scores do.
    pub fn right(&self) -> Option<u64> {
        let whole = self.sum >= 0.0 && self.sum <= self.draws as f64 && libm::trunc(self.sum) == self.sum;
        (whole && self.squares == self.sum).then_some(self.sum as u64)
    }
}

/// Splits the variance of scores into what items and what draws contribute, as [`super::nested_variance`] does.
///
/// Items without a draw, or with a sum that is not finite, are left out.
pub fn nested_variance_of_moments(items: impl IntoIterator<Item = DrawMoments>) -> NestedVariance {
    let (mut means, mut variances, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut draws = 0;
    for item in items {
        let Some(centre) = item.mean().filter(|mean| mean.is_finite()) else { continue };
        draws += item.draws;
        means.push(centre);
        rates.push(1.0 / item.draws as f64);
        variances.extend(item.variance());
    }
    let average = |values: &[f64]| {
        let n = values.len() as f64;
        (n > 0.0).then(|| exact_sum(values.iter().copied()) / n)
    };
    let within = average(&variances);
    split(mean(&means), draws, within, average(&rates))
}

#[cfg(test)]
mod tests {
    use super::super::nested_variance;
    use super::*;

    fn moments(draws: &[f64]) -> DrawMoments {
        DrawMoments {
            draws: draws.len() as u64,
            sum: draws.iter().sum(),
            squares: draws.iter().map(|draw| draw * draw).sum(),
        }
    }

    #[test]
    fn sums_say_what_the_draws_say() {
        let items = [vec![0.0, 1.0, 1.0], vec![0.5], vec![0.25, 0.75], vec![]];
        let whole = nested_variance(&items);
        let summed = nested_variance_of_moments(items.iter().map(|item| moments(item)));
        assert_eq!((whole.items, whole.draws, whole.mean), (summed.items, summed.draws, summed.mean));
        let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-15;
        assert!(near(whole.within, summed.within) && near(whole.between, summed.between));
        assert!(near(whole.sampling_share, summed.sampling_share));
        assert_eq!(nested_variance_of_moments([]).mean, None);
    }

    #[test]
    fn right_draws_are_counted_where_scores_are_right_or_wrong() {
        assert_eq!(moments(&[1.0, 0.0, 1.0]).right(), Some(2));
        assert_eq!(moments(&[0.5, 0.5]).right(), None);
        assert_eq!(moments(&[]).right(), Some(0));
    }
}
