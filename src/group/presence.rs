//! Who is here: the connections that sit in a group, as its home knows them. Their shards hold the seats themselves.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::actor::Actor;
use crate::users::{ConnId, User};

/// A connection that sits in a group.
pub struct Present {
    /// Whose it is.
    pub user: Arc<User>,
    /// The number of its seating: see `Actor::number_seat`.
    seating: u32,
}

/// What is left of a group that has ended: with each step a part of it is forgotten.
pub type Remains = Box<dyn Iterator<Item = ()>>;

impl Actor {
    /// A connection sits here now. False: it did already.
    pub fn seat(&mut self, connection: ConnId, user: &Arc<User>) -> bool {
        match self.present.entry(connection) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(place) => drop(place.insert(Present { user: user.clone(), seating: 0 })),
        }
        *self.online.entry(user.id.clone()).or_default() += 1;
        self.seats[connection.shard as usize] += 1;
        true
    }

    /// The connection's shard is told that it sits here. The number tells this seating from earlier ones: what that shard says of
    /// those may still be on its way, and means nothing any more.
    pub fn number_seat(&mut self, connection: ConnId, user: &Arc<User>) -> u32 {
        self.seat(connection, user);
        self.seatings = self.seatings.wrapping_add(1);
        if let Some(present) = self.present.get_mut(&connection) {
            present.seating = self.seatings;
        }
        self.seatings
    }

    /// A connection's shard gives a seat back, that of a life and a seating.
    pub fn give_back(&mut self, incarnation: u32, connection: ConnId, seating: u32) {
        if self.incarnation == incarnation && self.present.get(&connection).is_some_and(|present| present.seating == seating) {
            self.unseat(connection);
        }
    }

    /// A connection sits here no more. False: it did not.
    pub fn unseat(&mut self, connection: ConnId) -> bool {
        let Some(Present { user, .. }) = self.present.remove(&connection) else { return false };
        if let Some(count) = self.online.get_mut(&user.id) {
            *count -= 1;
            if *count == 0 {
                self.online.remove(&user.id);
            }
        }
        self.seats[connection.shard as usize] -= 1;
        true
    }

    /// Empties the group that has ended of its members and of all who were there. They come back: to forget a hundred thousand
    /// takes a while.
    pub fn take_remains(&mut self) -> Remains {
        let (present, online) = (std::mem::take(&mut self.present), std::mem::take(&mut self.online));
        let members = self.ended.take().map(|group| group.members).unwrap_or_default();
        Box::new(present.into_iter().map(drop).chain(online.into_iter().map(drop)).chain(members.into_iter().map(drop)))
    }
}
