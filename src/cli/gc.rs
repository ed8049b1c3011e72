use super::args::Global;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::gc_args::GcArgs;
use super::output::Output;
use super::project::Home;
use crate::flow::Clock;
use crate::run::{GcOptions, GcPlan, apply_gc, plan_gc};
use crate::store::Access;

/// Shows what nothing refers to, and with `--yes` removes it.
pub fn gc(global: &Global, args: &GcArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let has_scope =
        args.unreferenced || args.keep_last.is_some() || args.older_than.is_some() || args.max_size.is_some();
    if args.yes && !has_scope && !args.paid {
        return Err(Failure::usage("`exp gc --yes` needs to be told what may go").hint(
            "--unreferenced for what no run, archive, pin, batch or session refers to; --keep-last, --older-than or --max-size for finished runs as well",
        ));
    }
    let home = Home::find(global)?;
    let options = GcOptions {
        keep_last: args.keep_last,
        older_than: args.older_than.map(|age| before(&clock.now(), age)).transpose()?,
        max_size: args.max_size,
        paid: args.paid,
        grace: args.grace.unwrap_or(GcOptions::GRACE),
    };
    let access = if args.yes { Access::ReadWrite } else { Access::ReadOnly };
    let store = home.open_store(access, out)?;
    if !store.exists() {
        out.line("there is no store: nothing to collect");
        out.document(&serde_json::json!({"plan": null, "collected": null}));
        return Ok(Exit::Done);
    }
    let plan = plan_gc(&store, &home.experiments, &options)?;
    show(&plan, args.yes, out);
    let document = document(&plan);
    if !args.yes {
        if !plan.is_empty() {
            out.line("nothing was removed; `--yes` with what may go (`--unreferenced`, `--keep-last N` …) removes it");
        }
        out.document(&serde_json::json!({"plan": document, "collected": null}));
        return Ok(Exit::Done);
    }
    let collected = apply_gc(&store, &home.experiments, plan)?;
    out.line(&format!(
        "removed {} blobs, {} records and {} leftovers: {} bytes",
        thousands(collected.blobs),
        thousands(collected.actions),
        thousands(collected.leftovers),
        thousands(collected.bytes),
    ));
    if collected.segments > 0 {
        let (segments, draws) = (thousands(collected.segments), thousands(collected.draws));
        out.line(&format!("of these {segments} segments of the draw log, with {draws} answers"));
    }
    if collected.kept > 0 {
        out.line(&format!("{} came to be used meanwhile, and stay", thousands(collected.kept)));
    }
    if collected.segments_kept {
        out.line("the draw log was left as it is: a build is at work; collect again when it has ended");
    }
    out.document(&serde_json::json!({
        "plan": document, "collected": serde_json::to_value(&collected).unwrap_or_default(),
    }));
    Ok(Exit::Done)
}

fn show(plan: &GcPlan, applied: bool, out: &Output) {
    let verb = if applied { "removes" } else { "would remove" };
    for run in &plan.runs {
        let dir = run.dir.as_deref().unwrap_or("no directory");
        out.line(&format!("{verb} run {} ({}): {dir}, {} files", run.run_id, run.state, run.files.len()));
        for extra in &run.extra {
            out.line(&format!("  not ours, stays: {dir}/{extra}"));
        }
    }
    for (run, why) in &plan.kept {
        out.line(&format!("keeps run {run}: {why}"));
    }
    let garbage = &plan.garbage;
    let sum = |sizes: &mut dyn Iterator<Item = u64>| thousands(sizes.sum());
    let count = |what: &str, n: usize, bytes: String| {
        if n > 0 {
            out.line(&format!("{verb} {} {what}: {bytes} bytes", thousands(n as u64)));
        }
    };
    count("leftovers of dead processes", garbage.leftovers.len(), sum(&mut garbage.leftovers.iter().map(|l| l.size)));
    count("records", garbage.actions.len(), sum(&mut garbage.actions.iter().map(|(_, size)| *size)));
    count("blobs", garbage.blobs.len(), sum(&mut garbage.blobs.iter().map(|(_, size)| *size)));
    let segments = &garbage.segments;
    count("segments of the draw log", segments.len(), sum(&mut segments.iter().map(|unused| unused.size)));
    if !segments.is_empty() {
        let draws = sum(&mut segments.iter().map(|unused| unused.draws));
        out.line(&format!("  with {draws} answers, which have to be asked for again if they are ever wanted"));
    }
    if garbage.young > 0 {
        out.line(&format!(
            "spares {} blobs and records ({} bytes) that were made or used of late; `--grace 0` does not",
            thousands(garbage.young),
            thousands(garbage.young_bytes)
        ));
    }
    if plan.is_empty() {
        out.line("nothing to collect");
    }
}

fn document(plan: &GcPlan) -> serde_json::Value {
    let garbage = &plan.garbage;
    let pair = |n: usize, bytes: u64| serde_json::json!({"count": n, "bytes": bytes});
    serde_json::json!({
        "runs": serde_json::to_value(&plan.runs).unwrap_or_default(),
        "kept": plan.kept.iter().map(|(run, why)| serde_json::json!({"run_id": run, "why": why})).collect::<Vec<_>>(),
        "blobs": pair(garbage.blobs.len(), garbage.blobs.iter().map(|(_, size)| size).sum()),
        "records": pair(garbage.actions.len(), garbage.actions.iter().map(|(_, size)| size).sum()),
        "leftovers": garbage.leftovers.iter().map(|l| serde_json::json!({"path": l.path, "bytes": l.size})).collect::<Vec<_>>(),
        "segments": garbage.segments.iter().map(|unused| serde_json::json!({
            "name": unused.name, "bytes": unused.size, "answers": unused.draws,
        })).collect::<Vec<_>>(),
        "spared": {"count": garbage.young, "bytes": garbage.young_bytes},
        "bytes": garbage.bytes(),
    })
}

/// Returns the time so many seconds before another.
fn before(now: &str, seconds: u64) -> Result<String, Failure> {
    let bad = |why: String| Failure::usage(format!("--older-than: {why}"));
    let now: jiff::Timestamp = now.parse().map_err(|error| bad(format!("{error}")))?;
    let age = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let then = now.checked_sub(age).map_err(|error| bad(error.to_string()))?;
    Ok(then.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
