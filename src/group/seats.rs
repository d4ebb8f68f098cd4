//! Who sits in which room of this shard: the one place where that relation changes. A seat is in a room and among the places
//! of its connection, or in neither.
//!
//! A room that ends is emptied a few seats at a turn, as pushes are sent. Meanwhile another group may begin under its id: the
//! room has left the shard's list at once, and nothing is said to a connection that has still to hear of the end.

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use bytes::Bytes;

use super::Incarnation;
use super::fanout::SEATS_PER_STEP;
use super::inbox::{Letter, Sitting};
use super::place::Place;
use super::room::Room;
use super::shard::{RoomRef, Shard};
use crate::domain::name::GroupId;
use crate::protocol::push;
use crate::users::ConnId;

/// Members of an ended group that are forgotten before others have their turn.
const FORGOTTEN_PER_STEP: usize = 1024;

impl Shard {
    /// Keeps a place for a group that the user of a connection asks for. False: they have asked for as many as there are.
    pub fn keep_place(&self, connection: ConnId, group: &GroupId) -> bool {
        self.hear_ends(connection.slot);
        let max = self.node.limits.groups_per_connection_max;
        self.outboxes.borrow_mut().places(connection.slot).is_some_and(|places| places.keep(group, max))
    }

    /// A request for a group got no seat.
    pub(super) fn release_place(&self, connection: ConnId, group: &GroupId) {
        if let Some(places) = self.outboxes.borrow_mut().places(connection.slot) {
            places.release(group);
        }
    }

    /// Seats a connection; `told`: the frame before it held a snapshot of the version `seen`.
    pub(super) fn sit(&self, connection: ConnId, sitting: Sitting, told: bool) {
        let Sitting { of, seen, kind, seating, asked, has_place } = sitting;
        // Those places that are promised to other requests stay theirs: what is left may be taken, and gives way again.
        let asked = has_place || (asked && self.keep_place(connection, &of.group));
        if asked {
            self.release_place(connection, &of.group);
        }
        let known = self.rooms.borrow().get(&of.group).cloned();
        let interval = self.node.limits.push_min_interval[kind as usize];
        // The seats of an earlier life are gone by now: their end, or the order to leave, came before this.
        let room = known.filter(|room| room.borrow().of == of).unwrap_or_else(|| Rc::new(RefCell::new(Room::new(of.clone(), interval))));
        if !self.has_room(connection, &room, asked) {
            self.outboxes.borrow_mut().say(connection.slot, &push::group_unsubscribed(&of.group));
            return self.detach(of, connection, seating);
        }
        let mut outboxes = self.outboxes.borrow_mut();
        let Some(fd) = outboxes.socket(connection.slot).map(|socket| socket.as_raw_fd()) else { return };
        let Some(places) = outboxes.places(connection.slot) else { return };
        if let Some(place) = places.of(&room) {
            place.seating = seating;
            place.asked |= asked;
            // It sat already, and what was to be pushed to it may be in the snapshot.
            if told {
                room.borrow_mut().knows(place.at as usize, seen);
            }
            return;
        }
        let at = room.borrow_mut().sit(connection.slot, fd, seen) as u32;
        places.push(Place { room: room.clone(), at, seating, asked });
        self.rooms.borrow_mut().insert(of.group, room);
    }

    /// Whether a connection may sit in one more room. For a group that its user asks for, the newest seat that somebody else
    /// caused gives way, and the user is told.
    fn has_room(&self, connection: ConnId, room: &RoomRef, asked: bool) -> bool {
        let max = self.node.limits.groups_per_connection_max;
        let mut outboxes = self.outboxes.borrow_mut();
        let Some(places) = outboxes.places(connection.slot) else { return true };
        if max == 0 || places.len() < max || places.of(room).is_some() {
            return true;
        }
        let Some(place) = asked.then(|| places.remove_unasked()).flatten() else { return false };
        let of = place.room.borrow().of.clone();
        outboxes.say(connection.slot, &push::group_unsubscribed(&of.group));
        drop(outboxes);
        let seating = place.seating;
        self.vacate(place);
        self.detach(of, connection, seating);
        true
    }

