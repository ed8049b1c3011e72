//! The statistics against the reference values in `../shared/golden`.
//!
//! Skipped where `../shared` is absent. Tolerance: 1e-9 relative, 1e-12 absolute at 0.

// A test may stop where the reference is not as expected.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;

use exp::stats::{
    self, Adjustment, Alternative, Bootstrap, Differences, PairedTable, Resampling, Stream, Zeros, adjust, special,
};
use serde_json::Value;

/// Returns the text of a reference file, or nothing where `../shared` is absent.
fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(path);
    if !file.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(fs::read_to_string(file).unwrap())
}

fn shared_json(path: &str) -> Option<Value> {
    shared(path).map(|text| serde_json::from_str(&text.replace("NaN", "null")).unwrap())
}

fn close(actual: f64, expected: f64) -> bool {
    if expected == 0.0 { actual.abs() <= 1e-12 } else { (actual - expected).abs() <= 1e-9 * expected.abs() }
}

/// Collects mismatches, so that one run shows them all.
#[derive(Default)]
struct Check {
    compared: usize,
    failures: Vec<String>,
}

impl Check {
    /// Compares a value that may be undefined with a JSON number or null.
    fn value(&mut self, what: &str, actual: Option<f64>, expected: &Value) {
        self.compared += 1;
        let fits = match (actual, expected.as_f64()) {
            (None, None) => expected.is_null(),
            (Some(a), Some(e)) => close(a, e),
            _ => false,
        };
        if !fits {
            self.failures.push(format!("{what}: {actual:?} for {expected}"));
        }
    }

    fn ends(&mut self, what: &str, actual: Option<stats::Interval>, expected: &Value) {
        self.value(&format!("{what} lower"), actual.map(|i| i.lower), &expected[0]);
        self.value(&format!("{what} upper"), actual.map(|i| i.upper), &expected[1]);
    }

    fn finish(self, at_least: usize) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
        assert!(self.compared >= at_least, "only {} compared", self.compared);
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Returns the numeric cases, each with its line.
fn numeric_cases() -> Option<Vec<(String, Value)>> {
    let text = shared("golden/numeric_cases.jsonl")?;
    Some(text.lines().map(|line| (line.to_owned(), serde_json::from_str(line).unwrap())).collect())
}

/// Reads the numbers of a line's flat input list to the last bit.
fn deltas_of(line: &str) -> Vec<f64> {
    let (_, rest) = line.split_once("\"input\": [").unwrap();
    let (list, _) = rest.split_once(']').unwrap();
    list.split(',').map(|number| number.trim().parse().unwrap()).collect()
}

const ADJUSTMENTS: [(&str, Adjustment); 7] = [
    ("bh", Adjustment::BenjaminiHochberg),
    ("by", Adjustment::BenjaminiYekutieli),
    ("holm", Adjustment::Holm),
    ("bonferroni", Adjustment::Bonferroni),
    ("hochberg", Adjustment::Hochberg),
    ("hommel", Adjustment::Hommel),
    ("sidak", Adjustment::Sidak),
];

fn optional_numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap().iter().map(Value::as_f64).collect()
}

fn paired_table(check: &mut Check, id: &str, table: &PairedTable, expected: &Value) {
    check.value(&format!("{id} diff"), table.difference(), &expected["diff"]);
    for (key, interval) in [
        ("newcombe10_cc", table.newcombe(0.95)),
        ("newcombe10_plain", table.newcombe_plain(0.95)),
        ("bonett_price", table.bonett_price(0.95)),
        ("wald", table.wald(0.95)),
    ] {
        check.ends(&format!("{id} {key}"), interval, &expected[key]);
    }
}

