//! What a cursor leaves nobody without, over sockets that are real because a full pipe is part of it.

use super::*;
use crate::domain::name::{CounterKey, GroupId};
use crate::group::outbox::tests::{full_pipe, open_pipe};

fn deletion(version: u64) -> Update {
    let key = CounterKey::parse(&format!("k{version}")).unwrap();
    Update { key, version, frame: Bytes::from_static(b"gone"), deleted: true }
}

#[tokio::test]
async fn only_who_cannot_be_told_of_deletions_is_too_far_behind() {
    let (mut outboxes, now) = (Outboxes::default(), Instant::now());
    let (stalled, stalled_fd, _first) = full_pipe(&mut outboxes).await;
    let (reader, reader_fd, _second) = open_pipe(&mut outboxes, 0).await;
    let mut room = Room::new(Incarnation { group: GroupId::parse("room").unwrap(), number: 1 }, Duration::ZERO);
    room.sit(reader.slot, reader_fd, 0);
    room.sit(stalled.slot, stalled_fd, 0);
    for version in 1..=TOMBS_MAX as u64 + 2 {
        room.publish(&[deletion(version)], now);
        let expected = if version > TOMBS_MAX as u64 + 1 { vec![stalled.slot] } else { vec![] };
        assert_eq!(room.too_far_behind(&outboxes), expected, "at version {version}");
        room.step(&mut outboxes, 256, u64::MAX, now);
    }
    room.rise(1);
    room.publish(&[deletion(1000)], now);
    room.step(&mut outboxes, 256, u64::MAX, now);
    assert!(room.is_calm() && room.updates.is_empty(), "what everybody knows is kept no longer");
}

#[tokio::test]
async fn whoever_sits_down_late_costs_nobody_an_interval() {
    let (mut outboxes, now) = (Outboxes::default(), Instant::now());
    let interval = Duration::from_secs(3600);
    let mut room = Room::new(Incarnation { group: GroupId::parse("room").unwrap(), number: 1 }, interval);
    let mut peers = Vec::new();
    let mut sit = async |room: &mut Room, outboxes: &mut Outboxes, seen| {
        let (id, fd, peer) = open_pipe(outboxes, 0).await;
        room.sit(id.slot, fd, seen);
        peers.push(peer);
    };
    for _ in 0..5 {
        sit(&mut room, &mut outboxes, 0).await;
    }
    for version in 1..=3 {
        let later = now + interval * version as u32;
        room.publish(&[deletion(version)], later);
        assert_eq!(room.step(&mut outboxes, 2, u64::MAX, later), 2);
        sit(&mut room, &mut outboxes, version).await;
        let others = room.len() as u64 - 3;
        assert_eq!(room.step(&mut outboxes, 256, u64::MAX, later), others, "at version {version} all others are told in this round");
        assert!(room.is_calm() && room.due(later).is_none());
    }
}
