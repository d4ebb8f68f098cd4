//! How a store is to be kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::domain::UnixMillis;

/// The clock by which operations are remembered. It never goes back while the store is open.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What an answered commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A kill and the loss of power: it is synced before it is answered.
    #[default]
    Sync,
    /// A kill; the loss of power may take the last `Limits::sync_every`, and then the generation changes.
    Interval,
}

/// Sizes and times of the journal and its merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The size of a journal segment, in bytes; no batch can be larger. Between 4 KiB and 1 GiB, whole KiB by fours.
    pub segment_bytes: u64,
    /// Merging begins when so much is unmerged …
    pub merge_after_bytes: u64,
    /// … or when something has been unmerged for so long.
    pub merge_after: Duration,
    /// In `Durability::Interval`, a commit is synced after so long at the latest.
    pub sync_every: Duration,
    /// Commits wait while more than this is unmerged; it bounds memory and the time of a start after a crash.
    pub unmerged_bytes_max: u64,
    /// How often the whole table is read to find damage; zero: never.
    pub check_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            merge_after_bytes: 8 << 20,
            merge_after: Duration::from_secs(5),
            sync_every: Duration::from_millis(100),
            unmerged_bytes_max: 64 << 20,
            check_every: Duration::from_secs(24 * 3600),
        }
    }
}

/// How a store is to be kept.
#[derive(Clone)]
pub struct Options {
    /// The folder; it is made where it is missing.
    pub path: PathBuf,
    /// What an answered commit survives.
    pub durability: Durability,
    /// The memory that the table may use for its pages.
    pub cache_bytes: usize,
    /// How long answered operations are remembered, at least.
    pub replay_window: Duration,
    /// By which that is measured.
    pub clock: Clock,
    /// Sizes and times.
    pub limits: Limits,
}

impl Options {
    /// The usual: synced, 64 MiB of cache, a window of two minutes, a clock that nobody can set.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Sync,
            cache_bytes: 64 << 20,
            replay_window: Duration::from_secs(120),
            clock: Arc::new(clock::steady()),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("path", &self.path).field("durability", &self.durability).finish_non_exhaustive()
    }
}
