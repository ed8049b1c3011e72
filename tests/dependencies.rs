//! Holds `Cargo.lock` to `deny.toml`'s bans and to a ceiling, and `docs/dependencies.md` to `Cargo.toml`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Is the largest number of packages in `Cargo.lock`, all platforms and tests included. Raising it is a decision.
const CEILING: usize = 205;

fn read(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Lists the packages of a `Cargo.lock`.
fn locked(lock: &str) -> Vec<&str> {
    lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect()
}

/// Lists the crates that a `deny.toml` bans.
fn banned(deny: &str) -> Vec<&str> {
    deny.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next()).collect()
}

/// Lists the dependencies of a `Cargo.toml`: those of the program and those of tests.
fn declared(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if matches!(section, "[dependencies]" | "[dev-dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
        {
            found.insert(name.to_owned());
        }
    }
    found
}

fn bans_broken(lock: &str, deny: &str) -> Vec<String> {
    let locked: BTreeSet<&str> = locked(lock).into_iter().collect();
    banned(deny).into_iter().filter(|name| locked.contains(name)).map(str::to_owned).collect()
}

#[test]
fn nothing_banned_is_in_the_lock_file() {
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    assert!(banned(&deny).len() >= 7, "deny.toml bans only {:?}", banned(&deny));
    assert_eq!(bans_broken(&lock, &deny), [""; 0]);
    let planted = format!("{lock}\n[[package]]\nname = \"tokio\"\n");
    assert_eq!(bans_broken(&planted, &deny), ["tokio"]);
}

#[test]
fn the_lock_file_stays_small() {
    let lock = read("Cargo.lock");
    let count = locked(&lock).len();
    assert!((100..=CEILING).contains(&count), "{count} packages in Cargo.lock, of at most {CEILING}");
}

#[test]
fn every_dependency_has_its_row_in_the_docs() {
    let declared = declared(&read("Cargo.toml"));
    assert!(declared.contains("blake3") && declared.contains("proptest"), "{declared:?}");
    let page = read("docs/dependencies.md");
    let rows: BTreeSet<String> =
        page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    assert_eq!(declared, rows, "left: Cargo.toml; right: docs/dependencies.md");
}

#[test]
fn every_dependency_is_used() {
    fn text_below(dir: PathBuf, out: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text_below(path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    for dir in ["src", "tests", "benches"] {
        text_below(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(dir), &mut text);
    }
    let unused: Vec<String> = declared(&read("Cargo.toml"))
        .into_iter()
        .filter(|name| {
            let name = name.replace('-', "_");
            !text.contains(&format!("{name}::")) && !text.contains(&format!("use {name}"))
        })
        .collect();
    assert_eq!(unused, [""; 0], "declared in Cargo.toml and never named");
}
