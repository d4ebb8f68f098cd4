//! The one thread that writes the journal: whatever waits, of all groups, becomes one write and one sync.
//!
//! It answers in the order of the calls, and only what is as safe as was promised. It never tries a failed sync again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::block::HEADER_BYTES;
use super::flow::Room;
use super::intake::{Pending, Taken};
use super::journal::{Journal, Position, WriteError};
use super::troubles::Who;
use crate::store::batch::Turn;
use crate::store::{CommitError, Done, Durability, Lsn, TroubleKind};

/// After so much quiet, an empty block says that all before it is synced: without it, damage to the last block would be
/// taken for a write that was cut off.
const QUIET: Duration = Duration::from_millis(20);
/// The most bytes of one block, unless a single batch has more.
const BLOCK_BYTES_MAX: usize = 4 << 20;

/// The committer.
pub(super) struct Committer {
    shared: Arc<Shared>,
    journal: Journal,
    buffer: Vec<u8>,
    /// When what is written must be synced, in `Durability::Interval`.
    sync_at: Option<Instant>,
    /// When to say that all is synced.
    quiet_at: Option<Instant>,
}

/// A batch on its way into a block.
struct Waiting {
    records: usize,
    turns: Vec<Turn>,
    done: Done<Lsn, CommitError>,
}

impl Committer {
    /// A committer that goes on at the journal's end.
    pub(super) fn new(shared: Arc<Shared>, journal: Journal) -> Self {
        Self { shared, journal, buffer: Vec::new(), sync_at: None, quiet_at: None }
    }

    /// Commits until the intake is closed; the life of the committing thread.
    pub(super) fn run(&mut self) {
        loop {
            let deadline = self.sync_at.into_iter().chain(self.quiet_at).min();
            match self.shared.intake.take(deadline) {
                Taken::Commits(commits) => self.commit_all(commits),
                Taken::Nothing => {}
                Taken::End(commits, error) => {
                    if error != CommitError::Broken {
                        self.sync_or_fail();
                    }
                    commits.into_iter().for_each(|pending| (pending.done)(Err(error.clone())));
                    return self.shared.announce();
                }
            }
            let now = Instant::now();
            if self.sync_at.is_some_and(|at| at <= now) {
                self.sync_or_fail();
            }
            if self.sync_at.is_none() && self.quiet_at.is_some_and(|at| at <= now) {
                self.quiet_at = None;
                self.mark_synced();
            }
        }
    }

    /// Commits all, in as few blocks as possible.
    fn commit_all(&mut self, commits: Vec<Pending>) {
        let mut commits = commits.into_iter().peekable();
        while let Some(first) = commits.next() {
            self.buffer.clear();
            self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
            let mut waiting = vec![self.gather(first)];
            while let Some(next) = commits.next_if(|next| self.buffer.len() + next.batch.bytes.len() <= self.block_bytes_max()) {
                waiting.push(self.gather(next));
            }
            let result = self.write_block();
            self.answer(waiting, result);
        }
    }

    fn block_bytes_max(&self) -> usize {
        BLOCK_BYTES_MAX.min(self.shared.segments.block_bytes_max() as usize)
    }

    fn gather(&mut self, pending: Pending) -> Waiting {
        self.buffer.extend_from_slice(&pending.batch.bytes);
        Waiting { records: pending.batch.len(), turns: pending.batch.turns, done: pending.done }
    }

    /// Writes the buffer as a block, and syncs it where that is promised.
    fn write_block(&mut self) -> Result<Lsn, CommitError> {
        if self.shared.has_failed() {
            return Err(CommitError::Broken);
        }
        if self.buffer.len() == HEADER_BYTES {
            return Ok(self.journal.end().lsn);
        }
        if self.shared.flow.unmerged_bytes() > self.shared.settings.limits.unmerged_bytes_max {
            // Only what is synced can be merged: whoever waits for the merger must not hold anything back from it.
            self.sync()?;
            match self.shared.flow.wait_for_room(self.shared.settings.limits.unmerged_bytes_max) {
                Room::Yes => {}
                Room::Full => return Err(CommitError::Full),
                Room::Failed => return Err(CommitError::Broken),
            }
        }
        let lsn = self.append()?;
        match self.shared.settings.durability {
            Durability::Interval if self.shared.is_settled() && self.is_seen() => {
                self.sync_at.get_or_insert_with(|| Instant::now() + self.shared.settings.limits.sync_every);
            }
            // The next start must know that something may be lost before anything can be, and be able to tell whether it is.
            Durability::Sync | Durability::Interval => self.sync()?,
        }
        self.quiet_at = Some(Instant::now() + QUIET);
        Ok(lsn)
    }

    /// Whether nobody watches, or whoever does has seen all that is written.
    fn is_seen(&self) -> bool {
        self.shared.watch.as_ref().is_none_or(|watch| watch.saw(self.journal.end().lsn).is_ok())
    }

    fn append(&mut self) -> Result<Lsn, CommitError> {
        let now = (self.shared.settings.clock)();
        let bytes = self.journal.append(&mut self.buffer, now).map_err(|error| match error {
            WriteError::Full => CommitError::Full,
            WriteError::NoRoom(words) => {
                self.shared.troubles.begin(Who::Writing, TroubleKind::DiskFull, &words);
                CommitError::Full
            }
            WriteError::TooLarge => CommitError::TooLarge,
            WriteError::Broken(words) => self.shared.fail(words),
        })?;
        self.shared.counts.blocks.fetch_add(1, Ordering::Relaxed);
        self.shared.troubles.end(Who::Writing);
        self.tell(bytes);
        Ok(self.journal.end().lsn)
    }

    fn sync(&mut self) -> Result<(), CommitError> {
        self.sync_at = None;
        let (begun, before) = (Instant::now(), self.journal.synced());
        self.journal.sync().map_err(|words| self.shared.fail(words))?;
        if self.journal.synced() != before {
            self.shared.counts.synced(begun.elapsed());
            self.tell(0);
        }
        Ok(())
    }

    fn sync_or_fail(&mut self) {
        // The failure itself closes the intake, so that the next turn of the loop is the last.
        let _ = self.sync();
    }

    fn mark_synced(&mut self) {
        if self.shared.has_failed() {
            return;
        }
        self.buffer.clear();
        self.buffer.resize(HEADER_BYTES, 0);
        if self.journal.has_room(0) {
            // Nobody waits for this block: where it cannot be written, the next one finds out why.
            let _ = self.append();
        }
    }

    fn tell(&self, bytes: u64) {
        let synced: Position = self.journal.synced();
        self.shared.flow.written(bytes, synced, self.shared.settings.limits.merge_after_bytes);
    }

    fn answer(&self, waiting: Vec<Waiting>, result: Result<Lsn, CommitError>) {
        if let Ok(lsn) = result {
            let records: usize = waiting.iter().map(|waiting| waiting.records).sum();
            self.shared.counts.records.fetch_add(records as u64, Ordering::Relaxed);
            if waiting.iter().any(|waiting| !waiting.turns.is_empty()) {
                let mut answers = Vec::with_capacity(waiting.len());
                let mut overlay = self.shared.reading.overlay();
                for Waiting { turns, done, .. } in waiting {
                    overlay.add(lsn, turns);
                    answers.push(done);
                }
                drop(overlay);
                return answers.into_iter().for_each(|done| done(Ok(lsn)));
            }
        }
        waiting.into_iter().for_each(|waiting| (waiting.done)(result.clone()));
    }
}
