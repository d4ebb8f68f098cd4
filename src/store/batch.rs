//! Records on their way to the journal, encoded on the thread that made them.
//!
//! A batch also tells what its records change in who belongs where, so that nobody needs to decode it for that.

use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use serde::Serialize;

use crate::domain::record::{Effect, Record};

/// A change in who belongs to which group, or in which groups there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// A group began; whatever was there under its id is gone.
    Began(GroupId, GroupType, Option<UserId>, Vec<UserId>),
    /// A group is gone with all its members; its type, where whoever ended it has told.
    Ended(GroupId, Option<GroupType>),
    /// Users are members now; true: by themselves.
    Joined(GroupId, Vec<UserId>, bool),
    /// Users are neither members nor owners any more.
    Left(GroupId, Vec<UserId>),
    /// A user has an account now.
    Seen(UserId),
}

impl Turn {
    /// What a record changes, where it changes anything of this kind; `kind` is that of the group before it.
    pub(super) fn of(record: &Record, kind: Option<GroupType>) -> Option<Self> {
        let group = || record.group.clone();
        match record.effect.as_ref()? {
            Effect::Created { profile, members } => {
                let users = members.iter().map(|(user, _)| user.clone()).collect();
                Some(Self::Began(group(), profile.kind, profile.owner.clone(), users))
            }
            Effect::Dissolved => Some(Self::Ended(group(), kind)),
            Effect::Joined { members } => Some(Self::Joined(group(), members.iter().map(|(user, _)| user.clone()).collect(), false)),
            Effect::Entered { user, .. } => Some(Self::Joined(group(), vec![user.clone()], true)),
            Effect::Left { users } => Some(Self::Left(group(), users.clone())),
            Effect::Changed { .. } | Effect::Deleted { .. } => None,
        }
    }
}

/// `domain::record::Entry`, borrowed: both are encoded alike.
#[derive(Serialize)]
enum EntryRef<'a> {
    Command(&'a Record),
    Account(&'a UserId),
}

/// Records to be committed together: all of them are kept, or none.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) turns: Vec<Turn>,
    records: usize,
}

impl Batch {
    /// Adds a record.
    pub fn push(&mut self, record: &Record) {
        self.push_of(record, None);
    }

    /// Adds a record of a group that was of this type before it: without that, the number of groups of its type is told a little
    /// late where it ends the group.
    pub fn push_of(&mut self, record: &Record, kind: Option<GroupType>) {
        self.put(&EntryRef::Command(record));
        self.turns.extend(Turn::of(record, kind));
    }

    /// Adds a user who was seen for the first time; a second time does no harm.
    pub fn push_account(&mut self, user: &UserId) {
        self.put(&EntryRef::Account(user));
        self.turns.push(Turn::Seen(user.clone()));
    }

    fn put(&mut self, entry: &EntryRef<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let bytes = std::mem::take(&mut self.bytes);
        // An entry holds no sequence of unknown length and the vector grows as needed: the two causes of failure are absent.
        self.bytes = postcard::to_extend(entry, bytes).expect("an entry of plain values can always be encoded");
        let length = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.records += 1;
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
    }
}
