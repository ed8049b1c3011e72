//! Walks `docs/migration.md`: every command and flag of the predecessor has a row, and what a row points to exists.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;

/// Lists the flags that both orchestrators take.
const ORCHESTRATOR: &str = "--config --account_id --condition --skip_prepare --skip_build --skip_batch --archive --run_id --models \
    --prompt_sets --temps --no_sweep --plan_only --only_step --from_step --to_step --ignore_stop --stop_stale_minutes \
    --max_concurrent_jobs --parts_per_dataset --lines_per_part --limit_items --resume --dry_run";

/// Lists the predecessor's commands, each with its flags, as its specification has them.
const OLD: &[(&str, &str)] = &[
    ("run_all", ORCHESTRATOR),
    ("alt_run_all", ORCHESTRATOR),
    ("alt_run_all", "--backend --skip_score --skip_stats --skip_costs --skip_report --replay_dir"),
    ("list_runs", "--experiments_dir -v --verbose"),
    ("compare_runs", "--run1 --run2 --experiments_dir"),
    (
        "archive_run",
        "--results_dir --batch_inputs_dir --reports_dir --experiments_dir --experiment_name --manifest --dry_run \
         --allow_incomplete --yes",
    ),
    ("clean_workspace", "--results_dir --batch_inputs_dir --reports_dir --clean_prepared --dry_run --yes"),
    ("resume_run", "--run_id --config --only_step --from_step --to_step --force --experiments_dir"),
    ("stop_run", "--run_id --experiments_dir"),
    ("fireworks.parse_results", "--results_jsonl --out_csv"),
    ("scoring.score_predictions", "--pred_csv --prepared_dir --out_dir --config"),
    ("scoring.stats", "--per_item_csv --config --out_path"),
    ("summarize_costs", "--pred_csv --config --out_path --usage_json --dry_run"),
    ("cost_effectiveness", "--pred_csv --per_item_csv --config --out_path"),
    ("power_analysis", "--per_item_csv --config --out_path --alpha --power --targets"),
    ("mixed_effects", "--per_item_csv --config --out_path"),
    ("unsupported_sensitivity", "--pred_csv --config --out_path --prepared_dir --thresholds"),
    ("generate_report", "--results_dir --reports_dir --force"),
    ("audit_prompts", "--out_json"),
    ("estimate_tokens", ""),
    ("prompt_adapter", "--question --context --condition --prompt_set --type --temp --format --check"),
    ("prepare_data", "--resume"),
    ("build_batches", "--prompt_set --temps --resume --limit_items"),
    ("fireworks.upload_dataset", ""),
    ("fireworks.start_batch_job", ""),
    ("fireworks.poll_and_download", ""),
    ("fireworks.batch_queue_manager", ""),
    ("fireworks.process_existing_datasets", ""),
    ("smoke_test", "--mode --n --temp --type --condition --out_dir"),
    ("smoke_orchestration", "--n --prompt_set --dry_run --keep --stop_point"),
    ("alt_smoke", "--mode --workdir"),
    (
        "dry_run_multi_treatments",
        "--prompts_dir --pattern --control --temps --n --parts_per_dataset --max_concurrent_jobs --keep",
    ),
];

/// Lists every command line of the predecessor's workflow guide.
const GUIDE: [&str; 12] = [
    "python scripts/clean_workspace.py --dry_run",
    "python scripts/clean_workspace.py",
    "python -m scripts.run_all --config config/eval_config.yaml --archive",
    "python -m scripts.run_all --config config/eval_config.yaml --condition=treatment --parts_per_dataset=24 \
     --max_concurrent_jobs=4 --resume --archive",
    "python scripts/list_runs.py",
    "python scripts/list_runs.py -v",
    "python scripts/compare_runs.py --run1 t0_r20250818 --run2 t1_r20250821",
    "python scripts/run_all.py --run_id my_custom_run --archive",
    "python -m scripts.run_all --skip_prepare --skip_build --archive",
    "python scripts/archive_run.py --experiment_name t15_custom_experiment",
    "python scripts/run_all.py --archive",
    "python scripts/compare_runs.py --run1 t1_r20250821 --run2 t05_r20250825123456",
];

/// Is one row of a table: what stands left in code, and all that stands right.
struct Row {
    line: usize,
    left: Vec<String>,
    right: String,
}

/// Reads the rows of every table that begins with the given header.
fn rows(page: &str, header: &str) -> Vec<Row> {
    let mut found = Vec::new();
    let mut inside = false;
    for (n, line) in page.lines().enumerate() {
        if line == header {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            let cells = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")?.split_once(" | "));
            let (left, right) = cells.unwrap_or_else(|| panic!("line {}: not two cells: {line}", n + 1));
            found.push(Row { line: n + 1, left: code(left), right: right.to_owned() });
        }
    }
    found
}

/// Returns the texts between backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn page() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md")).unwrap()
}

fn exp(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exp"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EXP_") {
            command.env_remove(name);
        }
    }
    command.args(args).env("NO_COLOR", "1").output().unwrap()
}

/// Knows what the built program takes, from its own help.
#[derive(Default)]
struct Ours {
    flags: BTreeMap<String, BTreeSet<String>>,
}

