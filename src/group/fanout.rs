//! The pushes of one shard: newer values come into its rooms, and their cursors go round, a step at a turn.

use std::time::{Duration, Instant};

use super::Incarnation;
use super::inbox::Update;
use super::shard::{RoomRef, Shard};
use crate::protocol::close::Close;

/// Seats that a cursor looks at before others have their turn.
pub(super) const SEATS_PER_STEP: usize = 128;
/// Seats of a room whose pushes a turn's answers wait for: so an answer and its push go in one write.
const SEATS_ANSWERS_WAIT_FOR: usize = 32;

impl Shard {
    /// Gives newer values to the members on this shard; `conflated` of them are told no more.
    pub(super) fn publish_here(&self, of: &Incarnation, updates: &[Update], conflated: u64) {
        let Some(room) = self.rooms.borrow().get(&of.group).filter(|room| room.borrow().of == *of).cloned() else { return };
        let mut guest = room.borrow_mut();
        let conflated = conflated * guest.len() as u64 + guest.publish(updates, self.now());
        self.metrics().pushes_conflated.add(conflated);
        let outboxes = self.outboxes.borrow();
        for bell in guest.too_far_behind(&outboxes).into_iter().filter_map(|slot| outboxes.bell_of(slot)) {
            bell.closing.borrow_mut().get_or_insert(Close::STALLED);
            bell.ring();
        }
        drop(guest);
        self.give_way(&room);
    }

    /// Puts a room with news into the list of those whose cursor has to move, once.
    fn give_way(&self, room: &RoomRef) {
        if !std::mem::replace(&mut room.borrow_mut().queued, true) {
            self.with_news.borrow_mut().push_back(room.clone());
        }
    }

    /// Whether a room with news has so many seats that answers should not wait for its cursor.
    pub(super) fn has_crowd_ahead(&self) -> bool {
        self.with_news.borrow().iter().any(|room| room.borrow().len() > SEATS_ANSWERS_WAIT_FOR)
    }

    /// Moves the cursors of all rooms with news a step on. Comes back with the time at which one may go on.
    ///
    /// Where the node's pushes are bounded, each room gets an equal part of what is left, and the next turn goes on with the
    /// room for which nothing was left: a busy room can therefore not starve a calm one.
    pub(super) fn move_cursors(&self) -> Option<Instant> {
        let (now, mut soonest) = (self.now(), None::<Instant>);
        let rooms = self.with_news.borrow().len();
        for still in (1..=rooms as u64).rev() {
            let Some(room) = self.with_news.borrow_mut().pop_front() else { break };
            let mut guest = room.borrow_mut();
            if guest.due(now).is_some_and(|due| due <= now) {
                let frames = self.pushes_allowed();
                if frames == 0 {
                    drop(guest);
                    self.with_news.borrow_mut().push_front(room);
                    let next = now + self.until_next_push();
                    return Some(soonest.map_or(next, |soonest| soonest.min(next)));
                }
                let sent = guest.step(&mut self.outboxes.borrow_mut(), SEATS_PER_STEP, frames.div_ceil(still), now);
                self.count_pushes(sent);
                if guest.is_calm()
                    && let Some(age) = guest.news_age()
                {
                    self.metrics().push.record(age);
                }
            }
            let due = guest.due(now);
            guest.queued = due.is_some();
            drop(guest);
            if let Some(due) = due {
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
                self.with_news.borrow_mut().push_back(room);
            }
        }
        soonest
    }

    /// Brings a connection up to date whose pipe has room again; a room that may not push now will come to it in its turn.
    pub(super) fn catch_up(&self, slot: u32, now: Instant) {
        let rooms: Vec<_> = match self.outboxes.borrow_mut().places(slot) {
            Some(places) => places.in_turn().collect(),
            None => return,
        };
        for (room, at) in rooms {
            if self.pushes_allowed() == 0 {
                room.borrow_mut().look_again();
                self.give_way(&room);
                self.ring();
            } else {
                self.count_pushes(room.borrow_mut().serve(at as usize, &mut self.outboxes.borrow_mut(), now));
            }
        }
    }

    fn count_pushes(&self, sent: u64) {
        self.metrics().pushes_sent.add(sent);
        if let Some(budget) = &self.node.budget {
            budget.spend(self.index as usize, sent);
        }
    }

    /// How many pushes the node's bound leaves to this shard at the moment.
    pub(super) fn pushes_allowed(&self) -> u64 {
        self.node.budget.as_ref().map_or(u64::MAX, |budget| budget.allows(self.index as usize, self.node.nanos(self.now())))
    }

    /// Timers are no finer than a millisecond.
    fn until_next_push(&self) -> Duration {
        let nanos = self.node.budget.as_ref().map_or(0, |budget| budget.wait_nanos(self.index as usize));
        Duration::from_nanos(nanos).max(Duration::from_millis(1))
    }
}
