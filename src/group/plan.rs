//! What an actor makes of a command: an effect, an answer, and what else is to be told. Reads and decides; changes nothing.

use std::sync::Arc;

use super::actor::{Actor, Moment};
use super::{Ask, Origin, Sought};
use crate::domain::code::{Code, Refusal};
use crate::domain::command::{Items, Mode, Write};
use crate::domain::group::{Caller, Group};
use crate::domain::keyed::Places;
use crate::domain::member::{GroupType, NewGroup, Profile};
use crate::domain::name::{CounterKey, OpId, UserId};
use crate::domain::record::{Answer, Effect, Operation};
use crate::domain::replay::Seen;
use crate::domain::throttle::Denied;
use crate::protocol::answer::{Data, GroupView, Inspected, Snapshot};
use crate::users::{Call, User};

/// Who asks, by which door, and when.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The user, with his throttle.
    pub(super) user: &'a Arc<User>,
    /// The same, as the rules of groups see him.
    pub(super) caller: Caller<'a>,
    /// The door.
    pub(super) origin: Origin,
    /// The moment.
    pub(super) at: Moment<'a>,
}

impl Actor {
    /// Plans anything but a creation.
    pub(super) fn ask(&self, ask: Ask, asker: Asker<'_>) -> Result<Plan, Refusal> {
        let Asker { caller, user, origin, at } = asker;
        let no_group = || Refusal::new(Code::NoSuchGroup, "there is no such group");
        if let Ask::Refused(refusal) = ask {
            return Err(refusal);
        }
        let group = match (self.group(), &ask) {
            (Some(group), _) => group,
            (None, Ask::Attach) => return Ok(Plan::of(Told::Nothing)),
            (None, _) => return Err(no_group()),
        };
        let seconds = at.unix / 1000;
        match ask {
            Ask::Write(write, operation) => self.write(group, write, operation, asker),
            Ask::Read(keys) => {
                group.check_access(caller)?;
                if origin == Origin::Socket {
                    admit(user, Call::Read, at)?;
                }
                Ok(Plan::of(Told::Data(Data::Counters(self.id.clone(), snapshot(group, &keys, at.generation)))))
            }
            Ask::Inspect(sought) => {
                let members = match &sought {
                    Sought::Nobody => Vec::new(),
                    Sought::These(users) => users.iter().filter_map(|user| group.members.get_key_value(user)).collect(),
                    Sought::Page { roles, offset, limit } => group.page_of_members(roles.as_deref(), *offset, *limit),
                };
                let members = members.into_iter().map(|(user, member)| (user.clone(), member.clone())).collect();
                let (kept, online) = (group.members.len(), self.online.len());
                Ok(Plan::of(Told::Data(Data::Inspected(Box::new(Inspected { profile: group.profile.clone(), kept, online, members })))))
            }
            Ask::Online => {
                group.check_access(caller)?;
                Ok(Plan::of(Told::Data(Data::Online(self.id.clone(), self.online.len()))))
            }
            Ask::Join => {
                let effect = group.plan_join(caller, seconds, at.limits.members_max)?;
                asker.spend(effect.as_ref())?;
                let already = group.is_member(caller);
                Ok(Plan { effect, operation: None, told: Told::Join { already, generation: at.generation } })
            }
            Ask::Follow => {
                group.check_membership(caller)?;
                Ok(Plan::of(Told::Join { already: true, generation: at.generation }))
            }
            Ask::Attach => Ok(Plan::of(if group.is_member(caller) { Told::Attach } else { Told::Nothing })),
            Ask::Quit => {
                let effect = group.plan_quit(caller)?;
                asker.spend(effect.as_ref())?;
                let told =
                    if effect.is_some() { Told::Left(Data::Group(self.id.clone())) } else { Told::Rise(Data::Group(self.id.clone())) };
                Ok(Plan { effect, operation: None, told })
            }
            Ask::Add(users) => {
                let (effect, listed) = group.plan_add(caller, &users, seconds, at.limits.members_max)?;
                asker.spend(effect.as_ref())?;
                let success = listed.success.clone();
                Ok(Plan { effect, operation: None, told: Told::Added(success, Data::Listed(self.id.clone(), listed)) })
            }
            Ask::Remove(users) => {
                let (effect, listed) = group.plan_remove(caller, &users)?;
                asker.spend(effect.as_ref())?;
                let gone = match &effect {
                    Some(Effect::Left { users }) => users.clone(),
                    _ => Vec::new(),
                };
                Ok(Plan { effect, operation: None, told: Told::Removed(gone, Data::Listed(self.id.clone(), listed)) })
            }
            Ask::Dissolve => {
                let effect = group.plan_dissolve(caller)?;
                asker.spend(Some(&effect))?;
                Ok(Plan { effect: Some(effect), operation: None, told: Told::Dissolved(Data::Group(self.id.clone())) })
            }
            Ask::Create(_) | Ask::Refused(_) => Err(no_group()),
        }
    }

