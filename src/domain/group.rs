//! One group: its profile, members, counters and version, and every rule of who may do what to them.
//!
//! Planning reads and decides, applying changes: a refused command therefore cannot leave a trace, and a journal that is
//! applied again gives the same group. What was applied can be taken back while its commit is open.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::code::{Code, Refusal};
use super::command::Write;
use super::counters::{Counter, Counters};
use super::member::{GroupType, JoinOption, Member, Profile, Role};
use super::name::UserId;
use super::record::{Answer, Effect};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// His name.
    pub user: &'a UserId,
    /// An app admin: has owner rights in every group and needs no membership.
    pub admin: bool,
    /// Whether his connection sits in the group; it is what counts in an AVChatRoom.
    pub seated: bool,
}

/// What became of a list of users to add or to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Done.
    pub success: Vec<UserId>,
    /// Was a member already.
    pub existed: Vec<UserId>,
    /// Could not be done.
    pub failure: Vec<UserId>,
}

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub profile: Profile,
    /// Who is in it; always empty in an AVChatRoom, whose members are connections.
    pub members: HashMap<UserId, Member>,
    /// Its counters.
    pub counters: Counters,
    /// Its count of applied writes.
    pub version: u64,
}

impl Group {
    /// A new group's effect: the owner is its first member, before those named, except in an AVChatRoom.
    pub fn plan_create(profile: Profile, named: Vec<(UserId, Member)>, now_seconds: u64) -> Effect {
        let owner = profile.owner.iter().filter(|_| profile.kind != GroupType::AvChatRoom);
        let mut members: Vec<_> = owner.map(|user| (user.clone(), Member::new(Role::Owner, now_seconds))).collect();
        let mut known: HashSet<_> = members.iter().map(|(user, _)| user.clone()).collect();
        members.extend(named.into_iter().filter(|(user, _)| known.insert(user.clone())));
        Effect::Created { profile: Box::new(profile), members }
    }

    /// Whether the caller may read and write here. Errors: 10007.
    pub fn check_access(&self, caller: Caller<'_>) -> Result<(), Refusal> {
        if caller.admin { Ok(()) } else { self.check_membership(caller) }
    }

    /// Whether the caller is in the group, app admins included. Errors: 10007.
    pub fn check_membership(&self, caller: Caller<'_>) -> Result<(), Refusal> {
        if self.is_member(caller) {
            return Ok(());
        }
        Err(Refusal::new(Code::NotPermitted, "you are not a member of this group: join it first"))
    }

    /// Whether the caller is in the group.
    pub fn is_member(&self, caller: Caller<'_>) -> bool {
        match self.profile.kind {
            GroupType::AvChatRoom => caller.seated,
            _ => self.members.contains_key(caller.user),
        }
    }

    /// Members in the order in which they came, from a place on: those of some roles, or all where none is named.
    pub fn page_of_members(&self, roles: Option<&[Role]>, offset: usize, limit: usize) -> Vec<(&UserId, &Member)> {
        let order = |(a, of_a): &(&UserId, &Member), (b, of_b): &(&UserId, &Member)| (of_a.joined_at, *a).cmp(&(of_b.joined_at, *b));
        let wanted = |member: &Member| roles.is_none_or(|roles| roles.contains(&member.role));
        let mut page: Vec<_> = self.members.iter().filter(|(_, member)| wanted(member)).collect();
        // Only the page itself needs to be put in order.
        let end = offset.saturating_add(limit);
        if end < page.len() {
            page.select_nth_unstable_by(end, order);
            page.truncate(end);
        }
        if offset >= page.len() {
            return Vec::new();
        }
        page.select_nth_unstable_by(offset, order);
        page.drain(..offset);
        page.sort_unstable_by(order);
        page
    }

    /// Plans a write. `None` as effect: nothing to do, and nothing counted. Errors: 10004, 10063.
    pub fn plan_write(&self, write: &Write, keys_max: usize) -> Result<(Option<Effect>, Answer), Refusal> {
        let next = self.version + 1;
        match write {
            Write::Change(mode, items) => {
                let values = self.counters.plan(*mode, items, keys_max)?;
                let answer = Answer { version: next, values: values.iter().map(|(_, value)| *value).collect() };
                Ok((Some(Effect::Changed { version: next, values }), answer))
            }
            Write::Delete(Some(keys)) if keys.is_empty() => {
                Err(Refusal::new(Code::InvalidParameter, "the list of keys is empty: leave it out to delete all counters"))
            }
            Write::Delete(keys) => {
                let found = match keys {
                    Some(keys) => self.counters.existing(keys),
                    None => self.counters.iter().map(|counter| counter.key.clone()).collect(),
                };
                let version = if found.is_empty() { self.version } else { next };
                let effect = (!found.is_empty()).then_some(Effect::Deleted { version, keys: found });
                Ok((effect, Answer { version, values: SmallVec::new() }))
            }
        }
    }

