//! A marginal logistic model of right and wrong answers.

use super::arm_cells::{ArmCells, ArmModel};

/// Steps that are smaller than this end the iteration.
const TOLERANCE: f64 = 1e-12;

/// Fits logit P(right) = a + b x treatment by generalised estimating equations with an exchangeable working correlation
/// (Liang and Zeger 1986).
///
/// `clusters` holds, for each cluster of dependent rows, how many rows each arm has and how many are right. Within a
/// cluster the working variance is A^½ R A^½, R having one correlation; that is its moment estimate Σ pairs r_i r_j /
/// (scale × (pairs − 2)) with Pearson residuals r and scale Σ r² / (rows − 2). Errors are the sandwich estimator, without
/// a correction for few clusters. None where an arm has no row or is all right or all wrong (its logit is infinite),
/// where there are fewer than three clusters, and where the iteration does not settle.
pub fn logistic_gee(clusters: &[ArmCells]) -> Option<ArmModel> {
    let clusters: Vec<&ArmCells> = clusters.iter().filter(|cells| cells.rows() > 0.0).collect();
    let mut all = ArmCells::default();
    for cells in &clusters {
        all.add(cells);
    }
    let share = [0, 1].map(|arm| all.sum[arm] / all.n[arm]);
    if clusters.len() < 3 || !share.iter().all(|&share| share > 0.0 && share < 1.0) {
        return None;
    }
    let logit = share.map(|share| libm::log(share / (1.0 - share)));
    let mut params = [logit[0], logit[1] - logit[0]];
    let mut correlation = correlation_at(&clusters, params)?;
    for _ in 0..200 {
        let (score, information, _) = equations(&clusters, params, correlation);
        let inverse = inverse(information)?;
        let step = times(inverse, score);
        params = [params[0] + step[0], params[1] + step[1]];
        let next = correlation_at(&clusters, params)?;
        let moved = step[0].abs().max(step[1].abs()).max((next - correlation).abs());
        correlation = next;
        if moved < TOLERANCE {
            let (_, information, meat) = equations(&clusters, params, correlation);
            let bread = self::inverse(information)?;
            let variances = sandwich(bread, meat);
            let model = ArmModel {
                params,
                standard_errors: variances.map(libm::sqrt),
                correlation,
                clusters: clusters.len() as u64,
                rows: all.rows() as u64,
            };
            return model.standard_errors.iter().all(|se| se.is_finite() && *se > 0.0).then_some(model);
        }
    }
    None
}

