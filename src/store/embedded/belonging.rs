//! Who belongs where, seen from the user: what a row of a relation is called, and how such rows are read, changed, and made anew
//! of what groups and members say.
//!
//! A key is the user, a byte 0, the rank, and the group. The rank is a byte 1 for an own group, 2 for one that the user joined
//! by themself, and nothing for one to which others added them; no group's id begins with such a byte. So a user's rows begin
//! with what they did themself, and whoever wants no more than that need not read what others caused.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, Table as Rows, WriteTransaction};

use super::rows::{self, GROUPS, MEMBERS, RELATIONS};
use super::table::TableError;
use crate::domain::name::{GroupId, UserId};
use crate::store::Relation;

/// The byte before the group's id, for each rank that has one.
const RANKS: [u8; 2] = [1, 2];

/// The key of a relation.
fn key(user: &str, group: &str, relation: Relation) -> Vec<u8> {
    let mut key = rows::pair(user, group);
    if let Some(rank) = RANKS.get(usize::from(relation.rank())) {
        key.insert(user.len() + 1, *rank);
    }
    key
}

/// What stands in a key behind the user and the byte 0, without the rank.
pub(super) fn group_of(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(&RANKS[..1]).or_else(|| rest.strip_prefix(&RANKS[1..])).unwrap_or(rest)
}

/// A place in the row of a user's relations: its rank, and its group.
pub(super) type Place = (u8, GroupId);

/// Some of what the table knows of a user.
pub(super) struct Known {
    /// What the user is to which groups.
    pub(super) relations: BTreeMap<GroupId, Relation>,
    /// Beyond this nothing was read; `None`: all that was asked for.
    pub(super) horizon: Option<Place>,
}

/// What a user is to which groups, as far as the table knows: at most so many rows, by rank and group.
pub(super) fn first(view: &ReadTransaction, user: &UserId, rows_max: usize) -> Result<Known, TableError> {
    let (from, to) = rows::pairs_of(user.as_str());
    read(view, user, &from, &to, rows_max)
}

/// Groups that the user owns, as far as the table knows.
pub(super) fn owned(view: &ReadTransaction, user: &UserId) -> Result<BTreeMap<GroupId, Relation>, TableError> {
    let [from, to] = RANKS.map(|rank| [rows::pair(user.as_str(), "").as_slice(), &[rank]].concat());
    Ok(read(view, user, &from, &to, usize::MAX)?.relations)
}

fn read(view: &ReadTransaction, user: &UserId, from: &[u8], to: &[u8], rows_max: usize) -> Result<Known, TableError> {
    let mut known = Known { relations: BTreeMap::new(), horizon: None };
    let mut last = None;
    for entry in view.open_table(RELATIONS)?.range(from..to)? {
        if known.relations.len() >= rows_max {
            known.horizon = last;
            break;
        }
        let (key, row) = entry?;
        let relation = rows::decode_relation(key.value(), row.value()).map_err(TableError::Damaged)?;
        let group = key.value().get(user.as_str().len() + 1..).and_then(|rest| std::str::from_utf8(group_of(rest)).ok());
        let group = group.and_then(rows::group).ok_or_else(|| TableError::Damaged(format!("a key of {user:?} is no name")))?;
        last = Some((relation.rank(), group.clone()));
        known.relations.insert(group, relation);
    }
    Ok(known)
}

/// The table of relations while it is changed.
pub(super) struct Relations<'a>(Rows<'a, &'static [u8], &'static [u8]>);

impl<'a> Relations<'a> {
    /// In a transaction of the table.
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, TableError> {
        Ok(Self(transaction.open_table(RELATIONS)?))
    }

    /// A user becomes something else to a group than before.
    pub(super) fn change(&mut self, user: &UserId, group: &GroupId, before: Relation, after: Relation) -> Result<(), TableError> {
        if before != Relation::default() && (before.rank() != after.rank() || after == Relation::default()) {
            self.0.remove(key(user.as_str(), group.as_str(), before).as_slice())?;
        }
        self.put(user.as_str(), group.as_str(), after)
    }

    fn put(&mut self, user: &str, group: &str, relation: Relation) -> Result<(), TableError> {
        if relation != Relation::default() {
            let key = key(user, group, relation);
            self.0.insert(key.as_slice(), rows::encode_relation(&key, relation).as_slice())?;
        }
        Ok(())
    }
}

/// Makes all relations of groups and members, and removes members of groups that are not there; says how many.
pub(super) fn make_anew(transaction: &WriteTransaction) -> Result<u64, TableError> {
    transaction.delete_table(RELATIONS)?;
    let (groups, mut members) = (transaction.open_table(GROUPS)?, transaction.open_table(MEMBERS)?);
    let mut relations = Relations::open(transaction)?;
    for entry in groups.iter()? {
        let (key, row) = entry?;
        let Some(id) = rows::group(key.value()) else { continue };
        let owner = rows::decode_group(&id, row.value()).map_err(TableError::Damaged)?.profile.owner;
        let mut owner_alone = owner.clone();
        let (from, to) = rows::pairs_of(id.as_str());
        for entry in members.range(from.as_slice()..to.as_slice())? {
            let (key, row) = entry?;
            let user = rows::second(key.value(), id.as_str(), rows::user).map_err(TableError::Damaged)?;
            let asked = rows::decode_member(key.value(), row.value()).map_err(TableError::Damaged)?.asked;
            owner_alone.take_if(|owner| *owner == user);
            relations.put(user.as_str(), id.as_str(), Relation { member: true, owner: owner.as_ref() == Some(&user), asked })?;
        }
        if let Some(owner) = owner_alone {
            relations.put(owner.as_str(), id.as_str(), Relation { owner: true, ..Relation::default() })?;
        }
    }
    let mut orphans = Vec::new();
    for entry in members.iter()? {
        let key = entry?.0.value().to_vec();
        let group = std::str::from_utf8(&key).ok().and_then(|key| key.split_once('\0')).map(|(group, _)| group);
        if group.map(|group| groups.get(group)).transpose()?.flatten().is_none() {
            orphans.push(key);
        }
    }
    for key in &orphans {
        members.remove(key.as_slice())?;
    }
    Ok(orphans.len() as u64)
}
