//! What the embedded store tells of itself.

/// The upper bounds of the buckets of `Stats::sync_buckets`, in microseconds; the last bucket has none.
pub const SYNC_BOUNDS_MICROS: [u64; 11] = [64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 32_768, 131_072, 1_048_576];

/// Figures of one moment. All counts are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes of all journal segments on disk.
    pub journal_bytes: u64,
    /// Bytes of the table's file.
    pub table_bytes: u64,
    /// Journal segments on disk, the one prepared ahead among them.
    pub segments: u64,
    /// Bytes of the journal that are not in the table yet.
    pub unmerged_bytes: u64,
    /// Blocks written; each is one write.
    pub blocks: u64,
    /// Records committed.
    pub records: u64,
    /// Syncs of the journal.
    pub syncs: u64,
    /// How long those took in all.
    pub sync_micros: u64,
    /// How many took at most `SYNC_BOUNDS_MICROS`, bucket by bucket (not summed up).
    pub sync_buckets: [u64; 12],
    /// Transactions of the table that merged something.
    pub merges: u64,
    /// Attempts to merge that found no space.
    pub merges_full: u64,
    /// Answered operations found at the start that nobody has asked for yet.
    pub replays: u64,
}
