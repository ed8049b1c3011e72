//! Faults of the machine that no other test brings about, and the table of all of them: `docs/faults.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::mills::mills;
use support::{Output, Project, run};

fn project(parts: u32) -> Project {
    mills(Project::new(), 40, parts)
}

/// After whatever went wrong, a build ends as one that nothing happened to, and all is sound.
#[track_caller]
fn ends_as_ever(project: &Project, parts: u32) {
    let expected = self::project(parts).build();
    let built = project.build();
    assert_eq!((&built["state"], &built["root"]), (&"complete".into(), &expected["root"]));
    project.exp(&["audit"]).expect_code(0);
    project.exp(&["verify"]).expect_code(0);
}

#[test]
fn a_limit_of_file_size_is_an_error_and_no_signal() {
    let project = project(2);
    // In blocks of 512 or 1024 bytes, by the shell: the index alone is larger.
    for blocks in [1, 8, 40] {
        let said = project.limited(&format!("ulimit -f {blocks}"), &["build"]).expect_code(7);
        // SQLite has words of its own for it.
        let why = ["File too large", "disk I/O error", "disk is full"];
        assert!(why.iter().any(|why| said.stderr.contains(why)), "{blocks}: {}", said.stderr);
    }
    project.limited("ulimit -f 1000000", &["plan"]).expect_code(0);
    ends_as_ever(&project, 2);
}

/// A long file is hashed by another thread than the one that cannot write it.
#[test]
fn a_long_input_that_cannot_be_kept_ends_the_build() {
    let project = project(2);
    let rows = project.read("data/mills.jsonl");
    let long = |id: &str| {
        let filler = "x".repeat(12 << 20);
        format!(
            "{{\"id\":\"{id}\",\"question\":\"Who?\",\"answers\":[\"Ada\"],\"context\":\"Ada.\",\"filler\":\"{filler}\"}}\n"
        )
    };
    project.file("data/mills.jsonl", rows + &long("a") + &long("b"));
    // 8 or 16 MB, by the shell.
    let said = project.limited("ulimit -f 16000", &["build"]).expect_code(7);
    assert!(said.stderr.contains("cannot write `") && said.stderr.contains("File too large"), "{}", said.stderr);
    assert_eq!(project.build()["state"], "complete");
    project.exp(&["verify"]).expect_code(0);
}

#[test]
fn a_locked_index_is_waited_for() {
    let project = project(2);
    project.build();
    project.file("prompts/brief.txt", "Answer in one word.\n");
    let lock = rusqlite::Connection::open(project.path("store/index.sqlite")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held = Duration::from_secs(2);
    let began = Instant::now();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(held);
        lock.execute_batch("ROLLBACK").unwrap();
    });
    let built = project.build();
    assert!(began.elapsed() >= held, "nothing was locked");
    holder.join().unwrap();
    assert_eq!(built["state"], "complete");
    project.exp(&["verify"]).expect_code(0);
}

#[test]
fn a_store_that_cannot_be_written_is_read() {
    let project = project(2);
    let script = r#"
        set -e
        "$EXP" build >&2
        "$EXP" build --only-step prepare >&2
        echo 'Answer in one word.' > prompts/brief.txt
        mount --bind . . && mount -o remount,ro,bind .
        cd "$PWD"
        touch store/proof 2>/dev/null && { echo "it can be written" >&2; exit 9; }
        for command in "list" "show" "audit" "plan" "status" "verify" "compare latest latest"; do
            "$EXP" $command >&2 && echo "$command: 0" || echo "$command: $?"
        done
        "$EXP" build >&2 || echo "build: $?"
    "#;
    let may = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount can be made here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).current_dir(project.dir()).env("EXP", env!("CARGO_BIN_EXE_exp"));
    let said = run(&mut command).expect_code(0);
    let expected = "list: 0\nshow: 0\naudit: 0\nplan: 0\nstatus: 0\nverify: 0\ncompare latest latest: 0\nbuild: 7\n";
    assert_eq!(said.stdout, expected, "{}", said.stderr);
    assert!(said.stderr.contains("Read-only file system"), "{}", said.stderr);
}

#[test]
fn a_blob_that_is_linked_elsewhere_keeps_its_bytes() {
    let project = project(2);
    let built = project.build();
    let manifest = project.manifest(&built);
    let id = manifest["views"][0]["blob"].as_str().unwrap().trim_start_matches("blake3:").to_owned();
    let (blob, linked) = (project.path(&format!("store/blobs/{}/{}", &id[..2], &id[2..])), project.path("linked"));
    std::fs::hard_link(&blob, &linked).unwrap();
    let bytes = std::fs::read(&blob).unwrap();
    project.exp(&["build", "--force"]).expect_code(0);
    // Another content under that name is set aside and made again, and the link is not written through.
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, "damaged").unwrap();
    project.exp(&["verify", "--repair"]).expect_code(0);
    assert_eq!((std::fs::read(&linked).unwrap(), std::fs::read(&blob).unwrap()), (bytes.clone(), bytes));
    let meta = std::fs::metadata(&linked).unwrap();
    assert_eq!((meta.permissions().mode() & 0o777, meta.nlink()), (0o444, 1));
    ends_as_ever(&project, 2);
}

#[test]
fn too_little_memory_loses_nothing() {
    let project = project(2);
    // In KiB of addresses: from too little for anything on.
    let codes: Vec<i32> = [20_000, 60_000, 120_000, 200_000, 300_000]
        .iter()
        .map(|limit| project.limited(&format!("ulimit -v {limit}"), &["build"]).code)
        .collect();
    assert_ne!(codes[0], 0, "the least is too little: {codes:?}");
    ends_as_ever(&project, 2);
}

