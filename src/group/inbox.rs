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

use super::Command;
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

    /// Keeps those alone that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Update) -> bool) {
        self.list.retain(|update| wanted(update));
        self.places = Places::of(&self.list);
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
    /// It gets pushes above this version. The number is the group's type in `GroupType::ALL`.
    Sit(GroupId, u64, u8),
    /// It gets no more.
    Rise(GroupId),
}

/// One thing said to a shard.
pub enum Letter {
    /// For a group at home there.
    Command(Command),
    /// A connection of that shard no longer sits in a group at home here.
    Detach(GroupId, ConnId),
    /// For a connection there: bytes, which command they answer if any, and what becomes of its seat.
    Tell(ConnId, Vec<u8>, Option<Cmd>, Seating),
    /// A connection there is to be closed, after these bytes.
    Close(ConnId, Bytes, Close),
    /// A group ended: this is the last frame for its members there.
    Dissolved(GroupId, Bytes),
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
    pub news: HashMap<GroupId, Updates>,
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
        if let Letter::Dissolved(group, _) = &letter {
            // News are handed on after the letters: by then another group may have this id.
            mail.news.remove(group);
        }
        mail.letters.push(letter);
        self.has_letters.store(true, Ordering::Release);
        drop(mail);
        self.bell.notify_one();
    }

    /// Puts newest values in, over older ones of the same keys.
    pub fn publish(&self, group: &GroupId, updates: &[Update]) {
        let mut mail = self.mail();
        if !mail.news.contains_key(group) {
            mail.news.insert(group.clone(), Updates::default());
        }
        if let Some(news) = mail.news.get_mut(group) {
            for update in updates {
                news.put(update);
            }
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
        let (inbox, group) = (Inbox::default(), GroupId::parse("room").unwrap());
        let update = |version| Update { key: CounterKey::parse("like").unwrap(), version, frame: Bytes::new(), deleted: false };
        inbox.publish(&group, &[update(7)]);
        inbox.put(Letter::Dissolved(group.clone(), Bytes::new()));
        let mut mail = Mail::default();
        inbox.take(&mut mail);
        assert!(mail.news.is_empty(), "it would be told to the members of the next group of this id, above their versions");
        inbox.put(Letter::Dissolved(group.clone(), Bytes::new()));
        inbox.publish(&group, &[update(1)]);
        inbox.take(&mut mail);
        assert_eq!(mail.news[&group][0].version, 1);
    }
}
