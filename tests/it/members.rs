//! Members: who adds and removes whom, what they hear of it, and how they are counted.

use serde_json::{Value, json};

use crate::server::{ADMIN, Server, Setup};

#[tokio::test]
async fn adding_answers_who_is_new_and_who_was_in() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    for kind in ["Private", "Public", "ChatRoom"] {
        let room = ann.create(kind).await;
        let data = ann.add(&room, &["ben", "cleo"]).await.ok();
        let fresh = json!({"groupID": room, "successUserIDList": ["ben", "cleo"], "existedUserIDList": [], "failureUserIDList": []});
        assert_eq!(data, fresh, "{kind}");
        let data = ann.add(&room, &["ann", "ben", "dora"]).await.ok();
        assert_eq!(data["successUserIDList"], json!(["dora"]), "{kind}");
        assert_eq!(data["existedUserIDList"], json!(["ann", "ben"]), "{kind}");
        assert_eq!(ann.member_count(&room).await, 4, "{kind}");
    }
}

#[tokio::test]
async fn who_may_add_and_who_may_remove() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut stranger = server.user("carl").await;
    let mut admin = server.user(ADMIN).await;

    for (kind, member_may_add) in [("Private", true), ("Public", false), ("ChatRoom", false)] {
        let room = ann.create(kind).await;
        ann.add(&room, &["ben"]).await.ok();
        stranger.add(&room, &["dora"]).await.refused(10007);
        let by_member = ben.add(&room, &["dora"]).await;
        if member_may_add {
            by_member.ok();
        } else {
            by_member.refused(10007);
        }
        admin.add(&room, &["emil"]).await.ok();

        stranger.remove(&room, &["emil"]).await.refused(10007);
        ben.remove(&room, &["emil"]).await.refused(10007);
        assert_eq!(ann.remove(&room, &["emil"]).await.ok()["successUserIDList"], json!(["emil"]));
        admin.remove(&room, &["ben"]).await.ok();
        ben.pushed();
        ben.get(&room).await.refused(10007);
        assert_eq!(ann.member_count(&room).await, if member_may_add { 2 } else { 1 }, "{kind}");
    }
}

#[tokio::test]
async fn lists_of_users_have_limits() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let users: Vec<String> = (0..101).map(|n| format!("u{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();

    for list in [json!("ben"), json!([5]), Value::Null] {
        ann.ask(json!({"cmd": "addGroupMember", "groupID": room, "userIDList": list})).await.names("userIDList");
        ann.ask(json!({"cmd": "deleteGroupMember", "groupID": room, "userIDList": list})).await.names("userIDList");
    }
    ann.add(&room, &users).await.names("userIDList");
    ann.remove(&room, &users).await.names("userIDList");
    assert_eq!(ann.member_count(&room).await, 1);
    assert_eq!(ann.add(&room, &users[..100]).await.ok()["successUserIDList"], json!(users[..100]));
    assert_eq!(ann.member_count(&room).await, 101);
}

#[tokio::test]
async fn who_is_added_is_told_and_subscribed_on_all_his_connections() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut twin = server.user("ben").await;
    let room = ann.create("Private").await;
    ann.increase(&room, "like", 1).await.ok();
    ann.add(&room, &["ben"]).await.ok();
    for ben in [&mut ben, &mut twin] {
        let told = ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await;
        assert_eq!(told, json!({"groupID": room, "status": "added"}));
    }
    ann.increase(&room, "like", 1).await.ok();
    for ben in [&mut ben, &mut twin] {
        ben.expect_push(&room, "like", 2).await;
    }
    assert_eq!(ben.counters(&room).await, json!({"like": 2}));

    ann.remove(&room, &["ben"]).await.ok();
    for ben in [&mut ben, &mut twin] {
        let told = ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await;
        assert_eq!(told, json!({"groupID": room, "status": "removed"}));
        ben.get(&room).await.refused(10007);
    }
    ann.increase(&room, "like", 1).await.ok();
    for value in [1, 2, 3] {
        ann.expect_push(&room, "like", value).await;
    }
    // Whoever is added again sees what comes after, and nothing of what he missed is pushed late.
    ann.add(&room, &["ben"]).await.ok();
    ann.increase(&room, "like", 1).await.ok();
    for ben in [&mut ben, &mut twin] {
        assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await["status"], "added");
        ben.expect_push(&room, "like", 4).await;
    }
}

