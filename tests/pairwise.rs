//! A model that compares the arms' answers: asked in both orders like any other, cached, priced, its leanings measured.
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

const TEMPLATE: &str =
    "Question: {{question}}\n[gold]\n{{gold}}\n[a]\n{{answer_a}}\n[b]\n{{answer_b}}\n[end]\nWhich is better?\n";

/// Serves a judge that is given the accepted answers, the first answer and the second one, and says a word.
fn judge_by(batches: bool, word: fn(gold: &str, a: &str, b: &str) -> &'static str) -> ModelServer {
    let says = move |texts: &[String]| {
        let asked = texts.last().cloned().unwrap_or_default();
        let between = |from: &str, to: &str| {
            let start = asked.find(from).unwrap() + from.len();
            asked[start..start + asked[start..].find(to).unwrap()].to_owned()
        };
        let (gold, a, b) = (between("[gold]\n", "\n[a]\n"), between("[a]\n", "\n[b]\n"), between("[b]\n", "\n[end]\n"));
        format!("I read both.\nVerdict: **{}**.", word(&gold, &a, &b))
    };
    let batches = batches.then(BatchOptions::default);
    ModelServer::start(Options { says: Some(Arc::new(says)), batches, ..Options::default() }, |_| None)
}

/// Prefers the answer that holds an accepted one, case aside.
fn fair(gold: &str, a: &str, b: &str) -> &'static str {
    let is_right = |answer: &str| gold.lines().any(|gold| answer.to_lowercase().contains(&gold.to_lowercase()));
    match (is_right(a), is_right(b)) {
        (true, false) => "First",
        (false, true) => "Second",
        _ => "Neither",
    }
}

const SCORER: &str = "judge_pairwise: {model: ours, user: prompts/pair.txt, decoding: {temperature: 0, max_output_tokens: 60}, \
                      verdict: {extract: '(?m)^Verdict: (.+)$', if_absent: missing}, \
                      values: {First: a, Second: b, Neither: tie}";

/// Two arms that answer from recordings, and one model with a price that compares them.
fn project(server: &ModelServer, items: &[[String; 4]], scorer: &str, more: &str) -> Project {
    let project = Project::new();
    let line = |value: Value| value.to_string() + "\n";
    let rows = items
        .iter()
        .map(|[id, gold, ..]| line(serde_json::json!({"id": id, "question": format!("Q{id}?"), "answers": [gold]})));
    project.file("data/d.jsonl", rows.collect::<String>());
    for (at, arm) in [(2, "control"), (3, "brief")] {
        let said = items.iter().map(|item| line(serde_json::json!({"id": item[0], "text": item[at]})));
        project.file(&format!("data/{arm}.jsonl"), said.collect::<String>());
    }
    project.file("prompts/pair.txt", TEMPLATE).file("prompts/brief.txt", "Be brief.\n");
    project.file(
        "data/people.csv",
        "item,arm,verdict\nb,control,0\nb,brief,1\nc,control,1\nc,brief,1\ne,control,1\ne,brief,0\n",
    );
    project.config(&format!(
        "version: 1\nproviders:\n  replay: {{kind: replay}}\n  mine: {{kind: openai, base_url: \"{}/v1\", identity: here, first_wait: 1ms}}\n\
         models:\n  - name: recorded\n    provider: replay\n    model: recorded\n    recordings:\n      d:\n        \
         control: {{path: data/control.jsonl, fields: {{key: id, text: text}}}}\n        \
         brief: {{path: data/brief.jsonl, fields: {{key: id, text: text}}}}\n  \
         - {{name: ours, provider: mine, price: {{input: 1, output: 10}}}}\n\
         datasets:\n  d:\n    path: data/d.jsonl\n    fields: {{id: id, question: question, answers: answers}}\n    \
         scorers: [exact, {{{scorer}}}}}]\ncontrol: null\nprompt_sets: {{brief: prompts/brief.txt}}\ndecoding: {{temperature: 0}}\n\
         analysis: {{bootstrap_samples: 100, permutation_samples: 100}}\n{more}",
        server.origin()
    ));
    project
}

