//! A safeguarded Newton iteration.

/// Returns the root of an increasing function inside a bracket.
///
/// `f` gives value and slope; `lower` and `upper` must bracket the root. A
/// Newton step that leaves the bracket is replaced by bisection, so the search
/// always ends; it stops when the bracket or the step has no width left.
pub(crate) fn increasing_root(f: impl Fn(f64) -> (f64, f64), lower: f64, upper: f64, start: f64) -> f64 {
    let (mut lo, mut hi) = (lower, upper);
    let mut x = if start > lo && start < hi { start } else { 0.5 * (lo + hi) };
    for _ in 0..400 {
        let (value, slope) = f(x);
        if value == 0.0 {
            return x;
        }
        if value < 0.0 {
            lo = x;
        } else {
            hi = x;
        }
        let step = value / slope;
        let newton = x - step;
        let next = if newton > lo && newton < hi { newton } else { 0.5 * (lo + hi) };
        if (next - x).abs() <= 1e-16 * x.abs() || next <= lo || next >= hi {
            return next;
        }
        x = next;
    }
    x
}
