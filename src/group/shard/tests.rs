//! One shard on a store of its own, its turns taken by hand.

mod bounded;
mod costs;
mod incarnations;
mod places;
mod world;

use std::time::Duration;

use super::*;
use crate::domain::command::{Mode, Write};
use crate::domain::member::{Details, GroupType, JoinOption, NewGroup};
use crate::domain::name::{CounterKey, GroupName, OpId, UserId};
use crate::domain::throttle::Window;
use crate::group::{Limits, Origin};
use crate::protocol::answer::Data;
use crate::store::{Options, Store};
use crate::users::{ConnId, Users, Windows};

fn limits() -> Limits {
    let window = Window { calls_max: 0, millis: 5000 };
    Limits {
        windows: Windows { writes: window, reads: window, memberships: window },
        replay_millis: 120_000,
        replay_answers_max: 0,
        keys_max: 20,
        members_max: 0,
        groups_per_connection_max: 0,
        idle_after: Duration::MAX,
        push_min_interval: [Duration::ZERO; 4],
        push_frames_per_second: 0,
    }
}

/// The only shard of a node whose store is in this folder.
fn shard_on(folder: &std::path::Path) -> Rc<Shard> {
    shard_with(&Options::new(folder), limits())
}

fn shard_with(options: &Options, limits: Limits) -> Rc<Shard> {
    let store = Store::open(options, Box::new(|_| {})).unwrap();
    Shard::new(0, Arc::new(Node::new(store, Users::new(vec![], 0), limits, 1)))
}

#[test]
fn a_wave_of_logins_loses_no_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let shard = shard_on(folder.path());
    let user = shard.node.users.visit(&UserId::parse("ann").unwrap());
    let attach = |group: &str| Command {
        group: GroupId::parse(group).unwrap(),
        ask: Ask::Attach,
        user: user.clone(),
        door: Door::Login(ConnId { shard: 0, slot: 0, generation: 0 }, false),
        origin: Origin::Socket,
    };
    for n in 0..LOADING_MAX + 1 {
        shard.take_command(attach(&format!("group-{n}")));
    }
    assert_eq!(shard.actors.borrow().len(), LOADING_MAX + 1);
    for _ in 0..MAILBOX_MAX {
        shard.take_command(attach("group-0"));
    }
    assert_eq!(shard.actors.borrow()[&GroupId::parse("group-0").unwrap()].borrow().mailbox.len(), MAILBOX_MAX + 1);
    shard.node.store.clone().close().unwrap();
}

/// Tells a group something, and keeps what it is answered under the group's name.
fn ask(shard: &Shard, group: &str, ask: Ask, answers: &Answers) {
    let (answers, name) = (answers.clone(), group.to_owned());
    let keep = move |answer: Result<Data, Refusal>| answers.lock().unwrap().push((name, answer.map_err(|refusal| refusal.code)));
    let (group, door) = (GroupId::parse(group).unwrap(), Door::Call(None, Box::new(keep)));
    let user = shard.node.users.visit(&UserId::parse("ann").unwrap());
    shard.tell(Command { group, ask, user, door, origin: Origin::Socket });
}

type Answers = Arc<std::sync::Mutex<Vec<(String, Result<Data, Code>)>>>;

fn new_group() -> Ask {
    Ask::Create(Box::new(NewGroup {
        kind: GroupType::ChatRoom,
        name: GroupName::parse("a room").unwrap(),
        join_option: JoinOption::FreeAccess,
        owner: Some(UserId::parse("ann").unwrap()),
        members: vec![],
        details: Details::default(),
    }))
}

/// A store that breaks refuses later commits while it is still at an earlier one.
#[tokio::test]
async fn each_commit_is_settled_by_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let shard = shard_on(folder.path());
    let (answers, mut mail, mut committed) = (Answers::default(), Mail::default(), Vec::new());
    for group in ["first", "second"] {
        ask(&shard, group, new_group(), &answers);
        while shard.open_commits.borrow().len() == committed.len() {
            shard.turn(&mut mail);
            tokio::task::yield_now().await;
        }
        while committed.len() < shard.open_commits.borrow().len() {
            shard.inbox().rung().await;
            shard.inbox().take(&mut mail);
            committed.extend(mail.letters.drain(..).filter(|letter| matches!(letter, Letter::Committed(..))));
        }
    }
    let broken = match committed.pop() {
        Some(Letter::Committed(number, Ok(_))) => Letter::Committed(number, Err(CommitError::Broken)),
        _ => panic!("the second commit was not answered"),
    };
    shard.read(broken);
    committed.into_iter().for_each(|letter| shard.read(letter));
    let answers: Vec<_> = answers.lock().unwrap().drain(..).map(|(group, answer)| (group, answer.map(drop))).collect();
    assert_eq!(answers, [("second".to_owned(), Err(Code::Internal)), ("first".to_owned(), Ok(()))]);
    let exists = |group: &str| shard.actors.borrow()[&GroupId::parse(group).unwrap()].borrow().group().is_some();
    assert!(exists("first") && !exists("second"));
    shard.node.store.clone().close().unwrap();
}