/// The same answer; a win; a loss; an empty answer; two wrong ones.
fn small() -> Vec<[String; 4]> {
    let rows = [
        ["a", "Ann", "Ann", "Ann"],
        ["b", "Rome", "Paris", "Rome"],
        ["c", "1702", "1702", "in 1700"],
        ["d", "Oslo", "Bergen", ""],
        ["e", "La Paz", "Lima", "Quito"],
    ];
    rows.map(|row| row.map(str::to_owned)).to_vec()
}

/// Lists the last message of everything that was asked.
fn asked_of(server: &ModelServer) -> Vec<String> {
    let message = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
    };
    server.book().calls().map(|call| message(&call.text)).collect()
}

fn results(project: &Project, built: &Value) -> Value {
    let text = project.run_file(built, &format!("{}/results/pairwise.json", slugs(built)[0]));
    serde_json::from_str(&text).unwrap()
}

fn counts<const N: usize>(of: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of:#}")))
}

/// What was asked about a pair, what was said, and what that comes to, is shown by the names of the prompt set and of the setting.
fn expect_requests(made: &Project) {
    let answer = made.exp(&["show", "--request", "b", "brief"]).expect_code(0);
    assert!(answer.stderr.contains("`--request b brief/judge_pairwise` shows what it was asked"), "{}", answer.stderr);
    let shown = made.json(&["show", "--request", "b", "brief/judge_pairwise"]);
    let [first, second] = shown.as_array().unwrap().as_slice() else { panic!("{shown:#}") };
    for (one, order, [a, b], word, prefers) in [
        (first, "control_first", ["Paris", "Rome"], "Second", "b"),
        (second, "treatment_first", ["Rome", "Paris"], "First", "a"),
    ] {
        let texts = ["order", "verdict", "outcome"].map(|name| one[name].as_str().unwrap());
        assert_eq!((texts, one["draw"].as_u64()), ([order, "win", "win"], Some(0)), "{one:#}");
        let question = format!("Question: Qb?\n[gold]\nRome\n[a]\n{a}\n[b]\n{b}\n[end]\nWhich is better?");
        assert_eq!(one["body"]["messages"][0]["content"], question);
        let said = serde_json::json!([{"draw": 0, "status": "stop", "failure": null, "reasoning": null, "prefers": prefers,
                                       "text": format!("I read both.\nVerdict: **{word}**.")}]);
        assert_eq!(one["answers"], said);
    }
    let exact = made.exp(&["show", "--request", "b", "brief/judge_pairwise", "--exact"]).expect_code(0).stdout;
    let bodies: Vec<&str> = [first, second].map(|one| one["exact"].as_str().unwrap()).to_vec();
    assert_eq!(exact.lines().collect::<Vec<_>>(), bodies);
    for (item, arm, said) in [
        ("a", "brief/judge_pairwise", "that is a tie, about which nobody is asked"),
        ("d", "brief/judge_pairwise", "decides that the pair is not compared: treatment:empty"),
        ("x", "brief/judge_pairwise", "asks `judge_pairwise` nothing about the answers to item `x` under `brief`"),
        ("b", "control/judge_pairwise", "a pair of answers is named by its prompt set, as in `brief/judge_pairwise`"),
        ("b", "brief/jury", "has no arm `brief/jury`"),
    ] {
        let none = made.exp(&["show", "--request", item, arm]).expect_code(2).stderr;
        assert!(none.contains(said), "{none}");
    }
}

fn costs_of(project: &Project, built: &Value, slug: &str) -> Value {
    serde_json::from_str(&project.run_file(built, &format!("{slug}/results/costs.json"))).unwrap()
}

/// Sums up the tokens that a server has billed: input, output.
fn tokens(server: &ModelServer) -> [u64; 2] {
    let book = server.book();
    // A dollar for each token that is read, and then for each that is written.
    [book.cost(1e6, 0.0), book.cost(0.0, 1e6)].map(|dollars| dollars.round() as u64)
}

/// As [`project`], with a second prompt set: it answers as the first does but for item `e`.
fn two_trials(server: &ModelServer) -> Project {
    let made = project(server, &small(), SCORER, "");
    made.file("prompts/terse.txt", "Be terse.\n")
        .file("data/terse.jsonl", made.read("data/brief.jsonl").replace("Quito", "Lomé"));
    let brief = "        brief: {path: data/brief.jsonl, fields: {key: id, text: text}}\n";
    let config = made.read("config/eval_config.yaml");
    let config = config.replace(brief, &(brief.to_owned() + &brief.replace("brief", "terse")));
    made.config(&config.replace("brief: prompts/brief.txt", "brief: prompts/brief.txt, terse: prompts/terse.txt"));
    made
}

