use super::significance::{CombinedTest, CombinedTests, Heterogeneity, MetaBlock, MetricBlock, PooledEffect};
use crate::stats::{Combined, Pooled, fisher, meta_analysis, stouffer};

/// Is one set of items as pooling sees it.
pub(super) struct Study {
    name: String,
    mean: Option<f64>,
    se: Option<f64>,
    p: Option<f64>,
}

impl Study {
    /// Takes what a set's comparison came to.
    pub(super) fn of(name: &str, metric: &MetricBlock) -> Self {
        let p = metric.test.as_ref().map(|test| test.p_value);
        Self { name: name.to_owned(), mean: metric.delta_mean, se: metric.se, p }
    }
}

/// Pools the mean differences of several sets of items.
///
/// None below two sets, and where a standard error is missing or 0.
pub(super) fn pool(studies: &[Study]) -> Option<MetaBlock> {
    let known = studies.iter().map(|study| Some((study.mean?, study.se? * study.se?))).collect::<Option<Vec<_>>>()?;
    let all = meta_analysis(&known, 0.95)?;
    Some(MetaBlock {
        studies: studies.iter().map(|study| study.name.clone()).collect(),
        fixed: effect(&all.fixed, None),
        random: effect(&all.dersimonian_laird, Some(all.tau2_dersimonian_laird)),
        paule_mandel: effect(&all.paule_mandel, Some(all.tau2_paule_mandel)),
        heterogeneity: Heterogeneity {
            q: all.heterogeneity.q,
            df: all.heterogeneity.df,
            p_value: all.heterogeneity.p,
            i2: all.heterogeneity.i2,
        },
        combined: studies.iter().map(|study| study.p).collect::<Option<Vec<_>>>().and_then(|p| combined(&p)),
    })
}

/// Combines the two-sided p-values of the sets; none where neither method is defined.
fn combined(p_values: &[f64]) -> Option<CombinedTests> {
    let test = |found: Combined| CombinedTest { statistic: found.statistic, p_value: found.p };
    let (fisher, stouffer) = (fisher(p_values).map(test), stouffer(p_values).map(test));
    (fisher.is_some() || stouffer.is_some()).then_some(CombinedTests { fisher, stouffer })
}

fn effect(pooled: &Pooled, tau2: Option<f64>) -> PooledEffect {
    PooledEffect {
        delta_mean: pooled.estimate,
        se: pooled.standard_error,
        ci_95: [pooled.interval.lower, pooled.interval.upper],
        hartung_knapp_ci_95: pooled.hartung_knapp.map(|interval| [interval.lower, interval.upper]),
        tau2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_is_nothing_to_pool() {
        let study =
            |name: &str, mean, se| Study { name: name.to_owned(), mean: Some(mean), se: Some(se), p: Some(0.1) };
        assert_eq!(pool(&[study("a", 0.1, 0.02)]), None);
        assert_eq!(pool(&[study("a", 0.1, 0.02), study("b", 0.1, 0.0)]), None);
        let both = pool(&[study("a", 0.1, 0.02), study("b", 0.3, 0.02)]).unwrap();
        assert!((both.fixed.delta_mean - 0.2).abs() < 1e-15);
        assert!(both.random.tau2 > Some(0.0) && both.fixed.tau2.is_none());
        assert_eq!(both.studies, ["a", "b"]);
        let combined = both.combined.unwrap();
        // −4 ln 0.1 on 4 degrees of freedom: 0.01 (1 − ln 0.01); twice z(0.9) over √2.
        assert!((combined.fisher.unwrap().p_value - 0.01 * (1.0 - libm::log(0.01))).abs() < 1e-12);
        assert!((combined.stouffer.unwrap().statistic - 1.281_551_565_544_600_4 * libm::sqrt(2.0)).abs() < 1e-12);
        let certain = Study { p: Some(1.0), ..study("a", 0.1, 0.02) };
        let found = pool(&[certain, study("b", 0.3, 0.02)]).unwrap().combined.unwrap();
        assert_eq!((found.fisher.is_some(), found.stouffer), (true, None));
        let untested = Study { p: None, ..study("a", 0.1, 0.02) };
        assert_eq!(pool(&[untested, study("b", 0.3, 0.02)]).unwrap().combined, None);
    }
}