    /// Membership, then the repeat, then the throttle, then the rules.
    fn write(&self, group: &Group, write: Write, operation: Option<OpId>, asker: Asker<'_>) -> Result<Plan, Refusal> {
        let Asker { caller, user, origin, at } = asker;
        group.check_access(caller)?;
        let named = operation.map(|id| (at.prints.print(&user.id, &id), id));
        if let Some((print, _)) = &named {
            match self.replays.find(*print, write.print()) {
                Seen::New => {}
                Seen::Same(answer) => return Ok(Plan::of(Told::Data(self.told(&write, answer, true, origin)))),
                Seen::Different => {
                    return Err(Refusal::new(
                        Code::InvalidParameter,
                        "this opID was used for another command or other values: use a new one",
                    ));
                }
            }
            if !at.replays_left {
                return Err(
                    Refusal::new(Code::Overloaded, "this server remembers as many operations as it can: try again later").after(1000)
                );
            }
        }
        if origin == Origin::Socket {
            admit(user, Call::Write, at)?;
        }
        let (effect, answer) = group.plan_write(&write, at.limits.keys_max)?;
        let told = Told::Data(self.told(&write, &answer, false, origin));
        let operation = named.map(|(print, id)| (print, Operation { user: user.id.clone(), id, print: write.print(), answer }));
        Ok(Plan { effect, operation, told })
    }

    /// Plans a creation.
    pub(super) fn create(&self, new: NewGroup, asker: Asker<'_>) -> Result<Plan, Refusal> {
        let at = asker.at;
        if let Some(group) = self.group() {
            return Err(match new.owner.is_some() && group.profile.owner == new.owner {
                true => Refusal::new(Code::GroupIdTakenByOwn, "a group of yours has this groupID already"),
                false => Refusal::new(Code::GroupIdTaken, "another group has this groupID: choose another"),
            });
        }
        let NewGroup { kind, name, join_option, owner, members, details } = new;
        let created_at = at.unix / 1000;
        // Never that of the life before.
        let incarnation = at.random.wrapping_add(u32::from(at.random == self.life().number));
        let profile = Profile { kind, name, owner, join_option, created_at, incarnation, details };
        let effect = Group::plan_create(profile, members, created_at);
        asker.spend(Some(&effect))?;
        Ok(Plan { effect: Some(effect), operation: None, told: Told::Created })
    }

    /// The group as clients see it.
    pub(super) fn view(&self, group: &Group) -> Box<GroupView> {
        let member_count = match group.profile.kind {
            GroupType::AvChatRoom => self.online.len(),
            _ => group.members.len(),
        };
        Box::new(GroupView { id: self.id.clone(), profile: group.profile.clone(), member_count })
    }

    /// The answer to a write, made of the command and what is kept of its result.
    fn told(&self, write: &Write, answer: &Answer, replayed: bool, origin: Origin) -> Data {
        let (group, version) = (self.id.clone(), answer.version);
        match write {
            _ if origin == Origin::Backend => {
                let before = if replayed { Items::new() } else { self.before(write) };
                Data::Written { before, after: after(write, answer), version, replayed }
            }
            Write::Change(mode, items) if *mode != Mode::Set && items.len() == 1 => {
                let (key, value) = (items[0].0.clone(), answer.values.first().copied().unwrap_or(0));
                Data::Changed { group, key, value, version, replayed }
            }
            Write::Change(..) | Write::Delete(_) => Data::Set { group, counters: after(write, answer), version, replayed },
        }
    }

