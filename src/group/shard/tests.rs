//! One shard on a store of its own, its turns taken by hand.

mod bounded;
mod costs;
mod incarnations;
mod world;

use std::time::Duration;

use super::*;
use crate::domain::name::UserId;
use crate::domain::throttle::Window;
use crate::group::{Limits, Origin};
use crate::store::{Options, Store};
use crate::users::ConnId;
use crate::users::Users;

fn limits() -> Limits {
    let window = Window { calls_max: 0, millis: 5000 };
    Limits {
        writes: window,
        reads: window,
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
    let store = Store::open(&Options::new(folder), Box::new(|_| {})).unwrap();
    Shard::new(0, Arc::new(Node::new(store, Users::new(vec![], 0), limits(), 1)))
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