/// Compares every normal form that the reference has; the exact law if it is there.
fn wilcoxon_forms(check: &mut Check, id: &str, d: &Differences, expected: &Value) {
    let forms = expected.as_object().unwrap();
    for (name, reference) in forms {
        let what = format!("{id} {name}");
        let (zeros, rest) = match name.split_once('_').unwrap_or((name, "")) {
            ("wilcox", rest) => (Zeros::Wilcox, rest),
            ("pratt", rest) => (Zeros::Pratt, rest),
            ("zsplit", rest) => (Zeros::Split, rest),
            ("all", _) => {
                let test = stats::wilcoxon(d, Zeros::Wilcox);
                check.value(&what, Some(test.p), &Value::from(1.0));
                continue;
            }
            ("exact", _) => {
                let test = stats::wilcoxon_exact(d, Zeros::Wilcox, Alternative::TwoSided);
                check.value(&what, test.map(|t| t.p), reference);
                continue;
            }
            _ => panic!("unknown form {name}"),
        };
        let (continuity, side) = match rest {
            "cc0" => (false, Alternative::TwoSided),
            "cc1" => (true, Alternative::TwoSided),
            "cc1_greater" => (true, Alternative::Greater),
            "cc1_less" => (true, Alternative::Less),
            _ => panic!("unknown form {name}"),
        };
        let test = stats::wilcoxon_normal(d, zeros, side, continuity);
        check.value(&format!("{what} W"), Some(test.statistic), &reference["W"]);
        check.value(&format!("{what} z"), test.z, &reference["z"]);
        check.value(&format!("{what} p"), Some(test.p), &reference["p"]);
    }
}

fn nan_policy(check: &mut Check, id: &str, input: &Value, expected: &Value) {
    let arm = |key: &str| -> Vec<f64> {
        let values = optional_numbers(&input[key]).into_iter();
        values.map(|v| v.unwrap_or(f64::NAN)).collect()
    };
    // The reference tests a − b: b stands in control's place.
    let pairs = arm("b").into_iter().zip(arm("a"));
    let d = if input["policy"] == "propagate" {
        Differences::propagating(pairs)
    } else {
        Some(Differences::omitting(pairs))
    };
    let found = d.and_then(|d| {
        if input["test"] == "ttest_rel" {
            stats::paired(&d).t_test().map(|t| (t.t, t.p))
        } else {
            let test = stats::wilcoxon_normal(&d, Zeros::Wilcox, Alternative::TwoSided, false);
            Some((test.statistic, test.p))
        }
    });
    check.value(&format!("{id} stat"), found.map(|f| f.0), &expected["stat"]);
    check.value(&format!("{id} p"), found.map(|f| f.1), &expected["p"]);
}

/// Compares effect sizes of (control, treatment) pairs.
fn effect_sizes(check: &mut Check, id: &str, pairs: &[(f64, f64)], expected: &Value) {
    let d = Differences::omitting(pairs.iter().copied());
    let summary = stats::paired(&d);
    let sizes = stats::effects(&d);
    let arms = stats::arm_effects(pairs.iter().copied());
    for (key, value) in [
        ("mean_diff", summary.mean),
        ("sd_diff", summary.sd),
        ("cohen_dz", sizes.cohens_dz),
        ("hedges_gz_approxJ", sizes.hedges_gz_approximate),
        ("hedges_gz_exactJ", sizes.hedges_gz),
        ("cohen_d_av", arms.cohens_dav),
        ("hedges_g_av_approxJ_df2n2", arms.hedges_gav),
        ("cliffs_delta_all_pairs", arms.cliffs_delta),
        ("paired_dominance", sizes.dominance),
        ("rank_biserial_matched", sizes.rank_biserial),
    ] {
        check.value(&format!("{id} {key}"), value, &expected[key]);
    }
}

/// Compares two one-sided tests at each margin; null stands for "undefined at any".
fn margins(check: &mut Check, id: &str, d: &Differences, expected: &Value) {
    let summary = stats::paired(d);
    let Some(list) = expected.as_array() else {
        let test = stats::equivalence(&summary, 0.05, 0.05);
        check.value(&format!("{id} tost"), test.map(|t| t.p), expected);
        return;
    };
    for reference in list {
        let margin = number(&reference["margin"]);
        let test = stats::equivalence(&summary, margin, 0.05).unwrap();
        for (key, value) in [
            ("p", test.p),
            ("t_lower", test.t_lower),
            ("p_lower", test.p_lower),
            ("t_upper", test.t_upper),
            ("p_upper", test.p_upper),
            ("df", test.df),
        ] {
            check.value(&format!("{id} margin {margin} {key}"), Some(value), &reference[key]);
        }
    }
}

/// Compares Paule and Mandel's variance.
///
/// The reference stops its iteration at 1e-6; ours solves the equation, which
/// makes the two standard errors of the pooled mean equal.
fn paule_mandel(check: &mut Check, id: &str, meta: &stats::MetaAnalysis, expected: &Value) {
    let (ours, theirs) = (meta.tau2_paule_mandel, number(expected));
    check.compared += 1;
    let pooled = meta.paule_mandel;
    let solved = (pooled.hartung_knapp_error / pooled.standard_error - 1.0).abs() < 1e-12;
    if (ours - theirs).abs() > 1e-6 * theirs || !solved {
        check.failures.push(format!("{id} tau2 PM: {ours} for {theirs}"));
    }
}

