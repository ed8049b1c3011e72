use super::args::{ArchiveArgs, Global};
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::output::Output;
use super::project::Home;
use super::whose::names_of;
use crate::config::in_text;
use crate::run::{ArchiveOptions, Catalog, Names, plan_archive, write_archive};
use crate::store::{Access, Store};

/// Writes a run into one portable file, or shows what that would hold.
pub fn archive(global: &Global, args: &ArchiveArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let record = &catalog.find(&args.run)?.record;
    let known = if args.anonymous { Some(names_of(&home, &store, record)?) } else { None };
    let options = ArchiveOptions {
        name: args.experiment_name.as_deref(),
        without_items: args.without_items,
        anonymous: known.as_ref().map(|known| Names { known, of_text: in_text }),
    };
    let plan = plan_archive(&store, &home.experiments, record, options)?;
    if args.dry_run {
        out.line(&format!(
            "would write {}: run {} ({}), {} files, {} bytes before compression, {} answers",
            home.shown(&plan.path),
            plan.run_id,
            plan.state,
            plan.files.len(),
            thousands(plan.bytes),
            thousands(plan.draws),
        ));
        if let Some(marked) = &plan.marked {
            out.line(&format!("marked: {marked}"));
        }
        if args.without_items || args.anonymous {
            let bytes: u64 = plan.withheld.iter().map(|file| file.size).sum();
            out.line(&format!("withheld: {} files, {} bytes", plan.withheld.len(), thousands(bytes)));
        }
        for missing in &plan.missing {
            out.line(&format!("missing: {missing}"));
        }
        if out.is_verbose() {
            for file in &plan.files {
                out.line(&format!("  {:>12}  {}", thousands(file.size), file.name));
            }
            for file in &plan.withheld {
                out.line(&format!("  {:>12}  {} (withheld)", thousands(file.size), file.name));
            }
        }
        out.document(&serde_json::to_value(&plan).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let written = write_archive(&store, &plan)?;
    let already = if written.already { "is there already" } else { "written" };
    out.line(&format!("archive {already}: {} ({} bytes)", home.shown(&plan.path), thousands(written.bytes)));
    if args.anonymous {
        out.line(&format!(
            "{} files are withheld. Signatures of the run are not in it: `exp sign {}` makes one for it",
            thousands(plan.withheld.len() as u64),
            home.shown(&plan.path)
        ));
    }
    out.document(&serde_json::json!({
        "name": plan.name, "path": plan.path.as_str(), "run_id": plan.run_id, "state": plan.state,
        "bytes": written.bytes, "digest": written.digest, "already": written.already,
    }));
    Ok(Exit::Done)
}

/// Archives the run that a build has just finished.
pub fn write(home: &Home, store: &Store, run_id: &str, out: &Output) -> Result<(), Failure> {
    let catalog = Catalog::read(store)?;
    let record = &catalog.find(run_id)?.record;
    let plan = plan_archive(store, &home.experiments, record, ArchiveOptions::default())?;
    let written = write_archive(store, &plan)?;
    let already = if written.already { "is there already" } else { "written" };
    out.note(&format!("archive {already}: {}", home.shown(&plan.path)));
    Ok(())
}
