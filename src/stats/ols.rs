//! A linear model of a score on the arm, with errors that allow dependence within clusters.

use super::arm_cells::{ArmCells, ArmModel};
use super::gee::{inverse, sandwich};

/// Fits score = a + b x treatment by least squares with the cluster-robust covariance
/// G/(G−1) (N−1)/(N−2) (X'X)⁻¹ (Σ_g X_g'e_g e_g'X_g) (X'X)⁻¹ over G clusters and N rows (Liang and Zeger 1986; Cameron
/// and Miller 2015).
///
/// Intervals belong to t(G − 1). None where an arm has no row, below two clusters or three rows, and where nothing
/// varies.
pub fn clustered_ols(clusters: &[ArmCells]) -> Option<ArmModel> {
    let mut all = ArmCells::default();
    for cells in clusters {
        all.add(cells);
    }
    let groups = clusters.iter().filter(|cells| cells.rows() > 0.0).count();
    let rows = all.rows();
    if groups < 2 || rows < 3.0 || all.n.contains(&0.0) {
        return None;
    }
    let mean = [0, 1].map(|arm| all.sum[arm] / all.n[arm]);
    let bread = inverse([rows, all.n[1], all.n[1]])?;
    let mut meat = [0.0; 3];
    for cells in clusters {
        let residual = [0, 1].map(|arm| cells.sum[arm] - cells.n[arm] * mean[arm]);
        let u = [residual[0] + residual[1], residual[1]];
        meat = [meat[0] + u[0] * u[0], meat[1] + u[0] * u[1], meat[2] + u[1] * u[1]];
    }
    let count = groups as f64;
    let correction = count / (count - 1.0) * (rows - 1.0) / (rows - 2.0);
    let standard_errors = sandwich(bread, meat).map(|variance| libm::sqrt(variance * correction));
    let model = ArmModel {
        params: [mean[0], mean[1] - mean[0]],
        standard_errors,
        correlation: 0.0,
        clusters: groups as u64,
        rows: rows as u64,
    };
    (model.params[1].is_finite() && standard_errors.iter().all(|se| se.is_finite() && *se > 0.0)).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::super::clustered_mean;
    use super::*;

    #[test]
    fn one_pair_a_cluster_is_the_paired_comparison() {
        let pairs = [(0.2, 0.9), (0.4, 0.3), (0.0, 0.6), (1.0, 1.0), (0.5, 0.25)];
        let clusters: Vec<ArmCells> =
            pairs.iter().map(|&(c, t)| ArmCells { n: [1.0; 2], sum: [c, t], squares: [c * c, t * t] }).collect();
        let model = clustered_ols(&clusters).unwrap();
        let deltas: Vec<f64> = pairs.iter().map(|(c, t)| t - c).collect();
        let paired = clustered_mean(&deltas, &[0, 1, 2, 3, 4]);
        assert!((model.params[1] - paired.mean.unwrap()).abs() < 1e-15);
        // The same but for (N − 1)/(N − 2) with N = 10.
        let ratio = model.standard_errors[1] / paired.standard_error.unwrap();
        assert!((ratio - libm::sqrt(9.0 / 8.0)).abs() < 1e-12, "{ratio}");
    }

    #[test]
    fn an_empty_arm_is_no_model() {
        let one = ArmCells { n: [1.0, 0.0], sum: [1.0, 0.0], squares: [1.0, 0.0] };
        assert_eq!(clustered_ols(&[one; 5]), None);
        assert_eq!(clustered_ols(&[]), None);
    }
}
