use std::collections::BTreeMap;

use super::folder::SEALED;
use super::index::Index;
use super::layout::Layout;
use super::line::{Line, put_head};
use super::segment::{Found, scan};
use super::{StoreError, catalogue, draw_log, session};

type Result<T> = std::result::Result<T, StoreError>;

/// Writes segments of the draw log anew, without some of their lines: the only way in which a sealed segment ever changes.
///
/// The new one is the next segment of the same session, whose money it tells of; it is durable before the old one goes. The
/// caller holds the lock of sweeps, and nobody is at work.
pub(super) struct Rewriting<'l> {
    layout: &'l Layout,
    next: BTreeMap<String, u32>,
    changed: Vec<(String, String)>,
}

impl<'l> Rewriting<'l> {
    /// Begins, with nothing changed.
    pub(super) fn new(layout: &'l Layout) -> Result<Self> {
        let mut next: BTreeMap<String, u32> = BTreeMap::new();
        for name in layout.draws()?.names()? {
            let Some(session) = draw_log::session_of(&name) else { continue };
            let number = name.trim_end_matches(".log").rsplit('-').next().and_then(|text| text.parse::<u32>().ok());
            let after = next.entry(session.to_owned()).or_default();
            *after = (*after).max(number.map_or(0, |number| number + 1));
        }
        Ok(Self { layout, next, changed: Vec::new() })
    }

    /// Lists the segments.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = self.layout.draws()?.names()?;
        Ok(names.into_iter().filter(|name| draw_log::session_of(name).is_some()).collect())
    }

    /// Visits every line of a segment.
    pub(super) fn visit(&self, name: &str, visit: impl FnMut(Found<'_>)) -> Result<()> {
        let draws = self.layout.draws()?;
        let (file, _) = draws.open(name)?;
        scan(&file, 0, &draws.path().join(name), visit).map(drop)
    }

    /// Writes a segment anew with the lines that are kept, and then `tail`.
    pub(super) fn write(&mut self, name: &str, mut keeps: impl FnMut(&Found<'_>) -> bool, tail: &[u8]) -> Result<()> {
        let Some(session) = draw_log::session_of(name) else { return Ok(()) };
        let number = self.next.get(session).copied().unwrap_or_default();
        let mut bytes = Vec::new();
        put_head(&mut bytes, session, number);
        self.visit(name, |found| {
            if !matches!(Line::parse(found.line), Some(Line::Head { .. })) && keeps(&found) {
                bytes.extend_from_slice(found.line);
                bytes.push(b'\n');
            }
        })?;
        bytes.extend_from_slice(tail);
        let fresh = format!("{session}-{number}.log");
        self.next.insert(session.to_owned(), number + 1);
        let tmp_name = format!("rewrite-{}", session::nonce());
        self.layout.draws()?.write_atomic(&fresh, &bytes, self.layout.tmp()?, &tmp_name, SEALED)?;
        self.changed.push((name.to_owned(), fresh));
        Ok(())
    }

    /// Removes the old segments, and has the index know the new ones.
    pub(super) fn finish(self, index: &Index) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let draws = self.layout.draws()?;
        for (old, fresh) in &self.changed {
            // The new one may have been read already, when the old one's answers had their rows: it is read again.
            index.write(|tx| {
                let drop = |name| catalogue::drop_segment(tx, name).map_err(index.failed("write to"));
                drop(old).and_then(|_| drop(fresh))
            })?;
            draws.unlink(old)?;
        }
        draws.sync()?;
        index.reconcile()
    }
}