#[test]
fn few_descriptors_are_enough_or_an_error() {
    let project = project(30);
    for limit in [8, 12, 16, 24, 64, 256] {
        let said = project.limited(&format!("ulimit -n {limit}"), &["build"]);
        assert!(matches!(said.code, 0 | 7), "{limit}: {} {}", said.code, said.stderr);
        assert!(limit > 8 || said.code == 7, "the least is too few");
        assert!(limit < 256 || said.code == 0, "{limit}: {}", said.stderr);
    }
    ends_as_ever(&project, 30);
}

/// `EXP_PARTS` says how many parts: 300 unless set, 10,000 in `.ci/long`.
#[test]
fn the_descriptors_that_a_build_wants_do_not_grow_with_its_parts() {
    let parts: u32 = std::env::var("EXP_PARTS").map_or(300, |parts| parts.parse().unwrap());
    let project = mills(Project::new(), parts, parts);
    let said = project.limited("ulimit -n 256", &["build", "--json"]).expect_code(0).json();
    assert!(said["actions"]["executed"].as_u64().unwrap() > u64::from(4 * parts), "{said:#}");
    project.exp(&["audit"]).expect_code(0);
}

/// Lists the tests that a cell of the table names, as file and function.
fn named(cell: &str) -> Vec<(String, String)> {
    let mut file = String::new();
    let mut found = Vec::new();
    for word in cell.split('`').skip(1).step_by(2) {
        if Path::new(word).extension().is_some() {
            word.clone_into(&mut file);
        } else {
            found.push((file.clone(), word.to_owned()));
        }
    }
    found
}

/// Lists what is wrong with the table.
fn flaws(page: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rows: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| row")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let row = cells[0].trim_start_matches("| ").parse().unwrap();
        rows.insert(row, named(cells[2]));
    }
    let mut flaws = Vec::new();
    for row in (1..36).chain(50..58) {
        match rows.get(&row) {
            None => flaws.push(format!("row {row} is not there")),
            Some(tests) if tests.is_empty() => flaws.push(format!("row {row} names no test")),
            Some(tests) => {
                for (file, test) in tests {
                    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                    let at = text.find(&format!("fn {test}("));
                    // The attribute stands right before it, perhaps among others.
                    let is_test = at.is_some_and(|at| {
                        let before = text[..at].trim_end().rsplit("\n\n").next().unwrap_or_default();
                        before.contains("#[test]") || text[..at].contains("proptest!")
                    });
                    if !is_test {
                        flaws.push(format!("row {row}: {file} has no test `{test}`"));
                    }
                }
            }
        }
    }
    flaws
}

#[test]
fn every_row_of_the_table_names_tests_that_exist() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")).unwrap();
    assert_eq!(flaws(&page), Vec::<String>::new());
    // The control.
    let broken = page.replace("`a_quota`", "`a_quota_twice`").replace("| 33 |", "| 133 |");
    assert_eq!(flaws(&broken), ["row 9: tests/crash_sweep.rs has no test `a_quota_twice`", "row 33 is not there"]);
}

/// Runs the binary under a clock that stands elsewhere and goes on from there; `None` where there is no libfaketime.
fn under_clock(project: &Project, clock: &str, args: &[&str]) -> Option<Output> {
    let library = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib64/faketime"]
        .map(|dir| Path::new(dir).join("libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| path.exists())?;
    let mut command = project.command(args);
    // Only the clock on the wall: what is waited for goes by the other one.
    command.env("LD_PRELOAD", library).env("FAKETIME", clock).env("DONT_FAKE_MONOTONIC", "1");
    command.env("FAKE_STAT", "0");
    Some(run(&mut command))
}

#[test]
fn builds_under_any_clock_come_to_one_root_and_are_hits_of_each_other() {
    let project = project(2);
    let expected = self::project(2).build()["root"].clone();
    let brief = project.read("prompts/brief.txt");
    let mut ids = std::collections::BTreeSet::new();
    // Ten years on, back to the beginning, one second before what a 32 bit clock can say, and now.
    let clocks = ["+10y", "@1970-01-02 00:00:00", "@2038-01-19 03:14:07", "+0s"];
    for (at, clock) in clocks.iter().enumerate() {
        let Some(first) = under_clock(&project, clock, &["build", "--json"]) else {
            println!("skipped: libfaketime is not here");
            return;
        };
        let built = first.expect_code(0).json();
        assert_eq!(built["root"], expected, "{clock}");
        assert_eq!(built["actions"]["executed"].as_u64().unwrap() > 0, at == 0, "{clock}: {built:#}");
        // Something new under this clock, too, and a collection that takes nothing that is used.
        project.file("prompts/brief.txt", format!("Answer briefly, version {at}.\n"));
        let edited = under_clock(&project, clock, &["build", "--json"]).unwrap().expect_code(0).json();
        assert!(ids.insert(edited["run_id"].as_str().unwrap().to_owned()), "{clock}: {edited:#}");
        let manifest = project.manifest(&edited);
        let year = manifest["created_utc"].as_str().unwrap()[..4].parse::<u32>().unwrap();
        assert_eq!(year == 1970, clock.starts_with("@1970"), "{clock}: the clock was not where it should be: {year}");
        under_clock(&project, clock, &["gc", "--unreferenced", "--yes"]).unwrap().expect_code(0);
        under_clock(&project, clock, &["audit", edited["run_id"].as_str().unwrap()]).unwrap().expect_code(0);
        project.file("prompts/brief.txt", &brief);
    }
    ends_as_ever(&project, 2);
}
