use super::args::{Global, ImportArgs};
use super::failure::{Exit, Failure};
use super::finish::{self, thousands};
use super::output::Output;
use super::project::Home;
use crate::run::{ArchiveFile, Catalog, ViewDir, import as take_in};
use crate::store::Access;

/// Takes in a portable file. Every byte is verified before anything is published.
pub fn import(global: &Global, args: &ImportArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let archive = ArchiveFile::open(&args.file)?;
    let store = home.open_store(Access::ReadWrite, out)?;
    let session = store.session()?;
    let imported = take_in(&session, &archive, args.trust)?;
    let catalog = Catalog::read(&store)?;
    let record = catalog.find(&imported.run_id)?.record.clone();
    let dir = ViewDir::new(&home.experiments, &record.run_id);
    finish::show(&dir, &store, &record)?;
    let believed = if args.trust {
        format!("{} actions and {} answers serve from now on", thousands(imported.actions), thousands(imported.draws))
    } else {
        "unverified: it is listed, shown, compared and audited, and never serves a build (`--trust` lets it)".to_owned()
    };
    let already = if imported.already { " (it was there already)" } else { "" };
    out.line(&format!("run {} imported{already}: {} blobs; {believed}", imported.run_id, thousands(imported.blobs)));
    if imported.conflicts > 0 {
        out.line(&format!("{} of its answers differ from local ones, which stand", thousands(imported.conflicts)));
    }
    out.document(&serde_json::json!({
        "run_id": imported.run_id, "already": imported.already, "trusted": args.trust, "blobs": imported.blobs,
        "actions": imported.actions, "draws": imported.draws, "conflicts": imported.conflicts,
    }));
    Ok(Exit::Done)
}
