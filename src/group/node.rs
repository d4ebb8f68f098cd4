//! What all shards of this node share: the store, the users, the limits and each other's inboxes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::inbox::{Inbox, Letter};
use super::{Command, Limits};
use crate::domain::UnixMillis;
use crate::domain::name::GroupId;
use crate::domain::replay::PrintKeys;
use crate::metrics::ShardMetrics;
use crate::store::Store;
use crate::users::{ConnId, Users};

/// One running gateway.
pub struct Node {
    /// Where the truth is kept.
    pub store: Store,
    /// Who is here.
    pub users: Users,
    /// The limits of groups.
    pub limits: Limits,
    /// Keys of operation prints.
    pub prints: PrintKeys,
    /// One inbox for each shard.
    pub inboxes: Vec<Inbox>,
    /// One set of cells for each shard.
    pub metrics: Vec<ShardMetrics>,
    /// Answers remembered for repeats.
    pub replays: AtomicUsize,
    /// Set once when the node drains: no new work is taken.
    pub draining: AtomicBool,
    started: Instant,
    hasher: RandomState,
}

impl Node {
    /// A node with so many shards.
    pub fn new(store: Store, users: Users, limits: Limits, shards: usize) -> Self {
        Self {
            store,
            users,
            limits,
            prints: PrintKeys::default(),
            inboxes: (0..shards).map(|_| Inbox::default()).collect(),
            metrics: (0..shards).map(|_| ShardMetrics::default()).collect(),
            replays: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            started: Instant::now(),
            hasher: RandomState::new(),
        }
    }

    /// The shard that is a group's home.
    pub fn home_of(&self, group: &GroupId) -> usize {
        match self.inboxes.len() {
            1 => 0,
            shards => (self.hasher.hash_one(group.as_str()) % shards as u64) as usize,
        }
    }

    /// Tells a group something, from any thread. Never waits; the answer comes through the command's door.
    pub fn tell(&self, command: Command) {
        self.inboxes[self.home_of(&command.group)].put(Letter::Command(command));
    }

    /// Says something to a connection's shard.
    pub fn post(&self, connection: ConnId, letter: Letter) {
        self.inboxes[connection.shard as usize].put(letter);
    }

    /// Milliseconds since the start of the node.
    pub fn millis(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_millis() as u64
    }

    /// Whether another answer may be remembered.
    pub fn has_room_for_replays(&self) -> bool {
        let max = self.limits.replay_answers_max;
        max == 0 || self.replays.load(Ordering::Relaxed) < max
    }
}

/// Milliseconds since the Unix epoch.
pub fn unix_millis() -> UnixMillis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