/// Checks one numeric case; false if its kind is unknown.
fn numeric_case(check: &mut Check, line: &str, case: &Value) -> bool {
    let (input, expected) = (&case["input"], &case["expected"]);
    let id = format!("case {}", case["id"]);
    let at = |i: usize| number(&input[i]);
    match case["kind"].as_str().unwrap() {
        "binom_test_two_sided" => {
            let p = stats::binomial_test(whole(&input[0]), whole(&input[1]), at(2));
            check.value(&id, p, expected);
        }
        "mcnemar" => {
            let (b, c) = (whole(&input[0]), whole(&input[1]));
            let test = stats::mcnemar(b, c);
            check.value(&format!("{id} exact"), Some(test.p_exact), &expected["exact"]);
            check.value(&format!("{id} mid-p"), Some(test.p_mid), &expected["midp"]);
            for (key, continuity) in [("chi2", false), ("chi2_cc", true)] {
                let chi = stats::mcnemar_chi_squared(b, c, continuity);
                check.value(&format!("{id} {key}"), chi.map(|c| c.statistic), &expected[key]);
            }
        }
        "beta_ppf" => {
            let q = special::beta_quantile(at(0), at(1), at(2));
            check.value(&id, Some(q), expected);
        }
        "beta_cdf" => {
            let p = special::beta_cdf(at(0), at(1), at(2));
            check.value(&id, Some(p), expected);
        }
        "prop_ci" => {
            let (k, n, level) = (whole(&input[0]), whole(&input[1]), 1.0 - at(2));
            check.ends(&id, stats::clopper_pearson(k, n, level), &expected["clopper_pearson"]);
            check.ends(&id, stats::wilson(k, n, level), &expected["wilson"]);
        }
        "p_adjust" | "p_adjust_nan" => {
            let family = optional_numbers(input);
            let missing = case["kind"] == "p_adjust_nan";
            let reference = |name: &str| match (missing, name) {
                (false, name) => expected[name]["adj"].clone(),
                (true, "bh") => case["R"]["BH"].clone(),
                (true, "by") => case["R"]["BY"].clone(),
                (true, name) => case["R"][name].clone(),
            };
            for (name, adjustment) in ADJUSTMENTS {
                let reference = reference(name);
                let adjusted = adjust(&family, adjustment);
                assert_eq!(adjusted.len(), family.len());
                if let Some(reference) = reference.as_array() {
                    for (q, r) in adjusted.into_iter().zip(reference) {
                        check.value(&format!("{id} {name}"), q, r);
                    }
                }
            }
        }
        "norm_sf" => check.value(&id, Some(special::normal_sf(at(0))), expected),
        "norm_ppf" => check.value(&id, Some(special::normal_quantile(at(0))), expected),
        "chi2_sf" => check.value(&id, Some(special::chi_squared_sf(at(0), at(1))), expected),
        "t_sf" => check.value(&id, Some(special::student_sf(at(0), at(1))), expected),
        "t_ppf" => check.value(&id, Some(special::student_quantile(at(0), at(1))), expected),
        "paired_diff_ci" => {
            let table = PairedTable {
                both: whole(&input[0]),
                only_treatment: whole(&input[1]),
                only_control: whole(&input[2]),
                neither: whole(&input[3]),
            };
            paired_table(check, &id, &table, expected);
        }
        "wilcoxon_signed_rank" => {
            // Two cases rank doubles that differ from 0 or a tie in the last bit only, which
            // our own rule would round away, and which serde_json's quick parser may too.
            let deltas = deltas_of(line);
            let d = Differences::unrounded(deltas);
            wilcoxon_forms(check, &id, &d, &expected["approx"]);
            let exact = &expected["exact_dp"];
            for (key, side) in
                [("p_two", Alternative::TwoSided), ("p_greater", Alternative::Greater), ("p_less", Alternative::Less)]
            {
                if !exact.is_null() {
                    let test = stats::wilcoxon_exact(&d, Zeros::Wilcox, side);
                    check.value(&format!("{id} exact {key}"), test.map(|t| t.p), &exact[key]);
                    check.value(&format!("{id} W+"), test.map(|t| t.w_plus), &exact["Wplus"]);
                    check.value(&format!("{id} W-"), test.map(|t| t.w_minus), &exact["Wminus"]);
                }
            }
        }
        "nan_policy" => nan_policy(check, &id, input, expected),
        "effects" => {
            let arm = |key: &str| -> Vec<f64> { input[key].as_array().unwrap().iter().map(number).collect() };
            let pairs: Vec<(f64, f64)> = arm("y").into_iter().zip(arm("x")).collect();
            effect_sizes(check, &id, &pairs, expected);
            let d = Differences::omitting(pairs.iter().copied());
            let hl = stats::hodges_lehmann(&d);
            check.value(&format!("{id} hl"), hl, &expected["hodges_lehmann"]);
            margins(check, &id, &d, &expected["tost"]);
        }
        "bootstrap_given_indices" => {
            let values: Vec<f64> = input["d"].as_array().unwrap().iter().map(number).collect();
            let rows = input["idx"].as_array().unwrap();
            let means: Vec<f64> = rows
                .iter()
                .map(|row| {
                    let row = row.as_array().unwrap();
                    let picked = row.iter().map(|i| values[whole(i) as usize]);
                    picked.sum::<f64>() / row.len() as f64
                })
                .collect();
            let sum: f64 = means.iter().sum();
            let d = Differences::from_deltas(values.iter().copied());
            let acceleration = stats::jackknife_acceleration(&d);
            let boot = Bootstrap::from_means(d.mean().unwrap(), means, acceleration, Resampling::Items);
            let boot = boot.unwrap();
            let level = number(&input["conf"]);
            let bca = &expected["bca"];
            check.value(&format!("{id} sum"), Some(sum), &expected["means_sum"]);
            check.value(&format!("{id} se"), boot.standard_error, &expected["se_ddof1"]);
            check.ends(&id, boot.percentile(level), &expected["percentile_linear"]);
            check.value(&format!("{id} z0"), boot.bias_correction(), &bca["z0"]);
            check.value(&format!("{id} a"), Some(boot.acceleration()), &bca["accel"]);
            let shares = boot.bca_shares(level).unwrap();
            check.value(&format!("{id} low"), Some(shares.0), &bca["alpha"][0]);
            check.value(&format!("{id} high"), Some(shares.1), &bca["alpha"][1]);
            check.ends(&format!("{id} bca"), boot.bca(level), &bca["ci_linear"]);
        }
        "sign_flip_permutation_exact" => {
            let d = Differences::from_deltas(input.as_array().unwrap().iter().map(number));
            let test = stats::exact_permutation(&d);
            check.value(&id, test.map(|t| t.p), expected);
        }
        "meta" => {
            let list = |key: &str| input[key].as_array().unwrap().iter().map(number);
            let studies: Vec<(f64, f64)> = list("effect").zip(list("variance")).collect();
            let meta = stats::meta_analysis(&studies, 0.95).unwrap();
            let (fixed, random) = (meta.fixed, meta.dersimonian_laird);
            for (key, value) in [
                ("fixed", fixed.estimate),
                ("fixed_se", fixed.standard_error),
                ("Q", meta.heterogeneity.q),
                ("Q_p", meta.heterogeneity.p),
                ("I2", meta.heterogeneity.i2),
                ("tau2_DL", meta.tau2_dersimonian_laird),
                ("random_DL", random.estimate),
                ("random_DL_se", random.standard_error),
                ("HKSJ_se", random.hartung_knapp_error),
            ] {
                check.value(&format!("{id} {key}"), Some(value), &expected[key]);
            }
            check.ends(&id, Some(fixed.interval), &expected["fixed_ci"]);
            check.ends(&id, Some(random.interval), &expected["random_DL_ci"]);
            paule_mandel(check, &id, &meta, &expected["statsmodels"]["tau2_PM"]);
        }
        "combine_p" => {
            let p: Vec<f64> = input.as_array().unwrap().iter().map(number).collect();
            for (key, combined) in [("fisher", stats::fisher(&p)), ("stouffer", stats::stouffer(&p))] {
                let combined = combined.unwrap();
                check.value(&format!("{id} {key}"), Some(combined.statistic), &expected[key][0]);
                check.value(&format!("{id} {key} p"), Some(combined.p), &expected[key][1]);
            }
        }
        _ => return false,
    }
    true
}

