use rustix::fs::{Mode, RawMode};

/// Says who may use a store besides its owner. The mode of the store's directory says it, to every program that opens it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    #[default]
    Owner,
    /// The group of the store's directory: it reads and writes all that is in it.
    Group,
}

impl Sharing {
    /// Reads it off the mode of a directory. A directory that the group may merely write to, as a umask leaves it, is not shared.
    pub(super) fn of(mode: RawMode) -> Self {
        let shared = Mode::WGRP.union(Mode::SGID).bits();
        if mode & shared == shared { Self::Group } else { Self::Owner }
    }

    /// Returns the mode of directories. What is made in a shared one is of the same group.
    pub(super) fn of_folders(self) -> Mode {
        match self {
            Self::Owner => Mode::RWXU,
            Self::Group => Mode::RWXU.union(Mode::RWXG).union(Mode::SGID),
        }
    }

    /// Returns the mode of files that are written to after they were made.
    pub(super) fn of_files(self) -> Mode {
        let owner = Mode::RUSR.union(Mode::WUSR);
        match self {
            Self::Owner => owner,
            Self::Group => owner.union(Mode::RGRP).union(Mode::WGRP),
        }
    }
}