/// Two trials share the verdicts on items b and c: each has all six, and the run counts them once.
#[test]
fn what_verdicts_cost_is_counted_once_in_a_run() {
    let server = judge_by(false, fair);
    let made = two_trials(&server);
    // One trial has its verdicts, the other its answers: four verdicts of six are there. A plan counts what both want once.
    made.exp(&["build", "--prompt-sets", "brief", "--yes"]).expect_code(0);
    made.exp(&["build", "--prompt-sets", "terse", "--to-step", "parse"]).expect_code(0);
    let wanted = |reused: u64, to_send: u64| serde_json::json!({"total": 15 + 8, "reused": reused, "in_batches": 0, "to_send": to_send});
    assert_eq!(made.json(&["plan"])["requests"], wanted(21, 2));
    let built = made.json(&["build", "--yes"]);
    assert_eq!((server.sent(), built["requests"]["sent"].as_u64()), (8, Some(2)));
    // So does one that has nothing to do, and so do builds.
    assert_eq!(made.json(&["plan"])["requests"], wanted(23, 0));
    for build in [&built, &made.json(&["build"]), &made.json(&["build"])] {
        assert_eq!(build["requests"]["total"], 15 + 8, "{build:#}");
    }
    let spent = server.book().cost(1.0, 10.0);
    let mut each = Vec::new();
    for slug in slugs(&built) {
        let costs = costs_of(&made, &built, &slug);
        assert_eq!(counts(&costs["judges"]["ours"]["pairs"], ["completed", "failed"]), [6, 0], "{slug}");
        each.push(costs["judges"]["ours"]["all"]["usd"].as_f64().unwrap());
    }
    assert_eq!(each.len(), 2);
    assert!(each.iter().all(|usd| *usd < spent) && each.iter().sum::<f64>() > spent, "{each:?} {spent}");
    let [input, output] = tokens(&server);
    let aggregate = made.run_file(&built, "aggregate_report.md");
    let row = format!("| `ours` | 8 | 8 | {input} | {output} | ${spent:.6} |");
    assert!(aggregate.contains(&row), "{row}\n{aggregate}");
    let page = std::fs::read_to_string(run_dir(&built).join("report.html")).unwrap();
    let sum = format!(
        "All verdicts of the run, one that several trials share once: 8 verdicts of <code>ours</code> (8 on pairs of answers): \
         ${spent:.6}; {input} input and {output} output tokens.</p>"
    );
    assert!(page.contains(&sum), "the page has not the sum of the run: {sum}");
    made.exp(&["audit", "--rerun"]).expect_code(0);
}

/// The change of what is preferred is a number of a comparison, with its interval, and of no trial's own.
fn expect_gates(made: &Project, before: &str, after: &str) {
    let gate = |gate: &str| made.exp(&["compare", before, after, "--gate", gate, "--junit", "gates.xml"]);
    let passed = gate("d.judge_pairwise.ci_low >= -1").expect_code(0);
    assert!(!passed.stderr.contains("warning"), "{}", passed.stderr);
    gate("d.judge_pairwise.ci_low > 0").expect_code(100);
    let xml = made.read("gates.xml");
    assert!(xml.contains("failures=\"1\"") && xml.contains("name=\"d.judge_pairwise.ci_low &gt; 0\""), "{xml}");
    let failed = gate("d.judge_pairwise.delta >= 0").expect_code(100);
    assert!(
        failed.stderr.contains("judges a point estimate") && failed.stderr.contains("(-0.125000)"),
        "{}",
        failed.stderr
    );
    // Over the same items: half of what is won in A, and three eighths in B.
    for exact in ["control >= 0.5", "control <= 0.5", "treatment <= 0.375", "n >= 4"] {
        gate(&format!("pairwise.d.judge_pairwise.{exact}")).expect_code(0);
    }
    let unknown = gate("d.judge_pairwis.ci_low > 0").expect_code(2).stderr;
    assert!(unknown.contains(", d.judge_pairwise.QUANTITY"), "{unknown}");
}

