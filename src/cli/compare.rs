use super::args::{CompareArgs, Global};
use super::arms_drawn::arms_drawn;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::gates;
use super::output::Output;
use super::p_value::p_text;
use super::problem::printable;
use super::project::Home;
use super::records::Records;
use super::spending;
use super::text_table::TextTable;
use crate::run::{
    ArchiveFile, Catalog, Comparison, DrawnArm, Effect, Manifest, MatchedItems, Preference, PreferencePair, RunBlobs,
    RunSide, TrialComparison, compare as both, find_archive,
};
use crate::store::{Access, Store};

/// Is how many items of a kind are listed on a terminal; a document has them all.
const LISTED: usize = 10;

enum Side {
    Run(Box<Manifest>),
    Archive(Box<ArchiveFile>),
}

impl Side {
    fn find(name: &str, home: &Home, store: &Store, catalog: &Catalog) -> Result<Self, Failure> {
        match catalog.find(name) {
            Ok(entry) => Ok(Self::Run(Box::new(Catalog::manifest(store, &entry.record)?))),
            Err(error) => match find_archive(&home.experiments, name)? {
                Some(path) => Ok(Self::Archive(Box::new(ArchiveFile::open(&path)?))),
                None => Err(error.into()),
            },
        }
    }

    /// Sums up when and by whom the answers of a trial were given; in words why that is not known.
    fn drawn(&self, store: &Store, slug: &str) -> Result<Vec<DrawnArm>, String> {
        let (blobs, records, manifest) = match self {
            Self::Run(manifest) if manifest.is_predecessors() => {
                return Err("it is a run of the predecessor's".to_owned());
            }
            Self::Run(manifest) => (RunBlobs::Store(store), Records::open(store, manifest), &**manifest),
            Self::Archive(archive) => {
                (RunBlobs::Archive(archive), Ok(Records::of_archive(store, archive)), archive.manifest())
            }
        };
        let arms = records.and_then(|records| arms_drawn(blobs, &records, manifest, slug));
        let arms = arms.map_err(|failure| failure.message)?;
        Ok(arms.iter().map(|(side, arm)| DrawnArm::of(side, arm)).collect())
    }

    fn side<'a>(&'a self, name: &'a str, trial: Option<&'a str>, store: &'a Store) -> RunSide<'a> {
        match self {
            Self::Run(manifest) => RunSide { name, manifest, blobs: RunBlobs::Store(store), trial },
            Self::Archive(archive) => {
                RunSide { name, manifest: archive.manifest(), blobs: RunBlobs::Archive(archive), trial }
            }
        }
    }
}

/// Compares two runs or archives, or two trials: config, metrics with their tests, flips, costs.
pub fn compare(global: &Global, args: &CompareArgs, out: &Output) -> Result<Exit, Failure> {
    let (Some(a), Some(b)) = (args.a.as_ref().or(args.run1.as_ref()), args.b.as_ref().or(args.run2.as_ref())) else {
        return Err(Failure::usage("two runs are needed: `exp compare A B`, or --run1 A --run2 B")
            .hint("RUN is an id, an archive's name, a unique beginning, or `latest`; RUN:TRIAL names one trial"));
    };
    let wanted = gates::parse(&args.gate)?;
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let split = |text: &'_ str| -> (String, Option<String>) {
        match text.split_once(':') {
            Some((run, trial)) => (run.to_owned(), Some(trial.to_owned())),
            None => (text.to_owned(), None),
        }
    };
    let ((run_a, trial_a), (run_b, trial_b)) = (split(a), split(b));
    let side_a = Side::find(&run_a, &home, &store, &catalog)?;
    let side_b = Side::find(&run_b, &home, &store, &catalog)?;
    let mut comparison =
        both(&side_a.side(a, trial_a.as_deref(), &store), &side_b.side(b, trial_b.as_deref(), &store))?;
    for trial in &mut comparison.trials {
        for (side, name, slug, arms) in
            [(&side_a, a, &trial.slug_a, &mut trial.drawn.a), (&side_b, b, &trial.slug_b, &mut trial.drawn.b)]
        {
            match side.drawn(&store, slug) {
                Ok(found) => *arms = found,
                Err(why) => trial.notes.push(format!("when and by whom {name} was answered is not known: {why}")),
            }
        }
    }
    print(&comparison, out);
    let numbers = gates::numbers_of_comparison(&comparison);
    let (exit, results) = gates::judge(&wanted, &numbers, args.junit.as_deref(), out)?;
    let mut document = serde_json::to_value(&comparison).unwrap_or_default();
    document["gates"] = serde_json::to_value(&results).unwrap_or_default();
    out.document(&document);
    Ok(exit)
}

