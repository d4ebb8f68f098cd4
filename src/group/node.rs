//! What all shards of this node share: the store, the users, the limits and each other's inboxes.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::inbox::{Inbox, Letter};
use super::{Command, Limits};
use crate::domain::code::{Code, Refusal};
use crate::domain::name::{GroupId, UserId};
use crate::domain::replay::PrintKeys;
use crate::metrics::{Latency, Reload, ShardMetrics};
use crate::store::{Batch, Store};
use crate::users::{ConnId, Users};

/// REST calls, counted.
#[derive(Debug, Default)]
pub struct Calls {
    /// Answers by command and code.
    pub answers: BTreeMap<(&'static str, u32), u64>,
    /// How long they took, by command.
    pub times: BTreeMap<&'static str, Latency>,
}

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
    /// Set once when the end is near: whoever sends clients here should send them elsewhere.
    pub draining: AtomicBool,
    /// What bounds the pushes of all shards together, where anything does.
    pub(super) budget: Option<Budget>,
    /// Set once when it has come: no new work is taken.
    pub stopping: AtomicBool,
    /// What became of the last SIGHUP.
    pub reload: Reload,
    calls: Mutex<Calls>,
    started: Instant,
    hasher: RandomState,
}

impl Node {
    /// A node with so many shards.
    pub fn new(store: Store, users: Users, limits: Limits, shards: usize) -> Self {
        let budget = Budget::new(limits.push_frames_per_second, shards);
        Self {
            budget,
            store,
            users,
            limits,
            prints: PrintKeys::default(),
            inboxes: (0..shards).map(|_| Inbox::default()).collect(),
            metrics: (0..shards).map(|_| ShardMetrics::default()).collect(),
            replays: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            reload: Reload::default(),
            calls: Mutex::default(),
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

    /// Microseconds since the start of the node.
    pub fn micros(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_micros() as u64
    }

    /// Nanoseconds since the start of the node.
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_nanos() as u64
    }

    /// Counts a REST call's answer.
    pub fn count_call(&self, command: &'static str, code: u32, took: Duration) {
        let mut calls = self.calls();
        *calls.answers.entry((command, code)).or_default() += 1;
        // The lock makes this thread the owner of the cells for the moment.
        calls.times.entry(command).or_default().record(took);
    }

    /// REST calls so far. Whoever holds it holds up all calls.
    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that these users were seen. Nobody waits for it: whoever is seen again is remembered again.
    pub fn know(&self, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let mut batch = Batch::default();
        users.iter().for_each(|user| batch.push_account(user));
        self.store.commit(batch, Box::new(|_| {}));
    }

    /// Remembers that a user was seen, and waits until that is kept.
    pub async fn know_for_sure(&self, user: &UserId) -> Result<(), Refusal> {
        let mut batch = Batch::default();
        batch.push_account(user);
        let (tell, told) = tokio::sync::oneshot::channel();
        self.store.commit(
            batch,
            Box::new(move |result| {
                // Whoever asked may be gone.
                let _ = tell.send(result.is_ok());
            }),
        );
        match told.await {
            Ok(true) => Ok(()),
            _ => Err(Refusal::new(Code::Internal, "the account could not be kept: try again")),
        }
    }

    /// Whether another answer may be remembered.
    pub fn has_room_for_replays(&self) -> bool {
        let max = self.limits.replay_answers_max;
        max == 0 || self.replays.load(Ordering::Relaxed) < max
    }
}
