//! What committed records changed in who belongs where, for as long as the table does not have it.
//!
//! Changes are absolute: to apply some of them again to a table that has them already gives the same. So the overlay only
//! must never lack one that the table does not have; it is pruned after the table's commit, never before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::store::batch::Turn;
use crate::store::{Lsn, Relation};

#[derive(Debug, Clone, Copy)]
enum Change {
    Whole(Relation),
    /// True: by himself.
    Joined(bool),
    Left,
}

#[derive(Debug, Clone)]
struct Dated<T> {
    /// Orders changes inside one block, too.
    turn: u64,
    lsn: Lsn,
    what: T,
}

/// Whose entries become old with a block.
#[derive(Debug)]
enum Touched {
    User(UserId),
    Account(UserId),
    /// With the type of which there is one more or less.
    Group(GroupId, Option<GroupType>, i64),
}

/// All that is committed and not merged.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    pruned: Lsn,
    turns: u64,
    users: HashMap<UserId, Vec<Dated<(GroupId, Change)>>>,
    accounts: HashMap<UserId, Lsn>,
    /// When groups last began or ended, and what they are since.
    groups: BTreeMap<GroupId, Dated<Option<GroupType>>>,
    log: VecDeque<(Lsn, Touched)>,
}

impl Overlay {
    /// Adds what a block changed. Blocks come in order.
    pub(super) fn add(&mut self, lsn: Lsn, turns: Vec<Turn>) {
        for turn in turns {
            self.turns += 1;
            match turn {
                Turn::Began(group, kind, owner, members) => {
                    self.set_group(lsn, &group, Some(kind), Some(kind));
                    let owner_alone = owner.iter().filter(|owner| !members.contains(owner)).cloned().collect::<Vec<_>>();
                    for user in members {
                        let relation = Relation { member: true, owner: owner.as_ref() == Some(&user), asked: false };
                        self.set_user(lsn, user, &group, Change::Whole(relation));
                    }
                    for user in owner_alone {
                        self.set_user(lsn, user, &group, Change::Whole(Relation { owner: true, ..Relation::default() }));
                    }
                }
                Turn::Seen(user) => {
                    self.log.push_back((lsn, Touched::Account(user.clone())));
                    self.accounts.insert(user, lsn);
                }
                Turn::Ended(group, kind) => {
                    let kind = kind.or_else(|| self.kind_of(&group).flatten());
                    self.set_group(lsn, &group, None, kind);
                }
                Turn::Joined(group, users, asked) => {
                    users.into_iter().for_each(|user| self.set_user(lsn, user, &group, Change::Joined(asked)));
                }
                Turn::Left(group, users) => users.into_iter().for_each(|user| self.set_user(lsn, user, &group, Change::Left)),
            }
        }
    }

    /// Forgets what the table has: all up to `merged`.
    pub(super) fn prune(&mut self, merged: Lsn) {
        self.pruned = merged;
        while let Some((_, touched)) = self.log.pop_front_if(|(lsn, _)| *lsn <= merged) {
            match touched {
                Touched::User(user) => {
                    if let Some(changes) = self.users.get_mut(&user) {
                        changes.retain(|change| change.lsn > merged);
                        if changes.is_empty() {
                            self.users.remove(&user);
                        }
                    }
                }
                Touched::Account(user) => {
                    if self.accounts.get(&user).is_some_and(|lsn| *lsn <= merged) {
                        self.accounts.remove(&user);
                    }
                }
                Touched::Group(group, ..) => {
                    if self.groups.get(&group).is_some_and(|state| state.lsn <= merged) {
                        self.groups.remove(&group);
                    }
                }
            }
        }
    }

    /// Brings what the table knows of a user up to now.
    pub(super) fn lay_over(&self, user: &UserId, known: &mut BTreeMap<GroupId, Relation>) {
        known.retain(|group, _| !self.groups.contains_key(group));
        for Dated { turn, what: (group, change), .. } in self.users.get(user).into_iter().flatten() {
            // A beginning carries its own turn, so that its members count and those of an earlier life do not.
            if self.groups.get(group).is_some_and(|last| turn < &last.turn) {
                continue;
            }
            match change {
                Change::Whole(relation) => drop(known.insert(group.clone(), *relation)),
                Change::Joined(asked) => {
                    let relation = known.entry(group.clone()).or_default();
                    (relation.member, relation.asked) = (true, *asked);
                }
                Change::Left => drop(known.remove(group)),
            }
        }
    }

    /// Whether a user got an account lately.
    pub(super) fn has_account(&self, user: &UserId) -> bool {
        self.accounts.contains_key(user)
    }

    /// What a group became lately: one of a type, or none.
    pub(super) fn kind_of(&self, group: &GroupId) -> Option<Option<GroupType>> {
        self.groups.get(group).map(|state| state.what)
    }

    /// All up to here was forgotten.
    pub(super) fn pruned(&self) -> Lsn {
        self.pruned
    }

    /// Groups that began (with their types) or ended (`None`), in order of their ids, from behind `after`.
    pub(super) fn groups_after(&self, after: Option<&GroupId>) -> impl Iterator<Item = (&GroupId, Option<GroupType>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.groups.range::<GroupId, _>((from, Bound::Unbounded)).map(|(group, state)| (group, state.what))
    }

    /// By how many groups, of one type or of all, there are more than in a table that has all up to `merged`.
    pub(super) fn balance(&self, merged: Lsn, wanted: Option<GroupType>) -> i64 {
        let of = |(lsn, touched): &(Lsn, Touched)| match touched {
            Touched::Group(_, kind, balance) if *lsn > merged && (wanted.is_none() || wanted == *kind) => *balance,
            _ => 0,
        };
        self.log.iter().map(of).sum()
    }

    fn set_group(&mut self, lsn: Lsn, group: &GroupId, what: Option<GroupType>, kind: Option<GroupType>) {
        self.groups.insert(group.clone(), Dated { turn: self.turns, lsn, what });
        self.log.push_back((lsn, Touched::Group(group.clone(), kind, if what.is_some() { 1 } else { -1 })));
    }

    fn set_user(&mut self, lsn: Lsn, user: UserId, group: &GroupId, change: Change) {
        self.log.push_back((lsn, Touched::User(user.clone())));
        self.users.entry(user).or_default().push(Dated { turn: self.turns, lsn, what: (group.clone(), change) });
    }
}
