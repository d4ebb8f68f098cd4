//! One live group at home: takes what has gathered in its mailbox as one batch, plans and applies it, and holds every answer
//! back until the commit is through. No clock, no socket, no store in here: time and limits come in, steps come out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::plan::{Asker, Told, snapshot};
use super::presence::Present;
use super::{Ask, Command, Door, Incarnation, Limits, Origin};
use crate::domain::UnixMillis;
use crate::domain::code::Refusal;
use crate::domain::group::{Caller, Group, Undo, apply, take_back};
use crate::domain::keyed::{Keyed, Places};
use crate::domain::member::GroupType;
use crate::domain::name::{CounterKey, GroupId, UserId};
use crate::domain::record::{Effect, Operation, Record};
use crate::domain::replay::{PrintKeys, Replays};
use crate::protocol::answer::Data;
use crate::store::Loaded;
use crate::users::{ConnId, User};

/// Commands taken as one batch.
pub const BATCH_MAX: usize = 256;
/// Commands that may wait for one group.
pub const MAILBOX_MAX: usize = 65_536;

/// Nobody is looked at more often than this.
const AT_LEAST_AFTER: Duration = Duration::from_secs(1);

/// What the actor must know of this moment.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Microseconds of a clock that never runs backwards.
    pub micros: u64,
    /// Milliseconds since the Unix epoch, as people are shown it.
    pub unix: UnixMillis,
    /// The store's time, by which operations are remembered.
    pub stamp: UnixMillis,
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
    /// Give an answer, and seat the connection that gets it.
    Seat {
        /// Where the answer goes.
        door: Door,
        /// The answer, where one is wanted.
        data: Option<Data>,
        /// The connection knows everything up to this version.
        seen: u64,
        /// It did not sit here before.
        fresh: bool,
        /// Whose connection it is.
        user: Arc<User>,
    },
    /// Take a connection's seat away, and give the answer.
    Unseat(Door, Data),
    /// Seat all connections of a user who became a member, and tell them.
    Welcome {
        /// Who.
        user: UserId,
        /// They know everything up to this version.
        seen: u64,
        /// The connection that asked for it, and hears of it by its answer.
        asker: Option<ConnId>,
        /// The user asked for it themself.
        asked: bool,
    },
    /// Unseat all connections of a user who is no longer a member, and tell them.
    Farewell {
        /// Who.
        user: UserId,
        /// The connection that asked for it, and hears of it by its answer.
        asker: Option<ConnId>,
    },
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
    /// Which life of the id this is, or was.
    pub(super) incarnation: u32,
    pub(super) seatings: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Commands not taken yet.
    pub mailbox: VecDeque<Command>,
    /// Whether the shard has it in its list of actors with mail.
    pub queued: bool,
    /// When the shard's sweep looks at it next; `None`: time alone changes nothing.
    pub look_at: Option<Instant>,
    /// Connections that sit here.
    pub present: HashMap<ConnId, Present>,
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
    /// The group that has just ended.
    pub(super) ended: Option<Box<Group>>,
    open: Vec<Applied>,
    held: Vec<Held>,
}

