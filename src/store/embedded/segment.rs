//! The files of the journal: the next one is prepared ahead by a thread of its own, freed ones are used again.
//!
//! A segment is zeroed (or was filled before) so that writing into it never changes the file's shape: its sync then waits
//! for nothing but its own bytes. Whether a segment may go is not decided here.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, LOOK_EVERY};
use super::block::{HEADER_BYTES, Sealer};
use super::disk::{Disk, DiskFile, write_zeros};
use super::identity::StoreId;
use super::label::{FIRST_BLOCK, Label};
use super::troubles::{Troubles, Who, passing};
use crate::domain::UnixMillis;
use crate::store::{Limits, TroubleKind};

/// After a failure the next attempt comes after so long …
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// … and after so long at most, however often it failed, or at once where there is more room.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// The name under which a segment is made, before it is one.
pub(super) const UNFINISHED: &str = "journal.new";

/// The file's name of a segment.
pub(super) fn name_of(segment: u64) -> String {
    format!("journal-{segment:016x}")
}

/// The segment of a file's name.
pub(super) fn segment_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().filter(|segment| name_of(*segment) == name)
}

/// The size of new segments: what was asked for, in a form that blocks fit into.
pub(super) fn segment_bytes(limits: &Limits) -> u64 {
    limits.segment_bytes.clamp(4096, 1 << 30) & !4095
}

/// Makes a segment that begins with such blocks, and its name safe.
pub(super) fn create(disk: &dyn Disk, label: Label, blocks: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
    let made = (|| {
        let file = disk.open(UNFINISHED, true)?;
        // Where there is no room this finds it out without writing anything.
        file.reserve(label.bytes)?;
        file.write_at(0, &label.encode())?;
        file.write_at(FIRST_BLOCK, blocks)?;
        write_zeros(&*file, FIRST_BLOCK + blocks.len() as u64, label.bytes)?;
        file.sync()?;
        disk.rename(UNFINISHED, &name_of(label.segment))?;
        disk.sync_dir()?;
        Ok(file)
    })();
    if made.is_err() {
        // What is left of it would take the very space that is missing.
        let _ = disk.remove(UNFINISHED);
    }
    made
}

/// The next segment cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoSegment {
    /// There is no space now, or no descriptor.
    Full,
    /// The disk failed, with its words.
    Broken(String),
}

#[derive(Debug)]
struct State {
    /// Segments with blocks, closed ones with the time of their newest.
    used: BTreeMap<u64, UnixMillis>,
    /// Those that may hold what is not merged, open: the merger must not need a descriptor.
    open: BTreeMap<u64, Arc<dyn DiskFile>>,
    prepared: Option<(u64, Arc<dyn DiskFile>)>,
    wanted: Option<u64>,
    /// Freed, still under their old names.
    spare: Vec<u64>,
    /// Why the last attempt has failed, where it has.
    failed: Option<NoSegment>,
    backoff: Backoff,
    attempts_failed: u64,
    stopped: bool,
}