#[test]
fn every_pair_is_asked_about_in_both_orders_and_once() {
    let server = judge_by(false, fair);
    let labels = format!("labels: {{name: people, path: data/people.csv}}}}, {{{SCORER}");
    let made = project(&server, &small(), &labels, "");
    // What verdicts cost is not known before there are answers.
    let refused = made.exp(&["build"]).expect_code(2);
    assert!(refused.stderr.contains("up to 10 verdicts of `ours`"), "{}", refused.stderr);
    assert_eq!(server.sent(), 0);
    let built = made.json(&["build", "--max-cost", "1"]);
    assert_eq!((server.sent(), built["requests"]["sent"].as_u64()), (6, Some(10 + 6)));
    let spent = built["cost_usd"]["spent"].as_f64().unwrap();
    assert!((spent - server.book().cost(1.0, 10.0)).abs() < 1e-12, "{spent}");
    let asked: Vec<String> = asked_of(&server);
    for (first, second) in [("Paris", "Rome"), ("Rome", "Paris"), ("Lima", "Quito"), ("Quito", "Lima")] {
        let times = asked.iter().filter(|text| text.contains(&format!("[a]\n{first}\n[b]\n{second}\n"))).count();
        assert_eq!(times, 1, "{first} {second}");
    }
    let whose = ["control", "treatment", "brief", "recorded"];
    assert!(!asked.iter().any(|text| whose.iter().any(|name| text.contains(name))), "the judge learns whose they are");

    let found = results(&made, &built);
    let block = &found["datasets"]["d"]["judge_pairwise"];
    let all = ["pairs", "asked", "identical", "compared", "no_outcome", "wins", "ties", "losses"];
    assert_eq!(counts(block, all), [5, 3, 1, 4, 0, 1, 2, 1]);
    assert_eq!(block["not_compared"], serde_json::json!({"treatment:empty": 1}));
    assert_eq!((block["win_rate"]["mean"].as_f64(), block["sign_test"]["p_value"].as_f64()), (Some(0.5), Some(1.0)));
    assert_eq!(counts(&block["position"], ["pairs", "consistent", "first_twice", "second_twice"]), [3, 3, 0, 0]);
    let people = &block["labels"]["people"];
    // b: win and rated so; c: loss, rated the same; e: tie, rated a loss.
    assert_eq!(counts(people, ["pairs", "differing", "same", "tied"]), [3, 2, 1, 1]);
    assert_eq!(people["accuracy"].as_f64(), Some(0.5));

    let slug = &slugs(&built)[0];
    let rows = support::csv_rows(&made.run_file(&built, &format!("{slug}/results/pairwise.csv")));
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            ["item_id", "control_first", "treatment_first", "outcome", "why"].map(|name| row[name].as_str()).join(" ")
        })
        .collect();
    let expected =
        ["a   tie identical", "b win win win ", "c loss loss loss ", "d    treatment:empty", "e tie tie tie "];
    assert_eq!(shown, expected);
    let report = made.run_file(&built, &format!("{slug}/reports/report.md"));
    assert!(report.contains("### Preferred answers: `judge_pairwise` on `d`"), "{report}");
    // Three pairs, both orders of each: what was billed.
    let costs = costs_of(&made, &built, slug);
    let ours = &costs["judges"]["ours"];
    let [input, output] = tokens(&server);
    assert_eq!(counts(&ours["pairs"], ["completed", "prompt_tokens", "completion_tokens"]), [6, input, output]);
    assert_eq!((&ours["all"], &ours["arms"]), (&ours["pairs"], &serde_json::json!({})), "{costs:#}");
    assert!((ours["pairs"]["usd"].as_f64().unwrap() - spent).abs() < 1e-12, "{costs:#}");
    assert_eq!(costs["usd"], Value::Null, "they are in no other number");
    let row = format!("| `ours` | 6 | 6 | {input} | {output} | ${spent:.6} |");
    assert!(report.contains("| Judge | Verdicts | On pairs |") && report.contains(&row), "{row}\n{report}");
    let aggregate = made.run_file(&built, "aggregate_report.md");
    assert!(aggregate.contains(&row) && aggregate.contains(&format!("| – | – | – | ${spent:.6} |")), "{aggregate}");
    let page = std::fs::read_to_string(run_dir(&built).join("report.html")).unwrap();
    assert!(page.contains("<h2>Preferred answers</h2>"), "the page says nothing of it");
    let counted = "not among these costs. A pair of answers is shown in both orders, and each has its verdicts.\n";
    assert!(report.contains(counted) && !report.contains("both arms gave"), "{report}");
    let priced = "Apart from these, 6 verdicts of <code>ours</code> (6 on pairs of answers): ";
    assert!(page.contains(priced), "the page says nothing of what they cost");
    let show = made.exp(&["show", built["run_id"].as_str().unwrap()]).expect_code(0);
    assert!(show.stdout.contains("preferred by"), "{}", show.stdout);
    expect_requests(&made);
    made.exp(&["audit", "--rerun"]).expect_code(0);

    // Gates know it.
    made.exp(&["build", "--gate", "d.judge_pairwise.ci_low >= -1"]).expect_code(0);
    made.exp(&["build", "--gate", "d.judge_pairwise.ci_low > 0.5"]).expect_code(100);

    // Nothing is asked twice.
    let again = made.json(&["build"]);
    assert_eq!((again["up_to_date"].as_bool(), server.sent()), (Some(true), 6));
    let scored = made.json(&["score"]);
    assert_eq!((scored["requests"]["sent"].as_u64(), server.sent()), (Some(0), 6));

    // Another word for what is said asks nobody.
    let config = made.read("config/eval_config.yaml");
    made.config(&config.replace("Neither: tie", "Neither: a"));
    let read = made.json(&["build"]);
    assert_eq!((server.sent(), read["requests"]["sent"].as_u64()), (6, Some(0)));
    let position = &results(&made, &read)["datasets"]["d"]["judge_pairwise"]["position"];
    assert_eq!(counts(position, ["consistent", "first_twice"]), [2, 1]);
    made.config(&config);

    // Another template asks this judge again, and nobody else; what it costs is known before.
    made.file("prompts/pair.txt", TEMPLATE.replace("{{gold}}", "Paris"));
    let priced = made.exp(&["build"]).expect_code(2);
    assert!(priced.stderr.contains("this build sends 6 requests"), "{}", priced.stderr);
    let changed = made.json(&["build", "--yes"]);
    assert_eq!((server.sent(), changed["requests"]["sent"].as_u64()), (12, Some(6)));
    let ran = made.ran(&changed);
    let known = ["pairwise_build/", "judge_infer/", "pairwise/", "costs/", "report/", "aggregate"];
    assert!(ran.iter().all(|label| known.iter().any(|step| label.starts_with(step))), "{ran:?}");
    let block = &results(&made, &changed)["datasets"]["d"]["judge_pairwise"];
    assert_eq!(counts(block, ["wins", "ties", "losses"]), [0, 3, 1]);
    let [before, after] = [&built, &changed].map(|run| run["run_id"].as_str().unwrap());
    let compared = made.json(&["compare", before, after]);
    let [pair] = compared["trials"][0]["pairwise"].as_array().unwrap().as_slice() else { panic!("{compared:#}") };
    let sides = ["a", "b"].map(|side| counts(&pair[side], ["compared", "wins", "ties", "losses"]));
    assert_eq!(sides, [[4, 1, 2, 1], [4, 0, 3, 1]]);
    let paired = &pair["change"]["paired"];
    let means = ["mean_a", "mean_b", "delta"].map(|name| paired[name].as_f64().unwrap());
    assert_eq!(
        (paired["n"].as_u64(), means, paired["test"].as_str()),
        (Some(4), [0.5, 0.375, -0.125], Some("paired-t"))
    );
    let counted = ["wins", "ties", "losses"].map(|name| pair["change"][name].as_i64().unwrap());
    assert_eq!((counted, pair["change"]["win_rate"].as_f64()), ([-1, 1, 0], Some(-0.125)));
    let text = made.exp(&["compare", before, after]).expect_code(0).stdout;
    let expected = "  preferred answers, as each run found them\n    d judge_pairwise, by ours: wins 1, ties 2, losses 1, win rate 0.5000 \
                    (p 1.0000) -> wins 0, ties 3, losses 1, win rate 0.3750 (p 1.0000); change: wins -1, ties +1, losses +0, win \
                    rate -0.1250\n      on the 4 items that both compare: 0.5000 -> 0.3750, -0.1250 [";
    assert!(text.contains(expected), "{text}");

    expect_gates(&made, before, after);

    // What it was told of an item goes with that item.
    let forgotten = made.exp(&["forget", "--dataset", "d", "--item", "b"]).expect_code(0);
    assert!(forgotten.stdout.contains("item `b` of dataset `d`: 6 requests"), "{}", forgotten.stdout);
}

