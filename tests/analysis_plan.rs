//! A sealed plan: what it fixes, what a build says of it, and what later additions leave alone.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::Project;

const CONFIG: &str = r"version: 1
providers: {lexical: {kind: lexical}}
models: [{name: reader, provider: lexical}]
datasets:
  one: {path: data/one.jsonl, fields: {id: id, question: q, answers: a, context: c}}
control: prompts/a.txt
prompt_sets:
  b: prompts/b.txt
decoding: {temperature: 0.7, max_output_tokens: 30}
analysis: {primary: [one.em], alpha: 0.05, bootstrap_samples: 100, permutation_samples: 100}
";

fn items(name: &str, n: u32) -> String {
    let item = |id: u32| {
        let era = if id.is_multiple_of(3) { "old" } else { "new" };
        let passage = format!("Mill {id} was built by Ada {id}. It stood for {} years.", id + 3);
        serde_json::json!({
            "id": format!("{name}{id}"), "q": format!("Who built mill {id}?"), "a": [format!("Ada {id}")], "c": passage,
            "era": era,
        })
    };
    (0..n).map(|id| item(id).to_string()).collect::<Vec<_>>().join("\n") + "\n"
}

fn project() -> Project {
    let project = Project::in_memory();
    project.config(CONFIG);
    project.file("data/one.jsonl", items("x", 24)).file("data/two.jsonl", items("y", 18));
    project.file("prompts/a.txt", "Answer.\n").file("prompts/b.txt", "Answer in as few words as possible.\n");
    project.file("prompts/c.txt", "Copy the exact words.\n");
    project
}

fn view(project: &Project, built: &Value, name: &str) -> Value {
    serde_json::from_str(&project.run_file(built, name)).unwrap()
}

#[test]
fn a_seal_fixes_the_family_and_every_build_says_what_differs() {
    let project = project();
    let shown = project.json(&["seal", "--dry-run"]);
    assert_eq!(shown["plan"]["primary"], serde_json::json!(["one.em"]));
    assert!(!project.path("analysis_plan.lock").exists());
    let sealed = project.json(&["seal"]);
    assert_eq!(sealed["written"], true);
    assert_eq!(project.exp(&["seal"]).code, 2, "a second seal is refused");

    let built = project.build();
    let manifest = project.manifest(&built);
    let entry = &manifest["sealed"];
    assert_eq!((entry["path"].as_str(), entry["draws_before"].as_u64()), (Some("analysis_plan.lock"), Some(0)));
    assert_eq!(entry["draws"], built["requests"]["total"]);
    let sources = manifest["sources"].as_array().unwrap();
    assert!(sources.iter().any(|source| source["path"] == "analysis_plan.lock" && source["blob"] == entry["blob"]));
    assert!(project.run_file(&built, "aggregate_report.md").contains("This analysis is as `analysis_plan.lock` says."));
    let slug = manifest["trials"][0]["slug"].as_str().unwrap().to_owned();
    let before = view(&project, &built, "multiplicity.json");
    let trial_before = view(&project, &built, &format!("{slug}/results/significance.json"));

    // A dataset, a primary metric and a prompt set come later; alpha changes.
    let later = CONFIG
        .replace(
            "  one: {",
            "  two: {path: data/two.jsonl, fields: {id: id, question: q, answers: a, context: c}}\n  one: {",
        )
        .replace("  b: prompts/b.txt", "  b: prompts/b.txt\n  c: prompts/c.txt")
        .replace("primary: [one.em], alpha: 0.05", "primary: [one.em, one.f1], alpha: 0.05");
    project.config(&later);
    let rebuilt = project.build();
    let after = view(&project, &rebuilt, "multiplicity.json");
    assert_eq!(before["family"], after["family"]);
    let trial_after = view(&project, &rebuilt, &format!("{slug}/results/significance.json"));
    assert_eq!(trial_before["family"], trial_after["family"]);
    let block = |json: &Value| {
        let (_, results) = json["results"].as_object().unwrap().iter().next().unwrap();
        results["datasets"]["one"]["metrics"]["em"].clone()
    };
    assert_eq!(block(&trial_before), block(&trial_after));
    let late = after["exploratory"]["tests"].as_array().unwrap();
    assert!(late.iter().any(|test| test["dataset"] == "two"));
    assert!(late.iter().any(|test| test["trial"] != slug.as_str() && test["metric"] == "em"));
    let report = project.run_file(&rebuilt, "aggregate_report.md");
    assert!(report.contains("not as `analysis_plan.lock` says") && report.contains("| `primary` |"), "{report}");
    // The trial's report says so too, and draws of the later prompt set came after the seal.
    assert!(project.run_file(&rebuilt, &format!("{slug}/reports/report.md")).contains("| `primary` |"));
    assert_eq!(project.manifest(&rebuilt)["sealed"]["draws_before"], 0);

    // A seal that comes after the answers is seen to.
    project.json(&["seal", "--replace"]);
    let resealed = project.build();
    let entry = project.manifest(&resealed)["sealed"].clone();
    assert_eq!(entry["draws_before"], entry["draws"]);
    assert!(entry["draws"].as_u64() > Some(0));
    assert_eq!(resealed["requests"]["sent"], 0);
    // It is an input of the tests, and of nothing else.
    let reads = ["stats/", "report/", "aggregate"];
    let ran = project.ran(&resealed);
    assert!(ran.iter().any(|label| label.starts_with("stats/")), "{ran:?}");
    assert!(ran.iter().all(|label| reads.iter().any(|start| label.starts_with(start))), "{ran:?}");
}

