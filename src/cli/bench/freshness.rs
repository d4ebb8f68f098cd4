//! How old the values are that members hold. One book for each room: of each acknowledged write when it was due and when it was
//! acknowledged, and of each watched member how far he has seen. Versions stand for writes: one write, one version.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Writes of one room that some watched member has not seen yet. Above it the oldest are forgotten, and that is told.
const OPEN_MAX: usize = 1 << 18;
/// How often, in acknowledgements, it is looked which writes everybody has seen.
const TIDY_EVERY: u32 = 256;
/// Pushes of which it is remembered when they came, for writes whose answer comes later.
const REMEMBERED: usize = 4;

/// What a watched member has learnt of a write.
pub(super) struct Seen {
    /// Since the write was due.
    pub since_due: Duration,
    /// Since it was acknowledged; 0 where the member knew before.
    pub since_answer: Duration,
}

#[derive(Clone, Copy)]
struct Write {
    due: Instant,
    answered: Instant,
}

/// The book of one room.
#[derive(Default)]
pub(super) struct Freshness {
    /// The version of the first of `open`.
    first: u64,
    /// `None`: somebody else's write, or one that does not count.
    open: VecDeque<Option<Write>>,
    watched: Vec<Watched>,
    since_tidied: u32,
    /// Writes that were forgotten because some member was too far behind.
    pub(super) forgotten: u64,
}

/// The newest versions that a member got, and when; the last is the newest.
struct Watched {
    pushes: [(u64, Option<Instant>); REMEMBERED],
}

impl Watched {
    fn newest(&self) -> u64 {
        self.pushes[REMEMBERED - 1].0
    }

    /// When he first held a version at least as high. Where that is too long ago, the oldest remembered time is told: later
    /// than it was, never earlier.
    fn held_at(&self, version: u64) -> Option<Instant> {
        self.pushes.iter().find(|(pushed, at)| *pushed >= version && at.is_some()).and_then(|(_, at)| *at)
    }
}

impl Freshness {
    /// Watches one more member, who holds this version. Returns the number he has here.
    pub(super) fn watch(&mut self, version: u64) -> usize {
        self.watched.push(Watched { pushes: [(version, None); REMEMBERED] });
        self.watched.len() - 1
    }

    /// A watched member holds this version from now on. What he sees by it for the first time is handed out.
    pub(super) fn held(&mut self, member: usize, version: u64, now: Instant, mut seen: impl FnMut(Seen)) {
        let watched = &mut self.watched[member];
        let before = watched.newest();
        if version <= before {
            return;
        }
        watched.pushes.rotate_left(1);
        watched.pushes[REMEMBERED - 1] = (version, Some(now));
        let from = (before + 1).saturating_sub(self.first) as usize;
        let to = ((version + 1).saturating_sub(self.first) as usize).min(self.open.len());
        for write in self.open.iter().take(to).skip(from).flatten() {
            let since_due = now.saturating_duration_since(write.due);
            seen(Seen { since_due, since_answer: now.saturating_duration_since(write.answered) });
        }
    }

    /// A write of the test was acknowledged. Those who held it before are handed out now, the others when they hold it.
    pub(super) fn answered(&mut self, version: u64, due: Instant, now: Instant, mut seen: impl FnMut(Seen)) {
        if self.watched.is_empty() {
            return;
        }
        let mut missing = false;
        for watched in &self.watched {
            match watched.held_at(version) {
                Some(at) if watched.newest() >= version => {
                    seen(Seen { since_due: at.saturating_duration_since(due), since_answer: Duration::ZERO });
                }
                // He joined with it, so no push told him.
                None if watched.newest() >= version => {}
                _ => missing = true,
            }
        }
        if missing {
            self.open_until(version);
            if let Some(slot) = version.checked_sub(self.first).and_then(|at| self.open.get_mut(at as usize)) {
                *slot = Some(Write { due, answered: now });
            }
        }
        self.since_tidied += 1;
        if self.since_tidied >= TIDY_EVERY {
            self.tidy();
        }
    }

