//! A live group and commands in any order, with commits that succeed, fail and come late, connections that go, and restarts.
//!
//! The judge is a model of counters that takes each answer as it is told, and the journal: what was committed, applied again,
//! must give the very group that the actor holds.

mod model;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Asked, Model};
use tallycast::domain::code::{Code, Refusal};
use tallycast::domain::command::{Items, Mode, Write};
use tallycast::domain::group::{Group, apply};
use tallycast::domain::member::{Details, GroupType, JoinOption, NewGroup};
use tallycast::domain::name::{CounterKey, GroupId, GroupName, OpId, UserId};
use tallycast::domain::record::{Effect, Operation, Record};
use tallycast::domain::replay::PrintKeys;
use tallycast::domain::throttle::Window;
use tallycast::group::actor::{Actor, Moment, Phase, Step};
use tallycast::group::{Ask, Command, Door, Limits, Origin, Sought};
use tallycast::protocol::answer::Data;
use tallycast::store::Loaded;
use tallycast::users::{ConnId, User, Users, Windows};

use crate::bytes::Bytes;

const USERS: [&str; 4] = ["ann", "bob", "cat", "root"];
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const VALUES: [i64; 8] = [1, 0, -1, 7, i64::MAX, i64::MIN, i64::MAX - 1, -7];
const KEYS_MAX: usize = 4;
const MEMBERS_MAX: usize = 3;
const SHARDS: usize = 2;
const REPLAY_MILLIS: u64 = 1000;
/// Steps of one input: more only repeat.
const STEPS_MAX: usize = 400;

type Told = Arc<Mutex<Vec<(usize, Result<Data, Refusal>)>>>;

struct World {
    actor: Actor,
    users: Users,
    /// Who is on each connection, and its present name.
    connections: Vec<(Arc<User>, ConnId)>,
    room: BTreeSet<ConnId>,
    limits: Limits,
    prints: PrintKeys,
    millis: u64,
    /// When the newest batch was taken: what it answers is remembered from then on.
    taken_at: u64,
    /// What was asked, by number; taken out when it is answered.
    asked: Vec<Option<Asked>>,
    /// The newest that was answered.
    answered: Option<usize>,
    told: Told,
    model: Model,
    /// Records of the open batch.
    open: Vec<Record>,
    /// What the journal adds up to.
    state: Option<Box<Group>>,
    operations: Vec<(u64, Operation)>,
}

pub fn run(data: &[u8]) {
    let mut input = Bytes::new(data);
    let mut world = World::new(input.byte());
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    world.finish();
}

impl World {
    fn new(options: u8) -> Self {
        let users = Users::new(vec![user("root")], 0);
        let mut connections = Vec::new();
        for slot in 0..8u32 {
            let id = ConnId { shard: (slot / 4) as u16, slot, generation: 0 };
            connections.push((users.enter(&user(USERS[slot as usize % 4]), id).0, id));
        }
        // A throttle in some inputs alone: it would hide the rest.
        let window = Window { calls_max: if options & 1 == 1 { 5 } else { 0 }, millis: 500 };
        let limits = Limits {
            windows: Windows { writes: window, reads: window, memberships: window },
            replay_millis: REPLAY_MILLIS,
            replay_answers_max: 0,
            keys_max: KEYS_MAX,
            members_max: MEMBERS_MAX,
            groups_per_connection_max: 0,
            idle_after: Duration::MAX,
            push_min_interval: [Duration::ZERO; 4],
            push_frames_per_second: 0,
        };
        let prints = PrintKeys::default();
        let mut actor = Actor::new(GroupId::parse("room").expect("a name"), SHARDS);
        actor.load(Loaded::default(), &prints);
        let mut world = Self {
            actor,
            users,
            connections,
            room: BTreeSet::new(),
            limits,
            prints,
            millis: 1_000_000,
            taken_at: 1_000_000,
            asked: Vec::new(),
            answered: None,
            told: Told::default(),
            model: Model::default(),
            open: Vec::new(),
            state: None,
            operations: Vec::new(),
        };
        let kind = GroupType::ALL[usize::from(options >> 1) % 4];
        world.ask(0, Ask::Create(new_group(kind, "ann")), Origin::Socket);
        world.drain();
        world
    }

