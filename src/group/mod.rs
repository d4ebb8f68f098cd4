//! Live groups: one actor per group at its home shard, and the fan-out of its pushes on every shard with members.
//!
//! A shard is one thread with one single-threaded runtime; inside it nothing needs a lock. A group is a value, not a task:
//! it costs nothing while nobody asks. Nothing here waits: the store calls back, and shards write to each other's inboxes.

pub mod actor;
mod budget;
mod fanout;
pub mod inbox;
pub mod node;
pub mod outbox;
mod place;
mod plan;
mod presence;
pub mod room;
mod seats;
pub mod shard;
mod steps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::inbox::Seating;
use crate::domain::code::Refusal;
use crate::domain::command::Write;
use crate::domain::member::{NewGroup, Role};
use crate::domain::name::{CounterKey, GroupId, OpId, UserId};
use crate::protocol::answer::Data;
use crate::protocol::request::{Cmd, Id};
use crate::users::{ConnId, User, Windows};

/// One life of a group. An id may be used again, and what was told of an earlier group must not reach the members of a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// The id.
    pub group: GroupId,
    /// `Profile::incarnation`.
    pub number: u32,
}

/// What can be asked of a group.
#[derive(Debug)]
pub enum Ask {
    /// Change counters.
    Write(Write, Option<OpId>),
    /// Read counters; no key named means all.
    Read(Vec<CounterKey>),
    /// Make the group.
    Create(Box<NewGroup>),
    /// End it.
    Dissolve,
    /// Become a member and sit down.
    Join,
    /// Sit down and be told where the group stands, as a member.
    Follow,
    /// Leave.
    Quit,
    /// Make others members.
    Add(Vec<UserId>),
    /// Take membership away from others.
    Remove(Vec<UserId>),
    /// How many users are there now.
    Online,
    /// What the group is, how many are in it, and some of its members.
    Inspect(Sought),
    /// Sit down where the user is a member already; nobody is told if he is not.
    Attach,
    /// Nothing any more: its commit has failed, and it is told so when its turn comes.
    Refused(Refusal),
}

/// Which members a look at a group is to show; it costs as much as it shows.
#[derive(Debug, Clone)]
pub enum Sought {
    /// None.
    Nobody,
    /// Those of these users who are members.
    These(Vec<UserId>),
    /// So many in the order in which they came, from a place on: those of some roles, or all.
    Page {
        /// The roles.
        roles: Option<Vec<Role>>,
        /// How many are left out before.
        offset: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Sought {
    /// All members.
    pub const EVERYBODY: Self = Self::Page { roles: None, offset: 0, limit: usize::MAX };
}

impl Ask {
    /// The same, where it can be taken a second time because it may do without writing anything.
    fn again(&self) -> Option<Self> {
        Some(match self {
            Ask::Read(keys) => Ask::Read(keys.clone()),
            Ask::Join => Ask::Join,
            Ask::Follow => Ask::Follow,
            Ask::Quit => Ask::Quit,
            Ask::Online => Ask::Online,
            Ask::Inspect(sought) => Ask::Inspect(sought.clone()),
            Ask::Attach => Ask::Attach,
            Ask::Refused(refusal) => Ask::Refused(refusal.clone()),
            Ask::Write(..) | Ask::Create(_) | Ask::Dissolve | Ask::Add(_) | Ask::Remove(_) => return None,
        })
    }
}

/// Where an answer goes.
pub enum Door {
    /// To a request on a socket, which was read at that time.
    Socket(ConnId, Cmd, Id, Instant),
    /// To `joinGroup` on a socket, for a seat that its user has not asked for.
    Follow(ConnId, Id, Instant),
    /// To a function; it must not wait.
    Call(Option<ConnId>, Box<dyn FnOnce(Result<Data, Refusal>) + Send>),
    /// To nobody: a login seats its connection in a group. True: the user made themself a member, and a place is kept.
    Login(ConnId, bool),
}

impl Door {
    /// The connection that asks, if one does.
    pub fn connection(&self) -> Option<ConnId> {
        match self {
            Door::Socket(connection, ..) | Door::Follow(connection, ..) | Door::Login(connection, _) => Some(*connection),
            Door::Call(connection, _) => *connection,
        }
    }

    /// Whether a seat is one that the user asks for.
    fn asks(&self) -> bool {
        !matches!(self, Door::Follow(..) | Door::Login(_, false))
    }

    /// Whether the connection was promised a place, which is free again if it gets no seat.
    fn has_place(&self) -> bool {
        matches!(self, Door::Socket(_, Cmd::JoinGroup, ..) | Door::Login(_, true))
    }

    /// What an answer without a seat means to the connection.
    fn no_seat(&self, group: &GroupId) -> Seating {
        if self.has_place() { Seating::Not(group.clone()) } else { Seating::Same }
    }
}

/// By which door a command came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A socket: the user's throttle counts it.
    Socket,
    /// A socket, and the throttle has counted it.
    Counted,
    /// A back end, in an app admin's name: not throttled here, and told what was there before.
    Backend,
}

impl Origin {
    /// That of a command which is taken a second time.
    fn again(self) -> Self {
        if self == Origin::Socket { Origin::Counted } else { self }
    }
}

/// One command on its way to its group.
pub struct Command {
    /// The group.
    pub group: GroupId,
    /// What is asked of it.
    pub ask: Ask,
    /// Who asks.
    pub user: Arc<User>,
    /// Where the answer goes.
    pub door: Door,
    /// By which door it came in.
    pub origin: Origin,
}

/// The limits of groups; 0 = no limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What one user may do in a while.
    pub windows: Windows,
    /// How long answers are kept for a repeat, at least, in milliseconds.
    pub replay_millis: u64,
    /// How many such answers this node keeps.
    pub replay_answers_max: usize,
    /// Keys of one group.
    pub keys_max: usize,
    /// Members of one group that keeps its members.
    pub members_max: usize,
    /// Groups on one connection.
    pub groups_per_connection_max: usize,
    /// An unused group leaves memory after this time.
    pub idle_after: Duration,
    /// Least time between two passes over the members of a room, by `GroupType::ALL`'s order.
    pub push_min_interval: [Duration; 4],
    /// Pushes of this node in a second.
    pub push_frames_per_second: u64,
}