/// Its words and templates are nobody else's business: without it, every action is what it was.
#[test]
fn a_dataset_that_is_compared_as_well_is_scored_as_before() {
    let server = judge_by(false, fair);
    // Else the model that judges would answer, once it does not judge.
    let with = project(&server, &small(), SCORER, "trials: [{model: recorded, prompt_set: brief}]\n");
    let built = with.json(&["build", "--yes"]);
    let config = with.read("config/eval_config.yaml");
    let (before, rest) = config.split_once(", {judge_pairwise").unwrap();
    with.config(&format!("{before}]\n{}", rest.split_once("]\n").unwrap().1));
    let without = with.build();
    let ran = with.ran(&without);
    let priced = ["costs/", "report/", "aggregate"];
    assert!(ran.iter().all(|label| priced.iter().any(|step| label.starts_with(step))), "{ran:?}");
    assert_ne!(built["root"], without["root"]);
    assert!(!run_dir(&without).join(&slugs(&without)[0]).join("results/pairwise.json").exists());
    // What only one run asked is listed, and nothing else is said of it.
    let [a, b] = [&built, &without].map(|run| run["run_id"].as_str().unwrap());
    let compared = with.json(&["compare", b, a]);
    let trial = &compared["trials"][0];
    let pair = &trial["pairwise"][0];
    assert_eq!((&pair["name"], &pair["a"], &pair["change"]), (&"judge_pairwise".into(), &Value::Null, &Value::Null));
    assert_eq!((counts(&pair["b"], ["wins", "ties", "losses"]), &trial["notes"]), ([1, 2, 1], &serde_json::json!([])));
    let text = with.exp(&["compare", b, a]).expect_code(0).stdout;
    assert!(
        text.contains(
            "    d judge_pairwise, by ours, only in B: wins 1, ties 2, losses 1, win rate 0.5000 (p 1.0000)\n"
        ),
        "{text}"
    );
}