#[test]
fn numeric_cases_agree_to_nine_digits() {
    let Some(cases) = numeric_cases() else { return };
    let mut check = Check::default();
    for (line, case) in &cases {
        let before = check.compared;
        assert!(numeric_case(&mut check, line, case), "unknown kind {}", case["kind"]);
        // The empty family has nothing to compare but its length.
        let empty = case["kind"] == "p_adjust" && case["input"] == Value::Array(Vec::new());
        assert!(empty || check.compared > before, "{case}");
    }
    assert_eq!(cases.len(), 150);
    check.finish(900);
}

#[test]
fn the_published_flags_give_the_published_p() {
    let Some(flags) = shared_json("golden/gsm8k_flags.json") else { return };
    let system = |name: &str| flags[name].as_str().unwrap().as_bytes().to_vec();
    let (control, treatment) = (system("6b_verification"), system("175b_finetuning"));
    let count = |c: u8, t: u8| {
        let pairs = control.iter().zip(&treatment);
        pairs.filter(|&(x, y)| (*x, *y) == (c, t)).count() as u64
    };
    let test = stats::mcnemar(count(b'0', b'1'), count(b'1', b'0'));
    assert_eq!((test.b, test.c), (152, 209));
    let published = 0.003_150_656_880_360_618;
    assert!((test.p_exact / published - 1.0).abs() < 1e-12, "{}", test.p_exact);
}

