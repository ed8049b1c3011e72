//! Gates: exit 100 where one fails, an error before anything runs where one cannot be read, JUnit XML for CI.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const CONFIG: &str = "version: 1\nmodels: [{name: lex, provider: lexical, model: lex}]\n\
    datasets:\n  d:\n    path: config/d.jsonl\n    fields: {id: id, question: question, answers: answers, context: context}\n    \
    scorers: [exact]\ncontrol: config/c.txt\nprompt_sets: {t: config/t.txt}\n";

fn project() -> Project {
    let project = Project::new();
    project.file("config/c.txt", "Answer.").file("config/t.txt", "Answer in as few words as possible.");
    let row = |n: u32| {
        format!(
            "{{\"id\":\"{n}\",\"question\":\"Who built it?\",\"answers\":[\"Ada Stone\"],\"context\":\"Ada Stone built it.\"}}\n"
        )
    };
    project.file("config/d.jsonl", (0..8).map(row).collect::<String>());
    project.config(CONFIG);
    project
}

#[test]
fn a_build_passes_or_fails_its_gates() {
    let project = project();
    let unread = project.exp(&["build", "--gate", "d.exact.ci_lo >= 0"]).expect_code(2);
    assert!(unread.stderr.contains("no quantity `ci_lo`") && unread.stderr.contains("ci_low"), "{}", unread.stderr);
    let elsewhere = project.exp(&["build", "--gate", "e.exact.ci_low >= 0"]).expect_code(2);
    assert!(elsewhere.stderr.contains("known are d.exact.QUANTITY"), "{}", elsewhere.stderr);
    let misspelt = project.exp(&["build", "--gate", "d.exat.n >= 8"]).expect_code(2);
    assert!(misspelt.stderr.contains("d.exact.QUANTITY"), "{}", misspelt.stderr);
    assert!(!project.path("experiments/latest").exists(), "nothing ran");

    let passed = project.exp(&["build", "--gate", "d.exact.n >= 8", "--gate", "d.exact.delta >= -1"]).expect_code(0);
    assert!(passed.stderr.contains("warning: gate `d.exact.delta >= -1` judges a point estimate"), "{}", passed.stderr);
    let failed = project
        .exp(&["build", "--json", "--gate", "d.exact.n > 8", "--gate", "d.exact.n >= 8", "--junit", "gates.xml"])
        .expect_code(100);
    let document = failed.json();
    assert_eq!(
        (&document["up_to_date"], &document["gates"][0]["passed"], &document["gates"][1]["passed"]),
        (&true.into(), &false.into(), &true.into())
    );
    let xml = project.read("gates.xml");
    assert!(
        xml.contains("tests=\"2\" failures=\"1\" errors=\"0\"") && xml.contains("name=\"d.exact.n &gt; 8\""),
        "{xml}"
    );

    // A run that is not complete is not judged.
    let partial = project.exp(&["build", "--limit-items", "3", "--gate", "d.exact.n > 8"]).expect_code(0);
    assert!(partial.stderr.contains("no gate is judged"), "{}", partial.stderr);
}

#[test]
fn a_comparison_has_gates_too() {
    let project = project();
    project.build();
    project.exp(&["compare", "latest", "latest", "--gate", "treatment.exact.delta >= 0"]).expect_code(0);
    project.exp(&["compare", "latest", "latest", "--gate", "treatment.exact.n > 8"]).expect_code(100);
    project.exp(&["compare", "latest", "latest", "--gate", "nothing.exact.n > 8"]).expect_code(2);
}