fn expit(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn means(params: [f64; 2]) -> [f64; 2] {
    [expit(params[0]), expit(params[0] + params[1])]
}

fn correlation_at(clusters: &[&ArmCells], params: [f64; 2]) -> Option<f64> {
    let mu = means(params);
    let (mut squares, mut products, mut rows, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for cells in clusters {
        let (mut own, mut sum) = (0.0, 0.0);
        for (arm, mu) in mu.into_iter().enumerate() {
            let variance = mu * (1.0 - mu);
            own += (cells.squares[arm] - 2.0 * mu * cells.sum[arm] + cells.n[arm] * mu * mu) / variance;
            sum += (cells.sum[arm] - cells.n[arm] * mu) / libm::sqrt(variance);
        }
        squares += own;
        products += 0.5 * (sum * sum - own);
        rows += cells.rows();
        pairs += 0.5 * cells.rows() * (cells.rows() - 1.0);
    }
    if pairs <= 2.0 || rows <= 2.0 {
        return Some(0.0);
    }
    let scale = squares / (rows - 2.0);
    let correlation = products / scale / (pairs - 2.0);
    correlation.is_finite().then_some(correlation)
}

/// Returns the score, the information and the sum of squared cluster scores at a parameter.
fn equations(clusters: &[&ArmCells], params: [f64; 2], correlation: f64) -> ([f64; 2], [f64; 3], [f64; 3]) {
    let mu = means(params);
    let root = mu.map(|mu| libm::sqrt(mu * (1.0 - mu)));
    let (mut score, mut information, mut meat) = ([0.0; 2], [0.0; 3], [0.0; 3]);
    for cells in clusters {
        let size = cells.rows();
        // R⁻¹ = (I − share J)/(1 − correlation).
        let share = correlation / (1.0 + (size - 1.0) * correlation);
        let residual = [0, 1].map(|arm| (cells.sum[arm] - cells.n[arm] * mu[arm]) / root[arm]);
        let total = residual[0] + residual[1];
        let part = [0, 1].map(|arm| root[arm] * (residual[arm] - share * cells.n[arm] * total) / (1.0 - correlation));
        let block = |k: usize, l: usize| {
            let own = if k == l { cells.n[k] } else { 0.0 };
            root[k] * root[l] * (own - share * cells.n[k] * cells.n[l]) / (1.0 - correlation)
        };
        let u = [part[0] + part[1], part[1]];
        score = [score[0] + u[0], score[1] + u[1]];
        let (m00, m01, m11) = (block(0, 0), block(0, 1), block(1, 1));
        information = [information[0] + m00 + 2.0 * m01 + m11, information[1] + m01 + m11, information[2] + m11];
        meat = [meat[0] + u[0] * u[0], meat[1] + u[0] * u[1], meat[2] + u[1] * u[1]];
    }
    (score, information, meat)
}

/// Inverts the symmetric matrix ((a, b), (b, c)).
pub(super) fn inverse([a, b, c]: [f64; 3]) -> Option<[f64; 3]> {
    let determinant = a * c - b * b;
    (determinant > 0.0 && determinant.is_finite()).then(|| [c / determinant, -b / determinant, a / determinant])
}

fn times([a, b, c]: [f64; 3], [x, y]: [f64; 2]) -> [f64; 2] {
    [a * x + b * y, b * x + c * y]
}

/// Returns the diagonal of B M B for symmetric B and M.
pub(super) fn sandwich(bread: [f64; 3], meat: [f64; 3]) -> [f64; 2] {
    let quadratic = |x: f64, y: f64| x * x * meat[0] + 2.0 * x * y * meat[1] + y * y * meat[2];
    [quadratic(bread[0], bread[1]), quadratic(bread[1], bread[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(control: (u32, u32), treatment: (u32, u32)) -> ArmCells {
        let n = [f64::from(control.0), f64::from(treatment.0)];
        let sum = [f64::from(control.1), f64::from(treatment.1)];
        ArmCells { n, sum, squares: sum }
    }

    #[test]
    fn balanced_pairs_give_the_marginal_log_odds_ratio() {
        // One draw an arm: 20 both right, 9 only treatment, 4 only control, 7 neither.
        let rows = [(20, (1, 1)), (9, (0, 1)), (4, (1, 0)), (7, (0, 0))];
        let clusters: Vec<ArmCells> =
            rows.iter().flat_map(|&(times, (c, t))| std::iter::repeat_n(cells((1, c), (1, t)), times)).collect();
        let model = logistic_gee(&clusters).unwrap();
        let logit = |p: f64| libm::log(p / (1.0 - p));
        let expected = logit(29.0 / 40.0) - logit(24.0 / 40.0);
        assert!((model.params[1] - expected).abs() < 1e-10);
        assert!(model.correlation > 0.0 && model.correlation < 1.0);
    }

    #[test]
    fn an_arm_without_errors_has_no_logit() {
        let clusters = vec![cells((1, 0), (1, 1)), cells((1, 1), (1, 1)), cells((1, 0), (1, 1))];
        assert_eq!(logistic_gee(&clusters), None);
        assert_eq!(logistic_gee(&[]), None);
        assert_eq!(logistic_gee(&[cells((2, 1), (2, 1)); 2]), None);
    }
}
