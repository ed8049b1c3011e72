//! What asking costs: `exp build --to-step infer` against a stub on loopback that answers at once, or after 50 ms.
//!
//! Prints requests a second, CPU time of `exp` alone for each request, and its peak memory, each beside its target; ends with 1
//! where a target is missed. `EXP=path` measures another binary, `ITEMS=n` other than 20,000 items under two arms. The store is
//! below the target directory: on a disk, since durable writes are a part of what is measured.

#[path = "online/stub.rs"]
mod stub;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use stub::Stub;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// Is one measurement.
struct Case {
    in_flight: usize,
    latency: Duration,
    /// Requests a second from the start of the process to its end, at least.
    rate: f64,
    /// Microseconds of CPU a request, at most.
    cpu: Option<f64>,
    /// Megabytes of memory, at most.
    memory: f64,
}

const AT_ONCE: Duration = Duration::ZERO;
const SLOW: Duration = Duration::from_millis(50);

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
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let items: usize = std::env::var("ITEMS").map_or(Ok(20_000), |text| text.parse())?;
    let exp = std::env::var("EXP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_exp").to_owned());
    let ideal = |in_flight: usize| in_flight as f64 / SLOW.as_secs_f64();
    let cases = [
        Case { in_flight: 512, latency: AT_ONCE, rate: 5_000.0, cpu: Some(150.0), memory: 100.0 },
        Case { in_flight: 2_000, latency: AT_ONCE, rate: 5_000.0, cpu: None, memory: 250.0 },
        Case { in_flight: 512, latency: SLOW, rate: 0.85 * ideal(512), cpu: Some(150.0), memory: 100.0 },
        Case { in_flight: 2_000, latency: SLOW, rate: 5_000.0, cpu: None, memory: 250.0 },
    ];
    // `CASE=n` measures that one alone, counted from 1.
    let only: Option<usize> = std::env::var("CASE").ok().map(|text| text.parse()).transpose()?;
    let mut all = true;
    for (at, case) in cases.iter().enumerate() {
        if only.is_none_or(|only| only == at + 1) {
            all &= run(case, items, &exp)?;
        }
    }
    Ok(all)
}

fn run(case: &Case, items: usize, exp: &str) -> Done<bool> {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let stub = Stub::start(case.latency)?;
    write_project(work.path(), items, stub.port)?;
    let requests = 2 * items as u64;
    println!("{requests} requests, {} in flight, answers after {} ms", case.in_flight, case.latency.as_millis());
    // Inputs are hashed and requests are made first, so that it is seen what they take of the whole.
    let before = exp_build(exp, work.path(), "build", case.in_flight)?;
    let own = cpu_of("self")?.0;
    let asked = exp_build(exp, work.path(), "infer", case.in_flight)?;
    let own = cpu_of("self")?.0.saturating_sub(own);
    let (seen, connections, span) = stub.seen();
    if seen != requests {
        return Err(format!("the stub saw {seen} requests").into());
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
    let rate = requests as f64 / (before.wall + asked.wall).as_secs_f64();
    let while_sending = requests as f64 / span.as_secs_f64();
    let cpu = each(before.cpu + asked.cpu);
    let memory = asked.peak.max(before.peak) as f64 / 1e3;
    // Where answers take their time, the rate is that of the sending alone: what comes before it does not wait for them.
    let is_slow = case.latency > AT_ONCE;
    let at_least = |figure: f64, target: f64| (target, figure >= target);
    let at_most = |figure: f64, target: f64| (target, figure <= target);
    let mut met = true;
    met &= show("requests a second, end to end", rate, (!is_slow).then(|| at_least(rate, case.rate)));
    met &= show("requests a second while sending", while_sending, is_slow.then(|| at_least(while_sending, case.rate)));
    met &= show("CPU µs a request, all of exp", cpu, case.cpu.map(|most| at_most(cpu, most)));
    println!("    {:34} {:>9.1}", "of these before anything is sent", each(before.cpu));
    met &= show("peak memory, MB", memory, Some(at_most(memory, case.memory)));
    println!("    {:34} {:>9.1}   over {connections} connections", "CPU µs a request, the stub", each(own));
    Ok(met)
}

/// Shows a figure and, where there is a target for it, whether it is met.
fn show(what: &str, figure: f64, target: Option<(f64, bool)>) -> bool {
    let Some((target, is_met)) = target else {
        println!("    {what:34} {figure:>9.1}");
        return true;
    };
    println!("    {what:34} {figure:>9.1}   target {target:>6.0}   {}", if is_met { "met" } else { "MISSED" });
    is_met
}

/// Is what one run of `exp` took.
struct Taken {
    wall: Duration,
    cpu: Duration,
    /// Kilobytes.
    peak: u64,
}

fn exp_build(exp: &str, project: &Path, to_step: &str, in_flight: usize) -> Done<Taken> {
    let before = cpu_of("self")?.1;
    let started = Instant::now();
    let most = in_flight.to_string();
    let mut child = Command::new(exp)
        .args(["build", "-q", "--yes", "--to-step", to_step, "--max-concurrent-requests", &most])
        .current_dir(project)
        .env("STUB_KEY", "none")
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let of_child = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = of_child.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(10));
    };
    let wall = started.elapsed();
    if !status.success() {
        return Err(format!("exp ended with {status}").into());
    }
    // What children took is added up when they are waited for.
    Ok(Taken { wall, cpu: cpu_of("self")?.1.saturating_sub(before), peak })
}

/// The CPU time of a process, and of the children that it waited for (proc(5), fields 14 to 17).
fn cpu_of(process: &str) -> Done<(Duration, Duration)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no such fields")?.1.split_whitespace().collect();
    let ticks = |at: usize| -> Done<u64> { Ok(fields.get(at).ok_or("too few fields")?.parse()?) };
    let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    Ok((time(ticks(11)? + ticks(12)?), time(ticks(13)? + ticks(14)?)))
}

fn write_project(work: &Path, items: usize, port: u16) -> Done<()> {
    let config = work.join("config");
    std::fs::create_dir(&config)?;
    let mut text = String::new();
    for at in 0..items {
        writeln!(
            text,
            r#"{{"id":"q{at}","question":"Who built mill number {at} in the valley of the north?","answers":["Person{at}"]}}"#
        )?;
    }
    std::fs::write(config.join("items.jsonl"), text)?;
    std::fs::write(config.join("control.txt"), "Answer.")?;
    std::fs::write(config.join("treatment.txt"), "Answer in few words.")?;
    std::fs::write(
        config.join("eval_config.yaml"),
        format!(
            "version: 1
providers:
  stub: {{kind: openai, base_url: 'http://127.0.0.1:{port}/v1', identity: stub, api_key_env: STUB_KEY}}
models:
  - {{name: stub, provider: stub, model: stub, price: {{input: 0.4, output: 1.6, as_of: '2026-11-23'}}}}
decoding: {{temperature: 0, max_output_tokens: 32}}
datasets:
  mills: {{path: config/items.jsonl, fields: {{id: id, question: question, answers: answers}}}}
control: config/control.txt
prompt_sets: {{short: config/treatment.txt}}
"
        ),
    )?;
    Ok(())
}
