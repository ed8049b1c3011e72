//! Order statistics of Walsh averages without listing them.

use super::differences::Differences;

/// Sums of two differences, counted by two moving ends instead of listed.
pub(crate) struct Walsh<'a> {
    differences: &'a Differences,
    /// Differences in the runs before each run, with the total at the end.
    before: Vec<u64>,
}

impl<'a> Walsh<'a> {
    pub(crate) fn new(differences: &'a Differences) -> Self {
        let mut before = vec![0];
        let mut total = 0;
        for run in differences.runs() {
            total += run.count;
            before.push(total);
        }
        Self { differences, before }
    }

    /// Returns the number of averages, n (n + 1) / 2.
    pub(crate) fn count(&self) -> u64 {
        let n = self.differences.n();
        n * (n + 1) / 2
    }

    /// Counts pairs i ≤ j with d_i + d_j ≤ `sum`, in one pass over the distinct values.
    ///
    /// Addition of doubles is monotone in each term, so the two-ended walk is
    /// right for the rounded sums too.
    fn at_most(&self, sum: f64) -> u64 {
        let runs = self.differences.runs();
        let mut end = runs.len();
        let mut count = 0;
        for (i, run) in runs.iter().enumerate() {
            while end > 0 && run.value + runs[end - 1].value > sum {
                end -= 1;
            }
            if end <= i {
                break;
            }
            count += run.count * (run.count + 1) / 2;
            count += run.count * (self.before[end] - self.before[i + 1]);
        }
        count
    }

    /// Returns twice the average at `rank`, counted from 1 in increasing order.
    ///
    /// Bisects the doubles between the extreme sums; at most 64 passes, and the
    /// result is a sum that occurs.
    pub(crate) fn doubled(&self, rank: u64) -> Option<f64> {
        let runs = self.differences.runs();
        let (first, last) = (runs.first()?.value, runs.last()?.value);
        if rank == 0 || rank > self.count() {
            return None;
        }
        let (mut low, mut high) = (order_key(first + first), order_key(last + last));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at_most(of_order_key(middle)) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(of_order_key(low))
    }
}

/// Maps doubles to integers of the same order.
fn order_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn of_order_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_rank_matches_the_sorted_list(
            deltas in proptest::collection::vec(-9_i8..10, 1..25), scale in 1_u8..8
        ) {
            let d = Differences::from_deltas(
                deltas.iter().map(|&d| f64::from(d) / f64::from(scale)),
            );
            let values: Vec<f64> = (0..d.n()).map(|r| d.order_statistic(r).unwrap()).collect();
            let mut sums: Vec<f64> = Vec::new();
            for i in 0..values.len() {
                for j in i..values.len() {
                    sums.push(values[i] + values[j]);
                }
            }
            sums.sort_by(f64::total_cmp);
            let walsh = Walsh::new(&d);
            prop_assert_eq!(walsh.count() as usize, sums.len());
            for (i, sum) in sums.iter().enumerate() {
                prop_assert_eq!(walsh.doubled(i as u64 + 1), Some(*sum));
            }
            prop_assert_eq!(walsh.doubled(0), None);
            prop_assert_eq!(walsh.doubled(sums.len() as u64 + 1), None);
        }
    }
}
