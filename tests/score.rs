//! `exp score`: what was answered is scored again, as a new run that names its parent, and nothing is asked.

#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const CONFIG: &str = "version: 1\nmodels: [{name: lex, provider: lexical, model: lex}]\n\
    datasets:\n  d:\n    path: config/d.jsonl\n    fields: {id: id, question: question, answers: answers, context: context}\n    \
    scorers: [exact]\ncontrol: config/c.txt\nprompt_sets: {t: config/t.txt}\n";

#[test]
fn a_changed_scorer_scores_again_and_asks_nothing() {
    let project = Project::new();
    project.file("config/c.txt", "Answer.");
    project.file("config/t.txt", "Answer in as few words as possible.");
    project.file(
        "config/d.jsonl",
        "{\"id\":\"a\",\"question\":\"Who built it?\",\"answers\":[\"Ada Stone\"],\"context\":\"Ada Stone built it.\"}\n",
    );
    project.config(CONFIG);
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 2);

    project.config(&CONFIG.replace("[exact]", "[includes]"));
    let scored = project.json(&["score"]);
    let scored_once = scored.clone();
    assert_eq!((&scored["state"], &scored["requests"]["sent"]), (&"complete".into(), &0.into()));
    assert_ne!(scored["run_id"], built["run_id"]);
    assert_ne!(scored["root"], built["root"]);
    assert_eq!(project.manifest(&scored)["parent"], built["run_id"]);
    let ran = project.ran(&scored);
    assert!(ran.iter().any(|label| label.starts_with("score/")), "{ran:?}");
    let asked = |label: &&String| ["prepare/", "build/", "infer/", "parse/"].iter().any(|step| label.starts_with(step));
    assert_eq!(ran.iter().filter(asked).count(), 0, "{ran:?}");
    project.exp(&["audit", "--rerun"]).expect_code(0);

    // All runs at once: two have the same trials, one has a trial less.
    let config = project.read("config/eval_config.yaml");
    project.file("config/u.txt", "Answer!");
    project.config(&config.replace("{t: config/t.txt}", "{t: config/t.txt, u: config/u.txt}"));
    let both = project.build();
    assert_eq!(both["requests"]["sent"], 1);
    project.config(&project.read("config/eval_config.yaml").replace("[includes]", "[includes, exact]"));
    let scored = project.json(&["score", "--all"]);
    let scored = scored.as_array().unwrap();
    assert_eq!(scored.len(), 2, "{scored:#?}");
    for (new, parent) in scored.iter().zip([&both, &scored_once]) {
        assert_eq!(new["requests"]["sent"], 0);
        assert_eq!(project.manifest(new)["parent"], parent["run_id"]);
    }
    assert_eq!((&scored[0]["state"], &scored[1]["state"]), (&"complete".into(), &"partial".into()));
    let named = project.json(&["score", built["run_id"].as_str().unwrap(), both["run_id"].as_str().unwrap()]);
    assert!(named.as_array().unwrap().iter().all(|one| one["requests"]["sent"] == 0), "{named:#}");
    project.config(
        &project.read("config/eval_config.yaml").replace("{t: config/t.txt, u: config/u.txt}", "{v: config/u.txt}"),
    );
    let gone = project.exp(&["score", built["run_id"].as_str().unwrap()]).expect_code(2);
    assert!(gone.stderr.contains("has no trial that the config still has"), "{}", gone.stderr);
}