/// Takes turns until nothing is left to do.
async fn settle(shard: &Shard) {
    let mut mail = Mail::default();
    while shard.turn(&mut mail).is_some() || !shard.is_calm() {
        if shard.open_commits.borrow().is_empty() && shard.loading.get() == 0 {
            continue;
        }
        shard.inbox().rung().await;
    }
}

/// Time alone changes something about those who are unused, and those whose answers grow old: nobody else is looked at.
#[tokio::test]
async fn a_sweep_looks_at_those_alone_for_whom_it_is_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(std::sync::atomic::AtomicU64::new(1_000_000));
    let mut options = Options::new(folder.path());
    let hands = clock.clone();
    options.clock = Arc::new(move || hands.load(Ordering::SeqCst));
    options.limits.merge_after = Duration::from_millis(5);
    let limits = Limits { idle_after: Duration::from_secs(300), ..limits() };
    let shard = shard_with(&options, limits);
    let (answers, name) = (Answers::default(), |n: usize| format!("group-{n}"));
    let id = |n: usize| GroupId::parse(&name(n)).unwrap();
    for n in 0..100 {
        ask(&shard, &name(n), new_group(), &answers);
    }
    settle(&shard).await;
    let write = Write::one(Mode::Increase, CounterKey::parse("like").unwrap(), 1);
    ask(&shard, &name(7), Ask::Write(write, Some(OpId::parse("op").unwrap())), &answers);
    settle(&shard).await;
    let user = shard.node.users.visit(&UserId::parse("ann").unwrap());
    let connection = ConnId { shard: 0, slot: 0, generation: 0 };
    let seating = shard.actors.borrow()[&id(8)].borrow_mut().number_seat(connection, &user);
    let of = shard.actors.borrow()[&id(8)].borrow().life();
    let merged = shard.actors.borrow()[&id(7)].borrow().last_lsn;
    while shard.node.store.merged() < merged {
        tokio::task::yield_now().await;
    }

    let begun = shard.now();
    let later = |seconds: u64| begun + Duration::from_secs(seconds);
    let sweep = |seconds: u64| {
        clock.store(1_000_000 + seconds * 1000, Ordering::SeqCst);
        shard.now.set(later(seconds));
        let due = shard.due();
        // Those who were due are due still.
        due.iter().for_each(|group| {
            shard.looks.borrow_mut().push(Reverse((shard.actors.borrow()[group].borrow().look_at.unwrap(), group.clone())))
        });
        shard.sweep(later(seconds));
        due.len()
    };
    assert_eq!(sweep(110), 0);
    assert_eq!(shard.node.replays.load(Ordering::Relaxed), 1);
    assert_eq!(sweep(130), 1, "the answer of one group is too old");
    assert_eq!(shard.node.replays.load(Ordering::Relaxed), 0);
    assert_eq!(sweep(290), 0);
    assert_eq!(sweep(302), 100);
    assert_eq!(shard.actors.borrow().len(), 1, "the one in which somebody sits");
    assert_eq!(sweep(3600), 0);
    shard.read(Letter::Detach(of, connection, seating));
    assert_eq!(sweep(3602), 1);
    assert!(shard.actors.borrow().is_empty());
    shard.node.store.clone().close().unwrap();
}

/// Whoever takes what was owed takes it from their own task, and nobody else may have anything to do.
#[tokio::test]
async fn a_calm_shard_counts_those_who_take_nothing_as_they_are_now() {
    let world = world::World::new(1, |_| {});
    let (shard, mut mail) = (&world.shards[0], Mail::default());
    let mut outboxes = shard.outboxes.take();
    let (id, fd, _peer) = crate::group::outbox::tests::full_pipe(&mut outboxes).await;
    outboxes.push(id.slot, fd, b"newest", Instant::now());
    shard.outboxes.replace(outboxes);
    shard.turn(&mut mail);
    assert_eq!(shard.metrics().stalled.get(), 1);
    shard.outboxes.borrow_mut().close(id.slot);
    shard.sweep(Instant::now());
    assert_eq!(shard.metrics().stalled.get(), 0);
}
