//! Where commits wait for the committer. To put one here never waits for the disk.
//!
//! Its length is bounded by its callers: each has few commits under way at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::store::{Batch, CommitError, Done, Lsn};

/// A commit that waits.
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) done: Done<Lsn, CommitError>,
}

/// What the committer finds.
pub(super) enum Taken {
    /// All that waited, in order.
    Commits(Vec<Pending>),
    /// Nothing came in time.
    Nothing,
    /// No more commits will come; those that still waited are to be refused with the error.
    End(Vec<Pending>, CommitError),
}

#[derive(Default)]
struct State {
    waiting: Vec<Pending>,
    closed: Option<CommitError>,
    parked: bool,
}

/// The queue.
#[derive(Default)]
pub(super) struct Intake {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Intake {
    /// Adds a commit, or refuses it at once.
    pub(super) fn put(&self, batch: Batch, done: Done<Lsn, CommitError>) {
        let mut state = self.state();
        if let Some(error) = state.closed.clone() {
            drop(state);
            return done(Err(error));
        }
        state.waiting.push(Pending { batch, done });
        if std::mem::take(&mut state.parked) {
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// Takes no more commits. `Closed` lets those finish that wait, `Broken` refuses them, too.
    pub(super) fn close(&self, error: CommitError) {
        let mut state = self.state();
        if state.closed.is_none() || error == CommitError::Broken {
            state.closed = Some(error);
        }
        self.arrived.notify_one();
    }

    /// Waits for commits, until `deadline` where there is one.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut state = self.state();
        loop {
            match &state.closed {
                Some(error) if *error == CommitError::Broken || state.waiting.is_empty() => {
                    let error = error.clone();
                    return Taken::End(std::mem::take(&mut state.waiting), error);
                }
                _ if !state.waiting.is_empty() => return Taken::Commits(std::mem::take(&mut state.waiting)),
                _ => state.parked = true,
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    state.parked = false;
                    return Taken::Nothing;
                }
                Some(left) => self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
