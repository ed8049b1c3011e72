//! Signed ranks of paired differences.

use super::differences::Differences;

/// What becomes of differences of zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zeros {
    /// Dropped before ranking (Wilcoxon 1945).
    Wilcox,
    /// Ranked, and their ranks dropped (Pratt 1959).
    Pratt,
    /// Ranked, and their ranks split between both sums.
    Split,
}

impl Zeros {
    /// Returns the name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wilcox => "wilcox",
            Self::Pratt => "pratt",
            Self::Split => "zsplit",
        }
    }
}

/// A group of differences of equal magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RankGroup {
    /// Twice the mid-rank: a whole number.
    pub(crate) doubled_rank: u64,
    /// Positive differences.
    pub(crate) positive: u64,
    /// Negative differences.
    pub(crate) negative: u64,
}

impl RankGroup {
    pub(crate) fn size(self) -> u64 {
        self.positive + self.negative
    }
}

/// Signed ranks with tied magnitudes at their mid-rank, in doubled whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRanks {
    /// Groups of equal magnitude above zero, in increasing order.
    pub(crate) groups: Vec<RankGroup>,
    /// The number of zeros.
    pub(crate) zeros: u64,
    /// What became of them.
    pub(crate) method: Zeros,
}

impl SignedRanks {
    /// Ranks the magnitudes of differences.
    pub fn new(differences: &Differences, method: Zeros) -> Self {
        let (_, zeros, _) = differences.signs();
        let runs = differences.runs();
        let mut below = runs.iter().rev().filter(|run| run.value < 0.0).peekable();
        let mut above = runs.iter().filter(|run| run.value > 0.0).peekable();
        let mut ranked = if method == Zeros::Wilcox { 0 } else { zeros };
        let mut groups = Vec::new();
        loop {
            let magnitude = match (below.peek(), above.peek()) {
                (None, None) => break,
                (Some(b), None) => -b.value,
                (None, Some(a)) => a.value,
                (Some(b), Some(a)) => a.value.min(-b.value),
            };
            let negative = below.next_if(|run| -run.value == magnitude);
            let positive = above.next_if(|run| run.value == magnitude);
            let mut group = RankGroup {
                doubled_rank: 0,
                positive: positive.map_or(0, |run| run.count),
                negative: negative.map_or(0, |run| run.count),
            };
            group.doubled_rank = 2 * ranked + group.size() + 1;
            ranked += group.size();
            groups.push(group);
        }
        Self { groups, zeros, method }
    }

    /// Returns the number of differences that are not zero.
    pub fn nonzero(&self) -> u64 {
        self.groups.iter().map(|group| group.size()).sum()
    }

    /// Returns twice (W+, W−) of the differences that are not zero.
    pub(crate) fn doubled_sums(&self) -> (u64, u64) {
        self.groups.iter().fold((0, 0), |(plus, minus), group| {
            (plus + group.doubled_rank * group.positive, minus + group.doubled_rank * group.negative)
        })
    }

    /// Returns (W+, W−), with the zeros' ranks split if the method says so.
    pub fn sums(&self) -> (f64, f64) {
        let (plus, minus) = self.doubled_sums();
        let shared = match self.method {
            // The zeros hold the ranks 1..=z; each sum gets half of z(z+1)/2.
            Zeros::Split => 0.25 * self.zeros as f64 * (self.zeros as f64 + 1.0),
            _ => 0.0,
        };
        (0.5 * plus as f64 + shared, 0.5 * minus as f64 + shared)
    }

    /// Returns the matched-pairs rank-biserial correlation (W+ − W−) / (W+ + W−) (Kerby 2014).
    ///
    /// None where every difference is zero.
    pub fn rank_biserial(&self) -> Option<f64> {
        let (plus, minus) = self.doubled_sums();
        (plus + minus > 0).then(|| (plus as f64 - minus as f64) / (plus + minus) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mid_rank() {
        let d = Differences::from_deltas([0.0, 1.0, -1.0, 2.0, 0.0]);
        let wilcox = SignedRanks::new(&d, Zeros::Wilcox);
        assert_eq!(wilcox.sums(), (4.5, 1.5));
        let pratt = SignedRanks::new(&d, Zeros::Pratt);
        assert_eq!(pratt.sums(), (8.5, 3.5));
        let split = SignedRanks::new(&d, Zeros::Split);
        assert_eq!(split.sums(), (10.0, 5.0));
        assert_eq!(wilcox.rank_biserial(), Some(0.5));
        assert_eq!(wilcox.nonzero(), 3);
    }

    #[test]
    fn only_zeros_have_no_correlation() {
        let d = Differences::from_deltas([0.0, 0.0]);
        let ranks = SignedRanks::new(&d, Zeros::Pratt);
        assert_eq!((ranks.nonzero(), ranks.rank_biserial()), (0, None));
    }
}
