use super::block::{OUTPUT_TOKENS, is_less_better};
use super::draws::draws;
use super::item_set::{ItemSet, Quantity};
use super::missing::missing;
use crate::plan::{Analysis, ZeroRule};
use crate::stats::special::student_two_sided;
use crate::stats::{
    self, Alternative, Design, Differences, Equivalence, PermutationForm, Stream, VarianceParts, Verdict, WilcoxonForm,
    Zeros,
};
use crate::step::intervals::Intervals;
use crate::step::named_list::NamedList;
use crate::step::significance::{
    Ends, MetricBlock, PowerBlock, TargetDesign, TestBlock, TostBlock, VerdictBlock, WilcoxonBlock,
};

/// Adds an interval under the name of its method; one that is undefined is not there.
pub(super) fn add(list: &mut NamedList<Ends>, interval: &Intervals) {
    if let Some(method) = &interval.method
        && list.get(method).is_none()
    {
        list.push(method.clone(), Ends { ci_95: interval.ci_95, ci: interval.ci });
    }
}

/// Names the method of a standard error.
pub(super) fn se_method(is_clustered: bool) -> String {
    if is_clustered { "cluster-robust" } else { "independent-items" }.to_owned()
}

/// Compares the arms on one quantity: every interval, test and effect size that its values allow. None without a pair.
pub(super) fn metric(
    set: &ItemSet<'_>,
    name: &str,
    quantity: Quantity,
    is_binary: bool,
    analysis: &Analysis,
) -> Option<MetricBlock> {
    let pairs = set.pairs(quantity);
    if pairs.is_empty() {
        return None;
    }
    let alpha = analysis.alpha;
    let arms = || pairs.iter().map(|&(control, treatment, _)| (control, treatment));
    let differences = Differences::omitting(arms());
    let summary = stats::paired(&differences);
    let stream = |what: &str| Stream::derive(analysis.random_seed, &format!("{what}|{}|{name}", set.scope));
    let bootstrap = stats::bootstrap(&differences, analysis.bootstrap_samples, &mut stream("bootstrap"));
    let clustered = set.clusters.map(|_| Clustered::new(&pairs, analysis, &mut stream("cluster-bootstrap")));

    let mut intervals = NamedList::default();
    let percentile = Intervals::of(alpha, |level| match &clustered {
        Some(clustered) => clustered.bootstrap.as_ref()?.percentile(level),
        None => bootstrap.as_ref()?.percentile(level),
    });
    add(&mut intervals, &percentile);
    if let Some(clustered) = &clustered {
        add(&mut intervals, &Intervals::of(alpha, |level| clustered.bootstrap.as_ref()?.bca(level)));
        add(&mut intervals, &Intervals::of(alpha, |level| clustered.mean.interval(level)));
    }
    add(&mut intervals, &Intervals::of(alpha, |level| bootstrap.as_ref()?.percentile(level)));
    add(&mut intervals, &Intervals::of(alpha, |level| bootstrap.as_ref()?.bca(level)));
    add(&mut intervals, &Intervals::of(alpha, |level| summary.interval(level)));
    if is_binary {
        let table = stats::PairedTable::of(arms().map(|(control, treatment)| (control == 1.0, treatment == 1.0)));
        add(&mut intervals, &Intervals::of(alpha, |level| table.newcombe(level)));
        add(&mut intervals, &Intervals::of(alpha, |level| table.bonett_price(level)));
    }
    let mut hodges_lehmann_intervals = NamedList::default();
    let hodges_lehmann = Intervals::of(alpha, |level| stats::hodges_lehmann_interval(&differences, level));
    add(&mut hodges_lehmann_intervals, &hodges_lehmann);

    let permutation = permuted(&differences, analysis, &mut stream("permutation"));
    let wilcoxon = stats::wilcoxon(&differences, zeros(analysis.wilcoxon_zeros));
    let mut tests = NamedList::default();
    if let Some(clustered) = &clustered {
        if let Some(p) = clustered.p_value() {
            tests.push("cluster-robust-t", p);
        }
        if let Some((p, form)) = permuted(&clustered.sums, analysis, &mut stream("cluster-permutation")) {
            tests.push(format!("cluster-permutation-{}", form.name()), p);
        }
    }
    if is_binary {
        let mcnemar = stats::mcnemar(summary.positive, summary.negative);
        tests.push("mcnemar-exact", mcnemar.p_exact);
        tests.push("mcnemar-mid-p", mcnemar.p_mid);
        for (name, continuity) in [("mcnemar-chi-squared", false), ("mcnemar-chi-squared-continuity-corrected", true)] {
            if let Some(chi) = stats::mcnemar_chi_squared(summary.positive, summary.negative, continuity) {
                tests.push(name, chi.p);
            }
        }
    }
    if let Some(t) = summary.t_test() {
        tests.push("paired-t", t.p);
    }
    if let Some((p, form)) = permutation {
        tests.push(format!("permutation-{}", form.name()), p);
    }
    let continuity = stats::wilcoxon_normal(&differences, wilcoxon.zero_method, Alternative::TwoSided, true);
    for found in [&wilcoxon, &continuity] {
        tests.push(format!("wilcoxon-{}-{}", found.zero_method.name(), found.form.name()), found.p);
    }
    let one_sided = |side: Alternative| match wilcoxon.form {
        WilcoxonForm::Exact => stats::wilcoxon_exact(&differences, wilcoxon.zero_method, side).map(|test| test.p),
        _ => Some(stats::wilcoxon_normal(&differences, wilcoxon.zero_method, side, false).p),
    };
    let usual = if clustered.is_some() {
        "cluster-robust-t"
    } else if is_binary {
        "mcnemar-exact"
    } else {
        "paired-t"
    };
    let test =
        tests.get(usual).map(|&p_value| TestBlock { name: usual.to_owned(), p_value, q_value: None, family: None });

    let (se, df) = match &clustered {
        Some(clustered) => (clustered.mean.standard_error, clustered.mean.clusters as f64 - 1.0),
        None => (summary.standard_error, summary.n as f64 - 1.0),
    };
    let effects = stats::effects(&differences);
    let arm_effects = stats::arm_effects(arms());
    let mean_of = |side: fn(&(f64, f64, u32)) -> f64| stats::mean(&pairs.iter().map(side).collect::<Vec<_>>()).mean;
    let draws = match quantity {
        Quantity::Metric(metric) => draws(set, metric),
        Quantity::OutputTokens => None,
    };
    let within = draws.as_ref().and_then(|(_, within)| *within);
    Some(MetricBlock {
        n_items: summary.n,
        control_mean: mean_of(|pair| pair.0),
        treatment_mean: mean_of(|pair| pair.1),
        delta_mean: summary.mean,
        ci_95: percentile.ci_95,
        ci: percentile.ci,
        method: percentile.method,
        se,
        se_method: se_method(clustered.is_some()),
        intervals,
        cohens_dz: effects.cohens_dz,
        hedges_gz: effects.hedges_gz,
        cohens_dav: arm_effects.cohens_dav,
        hedges_gav: arm_effects.hedges_gav,
        cliffs_delta: arm_effects.cliffs_delta,
        rank_biserial: effects.rank_biserial,
        hodges_lehmann: stats::hodges_lehmann(&differences),
        hodges_lehmann_intervals,
        treatment_higher: summary.positive,
        equal: summary.ties,
        control_higher: summary.negative,
        test,
        tests,
        wilcoxon: Some(WilcoxonBlock {
            w: wilcoxon.statistic,
            zeros: wilcoxon.zero_method.name().to_owned(),
            form: wilcoxon.form.name().to_owned(),
            z: wilcoxon.z,
            p_value: wilcoxon.p,
            p_greater: one_sided(Alternative::Greater),
            p_less: one_sided(Alternative::Less),
        }),
        perm_p_value: permutation.map(|(p, _)| p),
        draws: draws.map(|(draws, _)| draws),
        missing: missing(set, name, quantity, alpha.to_f64()),
        tost: tost(set, name, summary.mean.zip(se), df, clustered.is_some(), analysis),
        power: se.and_then(|se| power(se, summary.n, within, analysis)),
        verdict: VerdictBlock::default(),
    })
}

