//! The 2 × 2 table of paired binary outcomes and its difference of proportions.

use super::interval::{Interval, Method, is_level, upper_share};
use super::mcnemar::{McNemar, mcnemar};
use super::proportion::wilson_ends;
use super::special::normal_quantile;

/// Counts of pairs by which arm succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PairedTable {
    /// Both arms succeeded.
    pub both: u64,
    /// Only treatment succeeded: McNemar's b.
    pub only_treatment: u64,
    /// Only control succeeded: McNemar's c.
    pub only_control: u64,
    /// Neither succeeded.
    pub neither: u64,
}

impl PairedTable {
    /// Counts (control, treatment) outcomes.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut table = Self::default();
        for (control, treatment) in pairs {
            *match (control, treatment) {
                (true, true) => &mut table.both,
                (false, true) => &mut table.only_treatment,
                (true, false) => &mut table.only_control,
                (false, false) => &mut table.neither,
            } += 1;
        }
        table
    }

    /// Returns the number of pairs.
    pub fn n(&self) -> u64 {
        self.both + self.only_treatment + self.only_control + self.neither
    }

    /// Returns the number of successes of (control, treatment).
    pub fn successes(&self) -> (u64, u64) {
        (self.both + self.only_control, self.both + self.only_treatment)
    }

    /// Returns the difference of proportions treatment − control, none if there is no pair.
    pub fn difference(&self) -> Option<f64> {
        let n = self.n() as f64;
        (n > 0.0).then(|| (self.only_treatment as f64 - self.only_control as f64) / n)
    }

    /// Returns McNemar's test.
    pub fn mcnemar(&self) -> McNemar {
        mcnemar(self.only_treatment, self.only_control)
    }

    /// Returns Newcombe's interval, method 10 of Newcombe (1998), from Wilson's intervals of both arms.
    ///
    /// φ is corrected for continuity where positive and 0 where a margin is
    /// empty. None if there is no pair.
    pub fn newcombe(&self, level: f64) -> Option<Interval> {
        self.newcombe_with(level, true, Method::Newcombe)
    }

    /// Returns Newcombe's interval without the correction of φ.
    pub fn newcombe_plain(&self, level: f64) -> Option<Interval> {
        self.newcombe_with(level, false, Method::NewcombePlain)
    }

    fn newcombe_with(&self, level: f64, corrected: bool, method: Method) -> Option<Interval> {
        let difference = self.difference()?;
        if !is_level(level) {
            return None;
        }
        let n = self.n();
        let z = normal_quantile(upper_share(level));
        let (control, treatment) = self.successes();
        let gaps = |k: u64| {
            let (lower, upper) = wilson_ends(k, n, z);
            let p = k as f64 / n as f64;
            (p - lower, upper - p)
        };
        let ((c_down, c_up), (t_down, t_up)) = (gaps(control), gaps(treatment));
        let phi = self.phi(corrected);
        let root = |a: f64, b: f64| {
            // a² − 2φab + b² as a sum of squares: never negative.
            libm::sqrt((a - b) * (a - b) + 2.0 * (1.0 - phi) * a * b)
        };
        let lower = difference - root(t_down, c_up);
        let upper = difference + root(t_up, c_down);
        Interval::checked(lower, upper, level, method)
    }

    /// Returns the φ coefficient of the table, 0 where a margin is empty.
    fn phi(&self, corrected: bool) -> f64 {
        let n = self.n() as f64;
        let (a, b) = (self.both as f64, self.only_treatment as f64);
        let (c, d) = (self.only_control as f64, self.neither as f64);
        let margins = (a + b) * (c + d) * (a + c) * (b + d);
        if margins == 0.0 {
            return 0.0;
        }
        let product = a * d - b * c;
        let product = if corrected && product > 0.0 { (product - 0.5 * n).max(0.0) } else { product };
        product / libm::sqrt(margins)
    }

    /// Returns Bonett and Price's adjusted Wald interval (2012): one pair added to each discordant cell.
    ///
    /// None if there is no pair.
    pub fn bonett_price(&self, level: f64) -> Option<Interval> {
        let n = self.n() as f64;
        if n == 0.0 {
            return None;
        }
        let b = (self.only_treatment as f64 + 1.0) / (n + 2.0);
        let c = (self.only_control as f64 + 1.0) / (n + 2.0);
        wald(b, c, n + 2.0, level, Method::BonettPrice)
    }

    /// Returns Wald's interval, for comparison only: it has no width without discordant pairs.
    pub fn wald(&self, level: f64) -> Option<Interval> {
        let n = self.n() as f64;
        if n == 0.0 {
            return None;
        }
        let (b, c) = (self.only_treatment as f64 / n, self.only_control as f64 / n);
        wald(b, c, n, level, Method::WaldPaired)
    }
}

/// Returns b − c ± z sqrt((b + c − (b − c)²)/n) for discordant shares b and c.
fn wald(b: f64, c: f64, n: f64, level: f64, method: Method) -> Option<Interval> {
    if !is_level(level) {
        return None;
    }
    let difference = b - c;
    let variance = (b + c - difference * difference).max(0.0) / n;
    let half = normal_quantile(upper_share(level)) * libm::sqrt(variance);
    Interval::checked(difference - half, difference + half, level, method)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: PairedTable = PairedTable { both: 30, only_treatment: 9, only_control: 4, neither: 12 };

    #[test]
    fn swapping_arms_mirrors_every_interval() {
        let swapped = PairedTable { only_treatment: TABLE.only_control, only_control: TABLE.only_treatment, ..TABLE };
        let makers = [PairedTable::newcombe, PairedTable::newcombe_plain, PairedTable::bonett_price, PairedTable::wald];
        for make in makers {
            let (a, b) = (make(&TABLE, 0.95).unwrap(), make(&swapped, 0.95).unwrap());
            assert!((a.lower + b.upper).abs() < 1e-15 && (a.upper + b.lower).abs() < 1e-15);
            assert!(make(&PairedTable::default(), 0.95).is_none());
            assert!(make(&TABLE, 1.5).is_none());
        }
        assert_eq!(TABLE.mcnemar().p_exact, swapped.mcnemar().p_exact);
    }

    #[test]
    fn outcomes_are_counted_into_their_cells() {
        let pairs = [(true, true), (false, true), (true, false), (false, true)];
        let table = PairedTable::of(pairs);
        assert_eq!((table.n(), table.successes()), (4, (2, 3)));
        assert_eq!(table.difference(), Some(0.25));
        assert_eq!((table.mcnemar().b, table.mcnemar().c), (2, 1));
    }
}
