//! What is wrong before anything runs: exit 2, the exact words, and nothing written that shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::Project;

const CONFIG: &str = "\
version: 1
models: [{name: reader, provider: lexical}]
datasets:
  mill:
    path: data/mill.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
    scorers: [qa]
control: prompts/control.txt
prompt_sets: {plain: prompts/plain.txt}
decoding: {temperature: 0}
";

const ITEMS: [&str; 2] = [
    r#"{"id":"m1","question":"Who built the mill?","answers":["Ada Pell"],"context":"Ada Pell built the mill."}"#,
    r#"{"id":"m2","question":"When did it burn?","answers":["1850"],"context":"It burned in 1850."}"#,
];

fn project() -> Project {
    let project = Project::in_memory();
    project.config(CONFIG).file("data/mill.jsonl", ITEMS.join("\n") + "\n");
    project.file("prompts/control.txt", "You answer questions.\n").file("prompts/plain.txt", "Copy the span.\n");
    project
}

/// Expects exit 2 with exactly this on standard error, `$DIR` standing for the project's directory; nothing on standard
/// output; no run, no draw. The same with `--json`, whose document holds the words.
#[track_caller]
fn refuses(project: &Project, args: &[&str], expected: &str) {
    let dir = project.dir().canonicalize().unwrap();
    let dir = dir.to_str().unwrap();
    let output = project.exp(args).expect_code(2);
    let stderr: String =
        output.stderr.replace(dir, "$DIR").lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    assert_eq!(stderr, expected, "\n{stderr}");
    assert_eq!(output.stdout, "");
    writes_nothing(project);
    let document = project.exp(&[args, &["--json"]].concat()).expect_code(2).json();
    assert_eq!(document["exit"], 2);
    let error = document["error"].as_str().unwrap().replace(dir, "$DIR");
    let first = error.lines().next().unwrap();
    assert!(expected.contains(first), "{error}");
    writes_nothing(project);
}

#[track_caller]
fn writes_nothing(project: &Project) {
    assert!(!project.path("experiments").exists(), "a run is shown");
    for name in ["draws", "runs"] {
        let entries = std::fs::read_dir(project.path("store").join(name)).into_iter().flatten();
        assert_eq!(entries.count(), 0, "store/{name}");
    }
}

/// Expects these errors of `build`, `plan` and `status`; that the last two leave no store either; and that the project
/// builds once what is wrong is put right.
#[track_caller]
fn refuses_the_config(project: &Project, expected: &str) {
    for command in ["plan", "status", "build"] {
        refuses(project, &[command], expected);
        assert!(!project.path("store").exists(), "{command} made a store");
    }
    project.config(CONFIG).file("data/mill.jsonl", ITEMS.join("\n") + "\n");
    project.build();
}

#[test]
fn several_errors_of_the_config_come_at_once() {
    let project = project();
    let config = CONFIG.replace("[qa]", "[qaa]").replace("prompts/plain.txt", "prompts/gone.txt");
    project.config(&config.replace("{temperature: 0}", "{temperature: hot}\noutcome: {}"));
    refuses_the_config(
        &project,
        "\
error: an entry of `scorers` does not know `qaa`
 --> config/eval_config.yaml:7:15
  |
7 |     scorers: [qaa]
  |               ^^^ did you mean `qa`?
  |
  = help: known: squad, qa, includes, exact, numeric, regex, choice, json

error: `prompts/gone.txt` does not exist
 --> config/eval_config.yaml:9:22
  |
9 | prompt_sets: {plain: prompts/gone.txt}
  |                      ^^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `$DIR`, the project's root

error: `temperature` takes a number of at least 0
  --> config/eval_config.yaml:10:25
   |
10 | decoding: {temperature: hot}
   |                         ^^^ this is text

error: unknown key `outcome` in the config
  --> config/eval_config.yaml:11:1
   |
11 | outcome: {}
   | ^^^^^^^ did you mean `outcomes`?
   |
   = help: known keys: version, experiments_dir, store, shared, views, trusted_keys, providers, models, datasets, control, prompt_sets, \
         task_instructions, decoding, draws, sweep, trials, outcomes, analysis, reuse, budget, max_failed, \
         parts_per_dataset, lines_per_part, max_concurrent_jobs, max_concurrent_requests

4 errors in config/eval_config.yaml; nothing ran
",
    );
}

#[test]
fn a_dataset_file_that_is_missing() {
    let project = project();
    std::fs::remove_file(project.path("data/mill.jsonl")).unwrap();
    refuses_the_config(
        &project,
        "\
error: `data/mill.jsonl` does not exist
 --> config/eval_config.yaml:5:11
  |
5 |     path: data/mill.jsonl
  |           ^^^^^^^^^^^^^^^
  |
  = help: relative paths start from `$DIR`, the project's root

1 error in config/eval_config.yaml; nothing ran
",
    );
}

