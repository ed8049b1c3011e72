//! The Hodges-Lehmann estimate of a shift.

use super::differences::Differences;
use super::interval::{Interval, Method, is_level};
use super::lattice::lattice_round;
use super::rank_law::RankLaw;
use super::walsh::Walsh;

/// Returns the median of all Walsh averages (d_i + d_j)/2 with i ≤ j (Hodges and Lehmann 1963).
///
/// Zeros count. Exact at every n, in memory of the order of the distinct values
/// and 64 passes over them. None if there is no pair.
pub fn hodges_lehmann(differences: &Differences) -> Option<f64> {
    let walsh = Walsh::new(differences);
    let count = walsh.count();
    let lower = walsh.doubled(count.div_ceil(2))?;
    let upper = walsh.doubled(count / 2 + 1)?;
    Some(lattice_round(0.25 * (lower + upper)))
}

/// Returns the interval of Walsh averages that the exact signed-rank law cuts off.
///
/// With w the smallest value for which P(W+ ≤ w) > (1 − level)/2, the ends are
/// the w-th average from below and from above (Hollander, Wolfe and Chicken 2014,
/// §3.3). The law is the one without ties, so with ties and zeros the interval is
/// conservative. None where n is too small for the level: at 95 % below 6 pairs.
pub fn hodges_lehmann_interval(differences: &Differences, level: f64) -> Option<Interval> {
    if !is_level(level) || differences.n() == 0 {
        return None;
    }
    let rank = RankLaw::new(differences.n()).first_above(0.5 * (1.0 - level));
    if rank == 0 {
        return None;
    }
    let walsh = Walsh::new(differences);
    let lower = 0.5 * walsh.doubled(rank)?;
    let upper = 0.5 * walsh.doubled(walsh.count() + 1 - rank)?;
    Interval::checked(lattice_round(lower), lattice_round(upper), level, Method::HodgesLehmannExact)
}

#[cfg(test)]
mod tests {
    use super::super::stream::Stream;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_median_of_differences_is_something_else() {
        let d = Differences::from_deltas([0.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(d.median(), Some(0.0));
        assert_eq!(hodges_lehmann(&d), Some(0.5));
        assert_eq!(hodges_lehmann(&Differences::default()), None);
        assert_eq!(hodges_lehmann(&Differences::from_deltas([0.25])), Some(0.25));
    }

    #[test]
    fn five_pairs_cannot_reach_95_percent() {
        let d = Differences::from_deltas([1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(hodges_lehmann_interval(&d, 0.95), None);
        let six = Differences::from_deltas([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let interval = hodges_lehmann_interval(&six, 0.95).unwrap();
        assert_eq!((interval.lower, interval.upper), (1.0, 6.0));
        assert!(hodges_lehmann_interval(&d, 0.9).is_some());
        assert_eq!(hodges_lehmann_interval(&Differences::default(), 0.9), None);
    }

    #[test]
    fn huge_samples_need_no_list() {
        let mut stream = Stream::derive(1, "hl");
        let d = Differences::from_deltas((0..20_000).map(|_| stream.uniform() - 0.25));
        let estimate = hodges_lehmann(&d).unwrap();
        let interval = hodges_lehmann_interval(&d, 0.95).unwrap();
        assert!(interval.contains(estimate) && interval.contains(0.25));
        assert!(interval.width() < 0.01);
    }

    proptest! {
        #[test]
        fn swapping_arms_mirrors_estimate_and_interval(
            deltas in proptest::collection::vec(-9_i8..10, 6..40)
        ) {
            let d = Differences::from_deltas(deltas.iter().map(|&d| f64::from(d) / 7.0));
            let swapped = d.swapped();
            prop_assert_eq!(hodges_lehmann(&d).map(|h| 0.0 - h), hodges_lehmann(&swapped));
            prop_assert_eq!(
                hodges_lehmann_interval(&d, 0.95).map(Interval::negated),
                hodges_lehmann_interval(&swapped, 0.95)
            );
        }
    }
}