fn zeros(rule: ZeroRule) -> Zeros {
    match rule {
        ZeroRule::Wilcox => Zeros::Wilcox,
        ZeroRule::Pratt => Zeros::Pratt,
        ZeroRule::Zsplit => Zeros::Split,
    }
}

/// Flips signs; where the law is not exact and no pattern may be drawn there is no test.
fn permuted(differences: &Differences, analysis: &Analysis, stream: &mut Stream) -> Option<(f64, PermutationForm)> {
    let exact = stats::exact_permutation(differences);
    let drawn = || {
        let resamples = analysis.permutation_samples;
        (resamples > 0).then(|| stats::sampled_permutation(differences, resamples, stream))
    };
    exact.or_else(drawn).map(|test| (test.p, test.form))
}

/// Holds what clusters of dependent items come to.
struct Clustered {
    mean: stats::ClusteredMean,
    bootstrap: Option<stats::Bootstrap>,
    /// The sum of the differences of each cluster: whole clusters change their sign under the null.
    sums: Differences,
}

impl Clustered {
    fn new(pairs: &[(f64, f64, u32)], analysis: &Analysis, stream: &mut Stream) -> Self {
        let (deltas, clusters): (Vec<f64>, Vec<u32>) = pairs.iter().map(|&(c, t, cluster)| (t - c, cluster)).unzip();
        let mut order: Vec<usize> = (0..deltas.len()).collect();
        order.sort_by_key(|&at| clusters[at]);
        let sums = order.chunk_by(|&a, &b| clusters[a] == clusters[b]);
        let sums = sums.map(|part| stats::exact_sum(part.iter().map(|&at| stats::lattice_round(deltas[at]))));
        Self {
            mean: stats::clustered_mean(&deltas, &clusters),
            bootstrap: stats::cluster_bootstrap(
                deltas.iter().copied().zip(clusters.iter().copied()),
                analysis.bootstrap_samples,
                stream,
            ),
            sums: Differences::from_deltas(sums),
        }
    }