#[test]
fn a_dataset_file_that_is_empty() {
    let project = project();
    project.file("data/mill.jsonl", "");
    refuses_the_config(
        &project,
        "\
error: `data/mill.jsonl` is empty
 --> config/eval_config.yaml:5:11
  |
5 |     path: data/mill.jsonl
  |           ^^^^^^^^^^^^^^^
  |
  = help: write the data into the file, or name another

1 error in config/eval_config.yaml; nothing ran
",
    );
}

/// Expects these errors of a build: first the words of the step that found them, then the errors. `plan` finds them too.
#[track_caller]
fn refuses_the_data(project: &Project, errors: &str) {
    refuses(project, &["build"], &format!("{errors}  hint: nothing was sent\n"));
    refuses(project, &["plan"], errors);
    // And again, with what the first build stored.
    refuses(project, &["build"], &format!("{errors}  hint: nothing was sent\n"));
}

#[test]
fn a_dataset_without_rows() {
    let project = project();
    project.file("data/mill.jsonl", "\n\n");
    refuses_the_data(
        &project,
        "\
error: the dataset is empty
 --> data/mill.jsonl
  = help: add rows, or remove the dataset from the config
",
    );
}

#[test]
fn two_items_with_one_id_name_both_lines() {
    let project = project();
    let twin = r#"{"id":"m1","question":"Who?","answers":["Ada"],"context":"Ada."}"#;
    project.file("data/mill.jsonl", [ITEMS[0], ITEMS[1], twin].join("\n") + "\n");
    refuses_the_data(
        &project,
        r#"error: the id `m1` stands already on line 1
 --> data/mill.jsonl:3
  |
3 | {"id":"m1","question":"Who?","answers":["Ada"],"context":"Ada."}
  | ^
  = help: give each row an id of its own, or set `duplicate_ids: number`
"#,
    );
    // The remedy is one.
    project.config(&CONFIG.replace("    scorers:", "    duplicate_ids: number\n    scorers:"));
    assert_eq!(project.build()["requests"]["sent"], 6);
}

