//! What 120,000 requests cost that are bought in batches: split, sent, looked at, fetched and merged, against the server of
//! batches of the tests; and what it costs to hand them out to another engine and to take its answers in.
//!
//! Prints the CPU time of `exp` alone and its peak memory, each beside its target; ends with 1 where one is missed. `EXP=path`
//! measures another binary, `ITEMS=n` other than 60,000 items under two arms.

#[path = "../tests/support/server/mod.rs"]
mod server;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use server::{BatchOptions, ModelServer, Options};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// Seconds of CPU, at most.
const CPU: f64 = 60.0;
/// Megabytes of memory, at most.
const MEMORY: f64 = 300.0;

fn main() -> ExitCode {
    // `cargo test` runs benches too, to see that they build.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Done<bool> {
    let items: usize = std::env::var("ITEMS").map_or(Ok(60_000), |text| text.parse())?;
    let bought = batches(items)?;
    let ingested = handout(items)?;
    Ok(bought && ingested)
}

/// Is what a program took.
struct Taken {
    /// Seconds of CPU, in user and system.
    cpu: f64,
    /// Peak of its memory, in megabytes.
    memory: f64,
}

impl Taken {
    /// Prints it beside the targets; says whether these are met.
    fn show(&self) -> bool {
        let show = |what: &str, figure: f64, target: f64| {
            let is_met = figure < target;
            println!("    {what:20} {figure:>8.1}   target {target:>5.0}   {}", if is_met { "met" } else { "MISSED" });
            is_met
        };
        show("CPU s, all of exp", self.cpu, CPU) & show("peak memory, MB", self.memory, MEMORY)
    }
}

/// Runs `exp` to its end and watches what it takes.
fn run(dir: &Path, args: &[&str]) -> Done<Taken> {
    let exp = std::env::var("EXP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_exp").to_owned());
    let mut child =
        Command::new(exp).args(args).current_dir(dir).env("STUB_KEY", "none").stdout(Stdio::null()).spawn()?;
    let (mut peak, mut ticks) = (0, 0);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let of = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
        let status = of("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(peak);
        // After the name in brackets come the state and, eleventh and twelfth from there, the ticks in user and system.
        let stat = of("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let tick = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        ticks = tick(11).zip(tick(12)).map_or(ticks, |(user, system)| user + system);
        std::thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(format!("exp {} ended with {status}", args.join(" ")).into());
    }
    let cpu = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(Taken { cpu, memory: f64::from(peak) / 1e3 })
}

fn batches(items: usize) -> Done<bool> {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let batches = BatchOptions { takes: Duration::from_secs(2), ..BatchOptions::default() };
    let server = ModelServer::start(Options { batches: Some(batches), ..Options::default() }, |_| None);
    write_project(work.path(), items, &server.origin())?;
    let started = Instant::now();
    let taken = run(work.path(), &["build", "-q", "--yes", "--to-step", "infer"])?;
    let held = server.batches();
    let sizes: Vec<usize> = held.created.iter().map(|batch| batch.lines.len()).collect();
    let again = held.submitted().values().filter(|count| **count > 1).count();
    println!(
        "{} requests in batches of {sizes:?}, {again} in two, {:.0} s",
        2 * items,
        started.elapsed().as_secs_f64()
    );
    Ok(taken.show() && again == 0 && sizes.iter().sum::<usize>() == 2 * items)
}

/// The same requests handed out, answered by nobody's engine, and taken in.
fn handout(items: usize) -> Done<bool> {
    #[derive(serde::Deserialize)]
    struct Line {
        custom_id: String,
    }
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    write_project(work.path(), items, "http://127.0.0.1:9")?;
    let written = run(work.path(), &["requests", "-q", "--out", "handout", "--shards", "4"])?;
    let mut lines = 0;
    for shard in 0..4 {
        let path = work.path().join(format!("handout/shard-{shard:04}.jsonl"));
        let mut out = String::new();
        for line in std::fs::read_to_string(&path)?.lines() {
            let Line { custom_id } = serde_json::from_str(line)?;
            writeln!(
                out,
                "{{\"id\":\"r{lines}\",\"custom_id\":\"{custom_id}\",\"response\":{{\"status_code\":200,\"request_id\":\"q{lines}\",\"body\":{{\"id\":\"c{lines}\",\
                 \"object\":\"chat.completion\",\"created\":1764000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
                 \"content\":\"Aldermoor, {lines}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":20,\"completion_tokens\":3,\"total_tokens\":23}}}}}},\"error\":null}}"
            )?;
            lines += 1;
        }
        std::fs::write(path.with_extension("out.jsonl"), out)?;
    }
    println!("{lines} requests written by `exp requests`");
    let is_written = written.show();
    let taken = run(work.path(), &["ingest", "-q", "handout"])?;
    println!("{lines} answers taken in by `exp ingest`");
    Ok(taken.show() && is_written && lines == 2 * items)
}

fn write_project(dir: &Path, items: usize, origin: &str) -> Done<()> {
    for below in ["config", "data", "prompts"] {
        std::fs::create_dir_all(dir.join(below))?;
    }
    let mut data = String::new();
    for n in 0..items {
        writeln!(
            data,
            "{{\"id\":\"i{n}\",\"question\":\"Which mill by the river did the miller <<i{n}>> of Aldermoor build?\",\"answers\":[\"A\"]}}"
        )?;
    }
    std::fs::write(dir.join("data/d.jsonl"), data)?;
    std::fs::write(dir.join("prompts/control.txt"), "Answer.")?;
    std::fs::write(dir.join("prompts/short.txt"), "Answer in one word.")?;
    let config = format!(
        "version: 1\nproviders:\n  stub: {{kind: openai, base_url: '{origin}/v1', api_key_env: STUB_KEY, mode: batch, batch: {{poll: 500ms, list_delay: 200ms}}}}\n\
         models:\n  - {{name: m, provider: stub, model: m, price: {{input: 0.5, output: 2, batch: 0.5, as_of: '2026-11-23'}}}}\n\
         decoding: {{temperature: 0, max_output_tokens: 16}}\n\
         datasets:\n  d: {{path: data/d.jsonl, fields: {{id: id, question: question, answers: answers}}}}\n\
         control: prompts/control.txt\nprompt_sets: {{short: prompts/short.txt}}\n"
    );
    std::fs::write(dir.join("config/eval_config.yaml"), config)?;
    Ok(())
}
