//! What a shard does with an actor's steps: answers, seats, farewells and pushes, on this shard or by letter on another.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Door;
use super::actor::{Actor, Change, Step};
use super::inbox::{Letter, Seating, Sitting, Update};
use super::shard::Shard;
use crate::domain::code::{Code, Refusal};
use crate::domain::member::GroupType;
use crate::domain::name::UserId;
use crate::protocol::answer::{Data, put_answer};
use crate::protocol::close::Close;
use crate::protocol::request::{Cmd, Id};
use crate::protocol::{frame, push};
use crate::users::{ConnId, User};

impl Shard {
    /// Does what an actor wants done, in its order.
    pub(super) fn perform(&self, actor: &mut Actor, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Answer(door, answer) => {
                    let seating = door.no_seat(&actor.id);
                    self.answer(door, answer, seating);
                }
                Step::Seat { door, data, seen, user, .. } => {
                    let seating = match door.connection() {
                        Some(connection) => Seating::Sit(sitting(actor, connection, &user, seen, door.asks(), door.has_place())),
                        None => Seating::Same,
                    };
                    self.answer(door, Ok(data.unwrap_or(Data::Empty)), seating);
                }
                Step::Unseat(door, data) => {
                    if let Some(connection) = door.connection() {
                        actor.unseat(connection);
                    }
                    self.answer(door, Ok(data), Seating::Rise(actor.life()));
                }
                Step::Welcome { user, seen, asker, asked } => {
                    let Some(user) = self.node.users.find(&user) else { continue };
                    for connection in user.connections() {
                        if actor.present.contains_key(&connection) {
                            continue;
                        }
                        let seating = Seating::Sit(sitting(actor, connection, &user, seen, asked, false));
                        self.say(connection, self.membership_changed(actor, connection, asker, true), None, seating);
                    }
                }
                Step::Farewell { user, asker } => {
                    for connection in self.connections_of(actor, &user) {
                        actor.unseat(connection);
                        let seating = Seating::Rise(actor.life());
                        self.say(connection, self.membership_changed(actor, connection, asker, false), None, seating);
                    }
                }
                Step::Dissolved => self.dissolve(actor),
            }
        }
    }

    /// What a connection is told of its user's membership. Whoever asks for a change hears of it by the answer.
    fn membership_changed(&self, actor: &Actor, connection: ConnId, asker: Option<ConnId>, added: bool) -> Vec<u8> {
        if asker == Some(connection) { Vec::new() } else { push::membership_changed(&actor.id, added).to_vec() }
    }

    /// The connections with which a user sits in a group: to find them must not cost a walk over everybody.
    fn connections_of(&self, actor: &Actor, user: &UserId) -> Vec<ConnId> {
        let Some(count) = actor.online.get(user) else { return Vec::new() };
        let open = self.node.users.find(user).map_or_else(Vec::new, |user| user.connections());
        let theirs: Vec<_> = open.into_iter().filter(|connection| actor.present.contains_key(connection)).collect();
        if theirs.len() == *count as usize {
            return theirs;
        }
        // One that is being closed is theirs no more, and sits here until its socket is gone.
        actor.present.iter().filter(|(_, seat)| seat.user.id == *user).map(|(connection, _)| *connection).collect()
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
        let of = actor.life();
        for (shard, seats) in actor.seats.iter().enumerate() {
            match (*seats, shard == self.index as usize) {
                (0, _) => {}
                (_, true) => self.publish_here(&of, &updates, conflated),
                (_, false) => self.node.inboxes[shard].publish(&of, &updates),
            }
        }
    }

    /// Gives an answer through its door.
    pub(super) fn answer(&self, door: Door, answer: Result<Data, Refusal>, seating: Seating) {
        match door {
            Door::Login(connection, _) => self.say_seating(connection, seating),
            Door::Call(connection, call) => {
                if let Some(connection) = connection {
                    self.say_seating(connection, seating);
                }
                call(answer);
            }
            Door::Socket(connection, cmd, id, asked_at) => self.answer_request(connection, cmd, &id, asked_at, &answer, seating),
            Door::Follow(connection, id, asked_at) => {
                self.answer_request(connection, Cmd::JoinGroup, &id, asked_at, &answer, seating);
            }
        }
    }

    fn answer_request(&self, connection: ConnId, cmd: Cmd, id: &Id, asked_at: Instant, answer: &Result<Data, Refusal>, seating: Seating) {
        let code = answer.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok);
        self.metrics().answers.add(Some(cmd), code);
        self.metrics().answer_times[cmd as usize].record(self.now().saturating_duration_since(asked_at));
        if let Err(Refusal { code, message, .. }) = answer {
            tracing::debug!(%connection, cmd = cmd.name(), code = code.number(), "refused: {message}");
        }
        let mut json = Vec::with_capacity(160);
        put_answer(&mut json, id, answer);
        let mut framed = Vec::with_capacity(json.len() + 4);
        frame::put_text(&mut framed, &json);
        self.say(connection, framed, Some(cmd), seating);
    }

    fn say_seating(&self, connection: ConnId, seating: Seating) {
        if !matches!(seating, Seating::Same) {
            self.say(connection, Vec::new(), None, seating);
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
        let Some(bell) = self.outboxes.borrow().bell(connection).cloned() else {
            if let Seating::Sit(sitting) = seating {
                self.detach(sitting.of, connection, sitting.seating);
            }
            return;
        };
        self.hear_ends(connection.slot);
        if !frame.is_empty() {
            self.outboxes.borrow_mut().say(connection.slot, frame);
        }
        if answers.is_some() {
            bell.answered();
        }
        match seating {
            Seating::Same => {}
            Seating::Sit(sitting) => self.sit(connection, sitting, answers.is_some()),
            Seating::Rise(of) => self.rise(connection, &of),
            Seating::Not(group) => self.release_place(connection, &group),
        }
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

    fn dissolve(&self, actor: &mut Actor) {
        let (of, frame) = (actor.life(), push::group_dismissed(&actor.id));
        for (shard, seats) in actor.seats.iter_mut().enumerate() {
            match (std::mem::take(seats), shard == self.index as usize) {
                (0, _) => {}
                (_, true) => self.end_room(&of, frame.clone()),
                (_, false) => self.node.inboxes[shard].put(Letter::Dissolved(of.clone(), frame.clone())),
            }
        }
        self.remains.borrow_mut().push_back(actor.take_remains());
    }
}

/// Seats a connection at home, and says how it sits down on its own shard.
fn sitting(actor: &mut Actor, connection: ConnId, user: &Arc<User>, seen: u64, asked: bool, has_place: bool) -> Sitting {
    let kind = actor.group().map(|group| group.profile.kind);
    let kind = GroupType::ALL.iter().position(|k| Some(*k) == kind).unwrap_or(0) as u8;
    let seating = actor.number_seat(connection, user);
    Sitting { of: actor.life(), seen, kind, seating, asked, has_place }
}
