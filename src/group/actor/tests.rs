//! What becomes of a batch: of one that is committed, and of one that is not.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::domain::code::Code;
use crate::domain::command::{Mode, Write};
use crate::domain::member::{Details, JoinOption, NewGroup};
use crate::domain::name::{GroupName, OpId};
use crate::domain::throttle::Window;
use crate::group::{Ask, Origin};
use crate::users::{Users, Windows};

type Told = Arc<Mutex<Vec<(&'static str, Result<Data, Refusal>)>>>;

struct World {
    actor: Actor,
    users: Users,
    limits: Limits,
    prints: PrintKeys,
    told: Told,
}

fn at(slot: u32) -> ConnId {
    ConnId { shard: 0, slot, generation: 0 }
}

fn id(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

impl World {
    fn new(kind: GroupType) -> Self {
        let window = |calls_max| Window { calls_max, millis: 5000 };
        let limits = Limits {
            windows: Windows { writes: window(20), reads: window(1), memberships: window(10) },
            replay_millis: 120_000,
            replay_answers_max: 0,
            keys_max: 20,
            members_max: 0,
            groups_per_connection_max: 0,
            idle_after: Duration::MAX,
            push_min_interval: [Duration::ZERO; 4],
            push_frames_per_second: 0,
        };
        let mut actor = Actor::new(GroupId::parse("room").unwrap(), 1);
        let prints = PrintKeys::default();
        actor.load(Loaded::default(), &prints);
        let mut world = Self { actor, users: Users::new(vec![], 0), limits, prints, told: Told::default() };
        world.ask("create", "owner", 0, Ask::Create(Box::new(world.new_group(kind))));
        world.commit(true);
        world.told.lock().unwrap().clear();
        world
    }

    fn new_group(&self, kind: GroupType) -> NewGroup {
        let (name, owner) = (GroupName::parse("a room").unwrap(), Some(id("owner")));
        NewGroup { kind, name, join_option: JoinOption::FreeAccess, owner, members: vec![], details: Details::default() }
    }

    /// Puts a command into the mailbox; what it is told is kept under the name.
    fn ask(&mut self, name: &'static str, user: &str, slot: u32, ask: Ask) {
        let told = self.told.clone();
        let door = match ask {
            Ask::Attach => Door::Login(at(slot), false),
            _ => Door::Call(Some(at(slot)), Box::new(move |answer| told.lock().unwrap().push((name, answer)))),
        };
        let (group, user) = (self.actor.id.clone(), self.users.visit(&id(user)));
        self.actor.mailbox.push_back(Command { group, ask, user, door, origin: Origin::Socket });
    }

    fn write(&mut self, name: &'static str, op: Option<&str>) {
        let write = Write::one(Mode::Increase, CounterKey::parse("like").unwrap(), 1);
        self.ask(name, "owner", 0, Ask::Write(write, op.map(|op| OpId::parse(op).unwrap())));
    }

    /// Takes batches and commits them until nothing is left to do; the first commit ends as told. True where there was one.
    fn commit(&mut self, first: bool) -> usize {
        let mut commits = 0;
        loop {
            let moment = Moment {
                micros: 0,
                unix: 1000,
                stamp: 1000,
                limits: &self.limits,
                prints: &self.prints,
                generation: 1,
                replays_left: true,
                random: 7,
            };
            let steps = self.actor.take_batch(moment, |_, _| {});
            self.perform(steps);
            if self.actor.phase == Phase::Committing {
                let steps = match commits > 0 || first {
                    true => self.actor.committed().0,
                    false => self.actor.failed(&Refusal::new(Code::Internal, "the disk is full")),
                };
                self.perform(steps);
                commits += 1;
            } else if self.actor.mailbox.is_empty() {
                return commits;
            }
        }
    }

    /// What a shard does, as far as it matters to the actor.
    fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            let (door, answer) = match step {
                Step::Answer(door, answer) => (door, answer),
                Step::Seat { door, data, .. } => (door, Ok(data.unwrap_or(Data::Empty))),
                Step::Unseat(door, data) => (door, Ok(data)),
                Step::Dissolved => {
                    self.actor.present.clear();
                    self.actor.online.clear();
                    self.actor.seats.fill(0);
                    continue;
                }
                Step::Welcome { .. } | Step::Farewell { .. } => continue,
            };
            if let Door::Call(_, call) = door {
                call(answer);
            }
        }
    }

    /// What was told under each name: a code, in order.
    fn codes(&self) -> Vec<(&'static str, u32)> {
        let code = |answer: &Result<Data, Refusal>| answer.as_ref().map_or_else(|refusal| refusal.code.number(), |_| 0);
        self.told.lock().unwrap().drain(..).map(|(name, answer)| (name, code(&answer))).collect()
    }

    fn sits(&self, slot: u32) -> bool {
        self.actor.present.contains_key(&at(slot))
    }
}