#[test]
fn threads_and_batches_decide_nothing() {
    let texts = |server: &ModelServer, mode: &str, args: &[&str]| {
        let made = project(server, &small(), &format!("{SCORER}, draws: 3"), "parts_per_dataset: 3\n");
        let config = made.read("config/eval_config.yaml");
        made.config(&config.replace("first_wait: 1ms", &format!("first_wait: 1ms{mode}")));
        let built = made.json(args);
        assert_eq!(built["state"], "complete", "{built:#}");
        let path = |name: &str| format!("{}/results/pairwise.{name}", slugs(&built)[0]);
        [made.run_file(&built, &path("json")), made.run_file(&built, &path("csv"))]
    };
    let server = judge_by(false, fair);
    let one = texts(&server, "", &["build", "--yes", "--max-concurrent-jobs", "1"]);
    assert_eq!(server.sent(), 18);
    assert_eq!(texts(&server, "", &["build", "--yes", "--max-concurrent-jobs", "4"]), one);
    // Batches are answered with other words: what is in them is looked at.
    let server = judge_by(true, fair);
    texts(&server, ", mode: batch, batch: {poll: 50ms, list_delay: 50ms}", &["build", "--yes"]);
    assert_eq!(server.batches().submitted().values().sum::<usize>(), 18);
    assert_eq!(server.batches().created.len(), 1);
}

#[test]
fn a_judge_of_places_is_found_out() {
    let server = judge_by(false, |_, _, _| "First");
    let items: Vec<[String; 4]> =
        (0..12).map(|at| [at.to_string(), "x".to_owned(), format!("c{at}"), format!("t{at}")]).collect();
    let made = project(&server, &items, SCORER, "");
    let built = made.json(&["build", "--yes"]);
    let block = &results(&made, &built)["datasets"]["d"]["judge_pairwise"];
    assert_eq!(counts(block, ["wins", "ties", "losses"]), [0, 12, 0]);
    let position = &block["position"];
    assert_eq!(counts(position, ["pairs", "consistent", "first_twice"]), [12, 0, 12]);
    assert_eq!((position["flipped"].as_f64(), position["first_bias"]["mean"].as_f64()), (Some(1.0), Some(0.5)));
    assert!(position["first_bias"]["ci_95"][0].as_f64().unwrap() > 0.2, "{position:#}");
}

