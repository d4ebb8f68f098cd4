//! What is kept of a command: its effect in absolute values, and the answer that its caller may ask for again.
//!
//! Records are the journal's content. Applied in order to what was there before, they rebuild every group.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::UnixMillis;
use super::command::Items;
use super::member::{Member, Profile};
use super::name::{CounterKey, GroupId, OpId, UserId};

/// A change to one group. Applying it cannot fail: every rule was checked when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The group begins, at version 0.
    Created {
        /// What it is.
        profile: Box<Profile>,
        /// Its first members.
        members: Vec<(UserId, Member)>,
    },
    /// Counters have new values.
    Changed {
        /// The group's version after it.
        version: u64,
        /// Each key once, with its value after the write.
        values: Items,
    },
    /// Counters are gone.
    Deleted {
        /// The group's version after it.
        version: u64,
        /// Keys that existed.
        keys: Vec<CounterKey>,
    },
    /// Users are members now, because others added them. Early records say so of those who joined by themselves, too.
    Joined {
        /// Who was not a member before.
        members: Vec<(UserId, Member)>,
    },
    /// Users are no longer members.
    Left {
        /// Who was a member before.
        users: Vec<UserId>,
    },
    /// The group is gone, with everything in it.
    Dissolved,
    /// A user has joined by themself.
    Entered {
        /// Who was not a member before.
        user: UserId,
        /// When, in Unix seconds.
        joined_at: u64,
    },
}

/// The answer to a write, short enough to be kept: what the repeated command does not say itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The group's version after the write.
    pub version: u64,
    /// The new values, in the order in which the command names its keys, each key once; empty for a delete.
    pub values: SmallVec<[i64; 1]>,
}

/// An operation that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who sent it.
    pub user: UserId,
    /// What he called it.
    pub id: OpId,
    /// `Write::print` of the command.
    pub print: u64,
    /// What he was answered.
    pub answer: Answer,
}

/// What the journal is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// An applied command of a group.
    Command(Box<Record>),
    /// A user was seen for the first time.
    Account(UserId),
}

/// One applied command of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose.
    pub group: GroupId,
    /// When it was applied, by the store's time.
    pub at: UnixMillis,
    /// What it changed; a delete that found nothing changes nothing, and is kept for its operation alone.
    pub effect: Option<Effect>,
    /// The operation, where its caller named it.
    pub operation: Option<Operation>,
}
