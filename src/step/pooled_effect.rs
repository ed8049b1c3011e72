use super::significance::{Heterogeneity, MetaBlock, PooledEffect};
use crate::stats::{Pooled, meta_analysis};

/// Pools the mean differences of several sets of items, given their names, means and standard errors.
///
/// None below two sets, and where a standard error is missing or 0.
pub(super) fn pool(studies: &[(String, Option<f64>, Option<f64>)]) -> Option<MetaBlock> {
    let known = studies.iter().map(|(_, mean, se)| Some(((*mean)?, (*se)? * (*se)?))).collect::<Option<Vec<_>>>()?;
    let all = meta_analysis(&known, 0.95)?;
    Some(MetaBlock {
        studies: studies.iter().map(|(name, ..)| name.clone()).collect(),
        fixed: effect(&all.fixed, None),
        random: effect(&all.dersimonian_laird, Some(all.tau2_dersimonian_laird)),
        paule_mandel: effect(&all.paule_mandel, Some(all.tau2_paule_mandel)),
        heterogeneity: Heterogeneity {
            q: all.heterogeneity.q,
            df: all.heterogeneity.df,
            p_value: all.heterogeneity.p,
            i2: all.heterogeneity.i2,
        },
    })
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
        let study = |name: &str, mean, se| (name.to_owned(), Some(mean), Some(se));
        assert_eq!(pool(&[study("a", 0.1, 0.02)]), None);
        assert_eq!(pool(&[study("a", 0.1, 0.02), study("b", 0.1, 0.0)]), None);
        let both = pool(&[study("a", 0.1, 0.02), study("b", 0.3, 0.02)]).unwrap();
        assert!((both.fixed.delta_mean - 0.2).abs() < 1e-15);
        assert!(both.random.tau2 > Some(0.0) && both.fixed.tau2.is_none());
        assert_eq!(both.studies, ["a", "b"]);
    }
}
