//! How what a look at the store found is put right: damaged files are set aside, never deleted.

use super::folder::SEALED;
use super::layout::{Layout, Tree, place};
use super::{Flaw, FlawPart, Session, StoreError, catalogue};
use crate::digest::{ActionKey, Digest, DrawId};

type Result<T> = std::result::Result<T, StoreError>;

impl Session {
    /// Puts a flaw right as far as that can be done without making anything anew; says whether it did something.
    ///
    /// Damaged blobs, records and records of runs move to `quarantine/`, modes are set, the index is built again from records and
    /// log. Lines of logs stay where they are.
    pub fn put_right(&self, flaw: &Flaw) -> Result<bool> {
        let layout = &*self.layout;
        match &flaw.part {
            FlawPart::Blob(id) if flaw.is_of_mode() => set_mode(layout, Tree::Blobs, id.digest()),
            FlawPart::Blob(id) => set_aside(layout, Tree::Blobs, id.digest(), "blob"),
            FlawPart::Record(key) => {
                self.forget_rows(&[*key])?;
                set_aside(layout, Tree::Actions, key.digest(), "action")
            }
            FlawPart::Run(id) => {
                let runs = layout.root().folder("runs")?;
                let Some(stat) = runs.stat(id)? else { return Ok(false) };
                layout.quarantine(&runs, id, &format!("run-{id}"), stat.st_ino).map(|()| true)
            }
            FlawPart::Index => {
                let index = &self.store.opened()?.index;
                index.rebuild_now("`exp verify --repair` was asked to").map(|()| true)
            }
            FlawPart::MissingBlob(_) | FlawPart::DrawLog(_) | FlawPart::Batch | FlawPart::Stray => Ok(false),
        }
    }

    fn forget_rows(&self, keys: &[ActionKey]) -> Result<()> {
        super::commit::drop_rows_of(&self.store.opened()?.index, keys)
    }

    /// Gives up answers that are damaged in the log, so that they may be asked for again; returns how many these were. This
    /// is the only way in which a draw that was paid for comes to be paid for twice.
    pub fn give_up_draws(&self, draws: &[DrawId]) -> Result<u64> {
        let index = &self.store.opened()?.index;
        index.write(|tx| catalogue::drop_draws(tx, draws).map_err(index.failed("write to")))
    }
}

fn set_mode(layout: &Layout, tree: Tree, digest: &Digest) -> Result<bool> {
    let (byte, name) = place(digest);
    let shard = layout.shard(tree, byte)?;
    let (file, _) = shard.open(&name)?;
    super::folder::seal(&file, SEALED, &shard.path().join(&name)).map(|()| true)
}

fn set_aside(layout: &Layout, tree: Tree, digest: &Digest, label: &str) -> Result<bool> {
    let (byte, name) = place(digest);
    let shard = layout.shard(tree, byte)?;
    let Some(stat) = shard.stat(&name)? else { return Ok(false) };
    layout.quarantine(&shard, &name, &format!("{label}-{}", digest.to_hex()), stat.st_ino).map(|()| true)
}
