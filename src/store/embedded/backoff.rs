//! When to try again what found no room: at once where there is room again, else after pauses that grow.

use std::time::{Duration, Instant};

/// How often somebody who waits looks whether there is room again, which costs one call of the operating system.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The pauses between attempts at one thing.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    /// After the last failure: when to try again, how long that pause is, how much room there was.
    failed: Option<(Instant, Duration, Option<u64>)>,
}

impl Backoff {
    /// Pauses that double from `first` to `most`.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failed: None }
    }

    /// An attempt has failed, with so much room on the disk where that can be told.
    pub(super) fn failed(&mut self, now: Instant, room: Option<u64>) {
        let pause = self.failed.map_or(self.first, |(_, pause, _)| (pause * 2).min(self.most));
        self.failed = Some((now + pause, pause, room));
    }

    /// An attempt has succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failed = None;
    }

    /// Whether the last attempt has failed.
    pub(super) fn is_waiting(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether it is time for an attempt, when there is so much room now.
    pub(super) fn is_due(&self, now: Instant, room: impl FnOnce() -> Option<u64>) -> bool {
        match self.failed {
            None => true,
            Some((at, _, before)) => now >= at || room().zip(before).is_some_and(|(now, before)| now > before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_end_where_there_is_more_room() {
        let (mut now, second) = (Instant::now(), Duration::from_secs(1));
        let mut backoff = Backoff::new(second, second * 5);
        assert!(backoff.is_due(now, || None));
        for pause in [1, 2, 4, 5, 5] {
            backoff.failed(now, Some(10));
            assert!(!backoff.is_due(now + second * pause - Duration::from_millis(1), || Some(10)));
            assert!(!backoff.is_due(now, || Some(9)) && !backoff.is_due(now, || None));
            assert!(backoff.is_due(now, || Some(11)), "there is more room");
            now += second * pause;
            assert!(backoff.is_due(now, || Some(10)));
        }
        backoff.succeeded();
        assert!(backoff.is_due(now, || None) && !backoff.is_waiting());
    }
}
