use std::collections::{HashMap, HashSet};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::fs::FileType;

use super::folder::Folder;
use super::holds::{Hold, read_holds};
use super::layout::{Layout, Tree, digest_at};
use super::{Roots, Store, StoreError, catalogue, draw_log, grace, session, sweep};
use crate::digest::{ActionKey, BlobId, DrawId};
use crate::request::DrawAddress;

type Result<T> = std::result::Result<T, StoreError>;

/// Is what nothing refers to: a value to look at before anything goes.
#[derive(Debug)]
pub struct Garbage {
    /// Blobs with their sizes, sorted.
    pub blobs: Vec<(BlobId, u64)>,
    /// Records of actions with the sizes of their files, sorted.
    pub actions: Vec<(ActionKey, u64)>,
    /// Files that dead processes left, in `tmp/`, `trash/` and as indexes that were set aside.
    pub leftovers: Vec<Leftover>,
    /// Segments of the draw log, where paid answers may go.
    pub segments: Vec<UnusedSegment>,
    /// How many blobs and records nothing refers to that stay for now, because a session made or used them of late.
    pub young: u64,
    /// Their bytes.
    pub young_bytes: u64,
    pub(super) watch: Watch,
}

/// Is a file that a dead process left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its path below the store.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Is a segment of the draw log of which no run uses a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedSegment {
    /// Its file name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many answers it holds.
    pub draws: u64,
}

/// Looks for garbage. Begin with it before the roots are read: what comes to be in between is then seen.
#[derive(Debug)]
pub struct GarbageSearch {
    store: Store,
    young: HashSet<Hold>,
    watch: Watch,
}

/// Knows what sessions rely on, and learns more whenever it looks again.
#[derive(Debug)]
pub(super) struct Watch {
    /// Is how many collections there were before this one.
    pub(super) count: u64,
    /// Is the count from which on ended sessions are honoured.
    pub(super) since: u64,
    pub(super) holds: HashSet<Hold>,
    read: HashMap<String, u64>,
    seen: HashSet<String>,
}

impl Watch {
    /// Reads what sessions have held since the last look. A session that ends moves its file from one directory to the
    /// other: so they are looked at in this order.
    pub(super) fn look(&mut self, layout: &Layout) -> Result<()> {
        let sessions = layout.sessions()?;
        for name in sessions.names()? {
            let from = self.read.get(&name).copied().unwrap_or(0);
            let to = read_holds(sessions, &name, from, &mut self.holds)?;
            self.read.insert(name, to);
        }
        let Some(folder) = grace::folder(layout)? else { return Ok(()) };
        for (name, _) in grace::files(&folder)? {
            if !self.seen.contains(&name) {
                read_holds(&folder, &name, 0, &mut self.holds)?;
                self.seen.insert(name);
            }
        }
        Ok(())
    }
}

impl Store {
    /// Begins to look for garbage. What ended sessions relied on is honoured if fewer than `grace` collections have been
    /// since they ended.
    pub fn search_garbage(&self, grace: u64) -> Result<GarbageSearch> {
        let opened = self.opened()?;
        let layout = &opened.layout;
        let count = grace::count(layout)?;
        let since = (count + 1).saturating_sub(grace);
        let mut watch = Watch { count, since, holds: HashSet::new(), read: HashMap::new(), seen: HashSet::new() };
        let mut young = HashSet::new();
        let sessions = layout.sessions()?;
        for name in sessions.names()? {
            if !session::is_alive(layout, &name)? {
                // It died: as good as ended, although nobody has cleaned up after it yet.
                let to = read_holds(sessions, &name, 0, &mut young)?;
                watch.read.insert(name, to);
            }
        }
        if grace == 0 {
            young.clear();
        }
        if let Some(folder) = grace::folder(layout)? {
            for (name, count) in grace::files(&folder)? {
                if count >= since {
                    read_holds(&folder, &name, 0, &mut young)?;
                }
                watch.seen.insert(name);
            }
        }
        watch.look(layout)?;
        Ok(GarbageSearch { store: self.clone(), young, watch })
    }
}

