//! Binomial and multinomial random numbers.

use super::special::binomial_ln_mass;
use super::stream::Stream;

impl Stream {
    /// Returns a Binomial(n, p) number.
    ///
    /// p above ½ counts failures instead. A mean below 10 is found by inversion
    /// from 0 upward with one uniform number; else by transformed rejection
    /// (Hörmann 1993, algorithm BTRS) against the mass of the mode, from two
    /// uniform numbers a trial. Both follow the binomial law to the rounding of
    /// its mass.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial_small(n, 1.0 - p, p);
        }
        self.binomial_small(n, p, 1.0 - p)
    }

    fn binomial_small(&mut self, n: u64, p: f64, q: f64) -> u64 {
        let nf = n as f64;
        if nf * p < 10.0 {
            return self.binomial_by_inversion(n, p, q);
        }
        let spread = libm::sqrt(nf * p * q);
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = nf * p + 0.5;
        let squeeze = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let mut ln_mode = None;
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = libm::floor((2.0 * a / us + b) * u + centre);
            if us >= 0.07 && v <= squeeze {
                return k as u64;
            }
            if !(k >= 0.0 && k <= nf) {
                continue;
            }
            let mode = libm::floor((nf + 1.0) * p) as u64;
            let ln_mode = *ln_mode.get_or_insert_with(|| binomial_ln_mass(mode, n, p, q));
            let height = libm::log(v * alpha / (a / (us * us) + b));
            if height <= binomial_ln_mass(k as u64, n, p, q) - ln_mode {
                return k as u64;
            }
        }
    }

    fn binomial_by_inversion(&mut self, n: u64, p: f64, q: f64) -> u64 {
        let odds = p / q;
        let mut mass = libm::exp(n as f64 * libm::log1p(-p));
        let mut u = self.uniform();
        let mut k = 0;
        while u >= mass && k < n {
            u -= mass;
            mass *= odds * (n - k) as f64 / (k + 1) as f64;
            k += 1;
        }
        k
    }

    /// Fills `out` with the counts of a multinomial sample of Σ `counts` draws with weights `counts`.
    ///
    /// One conditional binomial number per cell, in order; the last cell takes the rest.
    pub(crate) fn resampled_counts(&mut self, counts: &[u64], out: &mut Vec<u64>) {
        out.clear();
        let mut weight: u64 = counts.iter().sum();
        let mut rest = weight;
        for &count in counts {
            let taken = if count == weight { rest } else { self.binomial(rest, count as f64 / weight as f64) };
            out.push(taken);
            rest -= taken;
            weight -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pearson's statistic of draws against the exact masses, cells pooled to expectations of 5.
    fn misfit(n: u64, p: f64, draws: u32) -> (f64, f64) {
        let mut stream = Stream::derive(11, "binomial");
        let mut seen = vec![0_u32; n as usize + 1];
        for _ in 0..draws {
            seen[stream.binomial(n, p) as usize] += 1;
        }
        let (mut statistic, mut cells) = (0.0, -1.0);
        let (mut expected, mut observed) = (0.0, 0.0);
        for (k, count) in seen.iter().enumerate() {
            let mass = libm::exp(binomial_ln_mass(k as u64, n, p, 1.0 - p));
            expected += mass * f64::from(draws);
            observed += f64::from(*count);
            if expected >= 5.0 {
                statistic += (observed - expected) * (observed - expected) / expected;
                cells += 1.0;
                (expected, observed) = (0.0, 0.0);
            }
        }
        (statistic, cells)
    }

    #[test]
    fn draws_follow_the_binomial_law() {
        for (n, p) in [(5, 0.3), (40, 0.2), (25, 0.5), (300, 0.7), (1000, 0.031)] {
            let (statistic, df) = misfit(n, p, 40_000);
            let tail = super::super::special::chi_squared_sf(statistic, df);
            assert!(tail > 1e-4, "n {n} p {p}: {statistic} on {df}");
        }
    }

    #[test]
    fn certain_outcomes_need_no_randomness() {
        let mut stream = Stream::derive(1, "edge");
        assert_eq!(stream.binomial(0, 0.5), 0);
        assert_eq!(stream.binomial(9, 0.0), 0);
        assert_eq!(stream.binomial(9, 1.0), 9);
        let mut out = Vec::new();
        stream.resampled_counts(&[4], &mut out);
        assert_eq!(out, [4]);
        stream.resampled_counts(&[3, 1, 6], &mut out);
        assert_eq!(out.iter().sum::<u64>(), 10);
    }
}
