//! What a member sees of a calm room: everything, once, in order.

use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{increase, set};
use crate::server::{Server, Setup};

#[tokio::test]
async fn the_answer_to_a_write_comes_before_its_push() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    for _ in 0..50 {
        ann.send(increase(&room, "like", 1)).await;
    }
    let (mut answered, mut pushed) = (0, 0);
    while pushed < 50 {
        let frame = ann.frame().await;
        let version = frame["data"]["version"].as_u64().expect("a version");
        if frame.get("event").is_some() {
            assert!(version <= answered, "the push of {version} came before its answer");
            pushed = version;
        } else {
            assert_eq!(version, answered + 1, "answers come in the order of the writes");
            answered = version;
        }
    }
}

#[tokio::test]
async fn in_a_calm_room_each_write_is_one_push_to_every_member() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let mut others = Vec::new();
    let room = ann.create("ChatRoom").await;
    for n in 0..4 {
        let mut other = server.user(&format!("user-{n}")).await;
        other.join(&room).await.ok();
        others.push(other);
    }
    for n in 1..=40 {
        ann.increase(&room, "like", 1).await.ok();
        for member in others.iter_mut().chain([&mut ann]) {
            assert_eq!(member.expect_push(&room, "like", n).await, n as u64);
        }
    }
    let writer = &mut others[0];
    writer.decrease(&room, "like", 40).await.ok();
    for member in others.iter_mut().chain([&mut ann]) {
        member.expect_push(&room, "like", 0).await;
        member.no_push_until_ping().await;
    }
}

#[tokio::test]
async fn a_write_of_several_keys_is_one_push_for_each_under_one_version() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    ann.set(&room, json!({"a": 1, "b": 2, "c": 3})).await.ok();
    for member in [&mut ann, &mut ben] {
        let mut seen = serde_json::Map::new();
        for _ in 0..3 {
            let data = member.expect_event("GROUP_COUNTER_UPDATED").await;
            assert_eq!((&data["groupID"], &data["version"]), (&json!(room), &json!(1)));
            seen.insert(data["key"].as_str().expect("a key").to_owned(), data["value"].clone());
        }
        assert_eq!(Value::Object(seen), json!({"a": 1, "b": 2, "c": 3}));
        member.no_push_until_ping().await;
    }
}

#[tokio::test]
async fn a_refused_write_is_pushed_to_nobody() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    ann.set(&room, json!({"max": i64::MAX})).await.ok();
    ann.increase(&room, "max", 1).await.refused(10004);
    ann.ask(set(&room, json!({"good": 1, "bad": 1.5}))).await.refused(10004);
    ann.increase(&room, "like", 1).await.ok();
    for member in [&mut ann, &mut ben] {
        member.expect_push(&room, "max", i64::MAX).await;
        assert_eq!(member.expect_push(&room, "like", 1).await, 2);
    }
}

#[tokio::test]
async fn each_hears_of_his_own_groups_only() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let (shared, hers, his) = (ann.create("ChatRoom").await, ann.create("ChatRoom").await, ben.create("ChatRoom").await);
    ben.join(&shared).await.ok();

    ann.increase(&hers, "like", 1).await.ok();
    ben.increase(&his, "like", 2).await.ok();
    ann.increase(&shared, "like", 3).await.ok();
    ann.expect_push(&hers, "like", 1).await;
    ann.expect_push(&shared, "like", 3).await;
    ben.expect_push(&his, "like", 2).await;
    ben.expect_push(&shared, "like", 3).await;
    ann.no_push_until_ping().await;
    ben.no_push_until_ping().await;
}

#[tokio::test]
async fn a_join_amid_a_storm_gets_a_snapshot_and_then_only_what_is_newer() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut members: Vec<Client> = Vec::new();
    for n in 0..10 {
        members.push(server.user(&format!("user-{n}")).await);
    }
    let mut sent = 0;
    for member in &mut members {
        for _ in 0..30 {
            ann.send(increase(&room, "like", 1)).await;
            sent += 1;
        }
        // Every later push must lie above this version: the client itself watches that.
        let data = member.join(&room).await.ok();
        let like = data["counters"]["like"].as_u64().unwrap_or(0);
        assert_eq!(data["version"], like, "the snapshot is of one moment");
    }
    for _ in 0..30 {
        ann.send(increase(&room, "like", 1)).await;
        sent += 1;
    }
    for member in members.iter_mut().chain([&mut ann]) {
        member.await_value(&room, "like", sent).await;
    }
}

#[tokio::test]
async fn somebody_who_joins_between_two_pushes_takes_nobodys_turn() {
    let server = Setup::new().unthrottled().set("push.min_interval", "300ms").set("shards", 1).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut ben = server.user("ben").await;
    ben.join(&room).await.ok();
    let mut carl = server.user("carl").await;
    ann.increase(&room, "like", 1).await.ok();
    ann.await_value(&room, "like", 1).await;
    ben.await_value(&room, "like", 1).await;
    ann.increase(&room, "like", 1).await.ok();
    carl.join(&room).await.ok();
    ann.await_value(&room, "like", 2).await;
    ben.await_value(&room, "like", 2).await;
}

#[tokio::test]
async fn who_joins_again_gets_a_snapshot_and_then_only_what_is_newer() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for n in 1..=30 {
        let written = ann.send(increase(&room, "like", 1)).await;
        let joined = ann.send(json!({"cmd": "joinGroup", "groupID": room})).await;
        ann.answer(written).await.ok();
        let data = ann.answer(joined).await.ok();
        assert_eq!((&data["status"], &data["counters"]), (&json!("AlreadyInGroup"), &json!({"like": n})));
        // The client watches the versions; whether the push came before the snapshot is a matter of luck.
        ann.pushed();
    }
    ann.increase(&room, "like", 1).await.ok();
    ann.await_value(&room, "like", 31).await;
}

#[tokio::test]
async fn a_hot_room_leaves_a_calm_one_its_pushes() {
    // As many as the hot room would take in a blink: whatever is left for the calm one is left by fairness.
    let server = Setup::new().unthrottled().set("push.max_frames_per_second", 200).start().await;
    let (mut ann, mut ben, mut eve) = (server.user("ann").await, server.user("ben").await, server.user("eve").await);
    let (hot, calm) = (eve.create("ChatRoom").await, ann.create("ChatRoom").await);
    ben.join(&calm).await.ok();
    let mut crowd = Vec::new();
    for n in 0..60 {
        let mut member = server.user(&format!("user {n}")).await;
        member.join(&hot).await.ok();
        crowd.push(member);
    }
    let storm = async {
        loop {
            eve.increase(&hot, "like", 1).await.ok();
            eve.pushed();
        }
    };
    let calm_life = async {
        for n in 1..=10 {
            ann.increase(&calm, "like", 1).await.ok();
            ann.expect_push(&calm, "like", n).await;
            ben.expect_push(&calm, "like", n).await;
        }
    };
    tokio::select! { () = storm => {}, () = calm_life => {} }
    for mut member in crowd {
        member.expect_event("GROUP_COUNTER_UPDATED").await;
    }
}