/// Returns one outcome for each pair of a table, as (first arm, second arm).
fn pairs_of(table: &Value) -> Vec<(f64, f64)> {
    let cells = [("both", (1.0, 1.0)), ("only_A", (1.0, 0.0)), ("only_B", (0.0, 1.0)), ("neither", (0.0, 0.0))];
    let rows = cells.iter().map(|(key, pair)| vec![*pair; whole(&table[*key]) as usize]);
    rows.collect::<Vec<_>>().concat()
}

/// The density of resampled means near a value, from the normal form of their law.
fn density(value: f64, mean: f64, se: f64) -> f64 {
    let z = (value - mean) / se;
    libm::exp(-0.5 * z * z) / (se * libm::sqrt(2.0 * core::f64::consts::PI))
}

fn system_pair(check: &mut Check, file: &str, pair: &Value) {
    let id = format!("{file} {} {}", pair["A"], pair["B"]);
    // A − B: A stands in treatment's place.
    let table = &pair["table"];
    let counts = PairedTable {
        both: whole(&table["both"]),
        only_treatment: whole(&table["only_A"]),
        only_control: whole(&table["only_B"]),
        neither: whole(&table["neither"]),
    };
    let (b, c) = (counts.only_treatment, counts.only_control);
    let expected = &pair["mcnemar"];
    let test = counts.mcnemar();
    check.value(&format!("{id} exact"), Some(test.p_exact), &expected["exact_p"]);
    check.value(&format!("{id} mid-p"), Some(test.p_mid), &expected["midp"]);
    check.value(&format!("{id} odds"), test.odds_ratio, &pair["odds_ratio_bc"]);
    for (key, continuity) in [("chi2", false), ("chi2_cc", true)] {
        let chi = stats::mcnemar_chi_squared(b, c, continuity).unwrap();
        check.value(&format!("{id} {key}"), Some(chi.statistic), &expected[key]);
        check.value(&format!("{id} {key} p"), Some(chi.p), &expected[format!("{key}_p")]);
    }
    paired_table(check, &id, &counts, &pair["diff_ci"]);

    let pairs: Vec<(f64, f64)> = pairs_of(table).into_iter().map(|(a, b)| (b, a)).collect();
    let d = Differences::omitting(pairs.iter().copied());
    wilcoxon_forms(check, &id, &d, &pair["wilcoxon_signed"]);
    let t = stats::paired(&d).t_test().unwrap();
    check.value(&format!("{id} t"), Some(t.t), &pair["ttest"]["t"]);
    check.value(&format!("{id} t p"), Some(t.p), &pair["ttest"]["p"]);
    check.value(&format!("{id} t df"), Some(t.df), &pair["ttest"]["df"]);
    effect_sizes(check, &id, &pairs, &pair["effects"]);
    let n = counts.n() as f64;
    let (control, treatment) = counts.successes();
    let h = stats::cohens_h(control as f64 / n, treatment as f64 / n);
    check.value(&format!("{id} h"), h, &pair["cohen_h"]);
    let hl = stats::hodges_lehmann(&d);
    check.value(&format!("{id} hl"), hl, &pair["hodges_lehmann_incl_zeros"]);
    margins(check, &id, &d, &pair["tost"]);
    let flips = stats::permutation(&d, 100, &mut Stream::derive(1, "unused"));
    check.value(&format!("{id} permutation"), Some(flips.p), &expected["exact_p"]);

    // The percentile bootstrap against the exact law: four Monte-Carlo standard errors.
    let resamples = 20_000;
    let boot = stats::bootstrap(&d, resamples, &mut Stream::derive(1337, &id)).unwrap();
    let law = &pair["bootstrap_exact_percentile"];
    let (se, draws) = (number(&law["se"]), f64::from(resamples));
    let gap = (boot.standard_error.unwrap() - se).abs();
    let mut near = |what: &str, fits: bool| {
        check.compared += 1;
        if !fits {
            check.failures.push(format!("{id} bootstrap {what}"));
        }
    };
    near("se", gap < 4.0 * se / libm::sqrt(2.0 * draws));
    let interval = boot.percentile(0.95).unwrap();
    for (end, reference) in [(interval.lower, &law["ci"][0]), (interval.upper, &law["ci"][1])] {
        let exact = number(reference);
        let spread = libm::sqrt(0.025 * 0.975 / draws) / density(exact, d.mean().unwrap(), se);
        // Means live on a lattice of 1/n, so the exact quantile is up to one step away.
        near("end", (end - exact).abs() < 4.0 * spread + 1.0 / n);
    }
}