fn print(comparison: &Comparison, out: &Output) {
    for (mark, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        let root = side.root.map_or_else(|| "–".to_owned(), |root| root.digest().short(12));
        out.line(&format!(
            "{mark}  {}  run {} · {} · {} · root {root}",
            side.name, side.run_id, side.state, side.created_utc
        ));
        out.line(&format!(
            "   {}",
            side.cost_usd.map_or_else(|| "what it cost is not known".to_owned(), |c| spending::words(&c))
        ));
    }
    if comparison.same_root {
        out.line("both show the very same files");
    }
    out.line("\nConfiguration");
    if let Some(note) = &comparison.config_note {
        out.line(&format!("  {note}"));
    } else if comparison.config.is_empty() {
        out.line("  the same");
    }
    for line in &comparison.config {
        out.line(&format!("  {} {}", line.sign, line.text));
    }
    for (mark, only) in [("A", &comparison.only_in_a), ("B", &comparison.only_in_b)] {
        for slug in only {
            out.line(&format!("  only in {mark}: {slug}"));
        }
    }
    for trial in &comparison.trials {
        print_trial(trial, out);
    }
}

fn print_items(items: &MatchedItems, out: &Output) {
    let count = |n: usize| thousands(n as u64);
    out.line(&format!(
        "  items in both: {}; changed: {}; only in A: {}; only in B: {}",
        thousands(items.matched),
        count(items.changed.len()),
        count(items.only_in_a.len()),
        count(items.only_in_b.len())
    ));
    let list = |what: &str, all: Vec<String>, n: usize| {
        for item in &all {
            // A line break in an id begins no line.
            out.line(&format!("    {what}: {}", printable(item)));
        }
        if n > all.len() {
            out.line(&format!("    {what}: {} more, which `--json` lists", count(n - all.len())));
        }
    };
    let changed = items.changed.iter().take(LISTED).map(|item| format!("{} ({})", item.item, item.what.join(", ")));
    list("changed, not compared", changed.collect(), items.changed.len());
    let renamed = items.renamed.iter().take(LISTED).map(|item| format!("{} (A) is {} (B)", item.a, item.b));
    list("another id, compared", renamed.collect(), items.renamed.len());
    for (mark, only) in [("only in A", &items.only_in_a), ("only in B", &items.only_in_b)] {
        list(mark, only.iter().take(LISTED).cloned().collect(), only.len());
    }
}

/// Writes how many answers there are, when they were drawn, and of which models.
fn drawn_text(arm: &DrawnArm) -> String {
    let dates = match (&arm.first, &arm.last) {
        (Some(first), Some(last)) if first == last => format!(", drawn {first}"),
        (Some(first), Some(last)) => format!(", drawn {first} to {last}"),
        _ => ", when they were drawn is not known".to_owned(),
    };
    let stated: u64 = arm.served_models.values().sum();
    let mut models: Vec<String> =
        arm.served_models.iter().map(|(model, n)| format!("{model} ({})", thousands(*n))).collect();
    if arm.draws > stated {
        models.push(format!("a model that is not stated ({})", thousands(arm.draws - stated)));
    }
    let models = if models.is_empty() { String::new() } else { format!(", by {}", models.join(", ")) };
    format!("{}{dates}{models}", thousands(arm.draws))
}

/// Writes which arm's answers a model prefers on both sides, and the change; or in which alone it was asked.
fn preferred_text(found: &PreferencePair) -> String {
    let of = |side: &Preference| {
        let rate = side.win_rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.4}"));
        let p = p_cell(side.p_value);
        format!(
            "wins {}, ties {}, losses {}, win rate {rate} (p {p})",
            thousands(side.wins),
            thousands(side.ties),
            thousands(side.losses)
        )
    };
    let name = format!("{} {}", found.dataset, found.name);
    match (&found.a, &found.b, &found.change) {
        (Some(a), Some(b), Some(change)) => {
            let rate = change.win_rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:+.4}"));
            let by = if a.model == b.model { a.model.clone() } else { format!("{} (A) and {} (B)", a.model, b.model) };
            format!(
                "{name}, by {by}: {} -> {}; change: wins {:+}, ties {:+}, losses {:+}, win rate {rate}",
                of(a),
                of(b),
                change.wins,
                change.ties,
                change.losses
            )
        }
        (Some(a), ..) => format!("{name}, by {}, only in A: {}", a.model, of(a)),
        (_, Some(b), _) => format!("{name}, by {}, only in B: {}", b.model, of(b)),
        (None, None, _) => name,
    }
}

