//! What the hot paths may cost, in allocations: a count is the same on every machine and in every mood of it. A number that
//! has to be raised here is a command or a push that has become dearer for everybody.

use allocation_counter::measure;

use super::shard_on;
use crate::domain::command::{Mode, Write};
use crate::domain::member::{Details, GroupType, JoinOption, NewGroup};
use crate::domain::name::{CounterKey, UserId};
use crate::domain::name::{GroupName, OpId};
use crate::group::outbox::tests::open_pipe;
use crate::group::shard::*;
use crate::group::{Ask, Origin};
use crate::protocol::push::counter_updated;
use crate::protocol::request::{Body, Cmd, FieldLimits, Frame, null_id};
use crate::users::ConnId;
use tokio::net::TcpStream;

const INCREASE: &str = r#"{"id":17,"cmd":"increaseGroupCounter","groupID":"live-room","key":"like","value":1,"opID":"9f3c2a7e-1"}"#;

fn decoded() -> (crate::protocol::request::Id, Body) {
    let frame = Frame::read(INCREASE).unwrap();
    let body = frame.body(FieldLimits { users_max: 100, keys_max: 20 }).unwrap();
    (frame.id, body)
}

#[test]
fn a_command_is_decoded_with_an_allocation_for_each_name_in_it() {
    // The id as it was written, the group, the key, the operation.
    assert!(measure(|| drop(decoded())).count_total <= 3);
}

#[test]
fn a_push_is_encoded_with_one_allocation() {
    let (group, key) = (GroupId::parse("live-room").unwrap(), CounterKey::parse("like").unwrap());
    assert!(measure(|| drop(counter_updated(&group, &key, Some(i64::MIN), u64::MAX))).count_total <= 2);
}

/// A shard with a room in which so many connections sit, all of one user.
async fn room_of(members: usize, folder: &std::path::Path) -> (Rc<Shard>, Vec<ConnId>, Vec<TcpStream>) {
    let shard = shard_on(folder);
    let (mut ids, mut peers) = (Vec::new(), Vec::new());
    let mut outboxes = shard.outboxes.take();
    for _ in 0..members {
        let (id, _, peer) = open_pipe(&mut outboxes, 0).await;
        ids.push(id);
        peers.push(peer);
    }
    shard.outboxes.replace(outboxes);
    let profile = NewGroup {
        kind: GroupType::ChatRoom,
        name: GroupName::parse("a room").unwrap(),
        join_option: JoinOption::FreeAccess,
        owner: Some(UserId::parse("ann").unwrap()),
        members: vec![],
        details: Details::default(),
    };
    say(&shard, ids[0], Ask::Create(Box::new(profile)));
    settle(&shard).await;
    ids.iter().for_each(|id| say(&shard, *id, Ask::Join));
    settle(&shard).await;
    (shard, ids, peers)
}

fn say(shard: &Shard, connection: ConnId, ask: Ask) {
    let group = GroupId::parse("live-room").unwrap();
    let user = shard.node.users.visit(&UserId::parse("ann").unwrap());
    shard.outboxes.borrow().bell(connection).unwrap().told();
    let door = Door::Socket(connection, Cmd::IncreaseGroupCounter, null_id(), Instant::now());
    shard.tell(Command { group, ask, user, door, origin: Origin::Socket });
}

fn like(operation: usize) -> Ask {
    let write = Write::one(Mode::Increase, CounterKey::parse("like").unwrap(), 1);
    Ask::Write(write, Some(OpId::parse(&format!("op-{operation}")).unwrap()))
}

/// Takes turns until nothing is left to do; what they have allocated comes back.
async fn settle(shard: &Shard) -> u64 {
    let (mut mail, mut allocated) = (Mail::default(), 0);
    loop {
        let mut due = None;
        allocated += measure(|| due = shard.turn(&mut mail)).count_total;
        match due {
            Some(_) => {}
            None if shard.is_calm() => return allocated,
            None => shard.inbox().rung().await,
        }
    }
}

#[tokio::test]
async fn what_a_command_allocates_does_not_grow() {
    const COMMANDS: u64 = 64;
    let folder = tempfile::tempdir().unwrap();
    let (shard, ids, _peers) = room_of(1, folder.path()).await;
    for warm in [true, false] {
        let asks: Vec<_> = (0..COMMANDS as usize).map(|n| like(n + usize::from(warm) * 1000)).collect();
        let told = measure(|| asks.into_iter().for_each(|ask| say(&shard, ids[0], ask))).count_total;
        let each = (told + settle(&shard).await) as f64 / COMMANDS as f64;
        assert!(warm || each <= 5.0, "{each} allocations from a decoded command to its answer");
    }
    shard.node.store.clone().close().unwrap();
}

#[tokio::test]
async fn a_push_allocates_the_same_for_few_members_and_for_many() {
    let mut costs = Vec::new();
    for members in [2, 200] {
        let folder = tempfile::tempdir().unwrap();
        let (shard, ids, _peers) = room_of(members, folder.path()).await;
        let mut cost = 0;
        for n in 0..3 {
            say(&shard, ids[0], like(n));
            cost = settle(&shard).await;
        }
        costs.push(cost);
        shard.node.store.clone().close().unwrap();
    }
    assert!(costs[1] <= costs[0] + 2, "{} allocations for a push to 2 members, {} for one to 200", costs[0], costs[1]);
}