/// Treatment writes more on most questions and is no better: a judge that likes long answers lets it win.
#[test]
fn a_judge_of_lengths_is_corrected() {
    // By what the item's name adds up to, one in four verdicts goes by something else than length.
    let long = |gold: &str, a: &str, b: &str| {
        let turns = gold.bytes().map(u32::from).sum::<u32>() % 4 == 0;
        if (a.len() > b.len()) == turns { "Second" } else { "First" }
    };
    let server = judge_by(false, long);
    let item = |at: usize| {
        let longer = at % 4 != 1;
        let text = |is_long: bool, who: &str| format!("{who}{}", "x".repeat(if is_long { 20 + at % 7 } else { 5 }));
        [at.to_string(), format!("g{}", (b'a' + (at / 4) as u8) as char), text(!longer, "c"), text(longer, "t")]
    };
    let items: Vec<[String; 4]> = (0..80).map(item).collect();
    let made = project(&server, &items, SCORER, "");
    let built = made.json(&["build", "--yes"]);
    let block = &results(&made, &built)["datasets"]["d"]["judge_pairwise"];
    let (plain, length) = (block["win_rate"]["mean"].as_f64().unwrap(), &block["length"]);
    let controlled = length["win_rate"].as_f64().unwrap();
    assert!(plain > 0.6 && (controlled - 0.5).abs() < 0.1, "{plain} {controlled}");
    assert!(length["phi"][0].as_f64().unwrap() > 0.5, "{length:#}");
    let [low, high] = [0, 1].map(|at| length["ci_95"][at].as_f64().unwrap());
    assert!(low < 0.5 && 0.5 < high, "{low} {high}");

    // One that goes by length alone has no estimate, and that is said.
    let server = judge_by(false, |_, a, b| if a.len() > b.len() { "First" } else { "Second" });
    let made = project(&server, &items, SCORER, "");
    let built = made.json(&["build", "--yes"]);
    let length = &results(&made, &built)["datasets"]["d"]["judge_pairwise"]["length"];
    assert_eq!((length["why"].as_str(), length["win_rate"].as_f64()), (Some("separated"), None));
}

#[test]
fn hostile_answers_and_words_stay_text() {
    let server = judge_by(false, |_, _, _| "<script>alert(1)</script> {{gold}}");
    let nasty = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> {{answer_b}} \u{202e}";
    let items = [["<b>=1</b>".to_owned(), "x".to_owned(), nasty.to_owned(), "y".to_owned()]];
    let made = project(&server, &items, SCORER, "");
    let built = made.json(&["build", "--yes"]);
    let asked: Vec<String> = asked_of(&server);
    assert!(asked.iter().all(|text| text.contains("{{answer_b}}")), "what an answer holds is no field: {asked:?}");
    let block = &results(&made, &built)["datasets"]["d"]["judge_pairwise"];
    assert_eq!((counts(block, ["no_outcome", "compared"]), block["verdicts"]["unknown"].as_u64()), ([1, 0], Some(2)));
    let page = std::fs::read_to_string(run_dir(&built).join("report.html")).unwrap();
    assert!(!page.contains("<img") && !page.contains("<script>alert"), "markup in the page");
    let text = results(&made, &built).to_string();
    assert!(!text.contains("alert"), "what a judge says is in no result");
}

