//! Pushes with a bound, on a clock of the test's own: who gets how much of it.

use std::time::Duration;

use bytes::Bytes;

use super::world::{Pipe, World};
use super::*;
use crate::domain::member::GroupType;
use crate::domain::name::CounterKey;
use crate::group::inbox::Update;
use crate::protocol::push::counter_updated;

const BOUND: u64 = 200;

/// Rooms on one shard whose pushes are bounded, and the time there.
struct Bounded {
    world: World,
    began: Instant,
    passed: Duration,
}

impl Bounded {
    fn new() -> Self {
        Self { world: World::new(1, |limits| limits.push_frames_per_second = BOUND), began: Instant::now(), passed: Duration::ZERO }
    }

    fn shard(&self) -> &Shard {
        &self.world.shards[0]
    }

    /// A room in which all these sit.
    async fn room(&self, name: &str, members: &[&str]) -> GroupId {
        let group = GroupId::parse(name).unwrap();
        self.world.create(&group, GroupType::ChatRoom, "owner", members).await;
        group
    }

    fn publish(&self, group: &GroupId, keys: usize, version: u64) {
        let room = self.shard().rooms.borrow()[group].clone();
        let of = room.borrow().of.clone();
        let update = |n: usize| {
            let key = CounterKey::parse(&format!("k{n}")).unwrap();
            let frame: Bytes = counter_updated(group, &key, Some(7), version);
            Update { key, version, frame, deleted: false }
        };
        self.shard().publish_here(&of, &(0..keys).map(update).collect::<Vec<_>>(), 0);
    }

    /// The next moment at which the shard would take a turn, at most `most` later, and what it sends then.
    fn turn(&mut self, most: Duration) {
        let due = self.shard().move_cursors().map_or(most, |due| due.saturating_duration_since(self.shard().now()));
        self.passed += due.clamp(Duration::from_micros(100), most);
        self.shard().now.set(self.began + self.passed);
        self.shard().outboxes.borrow_mut().flush(self.shard().now());
    }

    fn sent(&self) -> u64 {
        self.shard().metrics().pushes_sent.get()
    }

    async fn connect(&self, names: &[&str]) -> Vec<Pipe> {
        let mut pipes = Vec::new();
        for name in names {
            pipes.push(self.world.connect(0, name).await);
        }
        pipes
    }
}

#[tokio::test]
async fn a_hot_room_starves_no_calm_one_and_the_bound_is_kept() {
    let mut node = Bounded::new();
    let names: Vec<_> = (0..60).map(|n| format!("user {n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut hot_pipes = node.connect(&names).await;
    let mut calm_pipes = node.connect(&["calm a", "calm b"]).await;
    let hot = node.room("hot", &names).await;
    let calm = node.room("calm", &["calm a", "calm b"]).await;
    calm_pipes.iter_mut().for_each(|pipe| drop(pipe.heard()));
    let (mut version, mut calm_version, mut waits) = (0, 0, Vec::new());
    while node.passed < Duration::from_secs(10) {
        version += 1;
        node.publish(&hot, 1, version);
        if version % 500 == 100 {
            calm_version += 1;
            node.publish(&calm, 1, calm_version);
            let before = node.sent();
            while calm_pipes.iter_mut().map(|pipe| pipe.heard().len()).sum::<usize>() == 0 {
                version += 1;
                node.publish(&hot, 1, version);
                node.turn(Duration::from_millis(3));
                assert!(node.sent() < before + 20, "the calm room's only push waits for {} of the hot one", node.sent() - before);
            }
            waits.push(node.sent() - before);
        }
        node.turn(Duration::from_millis(3));
    }
    assert!(waits.len() > 3, "{waits:?}");
    let (seconds, sent) = (node.passed.as_secs_f64(), node.sent() as f64);
    let all = seconds * BOUND as f64;
    assert!(sent <= all + 11.0 && sent >= all * 0.97, "{sent} pushes in {seconds} s at {BOUND} a second");
    assert!(hot_pipes.iter_mut().all(|pipe| pipe.heard().len() > 20), "everybody in the hot room has a share");
}

#[tokio::test]
async fn what_a_member_missed_counts_frame_by_frame() {
    let mut node = Bounded::new();
    let mut pipes = node.connect(&["ann"]).await;
    let room = node.room("room", &["ann"]).await;
    pipes[0].heard();
    for version in 1..=1000 {
        node.publish(&room, 20, version);
        node.turn(Duration::from_millis(5));
    }
    let all = node.passed.as_secs_f64() * BOUND as f64;
    assert!(node.sent() as f64 <= all + 31.0, "{} frames, {all} allowed", node.sent());
    assert_eq!(pipes[0].heard().len() as u64, node.sent());
}

#[tokio::test]
async fn who_catches_up_waits_for_the_bound_like_everybody() {
    let mut node = Bounded::new();
    let mut pipes = node.connect(&["ann", "ben"]).await;
    let room = node.room("room", &["ann", "ben"]).await;
    for _ in 0..200 {
        node.turn(Duration::from_millis(5));
    }
    pipes.iter_mut().for_each(|pipe| drop(pipe.heard()));
    // All that is saved goes, and more.
    assert_eq!(node.shard().pushes_allowed(), BOUND / 20);
    node.world.node.budget.as_ref().unwrap().spend(0, 50);
    node.publish(&room, 1, 1);
    let now = node.shard().now();
    assert!(node.shard().drain(pipes[0].id.slot));
    assert_eq!((pipes[0].heard().len(), node.sent()), (0, 0), "nothing is left for anybody");
    while node.sent() < 2 {
        node.turn(Duration::from_millis(5));
        assert!(node.passed < Duration::from_secs(60), "whoever was left behind is come back to");
    }
    assert!(node.shard().now() > now + Duration::from_millis(190), "the debt is paid first");
    assert!(pipes.iter_mut().all(|pipe| pipe.heard() == ["7 at 1"]));
}