#[test]
fn every_pair_of_systems_agrees() {
    for file in ["stats_gsm8k.json", "stats_evouna_nq.json"] {
        let Some(reference) = shared_json(&format!("golden/{file}")) else { return };
        let mut check = Check::default();
        for (name, system) in reference["accuracy"].as_object().unwrap() {
            let (k, n) = (whole(&system["correct"]), whole(&system["n"]));
            let cp = stats::clopper_pearson(k, n, 0.95);
            check.ends(&format!("{name} cp"), cp, &system["clopper_pearson_95"]);
            check.ends(&format!("{name} wilson"), stats::wilson(k, n, 0.95), &system["wilson_95"]);
        }
        for pair in reference["pairs"].as_array().unwrap() {
            system_pair(&mut check, file, pair);
        }
        let multiple = &reference["multiple"];
        let family = optional_numbers(&multiple["input_exact_p"]);
        for (key, adjustment) in [
            ("bonferroni", Adjustment::Bonferroni),
            ("sidak", Adjustment::Sidak),
            ("holm", Adjustment::Holm),
            ("simes-hochberg", Adjustment::Hochberg),
            ("hommel", Adjustment::Hommel),
            ("fdr_bh", Adjustment::BenjaminiHochberg),
            ("fdr_by", Adjustment::BenjaminiYekutieli),
        ] {
            let references = multiple[key]["adj"].as_array().unwrap();
            for (q, r) in adjust(&family, adjustment).into_iter().zip(references) {
                check.value(&format!("{file} {key}"), q, r);
            }
        }
        for part in reference["meta_by_steps"].as_array().into_iter().flatten() {
            let list = |key: &str| part[key].as_array().unwrap().iter().map(number);
            let studies: Vec<(f64, f64)> = list("effect").zip(list("variance")).collect();
            let meta = stats::meta_analysis(&studies, 0.95).unwrap();
            for (key, value) in [
                ("fixed", meta.fixed.estimate),
                ("fixed_sd", meta.fixed.standard_error),
                ("random", meta.dersimonian_laird.estimate),
                ("random_sd", meta.dersimonian_laird.standard_error),
                ("tau2", meta.tau2_dersimonian_laird),
                ("Q", meta.heterogeneity.q),
                ("Q_p", meta.heterogeneity.p),
                ("I2", meta.heterogeneity.i2),
                ("H2", meta.heterogeneity.h2),
                ("HKSJ_fixed_sd", meta.fixed.hartung_knapp_error),
                ("HKSJ_random_sd", meta.dersimonian_laird.hartung_knapp_error),
            ] {
                // The reference does not truncate I² and reports it negative below Q = df.
                let truncated = key == "I2" && number(&part["DL"][key]) < 0.0;
                let expected = if truncated { Value::from(0.0) } else { part["DL"][key].clone() };
                check.value(&format!("{file} DL {key}"), Some(value), &expected);
            }
            paule_mandel(&mut check, file, &meta, &part["PM"]["tau2"]);
        }
        check.finish(if file.contains("gsm8k") { 500 } else { 800 });
    }
}