    fn step(&mut self, input: &mut Bytes<'_>) {
        let (what, who) = (input.byte(), usize::from(input.byte()) % 8);
        match what % 24 {
            0..4 => {
                let mode = input.pick(&[Mode::Increase, Mode::Decrease, Mode::Set]);
                let write = Write::one(mode, key(input), input.pick(&VALUES));
                self.write(who, write, input);
            }
            4 => {
                let mode = input.pick(&[Mode::Set, Mode::Increase, Mode::Decrease]);
                let mut items = Items::new();
                for _ in 0..1 + usize::from(input.byte()) % 5 {
                    items.push((key(input), input.pick(&VALUES)));
                }
                self.write(who, Write::Change(mode, items), input);
            }
            5 => {
                let keys = match input.byte() % 4 {
                    0 => None,
                    count => Some((1..count).map(|_| key(input)).collect()),
                };
                self.write(who, Write::Delete(keys), input);
            }
            6 => self.ask(who, Ask::Read(Vec::new()), Origin::Socket),
            7 => self.ask(who, Ask::Join, Origin::Socket),
            8 => self.ask(who, Ask::Quit, Origin::Socket),
            9 => self.ask(who, Ask::Attach, Origin::Backend),
            10 => self.ask(who, Ask::Add(users_of(input)), Origin::Socket),
            11 => self.ask(who, Ask::Remove(users_of(input)), Origin::Socket),
            12 => self.ask(who, Ask::Dissolve, Origin::Socket),
            13 => {
                let new = new_group(input.pick(&GroupType::ALL), input.pick(&USERS));
                self.ask(who, Ask::Create(new), Origin::Socket);
            }
            14 => self.ask(who, Ask::Online, Origin::Socket),
            15 => self.ask(who, Ask::Inspect(Sought::EVERYBODY), Origin::Backend),
            16..19 => self.take(),
            19 => self.end_commit(true),
            20 => self.end_commit(false),
            21 => self.reconnect(who),
            22 => self.pass_time(u64::from(input.byte()) * 10),
            _ => self.restart(),
        }
    }

    fn write(&mut self, who: usize, write: Write, input: &mut Bytes<'_>) {
        let operation = match input.byte() % 8 {
            0..4 => None,
            number => Some(OpId::parse(&format!("op{number}")).expect("a name")),
        };
        let origin = if matches!(write, Write::Delete(_)) { Origin::Backend } else { Origin::Socket };
        self.ask(who, Ask::Write(write, operation), origin);
    }

    fn ask(&mut self, who: usize, ask: Ask, origin: Origin) {
        let (user, connection) = self.connections[who].clone();
        let number = self.asked.len();
        let told = self.told.clone();
        let door = match &ask {
            Ask::Attach => Door::Login(connection, false),
            _ => Door::Call(Some(connection), Box::new(move |answer| told.lock().expect("no panic").push((number, answer)))),
        };
        self.asked.push(Asked::of(&ask, &user.id, connection));
        let group = self.actor.id.clone();
        self.actor.mailbox.push_back(Command { group, ask, user, door, origin });
    }

    fn take(&mut self) {
        if self.actor.phase != Phase::Ready {
            return;
        }
        self.taken_at = self.millis;
        let at = Moment {
            micros: self.millis * 1000,
            unix: self.millis,
            stamp: self.millis,
            limits: &self.limits,
            prints: &self.prints,
            generation: 1,
            replays_left: true,
            random: 7,
        };
        let open = &mut self.open;
        let steps = self.actor.take_batch(at, |record, _| open.push(record.clone()));
        self.perform(steps);
        assert_eq!(self.open.is_empty(), self.actor.phase == Phase::Ready, "what is kept is committed, and nothing else");
        self.check();
    }

