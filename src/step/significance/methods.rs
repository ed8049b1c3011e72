use std::collections::BTreeMap;

/// Lists the fields that hold a number: the section of `docs/statistics.md` that defines it, and what it is. Names of
/// methods in `intervals`, `hodges_lehmann_intervals` and `tests` stand for themselves.
const METHODS: &[(&str, &str, &str)] = &[
    ("aurc", "selective", "mean risk over an arm's own coverage"),
    ("aurc_at_common_coverage", "selective", "mean risk up to the coverage that both arms reach"),
    ("b", "Conventions", "items that only treatment has right"),
    ("best_case", "missing", "every missing outcome for treatment"),
    ("c", "Conventions", "items that only control has right"),
    ("ci", "interval", "by `method` of the same object, or the name above it, at `confidence_level`"),
    ("ci_95", "interval", "by `method` of the same object, or the name above it; `normal` in `meta`"),
    ("cliffs_delta", "effects", "Cliff's delta, all pairs of values"),
    ("cohens_dav", "effects", "Cohen's d_av"),
    ("cohens_dz", "effects", "Cohen's d_z"),
    ("common_coverage", "selective", "the smaller of the arms' full coverages"),
    ("complete_case", "missing", "mean over items with both outcomes"),
    ("control_higher", "paired", "count of items"),
    ("control_mean", "mean", "over the items that both arms have"),
    ("coverage", "selective", "answered draws of kept items over all draws"),
    ("delta_mean", "differences", "mean of treatment minus control; in `meta` the inverse-variance mean"),
    ("df", "meta", "sets less one"),
    ("differential_p", "missing", "exact McNemar of who is missing"),
    ("draws", "moments, nested", "count; under `targets` power: draws an item and arm"),
    ("equal", "paired", "count of items"),
    ("H2", "meta", "Q/df"),
    ("hartung_knapp_ci_95", "meta", "`hartung-knapp`"),
    ("hedges_gav", "effects", "Hedges' g_av, approximate J"),
    ("hedges_gz", "effects", "Hedges' g_z, exact J"),
    ("hodges_lehmann", "hodges_lehmann, walsh, rank_law", "median of the Walsh averages"),
    ("I2", "meta", "I²"),
    ("interval", "equivalence", "`t`, of level 1 − 2 alpha, by the standard error of `method`"),
    ("item_mean_variance", "moments, nested", "variance of item means, n − 1"),
    ("items", "moments, nested", "count; under `targets` power: items needed"),
    ("majority", "moments, nested", "majority@k"),
    ("mean", "mean", "over the items that have scores"),
    ("mean_delta", "differences", "mean"),
    ("n", "mean", "count of items"),
    ("n_clusters", "clustered", "count of groups"),
    ("n_items", "differences", "count of items with scores under both arms"),
    ("n_missing", "missing", "count of items without"),
    ("odds_ratio", "mcnemar", "b/c, conditional maximum likelihood"),
    ("only_control", "missing", "count of items"),
    ("only_treatment", "missing", "count of items"),
    ("both", "missing", "count of items"),
    ("or_ci_95", "mcnemar", "`conditional-exact`"),
    ("p_exact", "mcnemar", "`mcnemar-exact`"),
    ("p_greater", "signed_ranks, wilcoxon", "in the form that `form` names, one-sided"),
    ("p_less", "signed_ranks, wilcoxon", "in the form that `form` names, one-sided"),
    ("p_mid", "mcnemar", "`mcnemar-mid-p`"),
    ("p_non_inferiority", "equivalence", "the one-sided test against a loss"),
    (
        "p_value",
        "What files hold",
        "by `name`, `test`, `method` or `form` of the same object; `Q`'s by chi-squared; `combined` by the name above it",
    ),
    ("pass", "moments, nested", "pass@k"),
    ("perm_p_value", "permutation", "sign flips, in the form that `tests` names"),
    ("Q", "meta", "Cochran's Q"),
    ("q_value", "adjust", "by `correction` of its family"),
    ("rank_biserial", "effects", "matched-pairs rank-biserial"),
    ("risk", "selective", "one less the accuracy"),
    ("sampling_share", "moments, nested", "sampling's share of `item_mean_variance`"),
    ("se", "paired", "sd/√n, or clustered, as `se_method` says; in `meta` 1/√Σw"),
    ("selective_accuracy", "selective", "right answers over answers"),
    ("smallest_detectable", "power", "reach sd/√n"),
    ("statistic", "combine", "−2 Σ ln p, or Σ z/√k"),
    ("statuses", "What files hold", "count of draws"),
    ("tau2", "meta", "variance between sets, by DerSimonian-Laird or Paule-Mandel as the name above says"),
    ("treatment_higher", "paired", "count of items"),
    ("treatment_mean", "mean", "over the items that both arms have"),
    ("W", "signed_ranks, wilcoxon", "the smaller rank sum"),
    ("within_item_variance", "moments, nested", "mean of the items' variances between draws"),
    ("worst_case", "missing", "every missing outcome against treatment"),
    ("z", "signed_ranks, wilcoxon", "standardised by the law that `form` names"),
];

/// Returns by field the section of `docs/statistics.md` that defines its number, and what the number is.
pub fn methods() -> BTreeMap<String, String> {
    METHODS.iter().map(|(field, section, what)| ((*field).to_owned(), format!("{section}: {what}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::METHODS;

    #[test]
    fn each_method_is_defined_in_a_section_of_the_docs() {
        let docs = include_str!("../../../docs/statistics.md");
        let titles = docs.lines().filter_map(|line| line.strip_prefix("## "));
        let sections: Vec<&str> = titles.map(|title| title.split(": ").next().unwrap_or(title)).collect();
        for (field, section, _) in METHODS {
            assert!(sections.contains(section), "{field}: {section}");
        }
    }
}
