//! A store that a group shares: what its modes are whatever the umask, and that two users work on it as one would.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

mod support;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Project, run};

const GROUP: u32 = 54_321;
/// Two who are of the group, and one who is not.
const USERS: [u32; 3] = [54_001, 54_002, 54_003];

/// Fills a project whose store stands beside it.
fn fill(project: &Project, shared: &str) {
    project.file("data/d.jsonl", (0..6).map(row).collect::<String>());
    project.file("prompts/control.txt", "You answer questions.\n");
    project.file("prompts/short.txt", "Answer in one word.\n");
    project.config(&format!(
        "version: 1\n{shared}\nmodels: [{{name: m, provider: lexical}}]\ncontrol: prompts/control.txt\n\
         datasets: {{d: {{path: data/d.jsonl, fields: {{id: id, question: question, answers: answers, context: context}}}}}}\n\
         prompt_sets: {{short: prompts/short.txt}}\nanalysis: {{bootstrap_samples: 50, permutation_samples: 50}}\n"
    ));
}

fn row(n: usize) -> String {
    format!(
        "{{\"id\":\"i{n}\",\"question\":\"Who opened bridge {n}?\",\"answers\":[\"Ada Pell\"],\"context\":\"Bridge {n} was opened by Ada Pell.\"}}\n"
    )
}

/// Lists all below a directory, with what the system says of it.
fn walk(dir: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let mut found = vec![(dir.to_owned(), std::fs::symlink_metadata(dir).unwrap())];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() { found.extend(walk(&path)) } else { found.push((path, meta)) }
    }
    found
}

/// Sees that directories have one mode, and files another as long as they are written to; returns how many are sealed.
#[track_caller]
fn expect_modes(store: &Path, folder: u32, file: u32) -> usize {
    let mut sealed = 0;
    for (path, meta) in walk(store) {
        let mode = meta.mode() & 0o7777;
        if meta.is_dir() {
            assert_eq!(mode, folder, "{mode:o}, not {folder:o}: {}", path.display());
        } else if mode == 0o444 {
            sealed += 1;
        } else {
            assert_eq!(mode, file, "{mode:o}, not {file:o}: {}", path.display());
        }
    }
    sealed
}

#[test]
fn a_store_is_its_owners_unless_the_group_is_to_have_it_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        for (shared, folder, file) in [("", 0o700, 0o600), ("shared: group", 0o2770, 0o660)] {
            let project = Project::in_memory();
            fill(&project, shared);
            let built = project.command(&["build", "--json"]);
            let mut masked = Command::new("sh");
            masked.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(built.get_program()).args(built.get_args());
            masked.current_dir(project.dir()).env_clear();
            masked.envs(built.get_envs().filter_map(|(name, value)| Some((name, value?))));
            run(&mut masked).expect_code(0);
            assert!(expect_modes(&project.path("store"), folder, file) > 20, "{umask} {shared}");
        }
    }
}

#[test]
fn a_private_store_is_opened_to_a_group_by_the_words_of_the_message() {
    let project = Project::in_memory();
    fill(&project, "");
    let before = project.build();
    fill(&project, "shared: group");
    let refused = project.exp(&["build"]).expect_code(7);
    let (_, rest) = refused.stderr.split_once("; `").unwrap_or_else(|| panic!("{}", refused.stderr));
    let (words, _) = rest.split_once('`').unwrap();
    let own = rustix::process::getgid().as_raw().to_string();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace("GROUP", &own);
    let opened = Command::new("sh").args(["-c", &words]).current_dir(project.dir()).status().unwrap();
    assert!(opened.success(), "{words}");
    expect_modes(&project.path("store"), 0o2770, 0o660);
    let after = project.build();
    assert_eq!((&after["root"], &after["run_id"]), (&before["root"], &before["run_id"]));
    // Whoever does not say so finds a store that is shared, and leaves it so.
    fill(&project, "");
    project.file("prompts/short.txt", "Answer briefly.\n");
    project.build();
    expect_modes(&project.path("store"), 0o2770, 0o660);
}

