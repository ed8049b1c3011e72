//! Several treatments against one shared control.

use super::exact_sum::exact_sum;
use super::lattice::lattice_round;
use super::stream::Stream;

/// One comparison of a family with a shared control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxT {
    /// The number of items with both outcomes.
    pub n: u64,
    /// mean / standard error; none below two items and where all differences are equal.
    pub t: Option<f64>,
    /// The family-wise p-value of the single-step procedure, as Dunnett's (1955); none like `t`.
    pub p_single_step: Option<f64>,
    /// The family-wise p-value of the step-down procedure, never larger; none like `t`.
    pub p_step_down: Option<f64>,
}

/// Compares treatments with a shared control by the law of the largest |t|.
///
/// `items` holds one row per item and one difference treatment − control per
/// treatment; a value that is not finite is missing. Rows are as long as the first,
/// shorter ones are filled up with missing values. The shared control makes the
/// comparisons dependent; the dependence is kept by giving each item one random
/// sign for all its differences (Westfall and Young 1993; the permutation test of
/// each comparison at once), every t being studentised anew. Under the null of
/// symmetric differences that is exact at every n. Step-down follows Romano and
/// Wolf (2005). p is (ge + 1)/(R + 1). Row order and a change of every sign leave p
/// as it is. A comparison without a t does not count in the family.
pub fn max_t(items: &[Vec<f64>], resamples: u32, stream: &mut Stream) -> Vec<MaxT> {
    let width = items.first().map_or(0, Vec::len);
    let rounded = items.iter().map(|row| {
        let cells = (0..width).map(|j| row.get(j).copied().unwrap_or(f64::NAN));
        cells.map(|v| if v.is_finite() { lattice_round(v) } else { f64::NAN }).collect()
    });
    let (rows, mirrored) = canonical(rounded.collect());
    let columns: Vec<Column> = (0..width).map(|j| Column::new(&rows, j)).collect();
    let mut order: Vec<usize> = (0..width).filter(|&j| columns[j].t.is_some()).collect();
    // Sums that differ in the last bits only are the same pattern.
    let size = |j: usize| columns[j].t.unwrap_or(0.0).abs() * (1.0 - 1e-12);
    order.sort_by(|&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));

    let mut single = vec![0_u32; width];
    let mut down = vec![0_u32; width];
    let mut signs = vec![0.0; rows.len()];
    for _ in 0..resamples {
        fill_signs(&mut signs, stream);
        // From the smallest |t| up, the running maximum is the one over all smaller ones.
        let mut largest = 0.0_f64;
        for &j in order.iter().rev() {
            largest = largest.max(columns[j].resampled(&signs).abs());
            down[j] += u32::from(largest >= size(j));
        }
        for &j in &order {
            single[j] += u32::from(largest >= size(j));
        }
    }
    let share = |ge: u32| (f64::from(ge) + 1.0) / (f64::from(resamples) + 1.0);
    let given = |t: f64| if mirrored { 0.0 - t } else { t };
    let unadjusted = |c: &Column| MaxT { n: c.n, t: c.t.map(given), p_single_step: None, p_step_down: None };
    let mut out: Vec<MaxT> = columns.iter().map(unadjusted).collect();
    let mut floor = 0.0_f64;
    for &j in &order {
        floor = floor.max(share(down[j]));
        out[j].p_single_step = Some(share(single[j]));
        out[j].p_step_down = Some(floor);
    }
    out
}

/// One treatment's differences.
struct Column {
    n: u64,
    t: Option<f64>,
    /// The difference of each item, 0 where missing.
    values: Vec<f64>,
    /// The sum of their squares, which no sign changes.
    squares: f64,
}

impl Column {
    fn new(rows: &[Vec<f64>], j: usize) -> Self {
        let present = || rows.iter().map(|row| row[j]).filter(|v| v.is_finite());
        let n = present().count() as u64;
        let first = present().next();
        if n < 2 || present().all(|v| Some(v) == first) {
            return Self { n, t: None, values: Vec::new(), squares: 0.0 };
        }
        let values: Vec<f64> = rows.iter().map(|row| if row[j].is_finite() { row[j] } else { 0.0 }).collect();
        let squares = exact_sum(values.iter().map(|v| v * v));
        let mut column = Self { n, t: None, squares, values };
        column.t = Some(column.studentised(exact_sum(present())));
        column
    }

    /// Returns the t of a sum of signed differences; infinite where they are all equal.
    fn studentised(&self, sum: f64) -> f64 {
        let n = self.n as f64;
        let mean = sum / n;
        let variance = ((self.squares - sum * mean) / (n - 1.0)).max(0.0);
        if sum == 0.0 { 0.0 } else { mean / libm::sqrt(variance / n) }
    }

    fn resampled(&self, signs: &[f64]) -> f64 {
        self.studentised(self.values.iter().zip(signs).map(|(value, sign)| value * sign).sum())
    }
}

/// Fills signs from the bits of the stream, lowest bit first, 64 to an output; a set bit is −1.
fn fill_signs(signs: &mut [f64], stream: &mut Stream) {
    for part in signs.chunks_mut(64) {
        let mut word = stream.next_u64();
        for sign in part {
            *sign = if word & 1 == 1 { -1.0 } else { 1.0 };
            word >>= 1;
        }
    }
}

