//! Where the truth is kept: records go in as batches, groups and relations come out. A commit that was answered is kept.
//!
//! Knows `domain` alone. Nothing here plans or checks a rule, waits on a socket, or blocks a caller that commits, loads or
//! asks: every answer comes by a callback, on one of the store's own threads. A callback must be short and must not wait.

mod batch;
mod embedded;
mod options;
mod trouble;

use std::sync::Arc;

pub use batch::Batch;
#[cfg(feature = "fuzzing")]
pub use embedded::fuzzing;
pub use embedded::stats::{JournalStats, SYNC_BOUNDS_MICROS, Stats, SyncStats, TableStats};
pub use embedded::upkeep::{Copied, Finding, Repaired, UpkeepError, Verified, backup_at_rest, receive_backup, repair, restore, verify};
pub use options::{Clock, Durability, Limits, Options};
pub use trouble::{Trouble, TroubleKind};

use crate::domain::UnixMillis;
use crate::domain::group::Group;
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::Operation;

/// A position in the journal: the number of the block that a commit went into. Grows for ever, also across restarts; the
/// first is 1. Commits that shared one block share it.
pub type Lsn = u64;

/// The callback of a call: called exactly once.
pub type Done<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// What is called, once, when the store cannot go on: the program must end, and the next start decides what is true.
pub type OnFatal = Box<dyn Fn(String) + Send + Sync>;

/// Why a store does not open. The text is for the operator and names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder {0} is in use by another process")]
    InUse(String),
    /// Written by a newer program.
    #[error("the data folder {folder} has format {found}, this program knows format {known}: use a newer program")]
    Newer {
        /// Which folder.
        folder: String,
        /// What it says.
        found: u32,
        /// What this program can read.
        known: u32,
    },
    /// What is there contradicts itself. Nothing was changed.
    #[error("the store is damaged: {file} at byte {offset}: {what}")]
    Damaged {
        /// Which file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The folder is no store that can be opened, with what it is.
    #[error("{0}")]
    NoStore(String),
    /// The operating system said no.
    #[error("cannot open the store: {0}")]
    Io(String),
}

/// Why a commit did not happen, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// No space. Nothing of the batch is kept; commits work again when there is room.
    #[error("the disk is full: nothing was written")]
    Full,
    /// The batch is larger than a journal segment holds. Nothing of it is kept.
    #[error("the batch is too large for a journal segment: nothing was written")]
    TooLarge,
    /// The disk failed. Whether the batch is kept is known after the next start only; no later commit is taken.
    #[error("the disk failed: the next start decides what was written")]
    Broken,
    /// The store was closed before. Nothing of the batch is kept.
    #[error("the store is closed")]
    Closed,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// It cannot be read now; later it may be.
    #[error("the store cannot read now: {0}")]
    Unavailable(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// A group as the table has it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Its state with every record up to `Store::merged`; `None` where there is no such group.
    pub group: Option<Box<Group>>,
    /// Operations answered before this start and still within the window, oldest first. They are handed out once: the
    /// caller keeps them from then on.
    pub replays: Vec<(UnixMillis, Operation)>,
}

/// What a user is to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relation {
    /// He is a member that is kept (so never in an AVChatRoom).
    pub member: bool,
    /// It is his group.
    pub owner: bool,
    /// He joined it by himself; false as well where that is not known.
    pub asked: bool,
}

impl Relation {
    /// How little he has done for it himself: own groups come before those that he joined, and last comes what others caused.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self { owner: true, .. } => 0,
            Self { asked: true, .. } => 1,
            _ => 2,
        }
    }

    /// Nobody else has caused it.
    pub fn is_asked(self) -> bool {
        self.rank() < 2
    }
}

/// A part of all groups, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The groups; fewer than asked for does not mean that these were the last.
    pub groups: Vec<GroupId>,
    /// Where to go on; `None`: there are no more.
    pub next: Option<GroupId>,
    /// How many groups there are in all of the type that was asked for, or of every type.
    pub total: u64,
}

