//! Correctly rounded summation.

/// A running sum without rounding error, rounded once at the end.
///
/// Keeps non-overlapping partial sums (Shewchuk 1997), so the result does not
/// depend on the order of the terms, and negating every term negates it. That
/// is what makes "permuting rows changes nothing" hold to the last bit. Terms
/// must be finite and the sum must not overflow.
#[derive(Debug, Clone, Default)]
pub struct ExactSum {
    partials: Vec<f64>,
}

impl ExactSum {
    /// Creates an empty sum.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one term.
    pub fn add(&mut self, term: f64) {
        let mut x = term;
        let mut kept = 0;
        for i in 0..self.partials.len() {
            let y = self.partials[i];
            let (big, small) = if x.abs() < y.abs() { (y, x) } else { (x, y) };
            let high = big + small;
            let low = small - (high - big);
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.partials.truncate(kept);
        self.partials.push(x);
    }

    /// Adds `count` equal terms.
    ///
    /// Exact: the product is split into a high and a low part first.
    pub fn add_times(&mut self, term: f64, count: u64) {
        if count == 1 {
            self.add(term);
            return;
        }
        // Two halves of the count keep each factor below 2^32; each product is
        // then split by Dekker's method into two exact doubles.
        for (half, scale) in [(count & 0xffff_ffff, 1.0), (count >> 32, 4_294_967_296.0)] {
            if half != 0 {
                let (high, low) = exact_product(term, half as f64);
                self.add(high * scale);
                self.add(low * scale);
            }
        }
    }

    /// Returns the sum, rounded to nearest.
    pub fn total(&self) -> f64 {
        let mut rest = self.partials.iter().rev().copied();
        let Some(mut high) = rest.next() else {
            return 0.0;
        };
        let mut low = 0.0;
        for y in rest.by_ref() {
            let x = high;
            high = x + y;
            low = y - (high - x);
            if low != 0.0 {
                break;
            }
        }
        // A tie must be broken by what lies below it, not by the even rule.
        if let Some(next) = rest.next()
            && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
        {
            let y = low * 2.0;
            let x = high + y;
            if y == x - high {
                high = x;
            }
        }
        high
    }
}

impl Extend<f64> for ExactSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, terms: I) {
        for term in terms {
            self.add(term);
        }
    }
}

/// Returns the correctly rounded sum of finite terms.
pub fn exact_sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = ExactSum::new();
    sum.extend(terms);
    sum.total()
}

/// Splits a · b into (rounded product, error), exact barring overflow and underflow.
fn exact_product(a: f64, b: f64) -> (f64, f64) {
    let split = |v: f64| {
        let c = 134_217_729.0 * v;
        let high = c - (c - v);
        (high, v - high)
    };
    let product = a * b;
    let (ah, al) = split(a);
    let (bh, bl) = split(b);
    let error = ((ah * bh - product) + ah * bl + al * bh) + al * bl;
    (product, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cancelling_terms_leave_what_is_small() {
        assert_eq!(exact_sum([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(exact_sum([0.1; 10]), 1.0);
        assert_eq!(exact_sum([]), 0.0);
        // 1 + 2^-53 is a tie; the tiny third term must decide it.
        let half_ulp = f64::EPSILON / 2.0;
        assert_eq!(exact_sum([1.0, half_ulp, 1e-300]), 1.0 + f64::EPSILON);
        assert_eq!(exact_sum([1.0, half_ulp]), 1.0);
    }

    #[test]
    fn repeated_terms_count_exactly() {
        let mut one_by_one = ExactSum::new();
        for _ in 0..1000 {
            one_by_one.add(0.1);
        }
        let mut at_once = ExactSum::new();
        at_once.add_times(0.1, 1000);
        assert_eq!(one_by_one.total(), at_once.total());
    }

    proptest! {
        #[test]
        fn order_and_sign_do_not_matter(mut terms in proptest::collection::vec(-1e3..1e3, 0..60)) {
            let forward = exact_sum(terms.iter().copied());
            terms.reverse();
            prop_assert_eq!(forward, exact_sum(terms.iter().copied()));
            prop_assert_eq!(-forward, exact_sum(terms.iter().map(|t| -t)));
        }
    }
}
