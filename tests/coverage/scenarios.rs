//! Scenarios of known truth, sampled with the crate's own streams: how often each interval holds the truth, and each test
//! rejects at 0.05. `tests/reference/coverage.py` has the same scenarios, written anew.

use std::collections::BTreeMap;

use exp::stats::special::normal_quantile;
use exp::stats::{
    self, Adjustment, Alternative, ArmCells, ArmModel, Differences, Interval, PairedTable, Stream, Zeros,
    clustered_mean, odds_ratio_interval, wilcoxon_exact, wilcoxon_normal,
};

pub const SCENARIOS: [&str; 12] = [
    "binary-null",
    "binary-effect",
    "proportion-half",
    "proportion-high",
    "normal-null",
    "normal-effect",
    "skewed",
    "clustered",
    "ratio",
    "family-null",
    "pooled-equal",
    "pooled-mixed",
];

/// Counts hits by method.
#[derive(Default)]
pub struct Tally(BTreeMap<&'static str, (u32, u32)>);

impl Tally {
    fn add(&mut self, method: &'static str, hit: bool) {
        let entry = self.0.entry(method).or_default();
        entry.0 += u32::from(hit);
        entry.1 += 1;
    }

    fn covers(&mut self, interval: Option<Interval>, method: &'static str, truth: f64) {
        self.add(method, interval.is_some_and(|ends| ends.lower <= truth + 1e-12 && truth - 1e-12 <= ends.upper));
    }

    fn rejects(&mut self, method: &'static str, p: Option<f64>) {
        self.add(method, p.is_some_and(|p| p <= 0.05));
    }

    /// Returns each method with its share of hits and the number of samples.
    pub fn shares(&self) -> impl Iterator<Item = (&'static str, f64, u32)> {
        self.0.iter().map(|(method, (hits, all))| (*method, f64::from(*hits) / f64::from(*all), *all))
    }
}

/// Draws `samples` samples of `n` items of a scenario; bootstraps, with so many resamples, are made of the first `booted`.
pub fn simulate(scenario: &str, n: u32, samples: u32, booted: u32, resamples: u32) -> Tally {
    let mut tally = Tally::default();
    let mut draw = Stream::derive(20_261_123, &format!("coverage|{scenario}|{n}"));
    for at in 0..samples {
        let boot = (at < booted).then(|| Stream::derive(u64::from(at), &format!("resample|{scenario}|{n}")));
        match scenario {
            "binary-null" => binary(&mut tally, &mut draw, n, (0.4, 0.15, 0.15), boot, resamples),
            "binary-effect" => binary(&mut tally, &mut draw, n, (0.4, 0.2, 0.1), boot, resamples),
            "proportion-half" => proportion(&mut tally, &mut draw, n, 0.5),
            "proportion-high" => proportion(&mut tally, &mut draw, n, 0.95),
            "normal-null" => normal(&mut tally, &mut draw, n, 0.0, boot, resamples),
            "normal-effect" => normal(&mut tally, &mut draw, n, 0.1, None, resamples),
            "skewed" => skewed(&mut tally, &mut draw, n, boot, resamples),
            "ratio" => ratio(&mut tally, &mut draw, n),
            "family-null" => family(&mut tally, &mut draw, n),
            "pooled-equal" => pooled(&mut tally, &mut draw, n, 0.0),
            "pooled-mixed" => pooled(&mut tally, &mut draw, n, 0.1),
            _ => clustered(&mut tally, &mut draw, n, boot, resamples),
        }
    }
    tally
}

fn gauss(draw: &mut Stream) -> f64 {
    normal_quantile(draw.uniform().max(1e-300))
}

fn binary(
    tally: &mut Tally,
    draw: &mut Stream,
    n: u32,
    (both, treatment, control): (f64, f64, f64),
    boot: Option<Stream>,
    resamples: u32,
) {
    let mut table = PairedTable { both: 0, only_treatment: 0, only_control: 0, neither: 0 };
    for _ in 0..n {
        let u = draw.uniform();
        let cell = if u < both {
            &mut table.both
        } else if u < both + treatment {
            &mut table.only_treatment
        } else if u < both + treatment + control {
            &mut table.only_control
        } else {
            &mut table.neither
        };
        *cell += 1;
    }
    let (b, c) = (table.only_treatment, table.only_control);
    let truth = treatment - control;
    let deltas = [(1.0, b), (-1.0, c), (0.0, u64::from(n) - b - c)];
    let deltas = deltas.into_iter().flat_map(|(delta, count)| std::iter::repeat_n(delta, count as usize));
    let differences = Differences::from_deltas(deltas);
    let summary = stats::paired(&differences);
    let mcnemar = table.mcnemar();
    tally.rejects("mcnemar-exact", Some(mcnemar.p_exact));
    tally.rejects("mcnemar-mid-p", Some(mcnemar.p_mid));
    tally.rejects("permutation-exact", stats::exact_permutation(&differences).map(|test| test.p));
    tally.rejects("paired-t", summary.t_test().map(|test| test.p));
    let wilcoxon = wilcoxon_normal(&differences, Zeros::Wilcox, Alternative::TwoSided, false);
    tally.rejects("wilcoxon-normal", Some(wilcoxon.p));
    for (method, zeros, side, continuity) in [
        ("wilcoxon-normal-continuity", Zeros::Wilcox, Alternative::TwoSided, true),
        ("wilcoxon-pratt-normal", Zeros::Pratt, Alternative::TwoSided, false),
        ("wilcoxon-zsplit-normal", Zeros::Split, Alternative::TwoSided, false),
    ] {
        tally.rejects(method, Some(wilcoxon_normal(&differences, zeros, side, continuity).p));
    }
    let one_sided = wilcoxon_exact(&differences, Zeros::Wilcox, Alternative::Greater);
    tally.rejects("wilcoxon-exact-one-sided", one_sided.map(|test| test.p));
    for (method, continuity) in [("mcnemar-chi-squared", false), ("mcnemar-chi-squared-continuity-corrected", true)] {
        tally.rejects(method, stats::mcnemar_chi_squared(b, c, continuity).map(|test| test.p));
    }
    tally.covers(table.wald(0.95), "wald-paired", truth);
    tally.covers(table.newcombe_plain(0.95), "newcombe-10-uncorrected", truth);
    regressions(tally, &table, (both, treatment, control));
    tally.covers(summary.interval(0.95), "t", truth);
    tally.covers(table.bonett_price(0.95), "bonett-price", truth);
    tally.covers(table.newcombe(0.95), "newcombe-10", truth);
    let (lower, upper) = odds_ratio_interval(b, c, 0.95);
    let ratio = treatment / control;
    tally.add("conditional-exact", lower.is_none_or(|l| l <= ratio) && upper.is_none_or(|u| ratio <= u));
    if let Some(mut stream) = boot {
        let found = stats::bootstrap(&differences, resamples, &mut stream);
        tally.covers(found.as_ref().and_then(|found| found.percentile(0.95)), "bootstrap-percentile", truth);
        tally.covers(found.as_ref().and_then(|found| found.bca(0.95)), "bootstrap-bca", truth);
    }
}

/// Fits both regressions to the table's items; the true log odds ratio is that of the arms' shares.
fn regressions(tally: &mut Tally, table: &PairedTable, (both, treatment, control): (f64, f64, f64)) {
    let counts = [
        (table.both, [1.0, 1.0]),
        (table.only_treatment, [0.0, 1.0]),
        (table.only_control, [1.0, 0.0]),
        (table.neither, [0.0, 0.0]),
    ];
    let rows = counts.into_iter().flat_map(|(count, right)| {
        std::iter::repeat_n(ArmCells { n: [1.0, 1.0], sum: right, squares: right }, count as usize)
    });
    let rows: Vec<ArmCells> = rows.collect();
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let log_odds = logit(both + treatment) - logit(both + control);
    let half = normal_quantile(0.975);
    let gee = stats::logistic_gee(&rows);
    let is_near = |model: ArmModel, truth: f64, reach: f64| {
        (model.params[1] - truth).abs() <= reach * model.standard_errors[1] + 1e-9
    };
    tally.add("gee-logit-exchangeable", gee.is_some_and(|model| is_near(model, log_odds, half)));
    let ols = stats::clustered_ols(&rows);
    let reach = stats::special::student_quantile(0.975, rows.len() as f64 - 1.0);
    tally.add("ols-cluster-robust", ols.is_some_and(|model| is_near(model, treatment - control, reach)));
}

fn ratio(tally: &mut Tally, draw: &mut Stream, n: u32) {
    let rows: Vec<(f64, f64, u32)> = (0..n)
        .map(|id| {
            let (x, y) = (gauss(draw), gauss(draw));
            (1.0 + x, 4.0 + 0.6 * x + 0.8 * y, id)
        })
        .collect();
    let found = stats::ratio_of_means(&rows, 0.95);
    tally.covers(found.and_then(|found| found.interval), "fieller", 0.25);
}

/// Makes five independent tests without an effect; a correction rejects if it rejects any.
fn family(tally: &mut Tally, draw: &mut Stream, n: u32) {
    let p_values: Vec<f64> = (0..5)
        .filter_map(|_| {
            let differences = Differences::from_deltas((0..n).map(|_| gauss(draw)));
            stats::paired(&differences).t_test().map(|test| test.p)
        })
        .collect();
    let family: Vec<Option<f64>> = p_values.iter().copied().map(Some).collect();
    for (method, adjustment) in [
        ("bonferroni", Adjustment::Bonferroni),
        ("sidak", Adjustment::Sidak),
        ("holm", Adjustment::Holm),
        ("hochberg", Adjustment::Hochberg),
        ("hommel", Adjustment::Hommel),
        ("benjamini-hochberg", Adjustment::BenjaminiHochberg),
        ("benjamini-yekutieli", Adjustment::BenjaminiYekutieli),
    ] {
        let smallest = stats::adjust(&family, adjustment).into_iter().flatten().min_by(f64::total_cmp);
        tally.rejects(method, smallest);
    }
    tally.rejects("fisher", stats::fisher(&p_values).map(|found| found.p));
    tally.rejects("stouffer", stats::stouffer(&p_values).map(|found| found.p));
}

/// Pools five datasets whose effects have mean 0 and the variance `between`.
fn pooled(tally: &mut Tally, draw: &mut Stream, n: u32, between: f64) {
    let studies: Vec<(f64, f64)> = (0..5)
        .filter_map(|_| {
            let effect = between.sqrt() * gauss(draw);
            let differences = Differences::from_deltas((0..n / 5).map(|_| effect + gauss(draw)));
            let summary = stats::paired(&differences);
            Some((summary.mean?, summary.standard_error?.powi(2)))
        })
        .collect();
    let Some(all) = stats::meta_analysis(&studies, 0.95) else { return };
    tally.covers(Some(all.fixed.interval), "meta-fixed-normal", 0.0);
    tally.covers(Some(all.dersimonian_laird.interval), "meta-dersimonian-laird-normal", 0.0);
    tally.covers(all.dersimonian_laird.hartung_knapp, "meta-dersimonian-laird-hartung-knapp", 0.0);
    tally.covers(Some(all.paule_mandel.interval), "meta-paule-mandel-normal", 0.0);
    tally.covers(all.paule_mandel.hartung_knapp, "meta-paule-mandel-hartung-knapp", 0.0);
}

fn proportion(tally: &mut Tally, draw: &mut Stream, n: u32, p: f64) {
    let right = (0..n).filter(|_| draw.uniform() < p).count() as u64;
    tally.covers(stats::wilson(right, u64::from(n), 0.95), "wilson", p);
    tally.covers(stats::clopper_pearson(right, u64::from(n), 0.95), "clopper-pearson", p);
}

fn normal(tally: &mut Tally, draw: &mut Stream, n: u32, effect: f64, boot: Option<Stream>, resamples: u32) {
    let differences = Differences::from_deltas((0..n).map(|_| effect + gauss(draw)));
    let summary = stats::paired(&differences);
    tally.covers(summary.interval(0.95), "t", effect);
    tally.rejects("paired-t", summary.t_test().map(|test| test.p));
    tally.covers(stats::hodges_lehmann_interval(&differences, 0.95), "hodges-lehmann-exact", effect);
    if effect == 0.0 {
        let test = wilcoxon_normal(&differences, Zeros::Wilcox, Alternative::TwoSided, false);
        tally.rejects("wilcoxon-normal", Some(test.p));
        if n <= 30 {
            let test = wilcoxon_exact(&differences, Zeros::Wilcox, Alternative::TwoSided);
            tally.rejects("wilcoxon-exact", test.map(|test| test.p));
        }
        // The true difference lies on the margin: to call it no loss is an error.
        let moved = Differences::from_deltas((0..n).map(|_| gauss(draw) - 0.3));
        let tost = stats::equivalence(&stats::paired(&moved), 0.3, 0.05);
        tally.rejects("tost-t", tost.as_ref().map(|tost| tost.p_lower));
        tally.rejects("tost-equivalence", tost.map(|tost| tost.p));
        // Three models, or three treatments of one control, without an effect.
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                let control = gauss(draw);
                (0..3).map(|_| gauss(draw) - control).collect()
            })
            .collect();
        tally.rejects("hotelling", stats::interaction(&rows).map(|test| test.p));
        if let Some(mut stream) = boot {
            let test = stats::sampled_permutation(&differences, resamples, &mut stream);
            tally.rejects("permutation-monte-carlo", Some(test.p));
            let tests = stats::max_t(&rows, resamples, &mut stream);
            let smallest = tests.iter().filter_map(|test| test.p_single_step).min_by(f64::total_cmp);
            tally.rejects("max-t-sign-flip", smallest);
        }
    }
}