/// What waits for the commit; and what was asked, where it wrote nothing itself: to be taken again where the commit fails.
struct Held {
    steps: SmallVec<[Step; 2]>,
    user: Arc<User>,
    again: Option<(Ask, Origin)>,
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

impl Keyed for Change {
    fn key(&self) -> &CounterKey {
        &self.key
    }
}

impl Actor {
    /// An actor that waits for its group to be loaded.
    pub fn new(id: GroupId, shards: usize) -> Self {
        Self {
            id,
            incarnation: 0,
            seatings: 0,
            phase: Phase::Loading,
            mailbox: VecDeque::new(),
            queued: false,
            look_at: None,
            present: HashMap::new(),
            online: HashMap::new(),
            seats: smallvec::smallvec![0; shards],
            last_lsn: 0,
            last_used: None,
            replays: Replays::default(),
            replays_counted: 0,
            state: None,
            ended: None,
            open: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes what the store has.
    pub fn load(&mut self, loaded: Loaded, prints: &PrintKeys) {
        self.state = loaded.group;
        self.incarnation = self.state.as_ref().map_or(0, |group| group.profile.incarnation);
        for (at, Operation { user, id, print, answer }) in loaded.replays {
            self.replays.keep(prints.print(&user, &id), print, answer, at);
        }
        self.phase = Phase::Ready;
    }

    /// The group, where it exists.
    pub fn group(&self) -> Option<&Group> {
        self.state.as_deref()
    }

    /// The group in the life of which its batch is: there is never more than one, because none goes on after the group's end.
    pub fn life(&self) -> Incarnation {
        Incarnation { group: self.id.clone(), number: self.incarnation }
    }

    /// Takes up to `BATCH_MAX` commands, and none after the group's end. Records to be committed go to `keep`, with the type that
    /// the group had before; steps that need
    /// no commit come back.
    pub fn take_batch(&mut self, at: Moment<'_>, mut keep: impl FnMut(&Record, Option<GroupType>)) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..BATCH_MAX.min(self.mailbox.len()) {
            let Some(command) = self.mailbox.pop_front() else { break };
            let held = self.take(command, at, &mut keep);
            // Whatever follows an open write may show it, so it waits for the same commit.
            match self.open.last() {
                None => steps.extend(held.steps),
                Some(newest) => {
                    let ended = matches!(newest.effect, Some(Effect::Dissolved));
                    self.held.push(held);
                    // Seats and operations of the old group are gone only when its end is committed.
                    if ended {
                        break;
                    }
                }
            }
        }
        if !self.open.is_empty() {
            self.phase = Phase::Committing;
        }
        steps
    }

    /// The open batch is committed: what is to be told, and the newest value of each changed key.
    pub fn committed(&mut self) -> (Vec<Step>, Vec<Change>, usize) {
        let (mut changes, mut places) = (Vec::<Change>::new(), Places::default());
        let mut writes = 0;
        for Applied { effect, undo, .. } in self.open.drain(..) {
            let mut change = |key: CounterKey, value, version| {
                writes += 1;
                match places.find(&changes, key.as_str()) {
                    Some(at) => changes[at] = Change { key, value, version },
                    None => {
                        changes.push(Change { key, value, version });
                        places.pushed(&changes);
                    }
                }
            };
            match effect {
                Some(Effect::Changed { version, values }) => values.into_iter().for_each(|(key, value)| change(key, Some(value), version)),
                Some(Effect::Deleted { version, keys }) => keys.into_iter().for_each(|key| change(key, None, version)),
                Some(Effect::Dissolved) => {
                    (changes, places) = Default::default();
                    if let Some(Undo::Whole(group)) = undo {
                        self.ended = group;
                    }
                    // A group that is made under this id is another one.
                    self.replays = Replays::default();
                }
                _ => {}
            }
        }
        self.phase = Phase::Ready;
        let steps = self.held.drain(..).flat_map(|held| held.steps).collect();
        (steps, changes, writes)
    }

    /// The open batch failed: nothing of it happened. Whoever wrote is told so, what wrote nothing is taken again, all in the
    /// order in which it was asked.
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
        let held = std::mem::take(&mut self.held);
        self.give_seats_back(&held);
        let (mut told, mut again) = (Vec::new(), Vec::new());
        for Held { steps, user, again: command } in held {
            // Only the first step has a door; the others tell third parties of something that did not happen.
            let door = match steps.into_iter().next() {
                Some(Step::Answer(door, _) | Step::Seat { door, .. } | Step::Unseat(door, _)) => door,
                _ => continue,
            };
            let (ask, origin) = match command {
                Some(command) => command,
                None if again.is_empty() => {
                    told.push(Step::Answer(door, Err(refusal.clone())));
                    continue;
                }
                // It must not be answered before what was asked earlier.
                None => (Ask::Refused(refusal.clone()), Origin::Counted),
            };
            again.push(Command { group: self.id.clone(), ask, user, door, origin });
        }
        again.into_iter().rev().for_each(|command| self.mailbox.push_front(command));
        told
    }

    /// Seats are as they were before these commands, the newest of which is undone first.
    fn give_seats_back(&mut self, held: &[Held]) {
        for Held { steps, user, .. } in held.iter().rev() {
            match steps.first() {
                Some(Step::Seat { door, fresh: true, .. }) => {
                    door.connection().map(|connection| self.unseat(connection));
                }
                // Where the connection has gone meanwhile, its command takes the seat away again in a moment.
                Some(Step::Unseat(door, _)) => {
                    door.connection().map(|connection| self.seat(connection, user));
                }
                _ => {}
            }
        }
    }

    /// Whether nobody would notice if it were forgotten; `merged` is the store's.
    pub fn may_sleep(&self, now: Instant, merged: u64, limits: &Limits) -> bool {
        let quiet = self.last_used.is_none_or(|used| now.duration_since(used) >= limits.idle_after);
        let settled = self.phase == Phase::Ready && self.mailbox.is_empty() && self.replays.is_empty() && self.last_lsn <= merged;
        settled && self.present.is_empty() && (quiet || self.state.is_none())
    }

    /// When time alone may let it forget answers, or be forgotten itself. `None`: something must happen first.
    pub fn next_look(&self, now: Instant, stamp: UnixMillis, limits: &Limits) -> Option<Instant> {
        if let Some(oldest) = self.replays.oldest() {
            let left = (oldest + limits.replay_millis + 1).saturating_sub(stamp);
            // Kept a little longer, so that one look finds more than one answer.
            let left = left.max((limits.replay_millis / 64).min(AT_LEAST_AFTER.as_millis() as u64));
            return Some(now + Duration::from_millis(left));
        }
        if self.phase != Phase::Ready || !self.mailbox.is_empty() || !self.present.is_empty() {
            return None;
        }
        let idle_since = self.last_used.filter(|_| self.state.is_some());
        let idle = idle_since.map_or(Some(now), |since| since.checked_add(limits.idle_after))?;
        // What only waits for the table is looked at again in a moment.
        Some(idle.max(now + AT_LEAST_AFTER))
    }

