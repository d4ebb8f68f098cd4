//! How the table's rows look. Pure: values in, bytes out.
//!
//! Every row ends with a checksum over its key and itself: what the disk changed behind our back is never taken for true.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};

use super::identity::StoreId;
use super::journal::Position;
use super::label::FIRST_BLOCK;
use crate::domain::counters::Counters;
use crate::domain::group::Group;
use crate::domain::member::{GroupType, Member, Profile};
use crate::domain::name::{GroupId, UserId};
use crate::store::{Durability, Relation};

/// The format of table, journal and folder that this program writes.
pub(super) const FORMAT: u32 = 2;

/// The format of a group's row, which begins with it.
const GROUP_FORMAT: u8 = 1;

/// The end of the row of a member who joined by himself.
const ASKED: u8 = 1;

/// Group → profile, version, counters.
pub(super) const GROUPS: TableDefinition<&str, &[u8]> = TableDefinition::new("groups");
/// Group, 0, user → role, time of joining, what the app keeps, and a byte 1 where he joined by himself.
pub(super) const MEMBERS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("members");
/// User, 0, rank, group → what he is to it; see `belonging`.
pub(super) const RELATIONS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("relations");
/// User → nothing: he has an account.
pub(super) const ACCOUNTS: TableDefinition<&str, ()> = TableDefinition::new("accounts");
/// `format` → a number; `state` → `Meta`.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// What the store knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// Which store it is.
    pub(super) store: StoreId,
    /// See `Store::generation`.
    pub(super) generation: u64,
    /// The table has everything up to here.
    pub(super) merged: Position,
    /// Segments from here on must exist; those before are refuse.
    pub(super) oldest: u64,
    /// The life of the store of which the machine's memory may know, see `Note`; 0: of none.
    pub(super) life: u64,
    /// What told its folder from copies of it, or nothing; see `Disk::home`.
    pub(super) home: String,
    /// It was closed.
    pub(super) clean: bool,
    /// It was last kept in `Durability::Interval`.
    pub(super) interval: bool,
}

impl Meta {
    /// A new store's.
    pub(super) fn new(store: StoreId, durability: Durability) -> Self {
        let merged = Position { lsn: 0, segment: 1, offset: FIRST_BLOCK };
        let home = String::new();
        Self { store, generation: 1, merged, oldest: 1, life: 0, home, clean: true, interval: durability == Durability::Interval }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        seal(b"state", postcard::to_stdvec(self).expect("plain values can always be encoded"))
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, String> {
        decode("the store's own state", unseal(b"state", row)?)
    }
}

/// A generation that follows another one, and that no other copy of the store comes to by itself.
pub(super) fn renewed(generation: u64) -> u64 {
    generation.saturating_add(1 + u64::from(fastrand::u32(..)))
}

/// Whose rows, of those that hold what clients wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Groups,
    Members,
    Relations,
    Accounts,
}

impl Rows {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Groups, Self::Members, Self::Relations, Self::Accounts];

    /// What an operator calls them.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Members => "members",
            Self::Relations => "relations",
            Self::Accounts => "accounts",
        }
    }

    /// Whether a row is what was written.
    pub(super) fn check(self, key: &[u8], row: &[u8]) -> Result<(), String> {
        let name = || std::str::from_utf8(key).map_err(|_| "a key is no text".to_owned());
        let sound = match self {
            Self::Groups => decode_group(&group(name()?).ok_or("the id of a group is no name")?, row).map(drop),
            Self::Members => decode_member(key, row).map(drop),
            Self::Relations => decode_relation(key, row).map(drop),
            Self::Accounts => user(name()?).map(drop).ok_or_else(|| "an account is no name".to_owned()),
        };
        sound.map_err(|words| format!("{words} (in the table of {})", self.name()))
    }
}

#[derive(Serialize)]
struct GroupRow<'a>(&'a Profile, u64, &'a Counters);

#[derive(Deserialize)]
struct OwnedGroupRow(Profile, u64, Counters);

