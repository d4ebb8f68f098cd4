//! Folds records onto the table's rows: however often a group changed, its row is written once.
//!
//! The rules of what a record does are `domain::group::apply` alone. A group's members are never read for a counter's sake.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use redb::{AccessGuard, ReadableTable, Table as Rows, WriteTransaction};

use super::belonging::Relations;
use super::block::GroupChange;
use super::kinds;
use super::rows::{self, ACCOUNTS, GROUPS, MEMBERS};
use super::table::TableError;
use crate::domain::group::{self, Group};
use crate::domain::member::{GroupType, Member};
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::Effect;
use crate::store::Relation;

/// A group on its way from one state of the table to the next.
#[derive(Debug, Default)]
struct Row {
    owner_before: Option<UserId>,
    kind_before: Option<GroupType>,
    /// Without its members.
    group: Option<Box<Group>>,
    /// Nobody who is in the table is a member any more.
    cleared: bool,
    /// Who is a member now, or is none.
    members: HashMap<UserId, Option<Member>>,
}

impl Row {
    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Created { members, .. } => {
                self.cleared = true;
                self.members = members.iter().map(|(user, member)| (user.clone(), Some(member.clone()))).collect();
            }
            Effect::Dissolved => {
                self.cleared = true;
                self.members.clear();
            }
            Effect::Joined { members } if self.group.is_some() => {
                self.members.extend(members.iter().map(|(user, member)| (user.clone(), Some(member.clone()))));
            }
            Effect::Entered { user, joined_at } if self.group.is_some() => {
                self.members.insert(user.clone(), Some(Member::entered(*joined_at)));
            }
            Effect::Left { users } if self.group.is_some() => {
                self.members.extend(users.iter().map(|user| (user.clone(), None)));
            }
            _ => {}
        }
        group::apply(&mut self.group, effect);
        if let Some(group) = &mut self.group {
            group.members.clear();
        }
    }
}

/// Rows that are being changed.
#[derive(Debug, Default)]
pub(super) struct Fold {
    groups: HashMap<GroupId, Row>,
    accounts: BTreeSet<UserId>,
}

impl Fold {
    /// Applies a record. Records come in the journal's order.
    pub(super) fn apply(&mut self, rows: &impl ReadableTable<&'static str, &'static [u8]>, record: &GroupChange) -> Result<(), TableError> {
        let Some(effect) = &record.effect else { return Ok(()) };
        let row = match self.groups.entry(record.group.clone()) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(place) => {
                let stored = rows.get(record.group.as_str())?;
                let group = stored.map(|row| rows::decode_group(&record.group, row.value())).transpose().map_err(TableError::Damaged)?;
                let owner_before = group.as_ref().and_then(|group| group.profile.owner.clone());
                let kind_before = group.as_ref().map(|group| group.profile.kind);
                place.insert(Row { owner_before, kind_before, group, ..Row::default() })
            }
        };
        row.apply(effect);
        Ok(())
    }

    /// Adds a user who was seen.
    pub(super) fn add_account(&mut self, user: UserId) {
        self.accounts.insert(user);
    }

    /// Writes all rows that were changed, in the order of their keys.
    pub(super) fn write(self, transaction: &WriteTransaction) -> Result<(), TableError> {
        let mut accounts = transaction.open_table(ACCOUNTS)?;
        for user in &self.accounts {
            accounts.insert(user.as_str(), ())?;
        }
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut table = transaction.open_table(GROUPS)?;
        let mut members = Membership { members: transaction.open_table(MEMBERS)?, relations: Relations::open(transaction)? };
        for (id, row) in groups {
            match &row.group {
                Some(group) => drop(table.insert(id.as_str(), rows::encode_group(&id, group).as_slice())?),
                None => drop(table.remove(id.as_str())?),
            }
            kinds::change(transaction, &id, row.kind_before, row.group.as_ref().map(|group| group.profile.kind))?;
            members.write(&id, row)?;
        }
        Ok(())
    }
}

struct Membership<'a> {
    members: Rows<'a, &'static [u8], &'static [u8]>,
    relations: Relations<'a>,
}

impl Membership<'_> {
    fn write(&mut self, id: &GroupId, row: Row) -> Result<(), TableError> {
        let owner = row.group.as_ref().and_then(|group| group.profile.owner.clone());
        if row.cleared {
            self.clear(id, row.owner_before.as_ref())?;
        } else if row.members.is_empty() && owner == row.owner_before {
            return Ok(());
        }
        let mut touched: Vec<UserId> = row.members.keys().cloned().collect();
        touched.extend(row.owner_before.iter().chain(&owner).filter(|user| !row.members.contains_key(*user)).cloned());
        touched.sort_unstable();
        touched.dedup();
        for user in touched {
            let key = rows::pair(id.as_str(), user.as_str());
            let relation = |member: Option<bool>, owner: Option<&UserId>| {
                let (member, asked) = (member.is_some(), member.unwrap_or_default());
                Relation { member, owner: owner == Some(&user), asked }
            };
            let (before, after) = match row.members.get(&user) {
                Some(Some(member)) => {
                    let encoded = rows::encode_member(&key, member);
                    (asked(&key, self.members.insert(key.as_slice(), encoded.as_slice())?)?, Some(member.asked))
                }
                Some(None) => (asked(&key, self.members.remove(key.as_slice())?)?, None),
                None => {
                    let known = asked(&key, self.members.get(key.as_slice())?)?;
                    (known, known)
                }
            };
            let (before, after) = (relation(before, row.owner_before.as_ref()), relation(after, owner.as_ref()));
            self.relations.change(&user, id, before, after)?;
        }
        Ok(())
    }

    /// Removes everybody who is in the table.
    fn clear(&mut self, id: &GroupId, owner: Option<&UserId>) -> Result<(), TableError> {
        let (from, to) = rows::pairs_of(id.as_str());
        let mut users = Vec::new();
        for entry in self.members.range(from.as_slice()..to.as_slice())? {
            users.push(rows::second(entry?.0.value(), id.as_str(), rows::user).map_err(TableError::Damaged)?);
        }
        for user in users {
            let key = rows::pair(id.as_str(), user.as_str());
            let asked = asked(&key, self.members.remove(key.as_slice())?)?.unwrap_or_default();
            let before = Relation { member: true, owner: owner == Some(&user), asked };
            self.relations.change(&user, id, before, Relation::default())?;
        }
        Ok(())
    }
}

/// Whether a member's row says that they joined by themself; `None` where there is no row.
fn asked(key: &[u8], row: Option<AccessGuard<'_, &'static [u8]>>) -> Result<Option<bool>, TableError> {
    row.map(|row| rows::decode_member(key, row.value()).map(|member| member.asked)).transpose().map_err(TableError::Damaged)
}
