//! Measures scoring and statistics: CPU seconds and peak memory, each part in a process of its own.
//!
//! - `predecessor`: 18,000 items under two arms at one temperature, scored, and the predecessor's set of statistics with 5,000
//!   resamples. With `EXP_BENCH_PYTHON` naming an interpreter that has numpy, one 5,000 × 18,000 numpy bootstrap is measured in
//!   the same run: where it takes 0.79 s the target is 0.42 s.
//! - `step`: the same, by the `stats` step, which computes everything that `significance.json` holds.
//! - `rows`: 205,934 rows: 17,161 items, two arms, one draw at one temperature and five at another.
//! - `large`: 10,000,000 short draws: 1,000,000 items, two arms, five draws; named on the command line only.
#![allow(clippy::unwrap_used)] // A bench may stop where the machine does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::PathBuf;

use exp::digest::{BlobId, Decimal};
use exp::plan::{
    Analysis, OptionalAnalyses, Outcomes, RevisedScorer, ScoreParams, ScorerConfig, ScorerSettings, StatsParams,
    Support, TrialDataset,
};
use exp::stats::{self, Differences, Stream, Zeros};
use exp::step::{Input, Inputs, ReadBlobs, score, stats as stats_step};

/// Reads blobs from files: nothing is held twice.
#[derive(Default)]
struct Files(BTreeMap<BlobId, PathBuf>);

impl ReadBlobs for Files {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(std::fs::File::open(&self.0[blob])?))
    }
}

/// Holds blobs in memory.
#[derive(Default)]
struct Memory(BTreeMap<BlobId, Vec<u8>>);

impl ReadBlobs for Memory {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0[blob].as_slice()))
    }
}

/// Returns the CPU seconds of this process so far.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Returns the largest amount of memory that this process has held, in MB.
fn peak() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn dataset(name: &str, open: bool) -> TrialDataset {
    let all = ["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"];
    let metrics = if open { &all[..] } else { &all[..3] };
    TrialDataset { name: name.to_owned(), open, metrics: metrics.iter().map(ToString::to_string).collect() }
}

fn words(draw: &mut Stream, count: u32, out: &mut String) {
    for at in 0..count {
        let _ = write!(out, "{}w{}", if at == 0 { "" } else { " " }, draw.below(400));
    }
}

/// Is one part's answers under one arm: `gold` and `parsed` lines.
fn part(draw: &mut Stream, open: bool, items: std::ops::Range<u32>, draws: u32, short: bool) -> [String; 2] {
    let (mut gold, mut parsed) = (String::new(), String::new());
    let (mut answer, mut context) = (String::new(), String::new());
    for id in items {
        answer.clear();
        context.clear();
        let length = if short { 1 } else { 1 + draw.below(6) };
        words(draw, length, &mut answer);
        words(draw, if open { 110 } else { 0 }, &mut context);
        let _ = writeln!(
            gold,
            "{{\"id\":\"i{id:07}\",\"answers\":[\"{answer}\"],\"unanswerable\":false,\"context\":\"{answer} {context}\"}}"
        );
        for n in 0..draws {
            let text = match draw.below(10) {
                0..5 => answer.clone(),
                5 => "I don't know.".to_owned(),
                _ => {
                    let mut other = String::new();
                    let length = if short { 1 } else { 1 + draw.below(9) };
                    words(draw, length, &mut other);
                    if !short && draw.below(2) == 0 {
                        other.push(' ');
                        other.push_str(&answer);
                    }
                    other
                }
            };
            let _ = writeln!(
                parsed,
                "{{\"item\":\"i{id:07}\",\"n\":{n},\"status\":\"stop\",\"text\":\"{text}\",\"answer\":\"{text}\",\"usage\":{{\"input_tokens\":9,\"output_tokens\":{}}}}}",
                draw.below(40)
            );
        }
    }
    [gold, parsed]
}