fn skewed(tally: &mut Tally, draw: &mut Stream, n: u32, boot: Option<Stream>, resamples: u32) {
    let differences = Differences::from_deltas((0..n).map(|_| -libm::log(1.0 - draw.uniform())));
    tally.covers(stats::paired(&differences).interval(0.95), "t", 1.0);
    if let Some(mut stream) = boot {
        let found = stats::bootstrap(&differences, resamples, &mut stream);
        tally.covers(found.as_ref().and_then(|found| found.percentile(0.95)), "bootstrap-percentile", 1.0);
        tally.covers(found.as_ref().and_then(|found| found.bca(0.95)), "bootstrap-bca", 1.0);
    }
}

fn clustered(tally: &mut Tally, draw: &mut Stream, n: u32, boot: Option<Stream>, resamples: u32) {
    let mut rows = Vec::with_capacity(n as usize);
    for cluster in 0..n / 5 {
        let shift = 0.5 * gauss(draw);
        rows.extend((0..5).map(|_| (shift + gauss(draw), cluster)));
    }
    let (values, clusters): (Vec<f64>, Vec<u32>) = rows.iter().copied().unzip();
    let robust = clustered_mean(&values, &clusters);
    tally.covers(robust.interval(0.95), "t-cluster-robust", 0.0);
    let t = robust.mean.zip(robust.standard_error).map(|(mean, se)| mean / se);
    let p = t.map(|t| stats::special::student_two_sided(t, robust.clusters as f64 - 1.0));
    tally.rejects("cluster-robust-t", p);
    tally.covers(stats::t_interval(&values, 0.95), "t", 0.0);
    if let Some(mut stream) = boot {
        let sums = values.chunks(5).map(|cluster| cluster.iter().sum::<f64>());
        let test = stats::permutation(&Differences::from_deltas(sums), resamples, &mut stream);
        tally.rejects("cluster-permutation", Some(test.p));
        let found = stats::cluster_bootstrap(rows, resamples, &mut stream);
        tally.covers(found.as_ref().and_then(|found| found.percentile(0.95)), "cluster-bootstrap-percentile", 0.0);
        tally.covers(found.as_ref().and_then(|found| found.bca(0.95)), "cluster-bootstrap-bca", 0.0);
    }
}