/// A group's row: format, type, and all but the members.
pub(super) fn encode_group(id: &GroupId, group: &Group) -> Vec<u8> {
    let start = vec![GROUP_FORMAT, group.profile.kind as u8];
    let row = GroupRow(&group.profile, group.version, &group.counters);
    seal(id.as_str().as_bytes(), postcard::to_extend(&row, start).expect("plain values can always be encoded"))
}

/// A group without its members.
pub(super) fn decode_group(id: &GroupId, row: &[u8]) -> Result<Box<Group>, String> {
    let body = unseal(id.as_str().as_bytes(), row)?;
    match body {
        [version, _, rest @ ..] if *version == GROUP_FORMAT => {
            let OwnedGroupRow(profile, version, counters) = decode(id.as_str(), rest)?;
            Ok(Box::new(Group { profile, members: Default::default(), counters, version }))
        }
        _ => Err(format!("the row of group {id:?} has an unknown format")),
    }
}

/// The type of a group, read without the rest of its row.
pub(super) fn kind_of(row: &[u8]) -> Option<GroupType> {
    GroupType::ALL.into_iter().find(|kind| row.get(1) == Some(&(*kind as u8)))
}

/// `first`, 0, `second`. Neither can hold a 0.
pub(super) fn pair(first: &str, second: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(first.len() + 1 + second.len());
    key.extend_from_slice(first.as_bytes());
    key.push(0);
    key.extend_from_slice(second.as_bytes());
    key
}

/// All pairs that begin with `first`, as a range.
pub(super) fn pairs_of(first: &str) -> (Vec<u8>, Vec<u8>) {
    let (from, mut to) = (pair(first, ""), pair(first, ""));
    to[first.len()] = 1;
    (from, to)
}

/// The second part of a pair's key.
pub(super) fn second<T>(key: &[u8], first: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let text = key.get(first.len() + 1..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(parse).ok_or_else(|| format!("a key of {first:?} is no name"))
}

pub(super) fn encode_member(key: &[u8], member: &Member) -> Vec<u8> {
    let mut body = postcard::to_stdvec(member).expect("plain values can always be encoded");
    body.extend(member.asked.then_some(ASKED));
    seal(key, body)
}

pub(super) fn decode_member(key: &[u8], row: &[u8]) -> Result<Member, String> {
    match postcard::take_from_bytes::<Member>(unseal(key, row)?) {
        Ok((member, [])) => Ok(member),
        Ok((member, [ASKED])) => Ok(Member { asked: true, ..member }),
        Ok(_) => Err("a member's row has the wrong form".to_owned()),
        Err(error) => Err(format!("a member's row has the wrong form: {error}")),
    }
}

pub(super) fn encode_relation(key: &[u8], relation: Relation) -> Vec<u8> {
    seal(key, vec![u8::from(relation.member) | u8::from(relation.owner) << 1 | u8::from(relation.asked) << 2])
}

pub(super) fn decode_relation(key: &[u8], row: &[u8]) -> Result<Relation, String> {
    match unseal(key, row)? {
        [flags] if *flags < 8 => Ok(Relation { member: flags & 1 != 0, owner: flags & 2 != 0, asked: flags & 4 != 0 }),
        _ => Err("a relation's row has the wrong form".to_owned()),
    }
}

/// Reads a user's name out of a key.
pub(super) fn user(text: &str) -> Option<UserId> {
    UserId::parse(text).ok()
}

/// Reads a group's id out of a key.
pub(super) fn group(text: &str) -> Option<GroupId> {
    GroupId::parse(text).ok()
}

fn decode<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("the row of {what:?} cannot be read: {error}"))
}

pub(super) fn seal(key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

fn unseal<'a>(key: &[u8], row: &'a [u8]) -> Result<&'a [u8], String> {
    let (body, sum) = row.split_last_chunk::<4>().ok_or("a row is too short")?;
    if checksum(key, body) != u32::from_le_bytes(*sum) {
        return Err(format!("the checksum of the row {:?} is wrong", String::from_utf8_lossy(key)));
    }
    Ok(body)
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[0]);
    hasher.update(body);
    hasher.finalize()
}
