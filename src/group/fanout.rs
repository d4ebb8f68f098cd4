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
    pub(super) fn move_cursors(&self) -> Option<Instant> {
        let (now, mut soonest) = (self.now(), None::<Instant>);
        let rooms = self.with_news.borrow().len();
        for _ in 0..rooms {
            let Some(room) = self.with_news.borrow_mut().pop_front() else { break };
            let mut guest = room.borrow_mut();
            if guest.due(now).is_some_and(|due| due <= now) {
                let seats = SEATS_PER_STEP.min(self.frames_allowed(now));
                let sent = guest.step(&mut self.outboxes.borrow_mut(), seats, now);
                self.frames_left.set(self.frames_left.get().saturating_sub(sent));
                self.metrics().pushes_sent.add(sent);
                if guest.is_calm() {
                    self.metrics().push.record(guest.news_age());
                }
            }
            let due = guest.due(now).map(|due| if self.frames_allowed(now) == 0 { due.max(now + Duration::from_millis(1)) } else { due });
            guest.queued = due.is_some();
            drop(guest);
            if let Some(due) = due {
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
                self.with_news.borrow_mut().push_back(room);
            }
        }
        soonest
    }

    /// How many pushes the node's bound leaves to this shard at the moment.
    fn frames_allowed(&self, now: Instant) -> usize {
        let per_second = self.node.limits.push_frames_per_second / self.node.inboxes.len() as u64;
        if self.node.limits.push_frames_per_second == 0 {
            return usize::MAX;
        }
        let since = now.duration_since(self.frames_refilled.get());
        let fresh = (per_second.max(1) as u128 * since.as_micros() / 1_000_000) as u64;
        if fresh > 0 {
            self.frames_refilled.set(now);
            // A tenth of a second's worth may be saved up.
            self.frames_left.set((self.frames_left.get() + fresh).min((per_second / 10).max(1)));
        }
        self.frames_left.get() as usize
    }
}