    fn p_value(&self) -> Option<f64> {
        let se = self.mean.standard_error.filter(|&se| se > 0.0)?;
        Some(student_two_sided(self.mean.mean? / se, self.mean.clusters as f64 - 1.0))
    }
}

/// Finds the margin of a metric: that of the dataset's metric before that of the metric everywhere.
fn margin(set: &ItemSet<'_>, name: &str, analysis: &Analysis) -> Option<f64> {
    let of_dataset =
        set.scope.strip_prefix("dataset|").and_then(|dataset| analysis.margins.get(&format!("{dataset}.{name}")));
    Some(of_dataset.or_else(|| analysis.margins.get(name))?.to_f64())
}

fn tost(
    set: &ItemSet<'_>,
    name: &str,
    estimate: Option<(f64, f64)>,
    df: f64,
    is_clustered: bool,
    analysis: &Analysis,
) -> Option<TostBlock> {
    let (mean, se) = estimate?;
    let test: Equivalence = stats::equivalence_of(mean, se, df, margin(set, name, analysis)?, analysis.alpha.to_f64())?;
    let less_is_better = is_less_better(name);
    let p_worse = if less_is_better { test.p_upper } else { test.p_lower };
    let verdict = match (test.verdict(), less_is_better) {
        (Verdict::NonInferior, true) => Verdict::NonSuperior,
        (Verdict::NonSuperior, true) => Verdict::NonInferior,
        (verdict, _) => verdict,
    };
    Some(TostBlock {
        margin: test.margin,
        alpha: test.alpha,
        mean_delta: mean,
        method: if is_clustered { "tost-t-cluster-robust" } else { "tost-t" }.to_owned(),
        p_value: test.p,
        p_non_inferiority: p_worse,
        equivalent: test.equivalent(),
        non_inferior: p_worse < test.alpha,
        interval: [test.interval.lower, test.interval.upper],
        interval_level: test.interval.level,
        verdict: verdict.words().to_owned(),
    })
}

/// Plans designs from the standard error at hand: it carries what clusters and draws contribute.
fn power(se: f64, n: u64, within: Option<(f64, f64)>, analysis: &Analysis) -> Option<PowerBlock> {
    let design = Design::new(analysis.alpha.to_f64(), analysis.power.to_f64())?;
    let sd = se * (n as f64).sqrt();
    let smallest = design.detectable(sd, n)?;
    let targets = analysis.targets.iter().map(|target| {
        let target = target.to_f64();
        let parts =
            within.map(|(within, from_sampling)| VarianceParts { between: (sd * sd - from_sampling).max(0.0), within });
        TargetDesign {
            target,
            items: design.items(sd, target),
            draws: parts.and_then(|parts| design.draws(parts, n, target)),
        }
    });
    Some(PowerBlock {
        method: "normal".to_owned(),
        alpha: analysis.alpha.to_f64(),
        power: analysis.power.to_f64(),
        smallest_detectable: Some(smallest),
        targets: targets.collect(),
    })
}

/// Says whether a quantity has the range 0 to 1.
pub(super) fn is_share(name: &str) -> bool {
    name != OUTPUT_TOKENS
}