/// All segments of a journal.
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    store: StoreId,
    bytes: u64,
    troubles: Arc<Troubles>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Segments {
    /// Begins with the segments that recovery found: those in use, an empty one after them, and those to be used again.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        (store, bytes): (StoreId, u64),
        troubles: Arc<Troubles>,
        used: BTreeMap<u64, UnixMillis>,
        prepared: Option<(u64, Arc<dyn DiskFile>)>,
        spare: Vec<u64>,
    ) -> Self {
        let wanted = used.keys().next_back().map(|newest| newest + 1).filter(|_| prepared.is_none());
        let (open, backoff) = (BTreeMap::new(), Backoff::new(RETRY_AFTER, RETRY_AFTER_MAX));
        let state = State { used, open, prepared, wanted, spare, failed: None, backoff, attempts_failed: 0, stopped: false };
        Self { disk, store, bytes, troubles, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The bytes of a new segment.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes of the largest block that a new segment holds: behind its label, with a place left for its last block.
    pub(super) fn block_bytes_max(&self) -> u64 {
        self.bytes - FIRST_BLOCK - HEADER_BYTES as u64
    }

    /// What makes the blocks of a segment.
    pub(super) fn sealer(&self, segment: u64) -> Sealer {
        Sealer::new(self.store, segment)
    }

    /// A segment, to be merged or gone on with: it stays open until it is merged.
    pub(super) fn open(&self, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.look_at(segment)?;
        self.state().open.insert(segment, file.clone());
        Ok(file)
    }

    /// A segment, to be read once.
    pub(super) fn look_at(&self, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        match state.open.get(&segment) {
            Some(file) => Ok(file.clone()),
            None => self.disk.open(&name_of(segment), false),
        }
    }

    /// Takes the segment after `closed`, whose newest block is of `newest`. Waits for it where it is still being made; after
    /// a failure it does not: the next attempt is made in its time.
    pub(super) fn next(&self, closed: u64, newest: UnixMillis) -> Result<Arc<dyn DiskFile>, NoSegment> {
        let mut state = self.state();
        loop {
            if let Some((number, file)) = state.prepared.take() {
                debug_assert_eq!(number, closed + 1, "segments are taken in order");
                state.used.insert(closed, newest);
                state.used.insert(number, newest);
                state.open.insert(number, file.clone());
                state.wanted = Some(number + 1);
                self.changed.notify_all();
                return Ok(file);
            }
            if let Some(failure) = &state.failed {
                return Err(failure.clone());
            }
            if state.stopped {
                return Err(NoSegment::Broken("the thread that prepares segments has ended".to_owned()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything before a segment is merged: nobody will read it any more.
    pub(super) fn merged_before(&self, segment: u64) {
        let mut state = self.state();
        state.open = state.open.split_off(&segment);
    }

    /// The oldest segment that must stay when those may go that are before `before` and whose newest block is older than
    /// `window`; `None` where none may go.
    pub(super) fn oldest_needed(&self, before: u64, now: UnixMillis, window: Duration) -> Option<u64> {
        let state = self.state();
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let mut needed = None;
        for (segment, newest) in state.used.range(..before) {
            if now.saturating_sub(*newest) <= window {
                break;
            }
            needed = Some(segment + 1);
        }
        needed
    }

    /// Lets all segments before `oldest` go. The caller has made sure that nobody will ask for them again.
    pub(super) fn free_before(&self, oldest: u64) {
        let mut state = self.state();
        let kept = state.used.split_off(&oldest);
        let freed = std::mem::replace(&mut state.used, kept);
        state.spare.extend(freed.into_keys());
        self.changed.notify_all();
    }

    /// How many files there are.
    pub(super) fn count(&self) -> u64 {
        let state = self.state();
        (state.used.len() + state.spare.len() + usize::from(state.prepared.is_some())) as u64
    }

    /// Ends `prepare_all`.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// How many attempts to prepare a segment have failed.
    pub(super) fn attempts_failed(&self) -> u64 {
        self.state().attempts_failed
    }

    /// Prepares and removes files until `stop`; the life of the preparing thread.
    pub(super) fn prepare_all(&self) {
        let mut state = self.state();
        while !state.stopped {
            let due = state.backoff.is_due(Instant::now(), || self.disk.room());
            if let Some(segment) = state.wanted.filter(|_| due) {
                state = self.attempt(state, segment);
            } else if state.spare.len() > 1 {
                let surplus: Vec<u64> = state.spare.drain(1..).collect();
                drop(state);
                // A file that cannot be removed is removed at the next start: it is before the oldest that counts.
                surplus.iter().for_each(|segment| drop(self.disk.remove(&name_of(*segment))));
                state = self.state();
            } else if state.backoff.is_waiting() {
                state = self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn attempt<'a>(&'a self, mut state: MutexGuard<'a, State>, segment: u64) -> MutexGuard<'a, State> {
        let spare = state.spare.pop();
        drop(state);
        let made = self.prepare(segment, spare);
        let mut state = self.state();
        match made {
            Ok(file) => {
                (state.prepared, state.wanted, state.failed) = (Some((segment, file)), None, None);
                state.backoff.succeeded();
                self.troubles.end(Who::Preparing);
            }
            Err(error) => {
                let words = format!("{} cannot be made: {error}", name_of(segment));
                let kind = passing(&error);
                self.troubles.begin(Who::Preparing, kind.unwrap_or(TroubleKind::SegmentFailing), &words);
                state.failed = Some(if kind.is_some() { NoSegment::Full } else { NoSegment::Broken(words) });
                state.backoff.failed(Instant::now(), self.disk.room());
                state.attempts_failed += 1;
                state.spare.extend(spare);
            }
        }
        self.changed.notify_all();
        state
    }

    fn prepare(&self, segment: u64, spare: Option<u64>) -> io::Result<Arc<dyn DiskFile>> {
        let label = Label { store: self.store, segment, bytes: self.bytes };
        let Some(spare) = spare else { return create(&*self.disk, label, &[]) };
        let file = match self.disk.open(&name_of(spare), false) {
            Err(error) if error.kind() == ErrorKind::NotFound => return create(&*self.disk, label, &[]),
            opened => opened?,
        };
        if file.len()? != self.bytes {
            self.disk.remove(&name_of(spare))?;
            return create(&*self.disk, label, &[]);
        }
        // The label is safe before the name counts: what counts has a true label.
        file.write_at(0, &label.encode())?;
        file.sync()?;
        self.disk.rename(&name_of(spare), &name_of(segment))?;
        self.disk.sync_dir()?;
        Ok(file)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
