//! Scenarios of known truth, sampled with the crate's own streams: how often each interval holds the truth, and each test
//! rejects at 0.05. `tests/reference/coverage.py` has the same scenarios, written anew.

use std::collections::BTreeMap;

use exp::stats::special::normal_quantile;
use exp::stats::{
    self, Alternative, Differences, Interval, PairedTable, Stream, Zeros, clustered_mean, odds_ratio_interval,
    wilcoxon_exact, wilcoxon_normal,
};

pub const SCENARIOS: [&str; 8] = [
    "binary-null",
    "binary-effect",
    "proportion-half",
    "proportion-high",
    "normal-null",
    "normal-effect",
    "skewed",
    "clustered",
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
        tally.rejects("tost-t", tost.map(|tost| tost.p_lower));
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