    /// What the keys of a write hold now.
    fn before(&self, write: &Write) -> Items {
        let Some(group) = self.group() else { return Items::new() };
        match write {
            Write::Change(_, items) => group.counters.pick(&items.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>()),
            Write::Delete(keys) => group.counters.pick(keys.as_deref().unwrap_or_default()),
        }
    }
}
/// The keys of a write, each once, with their new values, made of the command and what is kept of its result.
fn after(write: &Write, answer: &Answer) -> Items {
    let (mut counters, mut places) = (Items::new(), Places::default());
    let Write::Change(mode, items) = write else { return counters };
    for (key, value) in items {
        match (places.find(&counters, key.as_str()), mode) {
            // What was set is what the command says; a repeat may name the keys in another order.
            (Some(at), Mode::Set) => counters[at].1 = *value,
            (Some(_), _) => {}
            (None, mode) => {
                let told = answer.values.get(counters.len()).copied().unwrap_or(0);
                counters.push((key.clone(), if *mode == Mode::Set { *value } else { told }));
                places.pushed(&counters);
            }
        }
    }
    counters
}

/// What is to become of a command.
pub(super) struct Plan {
    /// What it changes.
    pub(super) effect: Option<Effect>,
    /// The operation to remember, with its print.
    pub(super) operation: Option<(u128, Operation)>,
    /// What is told of it.
    pub(super) told: Told,
}

impl Plan {
    fn of(told: Told) -> Self {
        Self { effect: None, operation: None, told }
    }
}

/// What is told of a command once it is done.
pub(super) enum Told {
    Nothing,
    Data(Data),
    Created,
    Join { already: bool, generation: u64 },
    Attach,
    Rise(Data),
    Left(Data),
    Added(Vec<UserId>, Data),
    Removed(Vec<UserId>, Data),
    Dissolved(Data),
}

impl Asker<'_> {
    /// Counts the memberships that a command from a socket changes, where there is room for all of them. Errors: 2996; 10004 for
    /// more than there is ever room for.
    fn spend(&self, effect: Option<&Effect>) -> Result<(), Refusal> {
        let count = match effect {
            _ if self.origin == Origin::Backend => 0,
            Some(Effect::Joined { members }) => members.len(),
            Some(Effect::Left { users }) => users.len(),
            Some(Effect::Created { .. } | Effect::Entered { .. } | Effect::Dissolved) => 1,
            Some(Effect::Changed { .. } | Effect::Deleted { .. }) | None => 0,
        };
        let window = self.at.limits.windows.memberships;
        let (max, millis) = (window.calls_max, window.millis);
        self.user.change_memberships(count.try_into().unwrap_or(u32::MAX), window, self.at.micros).map_err(|denied| match denied {
            Denied::After(wait) => {
                let message = format!("more than {max} memberships changed in {millis} ms: wait for retryAfter milliseconds");
                Refusal::new(Code::TooFrequent, message).after(wait)
            }
            Denied::Ever => {
                let message =
                    format!("this would change {count} memberships, and a user may change {max} in {millis} ms: name fewer users");
                Refusal::new(Code::InvalidParameter, message)
            }
        })
    }
}

fn admit(user: &User, call: Call, at: Moment<'_>) -> Result<(), Refusal> {
    let (window, what) = match call {
        Call::Write => (at.limits.windows.writes, "set, increase and decrease"),
        Call::Read => (at.limits.windows.reads, "get"),
    };
    user.admit(call, window, at.micros).map_err(|wait| {
        let message = format!("more than {} calls of {what} in {} ms: wait for retryAfter milliseconds", window.calls_max, window.millis);
        Refusal::new(Code::TooFrequent, message).after(wait)
    })
}

/// Counters of a group at its version.
pub(super) fn snapshot(group: &Group, keys: &[CounterKey], generation: u64) -> Snapshot {
    let epoch = format!("{:x}-{generation}", group.profile.incarnation);
    Snapshot { counters: group.counters.pick(keys), version: group.version, epoch }
}
