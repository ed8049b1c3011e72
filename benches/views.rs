//! Shows a run of 10,000 views, and makes as many bare links, in turn; prints both times and their ratio.
#![allow(clippy::unwrap_used)] // A bench may stop where the machine does.

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use exp::digest::BlobId;
use exp::run::{ViewDir, ViewEntry};

const TRIALS: usize = 2_000;
const NAMES: [&str; 5] = [
    "results/predictions.csv",
    "results/per_item_scores.csv",
    "results/significance.json",
    "results/costs.json",
    "reports/report.md",
];
const ROUNDS: usize = 11;

fn views() -> Vec<ViewEntry> {
    let view = |n: usize| {
        let (trial, name) = (n / NAMES.len(), NAMES[n % NAMES.len()]);
        let blob = BlobId::of(&n.to_le_bytes());
        ViewEntry { slug: format!("trial-{trial:05}"), name: name.to_owned(), blob, size: 1 }
    };
    (0..TRIALS * NAMES.len()).map(view).collect()
}

fn blob_path(store: &Utf8Path, view: &ViewEntry) -> Utf8PathBuf {
    let hex = view.blob.digest().to_hex();
    store.join("blobs").join(&hex[..2]).join(&hex[2..])
}

/// Makes the same directories and links with nothing around them.
fn bare(run: &Utf8Path, store: &Utf8Path, views: &[ViewEntry]) {
    for trial in 0..TRIALS {
        for dir in ["results", "reports"] {
            std::fs::create_dir_all(run.join(format!("trial-{trial:05}")).join(dir)).unwrap();
        }
    }
    for view in views {
        let hex = view.blob.digest().to_hex();
        let target = format!("../../../../{}/blobs/{}/{}", store.file_name().unwrap(), &hex[..2], &hex[2..]);
        std::os::unix::fs::symlink(target, run.join(&view.slug).join(&view.name)).unwrap();
    }
}

fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let (store, views) = (dir.join("store"), views());
    let (mut ours, mut theirs, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let experiments = dir.join(format!("experiments-{round}"));
        let run = ViewDir::new(&experiments, "r1");
        let show = || assert!(run.show(&views, &|view| blob_path(&store, view)).is_ok());
        let loop_dir = dir.join(format!("bare-{round}")).join("run_r1");
        ours.push(timed(show));
        theirs.push(timed(|| bare(&loop_dir, &store, &views)));
        again.push(timed(show));
    }
    let (ours, theirs, again) = (median(ours), median(theirs), median(again));
    println!("{} views, median of {ROUNDS} rounds", views.len());
    println!("bare loop of links   {:8.1} ms", theirs.as_secs_f64() * 1e3);
    println!(
        "a run's views        {:8.1} ms   {:.2} x the loop",
        ours.as_secs_f64() * 1e3,
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
    println!("the same, all there  {:8.1} ms", again.as_secs_f64() * 1e3);
}