fn scored(open: bool, texts: &[String; 2], shares: bool) -> String {
    let settings = ScorerSettings::Qa {
        support: Support::Baseline,
        threshold: Decimal::new(5, -1),
        min_token_overlap: Decimal::new(6, -1),
    };
    let scorer = ScorerConfig { name: "qa".to_owned(), settings };
    let params = ScoreParams {
        labels: Vec::new(),
        scorers: vec![RevisedScorer { scorer, revision: 1 }],
        outcomes: Outcomes::default(),
        open,
        support_shares: shares && open,
    };
    let mut memory = Memory::default();
    let mut entries = Vec::new();
    for (name, text) in ["gold", "parsed"].iter().zip(texts) {
        let blob = BlobId::of(text.as_bytes());
        memory.0.insert(blob, text.clone().into_bytes());
        entries.push(Input { name: (*name).to_owned(), blob, label: (*name).to_owned() });
    }
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    score::run(&params, &Inputs::new(entries, &memory), &mut made).unwrap();
    String::from_utf8(made.remove("scores").unwrap()).unwrap()
}

#[derive(serde::Deserialize)]
struct Line {
    item: String,
    scores: Option<BTreeMap<String, f64>>,
}

/// Is how many draws of an item have scores, and for each metric the sums of these and of their squares.
type ItemSums = (u32, Vec<[f64; 2]>);

/// Makes the lines of a `paired` blob out of two arms' scores.
fn paired(dataset: &TrialDataset, arms: [&str; 2], draw: &mut Stream, out: &mut impl std::io::Write) {
    let mut sums: [BTreeMap<String, ItemSums>; 2] = [BTreeMap::new(), BTreeMap::new()];
    for (sums, text) in sums.iter_mut().zip(arms) {
        for line in text.lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            let entry = sums.entry(line.item).or_insert_with(|| (0, vec![[0.0; 2]; dataset.metrics.len()]));
            let Some(scores) = line.scores else { continue };
            entry.0 += 1;
            for (sum, metric) in entry.1.iter_mut().zip(&dataset.metrics) {
                sum[0] += scores[metric];
                sum[1] += scores[metric] * scores[metric];
            }
        }
    }
    let [control, treatment] = sums;
    for ((item, c), t) in control.into_iter().zip(treatment.into_values()) {
        let mut arm = |(scored, sums): ItemSums| {
            let tokens: Vec<String> = (0..scored).map(|_| draw.below(60).to_string()).collect();
            let list = |at: usize| sums.iter().map(|sum| format!("{:?}", sum[at])).collect::<Vec<_>>().join(",");
            let squares = if scored > 1 { format!(",\"squares\":[{}]", list(1)) } else { String::new() };
            let per_draw = |word: &str| vec![word; scored as usize].join(",");
            format!(
                "{{\"statuses\":[{}],\"scored\":{scored},\"sums\":[{}]{squares},\"input_tokens\":[{}],\"output_tokens\":[{}]}}",
                per_draw("\"stop\""),
                list(0),
                per_draw("9"),
                tokens.join(",")
            )
        };
        let line = format!(
            "{{\"dataset\":\"{}\",\"item\":\"{item}\",\"control\":{},\"treatment\":{}}}\n",
            dataset.name,
            arm(c),
            arm(t)
        );
        out.write_all(line.as_bytes()).unwrap();
    }
}

const DATASETS: [(&str, bool, u32); 4] =
    [("nq", false, 4_000), ("trivia", false, 8_500), ("squad", true, 4_500), ("news", true, 1_000)];

/// Scores every item under both arms; returns the paired lines, and the CPU seconds that scoring alone took.
fn score_all(draws: u32, scale: f64, out: &mut impl std::io::Write) -> f64 {
    let mut draw = Stream::derive(7, "bench");
    let mut seconds = 0.0;
    for (name, open, items) in DATASETS {
        let dataset = dataset(name, open);
        let items = (f64::from(items) * scale).round() as u32;
        let mut start = 0;
        while start < items {
            let end = (start + 1000).min(items);
            let arms = [0, 1].map(|_| part(&mut draw, open, start..end, draws, false));
            let before = cpu();
            let scores = arms.each_ref().map(|texts| scored(open, texts, true));
            seconds += cpu() - before;
            paired(&dataset, [&scores[0], &scores[1]], &mut draw, out);
            start = end;
        }
    }
    seconds
}

