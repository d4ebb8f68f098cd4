//! The thread that brings the journal into the table, and lets segments go that nobody needs any more.
//!
//! Never merges what is not synced; never lets a segment go before the table says, safely, that it does not need it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backoff::{Backoff, LOOK_EVERY};
use super::flow::Stop;
use super::journal::Position;
use super::merge::merge_some;
use super::rows::Meta;
use super::table::TableError;
use super::troubles::Who;
use super::{Shared, held};
use crate::store::{CommitError, Limits, TroubleKind};

/// After an attempt that found no space, the next one comes after so long at the latest …
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// … and after so long, however often it found none, or at once where there is more room.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

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
    backoff: Backoff,
}

impl Merger {
    /// A merger of a table that has `meta`, or, where it is not `settled`, had no room for it.
    pub(super) fn new(shared: Arc<Shared>, meta: Meta) -> Self {
        let first = shared.settings.limits.merge_after.min(RETRY_AFTER);
        let mut backoff = Backoff::new(first, RETRY_AFTER_MAX);
        if !shared.is_settled() {
            backoff.failed(Instant::now(), shared.disk.room());
        }
        Self { shared, meta, backoff }
    }

    /// Merges until it is stopped; the life of the merging thread. Where there is no room at
    /// the end, the next start merges what is left.
    pub(super) fn run(&mut self) -> Result<(), CommitError> {
        let limits = self.shared.settings.limits;
        loop {
            let after = if self.backoff.is_waiting() { limits.merge_after.min(LOOK_EVERY) } else { limits.merge_after };
            let (synced, stop) = self.shared.flow.wait_for_work(limits.merge_after_bytes, after);
            if stop == Some(Stop::AsItIs) {
                return if self.shared.has_failed() { Err(CommitError::Broken) } else { Ok(()) };
            }
            if stop.is_none() && !self.backoff.is_due(Instant::now(), || self.shared.disk.room()) {
                continue;
            }
            match self.turn(synced, stop == Some(Stop::Merged)) {
                Err(TableError::Full) => self.found_no(TroubleKind::DiskFull)?,
                Err(TableError::NoDescriptors) => self.found_no(TroubleKind::NoDescriptors)?,
                // A reader has met damage; whether it concerns what is merged, the next attempt finds out.
                Err(TableError::Spoilt) => {
                    self.mend()?;
                    continue;
                }
                Err(error) => return Err(self.fail(&error)),
                Ok(()) => {
                    self.backoff.succeeded();
                    self.shared.troubles.end(Who::Merging);
                }
            }
            if stop.is_some() {
                return Ok(());
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
            shared.reading.merged(merged.lsn);
            shared.segments.merged_before(merged.segment);
            self.took_effect(Meta { merged, ..next });
            shared.merged(merged.lsn, bytes);
        }
        let next = Meta { oldest: self.oldest_needed(*copies), clean: last, ..self.meta.clone() };
        if next != self.meta || !shared.is_settled() {
            shared.reading.table.set_meta(&next)?;
            self.took_effect(next);
            shared.settled.store(true, Ordering::Release);
        }
        if let Some(name) = shared.reading.table.removed() {
            return Err(TableError::Failed(format!("{name} was removed while it was written")));
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

    /// Makes the table fit to be read again after an attempt that found no room. What is not merged stays in the journal.
    fn found_no(&mut self, kind: TroubleKind) -> Result<(), CommitError> {
        self.backoff.failed(Instant::now(), self.shared.disk.room());
        self.shared.troubles.begin(Who::Merging, kind, "the journal cannot be merged into the table");
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