fn p_cell(p: Option<f64>) -> String {
    p.map_or_else(|| "–".to_owned(), p_text)
}

/// Writes a setting's value; of a file, its path and the beginning of its hash.
fn setting_text(value: Option<&serde_json::Value>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match (value["path"].as_str(), value["blob"].as_str()) {
        (Some(path), Some(blob)) => format!("{path} {}", blob.trim_start_matches("blake3:").get(..12).unwrap_or(blob)),
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

fn print_trial(trial: &TrialComparison, out: &Output) {
    let name = if trial.slug_a == trial.slug_b {
        trial.slug_a.clone()
    } else {
        format!("{} (A) and {} (B)", trial.slug_a, trial.slug_b)
    };
    out.line(&format!("\n{name}"));
    for setting in &trial.settings {
        let (a, b) = (setting_text(setting.a.as_ref()), setting_text(setting.b.as_ref()));
        out.line(&format!("  {}: {a} -> {b}", setting.name));
    }
    print_items(&trial.items, out);
    for (mark, arm) in trial.drawn.a.iter().map(|arm| ("A", arm)).chain(trial.drawn.b.iter().map(|arm| ("B", arm))) {
        out.line(&format!("  answers in {mark}, {}: {}", arm.condition, printable(&drawn_text(arm))));
    }
    let mut table =
        TextTable::new(&["condition", "type", "metric", ">n", ">A", ">B", ">B - A", "95 % interval", ">p", "flips"]);
    for metric in &trial.metrics {
        let change = &metric.change;
        let flips = metric.flips.as_ref();
        table.row([
            metric.condition.clone(),
            metric.kind.clone(),
            metric.metric.clone(),
            change.n.to_string(),
            format!("{:.4}", change.mean_a),
            format!("{:.4}", change.mean_b),
            format!("{:+.4}", change.delta),
            change.ci_95.map_or_else(|| "–".to_owned(), |[low, high]| format!("[{low:+.4}, {high:+.4}]")),
            p_cell(change.p_value),
            flips.map_or_else(String::new, |flips| format!("0->1: {}, 1->0: {}", flips.up, flips.down)),
        ]);
    }
    table.print(out);
    let words = |effect: &Option<Effect>| {
        effect.as_ref().map_or_else(
            || "–".to_owned(),
            |effect| {
                let delta = effect.delta.map_or_else(|| "–".to_owned(), |delta| format!("{delta:+.4}"));
                format!("{delta} (p {})", p_cell(effect.p_value))
            },
        )
    };
    if !trial.significance.is_empty() {
        out.line("  effect of treatment, as each run found it");
    }
    for effect in &trial.significance {
        out.line(&format!("    {} {}: {} -> {}", effect.scope, effect.metric, words(&effect.a), words(&effect.b)));
    }
    if !trial.pairwise.is_empty() {
        out.line("  preferred answers, as each run found them");
    }
    for found in &trial.pairwise {
        out.line(&format!("    {}", printable(&preferred_text(found))));
        if let Some(paired) = found.change.as_ref().and_then(|change| change.paired.as_ref()) {
            let interval =
                paired.ci_95.map_or_else(|| "–".to_owned(), |[low, high]| format!("[{low:+.4}, {high:+.4}]"));
            out.line(&format!(
                "      on the {} items that both compare: {:.4} -> {:.4}, {:+.4} {interval}, p {}",
                thousands(paired.n),
                paired.mean_a,
                paired.mean_b,
                paired.delta,
                p_cell(paired.p_value)
            ));
        }
    }
    for cost in
        trial.costs.iter().filter(|cost| matches!(cost.name.as_str(), "usd" | "prompt_tokens" | "completion_tokens"))
    {
        let text = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        out.line(&format!("  {}: {} -> {}", cost.name, text(cost.a), text(cost.b)));
    }
    for note in &trial.notes {
        out.line(&format!("  note: {note}"));
    }
}