    /// A connection leaves a room; its home knows.
    pub(super) fn rise(&self, connection: ConnId, of: &Incarnation) {
        let mut outboxes = self.outboxes.borrow_mut();
        let place = outboxes.places(connection.slot).and_then(|places| places.remove(|place| place.room.borrow().of == *of));
        drop(outboxes);
        if let Some(place) = place {
            self.vacate(place);
        }
    }

    /// Takes a connection out of all its rooms, here and at their homes.
    pub fn leave_rooms(&self, id: ConnId) {
        loop {
            let mut outboxes = self.outboxes.borrow_mut();
            let Some(places) = outboxes.places(id.slot) else { return };
            places.release_all();
            let Some(place) = places.remove(|_| true) else { return };
            drop(outboxes);
            let (of, seating) = (place.room.borrow().of.clone(), place.seating);
            self.vacate(place);
            self.detach(of, id, seating);
        }
    }

    /// Takes a seat out of its room, and the room away where it was the last.
    fn vacate(&self, place: Place) {
        let Place { room, at, .. } = place;
        let mut guest = room.borrow_mut();
        if let Some(moved) = guest.rise(at as usize)
            && let Some(places) = self.outboxes.borrow_mut().places(moved)
            && let Some(place) = places.of(&room)
        {
            place.at = at;
        }
        let mut rooms = self.rooms.borrow_mut();
        if guest.is_empty() && rooms.get(&guest.of.group).is_some_and(|known| Rc::ptr_eq(known, &room)) {
            rooms.remove(&guest.of.group);
        }
    }

    /// Tells a group's home that a connection does not sit there, as far as this seating goes.
    pub(super) fn detach(&self, of: Incarnation, connection: ConnId, seating: u32) {
        let home = self.node.home_of(&of.group);
        self.node.inboxes[home].put(Letter::Detach(of, connection, seating));
    }

    /// A group is no more: its members here are told so, a few at a turn.
    pub(super) fn end_room(&self, of: &Incarnation, frame: Bytes) {
        let mut rooms = self.rooms.borrow_mut();
        if !rooms.get(&of.group).is_some_and(|room| room.borrow().of == *of) {
            return;
        }
        if let Some(room) = rooms.remove(&of.group) {
            room.borrow_mut().end();
            self.endings.borrow_mut().push_back((room, frame));
        }
    }

    /// Tells a connection of all ends that it has still to hear of, before it is said anything else: another group may have
    /// begun under the same id.
    pub fn hear_ends(&self, slot: u32) {
        if self.endings.borrow().is_empty() {
            return;
        }
        loop {
            let mut outboxes = self.outboxes.borrow_mut();
            let place = outboxes.places(slot).and_then(|places| places.remove(|place| place.room.borrow().has_ended()));
            let Some(place) = place else { return };
            outboxes.say(slot, &push::group_dismissed(&place.room.borrow().of.group));
            drop(outboxes);
            self.vacate(place);
        }
    }

    /// Empties ended rooms by a step. True: there is more to do.
    pub(super) fn empty_ended_rooms(&self) -> bool {
        let (mut endings, mut outboxes) = (self.endings.borrow_mut(), self.outboxes.borrow_mut());
        let mut seats = SEATS_PER_STEP;
        while let Some((room, frame)) = endings.front() {
            let Some(slot) = room.borrow_mut().pop() else {
                endings.pop_front();
                continue;
            };
            outboxes.say(slot, frame);
            if let Some(places) = outboxes.places(slot) {
                places.remove(|place| Rc::ptr_eq(&place.room, room));
            }
            seats -= 1;
            if seats == 0 {
                return true;
            }
        }
        false
    }

    /// Forgets a part of what ended groups have left. True: there is more to do.
    pub(super) fn forget_remains(&self) -> bool {
        let mut remains = self.remains.borrow_mut();
        let mut parts = FORGOTTEN_PER_STEP;
        while let Some(of_one) = remains.front_mut() {
            match of_one.next() {
                None => drop(remains.pop_front()),
                Some(()) if parts == 0 => return true,
                Some(()) => parts -= 1,
            }
        }
        false
    }
}