#[test]
fn a_damaged_seal_is_an_error_that_names_it() {
    let project = project();
    project.file("analysis_plan.lock", "{\"version\": 1}\n");
    let output = project.exp(&["build"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("analysis_plan.lock") && output.stderr.contains("no sealed plan"),
        "{}",
        output.stderr
    );
}

#[test]
fn subgroups_are_any_field_and_optional_analyses_have_switches() {
    let project = project();
    let with = |extra: &str| CONFIG.replace("alpha: 0.05,", &format!("alpha: 0.05, {extra}"));
    project.config(&with("subgroups: [era],"));
    let built = project.build();
    let slug = project.manifest(&built)["trials"][0]["slug"].as_str().unwrap().to_owned();
    let significance = view(&project, &built, &format!("{slug}/results/significance.json"));
    let (_, results) = significance["results"].as_object().unwrap().iter().next().unwrap();
    let eras = &results["open"]["subgroups"]["fields"]["era"];
    assert_eq!((eras["old"]["n_items"].as_u64(), eras["new"]["n_items"].as_u64()), (Some(8), Some(16)));
    assert!(project.run_file(&built, &format!("{slug}/reports/report.md")).contains("| `era` | Metric |"));
    let page = std::fs::read_to_string(support::run_dir(&built).join("report.html")).unwrap();
    let section = page.split("<section id=\"heterogeneity\">").nth(1).unwrap().split("</section>").next().unwrap();
    for drawn in
        ["open-book by era</text>", ">old</text>", ">n = 8</text>", ">new</text>", ">n = 16</text>", "By field:"]
    {
        assert!(section.contains(drawn), "{drawn}: {section}");
    }
    assert!(!section.contains("diamonds"), "one dataset is not pooled: {section}");
    let names = ["power_analysis", "mixed_models", "unsupported_sensitivity", "cost_effectiveness"];
    for name in names {
        let json = view(&project, &built, &format!("{slug}/results/{name}.json"));
        assert_eq!(json["schema_version"], 2, "{name}");
    }
    let sweep = view(&project, &built, &format!("{slug}/results/unsupported_sensitivity.json"));
    let (_, points) = sweep["results"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(points.as_object().map(serde_json::Map::len), Some(11));

    let off = "optional: {enable_unsupported_sensitivity: false, enable_mixed_effects: false, enable_power_analysis: false, enable_cost_effectiveness: false}\n";
    project.config(&(with("") + off));
    let built = project.build();
    let manifest = project.manifest(&built);
    let views: Vec<&str> =
        manifest["views"].as_array().unwrap().iter().filter_map(|view| view["name"].as_str()).collect();
    assert!(names.iter().all(|name| !views.contains(&format!("results/{name}.json").as_str())), "{views:?}");
    assert_eq!(built["requests"]["sent"], 0);

    project.config(&with("subgroups: [nothing],"));
    let output = project.exp(&["build"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("no item of this trial has the field `nothing`"), "{}", output.stderr);
}
