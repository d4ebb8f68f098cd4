//! The answers a group has given to named operations, kept for a window so that a repeat counts nothing twice.
//!
//! Only applied writes are here. What is kept is small and of a fixed size: a keyed 128-bit print of user and
//! operation id, the print of the command, and the answer.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use super::UnixMillis;
use super::name::{OpId, UserId};
use super::record::Answer;

/// What is known of an operation id.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing: it is a new write.
    New,
    /// The same command was applied: this was its answer.
    Same(&'a Answer),
    /// Another command was applied under this id.
    Different,
}

/// The prints' secret keys. One for a whole node: without it nobody can make two operations look alike.
#[derive(Debug, Clone, Default)]
pub struct PrintKeys(RandomState, RandomState);

impl PrintKeys {
    /// The print of a user's operation.
    pub fn print(&self, user: &UserId, id: &OpId) -> u128 {
        let name = (user.as_str(), id.as_str());
        u128::from(self.0.hash_one(name)) << 64 | u128::from(self.1.hash_one(name))
    }
}

#[derive(Debug)]
struct Kept {
    command: u64,
    answer: Answer,
}

/// One group's memory of answered operations, oldest first.
#[derive(Debug, Default)]
pub struct Replays {
    by_print: HashMap<u128, Kept>,
    order: VecDeque<(UnixMillis, u128)>,
}

impl Replays {
    /// Looks an operation up.
    pub fn find(&self, print: u128, command: u64) -> Seen<'_> {
        match self.by_print.get(&print) {
            None => Seen::New,
            Some(kept) if kept.command == command => Seen::Same(&kept.answer),
            Some(_) => Seen::Different,
        }
    }

    /// Keeps an answer. A print that is already known keeps its first answer.
    pub fn keep(&mut self, print: u128, command: u64, answer: Answer, at: UnixMillis) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.by_print.entry(print) {
            place.insert(Kept { command, answer });
            self.order.push_back((at, print));
        }
    }

    /// Takes the newest answer back: its write was not committed after all.
    pub fn take_back(&mut self, print: u128) {
        if self.order.back().is_some_and(|(_, newest)| *newest == print) {
            self.order.pop_back();
            self.by_print.remove(&print);
        }
    }

    /// Forgets answers given before `horizon`; says how many.
    pub fn forget_before(&mut self, horizon: UnixMillis) -> usize {
        let before = self.order.len();
        while self.order.front().is_some_and(|(at, _)| *at < horizon) {
            if let Some((_, print)) = self.order.pop_front() {
                self.by_print.remove(&print);
            }
        }
        if self.order.is_empty() && before > 0 {
            *self = Self::default();
        }
        before - self.order.len()
    }

    /// When the oldest answer was given.
    pub fn oldest(&self) -> Option<UnixMillis> {
        self.order.front().map(|(at, _)| *at)
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: u64) -> Answer {
        Answer { version, values: smallvec::smallvec![version as i64] }
    }

    #[test]
    fn a_repeat_gets_the_first_answer_until_the_window_is_over() {
        let mut replays = Replays::default();
        replays.keep(1, 7, answer(1), 1000);
        replays.keep(1, 7, answer(2), 1001);
        assert_eq!(replays.find(1, 7), Seen::Same(&answer(1)));
        assert_eq!(replays.find(1, 8), Seen::Different);
        assert_eq!(replays.find(2, 7), Seen::New);
        assert_eq!(replays.forget_before(1000), 0);
        assert_eq!(replays.forget_before(1001), 1);
        assert_eq!(replays.find(1, 7), Seen::New);
    }

    #[test]
    fn an_answer_taken_back_was_never_given() {
        let mut replays = Replays::default();
        replays.keep(1, 7, answer(1), 1000);
        replays.keep(2, 7, answer(2), 1000);
        replays.take_back(2);
        assert_eq!(replays.find(2, 7), Seen::New);
        assert_eq!(replays.len(), 1);
    }

    #[test]
    fn prints_depend_on_user_and_operation_and_their_border() {
        let keys = PrintKeys::default();
        let print = |u: &str, o: &str| keys.print(&UserId::parse(u).unwrap(), &OpId::parse(o).unwrap());
        assert_eq!(print("a", "b"), print("a", "b"));
        assert_ne!(print("a", "bc"), print("ab", "c"));
    }
}
