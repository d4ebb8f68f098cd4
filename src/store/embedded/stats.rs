//! What the embedded store tells of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of `SyncStats::buckets`, in microseconds; the last bucket has none.
pub const SYNC_BOUNDS_MICROS: [u64; 11] = [64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 32_768, 131_072, 1_048_576];

/// Figures of one moment. All counts are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// What is written first.
    pub journal: JournalStats,
    /// How it became safe.
    pub syncs: SyncStats,
    /// Where it goes to.
    pub table: TableStats,
    /// Answered operations found at the start that nobody has asked for yet.
    pub replays: u64,
}

/// Figures of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalStats {
    /// Segments on disk, the one prepared ahead and one kept for the next use among them.
    pub segments: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Bytes of blocks that are not in the table yet.
    pub unmerged_bytes: u64,
    /// Blocks written; each is one write.
    pub blocks: u64,
    /// Records committed.
    pub records: u64,
    /// Attempts to prepare a segment that failed, for whatever reason.
    pub preparations_failed: u64,
}

/// How long syncs of the journal took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncStats {
    /// How many there were.
    pub count: u64,
    /// How long they took in all, in microseconds.
    pub micros: u64,
    /// How many took at most `SYNC_BOUNDS_MICROS` and more than the bound before, bucket by bucket; then those above all.
    pub buckets: [u64; SYNC_BOUNDS_MICROS.len() + 1],
}

/// Figures of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableStats {
    /// Bytes of its file.
    pub bytes: u64,
    /// Transactions that merged something.
    pub merges: u64,
    /// Attempts to merge that found no space.
    pub merges_full: u64,
}

/// The counts behind `Stats`.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) blocks: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) merges: AtomicU64,
    pub(super) merges_full: AtomicU64,
    sync_micros: AtomicU64,
    sync_buckets: [AtomicU64; SYNC_BOUNDS_MICROS.len() + 1],
}

impl Counts {
    /// Counts a sync.
    pub(super) fn synced(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BOUNDS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(SYNC_BOUNDS_MICROS.len());
        self.sync_buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counts as they are, all else 0.
    pub(super) fn read(&self) -> Stats {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let buckets = std::array::from_fn(|at| of(&self.sync_buckets[at]));
        Stats {
            journal: JournalStats { blocks: of(&self.blocks), records: of(&self.records), ..JournalStats::default() },
            syncs: SyncStats { count: buckets.iter().sum(), micros: of(&self.sync_micros), buckets },
            table: TableStats { merges: of(&self.merges), merges_full: of(&self.merges_full), ..TableStats::default() },
            replays: 0,
        }
    }
}
