use serde_json::Value;

use super::*;
use crate::plan::{Multiplicity, OptionalAnalyses};
use crate::step::memory::run_in_memory;

fn dataset(name: &str, open: bool, metrics: &[&str]) -> TrialDataset {
    TrialDataset { name: name.to_owned(), open, metrics: metrics.iter().map(ToString::to_string).collect() }
}

fn params(datasets: Vec<TrialDataset>) -> StatsParams {
    StatsParams {
        temperature: Some(Decimal::ZERO),
        datasets,
        analysis: Analysis {
            bootstrap_samples: 500,
            permutation_samples: 500,
            random_seed: 7,
            cluster: true,
            ..Analysis::default()
        },
        exclusions: None,
        optional: OptionalAnalyses::default(),
    }
}

/// Writes an item with one draw an arm: `(em, f1)` under control and treatment, and the tokens written.
fn item(dataset: &str, id: usize, extra: &str, control: (f64, f64), treatment: (f64, f64)) -> String {
    let arm = |(em, f1): (f64, f64)| {
        format!(
            r#"{{"statuses":["stop"],"scored":1,"sums":[{em:?},{f1:?}],"input_tokens":[5],"output_tokens":[{}]}}"#,
            id % 3
        )
    };
    format!(
        "{{\"dataset\":\"{dataset}\",\"item\":\"i{id}\"{extra},\"control\":{},\"treatment\":{}}}\n",
        arm(control),
        arm(treatment)
    )
}

fn analysed(params: &StatsParams, paired: &str) -> (Value, String) {
    let inputs = [("paired", paired)];
    let mut out = run_in_memory(&inputs, |inputs, outputs| run(params, inputs, outputs)).unwrap();
    let text = out.remove("significance.json").unwrap();
    (serde_json::from_str(&text).unwrap(), text)
}

/// Makes 40 items of which 9 turn right and 1 wrong.
fn forty(dataset: &str, extra: impl Fn(usize) -> String) -> String {
    (0..40)
        .map(|id| match id {
            0..9 => item(dataset, id, &extra(id), (0.0, 0.25), (1.0, 1.0)),
            9 => item(dataset, id, &extra(id), (1.0, 1.0), (0.0, 0.0)),
            _ => item(dataset, id, &extra(id), (1.0, 1.0), (1.0, 1.0)),
        })
        .collect()
}

#[test]
fn one_dataset_is_its_type_and_its_label() {
    let params = params(vec![dataset("q", false, &["em", "f1"])]);
    let (json, text) = analysed(&params, &forty("q", |_| String::new()));
    let results = &json["results"]["0.0"];
    let closed = &results["closed"];
    assert_eq!((json["schema_version"].as_u64(), &json["temps"][0]), (Some(5), &Value::from(0.0)));
    assert_eq!(closed["subgroups"]["dataset"]["q"], results["datasets"]["q"]);
    assert_eq!(closed["metrics"], results["datasets"]["q"]["metrics"]);
    assert!(results.get("open").is_none());
    assert_eq!((closed["n_items"].as_u64(), closed["n_missing"].as_u64()), (Some(40), Some(0)));
    // 2 × (1 + 10) / 2^10.
    assert_eq!(closed["mcnemar"]["p_exact"].as_f64(), Some(22.0 / 1024.0));
    assert_eq!(closed["mcnemar"]["q_value"].as_f64(), Some(22.0 / 1024.0));
    assert_eq!((closed["mcnemar"]["b"].as_u64(), closed["mcnemar"]["c"].as_u64()), (Some(9), Some(1)));
    assert_eq!(closed["metrics"]["em"]["delta_mean"].as_f64(), Some(0.2));
    assert_eq!(closed["metrics"]["em"]["test"]["name"], "mcnemar-exact");
    assert_eq!(closed["metrics"]["f1"]["test"]["name"], "paired-t");
    assert_eq!(closed["metrics"]["em"]["test"]["family"], "confirmatory");
    assert_eq!(closed["metrics"]["f1"]["test"]["family"], "exploratory");
    assert_eq!(closed["metrics"]["output_tokens"]["delta_mean"].as_f64(), Some(0.0));
    assert_eq!(closed["arms"]["control"]["em"]["method"], "wilson");
    assert_eq!(closed["arms"]["control"]["f1"]["method"], "t");
    assert_eq!(closed["arms"]["control"]["em"]["mean"].as_f64(), Some(31.0 / 40.0));
    assert_eq!(closed["statuses"]["treatment"]["stop"].as_u64(), Some(40));
    assert!(!text.contains("NaN") && !text.contains(": inf") && !text.contains(": -inf"));
    let again: Significance = serde_json::from_str(&text).unwrap();
    assert_eq!(again.results.get("0.0").unwrap().datasets.get("q").unwrap().n_items, 40);
}