    /// Plans a join by the user himself; `None`: he is in already, or sits down without being kept. Errors: 10007, 10014.
    pub fn plan_join(&self, caller: Caller<'_>, now_seconds: u64, members_max: usize) -> Result<Option<Effect>, Refusal> {
        if self.profile.kind == GroupType::AvChatRoom || self.members.contains_key(caller.user) {
            return Ok(None);
        }
        match (self.profile.kind, self.profile.join_option) {
            (GroupType::Private, _) => Err(Refusal::new(Code::NotPermitted, "a Private group cannot be joined: a member must add you")),
            (GroupType::Public, JoinOption::NeedPermission | JoinOption::DisableApply) => {
                Err(Refusal::new(Code::NotPermitted, "this Public group cannot be joined freely: its owner or an admin must add you"))
            }
            _ if self.is_full(members_max) => Err(self.full()),
            _ => Ok(Some(Effect::Entered { user: caller.user.clone(), joined_at: now_seconds })),
        }
    }

    /// Plans to leave; `None`: the connection's seat is all there was. Errors: 10007, 10009.
    pub fn plan_quit(&self, caller: Caller<'_>) -> Result<Option<Effect>, Refusal> {
        if !self.is_member(caller) {
            return Err(Refusal::new(Code::NotPermitted, "you are not a member of this group"));
        }
        match self.profile.kind {
            GroupType::AvChatRoom => Ok(None),
            GroupType::Public | GroupType::ChatRoom if self.profile.owner.as_ref() == Some(caller.user) => {
                Err(Refusal::new(Code::OwnerCannotQuit, "the owner cannot leave this group: dissolve it instead"))
            }
            _ => Ok(Some(Effect::Left { users: vec![caller.user.clone()] })),
        }
    }

    /// Plans to add users. Errors: 10007 for the type or the caller's role, 10014 where the group is full for all of them.
    pub fn plan_add(
        &self,
        caller: Caller<'_>,
        users: &[UserId],
        now_seconds: u64,
        members_max: usize,
    ) -> Result<(Option<Effect>, Listed), Refusal> {
        let allowed = match self.profile.kind {
            GroupType::AvChatRoom => {
                return Err(Refusal::new(Code::NotPermitted, "nobody can be added to an AVChatRoom: its members join by themselves"));
            }
            GroupType::Private => caller.admin || self.members.contains_key(caller.user),
            GroupType::Public | GroupType::ChatRoom => caller.admin || self.rank(caller.user) > Rank::Member,
        };
        if !allowed {
            return Err(Refusal::new(Code::NotPermitted, "you may not add members to this group"));
        }
        let (mut listed, mut members, mut joining) = (Listed::default(), Vec::new(), HashSet::new());
        for user in users {
            if self.members.contains_key(user) || joining.contains(user) {
                listed.existed.push(user.clone());
            } else if self.members.len() + members.len() >= self.members_max(members_max) {
                listed.failure.push(user.clone());
            } else {
                joining.insert(user);
                members.push((user.clone(), Member::new(Role::Member, now_seconds)));
                listed.success.push(user.clone());
            }
        }
        if members.is_empty() && listed.existed.is_empty() && !listed.failure.is_empty() {
            return Err(self.full());
        }
        Ok(((!members.is_empty()).then_some(Effect::Joined { members }), listed))
    }

    /// Plans to remove users; whoever is no member counts as done, and nobody removes somebody of his own rank or above.
    /// Errors: 10004 in an AVChatRoom, 10007 for the caller's role.
    pub fn plan_remove(&self, caller: Caller<'_>, users: &[UserId]) -> Result<(Option<Effect>, Listed), Refusal> {
        if self.profile.kind == GroupType::AvChatRoom {
            return Err(Refusal::new(Code::InvalidParameter, "nobody can be removed from an AVChatRoom: its members are not kept"));
        }
        let rank = if caller.admin { Rank::App } else { self.rank(caller.user) };
        if rank <= Rank::Member {
            return Err(Refusal::new(Code::NotPermitted, "only the owner and the group's admins may remove members"));
        }
        let (mut listed, mut leaving, mut known) = (Listed::default(), Vec::new(), HashSet::new());
        for user in users {
            let theirs = self.rank(user);
            if theirs >= rank || theirs == Rank::Owner {
                listed.failure.push(user.clone());
                continue;
            }
            if theirs > Rank::Stranger && known.insert(user) {
                leaving.push(user.clone());
            }
            listed.success.push(user.clone());
        }
        Ok(((!leaving.is_empty()).then_some(Effect::Left { users: leaving }), listed))
    }

