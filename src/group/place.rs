//! In which rooms one connection sits, and for which groups a place is kept until its request is answered.
//!
//! A connection has so many places and no more. Those that its user asked for are theirs: what others cause, by adding the user
//! to groups, gets what is left, and gives way.

use std::cell::RefCell;
use std::rc::Rc;

use smallvec::SmallVec;

use super::room::Room;
use crate::domain::name::GroupId;

/// A connection's seat in a room of its shard.
pub struct Place {
    /// The room.
    pub room: Rc<RefCell<Room>>,
    /// The index there.
    pub at: u32,
    /// The home's number of this seating.
    pub seating: u32,
    /// The user asked for it.
    pub asked: bool,
}

/// Groups with the number of open requests for each.
#[derive(Default)]
struct Kept(Vec<(GroupId, u32)>);

/// All places of one connection.
#[derive(Default)]
pub struct Places {
    /// In the order in which they were taken.
    taken: SmallVec<[Place; 1]>,
    /// Groups that the user has asked for, with the number of requests that are not answered yet. Absent most of the time.
    kept: Option<Box<Kept>>,
    /// Which room comes first when the connection catches up.
    first: u32,
}

impl Places {
    /// Whether it sits nowhere.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// In how many rooms it sits.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Keeps a place for a request of the user; `max` in all, 0 = no limit. False: every place is one that the user asked for.
    /// What others caused does not count, because it gives way.
    pub fn keep(&mut self, group: &GroupId, max: usize) -> bool {
        let Kept(kept) = self.kept.get_or_insert_default().as_mut();
        if let Some((_, requests)) = kept.iter_mut().find(|(known, _)| known == group) {
            *requests += 1;
            return true;
        }
        if max > 0 && self.taken.len() + kept.len() >= max {
            let not_counted = |place: &&Place| {
                let room = place.room.borrow();
                place.asked && room.of.group != *group && !kept.iter().any(|(known, _)| *known == room.of.group)
            };
            if kept.len() + self.taken.iter().filter(not_counted).count() >= max {
                if kept.is_empty() {
                    self.kept = None;
                }
                return false;
            }
        }
        kept.push((group.clone(), 1));
        true
    }

    /// One request for a group is answered.
    pub fn release(&mut self, group: &GroupId) {
        let Some(Kept(kept)) = self.kept.as_deref_mut() else { return };
        if let Some(at) = kept.iter().position(|(known, _)| known == group) {
            kept[at].1 -= 1;
            if kept[at].1 == 0 {
                kept.swap_remove(at);
            }
        }
        if kept.is_empty() {
            self.kept = None;
        }
    }

    /// No answer is waited for any more.
    pub fn release_all(&mut self) {
        self.kept = None;
    }

    /// Takes a place.
    pub fn push(&mut self, place: Place) {
        self.taken.push(place);
    }

    /// The place in a room.
    pub fn of(&mut self, room: &Rc<RefCell<Room>>) -> Option<&mut Place> {
        self.taken.iter_mut().find(|place| Rc::ptr_eq(&place.room, room))
    }

    /// Gives up the place of which this is true, the newest one first.
    pub fn remove(&mut self, is_it: impl Fn(&Place) -> bool) -> Option<Place> {
        let at = self.taken.iter().rposition(is_it)?;
        Some(self.taken.remove(at))
    }

    /// Gives up the newest place that somebody else caused.
    pub fn remove_unasked(&mut self) -> Option<Place> {
        let kept = self.kept.take();
        let is_kept = |room: &Room| kept.iter().flat_map(|kept| &kept.0).any(|(group, _)| *group == room.of.group);
        let removed = self.remove(|place| !place.asked && !is_kept(&place.room.borrow()));
        self.kept = kept;
        removed
    }

    /// Rooms with the index of the seat in each. Another one comes first each time: one that is always busy must not take the
    /// whole pipe.
    pub fn in_turn(&mut self) -> impl Iterator<Item = (Rc<RefCell<Room>>, u32)> {
        let first = self.first as usize % self.taken.len().max(1);
        self.first = first as u32 + 1;
        let (before, after) = self.taken.split_at(first);
        after.iter().chain(before).map(|place| (place.room.clone(), place.at))
    }
}
