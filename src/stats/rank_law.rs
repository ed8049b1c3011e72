//! The null law of Wilcoxon's W+ without ties.

use super::fair_sum::FairSum;

/// Ranks up to this count are convolved; beyond it the law is inverted.
const CONVOLVED: u64 = 120;

/// The law of W+ = Σ i Bᵢ over the ranks 1..=n and fair bits.
#[derive(Debug, Clone)]
pub(crate) struct RankLaw {
    n: u64,
    /// (frequency, characteristic function of the centred sum, weight) of the inversion.
    frequencies: Vec<(f64, f64)>,
    period: f64,
}

impl RankLaw {
    pub(crate) fn new(n: u64) -> Self {
        let mut law = Self { n, frequencies: Vec::new(), period: 0.0 };
        if n > CONVOLVED {
            let nf = n as f64;
            let sd = libm::sqrt(nf * (nf + 1.0) * (2.0 * nf + 1.0) / 24.0);
            law.period = libm::ceil(20.0 * sd) * 2.0;
            // Beyond 9.6 standard units the characteristic function is below 1e-20.
            let last = 9.6 / sd;
            let unit = 2.0 * core::f64::consts::PI / law.period;
            let cumulants = Cumulants::new(n);
            let mut j = 1.0;
            while j * unit <= last {
                law.frequencies.push((j * unit, cumulants.characteristic(j * unit)));
                j += 2.0;
            }
        }
        law
    }

    fn largest(&self) -> u64 {
        self.n * (self.n + 1) / 2
    }

    /// Returns P(W+ ≤ w), exact to 1e-12 or better.
    ///
    /// Beyond 120 ranks by inversion on the lattice: with φ the characteristic
    /// function of W+ − mean and t_j = 2πj/N, P = ½ + (2/N) Σ_{odd j} φ(t_j)
    /// sin(t_j (w − mean + ½)) / sin(t_j/2); a period N of 40 standard deviations
    /// leaves nothing to wrap around.
    pub(crate) fn cdf(&self, w: u64) -> f64 {
        if w >= self.largest() {
            return 1.0;
        }
        if self.n <= CONVOLVED {
            let law = FairSum::new((1..=self.n).map(|rank| (rank, 1)));
            // 120 ranks need 120 × 7,260 additions at most: never too costly.
            return law.cdf(w).unwrap_or(1.0);
        }
        let distance = w as f64 - 0.5 * self.largest() as f64 + 0.5;
        let half_period = 0.5 * self.period;
        if distance.abs() >= half_period {
            return if distance > 0.0 { 1.0 } else { 0.0 };
        }
        let sum: f64 =
            self.frequencies.iter().map(|&(t, phi)| phi * libm::sin(t * distance) / libm::sin(0.5 * t)).sum();
        (0.5 + 2.0 * sum / self.period).clamp(0.0, 1.0)
    }

    /// Returns the smallest w with P(W+ ≤ w) > `tail`.
    pub(crate) fn first_above(&self, tail: f64) -> u64 {
        let (mut low, mut high) = (0, self.largest());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.cdf(middle) > tail {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// Coefficients of −ln cos x = x²/2 + x⁴/12 + x⁶/45 + 17x⁸/2520 + 31x¹⁰/14175 + 691x¹²/935550 + …
const LN_COSINE: [f64; 6] = [1.0 / 2.0, 1.0 / 12.0, 1.0 / 45.0, 17.0 / 2520.0, 31.0 / 14175.0, 691.0 / 935_550.0];

/// Evaluates Π cos(i t / 2) over i = 1..=n.
struct Cumulants {
    n: u64,
    /// Σ (i/n)^(2m) for m = 1..=6.
    power_sums: [f64; 6],
}

impl Cumulants {
    /// Beyond this count the logarithm's series is exact to rounding where it matters.
    const SERIES: u64 = 2_000;

    fn new(n: u64) -> Self {
        let mut power_sums = [0.0; 6];
        if n > Self::SERIES {
            for i in 1..=n {
                let share = i as f64 / n as f64;
                let square = share * share;
                let mut power = 1.0;
                for sum in &mut power_sums {
                    power *= square;
                    *sum += power;
                }
            }
        }
        Self { n, power_sums }
    }

    fn characteristic(&self, t: f64) -> f64 {
        if self.n <= Self::SERIES {
            return (1..=self.n).map(|i| libm::cos(0.5 * t * i as f64)).product();
        }
        let x = 0.5 * t * self.n as f64;
        let square = x * x;
        let mut power = 1.0;
        let mut ln = 0.0;
        for (coefficient, sum) in LN_COSINE.iter().zip(&self.power_sums) {
            power *= square;
            ln -= coefficient * power * sum;
        }
        libm::exp(ln)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inversion_meets_convolution() {
        for n in [121_u64, 150] {
            let law = RankLaw::new(n);
            let exact = FairSum::new((1..=n).map(|rank| (rank, 1)));
            for w in [0, 500, 1500, 2500, law.largest() / 2, law.largest() - 900] {
                let gap = law.cdf(w) - exact.cdf(w).unwrap();
                assert!(gap.abs() < 1e-12, "{n} {w}: {gap}");
            }
        }
    }

    #[test]
    fn series_meets_the_product() {
        let n = 2_001;
        let series = Cumulants::new(n);
        let sd = libm::sqrt(n as f64 * 2002.0 * 4003.0 / 24.0);
        for z in [0.1, 1.0, 3.0, 6.0] {
            let t = z / sd;
            let exact: f64 = (1..=n).map(|i| libm::cos(0.5 * t * i as f64)).product();
            assert!((series.characteristic(t) / exact - 1.0).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn tabulated_critical_values_are_found() {
        // Published lower critical values of W at two-sided 0.05.
        for (n, critical) in [(6, 0), (10, 8), (20, 52), (25, 89), (30, 137), (50, 434)] {
            let first = RankLaw::new(n).first_above(0.025);
            assert_eq!(first, critical + 1, "{n}");
        }
    }
}