    /// Plans the group's end. Errors: 10007 for anybody but the owner and app admins.
    pub fn plan_dissolve(&self, caller: Caller<'_>) -> Result<Effect, Refusal> {
        if caller.admin || self.profile.owner.as_ref() == Some(caller.user) {
            return Ok(Effect::Dissolved);
        }
        Err(Refusal::new(Code::NotPermitted, "only the owner may dissolve the group"))
    }

    fn is_full(&self, members_max: usize) -> bool {
        self.members.len() >= self.members_max(members_max)
    }

    /// The smaller of the server's bound and the group's own; 0 is none.
    fn members_max(&self, servers: usize) -> usize {
        let own = self.profile.details.members_max.map_or(0, |own| own as usize);
        [servers, own].into_iter().filter(|max| *max > 0).min().unwrap_or(usize::MAX)
    }

    fn full(&self) -> Refusal {
        Refusal::new(Code::GroupFull, format!("the group is full: it has {} members", self.members.len()))
    }

    fn rank(&self, user: &UserId) -> Rank {
        match self.members.get(user).map(|m| m.role) {
            _ if self.profile.owner.as_ref() == Some(user) => Rank::Owner,
            Some(Role::Owner) => Rank::Owner,
            Some(Role::Admin) => Rank::Admin,
            Some(Role::Member) => Rank::Member,
            None => Rank::Stranger,
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Stranger,
    Member,
    Admin,
    Owner,
    App,
}

/// What an applied effect overwrote, so that it can be taken back.
#[derive(Debug)]
pub enum Undo {
    /// The whole state before, for a creation or an end.
    Whole(Option<Box<Group>>),
    /// The version before, and what each key held.
    Values(u64, SmallVec<[Option<(i64, u64)>; 1]>),
    /// The version before, and the counters with their places, in order.
    Deleted(u64, Vec<(usize, Counter)>),
    /// Nobody was there before.
    Joined,
    /// The members and the owner before.
    Left(Vec<(UserId, Member)>, Option<UserId>),
}

/// Applies an effect to the state of one group, `None` where there is none. Effects that do not fit (a change to a group
/// that is not there) change nothing: they cannot come out of planning.
pub fn apply(state: &mut Option<Box<Group>>, effect: &Effect) -> Undo {
    match (effect, state.as_deref_mut()) {
        (Effect::Created { profile, members }, _) => {
            let members = members.iter().cloned().collect();
            let group = Group { profile: (**profile).clone(), members, counters: Counters::default(), version: 0 };
            Undo::Whole(state.replace(Box::new(group)))
        }
        (Effect::Dissolved, _) => Undo::Whole(state.take()),
        (Effect::Changed { version, values }, Some(group)) => {
            let before = std::mem::replace(&mut group.version, *version);
            Undo::Values(before, values.iter().map(|(key, value)| group.counters.put(key, *value, *version)).collect())
        }
        (Effect::Deleted { version, keys }, Some(group)) => {
            let before = std::mem::replace(&mut group.version, *version);
            Undo::Deleted(before, group.counters.take_all(keys))
        }
        (Effect::Joined { members }, Some(group)) => {
            group.members.extend(members.iter().cloned());
            Undo::Joined
        }
        (Effect::Entered { user, joined_at }, Some(group)) => {
            group.members.insert(user.clone(), Member::entered(*joined_at));
            Undo::Joined
        }
        (Effect::Left { users }, Some(group)) => {
            let owner = group.profile.owner.clone();
            if owner.as_ref().is_some_and(|owner| users.contains(owner)) {
                group.profile.owner = None;
            }
            Undo::Left(users.iter().filter_map(|user| group.members.remove_entry(user)).collect(), owner)
        }
        (_, None) => Undo::Whole(None),
    }
}

/// Takes an effect back that was the newest one applied.
pub fn take_back(state: &mut Option<Box<Group>>, effect: &Effect, undo: Undo) {
    let group = match undo {
        Undo::Whole(before) => {
            *state = before;
            return;
        }
        _ => state.as_deref_mut(),
    };
    let Some(group) = group else { return };
    match (undo, effect) {
        (Undo::Values(version, before), Effect::Changed { values, .. }) => {
            group.version = version;
            for ((key, _), before) in values.iter().zip(before).rev() {
                match before {
                    Some((value, version)) => drop(group.counters.put(key, value, version)),
                    None => group.counters.take_newest(key),
                }
            }
        }
        (Undo::Deleted(version, taken), _) => {
            group.version = version;
            group.counters.put_back_all(taken);
        }
        (Undo::Joined, Effect::Joined { members }) => members.iter().for_each(|(joined, _)| drop(group.members.remove(joined))),
        (Undo::Joined, Effect::Entered { user, .. }) => drop(group.members.remove(user)),
        (Undo::Left(members, owner), _) => {
            group.members.extend(members);
            group.profile.owner = owner;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
