//! The thread that brings the journal into the table, and lets segments go that nobody needs any more.
//!
//! Never merges what is not synced; never lets a segment go before the table says, safely, that it does not need it.

use std::sync::Arc;
use std::time::Duration;

use super::flow::Stop;
use super::journal::Position;
use super::merge::merge_some;
use super::rows::Meta;
use super::table::TableError;
use super::{Shared, held};
use crate::store::{CommitError, Limits};

/// After a full disk, the next attempt comes after so long at the latest.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How much becomes one transaction at most. Who is behind takes more at a time: a page of the table that many records
/// touch is then written once. A quarter of what may be unmerged keeps the memory for it bounded.
pub(super) fn merge_bytes_max(limits: &Limits) -> u64 {
    limits.merge_after_bytes.max(limits.unmerged_bytes_max / 4).max(1)
}

/// The merger.
pub(super) struct Merger {
    shared: Arc<Shared>,
    /// As the table has it.
    meta: Meta,
}

impl Merger {
    /// A merger of a table that has `meta`.
    pub(super) fn new(shared: Arc<Shared>, meta: Meta) -> Self {
        Self { shared, meta }
    }

    /// Merges until it is stopped; the life of the merging thread. An error: not all is merged, or the end is not marked.
    pub(super) fn run(&mut self) -> Result<(), CommitError> {
        let limits = self.shared.settings.limits;
        let mut result = Ok(());
        loop {
            let after = if result.is_err() { limits.merge_after.min(RETRY_AFTER) } else { limits.merge_after };
            let (synced, stop) = self.shared.flow.wait_for_work(limits.merge_after_bytes, after);
            if stop == Some(Stop::AsItIs) {
                return if self.shared.has_failed() { Err(CommitError::Broken) } else { Ok(()) };
            }
            result = self.turn(synced, stop == Some(Stop::Merged));
            match result {
                Err(TableError::Full) => self.make_up()?,
                // A reader has met damage; whether it concerns what is merged, the next attempt finds out.
                Err(TableError::Spoilt) => self.mend()?,
                Err(error) => return Err(self.fail(&error)),
                Ok(()) => {}
            }
            if stop.is_some() {
                return result.map_err(|_| CommitError::Full);
            }
        }
    }

    fn turn(&mut self, synced: Position, last: bool) -> Result<(), TableError> {
        let shared = self.shared.clone();
        let copies = held(&shared.copies);
        while self.meta.merged.lsn < synced.lsn {
            let next = Meta { oldest: self.oldest_needed(*copies), ..self.meta.clone() };
            let bytes_max = merge_bytes_max(&shared.settings.limits);
            let (merged, bytes) = merge_some(&shared.reading.table, &shared.segments, &next, synced, bytes_max)?;
            shared.reading.overlay().prune(merged.lsn);
            self.took_effect(Meta { merged, ..next });
            shared.merged(merged.lsn, bytes);
        }
        let next = Meta { oldest: self.oldest_needed(*copies), clean: last, ..self.meta.clone() };
        if next != self.meta {
            shared.reading.table.set_meta(&next)?;
            self.took_effect(next);
        }
        shared.reading.replays().expire((shared.settings.clock)(), shared.settings.replay_window);
        Ok(())
    }

    /// The oldest segment that is still needed: not wholly merged, or with operations whose window is open, or copied now.
    fn oldest_needed(&self, copies: usize) -> u64 {
        if copies > 0 {
            return self.meta.oldest;
        }
        let settings = &self.shared.settings;
        let needed = self.shared.segments.oldest_needed(self.meta.merged.segment, (settings.clock)(), settings.replay_window);
        needed.unwrap_or(self.meta.oldest)
    }

    fn took_effect(&mut self, meta: Meta) {
        if meta.oldest > self.meta.oldest {
            self.shared.segments.free_before(meta.oldest);
        }
        self.meta = meta;
    }

    /// Makes the table fit to be read again after a full disk.
    fn make_up(&mut self) -> Result<(), CommitError> {
        self.shared.found_no_space();
        self.mend()
    }

    fn mend(&self) -> Result<(), CommitError> {
        match self.shared.reading.table.mend() {
            Ok(()) | Err(TableError::Full) => Ok(()),
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&self, error: &TableError) -> CommitError {
        let error = self.shared.fail(format!("the journal cannot be merged into the table: {error}"));
        self.shared.announce();
        error
    }
}