/// The predecessor's per-item scores, by (temperature, type, item) and arm.
fn per_item_scores() -> Option<Vec<std::collections::HashMap<String, String>>> {
    let text = shared("golden/main/out/per_item_scores.csv")?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    Some(reader.deserialize().map(Result::unwrap).collect())
}

/// Returns the (control, treatment) scores of one block, as `careful.json` names it.
fn block(rows: &[std::collections::HashMap<String, String>], name: &str, metric: &str) -> Vec<(f64, f64)> {
    let mut parts = name.split('|');
    let mut part = || parts.next().unwrap().to_owned();
    let (temp, kind, dataset) = (part(), part(), part());
    let mut items: std::collections::BTreeMap<&str, [Option<f64>; 2]> = std::collections::BTreeMap::default();
    for row in rows {
        let key = row["item_key"].as_str();
        let here = row["temp"] == temp && row["type"] == kind;
        if here && (dataset == "overall" || key.split('|').next() == Some(dataset.as_str())) {
            let arm = usize::from(row["condition"] == "treatment");
            items.entry(key).or_default()[arm] = row[metric].parse().ok();
        }
    }
    items.values().filter_map(|arms| Some((arms[0]?, arms[1]?))).collect()
}

#[test]
fn the_predecessors_scores_give_the_careful_values() {
    let Some(careful) = shared_json("golden/main/careful.json") else { return };
    let Some(rows) = per_item_scores() else { return };
    let mut check = Check::default();
    let mut family = Vec::new();
    let mut corrected = Vec::new();
    // The p-values that stand in their family, without split ties.
    let mut clean = Vec::new();
    for (name, metrics) in careful.as_object().unwrap() {
        for (metric, expected) in metrics.as_object().unwrap() {
            let id = format!("{name} {metric}");
            family.push(expected["p_used"].as_f64());
            corrected.push(expected["q_bh_correct"].clone());
            if metric == "mcnemar" {
                let hits = block(&rows, name, "em").into_iter();
                let table = PairedTable::of(hits.map(|(c, t)| (c >= 0.5, t >= 0.5)));
                let test = table.mcnemar();
                check.value(&format!("{id} exact"), Some(test.p_exact), &expected["p_exact"]);
                check.value(&format!("{id} mid-p"), Some(test.p_mid), &expected["p_mid"]);
                clean.push(Some(test.p_exact));
                continue;
            }
            let d = Differences::omitting(block(&rows, name, metric));
            let summary = stats::paired(&d);
            check.value(&format!("{id} n"), Some(summary.n as f64), &expected["n"]);
            check.value(&format!("{id} mean"), summary.mean, &expected["mean"]);
            check.value(&format!("{id} median"), summary.median, &expected["median"]);
            // One estimate of zero stands there as -2.8e-17.
            let hl = Value::from(stats::lattice_round(number(&expected["hl"])));
            check.value(&format!("{id} hl"), stats::hodges_lehmann(&d), &hl);
            check.value(&format!("{id} d_z"), summary.cohens_dz, &expected["cohens_dz"]);
            let test = stats::wilcoxon_normal(&d, Zeros::Wilcox, Alternative::TwoSided, false);
            let reference = &expected["wilcoxon_rounded"];
            check.value(&format!("{id} W"), Some(test.statistic), &reference["W"]);
            check.value(&format!("{id} W p"), Some(test.p), &reference["p"]);
            clean.push(Some(test.p));
            // Their p has 5,000 draws of noise; ours is exact or has as many.
            let mut stream = Stream::derive(1337, &id);
            let ours = stats::permutation(&d, 5_000, &mut stream);
            let theirs = number(&expected["perm_p_plus1"]);
            let noise = |p: f64| p * (1.0 - p) / 5_000.0;
            let sampled = if ours.resamples > 0 { 2.0 } else { 1.0 };
            let error = libm::sqrt(sampled * noise(ours.p.max(1.0 / 5_001.0)));
            check.compared += 1;
            if (ours.p - theirs).abs() > 4.0 * error {
                check.failures.push(format!("{id} permutation {} for {theirs}", ours.p));
            }
        }
    }
    assert_eq!(family.len(), 54);
    for (q, expected) in stats::benjamini_hochberg(&family).into_iter().zip(&corrected) {
        check.value("q", q, expected);
    }
    let published = stats::benjamini_hochberg(&clean).into_iter().zip(&corrected);
    assert_eq!(published.filter(|(q, theirs)| !close(q.unwrap(), number(theirs))).count(), 34);
    check.finish(400);
}

