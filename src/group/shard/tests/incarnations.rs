//! An id that is used again: what was told of an earlier group reaches no member of a later one.

use super::world::{Pipe, World};
use super::*;
use crate::domain::member::GroupType;
use crate::group::fanout::SEATS_PER_STEP;

#[tokio::test]
async fn what_an_earlier_group_counted_reaches_nobody_in_a_later_one_of_its_id() {
    let world = World::new(2, |_| {});
    let group = world.group_at(0, "room");
    let mut ben = world.connect(1, "ben").await;
    let ben_id = || vec![UserId::parse("ben").unwrap()];
    world.create(&group, GroupType::ChatRoom, "ann", &["ben"]).await;
    world.settle(1).await;
    assert_eq!(ben.heard(), ["added"]);

    // The other shard is busy: all of this lies in its inbox.
    for value in 1..=8 {
        world.write(&group, "ann", value).await;
    }
    world.ask(&group, "ann", Ask::Remove(ben_id())).await.unwrap();
    world.ask(&group, "ann", Ask::Dissolve).await.unwrap();
    world.create(&group, GroupType::ChatRoom, "ann", &["ben"]).await;
    world.settle(1).await;
    assert_eq!(ben.heard(), ["removed", "added"]);
    for value in 101..=108 {
        world.write(&group, "ann", value).await;
        world.settle(1).await;
        assert_eq!(ben.heard(), [format!("{value} at {}", value - 100)]);
    }
}

#[tokio::test]
async fn a_room_ends_in_steps_and_nobody_hears_of_the_next_group_first() {
    let world = World::new(2, |_| {});
    let (group, other) = (world.group_at(0, "room"), world.group_at(0, "other"));
    let names: Vec<_> = (0..300).map(|n| format!("user {n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut pipes = Vec::new();
    for name in &names {
        pipes.push(world.connect(1, name).await);
    }
    let mut bystander = world.connect(1, "bystander").await;
    world.create(&group, GroupType::ChatRoom, "ann", &names).await;
    world.create(&other, GroupType::ChatRoom, "ann", &["bystander"]).await;
    world.settle(1).await;
    for pipe in pipes.iter_mut().chain([&mut bystander]) {
        assert_eq!(pipe.heard(), ["added"]);
    }

    world.ask(&group, "ann", Ask::Dissolve).await.unwrap();
    let mut mail = Mail::default();
    assert!(world.shards[1].turn(&mut mail).is_some(), "there is more to do");
    let (mut late, mut told) = (Vec::new(), Vec::new());
    for (mut pipe, name) in pipes.into_iter().zip(&names) {
        match &pipe.heard()[..] {
            [] => late.push((pipe, name)),
            heard => {
                assert_eq!(heard, ["GROUP_DISMISSED"]);
                told.push((pipe, name));
            }
        }
    }
    assert!((1..=SEATS_PER_STEP).contains(&told.len()), "{} were told in one turn", told.len());
    // In the midst of it others are served, and the id is used again by some who have not heard of the end.
    let again = [late.remove(0), late.remove(100)];
    world.write(&other, "ann", 7).await;
    world.create(&group, GroupType::ChatRoom, "ann", &[again[0].1, again[1].1]).await;
    world.write(&group, "ann", 8).await;
    world.shards[1].turn(&mut mail);
    assert_eq!(bystander.heard(), ["7 at 1"]);
    let seats = |pipe: &Pipe| world.shards[1].outboxes.borrow_mut().places(pipe.id.slot).unwrap().len();
    for (mut pipe, name) in again {
        assert_eq!(pipe.heard(), ["GROUP_DISMISSED", "added", "8 at 1"], "{name}");
        assert_eq!(seats(&pipe), 1);
    }
    world.settle(1).await;
    for (mut pipe, name) in late {
        assert_eq!(pipe.heard(), ["GROUP_DISMISSED"], "{name} is told once");
        assert_eq!(seats(&pipe), 0);
    }
    for (mut pipe, name) in told {
        assert_eq!((pipe.heard(), seats(&pipe)), (vec![], 0), "{name}");
    }
    assert_eq!(world.shards[1].rooms.borrow().len(), 2);
}

#[tokio::test]
async fn a_connection_that_goes_in_the_midst_of_an_end_takes_nobody_with_it() {
    let world = World::new(1, |_| {});
    let group = world.group_at(0, "room");
    let names: Vec<_> = (0..300).map(|n| format!("user {n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut pipes = Vec::new();
    for name in &names {
        pipes.push(world.connect(0, name).await);
    }
    world.create(&group, GroupType::ChatRoom, "ann", &names).await;
    let of = world.shards[0].rooms.borrow()[&group].borrow().of.clone();
    world.shards[0].end_room(&of, crate::protocol::push::group_dismissed(&group));
    assert!(world.shards[0].empty_ended_rooms());
    let gone = pipes.remove(7);
    world.shards[0].leave_rooms(gone.id);
    world.shards[0].outboxes.borrow_mut().close(gone.id.slot);
    while world.shards[0].empty_ended_rooms() {}
    world.shards[0].outboxes.borrow_mut().flush(Instant::now());
    for pipe in &mut pipes {
        assert_eq!(pipe.heard(), ["added", "GROUP_DISMISSED"]);
    }
}

#[tokio::test]
async fn a_seat_that_is_given_back_late_is_not_taken_for_a_later_one() {
    let world = World::new(2, |limits| limits.groups_per_connection_max = 1);
    let (group, other) = (world.group_at(0, "room"), world.group_at(0, "other"));
    let mut ben = world.connect(1, "ben").await;
    let ben_id = || vec![UserId::parse("ben").unwrap()];
    world.create(&group, GroupType::Private, "ann", &[]).await;
    world.create(&other, GroupType::Private, "ann", &["ben"]).await;
    world.settle(1).await;
    // There is no place for this one: the other shard gives the seat back, while the home seats the connection anew.
    world.ask(&group, "ann", Ask::Add(ben_id())).await.unwrap();
    let mut mail = Mail::default();
    world.shards[1].turn(&mut mail);
    assert_eq!(ben.heard(), ["added", "added", "GROUP_UNSUBSCRIBED"]);
    let mut late = Mail::default();
    world.node.inboxes[0].take(&mut late);
    world.ask(&group, "ann", Ask::Remove(ben_id())).await.unwrap();
    world.ask(&other, "ann", Ask::Remove(ben_id())).await.unwrap();
    world.ask(&group, "ann", Ask::Add(ben_id())).await.unwrap();
    assert!(!late.letters.is_empty());
    for letter in late.letters {
        world.node.inboxes[0].put(letter);
    }
    world.settle(0).await;
    world.settle(1).await;
    assert_eq!(ben.heard(), ["removed", "removed", "added"]);
    world.write(&group, "ann", 5).await;
    world.settle(1).await;
    assert_eq!(ben.heard(), ["5 at 1"]);
}