#[test]
fn a_line_that_is_no_json() {
    let project = project();
    project.file("data/mill.jsonl", [ITEMS[0], r#"{"id": "x", "question": }"#, ITEMS[1]].join("\n") + "\n");
    refuses_the_data(
        &project,
        r#"error: expected a value, found `}`
 --> data/mill.jsonl:2:25
  |
2 | {"id": "x", "question": }
  |                         ^
  = help: correct the JSON here
"#,
    );
}

#[test]
fn a_field_in_a_template_that_no_item_has() {
    let project = project();
    let treatment = "{treatment: {system: prompts/plain.txt, user: prompts/user.txt}}";
    project.config(&CONFIG.replace("plain: prompts/plain.txt", &format!("plain: {treatment}")));
    project.file("prompts/user.txt", "Question:\n  {{question}} of {{colour}}\n");
    refuses_the_data(
        &project,
        "\
error: `{{colour}}` is no field of item `m1`
 --> prompts/user.txt:2:19
  |
2 |   {{question}} of {{colour}}
  |                   ^
  = help: the item has `id`, `question`, `context`
",
    );
    project.file("prompts/user.txt", "Question:\n  {{question}} of {{id}}\n");
    project.build();
}

#[test]
fn what_was_typed_is_not_understood() {
    let project = project();
    for (args, expected) in [
        (
            &["build", "--colour", "red"][..],
            "error: unexpected argument '--colour' found\n\n  tip: to pass '--colour' as a value, use '-- --colour'\n\n\
             Usage: exp build [OPTIONS] [TRIAL]...\n\nFor more information, try '--help'.\n",
        ),
        (
            &["biuld"],
            "error: unrecognized subcommand 'biuld'\n\n  tip: a similar subcommand exists: 'build'\n\n\
             Usage: exp [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.\n",
        ),
    ] {
        let output = project.exp(args).expect_code(2);
        assert_eq!((output.stderr.as_str(), output.stdout.as_str()), (expected, ""), "{}", output.stderr);
        assert!(!project.path("store").exists() && !project.path("experiments").exists());
    }
    let steps = "the steps are fetch, prepare, build, infer, parse, labels, judge_build, pairwise_build, judge_infer, judge, external, score, merge, stats, costs, pairwise, report, aggregate";
    for flag in ["--only-step", "--from_step", "--to-step"] {
        refuses(&project, &["build", flag, "polish"], &format!("error: there is no step `polish`; {steps}\n"));
        assert!(!project.path("store").exists());
    }
    let backwards = ["build", "--from-step", "stats", "--to-step", "infer"];
    refuses(&project, &backwards, "error: `stats` comes after `infer`: no step would run\n");
}

#[test]
fn what_was_named_is_not_there() {
    let project = project();
    for (args, expected) in [
        (&["build", "--temps", "3"][..], "error: there is no temperature `3`; there is: 0\n"),
        (&["build", "--temps", "warm"], "error: --temps: `warm` is not a decimal number\n"),
        (&["build", "--models", "nobody"], "error: there is no model `nobody`; there is: reader\n"),
        (&["build", "--prompt_sets", "bold"], "error: there is no prompt set `bold`; there is: plain\n"),
        (&["build", "unheard-of"], "error: there is no trial `unheard-of`; there is: reader-plain\n"),
        (&["build", "--parts-per-dataset", "0"], "error: a dataset has at least one part of at least one item\n"),
        (&["plan", "--temps", "3"], "error: there is no temperature `3`; there is: 0\n"),
        (
            &["show", "nosuchrun"],
            "error: there is no run `nosuchrun`; there is: none yet\n  hint: `exp list` shows them\n",
        ),
        (
            &["audit", "nosuchrun"],
            "error: there is no run `nosuchrun`; there is: none yet\n  hint: `exp list` shows them\n",
        ),
        (&["show"], "error: there is no run `latest`; there is: no complete run yet\n  hint: `exp list` shows them\n"),
        (&["why", "score"], "error: there is no run yet\n"),
        (&["stop"], "error: no run is at work\n  hint: `exp list` shows the runs and their states\n"),
        (
            &["compare", "one"],
            "error: two runs are needed: `exp compare A B`, or --run1 A --run2 B\n  \
             hint: RUN is an id, an archive's name, a unique beginning, or `latest`; RUN:TRIAL names one trial\n",
        ),
    ] {
        refuses(&project, args, expected);
    }
    let built = project.build();
    let run = built["run_id"].as_str().unwrap();
    let output = project.exp(&["show", "nosuchrun"]).expect_code(2);
    let expected = format!("error: there is no run `nosuchrun`; there is: {run}\n  hint: `exp list` shows them\n");
    assert_eq!(output.stderr, expected);
}

#[test]
fn no_config_at_all() {
    let project = Project::in_memory();
    let words = |path: &str| {
        format!(
            "error: cannot read the config `$DIR/{path}`: No such file or directory (os error 2)\n  \
             hint: `exp init` makes a project here; `--config FILE` or `-C DIR` names another\n"
        )
    };
    for command in ["build", "plan", "status", "score"] {
        refuses(&project, &[command], &words("config/eval_config.yaml"));
        assert!(!project.path("store").exists(), "{command}");
    }
    refuses(&project, &["build", "--config", "nowhere.yaml"], &words("nowhere.yaml"));
    let output = project.exp(&["build", "-C", "nowhere"]).expect_code(2);
    assert_eq!(output.stderr, "error: -C: cannot work in `nowhere`: No such file or directory (os error 2)\n");
    // What lists runs needs no config.
    assert_eq!(project.exp(&["list"]).expect_code(0).stdout, "no runs yet; `exp build` makes one\n");
}

#[test]
fn a_provider_without_its_key() {
    let project = project();
    let network = CONFIG
        .replace("models: [{name: reader, provider: lexical}]", "models: [{name: reader, provider: far, model: m-1}]")
        .replace("datasets:", "providers: {far: {kind: openai, api_key_env: NO_KEY}}\ndatasets:");
    project.config(&network);
    let expected = "\
error: provider `far` needs a key, and NO_KEY is not set
  hint: set NO_KEY in the environment, or in `.env` beside the config; config/eval_config.yaml:3:13 is the provider
  hint: nothing was sent
";
    refuses(&project, &["build"], expected);
    refuses(&project, &["build", "--keep-going"], expected);
    refuses(&project, &["build", "--archive", "--run-id", "mine"], expected);
    // The requests themselves can be made and looked at.
    let plan = project.json(&["plan"]);
    assert_eq!(plan["requests"]["to_send"], 4);
    let made = project.json(&["build", "--to-step", "build"]);
    assert_eq!((&made["state"], &made["requests"]["sent"]), (&"partial".into(), &0.into()));

    // Beside one that can be asked, nothing is asked of either.
    let both = network
        .replace("[{name: reader,", "[{name: near, provider: lexical}, {name: reader,")
        .replace("decoding:", "sweep: {models: [near, reader]}\ndecoding:");
    let other = self::project();
    other.config(&both);
    refuses(&other, &["build"], expected);
    // `exp score` asks nobody at all.
    let third = self::project();
    third.build();
    third.file("prompts/plain.txt", "Copy the shortest span.\n");
    let words = third.exp(&["score"]).expect_code(2).stderr;
    assert!(words.starts_with("error: 2 answers of `lexical"), "{words}");
    assert_eq!(third.json(&["list"])["runs"].as_array().unwrap().len(), 1);
    assert_eq!(other.json(&["build", "--models", "near"])["requests"]["sent"], 4);
}
