//! The order in which a command is checked: what is wrong first is what the answer says.

use serde_json::json;

use crate::commands::{increase, under};
use crate::server::{ADMIN, Server, Setup};

#[tokio::test]
async fn an_unknown_command_is_seen_before_the_missing_login() {
    let server = Server::start().await;
    let mut nobody = server.connect().await;
    nobody.ask(json!({"cmd": "fly"})).await.refused(10003);
    nobody.ask(json!({"cmd": "increaseGroupCounter", "groupID": 5})).await.refused(6014);
    nobody.ask(increase("no such room", "like", 1)).await.refused(6014);
}

#[tokio::test]
async fn fields_come_before_the_group() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.ask(json!({"cmd": "increaseGroupCounter", "groupID": "no such room", "key": "k"})).await.names("value");
    ann.increase("no such room", "", 1).await.names("key");
    ann.ask(under("", increase("no such room", "k", 1))).await.names("opID");
    for group in ["", "é", "a\nb", &"x".repeat(49)] {
        ann.increase(group, "k", 1).await.refused(10015);
        ann.get(group).await.refused(10015);
    }
    ann.increase(&"x".repeat(48), "k", 1).await.refused(10010);
}

#[tokio::test]
async fn every_command_on_a_group_knows_when_there_is_none() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let gone = ann.create("ChatRoom").await;
    ann.dismiss(&gone).await.ok();

    for group in ["no such room", gone.as_str()] {
        ann.join(group).await.refused(10010);
        ann.quit(group).await.refused(10010);
        ann.dismiss(group).await.refused(10010);
        ann.add(group, &["ben"]).await.refused(10010);
        ann.remove(group, &["ben"]).await.refused(10010);
        ann.set(group, json!({"a": 1})).await.refused(10010);
        ann.increase(group, "a", 1).await.refused(10010);
        ann.decrease(group, "a", 1).await.refused(10010);
        ann.get(group).await.refused(10010);
        ann.ask(json!({"cmd": "getGroupOnlineMemberCount", "groupID": group})).await.refused(10010);
    }
}

#[tokio::test]
async fn membership_comes_before_a_known_operation_and_before_the_throttle() {
    let server = Setup::new().limit("counter_window", "60s").start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    for n in 0..20 {
        ben.ask(under(&format!("op-{n}"), increase(&room, "like", 1))).await.ok();
    }
    ben.increase(&room, "like", 1).await.refused(2996);
    ben.quit(&room).await.ok();
    ben.increase(&room, "like", 1).await.refused(10007);
    ben.ask(under("op-3", increase(&room, "like", 1))).await.refused(10007);

    ben.join(&room).await.ok();
    assert_eq!(ben.ask(under("op-3", increase(&room, "like", 1))).await.ok()["replayed"], true);
}

#[tokio::test]
async fn writes_and_reads_need_membership_admins_apart() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut stranger = server.user("ben").await;
    let mut admin = server.user(ADMIN).await;

    for kind in ["Private", "Public", "ChatRoom", "AVChatRoom"] {
        let room = ann.create(kind).await;
        stranger.set(&room, json!({"a": 1})).await.refused(10007);
        stranger.increase(&room, "a", 1).await.refused(10007);
        stranger.decrease(&room, "a", 1).await.refused(10007);
        stranger.get(&room).await.refused(10007);
        assert_eq!(admin.increase(&room, "a", 1).await.ok()["version"], 1, "{kind}");
        assert_eq!(admin.counters(&room).await, json!({"a": 1}), "{kind}");
        stranger.no_push_until_ping().await;
    }
}