/// Runs a command of one of the users in a project of theirs, without anything that this process has.
fn command(binary: &Path, project: &Project, user: u32, args: &[&str]) -> Command {
    let base = project.command(&[]);
    let mut command = Command::new("setpriv");
    let groups = if user == USERS[2] { user } else { GROUP };
    for (what, id) in [("--reuid", user), ("--regid", user), ("--groups", groups)] {
        command.args([what, &id.to_string()]);
    }
    command.args(["sh", "-c", "umask 077 && exec \"$0\" \"$@\""]).arg(binary).args(args);
    command.current_dir(project.dir()).env_clear();
    command.envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn two_users_of_a_group_work_on_one_store() {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if !rustix::process::getuid().is_root() || !has_setpriv {
        println!("skipped: this is not root, or setpriv is not here");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let binary = place.path().join("exp");
    std::fs::copy(env!("CARGO_BIN_EXE_exp"), &binary).unwrap();
    let common = place.path().join("common");
    std::fs::create_dir(&common).unwrap();
    chown(&common, None, Some(GROUP)).unwrap();
    for (path, mode) in [(place.path(), 0o755), (&*binary, 0o755), (&*common, 0o2770)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let store = common.join("store");
    let shared = format!("shared: group\nstore: {}", store.display());
    let projects: Vec<Project> = USERS
        .iter()
        .map(|user| {
            let project = Project::in_memory();
            fill(&project, &shared);
            let owned =
                Command::new("chown").args(["-R", &user.to_string()]).arg(project.dir().parent().unwrap()).status();
            assert!(owned.unwrap().success());
            project
        })
        .collect();
    let exp = |who: usize, args: &[&str]| run(&mut command(&binary, &projects[who], USERS[who], args));
    let build = |who: usize| -> Value { exp(who, &["build", "--json"]).expect_code(0).json() };
    let log = |what: &Value| what["requests"]["sent"].as_u64().unwrap();

    let first = build(0);
    assert!(log(&first) > 0);
    assert!(expect_modes(&store, 0o2770, 0o660) > 20);
    assert!(walk(&store).iter().all(|(_, meta)| meta.gid() == GROUP));
    // What one has answers to, the other need not ask for, and the other way round.
    let second = build(1);
    assert_eq!((&second["root"], log(&second)), (&first["root"], 0));
    for (who, prompt) in [(1, "Answer in two words.\n"), (0, "Answer in two words.\n")] {
        projects[who].file("prompts/short.txt", prompt);
        let built = build(who);
        assert_eq!(log(&built) > 0, who == 1, "{built:#}");
    }
    assert!(expect_modes(&store, 0o2770, 0o660) > 20);

    // One's build died in the middle of a line: the other's mends it.
    let segment = |user: u32| {
        let draws = walk(&store.join("draws")).into_iter();
        draws.filter(|(path, meta)| meta.uid() == user && path.extension().is_some()).map(|(path, _)| path).next()
    };
    let left = segment(USERS[0]).unwrap();
    let whole = std::fs::read(&left).unwrap();
    std::fs::write(&left, [&whole[..], b"0123 {\"draw\":\"half a li"].concat()).unwrap();
    std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o660)).unwrap();
    chown(&left, Some(USERS[0]), None).unwrap();
    std::fs::remove_file(store.join("index.sqlite")).unwrap();
    projects[1].file("prompts/short.txt", "Answer in three words.\n");
    let built = exp(1, &["build"]).expect_code(0);
    assert!(built.stderr.contains("was mended"), "{}", built.stderr);
    let meta = std::fs::metadata(&left).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), std::fs::read(&left).unwrap()), (0o444, USERS[1], whole));

    // Both verify and collect what is of both; a stranger cannot even look.
    for (who, args) in [(0, ["verify", "--json"]), (1, ["verify", "--json"])] {
        exp(who, &args).expect_code(0);
    }
    exp(1, &["clean", "--yes"]).expect_code(0);
    exp(1, &["gc", "--unreferenced", "--yes"]).expect_code(0);
    projects[0].file("prompts/short.txt", "Answer in one word.\n");
    assert_eq!(log(&build(0)), 0, "answers are kept");
    let stranger = exp(2, &["build"]);
    assert!(stranger.code != 0 && stranger.stderr.contains("Permission denied"), "{}", stranger.stderr);
}