#[test]
fn a_set_never_depends_on_another() {
    let one = params(vec![dataset("q", false, &["em", "f1"])]);
    let two = params(vec![dataset("a", false, &["em"]), dataset("q", false, &["em", "f1"])]);
    let paired = forty("q", |_| String::new());
    let other = (0..5).map(|id| item("a", id, "", (0.0, 0.0), (1.0, 1.0))).collect::<String>();
    let (alone, _) = analysed(&one, &paired);
    let (both, _) = analysed(&two, &(other.replace(",0.0]", "]").replace(",1.0]", "]") + &paired));
    let metrics = |json: &Value| {
        let mut metrics = json["results"]["0.0"]["datasets"]["q"]["metrics"].clone();
        metrics["em"]["test"]["q_value"].take();
        metrics
    };
    assert_eq!(metrics(&alone), metrics(&both));
    assert!(metrics(&alone)["f1"]["ci_95"][0].as_f64() > Some(0.0));
    // The pool has what both have, and its test is in no family.
    let closed = &both["results"]["0.0"]["closed"];
    assert_eq!(closed["n_items"].as_u64(), Some(45));
    assert!(closed["metrics"].get("f1").is_none());
    assert_eq!(closed["mcnemar"]["q_value"], Value::Null);
    // Holm over two: the smaller p is doubled.
    let tests = both["family"]["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 2);
    assert_eq!(tests[0]["p_value"].as_f64(), Some(2.0 / 32.0));
    assert_eq!(tests[1]["q_value"].as_f64(), Some(44.0 / 1024.0));
}

#[test]
fn groups_make_clusters() {
    let mut params = params(vec![dataset("q", true, &["em", "f1"])]);
    let paired = forty("q", |id| format!(",\"group\":\"g{}\"", id / 4));
    let (json, _) = analysed(&params, &paired);
    let open = &json["results"]["0.0"]["open"];
    assert_eq!(open["n_clusters"].as_u64(), Some(10));
    assert_eq!(open["metrics"]["em"]["method"], "cluster-bootstrap-percentile");
    assert_eq!(open["metrics"]["em"]["test"]["name"], "cluster-robust-t");
    assert_eq!(open["arms"]["control"]["em"]["method"], "t-cluster-robust");
    assert_eq!(open["mcnemar"]["q_value"], Value::Null);
    params.analysis.cluster = false;
    let (json, _) = analysed(&params, &paired);
    assert_eq!(json["results"]["0.0"]["open"]["n_clusters"], Value::Null);
}

#[test]
fn missing_items_and_arms_are_counted() {
    let params = params(vec![dataset("q", false, &["em"])]);
    let arm = |statuses: &str, scored: u32, sums: &str| {
        format!(r#"{{"statuses":{statuses},"scored":{scored},"sums":{sums},"input_tokens":[],"output_tokens":[]}}"#)
    };
    let right = arm(r#"["stop","stop"]"#, 2, "[2.0]");
    let half = arm(r#"["stop","stop"]"#, 2, "[1.0]");
    let failed = arm(r#"["failed:timeout","content_filter"]"#, 0, "[]");
    let line = |id: u32, control: &str, treatment: &str| {
        format!("{{\"dataset\":\"q\",\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}\n")
    };
    let paired = line(0, &half, &right) + &line(1, &right, &failed) + &line(2, &right, &right);
    let (json, _) = analysed(&params, &paired);
    let closed = &json["results"]["0.0"]["closed"];
    assert_eq!((closed["n_items"].as_u64(), closed["n_missing"].as_u64()), (Some(2), Some(1)));
    assert_eq!(closed["missing"]["treatment"], serde_json::json!({"items": 1, "draws": 2}));
    assert_eq!(closed["statuses"]["treatment"]["failed:timeout"].as_u64(), Some(1));
    assert_eq!(closed["arms"]["control"]["em"]["n"].as_u64(), Some(3));
    // Half of the draws right is not right.
    assert_eq!((closed["mcnemar"]["b"].as_u64(), &closed["mcnemar"]["or_ci_95"][1]), (Some(1), &Value::Null));
    assert!(closed["mcnemar"]["binarised"].is_string());
    let one_armed = format!("{{\"dataset\":\"q\",\"item\":\"0\",\"control\":{right}}}\n");
    let (json, _) = analysed(&params, &one_armed);
    let closed = &json["results"]["0.0"]["closed"];
    assert_eq!((closed["n_items"].as_u64(), &closed["mcnemar"]), (Some(0), &Value::Null));
    assert!(closed["arms"].get("treatment").is_none());
    assert_eq!(json["family"]["tests"][0]["p_value"], Value::Null);
}

#[test]
fn another_level_stands_beside_the_usual_interval() {
    let mut params = params(vec![dataset("q", false, &["em", "f1"])]);
    params.temperature = None;
    params.analysis.alpha = Decimal::new(1, -1);
    params.analysis.primary = vec!["q.f1".to_owned(), "r.em".to_owned()];
    params.analysis.multiplicity = Multiplicity::None;
    let (json, _) = analysed(&params, &forty("q", |_| String::new()));
    let em = &json["results"]["default"]["closed"]["metrics"]["em"];
    assert!(em["ci"][0].as_f64() > em["ci_95"][0].as_f64());
    assert_eq!(json["family"]["tests"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["family"]["tests"][0]["metric"], "f1");
    assert_eq!(json["family"]["tests"][0]["q_value"], Value::Null);
}

/// Walks through a document: no empty object, and no text that stands for a number.
fn check(at: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            assert!(!fields.is_empty(), "{at} is empty");
            fields.iter().for_each(|(name, value)| check(&format!("{at}.{name}"), value));
        }
        Value::Array(values) => values.iter().for_each(|value| check(at, value)),
        _ => {}
    }
}

/// Is what was asked for, not found: numbers that need no method.
const SETTINGS: [&str; 11] = [
    "schema_version",
    "temps",
    "stats_config",
    "margin",
    "alpha",
    "interval_level",
    "power",
    "target",
    "threshold",
    "thresholds",
    "k",
];

/// Walks through a document: each number's field, or what holds it, names a method; each test is in the docs by its name.
fn names_its_method(path: &mut Vec<String>, value: &Value, methods: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                path.push(name.clone());
                let found = names_its_method(path, value, methods);
                path.pop();
                found
            })
            .sum(),
        Value::Array(values) => values.iter().map(|value| names_its_method(path, value, methods)).sum(),
        Value::Number(_) => {
            let last = path.last().unwrap();
            let is_setting = path.iter().any(|name| SETTINGS.contains(&name.as_str())) && last != "smallest_detectable";
            let holder = path.iter().rev().nth(1).map_or("", String::as_str);
            let docs = include_str!("../../../docs/statistics.md");
            let is_test = holder == "tests" && docs.contains(&format!("`{last}`"));
            let is_named = path.iter().rev().take(3).any(|name| methods.get(name).is_some());
            assert!(is_setting || is_test || is_named, "{path:?} names no method");
            1
        }
        _ => 0,
    }
}

#[test]
fn every_edge_is_a_sound_document() {
    let several = |id: usize, extra: &str, control: [f64; 2], treatment: [f64; 2]| {
        let arm = |[em, f1]: [f64; 2]| {
            format!(
                r#"{{"statuses":["stop","stop","stop"],"scored":3,"sums":[{em:?},{f1:?}],"squares":[{em:?},{:?}],"input_tokens":[5,5,5],"output_tokens":[1,null,3]}}"#,
                f1 * f1 / 3.0
            )
        };
        format!(
            "{{\"dataset\":\"q\",\"item\":\"i{id}\"{extra},\"control\":{},\"treatment\":{}}}\n",
            arm(control),
            arm(treatment)
        )
    };
    let one = item("q", 0, "", (0.0, 0.5), (1.0, 0.75));
    let two = one.clone() + &item("q", 1, "", (1.0, 0.5), (0.0, 0.25));
    let ties: String = (0..9).map(|id| item("q", id, "", (1.0, 0.5), (1.0, 0.5))).collect();
    let failed = r#"{"statuses":["failed:timeout"],"scored":0,"sums":[],"input_tokens":[null],"output_tokens":[null]}"#;
    let nothing = format!("{{\"dataset\":\"q\",\"item\":\"i\",\"control\":{failed},\"treatment\":{failed}}}\n");
    let empty = r#"{"statuses":[],"scored":0,"sums":[],"input_tokens":[],"output_tokens":[]}"#;
    let unasked = format!("{{\"dataset\":\"q\",\"item\":\"i\",\"treatment\":{empty}}}\n");
    let draws: String = (0..8).map(|id| several(id, "", [(id % 4) as f64, 1.5], [(id % 3) as f64, 1.0])).collect();
    let one_cluster: String =
        (0..6).map(|id| item("q", id, ",\"group\":\"g\"", (0.0, 0.5), ((id % 2) as f64, 0.5))).collect();
    let balanced: String = (0..40)
        .map(|id| {
            let turned = f64::from(u8::from(id % 2 == 0));
            item("q", id, "", (1.0 - turned, 0.1), (turned, 0.1))
        })
        .collect();
    let cases =
        [String::new(), one, two, ties, nothing, unasked, draws, one_cluster, balanced, forty("q", |_| String::new())];
    let mut numbers = 0;
    for (at, paired) in cases.iter().enumerate() {
        for open in [false, true] {
            let mut params = params(vec![dataset("q", open, &["em", "f1"])]);
            params.analysis.margins.insert("em".to_owned(), Decimal::new(5, -2));
            let inputs = [("paired", paired.as_str())];
            let out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
            for (name, text) in out.iter().filter(|(name, _)| *name != "differences") {
                assert!(!text.contains("NaN") && !text.contains("nf,") && !text.contains("Infinity"), "{at} {name}");
                let json: Value = serde_json::from_str(text).unwrap();
                check(&format!("{at} {name}"), &json);
                if *name == "significance.json" {
                    numbers += names_its_method(&mut Vec::new(), &json, &json["methods"]);
                }
            }
            let text = &out["significance.json"];
            let again: Significance = serde_json::from_str(text).unwrap();
            let written = write_document("x", &again).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), *text, "{at}");
        }
    }
    assert!(numbers > 2000, "{numbers}");
}