/// Everything that is told of one block: (name, value, whether swapping arms negates it).
fn everything(pairs: &[(f64, f64)]) -> Vec<(&'static str, Option<f64>, bool)> {
    let d = Differences::omitting(pairs.iter().copied());
    let summary = stats::paired(&d);
    let sizes = stats::effects(&d);
    let arms = stats::arm_effects(pairs.iter().copied());
    let stream = || Stream::derive(1337, "properties");
    let boot = stats::bootstrap(&d, 200, &mut stream());
    let exact = stats::wilcoxon(&d, Zeros::Pratt);
    let normal = stats::wilcoxon_normal(&d, Zeros::Wilcox, Alternative::TwoSided, true);
    let middle = |i: Option<stats::Interval>| i.map(|i| 0.5 * (i.lower + i.upper));
    let width = |i: Option<stats::Interval>| i.map(stats::Interval::width);
    let percentile = boot.as_ref().and_then(|b| b.percentile(0.95));
    let shift = stats::hodges_lehmann_interval(&d, 0.9);
    vec![
        ("mean", summary.mean, true),
        ("median", summary.median, true),
        ("sd", summary.sd, false),
        ("d_z", sizes.cohens_dz, true),
        ("g_z", sizes.hedges_gz, true),
        ("dominance", sizes.dominance, true),
        ("rank biserial", sizes.rank_biserial, true),
        ("d_av", arms.cohens_dav, true),
        ("Cliff", arms.cliffs_delta, true),
        ("t", summary.t_test().map(|t| t.t), true),
        ("t p", summary.t_test().map(|t| t.p), false),
        ("t middle", middle(summary.interval(0.95)), true),
        ("t width", width(summary.interval(0.95)), false),
        ("HL", stats::hodges_lehmann(&d), true),
        ("HL middle", middle(shift), true),
        ("HL width", width(shift), false),
        ("W p", Some(exact.p), false),
        ("W normal p", Some(normal.p), false),
        ("permutation", Some(stats::permutation(&d, 99, &mut stream()).p), false),
        ("sampled", Some(stats::sampled_permutation(&d, 99, &mut stream()).p), false),
        ("bootstrap se", boot.as_ref().and_then(|b| b.standard_error), false),
        ("bootstrap middle", middle(percentile), true),
        ("bootstrap width", width(percentile), false),
        ("equivalence", stats::equivalence(&summary, 0.1, 0.05).map(|e| e.p), false),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Scores are means of 1 to 4 draws, or arbitrary numbers.
    #[test]
    fn rows_may_be_permuted_and_arms_swapped(
        draws in proptest::collection::vec((0_u8..5, 0_u8..5), 0..40),
        reals in proptest::collection::vec((0.0..1.0, 0.0..1.0), 0..12),
    ) {
        let fraction = |v: u8| f64::from(v) / 4.0;
        let mut pairs: Vec<(f64, f64)> =
            draws.iter().map(|&(c, t)| (fraction(c), fraction(t))).chain(reals).collect();
        let original = everything(&pairs);
        for (name, value, _) in &original {
            proptest::prop_assert!(value.is_none_or(f64::is_finite), "{} {:?}", name, value);
        }
        pairs.reverse();
        let half = pairs.len() / 2;
        pairs.rotate_left(half);
        proptest::prop_assert_eq!(&original, &everything(&pairs));

        let swapped: Vec<(f64, f64)> = pairs.iter().map(|&(c, t)| (t, c)).collect();
        for ((name, a, negated), (_, b, _)) in original.into_iter().zip(everything(&swapped)) {
            let mirror = if negated { b.map(|b| 0.0 - b) } else { b };
            let same = match (a, mirror) {
                (Some(a), Some(m)) => (a - m).abs() <= 1e-13 * (1.0 + a.abs()),
                (None, None) => true,
                _ => false,
            };
            proptest::prop_assert!(same, "{}: {:?} and {:?}", name, a, b);
        }
    }
}