#[test]
fn what_writes_nothing_is_served_though_the_disk_is_full() {
    let mut world = World::new(GroupType::ChatRoom);
    world.write("write", Some("op"));
    world.write("copy", Some("op"));
    world.ask("attach", "owner", 1, Ask::Attach);
    world.ask("read", "owner", 1, Ask::Read(vec![]));
    world.ask("one too many", "owner", 1, Ask::Read(vec![]));
    world.ask("join", "guest", 2, Ask::Join);
    world.ask("stranger", "guest", 2, Ask::Online);
    assert_eq!(world.commit(false), 1, "only what was written needs the disk");
    let expected = [("write", 10002), ("copy", 10002), ("read", 0), ("one too many", 2996), ("join", 10002), ("stranger", 10007)];
    assert_eq!(world.codes(), expected);
    assert!(world.sits(1) && !world.sits(2), "who was a member before gets pushes");
    assert_eq!(world.actor.group().unwrap().version, 0);

    world.write("write", Some("op"));
    world.ask("attach", "guest", 3, Ask::Attach);
    assert_eq!(world.commit(true), 1);
    assert_eq!(world.codes(), [("write", 0)]);
    assert!(!world.sits(3));
}

#[test]
fn seats_of_a_live_room_need_no_disk() {
    let mut world = World::new(GroupType::AvChatRoom);
    world.ask("join", "owner", 0, Ask::Join);
    world.ask("join", "guest", 1, Ask::Join);
    world.commit(true);
    world.codes();
    world.write("write", None);
    world.ask("quit", "guest", 1, Ask::Quit);
    world.ask("again", "owner", 0, Ask::Join);
    world.ask("new", "late", 2, Ask::Join);
    assert_eq!(world.commit(false), 1);
    assert_eq!(world.codes(), [("write", 10002), ("quit", 0), ("again", 0), ("new", 0)]);
    assert_eq!([0, 1, 2].map(|slot| world.sits(slot)), [true, false, true]);
    assert_eq!((world.actor.online.len(), world.actor.seats[0]), (2, 2));
}

#[test]
fn what_is_taken_again_keeps_its_order() {
    let mut world = World::new(GroupType::AvChatRoom);
    world.ask("join", "owner", 0, Ask::Join);
    world.commit(true);
    world.codes();
    world.write("write", None);
    world.ask("join", "guest", 1, Ask::Join);
    world.ask("quit", "guest", 1, Ask::Quit);
    world.ask("not in", "guest", 1, Ask::Quit);
    world.write("write more", None);
    world.ask("leave", "owner", 0, Ask::Quit);
    world.write("outside", None);
    world.ask("come back", "owner", 0, Ask::Join);
    assert_eq!(world.commit(false), 1);
    let asked = [("write", 10002), ("join", 0), ("quit", 0), ("not in", 10007)];
    let more = [("write more", 10002), ("leave", 0), ("outside", 10002), ("come back", 0)];
    assert_eq!(world.codes(), [asked, more].concat());
    assert_eq!([0, 1].map(|slot| world.sits(slot)), [true, false], "whoever was told last that he is out is out");
    assert_eq!((world.actor.online.len(), world.actor.seats[0]), (1, 1));
    assert_eq!(world.actor.group().unwrap().version, 0);
}

#[test]
fn a_group_made_anew_in_one_breath_begins_with_nothing_of_the_old_one() {
    let mut world = World::new(GroupType::AvChatRoom);
    world.ask("join", "owner", 0, Ask::Join);
    world.commit(true);
    world.write("write", Some("op"));
    world.ask("end", "owner", 0, Ask::Dissolve);
    world.ask("create", "owner", 0, Ask::Create(Box::new(world.new_group(GroupType::AvChatRoom))));
    world.write("outside", Some("op"));
    world.ask("join", "owner", 0, Ask::Join);
    world.write("inside", Some("op"));
    world.commit(true);
    assert!(world.sits(0));
    let told: Vec<_> = world.told.lock().unwrap().drain(..).collect();
    let find = |name| told.iter().find(|(told, _)| *told == name).map(|(_, answer)| answer.clone()).unwrap();
    assert_eq!(find("outside").unwrap_err().code, Code::NotPermitted);
    assert!(matches!(find("inside"), Ok(Data::Changed { value: 1, version: 1, replayed: false, .. })), "{:?}", find("inside"));
}

#[test]
fn an_end_that_fails_changes_nothing() {
    let mut world = World::new(GroupType::AvChatRoom);
    world.ask("join", "owner", 0, Ask::Join);
    world.commit(true);
    world.write("write", Some("op"));
    world.commit(true);
    world.codes();
    world.ask("end", "owner", 0, Ask::Dissolve);
    world.ask("read", "owner", 0, Ask::Read(vec![]));
    world.commit(false);
    assert_eq!(world.codes(), [("end", 10002), ("read", 0)]);
    assert!(world.sits(0));
    world.write("copy", Some("op"));
    world.commit(true);
    let told = world.told.lock().unwrap().pop().unwrap().1;
    assert!(matches!(told, Ok(Data::Changed { version: 1, replayed: true, .. })), "{told:?}");
}
