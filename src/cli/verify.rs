use super::args::Global;
use super::build_args::BuildArgs;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::output::Output;
use super::project::{Home, Project};
use super::verify_args::VerifyArgs;
use super::{build, repair};
use crate::flow::Clock;
use crate::run::{VerifyReport, verify as check};
use crate::store::Access;

/// Checks every byte of the store, and what is shown of it; with `--repair` makes again what is free, and with `--spend` too
/// asks again for what is not.
pub fn verify(global: &Global, args: &VerifyArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    if args.spend && !args.repair {
        return Err(Failure::usage("--spend goes with --repair"));
    }
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    if !store.exists() {
        out.line("there is no store: nothing to verify");
        out.document(&serde_json::json!({"sound": true, "findings": [], "checked": null}));
        return Ok(Exit::Done);
    }
    let report = check(&store, &home.experiments)?;
    drop(store);
    let (report, repaired) = if args.repair && !report.is_sound() {
        tell(&report, out);
        let store = home.open_store(Access::ReadWrite, out)?;
        let repaired = repair::repair(&home, &store, &report, args.spend, out)?;
        if repaired.given_up > 0 {
            out.note(&format!("{} answers can be asked for again", thousands(repaired.given_up)));
            let project = Project::load(global, out)?;
            let build_args = BuildArgs { yes: args.yes, max_cost: args.max_cost, ..BuildArgs::default() };
            build::build(&project, &build_args, &build::Mode::default(), &out.aside(), clock)?;
        }
        let store = home.open_store(Access::ReadOnly, out)?;
        (check(&store, &home.experiments)?, Some(repaired))
    } else {
        (report, None)
    };
    if let Some(repaired) = &repaired {
        out.line(&format!(
            "repaired: {} put right or set aside, {} blobs made again, {} answers restored, {} given up, {} runs shown again",
            thousands(repaired.put_right + repaired.set_aside),
            thousands(repaired.made),
            thousands(repaired.restored),
            thousands(repaired.given_up),
            thousands(repaired.shown)
        ));
    }
    tell(&report, out);
    let checked = &report.store;
    out.line(&format!(
        "store: {} · {} blobs, {} records, {} lines of the draw log ({} answers), {} batches, {} runs, {} rows, {} views checked, {} bytes",
        match report.findings.len() {
            0 => "sound".to_owned(),
            1 => "1 finding".to_owned(),
            n => format!("{n} findings"),
        },
        thousands(checked.blobs),
        thousands(checked.records),
        thousands(checked.lines),
        thousands(checked.answers),
        thousands(checked.batches),
        thousands(checked.runs),
        thousands(checked.rows),
        thousands(report.views),
        thousands(checked.bytes),
    ));
    out.document(&serde_json::json!({
        "sound": report.is_sound(),
        "findings": serde_json::to_value(&report.findings).unwrap_or_default(),
        "notes": checked.notes,
        "repaired": serde_json::to_value(repaired).unwrap_or_default(),
        "checked": {
            "blobs": checked.blobs, "records": checked.records, "lines": checked.lines, "answers": checked.answers,
            "batches": checked.batches, "runs": checked.runs, "rows": checked.rows, "views": report.views, "bytes": checked.bytes,
        },
    }));
    Ok(if report.is_sound() { Exit::Done } else { Exit::Damage })
}

fn tell(report: &VerifyReport, out: &Output) {
    for finding in &report.findings {
        out.line(&finding.subject);
        out.line(&format!("  expected: {}", finding.expected));
        out.line(&format!("  actual:   {}", finding.actual));
        out.line(&format!("  remedy:   {}", finding.remedy));
    }
    for note in &report.store.notes {
        out.line(&format!("note: {note}"));
    }
}
