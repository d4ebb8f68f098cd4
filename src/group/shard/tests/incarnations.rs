//! An id that is used again: what was told of an earlier group reaches no member of a later one.

use super::world::World;
use super::*;
use crate::domain::member::GroupType;

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
