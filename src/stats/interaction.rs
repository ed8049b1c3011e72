//! Whether the effect of a treatment differs between models.

use super::exact_sum::exact_sum;
use super::special::f_sf;

/// A test that several mean differences, measured on the same items, are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// How many items (or clusters) have all the differences.
    pub n: u64,
    /// How many differences are compared.
    pub columns: u64,
    /// Hotelling's statistic as an F.
    pub f: f64,
    /// Its first degrees of freedom, columns − 1.
    pub df1: u64,
    /// Its second degrees of freedom, n − df1.
    pub df2: u64,
    /// The p-value.
    pub p: f64,
}

/// Tests that the columns of a table have one mean, rows being independent (Hotelling 1931).
///
/// Each row holds one item's difference treatment − control under every model; a
/// row with a value that is not finite is left out. With contrasts c = d_j − d_1,
/// mean m and covariance S: T² = n m' S⁻¹ m, F = T² (n − q)/((n − 1) q) on q = columns
/// − 1 and n − q degrees of freedom; for two columns it is the paired t test. For
/// clusters give one row of sums per cluster: then it asks whether the totals
/// are equal, which for the same items under every model is the same question.
/// None below two columns, for n ≤ q, and where the contrasts do not vary or
/// determine each other.
pub fn interaction(rows: &[Vec<f64>]) -> Option<Interaction> {
    let width = rows.first()?.len();
    let q = width.checked_sub(1).filter(|&q| q > 0)?;
    let mut kept: Vec<Vec<f64>> = rows
        .iter()
        .filter(|row| row.len() == width && row.iter().all(|value| value.is_finite()))
        .map(|row| row[1..].iter().map(|value| super::lattice_round(value - row[0])).collect())
        .collect();
    // Sums are exact, but products of deviations are not: a fixed order makes every bit the same for every row order.
    kept.sort_by(|a: &Vec<f64>, b| {
        a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(a.len().cmp(&b.len()))
    });
    let n = kept.len();
    if n <= q {
        return None;
    }
    let count = n as f64;
    let means: Vec<f64> = (0..q).map(|j| exact_sum(kept.iter().map(|row| row[j])) / count).collect();
    let mut matrix: Vec<Vec<f64>> = (0..q)
        .map(|i| {
            let product = |j: usize| kept.iter().map(move |row| (row[i], row[j]));
            (0..q)
                .map(|j| exact_sum(product(j).map(|(a, b)| (a - means[i]) * (b - means[j]))) / (count - 1.0))
                .collect()
        })
        .collect();
    let solved = solve(&mut matrix, &means)?;
    let t2 = count * means.iter().zip(&solved).map(|(mean, weight)| mean * weight).sum::<f64>();
    let (df1, df2) = (q as f64, (n - q) as f64);
    let f = (t2 * df2 / ((count - 1.0) * df1)).max(0.0);
    if !f.is_finite() {
        return None;
    }
    Some(Interaction {
        n: n as u64,
        columns: width as u64,
        f,
        df1: q as u64,
        df2: (n - q) as u64,
        p: f_sf(f, df1, df2),
    })
}

/// Solves a symmetric positive definite system by Cholesky; none where it is singular to working precision.
fn solve(matrix: &mut [Vec<f64>], right: &[f64]) -> Option<Vec<f64>> {
    let q = right.len();
    for j in 0..q {
        let diagonal = matrix[j][j];
        let rest: f64 = (0..j).map(|k| matrix[j][k] * matrix[j][k]).sum();
        let pivot = diagonal - rest;
        if !(diagonal > 0.0 && pivot > 1e-12 * diagonal) {
            return None;
        }
        matrix[j][j] = libm::sqrt(pivot);
        for i in j + 1..q {
            let rest: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            matrix[i][j] = (matrix[i][j] - rest) / matrix[j][j];
        }
    }
    let mut x = right.to_vec();
    for i in 0..q {
        let rest: f64 = (0..i).map(|k| matrix[i][k] * x[k]).sum();
        x[i] = (x[i] - rest) / matrix[i][i];
    }
    for i in (0..q).rev() {
        let rest: f64 = (i + 1..q).map(|k| matrix[k][i] * x[k]).sum();
        x[i] = (x[i] - rest) / matrix[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::super::{Differences, paired};
    use super::*;

    fn table(n: u32, width: u32) -> Vec<Vec<f64>> {
        (0..n).map(|i| (0..width).map(|j| f64::from((i * (3 + 2 * j) + j * j) % 7) / 4.0).collect()).collect()
    }

    #[test]
    fn two_columns_are_a_paired_t_test() {
        let rows = table(40, 2);
        let test = interaction(&rows).unwrap();
        let d = Differences::omitting(rows.iter().map(|row| (row[0], row[1])));
        let t = paired(&d).t_test().unwrap();
        assert!((test.f - t.t * t.t).abs() < 1e-10 && (test.p - t.p).abs() < 1e-12);
        assert_eq!((test.df1, test.df2, test.n), (1, 39, 40));
    }

    #[test]
    fn no_column_is_special_and_rows_have_no_order() {
        let rows = table(60, 3);
        let test = interaction(&rows).unwrap();
        let turned: Vec<Vec<f64>> = rows.iter().map(|row| vec![row[2], row[0], row[1]]).collect();
        let other = interaction(&turned).unwrap();
        assert!((test.f / other.f - 1.0).abs() < 1e-9);
        let mut reversed = rows.clone();
        reversed.reverse();
        assert_eq!(interaction(&reversed), Some(test));
        let negated: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|v| -v).collect()).collect();
        assert!((interaction(&negated).unwrap().p - test.p).abs() < 1e-15);
    }

    #[test]
    fn what_does_not_vary_is_no_test() {
        assert_eq!(interaction(&[]), None);
        assert_eq!(interaction(&[vec![1.0], vec![2.0]]), None);
        assert_eq!(interaction(&vec![vec![0.0, 1.0]; 9]), None);
        // The second contrast is twice the first.
        let rows: Vec<Vec<f64>> = (0..9).map(|i| vec![0.0, f64::from(i), 2.0 * f64::from(i)]).collect();
        assert_eq!(interaction(&rows), None);
        let mut rows = table(9, 2);
        rows.push(vec![f64::NAN, 1.0]);
        assert_eq!(interaction(&rows).unwrap().n, 9);
    }
}
