//! An open loop of writes: each is due at its time, whatever became of those before. One that leaves late is still counted from
//! when it was due.

use std::time::{Duration, Instant};

use super::client::Fleet;
use super::crew::Crew;

/// Writers that are tried before a write has to wait.
const TRIED_MAX: usize = 64;
/// Writes that leave at once; then it is read again.
const BURST_MAX: usize = 256;
/// When it is tried again after no writer had room.
const RETRY: Duration = Duration::from_millis(1);

/// Writes at a rate, by several writers in turn.
pub(super) struct Schedule {
    writers: Vec<usize>,
    per_second: f64,
    from: Instant,
    until: Instant,
    next: u64,
    turn: usize,
}

impl Schedule {
    pub(super) fn new(writers: Vec<usize>, per_second: f64, from: Instant, until: Instant) -> Self {
        Self { writers, per_second, from, until, next: 0, turn: 0 }
    }

    fn due(&self, write: u64) -> Instant {
        self.from + Duration::from_secs_f64(write as f64 / self.per_second)
    }

    /// Sends what is due, and says when to come again; `None` when it is over.
    pub(super) fn send(&mut self, fleet: &mut Fleet, crew: &mut Crew) -> Option<Instant> {
        for _ in 0..BURST_MAX {
            let (due, now) = (self.due(self.next), Instant::now());
            if due >= self.until {
                return None;
            }
            if due > now {
                return Some(due);
            }
            let Some(writer) = self.writer(crew) else { return Some(now + RETRY) };
            fleet.say(writer, |out| crew.write(writer, due, now, out));
            self.next += 1;
        }
        Some(Instant::now())
    }

    /// The next writer who can take one.
    fn writer(&mut self, crew: &Crew) -> Option<usize> {
        let tries = self.writers.len().min(TRIED_MAX);
        (0..tries).find_map(|_| {
            let writer = self.writers[self.turn % self.writers.len()];
            self.turn += 1;
            crew.members[writer].can_write().then_some(writer)
        })
    }

    /// Whether all have left.
    pub(super) fn is_over(&self) -> bool {
        self.due(self.next) >= self.until
    }

    /// How many writes were due until now and never left.
    pub(super) fn unsent(&self, now: Instant) -> u64 {
        let length = self.until.min(now).saturating_duration_since(self.from);
        let due = (length.as_secs_f64() * self.per_second).ceil() as u64;
        due.saturating_sub(self.next)
    }
}