    fn end_commit(&mut self, well: bool) {
        if self.actor.phase != Phase::Committing {
            return;
        }
        let records = std::mem::take(&mut self.open);
        if !well {
            let steps = self.actor.failed(&Refusal::new(Code::Internal, "the disk is full"));
            self.perform(steps);
            return self.check();
        }
        let version = |state: &Option<Box<Group>>| state.as_ref().map_or(0, |group| group.version);
        for record in records {
            let before = version(&self.state);
            if let Some(effect) = &record.effect {
                apply(&mut self.state, effect);
                match effect {
                    Effect::Changed { version, .. } | Effect::Deleted { version, .. } => assert_eq!(*version, before + 1, "a gap"),
                    Effect::Dissolved => self.operations.clear(),
                    _ => {}
                }
            }
            self.operations.extend(record.operation.map(|operation| (record.at, operation)));
        }
        let (steps, changes, _) = self.actor.committed();
        for change in &changes {
            let value = self.state.as_ref().and_then(|group| group.counters.value(change.key.as_str()));
            assert_eq!(value, change.value, "what is pushed is what is there");
        }
        self.perform(steps);
        self.check();
    }

    /// What a shard does with the steps of an actor.
    fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Answer(door, answer) => tell(door, answer),
                Step::Seat { door, data, user, .. } => {
                    let connection = door.connection().expect("who sits has a connection");
                    self.actor.number_seat(connection, &user);
                    if self.connections.iter().any(|(_, id)| *id == connection) {
                        self.room.insert(connection);
                    } else {
                        self.actor.unseat(connection);
                    }
                    if let Some(data) = data {
                        tell(door, Ok(data));
                    }
                }
                Step::Unseat(door, data) => {
                    let connection = door.connection().expect("who sat has a connection");
                    self.actor.unseat(connection);
                    self.room.remove(&connection);
                    tell(door, Ok(data));
                }
                Step::Welcome { user, .. } => {
                    for (user, connection) in self.connections.iter().filter(|(known, _)| known.id == user) {
                        self.actor.number_seat(*connection, user);
                        self.room.insert(*connection);
                    }
                }
                Step::Farewell { user, .. } => {
                    let present = self.actor.present.iter();
                    let theirs: Vec<_> = present.filter(|(_, known)| known.user.id == user).map(|(connection, _)| *connection).collect();
                    for connection in theirs {
                        self.actor.unseat(connection);
                        self.room.remove(&connection);
                    }
                }
                Step::Dissolved => {
                    self.room.clear();
                    self.actor.present.clear();
                    self.actor.online.clear();
                    self.actor.seats.fill(0);
                }
            }
            self.judge();
        }
    }

    /// Shows the model what was told since.
    fn judge(&mut self) {
        let told = std::mem::take(&mut *self.told.lock().expect("no panic"));
        for (number, answer) in told {
            let asked = self.asked[number].take().expect("each command is answered once");
            assert!(self.answered.replace(number).is_none_or(|before| before < number), "answers come in the order of their questions");
            self.model.judge(asked, answer, self.taken_at);
        }
    }

    /// What must hold between two batches.
    fn check(&self) {
        if self.actor.phase != Phase::Ready {
            return;
        }
        let group = self.actor.group();
        assert_eq!(group, self.state.as_deref(), "a live group is what its journal adds up to");
        self.model.check(group);
        let all: BTreeSet<_> = self.actor.present.keys().copied().collect();
        // A connection that wanted to leave and is gone gets its seat back where the commit before it fails; its command, which is
        // taken again, takes the seat away.
        let waits = |id: &ConnId| self.actor.mailbox.iter().any(|command| command.door.connection() == Some(*id));
        let is_ghost = |id: &ConnId| !self.is_open(id) && waits(id);
        let present: BTreeSet<_> = all.iter().filter(|id| !is_ghost(id)).copied().collect();
        assert_eq!(present, self.room, "a seat at home is a place in a room");
        let online: u32 = self.actor.online.values().sum();
        assert_eq!((online, self.actor.seats.iter().sum::<u32>()), (all.len() as u32, all.len() as u32));
        for (user, count) in &self.actor.online {
            assert_eq!(*count as usize, self.actor.present.values().filter(|present| present.user.id == *user).count());
        }
        if group.is_some_and(|group| group.profile.kind == GroupType::AvChatRoom) {
            let seats: BTreeSet<_> = self.model.seats.iter().filter(|id| self.is_open(id)).copied().collect();
            assert_eq!(present, seats, "who joined last sits, and who quit last does not");
        } else if let Some(group) = group {
            let stranger = self.actor.present.values().find(|present| !group.members.contains_key(&present.user.id));
            assert!(stranger.is_none(), "{:?} is no member and gets pushes", stranger.map(|present| &present.user));
        }
    }

    fn is_open(&self, connection: &ConnId) -> bool {
        self.connections.iter().any(|(_, open)| open == connection)
    }

    /// A connection goes and another comes; what was told to its room is told to nobody.
    fn reconnect(&mut self, who: usize) {
        let (user, old) = self.connections[who].clone();
        self.users.leave(&user, old);
        let new = ConnId { generation: old.generation + 1, ..old };
        self.connections[who] = (self.users.enter(&user.id, new).0, new);
        if self.room.remove(&old) {
            self.actor.unseat(old);
        }
        self.model.seats.remove(&old);
        self.ask(who, Ask::Attach, Origin::Backend);
    }

    fn pass_time(&mut self, millis: u64) {
        self.millis += millis;
        if self.actor.phase == Phase::Ready {
            let horizon = self.millis - REPLAY_MILLIS;
            self.actor.replays.forget_before(horizon);
            self.operations.retain(|(at, _)| *at >= horizon);
            self.model.forget_before(horizon);
        }
    }

    /// The process ends and another begins: everybody is gone, and what was committed is there.
    fn restart(&mut self) {
        if self.actor.phase != Phase::Ready {
            self.end_commit(true);
        }
        self.drain();
        for who in 0..self.connections.len() {
            self.connections[who].1.generation += 1;
        }
        self.room.clear();
        self.model.seats.clear();
        self.actor = Actor::new(self.actor.id.clone(), SHARDS);
        self.actor.load(Loaded { group: self.state.clone(), replays: self.operations.clone() }, &self.prints);
        for who in 0..self.connections.len() {
            self.ask(who, Ask::Attach, Origin::Backend);
        }
    }

    fn drain(&mut self) {
        while !self.actor.mailbox.is_empty() || self.actor.phase != Phase::Ready {
            self.take();
            self.end_commit(true);
        }
    }

    fn finish(mut self) {
        self.drain();
        let silent = self.asked.iter().position(Option::is_some);
        assert!(silent.is_none(), "the command {silent:?} was never answered");
        let Some(group) = self.actor.group().filter(|group| group.profile.kind != GroupType::AvChatRoom) else { return };
        for (user, connection) in &self.connections {
            let sits = self.room.contains(connection);
            assert_eq!(sits, group.members.contains_key(&user.id), "all connections of a member sit, and no others: {user:?}");
        }
    }
}

fn tell(door: Door, answer: Result<Data, Refusal>) {
    match door {
        Door::Call(_, call) => call(answer),
        Door::Login(..) => {}
        Door::Socket(..) | Door::Follow(..) => panic!("nobody asked by a socket"),
    }
}

fn new_group(kind: GroupType, owner: &str) -> Box<NewGroup> {
    let (name, owner) = (GroupName::parse("a room").expect("a name"), Some(user(owner)));
    let join_option = JoinOption::FreeAccess;
    Box::new(NewGroup { kind, name, join_option, owner, members: Vec::new(), details: Details::default() })
}

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a name")
}

fn key(input: &mut Bytes<'_>) -> CounterKey {
    CounterKey::parse(input.pick(&KEYS)).expect("a key")
}

fn users_of(input: &mut Bytes<'_>) -> Vec<UserId> {
    (0..1 + input.byte() % 3).map(|_| user(input.pick(&["ann", "bob", "cat", "root", "dan"]))).collect()
}
