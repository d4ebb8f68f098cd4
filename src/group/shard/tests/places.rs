//! Places of a connection across shards: what was promised to one request is nobody else's.

use super::world::{Pipe, World};
use super::*;
use crate::domain::member::GroupType;
use crate::protocol::request::{Cmd, null_id};

impl World {
    /// A connection asks for a group, and is promised a place.
    fn join(&self, connection: ConnId, user: &str, group: &GroupId) {
        let shard = &self.shards[connection.shard as usize];
        assert!(shard.keep_place(connection, group));
        let door = Door::Socket(connection, Cmd::JoinGroup, null_id(), Instant::now());
        self.node.tell(Command { group: group.clone(), ask: Ask::Join, user: self.user(user), door, origin: Origin::Socket });
    }
}

/// Two devices of one user ask for a group each; the one has a single place.
#[tokio::test]
async fn what_another_device_joins_does_not_take_a_place_that_was_promised() {
    let world = World::new(2, |limits| limits.groups_per_connection_max = 1);
    let (own, others) = (world.group_at(0, "own"), world.group_at(0, "others"));
    world.create(&own, GroupType::ChatRoom, "ann", &[]).await;
    world.create(&others, GroupType::ChatRoom, "ann", &[]).await;
    let (mut phone, mut desk) = (world.connect(1, "ben").await, world.connect(1, "ben").await);
    world.join(desk.id, "ben", &others);
    world.settle(0).await;
    world.join(phone.id, "ben", &own);
    world.settle(0).await;
    world.settle(1).await;
    let unsubscribed = |pipe: &mut Pipe| {
        let frames = pipe.frames();
        let gone = frames.into_iter().filter(|frame| frame["event"] == "GROUP_UNSUBSCRIBED");
        gone.map(|frame| frame["data"]["groupID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(unsubscribed(&mut phone), [others.as_str()], "what its own request was promised is there");
    assert_eq!(unsubscribed(&mut desk), [own.as_str()]);
    world.write(&own, "ann", 5).await;
    world.settle(1).await;
    assert_eq!((phone.heard(), desk.heard()), (vec!["5 at 1".to_owned()], vec![]));
}
