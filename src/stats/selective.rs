//! Selective answering: risk against coverage.

use super::exact_sum::exact_sum;

/// One item's behaviour, as shares of its draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectiveItem {
    /// The share of draws that answered instead of abstaining, in [0, 1].
    pub answered: f64,
    /// The share of draws that answered and were right, at most `answered`.
    ///
    /// Credit for abstaining on an unanswerable item does not belong here.
    pub correct: f64,
}

/// Coverage and risk at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskPoint {
    /// Items are kept if their share of abstained draws does not exceed this.
    pub threshold: f64,
    /// Answered draws of kept items over all draws of all items; none if there is no item.
    pub coverage: Option<f64>,
    /// The share of those answers that is right; none without an answer.
    pub accuracy: Option<f64>,
    /// 1 − accuracy.
    pub risk: Option<f64>,
}

/// The risk-coverage curve of one arm.
///
/// Items enter from the surest (fewest abstentions) to the least sure. Coverage
/// is relative to all items and grows with the threshold; risk stays in [0, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct RiskCurve {
    items: usize,
    /// Per distinct share of abstentions: (share, answered sum, correct sum).
    levels: Vec<(f64, f64, f64)>,
}

impl RiskCurve {
    /// Collects items; those with a share that is not finite are left out.
    ///
    /// Shares are clamped to [0, 1] and `correct` to `answered`.
    pub fn new(items: impl IntoIterator<Item = SelectiveItem>) -> Self {
        let mut rows: Vec<(f64, f64, f64)> = items
            .into_iter()
            .filter(|item| item.answered.is_finite() && item.correct.is_finite())
            .map(|item| {
                let answered = item.answered.clamp(0.0, 1.0);
                let abstained = super::lattice_round(1.0 - answered);
                (abstained, answered, item.correct.clamp(0.0, answered))
            })
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let levels = rows.chunk_by(|a, b| a.0 == b.0).map(|part| {
            let answered = exact_sum(part.iter().map(|row| row.1));
            let correct = exact_sum(part.iter().map(|row| row.2));
            (part[0].0, answered, correct)
        });
        Self { items: rows.len(), levels: levels.collect() }
    }

    /// Returns coverage and risk of the items that abstain on at most `threshold` of their draws.
    pub fn point(&self, threshold: f64) -> RiskPoint {
        let kept = || self.levels.iter().filter(|level| level.0 <= threshold);
        let answered = exact_sum(kept().map(|level| level.1));
        let correct = exact_sum(kept().map(|level| level.2));
        let accuracy = (answered > 0.0).then(|| (correct / answered).min(1.0));
        RiskPoint {
            threshold,
            coverage: (self.items > 0).then(|| answered / self.items as f64),
            accuracy,
            risk: accuracy.map(|a| 1.0 - a),
        }
    }

    /// Returns the coverage when every answer is kept; none if there is no item.
    pub fn full_coverage(&self) -> Option<f64> {
        self.point(1.0).coverage
    }

    /// Returns the mean risk over coverage from 0 to `coverage`: the area under the curve over its width.
    ///
    /// Within a level items are exchangeable, so risk at coverage x is (E + e (x −
    /// x₀))/x with E the errors before the level and e its error rate; that is
    /// integrated in closed form. Compare two arms at the smaller of their full
    /// coverages: an arm that abstains more is then not charged for its width.
    /// None if `coverage` is not positive or exceeds the full coverage.
    pub fn aurc_to(&self, coverage: f64) -> Option<f64> {
        let full = self.full_coverage()?;
        // The full coverage of another arm may differ in the last bit.
        if !(coverage > 0.0 && coverage <= full * (1.0 + 1e-12)) {
            return None;
        }
        let n = self.items as f64;
        let (mut x0, mut errors, mut area) = (0.0, 0.0, 0.0);
        for &(_, answered, correct) in &self.levels {
            if answered <= 0.0 || x0 >= coverage {
                continue;
            }
            let rate = ((answered - correct) / answered).max(0.0);
            let x1 = (x0 + answered / n).min(coverage);
            area += rate * (x1 - x0);
            if x0 > 0.0 {
                area += (errors - rate * x0) * libm::log(x1 / x0);
            }
            errors += rate * (x1 - x0);
            x0 = x1;
        }
        Some((area / x0).clamp(0.0, 1.0))
    }

    /// Returns the mean risk over the whole curve; none without an answer.
    pub fn aurc(&self) -> Option<f64> {
        self.aurc_to(self.full_coverage()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(items: &[(f64, f64)]) -> RiskCurve {
        let item = |&(answered, correct): &(f64, f64)| SelectiveItem { answered, correct };
        RiskCurve::new(items.iter().map(item))
    }

    #[test]
    fn coverage_is_over_all_items_and_grows() {
        let curve = curve(&[(1.0, 1.0), (0.5, 0.25), (0.0, 0.0), (1.0, 0.0)]);
        let points: Vec<RiskPoint> = [0.0, 0.5, 1.0].iter().map(|&t| curve.point(t)).collect();
        let coverage: Vec<_> = points.iter().map(|p| p.coverage).collect();
        assert_eq!(coverage, [Some(0.5), Some(0.625), Some(0.625)]);
        assert_eq!(points[0].risk, Some(0.5));
        assert_eq!(points[2].accuracy, Some(0.5));
    }

    #[test]
    fn constant_risk_is_its_own_area() {
        let curve = curve(&[(1.0, 0.75), (0.8, 0.6), (0.4, 0.3)]);
        assert!((curve.aurc().unwrap() - 0.25).abs() < 1e-14);
        assert!((curve.aurc_to(0.1).unwrap() - 0.25).abs() < 1e-14);
        assert_eq!(curve.aurc_to(0.9), None);
    }

    #[test]
    fn area_is_the_integral() {
        let curve = curve(&[(1.0, 0.9), (0.6, 0.3), (0.3, 0.0)]);
        // Midpoint rule on the curve, drawn by hand: errors accumulate level by level.
        let risk = |x: f64| {
            let x = 3.0 * x;
            let errors = if x < 1.0 {
                0.1 * x
            } else if x < 1.6 {
                0.1 + 0.5 * (x - 1.0)
            } else {
                0.4 + (x - 1.6)
            };
            errors / x
        };
        let (full, steps) = (1.9 / 3.0, 100_000);
        let width = full / f64::from(steps);
        let sum: f64 = (0..steps).map(|i| risk((f64::from(i) + 0.5) * width)).sum();
        let mean = sum / f64::from(steps);
        assert!((curve.aurc().unwrap() - mean).abs() < 1e-9);
    }

    #[test]
    fn no_answer_has_no_risk() {
        let silent = curve(&[(0.0, 0.0)]);
        assert_eq!((silent.full_coverage(), silent.aurc()), (Some(0.0), None));
        assert_eq!(silent.point(1.0).risk, None);
        assert_eq!(curve(&[]).full_coverage(), None);
    }
}