impl GarbageSearch {
    /// Lists what the roots do not keep. With `paid`, segments of the draw log too, of which no root uses a draw.
    ///
    /// Nothing is written. Files that are not named by a hash are left to `verify`.
    pub fn find(self, roots: &Roots, paid: bool) -> Result<Garbage> {
        let opened = self.store.opened()?;
        let layout = &*opened.layout;
        let is_kept = |hold: &Hold| match hold {
            Hold::Blob(id) => roots.blobs.contains(id),
            Hold::Action(key) => roots.actions.contains(key),
        };
        let is_released = |hold: &Hold| match hold {
            Hold::Blob(id) => roots.released_blobs.contains(id),
            Hold::Action(key) => roots.released_actions.contains(key),
        };
        let find =
            |tree: Tree, hold: &(dyn Fn(crate::digest::Digest) -> Hold + Sync)| -> Result<Vec<(Hold, u64, bool)>> {
                let shards: Result<Vec<Vec<(Hold, u64, bool)>>> = (0..=255u8)
                    .into_par_iter()
                    .map(|byte| {
                        let folder = match layout.shard(tree, byte) {
                            Err(error) if error.is_not_found() => return Ok(Vec::new()),
                            other => other?,
                        };
                        let mut found = Vec::new();
                        for name in folder.names()? {
                            let Some(hold) = digest_at(byte, &name).map(hold) else { continue };
                            if is_kept(&hold) || self.watch.holds.contains(&hold) {
                                continue;
                            }
                            let is_young = self.young.contains(&hold) && !is_released(&hold);
                            // What is no file is damage, and not garbage.
                            let stat = folder.stat(&name)?.filter(is_regular);
                            found.extend(stat.map(|stat| (hold, stat.st_size as u64, is_young)));
                        }
                        Ok(found)
                    })
                    .collect();
                Ok(shards?.into_iter().flatten().collect())
            };
        let mut garbage = Garbage {
            blobs: Vec::new(),
            actions: Vec::new(),
            leftovers: leftovers(layout)?,
            segments: Vec::new(),
            young: 0,
            young_bytes: 0,
            watch: self.watch.snapshot(),
        };
        let blobs = find(Tree::Blobs, &|digest| Hold::Blob(BlobId::new(digest)))?;
        let actions = find(Tree::Actions, &|digest| Hold::Action(ActionKey::new(digest)))?;
        for (hold, size, is_young) in blobs.into_iter().chain(actions) {
            match hold {
                _ if is_young => {
                    garbage.young += 1;
                    garbage.young_bytes += size;
                }
                Hold::Blob(id) => garbage.blobs.push((id, size)),
                Hold::Action(key) => garbage.actions.push((key, size)),
            }
        }
        if paid {
            garbage.segments = self.unused_segments(roots)?;
        }
        Ok(garbage)
    }

    fn unused_segments(&self, roots: &Roots) -> Result<Vec<UnusedSegment>> {
        let opened = self.store.opened()?;
        let used: HashSet<DrawId> = roots.draws.iter().map(DrawAddress::id).collect();
        let counts = opened.index.read("read", |conn| catalogue::usage(conn, &used))?;
        let draws = opened.layout.draws()?;
        let mut unused = Vec::new();
        for name in draws.names()? {
            let Some(session) = draw_log::session_of(&name) else { continue };
            let (count, is_used) = counts.get(&name).copied().unwrap_or_default();
            if is_used || roots.sessions.contains(session) || session::is_alive(&opened.layout, session)? {
                continue;
            }
            let size = draws.stat(&name)?.map_or(0, |stat| stat.st_size as u64);
            unused.push(UnusedSegment { name, size, draws: count });
        }
        Ok(unused)
    }
}

impl Watch {
    fn snapshot(&self) -> Self {
        Self {
            count: self.count,
            since: self.since,
            holds: self.holds.clone(),
            read: self.read.clone(),
            seen: self.seen.clone(),
        }
    }
}

impl Garbage {
    /// Sums up what would be freed, in bytes.
    pub fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().map(|(_, size)| size);
        let actions = self.actions.iter().map(|(_, size)| size);
        let leftovers = self.leftovers.iter().map(|leftover| &leftover.size);
        blobs.chain(actions).chain(leftovers).chain(self.segments.iter().map(|segment| &segment.size)).sum()
    }

    /// Tells whether there is nothing to collect.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.actions.is_empty() && self.leftovers.is_empty() && self.segments.is_empty()
    }
}

/// Lists what dead processes left.
fn leftovers(layout: &Layout) -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    let mut add = |folder: &Folder, prefix: &str, name: &str| -> Result<()> {
        if let Some(stat) = folder.stat(name)?.filter(is_regular) {
            found.push(Leftover { path: format!("{prefix}{name}"), size: stat.st_size as u64 });
        }
        Ok(())
    };
    for name in sweep::abandoned(layout)? {
        add(layout.tmp()?, "tmp/", &name)?;
    }
    let root = layout.root();
    match root.folder("trash") {
        Ok(trash) => trash.names()?.iter().try_for_each(|name| add(&trash, "trash/", name))?,
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    for name in root.names()?.iter().filter(|name| name.starts_with("index.sqlite.bad-")) {
        add(root, "", name)?;
    }
    Ok(found)
}

fn is_regular(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
