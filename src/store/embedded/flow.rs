//! How far the journal is written, synced and merged: where the committer and the merger wait for each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Position;
use crate::store::Lsn;

/// How the merger is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Merge all that is synced, then end.
    Merged,
    /// End at once.
    AsItIs,
}

/// Whether another block may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It may.
    Yes,
    /// Too much is unmerged, and the merger has no space.
    Full,
    /// The store has failed meanwhile.
    Failed,
}

#[derive(Debug, Default)]
struct State {
    synced: Position,
    merged: Lsn,
    unmerged_bytes: u64,
    merger_full: bool,
    stop: Option<Stop>,
}

/// The state of the flow from the journal to the table.
#[derive(Debug)]
pub(super) struct Flow {
    state: Mutex<State>,
    /// There is something to merge, or the end has come.
    work: Condvar,
    /// Something was merged, or could not be.
    room: Condvar,
}

impl Flow {
    /// All up to `synced` is synced, and merged up to `merged`; where that is less, the merger has found no space.
    pub(super) fn new(synced: Position, merged: Lsn, unmerged_bytes: u64) -> Self {
        let state = State { synced, merged, unmerged_bytes, merger_full: merged < synced.lsn, ..State::default() };
        Self { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new() }
    }

    /// More is written and synced; the merger is woken where `enough` is unmerged.
    pub(super) fn written(&self, bytes: u64, synced: Position, enough: u64) {
        let mut state = self.state();
        state.unmerged_bytes += bytes;
        state.synced = synced;
        if state.unmerged_bytes >= enough && !state.merger_full {
            self.work.notify_one();
        }
    }

    /// More is merged, up to here.
    pub(super) fn merged(&self, merged: Lsn, bytes: u64) {
        let mut state = self.state();
        state.merged = merged;
        state.unmerged_bytes = state.unmerged_bytes.saturating_sub(bytes);
        state.merger_full = false;
        self.room.notify_one();
    }

    /// The merger has found no space.
    pub(super) fn merger_is_full(&self) {
        self.state().merger_full = true;
        self.room.notify_one();
    }

    /// What is written and not merged.
    pub(super) fn unmerged_bytes(&self) -> u64 {
        self.state().unmerged_bytes
    }

    /// Waits until at most `bytes_max` are unmerged.
    pub(super) fn wait_for_room(&self, bytes_max: u64) -> Room {
        let mut state = self.state();
        loop {
            if state.stop == Some(Stop::AsItIs) {
                return Room::Failed;
            }
            if state.unmerged_bytes <= bytes_max {
                return Room::Yes;
            }
            if state.merger_full {
                return Room::Full;
            }
            self.work.notify_one();
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `enough` is unmerged, `after` is over, or the end has come; says what is synced then.
    pub(super) fn wait_for_work(&self, enough: u64, after: Duration) -> (Position, Option<Stop>) {
        let until = Instant::now() + after;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // After a full disk only time helps: to be woken by every block would be to try at every block.
            let ready = state.unmerged_bytes >= enough && state.synced.lsn > state.merged && !state.merger_full;
            if state.stop.is_some() || left.is_zero() || ready {
                return (state.synced, state.stop);
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the merger; the first word counts, except that a failure overrules.
    pub(super) fn stop(&self, how: Stop) {
        let mut state = self.state();
        if state.stop.is_none() || how == Stop::AsItIs {
            state.stop = Some(how);
        }
        self.work.notify_all();
        self.room.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
