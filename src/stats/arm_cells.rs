/// The rows of one cluster, summed up by arm: what regressions on the arm alone need of them.
///
/// Index 0 is control, 1 treatment; a row is a draw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ArmCells {
    /// The numbers of rows.
    pub n: [f64; 2],
    /// The sums of the outcome.
    pub sum: [f64; 2],
    /// The sums of its squares.
    pub squares: [f64; 2],
}

impl ArmCells {
    /// Adds the rows of another.
    pub fn add(&mut self, other: &Self) {
        for arm in 0..2 {
            self.n[arm] += other.n[arm];
            self.sum[arm] += other.sum[arm];
            self.squares[arm] += other.squares[arm];
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> f64 {
        self.n[0] + self.n[1]
    }
}

/// A regression of an outcome on an intercept and the arm, with cluster-robust errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmModel {
    /// The intercept and the coefficient of treatment.
    pub params: [f64; 2],
    /// Their robust standard errors.
    pub standard_errors: [f64; 2],
    /// The working correlation within a cluster; 0 where none is estimated.
    pub correlation: f64,
    /// The number of clusters.
    pub clusters: u64,
    /// The number of rows.
    pub rows: u64,
}
