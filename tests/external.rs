//! Scorers by process: told JSON lines, heard JSON lines, in a directory of their own, within their time.
#![allow(clippy::unwrap_used)] // A test may stop where what it reads is not as it should be.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Project, csv_rows, run_dir, slugs};

/// Says 1 where a word of its file stands in the line that it is told, else 0.
const SCORER: &str = "#!/bin/sh\nword=$(cat data/word.txt)\nexec sed -E \"s/^\\{\\\"item\\\":(\\\"[^\\\"]*\\\"),\\\"n\\\":([0-9]+),.*\\\"answer\\\":\\\"$word\\\".*/{\\\"item\\\":\\1,\\\"n\\\":\\2,\\\"score\\\":1}/; t; \
    s/^\\{\\\"item\\\":(\\\"[^\\\"]*\\\"),\\\"n\\\":([0-9]+),.*/{\\\"item\\\":\\1,\\\"n\\\":\\2,\\\"score\\\":$MISS}/\"\n";

const SETTINGS: &str =
    "name: word, command: [scorers/word.sh], inputs: [data/word.txt], environment: {MISS: '0'}, time_limit: 20s";

fn project(settings: &str) -> Project {
    let project = Project::new();
    project.file("scorers/word.sh", SCORER).file("data/word.txt", "Rome").file("prompts/b.txt", "Be brief.\n");
    let items = [("a", "Rome"), ("b", "Oslo")];
    let row = |(id, gold): (&str, &str)| format!("{{\"id\":\"{id}\",\"question\":\"Q?\",\"answers\":[\"{gold}\"]}}\n");
    project.file("data/d.jsonl", items.map(row).concat());
    project.file("data/c.jsonl", "{\"id\":\"a\",\"text\":\"Rome\"}\n{\"id\":\"b\",\"text\":\"Bergen\"}\n");
    project.file("data/t.jsonl", "{\"id\":\"a\",\"text\":\"Paris\"}\n{\"id\":\"b\",\"text\":\"\"}\n");
    project.config(&format!(
        "version: 1\nproviders: {{replay: {{kind: replay}}}}\nmodels:\n  - name: recorded\n    provider: replay\n    recordings:\n      \
         d:\n        control: {{path: data/c.jsonl, fields: {{key: id, text: text}}}}\n        \
         brief: {{path: data/t.jsonl, fields: {{key: id, text: text}}}}\n\
         datasets:\n  d:\n    path: data/d.jsonl\n    fields: {{id: id, question: question, answers: answers}}\n    \
         scorers: [exact, {{external: {{{settings}}}}}]\ncontrol: null\nprompt_sets: {{brief: prompts/b.txt}}\n"
    ));
    project
}

fn words(project: &Project, built: &serde_json::Value) -> Vec<String> {
    let slug = &slugs(built)[0];
    let rows = csv_rows(&project.run_file(built, &format!("{slug}/results/per_item_scores.csv")));
    rows.iter().map(|row| row["word"].clone()).collect()
}

#[test]
fn an_executable_scores_and_runs_again_when_it_or_its_files_change() {
    let project = project(SETTINGS);
    let built = project.build();
    // Control, then treatment, of each item; an empty answer is wrong without being shown.
    assert_eq!(words(&project, &built), ["1.0", "0.0", "0.0", "0.0"]);
    let page = std::fs::read_to_string(run_dir(&built).join(&slugs(&built)[0]).join("reports/provenance.md")).unwrap();
    assert!(page.contains("Not hermetic"), "{page}");
    let audit = project.exp(&["audit", "--rerun"]).expect_code(0);
    assert!(audit.stdout.contains("2 actions of executables were not"), "{}", audit.stdout);
    assert_eq!(project.build()["up_to_date"], true);

    let config = project.read("config/eval_config.yaml");
    // The build may come to a run of before, whose actions ran long ago: the plan says what is to run.
    let ran_with = |config: &str| -> Vec<String> {
        project.config(config);
        let plan = project.exp(&["plan", "--json"]).expect_code(0).json();
        project.build();
        let nodes = plan["nodes"].as_array().unwrap().iter().filter(|node| node["verdict"] == "run");
        nodes.map(|node| node["label"].as_str().unwrap().to_owned()).collect()
    };
    let is_alone = |ran: &[String]| {
        let before = ["prepare/", "build/", "infer/", "parse/"];
        ran.iter().any(|label| label.starts_with("external/"))
            && !ran.iter().any(|label| before.iter().any(|step| label.starts_with(step)))
    };
    for (from, to) in [
        ("MISS: '0'", "MISS: '0.5'"),
        ("time_limit: 20s", "time_limit: 20s, version: '2'"),
        ("[scorers/word.sh]", "[scorers/word.sh, --strict]"),
    ] {
        let ran = ran_with(&config.replace(from, to));
        assert!(is_alone(&ran), "{to}: {ran:?}");
    }
    assert!(ran_with(&config.replace("20s", "30s")).is_empty(), "a time limit decides no score");
    project.file("data/word.txt", "Paris");
    assert!(is_alone(&ran_with(&config)));
    assert_eq!(words(&project, &project.build()), ["0.0", "1.0", "0.0", "0.0"]);
    project.file("scorers/word.sh", SCORER.replace("score\\\":1", "score\\\":0.75"));
    assert!(is_alone(&ran_with(&config)));
}

#[test]
fn an_executable_that_fails_says_why_and_one_that_hangs_is_killed() {
    let failing = |script: &str, said: &str| {
        let project = project(SETTINGS);
        project.file("scorers/word.sh", script);
        let failed = project.exp(&["build"]).expect_code(1);
        assert!(failed.stderr.contains(said), "{said}: {}", failed.stderr);
    };
    failing("#!/bin/sh\necho no such word >&2\nexit 3\n", "exit status: 3): no such word");
    failing("#!/bin/sh\necho nonsense\n", "the output of the scorer `word`:1");
    failing("#!/bin/sh\necho '{\"item\":\"z\",\"n\":0,\"score\":1}'\n", "it was not told of draw 0 of `z`");
    failing("#!/nowhere/at/all\n", "it cannot be started");
    failing("#!/bin/sh\ncat >/dev/null\n", "it says nothing of draw 0 of `a`");
    let twice = "#!/bin/sh\nfor i in 1 2; do echo '{\"item\":\"a\",\"n\":0,\"score\":1}'; done\n";
    failing(twice, "it speaks of draw 0 of `a` again");
    // What it started is out of reach, and it is not waited for.
    let leaving = "#!/bin/sh\nsetsid sh -c 'touch up; exec sleep 5' &\nwhile [ ! -e up ]; do sleep 0.1; done\n";
    failing(leaving, "something that it started holds its output open");
    let project = project(&SETTINGS.replace("20s", "1s"));
    project.file("scorers/word.sh", "#!/bin/sh\nsleep 300 & sleep 300\n");
    let started = Instant::now();
    let failed = project.exp(&["build"]).expect_code(1);
    assert!(failed.stderr.contains("it was not done after 1 s, and was killed"), "{}", failed.stderr);
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    // Ctrl-C ends it, however long it may take.
    project.config(&project.read("config/eval_config.yaml").replace("time_limit: 1s", "time_limit: 10m"));
    let mut build = project.command(&["build"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(Command::new("kill").args(["-INT", &build.id().to_string()]).status().unwrap().success());
    let started = Instant::now();
    assert_eq!(build.wait().unwrap().code(), Some(4));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    // Mended, it goes on.
    project.file("scorers/word.sh", SCORER);
    assert_eq!(project.build()["state"], "complete");
}
