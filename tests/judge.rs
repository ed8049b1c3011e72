//! A model that judges: asked like any other, cached, priced, agreed with people as Python computes it.
#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.
#![allow(clippy::format_collect)] // It is not in a hurry.

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use server::{BatchOptions, ModelServer, Options};
use support::{Project, run_dir, shared, slugs};

const RUBRIC: &str = "Question: {{question}}\n[gold]\n{{gold}}\n[answer]\n{{answer}}\n[end]\nCorrect or incorrect?\n";

/// Says "correct" where an accepted answer stands in the answer, case aside, and wraps it in words, as models do.
fn scripted() -> ModelServer {
    let says = |texts: &[String]| {
        let asked = texts.last().map(|text| text.to_lowercase()).unwrap_or_default();
        let between = |from: &str, to: &str| {
            let start = asked.find(from).unwrap() + from.len();
            asked[start..start + asked[start..].find(to).unwrap()].to_owned()
        };
        let (gold, answer) = (between("[gold]\n", "\n[answer]\n"), between("[answer]\n", "\n[end]\n"));
        let is_strict = asked.contains("strictly, correct or");
        let is_right = gold.lines().any(|gold| if is_strict { answer == gold } else { answer.contains(gold) });
        format!("I looked at it.\nVerdict: **{}**.", if is_right { "Correct" } else { "Incorrect" })
    };
    ModelServer::start(Options { says: Some(Arc::new(says)), ..Options::default() }, |_| None)
}

fn judge(server: &ModelServer, more: &str) -> String {
    format!(
        "providers:\n  replay: {{kind: replay}}\n  mine: {{kind: openai, base_url: \"{}/v1\", identity: here, first_wait: 1ms}}\n\
         {more}",
        server.origin()
    )
}

const SCORER: &str = "judge: {model: ours, user: prompts/rubric.txt, decoding: {temperature: 0, max_output_tokens: 60}, \
                      verdict: {extract: '(?m)^Verdict: (.+)$', if_absent: missing}, values: {correct: 1, incorrect: 0}";

/// Four items, two arms that answer from recordings, one judge with a price.
fn small(server: &ModelServer, scorer: &str, more: &str) -> Project {
    let project = Project::new();
    let items = [("a", "Ann"), ("b", "Rome"), ("c", "1702"), ("d", "Oslo")];
    let row =
        |(id, gold): (&str, &str)| format!("{{\"id\":\"{id}\",\"question\":\"Q{id}?\",\"answers\":[\"{gold}\"]}}\n");
    project.file("data/d.jsonl", items.map(row).concat());
    let said = |texts: [&str; 4]| -> String {
        items.iter().zip(texts).map(|((id, _), text)| format!("{{\"id\":\"{id}\",\"text\":\"{text}\"}}\n")).collect()
    };
    project.file("data/control.jsonl", said(["Ann", "Paris", "in 1702", "Bergen"]));
    project.file("data/brief.jsonl", said(["Ann", "Rome", "in 1702", ""]));
    project.file("prompts/rubric.txt", RUBRIC).file("prompts/brief.txt", "Be brief.\n");
    let models = "models:\n  - name: recorded\n    provider: replay\n    model: recorded\n    recordings:\n      d:\n        \
                  control: {path: data/control.jsonl, fields: {key: id, text: text}}\n        \
                  brief: {path: data/brief.jsonl, fields: {key: id, text: text}}\n  \
                  - {name: ours, provider: mine, price: {input: 1, output: 10}}\n";
    let config = format!(
        "version: 1\n{}datasets:\n  d:\n    path: data/d.jsonl\n    fields: {{id: id, question: question, answers: answers}}\n    \
         scorers: [exact, {{{scorer}}}}}]\ncontrol: null\nprompt_sets: {{brief: prompts/brief.txt}}\ndecoding: {{temperature: 0}}\n\
         analysis: {{bootstrap_samples: 100, permutation_samples: 100}}\n{more}",
        judge(server, models)
    );
    project.config(&config);
    project
}