#[test]
fn a_comparison_that_cannot_be_is_an_error_of_the_config() {
    let server = judge_by(false, fair);
    for (from, to, said) in [
        ("model: ours", "model: recorded", "which can judge nothing"),
        ("model: ours", "model: our", "no model is called `our`"),
        ("user: prompts/pair.txt, ", "", "user"),
        ("judge_pairwise: {model", "judge_pairwise: {name: exact, model", "two scorers are called `exact`"),
        ("Neither: tie", "Neither: both", "tie"),
    ] {
        let made = project(&server, &small(), &SCORER.replace(from, to), "");
        let refused = made.exp(&["build", "--yes"]).expect_code(2);
        assert!(refused.stderr.contains(said), "{to}: {}", refused.stderr);
    }
    let made = project(&server, &small(), SCORER, "");
    made.file("prompts/pair.txt", "Is {{answer_a}} right?\n");
    let refused = made.exp(&["build", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("the template does not show the second answer"), "{}", refused.stderr);
    let config = made.read("config/eval_config.yaml");
    made.file("prompts/pair.txt", TEMPLATE).config(&config.replace("[exact, ", "["));
    let refused = made.exp(&["build", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("compares two answers and scores none"), "{}", refused.stderr);
    assert_eq!(server.sent(), 0);
}

/// Two systems on the questions of EVOUNA-NQ: how far a scripted judge agrees with people, as Python computes it.
#[test]
fn the_agreement_of_a_comparison_with_people_is_that_of_python() {
    let Some(data) = shared("data/evouna/NQ.json") else { return };
    let data = data.to_str().unwrap();
    let python = |name: &str, args: &[&str]| {
        let script = format!("{}/tests/reference/{name}.py", env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("python3").arg(script).args(args).output();
        let output = output.inspect_err(|error| eprintln!("skipped: python3: {error}")).ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let server = judge_by(false, fair);
    let made = Project::new();
    made.file("prompts/pair.txt", TEMPLATE).file("prompts/x.txt", "You answer questions.\n").file("data/.keep", "");
    if python("agreement", &["prepare", data, made.dir().to_str().unwrap()]).is_none() {
        return;
    }
    made.config(&format!(
        "version: 1\nproviders:\n  replay: {{kind: replay}}\n  mine: {{kind: openai, base_url: \"{}/v1\", identity: here, first_wait: 1ms}}\n\
         models:\n  - name: systems\n    provider: replay\n    model: systems\n    recordings:\n      nq:\n        \
         control: {{path: data/control.jsonl, fields: {{key: id, text: text}}}}\n        \
         gpt4: {{path: data/gpt4.jsonl, fields: {{key: id, text: text}}}}\n  \
         - {{name: ours, provider: mine, price: {{input: 1, output: 10}}}}\n\
         datasets:\n  nq:\n    path: data/nq.jsonl\n    fields: {{id: id, question: question, answers: answers}}\n    max_items: 800\n    \
         scorers: [{{labels: {{name: people, path: data/people.csv, values: {{correct: 1, incorrect: 0}}}}}}, {{{SCORER}}}}}]\n\
         control: null\nprompt_sets: {{gpt4: prompts/x.txt}}\ndecoding: {{temperature: 0}}\n\
         analysis: {{bootstrap_samples: 100, permutation_samples: 100}}\n",
        server.origin()
    ));
    let built = made.json(&["build", "--yes"]);
    assert_eq!(built["state"], "complete", "{built:#}");
    let expected: Value = serde_json::from_str(&python("pairwise_agreement", &[data, "800"]).unwrap()).unwrap();
    let block = &results(&made, &built)["datasets"]["nq"]["judge_pairwise"];
    let names = ["pairs", "identical", "wins", "ties", "losses"];
    assert_eq!(counts(block, names), counts(&expected, names));
    let people = &block["labels"]["people"];
    let names = ["pairs", "differing", "same", "tied"];
    assert_eq!(counts(people, names), counts(&expected["people"], names));
    let numbers = [("accuracy", people, &expected["people"]), ("agreement", people, &expected["people"])];
    let length = (&block["length"], &expected["length"]);
    let more = [("kappa", people, &expected["people"]), ("mean", &block["win_rate"], &expected["win_rate"])];
    for (name, found, expected) in numbers.into_iter().chain(more).chain([("win_rate", length.0, length.1)]) {
        let (found, expected) = (found[name].as_f64().unwrap(), expected[name].as_f64().unwrap());
        assert!((found - expected).abs() < 1e-9, "{name}: {found} is not {expected}");
    }
    let expected = &expected["win_rate"]["ci_95"];
    for at in [0, 1] {
        let (found, expected) = (block["win_rate"]["ci_95"][at].as_f64().unwrap(), expected[at].as_f64().unwrap());
        // The quantile of the normal law there is made that of Student's by an expansion.
        assert!((found - expected).abs() < 1e-8, "{found} is not {expected}");
    }
    assert_eq!(server.sent(), 2 * block["asked"].as_u64().unwrap() as usize);
}