    /// Makes room up to this version.
    fn open_until(&mut self, version: u64) {
        if self.open.is_empty() {
            self.first = self.slowest() + 1;
        }
        let length = (version + 1).saturating_sub(self.first) as usize;
        let excess = length.saturating_sub(OPEN_MAX);
        if excess > 0 {
            self.forgotten += self.open.drain(..excess.min(self.open.len())).flatten().count() as u64;
            self.first += excess as u64;
        }
        let length = length - excess;
        if length > self.open.len() {
            self.open.resize(length, None);
        }
    }

    fn tidy(&mut self) {
        self.since_tidied = 0;
        let done = ((self.slowest() + 1).saturating_sub(self.first) as usize).min(self.open.len());
        self.open.drain(..done);
        self.first += done as u64;
    }

    fn slowest(&self) -> u64 {
        self.watched.iter().map(Watched::newest).min().unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn millis(seen: &[(u128, u128)]) -> Vec<(u128, u128)> {
        seen.to_vec()
    }

    struct Room(Freshness, Vec<(u128, u128)>);

    impl Room {
        fn held(&mut self, member: usize, version: u64, now: Instant) -> Vec<(u128, u128)> {
            let Self(book, seen) = self;
            book.held(member, version, now, |s| seen.push((s.since_due.as_millis(), s.since_answer.as_millis())));
            millis(&std::mem::take(seen))
        }
        fn answered(&mut self, version: u64, due: Instant, now: Instant) -> Vec<(u128, u128)> {
            let Self(book, seen) = self;
            book.answered(version, due, now, |s| seen.push((s.since_due.as_millis(), s.since_answer.as_millis())));
            millis(&std::mem::take(seen))
        }
    }

    fn room(members: usize) -> Room {
        let mut book = Freshness::default();
        (0..members).for_each(|_| _ = book.watch(10));
        Room(book, Vec::new())
    }

    #[test]
    fn a_push_after_the_answer_counts_from_both() {
        let (mut room, t) = (room(2), Instant::now());
        assert_eq!(room.answered(11, t, at(t, 5)), []);
        assert_eq!(room.held(0, 11, at(t, 8)), [(8, 3)]);
        assert_eq!(room.held(1, 11, at(t, 25)), [(25, 20)]);
        assert_eq!(room.held(1, 11, at(t, 30)), []);
    }

    #[test]
    fn a_push_before_the_answer_is_fresh_at_once_and_keeps_its_own_time() {
        let (mut room, t) = (room(1), Instant::now());
        for version in 11..=13 {
            room.held(0, version, at(t, version));
        }
        assert_eq!(room.answered(11, t, at(t, 20)), [(11, 0)]);
        assert_eq!(room.answered(13, at(t, 2), at(t, 20)), [(11, 0)]);
    }

    #[test]
    fn one_push_tells_of_all_writes_that_it_includes() {
        let (mut room, t) = (room(1), Instant::now());
        room.answered(12, at(t, 1), at(t, 2));
        room.answered(11, t, at(t, 2));
        // 13 is a stranger's.
        assert_eq!(room.held(0, 14, at(t, 4)), [(4, 2), (3, 2)]);
        assert_eq!(room.answered(14, at(t, 3), at(t, 5)), [(1, 0)]);
    }

    #[test]
    fn what_everybody_has_seen_is_forgotten_and_nothing_else() {
        let (mut room, t) = (room(2), Instant::now());
        for version in 11..2011 {
            assert_eq!(room.answered(version, t, t), []);
            room.held(0, version, t);
        }
        assert_eq!(room.0.open.len(), 2000);
        assert_eq!(room.held(1, 2010, t).len(), 2000);
        for version in 2011..2011 + u64::from(TIDY_EVERY) {
            room.held(0, version, t);
            room.held(1, version, t);
            room.answered(version, t, t);
        }
        assert!(room.0.open.is_empty() && room.0.forgotten == 0);
    }

    #[test]
    fn a_member_who_never_sees_anything_costs_a_bounded_book() {
        let (mut room, t) = (room(1), Instant::now());
        let writes = OPEN_MAX as u64 + 100;
        (0..writes).for_each(|at| drop(room.answered(11 + at, t, t)));
        assert_eq!((room.0.open.len(), room.0.forgotten), (OPEN_MAX, 100));
        assert_eq!(room.held(0, 10 + writes, t).len(), OPEN_MAX);
    }
}