#[test]
fn a_judge_is_asked_once_and_a_new_rubric_asks_nobody_else() {
    let server = scripted();
    let project = small(&server, SCORER, "");
    // Nobody said that it may spend anything, and what verdicts cost is not known before there are answers.
    let refused = project.exp(&["build"]).expect_code(2);
    assert!(refused.stderr.contains("up to 8 verdicts of `ours`"), "{}", refused.stderr);
    assert_eq!(server.sent(), 0);
    let built = project.json(&["build", "--max-cost", "1"]);
    assert_eq!(slugs(&built).len(), 1, "the judge answers nothing itself");
    // Seven answers are not empty; Ann and the year are the same under both arms: five requests.
    assert_eq!((server.sent(), built["requests"]["sent"].as_u64()), (5, Some(8 + 5)));
    let spent = built["cost_usd"]["spent"].as_f64().unwrap();
    assert!((spent - server.book().cost(1.0, 10.0)).abs() < 1e-12, "{spent}");
    let slug = &slugs(&built)[0];
    let rows = support::csv_rows(&project.run_file(&built, &format!("{slug}/results/per_item_scores.csv")));
    let judged = |condition: &str| {
        let of = rows.iter().filter(|row| row["condition"] == condition);
        of.map(|row| row["judge"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(judged("control"), ["1.0", "0.0", "1.0", "0.0"]);
    // An empty answer is wrong without being asked about.
    assert_eq!(judged("treatment"), ["1.0", "1.0", "1.0", "0.0"]);
    expect_shown(&project, &built, slug, spent);
    let page = project.run_file(&built, &format!("{slug}/reports/provenance.md"));
    assert!(page.contains("`verdicts of ours`"), "{page}");
    project.exp(&["audit", "--rerun"]).expect_code(0);

    let again = project.json(&["build"]);
    assert_eq!((again["up_to_date"].as_bool(), server.sent()), (Some(true), 5));
    // Seven verdicts are read, and two of them are those of the other arm.
    let plan = project.json(&["plan"]);
    assert_eq!(plan["requests"], serde_json::json!({"total": 13, "reused": 13, "in_batches": 0, "to_send": 0}));
    assert_eq!((&built["requests"]["total"], &again["requests"]["total"]), (&13.into(), &13.into()));
    let scored = project.json(&["score"]);
    assert_eq!((scored["requests"]["sent"].as_u64(), server.sent()), (Some(0), 5));

    // A new rubric: verdicts are asked for, and nothing else; what they cost is known before.
    project.file("prompts/rubric.txt", RUBRIC.replace("Correct or", "Strictly, correct or"));
    // What both arms gave is asked about once, and a plan counts it once.
    let plan = project.json(&["plan"]);
    assert_eq!(plan["requests"], serde_json::json!({"total": 13, "reused": 8, "in_batches": 0, "to_send": 5}));
    let sends: u64 = plan["sends"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(sends, 5, "{plan:#}");
    let score = project.exp(&["score"]).expect_code(2);
    assert!(score.stderr.contains("5 answers of `openai here` are not in the store"), "{}", score.stderr);
    let priced = project.exp(&["build"]).expect_code(2);
    assert!(priced.stderr.contains("this build sends 5 requests"), "{}", priced.stderr);
    let changed = project.json(&["build", "--yes"]);
    assert_eq!((server.sent(), changed["requests"]["sent"].as_u64()), (10, Some(5)));
    let ran = project.ran(&changed);
    let others = ["prepare/", "build/", "infer/", "parse/"];
    assert!(!ran.iter().any(|label| others.iter().any(|step| label.starts_with(step))), "{ran:?}");
    assert!(ran.iter().any(|label| label.starts_with("judge_infer/")), "{ran:?}");

    // What it was told of an item goes with that item.
    let forgotten = project.exp(&["forget", "--dataset", "d", "--item", "b"]).expect_code(0);
    assert!(forgotten.stdout.contains("item `b` of dataset `d`: 6 requests"), "{}", forgotten.stdout);

    // Another verdict of the same words asks nobody.
    let config = project.read("config/eval_config.yaml");
    project.config(&config.replace("incorrect: 0", "incorrect: 0.25"));
    let read = project.json(&["build"]);
    assert_eq!((server.sent(), read["requests"]["sent"].as_u64()), (10, Some(0)));
}

/// What the judge cost, what it was asked and what it said are told wherever answers are.
fn expect_shown(project: &Project, built: &Value, slug: &str, spent: f64) {
    let read = |name: &str| project.run_file(built, name);
    let costs: Value = serde_json::from_str(&read(&format!("{slug}/results/costs.json"))).unwrap();
    let judge = &costs["judges"]["ours"];
    // A verdict on an answer of both arms was bought once.
    let completed = |at: &Value| at["completed"].as_u64();
    assert_eq!(
        (completed(&judge["all"]), completed(&judge["arms"]["control"]), completed(&judge["arms"]["treatment"])),
        (Some(5), Some(4), Some(3)),
        "{costs:#}"
    );
    assert!((judge["all"]["usd"].as_f64().unwrap() - spent).abs() < 1e-12, "{costs:#}");
    assert_eq!((&costs["usd"], &judge["pricing"]["output_rate_per_mtok"]), (&Value::Null, &10.0.into()));
    let report = read(&format!("{slug}/reports/report.md"));
    assert!(report.contains("| Judge | Verdicts |") && report.contains("| `ours` | 5 |"), "{report}");
    let aggregate = read("aggregate_report.md");
    assert!(aggregate.contains("| Both USD | Verdicts USD |"), "{aggregate}");

    let shown = project.exp(&["show", "--items"]).expect_code(0).stdout;
    let expected = format!(
        "{slug}: the arms differ on 2 of 4 items

  d|b  treatment higher
    question:  Qb?
    gold:      Rome
    control:   [-Paris-]
      judge:   0 · draw 0: 0, I looked at it. Verdict: **Incorrect**.
    treatment: {{+Rome+}}
      judge:   1 · draw 0: 1, I looked at it. Verdict: **Correct**.
    scores:    exact 0.000 -> 1.000, judge 0.000 -> 1.000

  d|d  differs otherwise
    question:  Qd?
    gold:      Oslo
    control:   [-Bergen-]
      judge:   0 · draw 0: 0, I looked at it. Verdict: **Incorrect**.
    treatment: (empty)
      judge:   no verdict
    scores:    exact 0.000 -> 0.000, judge 0.000 -> 0.000
"
    );
    assert_eq!(shown, expected, "{shown}");
    let items = project.json(&["show", "--items"]);
    let said = serde_json::json!([{"by": "judge", "value": 1.0, "said": [
        {"rater": "draw 0", "value": 1.0, "text": "I looked at it.\nVerdict: **Correct**."}]}]);
    assert_eq!(items[0]["treatment"]["verdicts"], said);
    let page = read("report.html");
    assert!(page.contains("<summary>what <code>judge</code> said</summary>"), "the page has no verdict");
    assert!(
        read(&format!("{slug}/reports/report.md"))
            .contains("A verdict on an answer that both arms gave counts once.\n")
    );

    let asked = project.exp(&["show", "--request", "b", "brief", "--json"]).expect_code(0);
    assert!(asked.stderr.contains("`--request b brief/judge` shows what it was asked, and said"), "{}", asked.stderr);
    let judged = project.json(&["show", "--request", "b", "brief/judge"]);
    let [only] = judged.as_array().unwrap().as_slice() else { panic!("{judged:#}") };
    assert_eq!((&only["draw"], &only["verdict"], &only["answers"][0]["value"]), (&0.into(), &1.0.into(), &1.0.into()));
    assert_eq!(only["answers"][0]["text"], "I looked at it.\nVerdict: **Correct**.");
    let question = "Question: Qb?\n[gold]\nRome\n[answer]\nRome\n[end]\nCorrect or incorrect?";
    assert_eq!(only["body"]["messages"][0]["content"], question);
    let exact = project.exp(&["show", "--request", "b", "brief/judge", "--exact"]).expect_code(0).stdout;
    assert_eq!(Some(exact.trim_end()), only["exact"].as_str());
    // An empty answer is judged by nobody.
    let none = project.exp(&["show", "--request", "d", "brief/judge"]).expect_code(2).stderr;
    assert!(none.contains("asks `judge` nothing about the answers to item `d` under `brief`"), "{none}");
    let none = project.exp(&["show", "--request", "d", "brief/jury"]).expect_code(2).stderr;
    assert!(none.contains("has no arm `brief/jury`"), "{none}");
}

/// Two arms that are answered here, in several parts, and a judge that is asked in batches: all of it goes into one.
#[test]
fn a_judge_with_batches_is_asked_when_all_else_is_done() {
    let server = ModelServer::start(Options { batches: Some(BatchOptions::default()), ..Options::default() }, |_| None);
    let project = small(&server, SCORER, "parts_per_dataset: 3\n");
    let config = project.read("config/eval_config.yaml");
    project.config(
        &config.replace("first_wait: 1ms", "first_wait: 1ms, mode: batch, batch: {poll: 50ms, list_delay: 50ms}"),
    );
    let built = project.json(&["build", "--yes"]);
    assert_eq!(built["state"], "complete", "{built:#}");
    assert_eq!(server.batches().submitted().len(), 5, "five requests");
    assert_eq!(server.batches().created.len(), 1, "in one batch");
    assert_eq!(project.build()["up_to_date"], true);
}

#[test]
fn several_draws_come_to_a_majority_and_agree_with_each_other() {
    let server = scripted();
    let project = small(&server, &format!("{SCORER}, draws: 3"), "");
    let built = project.json(&["build", "--yes"]);
    assert_eq!(server.sent(), 15);
    let slug = &slugs(&built)[0];
    let text = project.run_file(&built, &format!("{slug}/results/agreement.json"));
    let found: Value = serde_json::from_str(&text).unwrap();
    let all = &found["datasets"]["d"]["judge"]["all"];
    assert_eq!((all["rated"].as_u64(), all["raters"]["draw 2"].as_u64()), (Some(7), Some(7)));
    assert_eq!(all["alpha_nominal"], 1.0);
}

#[test]
fn a_judge_that_cannot_be_is_an_error_of_the_config() {
    let server = scripted();
    for (from, to, said) in [
        ("model: ours, user", "model: recorded, user", "which can judge nothing"),
        ("model: ours, user", "model: our, user", "no model is called `our`"),
        ("user: prompts/rubric.txt, ", "", "user"),
        ("judge: {model", "judge: {name: exact, model", "two scorers are called `exact`"),
        ("temperature: 0, max", "tmperature: 0, max", "tmperature"),
    ] {
        let project = small(&server, &SCORER.replace(from, to), "");
        let refused = project.exp(&["build", "--yes"]).expect_code(2);
        assert!(refused.stderr.contains(said), "{to}: {}", refused.stderr);
    }
    let project = small(&server, SCORER, "");
    project.file("prompts/rubric.txt", "Is {{gold}} right?\n");
    let refused = project.exp(&["build", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("the template shows the judge no answer"), "{}", refused.stderr);
    assert_eq!(server.sent(), 0);
}

/// Five systems on the questions of EVOUNA-NQ, judged by a model on loopback that follows a script.
#[test]
fn the_agreement_of_a_judge_with_people_is_that_of_python() {
    let Some(data) = shared("data/evouna/NQ.json") else { return };
    let data = data.to_str().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/agreement.py");
    let python = |args: &[&str]| {
        let output = Command::new("python3").arg(script).args(args).output();
        let output = output.inspect_err(|error| eprintln!("skipped: python3: {error}")).ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let server = scripted();
    let project = Project::new();
    project.file("prompts/rubric.txt", RUBRIC).file("prompts/x.txt", "You answer questions.\n").file("data/.keep", "");
    if python(&["prepare", data, project.dir().to_str().unwrap()]).is_none() {
        return;
    }
    let arms = ["control", "gpt35", "chatgpt", "gpt4", "newbing"];
    let recordings: String = arms
        .iter()
        .map(|arm| format!("        {arm}: {{path: data/{arm}.jsonl, fields: {{key: id, text: text}}}}\n"))
        .collect();
    let sets: String = arms[1..]
        .iter()
        .map(|arm| format!("  {arm}: {{treatment: {{system: prompts/x.txt, draw_salt: {arm}}}}}\n"))
        .collect();
    let models = format!(
        "models:\n  - name: systems\n    provider: replay\n    model: systems\n    recordings:\n      nq:\n{recordings}  \
         - {{name: ours, provider: mine, price: {{input: 1, output: 10}}}}\n"
    );
    project.config(&format!(
        "version: 1\n{}datasets:\n  nq:\n    path: data/nq.jsonl\n    fields: {{id: id, question: question, answers: answers}}\n    \
         scorers: [squad, {{includes: {{words: false}}}}, {{labels: {{name: people, path: data/people.csv, values: {{correct: 1, \
         incorrect: 0}}}}}}, {{{SCORER}}}}}]\ncontrol: null\nprompt_sets:\n{sets}decoding: {{temperature: 0}}\n\
         analysis: {{bootstrap_samples: 100, permutation_samples: 100}}\n",
        judge(&server, &models)
    ));
    let built = project.json(&["build", "--yes"]);
    assert_eq!(built["state"], "complete", "{built:#}");
    let slug = |arm: &str| {
        let of = |slug: &String| slug.split('-').any(|part| part == if arm == "control" { "gpt4" } else { arm });
        slugs(&built).into_iter().find(of).unwrap()
    };
    let path = |slug: &str, name: &str| run_dir(&built).join(slug).join("results").join(name);
    let tables: Vec<String> =
        arms.iter().map(|arm| format!("{arm}={}", path(&slug(arm), "per_item_scores.csv").display())).collect();
    let mut args = vec!["reference", data];
    args.extend(tables.iter().map(String::as_str));
    let expected: Value = serde_json::from_str(&python(&args).unwrap()).unwrap();
    for arm in arms {
        let text = std::fs::read_to_string(path(&slug(arm), "agreement.json")).unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        let side = if arm == "control" { "control" } else { "treatment" };
        let scorers = found["datasets"]["nq"]["people"]["arms"][side]["scorers"].as_array().unwrap();
        for (metric, of) in [("squad_em", "squad_em"), ("includes", "includes"), ("judge", "script")] {
            let row = scorers.iter().find(|row| row["metric"] == metric && row["rater"].is_null()).unwrap();
            let reference = &expected[arm][of];
            assert_eq!(row["draws"], reference["draws"], "{arm} {metric}");
            for name in ["agreement", "kappa", "metric_mean", "rater_mean"] {
                let (found, expected) = (row[name].as_f64().unwrap(), reference[name].as_f64().unwrap());
                assert!((found - expected).abs() < 1e-12, "{arm} {metric} {name}: {found} is not {expected}");
            }
        }
    }
    let sent = server.sent();
    assert!(sent > 10_000, "{sent}");
    let again = project.build();
    assert_eq!((again["up_to_date"].as_bool(), again["cost_usd"]["spent"].as_f64()), (Some(true), Some(0.0)));
    assert_eq!(server.sent(), sent);
}