#[tokio::test]
async fn who_joins_or_leaves_by_himself_is_not_told_so() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    ann.increase(&room, "like", 1).await.ok();
    ben.expect_push(&room, "like", 1).await;
    ben.quit(&room).await.ok();
    ben.no_push_until_ping().await;
    ann.expect_push(&room, "like", 1).await;
    ann.no_push_until_ping().await;
}

#[tokio::test]
async fn a_login_subscribes_to_all_groups_of_the_user() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let rooms = [ann.create("Private").await, ann.create("Public").await, ann.create("ChatRoom").await];
    for room in &rooms {
        ann.add(room, &["ben", "cleo"]).await.ok();
        assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await["status"], "added");
    }
    // Cleo was added while she was away: she hears no old news, but every push from her login on.
    let mut cleo = server.user("cleo").await;
    ben.leave().await;
    let mut ben = server.user("ben").await;
    for room in &rooms {
        ann.increase(room, "like", 1).await.ok();
        for member in [&mut ann, &mut ben, &mut cleo] {
            member.expect_push(room, "like", 1).await;
        }
    }
}

#[tokio::test]
async fn a_join_subscribes_all_open_connections_of_the_user() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut twin = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    assert_eq!(twin.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": room, "status": "added"}));
    assert_eq!(twin.join(&room).await.ok()["status"], "AlreadyInGroup");
    let other = ann.create("ChatRoom").await;
    ben.join(&other).await.ok();
    assert_eq!(twin.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": other, "status": "added"}));
    ann.increase(&other, "like", 1).await.ok();
    for member in [&mut ann, &mut ben, &mut twin] {
        member.expect_push(&other, "like", 1).await;
    }
    twin.quit(&other).await.ok();
    assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": other, "status": "removed"}));
    ben.get(&other).await.refused(10007);
    ann.increase(&other, "like", 1).await.ok();
    ann.expect_push(&other, "like", 2).await;
    ann.increase(&room, "like", 1).await.ok();
    for member in [&mut ann, &mut ben, &mut twin] {
        member.expect_push(&room, "like", 1).await;
    }
}

#[tokio::test]
async fn a_logout_ends_the_pushes_but_not_the_membership() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    assert_eq!(ben.ask(json!({"cmd": "logout"})).await.ok(), json!({}));
    ben.get(&room).await.refused(6014);
    ann.increase(&room, "like", 1).await.ok();
    ann.expect_push(&room, "like", 1).await;
    ben.no_push_until_ping().await;
    assert_eq!(ann.online(&room).await, 1);
    assert_eq!(ann.member_count(&room).await, 2);

    ben.login("ben").await.ok();
    ann.increase(&room, "like", 1).await.ok();
    ben.expect_push(&room, "like", 2).await;
    // The same connection may belong to another user afterwards, who is no member.
    ben.ask(json!({"cmd": "logout"})).await.ok();
    ben.login("carl").await.ok();
    ben.get(&room).await.refused(10007);
}

#[tokio::test]
async fn counts_are_of_users_not_of_connections() {
    let server = Setup::new().limit("frames_per_second_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.add(&room, &["ben", "cleo"]).await.ok();
    assert_eq!((ann.member_count(&room).await, ann.online(&room).await), (3, 1));
    let ben = server.user("ben").await;
    let twin = server.user("ben").await;
    assert_eq!((ann.member_count(&room).await, ann.online(&room).await), (3, 2));
    ben.leave().await;
    assert_eq!(ann.online(&room).await, 2, "one of his connections is still there");
    twin.leave().await;
    while ann.online(&room).await > 1 {}
    assert_eq!(ann.member_count(&room).await, 3);
    let mut carl = server.user("carl").await;
    carl.ask(json!({"cmd": "getGroupOnlineMemberCount", "groupID": room})).await.refused(10007);
}