fn stats_params(datasets: Vec<TrialDataset>) -> StatsParams {
    StatsParams {
        temperature: Some(Decimal::ZERO),
        datasets,
        analysis: Analysis::default(),
        exclusions: None,
        optional: OptionalAnalyses {
            unsupported_sensitivity: false,
            mixed_effects: true,
            power_analysis: true,
            cost_effectiveness: false,
        },
    }
}

fn run_stats(path: &std::path::Path, datasets: Vec<TrialDataset>) -> usize {
    // The file's bytes are hashed by the store; here its name does.
    let blob = BlobId::of(path.to_string_lossy().as_bytes());
    let files = Files(BTreeMap::from([(blob, path.to_owned())]));
    let entry = Input { name: "paired".to_owned(), blob, label: "paired".to_owned() };
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    stats_step::run(&stats_params(datasets), &Inputs::new(vec![entry], &files), &mut made).unwrap();
    made["significance.json"].len()
}

/// Computes what the predecessor computed of a block of pairs: for each metric a bootstrap, a permutation test, Wilcoxon,
/// Hodges-Lehmann and effect sizes; McNemar; a test against a margin.
fn predecessors_block(rows: &[Vec<[f64; 2]>], metrics: &[usize], seed: u64) -> f64 {
    let mut check = 0.0;
    for &metric in metrics {
        let differences = Differences::omitting(rows.iter().map(|row| (row[metric][0], row[metric][1])));
        let bootstrap = stats::bootstrap(&differences, 5000, &mut Stream::derive(seed, "b")).unwrap();
        let ends = bootstrap.percentile(0.95).unwrap();
        let permutation = stats::permutation(&differences, 5000, &mut Stream::derive(seed, "p"));
        let wilcoxon = stats::wilcoxon(&differences, Zeros::Wilcox);
        let effects = stats::effects(&differences);
        let summary = stats::paired(&differences);
        let tost = stats::equivalence(&summary, 0.01, 0.05);
        check += ends.lower + permutation.p + wilcoxon.p + stats::hodges_lehmann(&differences).unwrap();
        check += effects.cohens_dz.unwrap_or(0.0) + tost.map_or(0.0, |tost| tost.p);
        if metric == 0 {
            check += stats::mcnemar(summary.positive, summary.negative).p_exact;
        }
    }
    check
}

