//! One live group at home: takes what has gathered in its mailbox as one batch, plans and applies it, and holds every answer
//! back until the commit is through. No clock, no socket, no store in here: time and limits come in, steps come out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::{Ask, Command, Door, Limits};
use crate::domain::UnixMillis;
use crate::domain::code::{Code, Refusal};
use crate::domain::command::{Items, Mode, Write};
use crate::domain::group::{Caller, Group, Undo, apply, take_back};
use crate::domain::member::{GroupType, NewGroup, Profile};
use crate::domain::name::{CounterKey, GroupId, OpId, UserId};
use crate::domain::record::{Answer, Effect, Operation, Record};
use crate::domain::replay::{PrintKeys, Replays, Seen};
use crate::protocol::answer::{Data, GroupView, Snapshot};
use crate::store::Loaded;
use crate::users::{Call, ConnId, User};

/// Commands taken as one batch.
pub const BATCH_MAX: usize = 256;
/// Commands that may wait for one group.
pub const MAILBOX_MAX: usize = 65_536;

/// What the actor must know of this moment.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Milliseconds of a clock that never runs backwards.
    pub millis: u64,
    /// Milliseconds since the Unix epoch.
    pub unix: UnixMillis,
    /// The limits in force.
    pub limits: &'a Limits,
    /// Keys of operation prints.
    pub prints: &'a PrintKeys,
    /// The store's generation, part of epochs.
    pub generation: u64,
    /// Whether this node has room for another remembered answer.
    pub replays_left: bool,
    /// 32 random bits.
    pub random: u32,
}

/// What the shell has to do, in this order.
pub enum Step {
    /// Give an answer.
    Answer(Door, Result<Data, Refusal>),
    /// Give an answer, and seat the connection that gets it: it knows everything up to this version.
    Seat(Door, Arc<User>, Option<Data>, u64),
    /// Take a connection's seat away, and give the answer.
    Unseat(Door, Data),
    /// Seat all connections of a user who became a member; true: somebody else made him one, so tell him.
    Welcome(UserId, u64, bool),
    /// Unseat all connections of a user who is no longer a member; true: somebody else did it.
    Farewell(UserId, bool),
    /// The group is no more.
    Dissolved,
}

/// Where the actor stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Phase {
    /// The store is asked for the group.
    Loading,
    /// It may take a batch.
    Ready,
    /// A batch is being committed.
    Committing,
}

/// One live group.
pub struct Actor {
    /// Its id.
    pub id: GroupId,
    /// Where it stands.
    pub phase: Phase,
    /// Commands not taken yet.
    pub mailbox: VecDeque<Command>,
    /// Whether the shard has it in its list of actors with mail.
    pub queued: bool,
    /// Connections that sit here, and whose they are.
    pub present: HashMap<ConnId, Arc<User>>,
    /// How many of them each user has.
    pub online: HashMap<UserId, u32>,
    /// How many of them each shard has.
    pub seats: SmallVec<[u32; 2]>,
    /// The journal's position of the newest record.
    pub last_lsn: u64,
    /// When it was asked something last.
    pub last_used: Option<Instant>,
    /// Answered operations.
    pub replays: Replays,
    /// How many of them the node has counted.
    pub replays_counted: usize,
    state: Option<Box<Group>>,
    open: Vec<Applied>,
    held: Vec<Step>,
}

struct Applied {
    effect: Option<Effect>,
    undo: Option<Undo>,
    print: Option<u128>,
}

/// A counter that a commit changed; no value: it is gone.
pub struct Change {
    /// The key.
    pub key: CounterKey,
    /// Its newest value.
    pub value: Option<i64>,
    /// The version of the newest write to it.
    pub version: u64,
}

