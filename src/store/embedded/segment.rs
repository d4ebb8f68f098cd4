//! The files of the journal: the next one is prepared ahead by a thread of its own, freed ones are used again.
//!
//! A segment is zeroed (or was filled before) so that writing into it never changes the file's shape: its sync then waits
//! for nothing but its own bytes. Whether a segment may go is not decided here.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::block::{HEADER_BYTES, Sealer};
use super::disk::{Disk, DiskFile, is_full, write_zeros};
use super::identity::StoreId;
use super::label::{FIRST_BLOCK, Label};
use crate::domain::UnixMillis;
use crate::store::Limits;

/// After a failure for want of space, further requests fail without a new attempt for so long.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The name under which a segment is made, before it is one.
const UNFINISHED: &str = "journal.new";

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
    /// There is no space now.
    Full,
    /// The disk failed, with its words.
    Broken(String),
}

#[derive(Debug, Default)]
struct State {
    /// Segments with blocks, closed ones with the time of their newest.
    used: BTreeMap<u64, UnixMillis>,
    prepared: Option<(u64, Arc<dyn DiskFile>)>,
    wanted: Option<u64>,
    /// The preparing thread is at it.
    making: bool,
    /// Freed, still under their old names.
    spare: Vec<u64>,
    failed: Option<(NoSegment, Instant)>,
    stopped: bool,
}

/// All segments of a journal.
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    store: StoreId,
    bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Segments {
    /// Begins with the segments that recovery found: those in use, an empty one after them, and those to be used again.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        store: StoreId,
        bytes: u64,
        used: BTreeMap<u64, UnixMillis>,
        prepared: Option<(u64, Arc<dyn DiskFile>)>,
        spare: Vec<u64>,
    ) -> Self {
        let wanted = used.keys().next_back().map(|newest| newest + 1).filter(|_| prepared.is_none());
        let state = State { used, prepared, wanted, spare, ..State::default() };
        Self { disk, store, bytes, state: Mutex::new(state), changed: Condvar::new() }
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

    /// Opens a segment for reading.
    pub(super) fn open(&self, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(&name_of(segment), false)
    }

    /// Takes the segment after `closed`, whose newest block is of `newest`. Waits for it where it is still being made.
    pub(super) fn next(&self, closed: u64, newest: UnixMillis) -> Result<Arc<dyn DiskFile>, NoSegment> {
        let mut state = self.state();
        match &state.failed {
            Some((NoSegment::Full, at)) if at.elapsed() >= RETRY_AFTER => state.failed = None,
            Some((failure, _)) => return Err(failure.clone()),
            None => {}
        }
        if state.prepared.is_none() && !state.making {
            state.wanted = Some(closed + 1);
            self.changed.notify_all();
        }
        loop {
            if let Some((number, file)) = state.prepared.take() {
                debug_assert_eq!(number, closed + 1, "segments are taken in order");
                state.used.insert(closed, newest);
                state.used.insert(number, newest);
                state.wanted = Some(number + 1);
                self.changed.notify_all();
                return Ok(file);
            }
            if let Some((failure, _)) = &state.failed {
                return Err(failure.clone());
            }
            if state.stopped {
                return Err(NoSegment::Broken("the thread that prepares segments has ended".to_owned()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
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

    /// Prepares and removes files until `stop`; the life of the preparing thread.
    pub(super) fn prepare_all(&self) {
        let mut state = self.state();
        while !state.stopped {
            if let Some(segment) = state.wanted.take() {
                let spare = state.spare.pop();
                state.making = true;
                drop(state);
                let made = self.prepare(segment, spare);
                state = self.state();
                state.making = false;
                match made {
                    Ok(file) => state.prepared = Some((segment, file)),
                    Err(error) if is_full(&error) => state.failed = Some((NoSegment::Full, Instant::now())),
                    Err(error) => {
                        let words = format!("{} cannot be made: {error}", name_of(segment));
                        state.failed = Some((NoSegment::Broken(words), Instant::now()));
                    }
                }
                self.changed.notify_all();
            } else if state.spare.len() > 1 {
                let surplus: Vec<u64> = state.spare.drain(1..).collect();
                drop(state);
                // A file that cannot be removed is removed at the next start: it is before the oldest that counts.
                surplus.iter().for_each(|segment| drop(self.disk.remove(&name_of(*segment))));
                state = self.state();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn prepare(&self, segment: u64, spare: Option<u64>) -> io::Result<Arc<dyn DiskFile>> {
        let label = Label { store: self.store, segment, bytes: self.bytes };
        let Some(spare) = spare else { return create(&*self.disk, label, &[]) };
        let file = self.open(spare)?;
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
