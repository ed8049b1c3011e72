use super::args::Global;
use super::export_args::ImportArgs;
use super::failure::{Exit, Failure};
use super::finish::{self, thousands};
use super::import_log::{foreign_log, import_log};
use super::keys::read_keys;
use super::output::Output;
use super::project::Home;
use crate::flow::Clock;
use crate::run::{ArchiveFile, Catalog, PublicKey, ViewDir, import as take_in, signed_by};
use crate::store::Access;

/// Takes in a portable file. Every byte is verified before anything is published.
pub fn import(global: &Global, args: &ImportArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    if args.file.is_dir() {
        return super::predecessor::import(&home, args, out, clock);
    }
    if let Some(log) = foreign_log(&args.file)? {
        return import_log(args, &home, &log, out);
    }
    if args.out.is_some() || args.dataset.is_some() || args.arm.is_some() {
        return Err(Failure::usage(format!("`{}` is no log of another tool that is known here", args.file))
            .hint("--out, --dataset and --arm are about logs of Inspect and lm-eval"));
    }
    let archive = ArchiveFile::open(&args.file)?;
    let signed = signed_by(archive.record(), archive.manifest_digest(), &trusted_keys(global, &home)?);
    let trust = args.trust || signed;
    let store = home.open_store(Access::ReadWrite, out)?;
    let session = store.session()?;
    let imported = take_in(&session, &archive, trust)?;
    let catalog = Catalog::read(&store)?;
    let record = catalog.find(&imported.run_id)?.record.clone();
    let dir = ViewDir::new(&home.experiments, &record.run_id);
    finish::show(&dir, &store, &record)?;
    let believed = if trust {
        let by = if signed { " (signed by a trusted key)" } else { "" };
        let (actions, draws) = (thousands(imported.actions), thousands(imported.draws));
        format!("{actions} actions and {draws} answers serve from now on{by}")
    } else {
        "unverified: it is listed, shown, compared and audited, and never serves a build (`--trust`, or a signature by one of the config's `trusted_keys`, lets it)".to_owned()
    };
    let already = if imported.already { " (it was there already)" } else { "" };
    out.line(&format!("run {} imported{already}: {} blobs; {believed}", imported.run_id, thousands(imported.blobs)));
    if imported.conflicts > 0 {
        out.line(&format!("{} of its answers differ from local ones, which stand", thousands(imported.conflicts)));
    }
    out.document(&serde_json::json!({
        "run_id": imported.run_id, "already": imported.already, "trusted": trust, "signed": signed, "blobs": imported.blobs,
        "actions": imported.actions, "draws": imported.draws, "conflicts": imported.conflicts,
    }));
    Ok(Exit::Done)
}

/// Reads the keys that the config trusts; none where there is no config.
fn trusted_keys(global: &Global, home: &Home) -> Result<Vec<PublicKey>, Failure> {
    let named = Home::config(global).map_or_else(Vec::new, |config| config.trusted_keys);
    let keys: Vec<Vec<PublicKey>> =
        named.iter().map(|text| read_keys(&home.root, text)).collect::<Result<_, Failure>>()?;
    Ok(keys.concat())
}
