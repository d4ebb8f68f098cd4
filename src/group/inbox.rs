//! What one shard says to another. Answers and orders keep their order; of a counter's values only the newest is kept, so
//! that a shard that is busy for a while finds no pile of stale pushes.
//!
//! Both are taken in one grip: a push can therefore never overtake the answer that was written before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::{Command, Incarnation};
use crate::domain::keyed::{Keyed, Places};
use crate::domain::name::{CounterKey, GroupId};
use crate::protocol::close::Close;
use crate::protocol::request::Cmd;
use crate::store::{CommitError, LoadError, Loaded, Lsn};
use crate::users::ConnId;

/// A counter's newest value as a frame, with its version.
#[derive(Debug, Clone)]
pub struct Update {
    /// The key.
    pub key: CounterKey,
    /// The group's version of the write.
    pub version: u64,
    /// The frame that tells it.
    pub frame: Bytes,
    /// Whether the frame tells that the key is gone.
    pub deleted: bool,
}

impl Keyed for Update {
    fn key(&self) -> &CounterKey {
        &self.key
    }
}

/// The newest update of each key.
#[derive(Default)]
pub struct Updates {
    list: SmallVec<[Update; 1]>,
    places: Places,
}

impl Updates {
    /// Takes a newer update in. True: it took an older one's place.
    pub fn put(&mut self, update: &Update) -> bool {
        match self.places.find(&self.list, update.key.as_str()) {
            Some(at) => {
                self.list[at] = update.clone();
                true
            }
            None => {
                self.list.push(update.clone());
                self.places.pushed(&self.list);
                false
            }
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps those alone that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Update) -> bool) {
        self.list.retain(|update| wanted(update));
        self.places = Places::of(&self.list);
    }
}

impl From<&[Update]> for Updates {
    fn from(updates: &[Update]) -> Self {
        let mut newest = Self::default();
        for update in updates {
            newest.put(update);
        }
        newest
    }
}

impl std::ops::Deref for Updates {
    type Target = [Update];

    fn deref(&self) -> &[Update] {
        &self.list
    }
}

/// What a connection's place in a group becomes.
#[derive(Debug)]
pub enum Seating {
    /// Nothing changes.
    Same,
    /// It gets pushes from now on.
    Sit(Sitting),
    /// It gets no more.
    Rise(Incarnation),
    /// It gets no seat, and the place that was kept for one is free again.
    Not(GroupId),
}

/// How a connection sits down.
#[derive(Debug)]
pub struct Sitting {
    /// In which group.
    pub of: Incarnation,
    /// It gets pushes above this version.
    pub seen: u64,
    /// The group's type in `GroupType::ALL`.
    pub kind: u8,
    /// The home's number of this seating: who loses the seat names it, so that it cannot be taken for a later one.
    pub seating: u32,
    /// The user asked for it. Such a seat may take the place of one that somebody else caused, never the other way round.
    pub asked: bool,
    /// A place was kept for it.
    pub has_place: bool,
}

/// One thing said to a shard.
pub enum Letter {
    /// For a group at home there.
    Command(Command),
    /// A connection of that shard no longer sits in a group at home here, as far as this seating goes.
    Detach(Incarnation, ConnId, u32),
    /// For a connection there: bytes, which command they answer if any, and what becomes of its seat.
    Tell(ConnId, Vec<u8>, Option<Cmd>, Seating),
    /// A connection there is to be closed, after these bytes.
    Close(ConnId, Bytes, Close),
    /// A group ended: this is the last frame for its members there.
    Dissolved(Incarnation, Bytes),
    /// The store has a group for an actor there.
    Loaded(GroupId, Result<Loaded, LoadError>),
    /// The commit that the shard gave this number is through. A store that breaks may answer a later commit first.
    Committed(u64, Result<Lsn, CommitError>),
}

/// All that was said since the last look.
#[derive(Default)]
pub struct Mail {
    /// In order.
    pub letters: Vec<Letter>,
    /// Newest values of each group; to be handed on after the letters.
    pub news: HashMap<GroupId, News>,
}

/// Newest values of a group.
pub struct News {
    /// In which life of it.
    pub incarnation: u32,
    /// Each key once.
    pub updates: Updates,
}

/// A shard's inbox.
#[derive(Default)]
pub struct Inbox {
    mail: Mutex<Mail>,
    has_letters: AtomicBool,
    bell: Notify,
}

impl Inbox {
    /// Puts a letter in.
    pub fn put(&self, letter: Letter) {
        let mut mail = self.mail();
        mail.letters.push(letter);
        self.has_letters.store(true, Ordering::Release);
        drop(mail);
        self.bell.notify_one();
    }

    /// Puts newest values in, over older ones of the same keys.
    pub fn publish(&self, of: &Incarnation, updates: &[Update]) {
        let mut mail = self.mail();
        match mail.news.get_mut(&of.group) {
            Some(news) if news.incarnation == of.number => {
                for update in updates {
                    news.updates.put(update);
                }
            }
            // Nobody wants to hear any more of an earlier life.
            _ => drop(mail.news.insert(of.group.clone(), News { incarnation: of.number, updates: updates.into() })),
        }
        drop(mail);
        self.bell.notify_one();
    }

    /// Takes everything; `spare` becomes the empty inbox.
    pub fn take(&self, spare: &mut Mail) {
        let mut mail = self.mail();
        std::mem::swap(&mut *mail, spare);
        self.has_letters.store(false, Ordering::Release);
    }

    /// Whether letters wait: what the shard itself is told now comes after them.
    pub fn has_letters(&self) -> bool {
        self.has_letters.load(Ordering::Acquire)
    }

    /// How many letters wait.
    pub fn depth(&self) -> usize {
        self.mail().letters.len()
    }

    /// Rings without a letter: the shard has work of its own.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until somebody has rung.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_group_counted_ends_with_it() {
        let inbox = Inbox::default();
        let life = |number| Incarnation { group: GroupId::parse("room").unwrap(), number };
        let update = |key, version| Update { key: CounterKey::parse(key).unwrap(), version, frame: Bytes::new(), deleted: false };
        inbox.publish(&life(7), &[update("like", 7), update("share", 7)]);
        inbox.publish(&life(7), &[update("like", 8)]);
        inbox.publish(&life(3), &[update("like", 1)]);
        inbox.publish(&life(3), &[update("like", 2)]);
        let mut mail = Mail::default();
        inbox.take(&mut mail);
        let news = &mail.news[&life(3).group];
        let versions: Vec<_> = news.updates.iter().map(|update| update.version).collect();
        assert_eq!((news.incarnation, versions), (3, vec![2]), "nothing of the earlier life is left");
    }
}
