//! Archives that can be handed on where the items cannot: hashes stand for their text, and an audit still holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/archive_entries.rs"]
mod archive_entries;
mod support;

use archive_entries::{Entry, entries, name, pack, unpacked};
use serde_json::json;
use support::Project;

fn project() -> Project {
    let project = Project::new();
    project.file("prompts/control.txt", "Answer.\n").file("prompts/brief.txt", "Answer briefly.\n");
    let item = |n: u32| {
        let item = json!({
            "id": format!("q{n}"), "question": format!("Who built the qxmill number {n}?"), "answers": [format!("Axda{n}")],
            "context": format!("The qxmill number {n} was built by Axda{n} Cxtext."), "note": "Nxote",
        });
        item.to_string() + "\n"
    };
    project.file("data/mills.jsonl", (0..8).map(item).collect::<String>());
    project.file("prompts/shots.jsonl", "{\"question\": \"Sxhot?\", \"answer\": \"Sxhot.\"}\n");
    project.config(
        "\
version: 1
models: [{name: reader, provider: lexical}]
datasets:
  mills:
    path: data/mills.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
control: prompts/control.txt
prompt_sets:
  brief: prompts/brief.txt
  shots: {treatment: {system: prompts/control.txt, examples: prompts/shots.jsonl}}
decoding: {temperature: 0, max_output_tokens: 64}
analysis: {bootstrap_samples: 100, permutation_samples: 100}
",
    );
    project
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

#[test]
fn no_text_of_an_item_is_in_it_and_it_can_be_audited() {
    let project = project();
    let built = project.build();
    let run = built["run_id"].as_str().unwrap();
    let planned = project.exp(&["archive", "--without-items", "--dry-run"]).expect_code(0).stdout;
    assert!(planned.contains("\nwithheld: "), "{planned}");
    let written = project.json(&["archive", "--without-items"]);
    assert_eq!(written["name"], format!("t0_{run}-without-items"));
    let path = project.path(&format!("experiments/archives/t0_{run}-without-items.tar.zst"));
    let bytes = unpacked(&path);
    let words = ["qxmill", "Axda", "Cxtext", "Nxote", "Sxhot"];
    for word in words {
        assert!(!holds(&bytes, word), "{word}");
    }
    // The same words are found where they are: in an archive with all.
    project.exp(&["archive", "--experiment-name", "all"]).expect_code(0);
    let whole = unpacked(&project.path("experiments/archives/all.tar.zst"));
    assert!(words.iter().all(|word| holds(&whole, word)));
    // What the items do not enter is there.
    assert!(holds(&bytes, "Answer briefly.") && holds(&bytes, "mills|q3") && holds(&bytes, "# "));

    let file = path.to_str().unwrap();
    let report = project.json(&["audit", file]);
    assert_eq!((&report["sound"], &report["report"]["root"]), (&true.into(), &built["root"]));
    assert!(report["report"]["withheld"]["blobs"].as_u64().unwrap() > 5, "{report:#}");
    let said = project.exp(&["audit", file]).expect_code(0).stdout;
    assert!(said.contains("note: withheld: "), "{said}");
    let said = project.exp(&["import", file]).expect_code(2).stderr;
    assert!(said.contains("the text of its items is withheld"), "{said}");
    let listed = project.json(&["list"]);
    assert!(
        listed["archives"].as_array().unwrap().iter().any(|archive| archive["run"]["Ok"]["run_id"] == run),
        "{listed:#}"
    );
}

#[test]
fn what_is_withheld_is_written_down_and_nothing_else_may_be_missing() {
    let project = project();
    project.build();
    project.exp(&["archive", "--without-items", "--experiment-name", "thin"]).expect_code(0);
    let path = project.path("experiments/archives/thin.tar.zst");
    let entries = entries(&path);
    let audited = |entries: &[Entry]| {
        let bad = project.path("bad.tar.zst");
        pack(&bad, entries);
        project.exp(&["audit", bad.to_str().unwrap()])
    };
    audited(&entries).expect_code(0);
    // A line less: that blob is missing. A line more: nobody names it.
    let at = entries.iter().position(|(header, _)| name(header) == "WITHHELD").unwrap();
    let mut fewer = entries.clone();
    let first = fewer[at].1.iter().position(|byte| *byte == b'\n').unwrap();
    fewer[at].1.drain(..=first);
    let said = audited(&fewer).expect_code(3).stdout;
    assert!(said.contains("expected: to be in the archive\n  actual:   missing\n"), "{said}");
    let mut more = entries.clone();
    more[at].1.extend(format!("{}  7\n", "ab".repeat(32)).bytes());
    let said = audited(&more).expect_code(3).stdout;
    assert!(said.contains("expected: blobs that the manifest names"), "{said}");
    // A blob that is there all the same, and one that is not withheld and not there.
    let kept = entries.iter().position(|(header, _)| name(header).starts_with("blobs/")).unwrap();
    let mut both = entries.clone();
    let id = name(&entries[kept].0)["blobs/".len()..].to_owned();
    both[at].1.extend(format!("{id}  {}\n", entries[kept].1.len()).bytes());
    let said = audited(&both).expect_code(3).stdout;
    assert!(said.contains("expected: to be withheld, as `WITHHELD` says\n  actual:   in the archive\n"), "{said}");
    let mut lost = entries.clone();
    lost.remove(kept);
    audited(&lost).expect_code(3);
}
