//! AVChatRoom: the live room, in which membership belongs to a connection and goes with it.

use serde_json::json;

use crate::server::{ADMIN, Server, Setup};

#[tokio::test]
async fn nobody_is_in_before_he_joins_not_even_the_owner() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("AVChatRoom").await;
    ann.increase(&room, "like", 1).await.refused(10007);
    ann.get(&room).await.refused(10007);
    ann.quit(&room).await.refused(10007);

    let data = ann.join(&room).await.ok();
    assert_eq!((&data["status"], &data["version"]), (&json!("JoinedSuccess"), &json!(0)));
    assert_eq!((&data["group"]["memberCount"], &data["group"]["ownerID"]), (&json!(1), &json!("ann")));
    assert_eq!(ann.join(&room).await.ok()["status"], "AlreadyInGroup");
    ann.increase(&room, "like", 1).await.ok();
    ann.expect_push(&room, "like", 1).await;
    ann.quit(&room).await.ok();
    ann.get(&room).await.refused(10007);
}

#[tokio::test]
async fn nobody_adds_and_nobody_removes() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut admin = server.user(ADMIN).await;
    let room = ann.create("AVChatRoom").await;
    ann.join(&room).await.ok();
    for client in [&mut ann, &mut admin] {
        client.add(&room, &["ben"]).await.refused(10007);
        client.remove(&room, &["ann"]).await.refused(10004);
    }
    assert_eq!(ann.member_count(&room).await, 1);
}

#[tokio::test]
async fn each_connection_joins_for_itself() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut twin = server.user("ben").await;
    let room = ann.create("AVChatRoom").await;
    ann.join(&room).await.ok();
    ben.join(&room).await.ok();

    twin.get(&room).await.refused(10007);
    twin.increase(&room, "like", 1).await.refused(10007);
    ann.increase(&room, "like", 1).await.ok();
    ann.expect_push(&room, "like", 1).await;
    ben.expect_push(&room, "like", 1).await;
    twin.no_push_until_ping().await;

    let data = twin.join(&room).await.ok();
    assert_eq!(data["status"], "JoinedSuccess");
    assert_eq!((&data["version"], &data["counters"]), (&json!(1), &json!({"like": 1})));
    assert_eq!(data["group"]["memberCount"], 2, "two users with three connections");
    assert_eq!(ann.online(&room).await, 2);
    ann.increase(&room, "like", 1).await.ok();
    for member in [&mut ann, &mut ben, &mut twin] {
        member.expect_push(&room, "like", 2).await;
    }
}

#[tokio::test]
async fn membership_is_gone_when_the_connection_is() {
    let server = Setup::new().limit("frames_per_second_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut twin = server.user("ben").await;
    let room = ann.create("AVChatRoom").await;
    for member in [&mut ann, &mut ben, &mut twin] {
        member.join(&room).await.ok();
    }
    assert_eq!(ann.online(&room).await, 2);
    ben.leave().await;
    assert_eq!(ann.online(&room).await, 2);
    drop(twin);
    while ann.online(&room).await > 1 {}
    assert_eq!(ann.member_count(&room).await, 1);

    let mut ben = server.user("ben").await;
    ben.get(&room).await.refused(10007);
    ann.increase(&room, "like", 1).await.ok();
    ann.expect_push(&room, "like", 1).await;
    ben.no_push_until_ping().await;
    ben.join(&room).await.ok();
    ben.ask(json!({"cmd": "logout"})).await.ok();
    assert_eq!(ann.online(&room).await, 1, "a logout leaves the room too");
    ben.login("ben").await.ok();
    ben.get(&room).await.refused(10007);
}

#[tokio::test]
async fn the_room_outlives_the_program_and_its_members_do_not() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("AVChatRoom").await;
    ann.join(&room).await.ok();
    ann.set(&room, json!({"like": 5})).await.ok();
    let epoch = ann.get(&room).await.ok()["epoch"].clone();

    server.restart("KILL").await;
    let mut ann = server.user("ann").await;
    ann.get(&room).await.refused(10007);
    let data = ann.join(&room).await.ok();
    assert_eq!((&data["counters"], &data["version"]), (&json!({"like": 5}), &json!(1)));
    assert_eq!((&data["group"]["memberCount"], &data["epoch"]), (&json!(1), &epoch));
}

#[tokio::test]
async fn a_connection_is_in_128_groups_and_no_more() {
    let server = Setup::new().limit("frames_per_second_max", 0).start().await;
    let mut owners = [server.user("ann").await, server.user("ben").await];
    let mut rooms = Vec::new();
    for n in 0..129 {
        rooms.push(owners[n % 2].create("AVChatRoom").await);
    }
    let mut carl = server.user("carl").await;
    for room in &rooms[..128] {
        assert_eq!(carl.join(room).await.ok()["status"], "JoinedSuccess");
    }
    carl.join(&rooms[128]).await.refused(10037);
    assert_eq!(carl.join(&rooms[5]).await.ok()["status"], "AlreadyInGroup");
    carl.increase(&rooms[127], "like", 1).await.ok();
    carl.expect_push(&rooms[127], "like", 1).await;
    carl.quit(&rooms[0]).await.ok();
    carl.join(&rooms[128]).await.ok();
    owners[0].join(&rooms[128]).await.ok();
    owners[0].increase(&rooms[128], "like", 1).await.ok();
    carl.expect_push(&rooms[128], "like", 1).await;
}