    fn take(&mut self, command: Command, at: Moment<'_>, keep: &mut impl FnMut(&Record, Option<GroupType>)) -> Held {
        let Command { ask, user, door, origin, .. } = command;
        let seated = door.connection().is_some_and(|connection| self.present.contains_key(&connection));
        let caller = Caller { user: &user.id, admin: user.admin, seated };
        let again = if self.open.is_empty() { None } else { ask.again() };
        let asker = Asker { user: &user, caller, origin, at };
        let planned = match ask {
            Ask::Create(new) => self.create(*new, asker),
            ask => self.ask(ask, asker),
        };
        match planned {
            Err(refusal) => {
                let steps = smallvec::smallvec![Step::Answer(door, Err(refusal))];
                Held { steps, user, again: again.map(|ask| (ask, origin)) }
            }
            Ok(plan) => {
                let wrote = self.apply(plan.effect, plan.operation, at, keep);
                // Seats count from here on: the next command of this batch may come from the same connection.
                let fresh = match (&plan.told, door.connection()) {
                    (Told::Join { .. } | Told::Attach, Some(connection)) => self.seat(connection, &user),
                    (Told::Rise(_), Some(connection)) => self.unseat(connection),
                    _ => false,
                };
                let steps = self.steps(plan.told, door, &user, fresh);
                let again = again.filter(|_| !wrote).map(|ask| {
                    // Of what wrote nothing, reads alone have cost something.
                    let origin = if matches!(ask, Ask::Read(_)) { origin.again() } else { origin };
                    (ask, origin)
                });
                Held { steps, user, again }
            }
        }
    }

    /// Applies a plan and keeps its record. False: there is nothing to keep.
    fn apply(
        &mut self,
        effect: Option<Effect>,
        operation: Option<(u128, Operation)>,
        at: Moment<'_>,
        keep: &mut impl FnMut(&Record, Option<GroupType>),
    ) -> bool {
        if effect.is_none() && operation.is_none() {
            return false;
        }
        let (print, operation) = operation.unzip();
        if let (Some(print), Some(operation)) = (print, &operation) {
            self.replays.keep(print, operation.print, operation.answer.clone(), at.stamp);
        }
        if let Some(Effect::Created { profile, .. }) = &effect {
            self.incarnation = profile.incarnation;
        }
        let record = Record { group: self.id.clone(), at: at.stamp, effect, operation };
        keep(&record, self.group().map(|group| group.profile.kind));
        let undo = record.effect.as_ref().map(|effect| apply(&mut self.state, effect));
        self.open.push(Applied { effect: record.effect, undo, print });
        true
    }

    /// What is to be done once the plan is applied, and committed where it has to be.
    fn steps(&self, told: Told, door: Door, user: &Arc<User>, fresh: bool) -> SmallVec<[Step; 2]> {
        let version = self.state.as_ref().map_or(0, |group| group.version);
        let asker = door.connection();
        let farewell = |user| Step::Farewell { user, asker };
        let welcome = |member: UserId, owner: bool| {
            let asked = member == user.id || owner;
            Step::Welcome { user: member, seen: version, asker, asked }
        };
        match told {
            Told::Nothing => smallvec::smallvec![Step::Answer(door, Ok(Data::Empty))],
            Told::Data(data) => smallvec::smallvec![Step::Answer(door, Ok(data))],
            Told::Attach => smallvec::smallvec![Step::Seat { door, data: None, seen: version, fresh, user: user.clone() }],
            Told::Rise(data) => smallvec::smallvec![Step::Unseat(door, data)],
            Told::Left(data) => smallvec::smallvec![Step::Answer(door, Ok(data)), farewell(user.id.clone())],
            Told::Dissolved(data) => smallvec::smallvec![Step::Answer(door, Ok(data)), Step::Dissolved],
            Told::Added(users, data) => {
                let welcomes = users.into_iter().map(|added| welcome(added, false));
                std::iter::once(Step::Answer(door, Ok(data))).chain(welcomes).collect()
            }
            Told::Removed(users, data) => std::iter::once(Step::Answer(door, Ok(data))).chain(users.into_iter().map(farewell)).collect(),
            Told::Created => {
                let Some(group) = &self.state else { return SmallVec::new() };
                let created = Step::Answer(door, Ok(Data::Created(self.view(group))));
                let owns = |member| group.profile.owner.as_ref() == Some(member);
                let welcomes = group.members.keys().map(|member| welcome(member.clone(), owns(member)));
                std::iter::once(created).chain(welcomes).collect()
            }
            Told::Join { already, generation } => {
                let Some(group) = &self.state else { return SmallVec::new() };
                let data = Data::Joined { already, group: self.view(group), snapshot: snapshot(group, &[], generation) };
                let seat = Step::Seat { door, data: Some(data), seen: version, fresh, user: user.clone() };
                // Each connection joins an AVChatRoom for itself, and a user who was in already is no news to the others.
                match already || group.profile.kind == GroupType::AvChatRoom {
                    true => smallvec::smallvec![seat],
                    false => smallvec::smallvec![seat, welcome(user.id.clone(), false)],
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
