//! How what a look at the store found is put right: damaged files are set aside, never deleted.

use std::collections::HashSet;

use super::folder::SEALED;
use super::layout::{Layout, Tree, place};
use super::line::{Line, put_draw};
use super::rewrite::Rewriting;
use super::{Flaw, FlawPart, LoggedDraw, Session, Store, StoreError, catalogue, draw_log, session};
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
            FlawPart::MissingBlob(_)
            | FlawPart::DrawLog { .. }
            | FlawPart::Tail
            | FlawPart::Batch
            | FlawPart::Stray => Ok(false),
        }
    }

    /// Logs answers again whose lines are damaged, in the place of these: their value is known from what was made of them.
    pub fn restore_draws(&self, draws: &[LoggedDraw]) -> Result<()> {
        if draws.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        let mut lines = Vec::with_capacity(draws.len());
        for draw in draws {
            let start = text.len() as u64;
            put_draw(&mut text, draw, false);
            lines.push((draw.address.id(), start, text.len() as u64 - start - 1));
        }
        let at = self.log.append(&text, true)?;
        for (_, start, _) in &mut lines {
            *start += at.start;
        }
        let ids: Vec<DrawId> = draws.iter().map(|draw| draw.address.id()).collect();
        let index = &self.store.opened()?.index;
        index.write(|tx| {
            let done = catalogue::drop_draws(tx, &ids);
            done.and_then(|_| catalogue::add_draws(tx, &at.segment, &mut lines, at.end))
                .map_err(index.failed("write to"))
        })?;
        Ok(())
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

impl Store {
    /// Takes damaged lines out of the draw log: their segments are written anew without them, and a copy of each is kept in
    /// `quarantine/`. Lines in `kept`, by segment and start, stay: their answers are still wanted. Returns how many went.
    ///
    /// It is an error if any session is at work.
    pub fn set_lines_aside(&self, kept: &HashSet<(String, u64)>) -> Result<u64> {
        let opened = self.opened()?;
        let layout = &*opened.layout;
        let _alone = session::alone(layout)?;
        let mut rewriting = Rewriting::new(layout)?;
        let mut count = 0;
        for name in rewriting.names()? {
            let (mut bad, mut is_torn) = (Vec::new(), false);
            let owner = draw_log::session_of(&name);
            rewriting.visit(&name, |found| {
                let is_head = matches!(Line::parse(found.line), Some(Line::Head { session, .. }) if Some(session.as_str()) == owner);
                is_torn |= found.follows_damage || (found.start == 0) != is_head;
                if Line::parse(found.line).is_none() && !kept.contains(&(name.clone(), found.start)) {
                    bad.push((found.start, found.line.to_vec()));
                }
            })?;
            if bad.is_empty() && !is_torn {
                continue;
            }
            for (start, line) in &bad {
                layout.quarantine_bytes(line, &format!("line-{name}-{start}"))?;
            }
            count += bad.len() as u64;
            rewriting.write(&name, |found| !bad.iter().any(|(start, _)| *start == found.start), &[])?;
        }
        rewriting.finish(&opened.index)?;
        Ok(count)
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
