//! A room under test and its members, as far as the tool knows them: what was written and acknowledged, and what each member
//! holds. Plain books: no socket, no clock.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use smallvec::{SmallVec, smallvec};

use super::freshness::Freshness;
use super::ledger::Ledger;
use super::scan::{KEY, answer_prefix, push_prefix};

/// Writes that one connection may have under way. Above it the next writer's turn comes.
const UNDER_WAY_MAX: usize = 256;

/// What a room is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes the load.
    Load,
    /// It shows what the load does to others. Writes that were due before the load are shown apart; `None`: it has not begun.
    Bystander { load_from: Option<Instant> },
}

/// A counter at one version. A counter that does not exist is 0 at version 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub value: i64,
    pub version: u64,
}

/// The counters of all parts, by their numbers less 1. Most tests have a single part.
pub(super) type Parts = SmallVec<[Held; 1]>;

/// One room.
pub(super) struct Room {
    pub id: Arc<str>,
    /// What its pushes begin with, and answers to writes behind their ids.
    pub push_prefix: Box<[u8]>,
    pub answer_prefix: Box<[u8]>,
    pub role: Role,
    pub members: Vec<usize>,
    pub freshness: Freshness,
    pub books: Books,
}

/// What was written in one room by this process, and what the server says of it.
#[derive(Default)]
pub(super) struct Books {
    /// Before the first write; `None` until somebody has joined.
    pub initial: Option<Parts>,
    /// Increments sent, all of 1; a repeat is none.
    pub sent: u64,
    /// Acknowledged increments.
    pub acknowledged: i64,
    /// What their answers told.
    pub ledger: Ledger,
    /// The highest acknowledged version.
    pub newest: u64,
    /// How many members hold it. Counted only where a pace depends on it.
    pub holders: usize,
    /// At the end, by the server's word.
    pub last: Option<Parts>,
}

/// One member, who is one connection.
pub(super) struct Member {
    pub room: usize,
    pub presence: Presence,
    /// His number in the room's freshness book, where he is watched.
    pub watched: Option<usize>,
    pub held: Parts,
    pub under_way: Vec<Write>,
}

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Expected,
    Here,
    Lost,
}

/// A write without an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub id: u64,
    pub due: Instant,
}

impl Room {
    pub(super) fn new(id: Arc<str>, role: Role) -> Self {
        let (push_prefix, answer_prefix) = (push_prefix(&id), answer_prefix(&id));
        Self { push_prefix, answer_prefix, id, role, members: Vec::new(), freshness: Freshness::default(), books: Books::default() }
    }
}

impl Member {
    pub(super) fn new(room: usize, parts: usize) -> Self {
        let held = smallvec![Held::default(); parts];
        Self { room, presence: Presence::Expected, watched: None, held, under_way: Vec::new() }
    }

    /// Whether he can take one more write.
    pub(super) fn can_write(&self) -> bool {
        self.presence == Presence::Here && self.under_way.len() < UNDER_WAY_MAX
    }
}

/// The counters of the parts in an answer to `joinGroup` or `getGroupCounters`, or in a resync. What a snapshot says holds at
/// its version.
pub(super) fn counters_of(data: &Value, parts: usize) -> Parts {
    let version = data["version"].as_u64().unwrap_or_default();
    (1..=parts).map(|part| Held { value: data["counters"][format!("{KEY}{part}")].as_i64().unwrap_or_default(), version }).collect()
}