/// The store. A clone is another handle on the same one; dropping the last one without `close` is like a kill.
#[derive(Clone)]
pub struct Store(Arc<embedded::Engine>);

impl Store {
    /// Opens the folder, or begins it. Blocks until what a crash left behind is sorted out. `on_fatal` is called at most
    /// once, from a thread of the store.
    pub fn open(options: &Options, on_fatal: OnFatal) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(embedded::Engine::open(options, on_fatal)?)))
    }

    /// Keeps a batch, whole or not at all. Never blocks. `done` is called in the order of the calls, once the batch is as safe as
    /// `Options::durability` says; but where the store breaks or is closed, those that come too late are refused at once, on
    /// the caller's own thread, while earlier ones are still under way.
    pub fn commit(&self, batch: Batch, done: Done<Lsn, CommitError>) {
        self.0.commit(batch, done);
    }

    /// Reads a group from the table. Who needs the newest state must hold the group's state in memory until `merged` has
    /// reached its last commit; after that this is complete.
    pub fn load(&self, group: GroupId, done: Done<Loaded, LoadError>) {
        self.0.load(group, done);
    }

    /// What the user is to which groups, with every commit whose `done` was called before.
    pub fn relations(&self, user: UserId, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.0.relations(user, done);
    }

    /// In which groups the user is a member, with every commit whose `done` was called before: at most `max`, own groups first,
    /// then those that he joined by himself, then those to which others added him; each in the order of their ids. What others
    /// caused costs no more than is wanted of it.
    pub fn seats(&self, user: UserId, max: usize, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.0.seats(user, max, done);
    }

    /// How many groups the user owns, with every commit whose `done` was called before.
    pub fn owned(&self, user: UserId, done: Done<usize, LoadError>) {
        self.0.owned(user, done);
    }

    /// Of which types groups are, `None` for one that is not there, with every commit whose `done` was called before.
    pub fn kinds(&self, groups: Vec<GroupId>, done: Done<Vec<Option<GroupType>>, LoadError>) {
        self.0.kinds(groups, done);
    }

    /// Whether a user was ever seen, with every commit whose `done` was called before.
    pub fn has_account(&self, user: UserId, done: Done<bool, LoadError>) {
        self.0.has_account(user, done);
    }

    /// Groups after `after`, of one type or of all, with every commit whose `done` was called before; at most `limit`
    /// (and at most 10,000).
    pub fn list(&self, after: Option<GroupId>, kind: Option<GroupType>, limit: usize, done: Done<Page, LoadError>) {
        self.0.list(after, kind, limit, done);
    }

    /// The time by which operations are remembered. It is near the wall clock's, but no step of that one moves it; records are
    /// to be stamped with it.
    pub fn now(&self) -> UnixMillis {
        self.0.now()
    }

    /// Everything up to here is in the table.
    pub fn merged(&self) -> Lsn {
        self.0.merged()
    }

    /// Grows when continuity cannot be proved: answered commits may be lost. Fixed while the store is open; the first is 1.
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Tells all of it, as it is at one moment, for `receive_backup`: everything that was answered before the call, and maybe
    /// more. Blocks until it is told, and reads much of the disk; commits go on meanwhile. Whoever reads must go on reading,
    /// for as long as it takes no segment of the journal can go.
    pub fn tell(&self, to: &mut dyn std::io::Write) -> Result<(), UpkeepError> {
        self.0.tell(to)
    }

    /// Figures of now.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// What keeps the store from doing all that it should, at this moment; empty where all is well. Costs little.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.0.troubles()
    }

    /// Takes no more commits, finishes those it has, merges all and marks the end as clean. Blocks until then; must not be
    /// called from a callback. Calls over other handles get `Closed` from then on.
    pub fn close(self) -> Result<(), CommitError> {
        self.0.close()
    }
}
