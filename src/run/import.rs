use std::io::Read;

use super::imported_records::keep_records;
use super::{ArchiveFile, ImportTrust, RunError, RunRecord, RunState, check_run_id};
use crate::digest::BlobId;
use crate::store::{ActionState, Commit, LoggedDraw, Session};

/// Is what an import took in.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// The run.
    pub run_id: String,
    /// Whether the store had the run already.
    pub already: bool,
    /// Blobs that the store did not have.
    pub blobs: u64,
    /// Action records that it did not have; 0 without trust.
    pub actions: u64,
    /// Draws that it did not have; 0 without trust.
    pub draws: u64,
    /// Draws that it had, with another value: the local one stays.
    pub conflicts: u64,
}

/// Is how many blobs, records or draws are made durable together.
const GROUP: usize = 64;
/// Is how many bytes of blobs are made durable together at most: 64 MiB.
const GROUP_BYTES: u64 = 64 << 20;

/// Takes the run of an archive into a store. The archive was checked as a whole when it was opened; each blob is hashed
/// again as it is written.
///
/// Without trust the run can be listed, shown, compared and audited, and nothing of it ever serves as a hit. With trust
/// its draws and action records are taken in too, where the store has none of its own.
pub fn import(session: &Session, archive: &ArchiveFile, trust: bool) -> Result<Imported, RunError> {
    let mut record = archive.record().clone();
    check_run_id(&record.run_id)?;
    record.records = None;
    record.imported = Some(if trust { ImportTrust::Trusted } else { ImportTrust::Unverified });
    // The session that made the run is another machine's; if none lives, nobody is at work on it here.
    session.id().clone_into(&mut record.session);
    if record.state == RunState::Running || record.state == RunState::Pending {
        // What was under way elsewhere is not under way here.
        record.state = RunState::Stopped;
    }
    let mut imported = Imported { run_id: record.run_id.clone(), ..Imported::default() };
    let there = session.store().run(&record.run_id)?.map(|run| RunRecord::parse(&run.id, &run.text)).transpose()?;
    if let Some(there) = &there {
        let same = there.manifest == record.manifest && there.plan == record.plan && there.root == record.root;
        if !same {
            return Err(RunError::Taken { id: record.run_id });
        }
        imported.already = true;
    }
    if trust {
        import_draws(session, archive, &mut imported)?;
    }
    import_blobs(session, archive, &mut imported)?;
    if trust {
        import_actions(session, archive, &mut imported)?;
    } else {
        record.records = Some(keep_records(session, archive)?);
    }
    // A run of one's own, or one that was trusted before, is not made less than it is.
    let keeps = there.is_some_and(|there| there.imported != Some(ImportTrust::Unverified));
    if !keeps {
        session.write_run(&record.run_id, &record.to_text()?)?;
    }
    Ok(imported)
}

fn import_blobs(session: &Session, archive: &ArchiveFile, imported: &mut Imported) -> Result<(), RunError> {
    let (mut group, mut bytes) = (Commit::default(), 0);
    archive.each_blob(|blob, size, reader| {
        if session.store().read(blob).is_ok() {
            return Ok(());
        }
        let staged = stage(session, archive, blob, reader)?;
        imported.blobs += 1;
        group.blobs.push(staged);
        bytes += size;
        if group.blobs.len() >= GROUP || bytes >= GROUP_BYTES {
            bytes = 0;
            session.commit(vec![std::mem::take(&mut group)])?;
        }
        Ok(())
    })?;
    group.blobs.push(session.stage(archive.manifest_text().as_bytes())?);
    session.commit(vec![group])?;
    Ok(())
}

fn stage(
    session: &Session,
    archive: &ArchiveFile,
    blob: &BlobId,
    reader: &mut dyn Read,
) -> Result<crate::store::StagedBlob, RunError> {
    let bad = |why: String| RunError::BadArchive { path: archive.path().to_owned(), why };
    let mut writer = session.stage_writer()?;
    if let Err(error) = std::io::copy(reader, &mut writer) {
        return Err(match writer.failure() {
            Some(failure) => failure.into(),
            None => bad(format!("a blob could not be copied: {error}")),
        });
    }
    let staged = writer.finish()?;
    if staged.blob().id == *blob {
        Ok(staged)
    } else {
        Err(bad(format!("blob {blob} changed while the archive was read")))
    }
}

fn import_actions(session: &Session, archive: &ArchiveFile, imported: &mut Imported) -> Result<(), RunError> {
    let mut commits = Vec::new();
    for record in archive.actions() {
        let there = session.store().record(&record.key)?;
        let better = match there {
            None => true,
            // What is whole replaces what is not.
            Some(there) => there.state == ActionState::Partial && record.state == ActionState::Complete,
        };
        if better {
            commits.push(Commit { record: Some(record.clone()), blobs: Vec::new() });
            imported.actions += 1;
        }
        if commits.len() >= GROUP {
            session.commit(std::mem::take(&mut commits))?;
        }
    }
    session.commit(commits)?;
    Ok(())
}

fn import_draws(session: &Session, archive: &ArchiveFile, imported: &mut Imported) -> Result<(), RunError> {
    let mut group: Vec<LoggedDraw> = Vec::new();
    let mut log = |group: &mut Vec<LoggedDraw>| -> Result<(), RunError> {
        let addresses: Vec<_> = group.iter().map(|draw| draw.address).collect();
        let there = session.store().draws(&addresses)?;
        let mut new = Vec::new();
        for (draw, there) in group.drain(..).zip(there) {
            match there {
                None => new.push(draw),
                Some(there) => imported.conflicts += u64::from(there.answer != draw.answer),
            }
        }
        imported.draws += new.len() as u64;
        if !new.is_empty() {
            // Another process may have logged one of them since: its line is kept as surplus.
            imported.draws -= session.log_draws(&new)?;
        }
        Ok(())
    };
    archive.each_draw(|draw| {
        group.push(draw);
        if group.len() >= GROUP * 16 { log(&mut group) } else { Ok(()) }
    })?;
    log(&mut group)
}