/// Computes the predecessor's set of statistics of what stands in a `paired` file; returns the CPU seconds.
fn predecessors_set(path: &std::path::Path) -> f64 {
    let mut of_dataset: BTreeMap<String, Vec<Vec<[f64; 2]>>> = BTreeMap::new();
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    for line in std::io::BufRead::lines(file) {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let means = |arm: &str| {
            let scored = line[arm]["scored"].as_f64().unwrap();
            let sums = line[arm]["sums"].as_array().unwrap();
            sums.iter().map(|sum| sum.as_f64().unwrap() / scored).collect::<Vec<_>>()
        };
        let row = means("control").into_iter().zip(means("treatment")).map(|(c, t)| [c, t]).collect();
        of_dataset.entry(line["dataset"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    let pool = |names: [&str; 2]| [of_dataset[names[0]].clone(), of_dataset[names[1]].clone()].concat();
    let (closed, open) = (pool(["nq", "trivia"]), pool(["squad", "news"]));
    let before = cpu();
    let mut check = 0.0;
    // Closed-book blocks had exact match and abstention, open-book ones all five metrics; each type and each dataset.
    for block in [&closed, &of_dataset["nq"], &of_dataset["trivia"]] {
        check += predecessors_block(block, &[0, 2], 1);
    }
    for block in [&open, &of_dataset["squad"], &of_dataset["news"]] {
        check += predecessors_block(block, &[0, 1, 2, 3, 4], 2);
    }
    assert!(check.is_finite());
    cpu() - before
}

fn predecessor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paired");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let scoring = score_all(1, 1.0, &mut file);
    file.flush().unwrap();
    let testing = predecessors_set(&path);
    println!(
        "predecessor's set, 18,000 items × 2 arms: scoring {scoring:.2} s + statistics {testing:.2} s = {:.2} s CPU",
        scoring + testing
    );
    if let Ok(python) = std::env::var("EXP_BENCH_PYTHON") {
        let code = "import numpy as np, time\nr=np.random.default_rng(1)\nx=r.integers(-1,2,18000).astype(float)\nt=time.process_time()\nm=[x[r.integers(0,18000,18000)].mean() for _ in range(5000)]\nprint(time.process_time()-t)";
        let output = std::process::Command::new(python).args(["-c", code]).output().unwrap();
        let numpy: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let scale = numpy / 0.79;
        println!(
            "one 5,000 × 18,000 numpy bootstrap: {numpy:.2} s; targets here {:.2} s, and {:.2} s for 205,934 rows",
            0.42 * scale,
            1.2 * scale
        );
    }
}

fn all_datasets() -> Vec<TrialDataset> {
    DATASETS.iter().map(|(name, open, _)| dataset(name, *open)).collect()
}

fn step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paired");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let scoring = score_all(1, 1.0, &mut file);
    file.flush().unwrap();
    let (before, start) = (cpu(), std::time::Instant::now());
    let bytes = run_stats(&path, all_datasets());
    println!(
        "stats step, 18,000 items × 2 arms: scoring {scoring:.2} s, everything in significance.json ({bytes} bytes) {:.2} s CPU, {:.2} s; peak {:.0} MB",
        cpu() - before,
        start.elapsed().as_secs_f64(),
        peak()
    );
}

fn rows() {
    let directory = tempfile::tempdir().unwrap();
    let (mut scoring, mut testing, mut everything) = (0.0, 0.0, 0.0);
    let mut lines = 0;
    let mut paths = Vec::new();
    for draws in [1, 5] {
        let path = directory.path().join(draws.to_string());
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        scoring += score_all(draws, 17_161.0 / 18_000.0, &mut file);
        file.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        lines += 2 * draws as usize * text.lines().count();
        testing += predecessors_set(&path);
        paths.push(path);
    }
    println!(
        "{lines} rows: scoring {scoring:.2} s + the predecessor's set {testing:.2} s = {:.2} s CPU, peak {:.0} MB",
        scoring + testing,
        peak()
    );
    for path in paths {
        let before = cpu();
        run_stats(&path, all_datasets());
        everything += cpu() - before;
    }
    println!("  everything in significance.json instead: {everything:.2} s CPU, peak {:.0} MB", peak());
}

fn large() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paired");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut draw = Stream::derive(9, "large");
    let dataset = dataset("short", false);
    let before = cpu();
    for start in (0..1_000_000).step_by(2000) {
        let arms = [0, 1].map(|_| part(&mut draw, false, start..start + 2000, 5, true));
        let scores = arms.each_ref().map(|texts| scored(false, texts, false));
        paired(&dataset, [&scores[0], &scores[1]], &mut draw, &mut file);
    }
    file.flush().unwrap();
    let (scoring, scored) = (cpu() - before, peak());
    let bytes = run_stats(&path, vec![dataset]);
    println!(
        "10,000,000 short draws: made and scored in {scoring:.1} s CPU (peak {scored:.0} MB), tested in {:.1} s; peak {:.0} MB ({bytes} bytes)",
        cpu() - before - scoring,
        peak()
    );
}

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    match named.first().map(String::as_str) {
        Some("predecessor") => predecessor(),
        Some("step") => step(),
        Some("rows") => rows(),
        Some("large") => large(),
        _ => {
            let program = std::env::current_exe().unwrap();
            for part in ["predecessor", "step", "rows"] {
                let status = std::process::Command::new(&program).arg(part).status().unwrap();
                assert!(status.success(), "{part}");
            }
        }
    }
}