impl Actor {
    /// An actor that waits for its group to be loaded.
    pub fn new(id: GroupId, shards: usize) -> Self {
        Self {
            id,
            phase: Phase::Loading,
            mailbox: VecDeque::new(),
            queued: false,
            present: HashMap::new(),
            online: HashMap::new(),
            seats: smallvec::smallvec![0; shards],
            last_lsn: 0,
            last_used: None,
            replays: Replays::default(),
            replays_counted: 0,
            state: None,
            open: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes what the store has.
    pub fn load(&mut self, loaded: Loaded, prints: &PrintKeys) {
        self.state = loaded.group;
        for (at, Operation { user, id, print, answer }) in loaded.replays {
            self.replays.keep(prints.print(&user, &id), print, answer, at);
        }
        self.replays_counted = self.replays.len();
        self.phase = Phase::Ready;
    }

    /// The group, where it exists.
    pub fn group(&self) -> Option<&Group> {
        self.state.as_deref()
    }

    /// Takes up to `BATCH_MAX` commands. Records to be committed go to `keep`; steps that need no commit come back.
    pub fn take_batch(&mut self, at: Moment<'_>, mut keep: impl FnMut(&Record)) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..BATCH_MAX.min(self.mailbox.len()) {
            let Some(command) = self.mailbox.pop_front() else { break };
            let opened = self.open.len();
            let step = self.take(command, at, &mut keep);
            // Whatever follows an open write may show it, so it waits for the same commit.
            let out = if self.open.is_empty() { &mut steps } else { &mut self.held };
            if self.open.len() > opened + 1 {
                debug_assert!(false, "one command, one record");
            }
            out.extend(step);
        }
        if !self.open.is_empty() {
            self.phase = Phase::Committing;
        }
        steps
    }

    /// The open batch is committed: what is to be told, and the newest value of each changed key.
    pub fn committed(&mut self) -> (Vec<Step>, Vec<Change>, usize) {
        let mut changes: Vec<Change> = Vec::new();
        let mut writes = 0;
        for Applied { effect, .. } in self.open.drain(..) {
            let mut change = |key: CounterKey, value, version| {
                writes += 1;
                match changes.iter_mut().find(|c| c.key == key) {
                    Some(old) => *old = Change { key, value, version },
                    None => changes.push(Change { key, value, version }),
                }
            };
            match effect {
                Some(Effect::Changed { version, values }) => values.into_iter().for_each(|(key, value)| change(key, Some(value), version)),
                Some(Effect::Deleted { version, keys }) => keys.into_iter().for_each(|key| change(key, None, version)),
                Some(Effect::Dissolved) => changes.clear(),
                _ => {}
            }
        }
        self.phase = Phase::Ready;
        (std::mem::take(&mut self.held), changes, writes)
    }

    /// The open batch failed: nothing of it happened, and whoever waits for it is told so.
    pub fn failed(&mut self, refusal: &Refusal) -> Vec<Step> {
        for Applied { effect, undo, print } in self.open.drain(..).rev() {
            if let (Some(effect), Some(undo)) = (&effect, undo) {
                take_back(&mut self.state, effect, undo);
            }
            if let Some(print) = print {
                self.replays.take_back(print);
            }
        }
        self.phase = Phase::Ready;
        let mut told = Vec::new();
        for step in std::mem::take(&mut self.held) {
            match step {
                Step::Answer(door, _) | Step::Unseat(door, _) => told.push(Step::Answer(door, Err(refusal.clone()))),
                Step::Seat(door, ..) => {
                    door.connection().map(|connection| self.unseat(connection));
                    told.push(Step::Answer(door, Err(refusal.clone())));
                }
                Step::Welcome(..) | Step::Farewell(..) | Step::Dissolved => {}
            }
        }
        told
    }

    /// A connection sits here now. False: it did already.
    pub fn seat(&mut self, connection: ConnId, user: &Arc<User>) -> bool {
        if self.present.insert(connection, user.clone()).is_some() {
            return false;
        }
        *self.online.entry(user.id.clone()).or_default() += 1;
        self.seats[connection.shard as usize] += 1;
        true
    }

    /// A connection sits here no more. False: it did not.
    pub fn unseat(&mut self, connection: ConnId) -> bool {
        let Some(user) = self.present.remove(&connection) else { return false };
        if let Some(count) = self.online.get_mut(&user.id) {
            *count -= 1;
            if *count == 0 {
                self.online.remove(&user.id);
            }
        }
        self.seats[connection.shard as usize] -= 1;
        true
    }

    /// Whether nobody would notice if it were forgotten; `merged` is the store's.
    pub fn may_sleep(&self, now: Instant, merged: u64, limits: &Limits) -> bool {
        let quiet = self.last_used.is_none_or(|used| now.duration_since(used) >= limits.idle_after);
        let settled = self.phase == Phase::Ready && self.mailbox.is_empty() && self.replays.is_empty() && self.last_lsn <= merged;
        settled && self.present.is_empty() && (quiet || self.state.is_none())
    }

    fn take(&mut self, command: Command, at: Moment<'_>, keep: &mut impl FnMut(&Record)) -> SmallVec<[Step; 2]> {
        let Command { ask, user, door, throttled, .. } = command;
        let seated = door.connection().is_some_and(|connection| self.present.contains_key(&connection));
        let caller = Caller { user: &user.id, admin: user.admin, seated };
        let planned = match ask {
            Ask::Create(new) => self.create(new, at),
            ask => self.ask(ask, caller, &user, throttled, at),
        };
        match planned {
            Err(refusal) => smallvec::smallvec![Step::Answer(door, Err(refusal))],
            Ok(plan) => {
                self.apply(plan.effect, plan.operation, at, keep);
                // Seats count from here on: the next command of this batch may come from the same connection.
                match (&plan.told, door.connection()) {
                    (Told::Join { .. } | Told::Attach, Some(connection)) => drop(self.seat(connection, &user)),
                    (Told::Rise(_), Some(connection)) => drop(self.unseat(connection)),
                    _ => {}
                }
                self.steps(plan.told, door, user)
            }
        }
    }

    fn ask(&self, ask: Ask, caller: Caller<'_>, user: &User, throttled: bool, at: Moment<'_>) -> Result<Plan, Refusal> {
        let no_group = || Refusal::new(Code::NoSuchGroup, "there is no such group");
        let group = match (&self.state, &ask) {
            (Some(group), _) => group,
            (None, Ask::Attach) => return Ok(Plan::of(Told::Nothing)),
            (None, _) => return Err(no_group()),
        };
        let seconds = at.unix / 1000;
        match ask {
            Ask::Write(write, operation) => self.write(group, write, operation, caller, user, throttled, at),
            Ask::Read(keys) => {
                group.check_access(caller)?;
                if throttled {
                    admit(user, Call::Read, at)?;
                }
                Ok(Plan::of(Told::Data(Data::Counters(self.id.clone(), snapshot(group, &keys, at.generation)))))
            }
            Ask::Online => {
                group.check_access(caller)?;
                Ok(Plan::of(Told::Data(Data::Online(self.id.clone(), self.online.len()))))
            }
            Ask::Join => {
                let effect = group.plan_join(caller, seconds, at.limits.members_max)?;
                let already = group.is_member(caller);
                Ok(Plan { effect, operation: None, told: Told::Join { already, generation: at.generation } })
            }
            Ask::Attach => Ok(Plan::of(if group.is_member(caller) { Told::Attach } else { Told::Nothing })),
            Ask::Quit => {
                let effect = group.plan_quit(caller)?;
                let told =
                    if effect.is_some() { Told::Left(Data::Group(self.id.clone())) } else { Told::Rise(Data::Group(self.id.clone())) };
                Ok(Plan { effect, operation: None, told })
            }
            Ask::Add(users) => {
                let (effect, listed) = group.plan_add(caller, &users, seconds, at.limits.members_max)?;
                let success = listed.success.clone();
                Ok(Plan { effect, operation: None, told: Told::Added(success, Data::Listed(self.id.clone(), listed)) })
            }
            Ask::Remove(users) => {
                let (effect, listed) = group.plan_remove(caller, &users)?;
                let gone = match &effect {
                    Some(Effect::Left { users }) => users.clone(),
                    _ => Vec::new(),
                };
                Ok(Plan { effect, operation: None, told: Told::Removed(gone, Data::Listed(self.id.clone(), listed)) })
            }
            Ask::Dissolve => {
                let effect = group.plan_dissolve(caller)?;
                Ok(Plan { effect: Some(effect), operation: None, told: Told::Dissolved(Data::Group(self.id.clone())) })
            }
            Ask::Create(_) => Err(no_group()),
        }
    }

    /// Membership, then the repeat, then the throttle, then the rules.
    #[allow(clippy::too_many_arguments)]
    fn write(
        &self,
        group: &Group,
        write: Write,
        operation: Option<OpId>,
        caller: Caller<'_>,
        user: &User,
        throttled: bool,
        at: Moment<'_>,
    ) -> Result<Plan, Refusal> {
        group.check_access(caller)?;
        let named = operation.map(|id| (at.prints.print(&user.id, &id), id));
        if let Some((print, _)) = &named {
            match self.replays.find(*print, write.print()) {
                Seen::New => {}
                Seen::Same(answer) => return Ok(Plan::of(Told::Data(self.told(&write, answer, true)))),
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
        if throttled {
            admit(user, Call::Write, at)?;
        }
        let (effect, answer) = group.plan_write(&write, at.limits.keys_max)?;
        let told = Told::Data(self.told(&write, &answer, false));
        let operation = named.map(|(print, id)| (print, Operation { user: user.id.clone(), id, print: write.print(), answer }));
        Ok(Plan { effect, operation, told })
    }

    fn create(&self, new: NewGroup, at: Moment<'_>) -> Result<Plan, Refusal> {
        if let Some(group) = &self.state {
            return Err(match new.owner.is_some() && group.profile.owner == new.owner {
                true => Refusal::new(Code::GroupIdTakenByOwn, "a group of yours has this groupID already"),
                false => Refusal::new(Code::GroupIdTaken, "another group has this groupID: choose another"),
            });
        }
        let NewGroup { kind, name, join_option, owner, members, details } = new;
        let created_at = at.unix / 1000;
        let profile = Profile { kind, name, owner, join_option, created_at, born: at.random, details };
        let effect = Group::plan_create(profile, members, created_at);
        Ok(Plan { effect: Some(effect), operation: None, told: Told::Created })
    }

    fn apply(&mut self, effect: Option<Effect>, operation: Option<(u128, Operation)>, at: Moment<'_>, keep: &mut impl FnMut(&Record)) {
        if effect.is_none() && operation.is_none() {
            return;
        }
        let (print, operation) = operation.unzip();
        if let (Some(print), Some(operation)) = (print, &operation) {
            self.replays.keep(print, operation.print, operation.answer.clone(), at.unix);
        }
        let record = Record { group: self.id.clone(), at: at.unix, effect, operation };
        keep(&record);
        let undo = record.effect.as_ref().map(|effect| apply(&mut self.state, effect));
        self.open.push(Applied { effect: record.effect, undo, print });
    }

    /// What is to be done once the plan is applied, and committed where it has to be.
    fn steps(&self, told: Told, door: Door, user: Arc<User>) -> SmallVec<[Step; 2]> {
        let version = self.state.as_ref().map_or(0, |group| group.version);
        match told {
            Told::Nothing => SmallVec::new(),
            Told::Data(data) => smallvec::smallvec![Step::Answer(door, Ok(data))],
            Told::Attach => smallvec::smallvec![Step::Seat(door, user, None, version)],
            Told::Rise(data) => smallvec::smallvec![Step::Unseat(door, data)],
            Told::Left(data) => smallvec::smallvec![Step::Answer(door, Ok(data)), Step::Farewell(user.id.clone(), false)],
            Told::Dissolved(data) => smallvec::smallvec![Step::Answer(door, Ok(data)), Step::Dissolved],
            Told::Added(users, data) => {
                let welcome = users.into_iter().map(|added| {
                    let by_other = added != user.id;
                    Step::Welcome(added, version, by_other)
                });
                std::iter::once(Step::Answer(door, Ok(data))).chain(welcome).collect()
            }
            Told::Removed(users, data) => {
                let farewell = users.into_iter().map(|gone| {
                    let by_other = gone != user.id;
                    Step::Farewell(gone, by_other)
                });
                std::iter::once(Step::Answer(door, Ok(data))).chain(farewell).collect()
            }
            Told::Created => {
                let Some(group) = &self.state else { return SmallVec::new() };
                let created = Step::Answer(door, Ok(Data::Created(self.view(group))));
                let welcome = group.members.keys().map(|member| Step::Welcome(member.clone(), version, *member != user.id));
                std::iter::once(created).chain(welcome).collect()
            }
            Told::Join { already, generation } => {
                let Some(group) = &self.state else { return SmallVec::new() };
                let data = Data::Joined { already, group: self.view(group), snapshot: snapshot(group, &[], generation) };
                let seat = Step::Seat(door, user.clone(), Some(data), version);
                match group.profile.kind {
                    GroupType::AvChatRoom => smallvec::smallvec![seat],
                    _ => smallvec::smallvec![seat, Step::Welcome(user.id.clone(), version, false)],
                }
            }
        }
    }

    fn view(&self, group: &Group) -> GroupView {
        let member_count = match group.profile.kind {
            GroupType::AvChatRoom => self.online.len(),
            _ => group.members.len(),
        };
        GroupView { id: self.id.clone(), profile: group.profile.clone(), member_count }
    }

    /// The answer to a write, made of the command and what is kept of its result.
    fn told(&self, write: &Write, answer: &Answer, replayed: bool) -> Data {
        let (group, version) = (self.id.clone(), answer.version);
        match write {
            Write::Change(mode, items) if *mode != Mode::Set && items.len() == 1 => {
                let (key, value) = (items[0].0.clone(), answer.values.first().copied().unwrap_or(0));
                Data::Changed { group, key, value, version, replayed }
            }
            Write::Change(mode, items) => {
                let mut counters = Items::new();
                for (key, value) in items {
                    match (counters.iter_mut().find(|(k, _)| k == key), mode) {
                        // What was set is what the command says; a repeat may name the keys in another order.
                        (Some(counter), Mode::Set) => counter.1 = *value,
                        (None, Mode::Set) => counters.push((key.clone(), *value)),
                        (Some(_), _) => {}
                        (None, _) => {
                            let value = answer.values.get(counters.len()).copied().unwrap_or(0);
                            counters.push((key.clone(), value));
                        }
                    }
                }
                Data::Set { group, counters, version, replayed }
            }
            Write::Delete(_) => Data::Set { group, counters: Items::new(), version, replayed },
        }
    }
}

struct Plan {
    effect: Option<Effect>,
    operation: Option<(u128, Operation)>,
    told: Told,
}

impl Plan {
    fn of(told: Told) -> Self {
        Self { effect: None, operation: None, told }
    }
}

enum Told {
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

fn admit(user: &User, call: Call, at: Moment<'_>) -> Result<(), Refusal> {
    let (window, what) = match call {
        Call::Write => (at.limits.writes, "set, increase and decrease"),
        Call::Read => (at.limits.reads, "get"),
    };
    user.admit(call, window, at.millis).map_err(|wait| {
        let message = format!("more than {} calls of {what} in {} ms: wait for retryAfter milliseconds", window.calls_max, window.millis);
        Refusal::new(Code::TooFrequent, message).after(wait)
    })
}

fn snapshot(group: &Group, keys: &[CounterKey], generation: u64) -> Snapshot {
    let epoch = format!("{:x}-{generation}", group.profile.born);
    Snapshot { counters: group.counters.pick(keys), version: group.version, epoch }
}
