use super::args::{Global, ReportArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Home;
use super::run_page::{CollectedPage, write_page};
use crate::run::{Catalog, PAGE_NAME, ViewDir};
use crate::store::Access;

/// Writes a run's page again, or prints the paragraph on its methods.
pub fn report(global: &Global, args: &ReportArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let record = &catalog.find(&args.run)?.record;
    let manifest = Catalog::manifest(&store, record)?;
    super::predecessor::refuse(&manifest, "has no page and no methods")?;
    if args.methods {
        let page = CollectedPage::of(&store, &manifest, false)?.page;
        if page.trials.is_empty() {
            let message = format!("no trial of run {} has results yet, so there are no methods to tell", page.run_id);
            return Err(Failure::usage(message).hint(format!("the run is {}; `exp build` goes on with it", page.state)));
        }
        let methods = page.methods();
        out.line(&methods);
        out.document(&serde_json::json!({"run_id": manifest.run_id, "methods": methods}));
        return Ok(Exit::Done);
    }
    let dir = ViewDir::new(&home.experiments, &record.run_id);
    // A store that cannot be written has no builds at work.
    let _held = store.hold_runs().ok();
    write_page(&dir, &store, &manifest, !args.without_items)?;
    let path = dir.path().join(PAGE_NAME);
    out.line(&format!("report: {}", home.shown(&path)));
    out.document(&serde_json::json!({"run_id": manifest.run_id, "path": path.as_str()}));
    if args.open {
        open(path.as_str())?;
    }
    Ok(Exit::Done)
}

/// Shows a file with the desktop's own program for it.
fn open(path: &str) -> Result<(), Failure> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = std::process::Command::new(program).arg(path).status();
    match opened {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(Exit::Environment, format!("`{program}` ended with {status}"))
            .hint(format!("open {path} yourself"))),
        Err(error) => Err(Failure::new(Exit::Environment, format!("cannot run `{program}`: {error}"))
            .hint(format!("open {path} yourself"))),
    }
}
