//! What a shard does with an actor's steps: answers, seats, farewells and pushes, on this shard or by letter on another.

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use bytes::Bytes;

use super::Door;
use super::actor::{Actor, Change, Step};
use super::inbox::{Letter, Seating, Update};
use super::outbox::Place;
use super::room::Room;
use super::shard::Shard;
use crate::domain::code::{Code, Refusal};
use crate::domain::member::GroupType;
use crate::domain::name::GroupId;
use crate::protocol::answer::{Data, put_answer};
use crate::protocol::close::Close;
use crate::protocol::request::Cmd;
use crate::protocol::{frame, push};
use crate::users::ConnId;

impl Shard {
    /// Does what an actor wants done, in its order.
    pub(super) fn perform(&self, actor: &mut Actor, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Answer(door, answer) => self.answer(door, answer, Seating::Same),
                Step::Seat { door, data, seen, .. } => {
                    let seating = Seating::Sit(actor.id.clone(), seen, kind_of(actor));
                    match (data, door.connection()) {
                        (Some(data), _) => self.answer(door, Ok(data), seating),
                        (None, Some(connection)) => self.say(connection, Vec::new(), None, seating),
                        (None, None) => {}
                    }
                }
                Step::Unseat(door, data) => self.answer(door, Ok(data), Seating::Rise(actor.id.clone())),
                Step::Welcome(user, seen, by_other) => {
                    let Some(user) = self.node.users.find(&user) else { continue };
                    for connection in user.connections() {
                        if actor.seat(connection, &user) {
                            let frame = if by_other { push::membership_changed(&actor.id, true).to_vec() } else { Vec::new() };
                            self.say(connection, frame, None, Seating::Sit(actor.id.clone(), seen, kind_of(actor)));
                        }
                    }
                }
                // Most are not here: a list of strangers must not cost a walk over all members for each.
                Step::Farewell(user, _) if !actor.online.contains_key(&user) => {}
                Step::Farewell(user, by_other) => {
                    let his: Vec<_> = actor.present.iter().filter(|(_, u)| u.id == user).map(|(connection, _)| *connection).collect();
                    for connection in his {
                        actor.unseat(connection);
                        let frame = if by_other { push::membership_changed(&actor.id, false).to_vec() } else { Vec::new() };
                        self.say(connection, frame, None, Seating::Rise(actor.id.clone()));
                    }
                }
                Step::Dissolved => self.dissolve(actor),
            }
        }
    }

    /// Brings the newest values of changed keys to every shard with members. `writes` counts those they stand for.
    pub(super) fn publish(&self, actor: &Actor, changes: &[Change], writes: usize) {
        if changes.is_empty() || actor.present.is_empty() {
            return;
        }
        let conflated = (writes - changes.len()) as u64;
        let update = |change: &Change| Update {
            key: change.key.clone(),
            version: change.version,
            frame: push::counter_updated(&actor.id, &change.key, change.value, change.version),
            deleted: change.value.is_none(),
        };
        let updates: Vec<_> = changes.iter().map(update).collect();
        for (shard, seats) in actor.seats.iter().enumerate() {
            match (*seats, shard == self.index as usize) {
                (0, _) => {}
                (_, true) => self.publish_here(&actor.id, &updates, conflated),
                (_, false) => self.node.inboxes[shard].publish(&actor.id, &updates),
            }
        }
    }

    /// Gives an answer through its door.
    pub(super) fn answer(&self, door: Door, answer: Result<Data, Refusal>, seating: Seating) {
        match door {
            Door::Nobody(_) => {}
            Door::Call(connection, call) => {
                if let (Some(connection), Seating::Sit(..) | Seating::Rise(..)) = (connection, &seating) {
                    self.say(connection, Vec::new(), None, seating);
                }
                call(answer);
            }
            Door::Socket(connection, cmd, id, asked_at) => {
                let code = answer.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok);
                self.metrics().answers.add(Some(cmd), code);
                self.metrics().answer_times[cmd as usize].record(self.now().saturating_duration_since(asked_at));
                if let Err(Refusal { code, message, .. }) = &answer {
                    tracing::debug!(%connection, cmd = cmd.name(), code = code.number(), "refused: {message}");
                }
                let mut json = Vec::with_capacity(160);
                put_answer(&mut json, &id, &answer);
                let mut framed = Vec::with_capacity(json.len() + 4);
                frame::put_text(&mut framed, &json);
                self.say(connection, framed, Some(cmd), seating);
            }
        }
    }

    fn say(&self, connection: ConnId, frame: Vec<u8>, answers: Option<Cmd>, seating: Seating) {
        if connection.shard == self.index {
            self.tell_connection(connection, &frame, answers, seating);
        } else {
            self.node.post(connection, Letter::Tell(connection, frame, answers, seating));
        }
    }

    /// Bytes for a connection of this shard, and what becomes of its seat.
    pub(super) fn tell_connection(&self, connection: ConnId, frame: &[u8], answers: Option<Cmd>, seating: Seating) {
        let mut outboxes = self.outboxes.borrow_mut();
        let Some(bell) = outboxes.bell(connection).cloned() else {
            drop(outboxes);
            if let Seating::Sit(group, ..) = seating {
                self.detach(group, connection);
            }
            return;
        };
        if !frame.is_empty() {
            outboxes.say(connection.slot, frame);
        }
        drop(outboxes);
        if let Some(cmd) = answers {
            bell.answered(cmd == Cmd::JoinGroup);
        }
        match seating {
            Seating::Same => {}
            Seating::Sit(group, seen, kind) => self.sit(connection, group, seen, kind, answers.is_some()),
            Seating::Rise(group) => {
                let mut outboxes = self.outboxes.borrow_mut();
                let place = outboxes.places(connection.slot).and_then(|places| {
                    let at = places.iter().position(|place| place.room.borrow().group == group)?;
                    Some(places.swap_remove(at))
                });
                drop(outboxes);
                if let Some(place) = place {
                    self.vacate(place);
                }
            }
        }
    }

    /// Seats a connection; `told`: the frame before it held a snapshot of the version `seen`.
    fn sit(&self, connection: ConnId, group: GroupId, seen: u64, kind: u8, told: bool) {
        let interval = self.node.limits.push_min_interval[kind as usize];
        let known = self.rooms.borrow().get(&group).cloned();
        let room = known.unwrap_or_else(|| Rc::new(RefCell::new(Room::new(group.clone(), interval))));
        let mut outboxes = self.outboxes.borrow_mut();
        let Some(fd) = outboxes.socket(connection.slot).map(|socket| socket.as_raw_fd()) else { return };
        let Some(places) = outboxes.places(connection.slot) else { return };
        if let Some(place) = places.iter().find(|place| Rc::ptr_eq(&place.room, &room)) {
            // It sat already, and what was to be pushed to it may be in the snapshot.
            if told {
                room.borrow_mut().knows(place.at, seen);
            }
            return;
        }
        let max = self.node.limits.groups_per_connection_max;
        if max > 0 && places.len() >= max {
            drop(outboxes);
            return self.detach(group, connection);
        }
        let at = room.borrow_mut().sit(connection.slot, fd, seen);
        places.push(Place { room: room.clone(), at });
        self.rooms.borrow_mut().insert(group, room);
    }

    /// Closes a connection of this shard from outside, after these bytes; one that is being closed was told why.
    pub(super) fn close_connection(&self, connection: ConnId, frame: &Bytes, close: Close) {
        let mut outboxes = self.outboxes.borrow_mut();
        let Some(bell) = outboxes.bell(connection).cloned() else { return };
        let mut closing = bell.closing.borrow_mut();
        if closing.is_none() {
            outboxes.say(connection.slot, frame);
            *closing = Some(close);
            bell.ring();
        }
    }

    /// Tells a group's home that a connection does not sit there.
    pub(super) fn detach(&self, group: GroupId, connection: ConnId) {
        let home = self.node.home_of(&group);
        self.node.inboxes[home].put(Letter::Detach(group, connection));
    }

    fn dissolve(&self, actor: &mut Actor) {
        let frame = push::group_dismissed(&actor.id);
        for shard in 0..actor.seats.len() {
            if std::mem::take(&mut actor.seats[shard]) == 0 {
                continue;
            }
            if shard == self.index as usize {
                self.empty_room(&actor.id, &frame);
            } else {
                self.node.inboxes[shard].put(Letter::Dissolved(actor.id.clone(), frame.clone()));
            }
        }
        actor.present.clear();
        actor.online.clear();
    }

    /// Tells everybody in a room of this shard that it is over, and clears it.
    pub(super) fn empty_room(&self, group: &GroupId, frame: &Bytes) {
        let Some(room) = self.rooms.borrow_mut().remove(group) else { return };
        let slots: Vec<_> = room.borrow().slots().collect();
        let mut outboxes = self.outboxes.borrow_mut();
        for slot in slots {
            outboxes.say(slot, frame);
            if let Some(places) = outboxes.places(slot) {
                places.retain(|place| !Rc::ptr_eq(&place.room, &room));
            }
        }
        room.borrow_mut().clear();
    }
}

fn kind_of(actor: &Actor) -> u8 {
    let kind = actor.group().map(|group| group.profile.kind);
    GroupType::ALL.iter().position(|k| Some(*k) == kind).unwrap_or(0) as u8
}