/// Makes an arm of a paired item as JSON: a score's sum and sum of squares over its draws, no draw with a score where there is none.
fn any_arm(scores: &[u8]) -> String {
    if scores.is_empty() {
        return r#"{"statuses":["refusal"],"scored":0,"sums":[],"input_tokens":[null],"output_tokens":[null]}"#
            .to_owned();
    }
    let values: Vec<f64> = scores.iter().map(|&score| f64::from(score) / 4.0).collect();
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let each = |word: &str| vec![word; scores.len()].join(",");
    let squares = if scores.len() > 1 { format!("\"squares\":[{squares:?},{squares:?}],") } else { String::new() };
    format!(
        "{{\"statuses\":[{}],\"scored\":{},\"sums\":[{sum:?},{sum:?}],{squares}\"input_tokens\":[{}],\"output_tokens\":[{}]}}",
        each("\"stop\""),
        scores.len(),
        each("3"),
        each("7")
    )
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Whatever is missing, equal, one-armed or in one group: no number is NaN or infinite, no object is empty, and each
    /// number names its method.
    #[test]
    fn no_table_makes_an_unsound_document(
        items in proptest::collection::vec(
            (
                proptest::collection::vec(proptest::sample::select(vec![0_u8, 4, 4, 1, 2]), 0..4),
                proptest::collection::vec(proptest::sample::select(vec![0_u8, 4, 0, 3]), 0..3),
                0_u8..4,
                0_u8..12,
            ),
            0..14,
        ),
        open in proptest::bool::ANY,
        whole in proptest::bool::ANY,
    ) {
        let mut paired = String::new();
        for (id, (control, treatment, group, arms)) in items.iter().enumerate() {
            let round = |scores: &[u8]| scores.iter().map(|&s| if whole { s / 4 * 4 } else { s }).collect::<Vec<_>>();
            let group = if *group == 0 { String::new() } else { format!(",\"group\":\"g{group}\"") };
            let control = if *arms == 0 { String::new() } else { format!(",\"control\":{}", any_arm(&round(control))) };
            let treatment =
                if *arms == 1 { String::new() } else { format!(",\"treatment\":{}", any_arm(&round(treatment))) };
            let line = format!(
                "{{\"dataset\":\"q\",\"label\":\"l{}\",\"item\":\"i{id:02}\"{group}{control}{treatment}}}\n",
                id % 2
            );
            paired.push_str(&line);
        }
        let mut params = params(vec![dataset("q", open, &["em", "abstain_rate"])]);
        params.analysis.margins.insert("em".to_owned(), Decimal::new(5, -2));
        params.analysis.bootstrap_samples = 40;
        params.optional =
            OptionalAnalyses { mixed_effects: true, power_analysis: true, ..OptionalAnalyses::default() };
        let out = run_in_memory(&[("paired", paired)], |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        for (name, text) in out.iter().filter(|(name, _)| *name != "differences") {
            let json: Value = serde_json::from_str(text).unwrap();
            check(name, &json);
            if *name == "significance.json" {
                names_its_method(&mut Vec::new(), &json, &json["methods"]);
            }
        }
    }
}

#[test]
fn swapped_arms_negate_effects_and_keep_p_and_order_is_nothing() {
    let both = |swap: bool| -> Vec<String> {
        (0..50)
            .map(|id| {
                let (c, t) = (f64::from(u8::from(id % 3 == 0)), f64::from(u8::from(id % 7 < 4)));
                let (fc, ft) = ((id % 5) as f64 / 4.0, (id % 11) as f64 / 10.0);
                let (control, treatment) = if swap { ((t, ft), (c, fc)) } else { ((c, fc), (t, ft)) };
                item("q", id, &format!(",\"group\":\"g{}\"", id / 2), control, treatment)
            })
            .collect()
    };
    let params = params(vec![dataset("q", false, &["em", "f1"])]);
    let (plain, text) = analysed(&params, &both(false).concat());
    let (swapped, _) = analysed(&params, &both(true).concat());
    let mut reversed = both(false);
    reversed.reverse();
    assert_eq!(analysed(&params, &reversed.concat()).1, text);
    for metric in ["em", "f1"] {
        let of = |json: &Value| json["results"]["0.0"]["datasets"]["q"]["metrics"][metric].clone();
        let (a, b) = (of(&plain), of(&swapped));
        for name in
            ["delta_mean", "cohens_dz", "hedges_gz", "cohens_dav", "cliffs_delta", "rank_biserial", "hodges_lehmann"]
        {
            let (a, b) = (a[name].as_f64().unwrap(), b[name].as_f64().unwrap());
            assert!((a + b).abs() < 1e-14, "{metric} {name}: {a} {b}");
        }
        let tests = a["tests"].as_object().unwrap();
        assert!(tests.len() >= 5, "{tests:?}");
        for (name, p) in tests {
            assert!((p.as_f64().unwrap() - b["tests"][name].as_f64().unwrap()).abs() < 1e-13, "{metric} {name}");
        }
        for (name, ends) in a["intervals"].as_object().unwrap() {
            let other = &b["intervals"][name]["ci_95"];
            for end in [0, 1] {
                let (a, b) = (ends["ci_95"][end].as_f64().unwrap(), other[1 - end].as_f64().unwrap());
                assert!((a + b).abs() < 1e-9, "{metric} {name}: {a} {b}");
            }
        }
    }
    let em = &plain["results"]["0.0"]["datasets"]["q"]["metrics"]["em"];
    for name in [
        "cluster-bootstrap-percentile",
        "cluster-bootstrap-bca",
        "t-cluster-robust",
        "bootstrap-bca",
        "newcombe-10",
        "bonett-price",
        "t",
    ] {
        assert!(em["intervals"][name]["ci_95"][0].is_number(), "{name}");
    }
    let arm = &plain["results"]["0.0"]["datasets"]["q"]["arms"]["control"];
    assert!(arm["em"]["intervals"]["clopper-pearson"]["ci_95"][0].is_number());
    assert!(arm["f1"]["intervals"]["cluster-bootstrap-percentile"]["ci_95"][0].is_number());
}

#[test]
fn duplicated_items_are_seen_by_clustering() {
    let copies = |times: usize| -> String {
        (0..times)
            .flat_map(|copy| {
                (0..40).map(move |id| {
                    let turned = f64::from(u8::from(id % 3 == 0));
                    item("q", 100 * copy + id, &format!(",\"group\":\"g{id}\""), (0.0, 0.5), (turned, 0.5))
                })
            })
            .collect()
    };
    let params = params(vec![dataset("q", false, &["em", "f1"])]);
    let of = |json: &Value, at: &str| json["results"]["0.0"]["datasets"]["q"]["metrics"]["em"][at].clone();
    let (once, twice) = (analysed(&params, &copies(1)).0, analysed(&params, &copies(3)).0);
    assert_eq!(of(&once, "se_method"), "independent-items");
    let ratio = of(&twice, "se").as_f64().unwrap() / of(&once, "se").as_f64().unwrap();
    assert!((ratio - 1.0).abs() < 1e-12, "{ratio}");
    let p = |json: &Value, name: &str| of(json, "tests")[name].as_f64().unwrap();
    assert!((p(&twice, "cluster-robust-t") / p(&once, "paired-t") - 1.0).abs() < 1e-9);
    assert!((p(&twice, "cluster-permutation-exact") / p(&once, "permutation-exact") - 1.0).abs() < 1e-9);
    assert!(p(&twice, "paired-t") < p(&once, "paired-t") / 100.0);
}

#[test]
fn draws_missing_outcomes_and_margins_are_told() {
    let arm = |scored: u32, right: u32| {
        let statuses = if scored == 0 {
            r#"["content_filter"]"#.to_owned()
        } else {
            format!("[{}]", vec!["\"stop\""; scored as usize].join(","))
        };
        let sums = if scored == 0 { String::new() } else { format!("{right}.0") };
        let squares = if scored > 1 { format!(",\"squares\":[{right}.0]") } else { String::new() };
        format!(
            r#"{{"statuses":{statuses},"scored":{scored},"sums":[{sums}]{squares},"input_tokens":[],"output_tokens":[]}}"#
        )
    };
    let line = |id: u32, control: String, treatment: String| {
        format!("{{\"dataset\":\"q\",\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}\n")
    };
    let paired: String = (0..60)
        .map(|id| line(id, arm(4, id % 4), if id % 5 == 0 { arm(0, 0) } else { arm(4, (id + 1) % 4 + 1) }))
        .collect();
    let mut params = params(vec![dataset("q", false, &["em"])]);
    params.analysis.margins.insert("q.em".to_owned(), Decimal::new(1, -1));
    let (json, _) = analysed(&params, &paired);
    let em = &json["results"]["0.0"]["datasets"]["q"]["metrics"]["em"];
    let missing = &em["missing"];
    assert_eq!((missing["only_treatment"].as_u64(), missing["is_differential"].as_bool()), (Some(12), Some(true)));
    assert_eq!(missing["complete_case"], em["delta_mean"]);
    let (worst, best) = (missing["worst_case"].as_f64().unwrap(), missing["best_case"].as_f64().unwrap());
    assert!((best - worst - 0.2).abs() < 1e-12);
    let flags = em["verdict"]["flags"].as_array().unwrap();
    assert!(flags.contains(&Value::from("differential-missingness")), "{flags:?}");
    assert!(em["verdict"]["words"].as_str().unwrap().contains("missing in one arm more often"));
    let draws = &em["draws"]["control"];
    assert_eq!((draws["items"].as_u64(), draws["draws"].as_u64()), (Some(60), Some(240)));
    assert_eq!(draws["at_k"].as_array().map(Vec::len), Some(4));
    // Right counts 0, 1, 2, 3 of 4, each in a quarter of the items: pass@2 is 1 − C(4−c, 2)/6.
    let pass = (1.0 - 1.0) + (1.0 - 3.0 / 6.0) + (1.0 - 1.0 / 6.0) + 1.0;
    assert!((draws["at_k"][1]["pass"].as_f64().unwrap() - pass / 4.0).abs() < 1e-12);
    assert!(draws["sampling_share"].as_f64() > Some(0.0));
    assert_eq!(em["tost"]["method"], "tost-t");
    assert!((em["tost"]["interval_level"].as_f64().unwrap() - 0.9).abs() < 1e-12);
    assert!(em["power"]["targets"][0]["items"].as_u64().is_some());
    // Without a margin of its own name the pool has none.
    assert!(json["results"]["0.0"]["closed"]["metrics"]["em"]["tost"].is_object(), "one set, one block");
}

#[test]
fn fields_make_subgroups() {
    let mut params = params(vec![dataset("q", false, &["em", "f1"])]);
    params.analysis.subgroups = vec!["era".to_owned()];
    let extra = |id: usize| match id {
        0..5 => String::new(),
        _ => format!(",\"fields\":{{\"era\":\"{}\"}}", if id.is_multiple_of(2) { "old" } else { "new" }),
    };
    let (json, _) = analysed(&params, &forty("q", extra));
    let eras = &json["results"]["0.0"]["closed"]["subgroups"]["fields"]["era"];
    let names: Vec<&String> = eras.as_object().unwrap().keys().collect();
    assert_eq!(
        (names.len(), eras["new"]["n_items"].as_u64(), eras["old"]["n_items"].as_u64()),
        (2, Some(18), Some(17))
    );
    assert_eq!(eras["old"]["metrics"]["em"]["test"]["family"], Value::Null);
    let many = |id: usize| format!(",\"fields\":{{\"era\":\"{id}\"}}");
    let paired: String = (0..300).map(|id| item("q", id, &many(id), (0.0, 0.0), (0.0, 0.0))).collect();
    let error = run_in_memory(&[("paired", paired)], |inputs, outputs| run(&params, inputs, outputs)).unwrap_err();
    assert!(error.to_string().contains("more than 200 values"), "{error}");
}

#[test]
fn the_support_sweep_sweeps() {
    let params = params(vec![dataset("q", true, &["em", "unsupported_rate"])]);
    let arm = |share: f64| {
        format!(
            r#"{{"statuses":["stop"],"scored":1,"sums":[1.0,{:?}],"support":[{share:?}],"input_tokens":[1],"output_tokens":[1]}}"#,
            f64::from(u8::from(share < 0.6))
        )
    };
    let line = |id: u32| {
        let (control, treatment) = (arm(f64::from(id % 11) / 10.0), arm(1.0));
        format!("{{\"dataset\":\"q\",\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}\n")
    };
    let paired: String = (0..55).map(line).collect();
    let out = run_in_memory(&[("paired", paired)], |inputs, outputs| run(&params, inputs, outputs)).unwrap();
    let json: Value = serde_json::from_str(&out["unsupported_sensitivity.json"]).unwrap();
    let points = &json["results"]["0.0"];
    let means: Vec<f64> =
        (0..=10).map(|at| points[format!("{:.2}", f64::from(at) / 10.0)]["control_mean"].as_f64().unwrap()).collect();
    for (at, mean) in means.iter().enumerate() {
        assert!((mean - at as f64 / 11.0).abs() < 1e-12, "{means:?}");
    }
    assert!(points["0.60"]["ci_95"][1].as_f64() < Some(0.0));
}

#[test]
fn nothing_at_all_is_still_a_document() {
    let (json, _) = analysed(&params(vec![dataset("q", true, &["em"])]), "");
    let open = &json["results"]["0.0"]["open"];
    assert_eq!((open["n_items"].as_u64(), open["type"].as_str()), (Some(0), Some("open")));
}

#[test]
fn threads_decide_nothing() {
    let params = params(vec![dataset("q", false, &["em", "f1"])]);
    let paired = forty("q", |id| format!(",\"group\":\"g{}\"", id / 3));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| analysed(&params, &paired).1)
    };
    assert_eq!(with(1), with(4));
}