impl Ours {
    fn flags(&mut self, command: &str) -> &BTreeSet<String> {
        self.flags.entry(command.to_owned()).or_insert_with(|| {
            let output = exp(&[command, "--help"]);
            assert!(output.status.success(), "`exp {command}` is no command");
            let help = String::from_utf8(output.stdout).unwrap();
            help.lines()
                .map(str::trim_start)
                .filter(|line| line.starts_with('-'))
                .flat_map(|line| line.split("  ").next().unwrap_or(line).split([' ', ',']))
                .filter(|word| word.starts_with('-'))
                .map(|word| word.trim_end_matches(['.', ',']).to_owned())
                .collect()
        })
    }

    /// Says what of a command line such as `exp build --run_id x` does not exist.
    fn unknown(&mut self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("exp"), "{line}");
        let command = words.next()?;
        if !exp(&[command, "--help"]).status.success() {
            return Some(format!("`exp {command}`"));
        }
        for word in words.filter(|word| word.starts_with('-')) {
            let flag = word.split('=').next().unwrap_or(word);
            let flag = if flag.starts_with("--") { flag.replace('_', "-") } else { flag.to_owned() };
            // Another spelling of a flag is not in the help, but is taken.
            if !self.flags(command).contains(&flag) && !exp(&[command, &flag, "--help"]).status.success() {
                return Some(format!("`exp {command} {flag}`"));
            }
        }
        None
    }
}

/// Says what is wrong with a page, given what must be on it.
fn faults(page: &str, ours: &mut Ours) -> Vec<String> {
    let mut faults = Vec::new();
    let mut covered = BTreeSet::new();
    for row in rows(page, "| predecessor | now |") {
        if row.left.is_empty() {
            faults.push(format!("line {}: nothing of the predecessor's on the left", row.line));
        }
        let pointed: Vec<String> = code(&row.right).into_iter().filter(|text| text.starts_with("exp ")).collect();
        let reason = ["gone: ", "not yet: "].iter().find_map(|word| row.right.strip_prefix(word));
        match reason {
            Some(reason) if reason.len() < 15 => faults.push(format!("line {}: no reason", row.line)),
            None if pointed.is_empty() => faults.push(format!("line {}: neither ours nor gone", row.line)),
            _ => {}
        }
        for line in pointed.iter().filter(|line| !line.contains("ITEM")) {
            if let Some(unknown) = ours.unknown(line) {
                faults.push(format!("line {}: {unknown} does not exist", row.line));
            }
        }
        covered.extend(row.left);
    }
    for (command, flags) in OLD {
        let all =
            std::iter::once((*command).to_owned()).chain(flags.split_whitespace().map(|f| format!("{command} {f}")));
        faults.extend(all.filter(|old| !covered.contains(old)).map(|old| format!("no row for `{old}`")));
    }
    let known: BTreeSet<String> = OLD
        .iter()
        .flat_map(|(command, flags)| flags.split_whitespace().map(move |flag| format!("{command} {flag}")))
        .chain(OLD.iter().map(|(command, _)| (*command).to_owned()))
        .collect();
    faults.extend(covered.difference(&known).map(|old| format!("`{old}` was never there")));
    faults
}

#[test]
fn every_command_and_flag_has_a_row_and_every_row_is_true() {
    let faults = faults(&page(), &mut Ours::default());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_line_of_the_guide_has_a_row_that_is_true() {
    let page = page();
    let rows = rows(&page, "| the guide says | now |");
    let left: Vec<&str> = rows.iter().flat_map(|row| row.left.iter().map(String::as_str)).collect();
    assert_eq!(left, GUIDE);
    let mut ours = Ours::default();
    for row in &rows {
        let [line] = code(&row.right).try_into().unwrap();
        assert_eq!(ours.unknown(&line), None, "line {}", row.line);
    }
}

#[test]
fn a_flag_that_kept_its_name_is_taken_in_its_old_spelling() {
    let mut tried = 0;
    for row in rows(&page(), "| predecessor | now |") {
        for ours in code(&row.right).iter().filter(|text| text.starts_with("exp ")) {
            let words: Vec<&str> = ours.split_whitespace().collect();
            let [_, command, new] = words[..] else { continue };
            for old in row.left.iter().filter_map(|old| old.split_once(' ')).map(|(_, flag)| flag) {
                if old.contains('_') && old.replace('_', "-") == new {
                    let output = exp(&[command, &format!("{old}=x"), "--help"]);
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(!said.contains("unexpected argument"), "`exp {command} {old}`: {said}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 20, "only {tried} flags were tried");
    let output = exp(&["build", "--no_such_flag=x", "--help"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("unexpected argument"), "{output:?}");
}

#[test]
fn planted_faults_are_found() {
    let page = page();
    let mut ours = Ours::default();
    let without = page.lines().filter(|line| !line.starts_with("| `stop_run --run_id`")).collect::<Vec<_>>().join("\n");
    assert_eq!(faults(&without, &mut ours), ["no row for `stop_run --run_id`"]);
    let wrong = page.replace("| `stop_run` | `exp stop` |", "| `stop_run` | `exp halt` |");
    let found = faults(&wrong, &mut ours);
    assert!(found.len() == 1 && found[0].ends_with("`exp halt` does not exist"), "{found:?}");
    let wrong = page.replace("`exp build --to-step`", "`exp build --until`");
    assert!(faults(&wrong, &mut ours).iter().all(|fault| fault.ends_with("`exp build --until` does not exist")));
    let wrong = page.replace("| `exp stop` |", "| gone: no |");
    assert!(faults(&wrong, &mut ours).iter().any(|fault| fault.ends_with("no reason")));
}