/// Sorts rows; if their mirror image sorts first returns that, and true.
fn canonical(mut rows: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, bool) {
    // A missing value sorts last whatever its sign bit.
    let key = |v: f64| if v.is_nan() { f64::INFINITY } else { v };
    let by_value = |a: &Vec<f64>, b: &Vec<f64>| {
        let cells = a.iter().zip(b).map(|(x, y)| key(*x).total_cmp(&key(*y)));
        cells.fold(core::cmp::Ordering::Equal, core::cmp::Ordering::then)
    };
    rows.sort_by(by_value);
    let mut mirror: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|v| 0.0 - v).collect()).collect();
    mirror.sort_by(by_value);
    let order = rows.iter().zip(&mirror).map(|(a, b)| by_value(a, b));
    if order.fold(core::cmp::Ordering::Equal, core::cmp::Ordering::then).is_gt() {
        return (mirror, true);
    }
    (rows, false)
}

#[cfg(test)]
mod tests {
    use super::super::special::{normal_quantile, normal_sf};
    use super::*;

    fn stream() -> Stream {
        Stream::derive(3, "max-t")
    }

    /// Differences of independent arms from one control, all normal without an effect.
    fn family(items: u32, treatments: usize, shared: bool, seed: u64) -> Vec<Vec<f64>> {
        let mut draw = Stream::derive(seed, "family");
        let mut normal = move || normal_quantile(draw.uniform().max(1e-12));
        (0..items)
            .map(|_| {
                let control = normal();
                (0..treatments).map(|_| normal() - if shared { control } else { normal() }).collect()
            })
            .collect()
    }

    #[test]
    fn one_comparison_is_close_to_its_normal_p() {
        let rows = family(400, 1, true, 5);
        let test = max_t(&rows, 20_000, &mut stream())[0];
        let p = 2.0 * normal_sf(test.t.unwrap().abs());
        let error = libm::sqrt(p * (1.0 - p) / 20_000.0);
        assert!((test.p_single_step.unwrap() - p).abs() < 4.0 * error + 0.01);
        assert_eq!(test.p_single_step, test.p_step_down);
    }

    #[test]
    fn a_shared_control_costs_less_than_independent_tests() {
        // Dunnett: the family of correlated tests needs a smaller correction than Šidák's.
        let rows = family(300, 6, true, 9);
        let tests = max_t(&rows, 10_000, &mut stream());
        for test in &tests {
            let raw = 2.0 * normal_sf(test.t.unwrap().abs());
            let sidak = 1.0 - libm::pow(1.0 - raw, 6.0);
            assert!(test.p_single_step.unwrap() < sidak + 0.02);
            // Ten thousand patterns have noise of their own.
            assert!(test.p_single_step.unwrap() > raw - 0.005);
            assert!(test.p_step_down <= test.p_single_step);
        }
    }

    #[test]
    fn size_of_the_family_is_the_level() {
        let runs = 400;
        let rejected = (0..runs)
            .filter(|&seed| {
                let rows = family(60, 4, true, seed);
                let tests = max_t(&rows, 400, &mut stream());
                tests.iter().any(|t| t.p_single_step.unwrap() <= 0.1)
            })
            .count();
        // Three standard errors of a share of 0.1 in 400 are 0.045.
        let size = rejected as f64 / runs as f64;
        assert!((size - 0.1).abs() < 0.045, "{size}");
    }

    #[test]
    fn one_comparison_is_the_permutation_test() {
        let values = [1.0, 0.5, -0.25, 2.0, 0.75, 1.25, -1.0, 0.5, 1.0];
        let rows: Vec<Vec<f64>> = values.iter().map(|v| vec![*v]).collect();
        let found = max_t(&rows, 40_000, &mut stream())[0].p_single_step.unwrap();
        let exact = super::super::exact_permutation(&super::super::Differences::from_deltas(values)).unwrap().p;
        let error = libm::sqrt(exact * (1.0 - exact) / 40_000.0);
        assert!((found - exact).abs() < 4.0 * error, "{found} {exact}");
        // Few and skewed items, where a normal law would say too much.
        let rows: Vec<Vec<f64>> = (0..8).map(|_| vec![1.0, 1.0]).chain([vec![0.0, 1.0]]).collect();
        let tests = max_t(&rows, 40_000, &mut stream());
        assert!(tests[0].p_single_step.unwrap() > 2.0 / 256.0 - 0.002 && tests[1].t.is_none());
    }

    #[test]
    fn row_order_and_sign_do_not_matter() {
        let mut rows = family(50, 3, true, 2);
        rows[7][1] = f64::NAN;
        let once = max_t(&rows, 200, &mut stream());
        rows.reverse();
        assert_eq!(once, max_t(&rows, 200, &mut stream()));
        let mirror: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|v| -v).collect()).collect();
        for (a, b) in once.iter().zip(max_t(&mirror, 200, &mut stream())) {
            assert_eq!((a.n, a.t), (b.n, b.t.map(|t| 0.0 - t)));
            assert_eq!(a.p_single_step, b.p_single_step);
            assert_eq!(a.p_step_down, b.p_step_down);
        }
    }

    #[test]
    fn constant_or_empty_columns_leave_the_family() {
        let rows = vec![vec![0.5, 1.0, f64::NAN], vec![0.5, -0.5, 0.25], vec![0.5, 2.0]];
        let tests = max_t(&rows, 100, &mut stream());
        assert_eq!((tests[0].t, tests[0].p_single_step), (None, None));
        assert!(tests[1].p_single_step.is_some());
        assert_eq!((tests[2].n, tests[2].t), (1, None));
        assert!(max_t(&[], 100, &mut stream()).is_empty());
    }
}
