//! The life of a group: made, found, joined, left and dismissed.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{ADMIN, Server, Setup};
use crate::usersig::unix_now;

#[tokio::test]
async fn each_type_can_be_created_under_its_name_and_its_alias() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let kinds = [
        ("Private", "Private", 1),
        ("Work", "Private", 1),
        ("Public", "Public", 1),
        ("ChatRoom", "ChatRoom", 1),
        ("Meeting", "ChatRoom", 1),
        ("AVChatRoom", "AVChatRoom", 0),
    ];
    for (asked, kind, members) in kinds {
        let data = ann.ask(json!({"cmd": "createGroup", "type": asked, "name": "Ein Raum ✓"})).await.ok();
        let group = &data["group"];
        assert!(group["groupID"].as_str().is_some_and(|id| id.starts_with("@TGS#") && id.len() <= 48), "{group}");
        assert_eq!(group["type"], kind);
        assert_eq!(group["name"], "Ein Raum ✓");
        assert_eq!(group["ownerID"], "ann");
        assert_eq!(group["memberCount"], members, "{asked}");
        assert!(group["joinOption"].is_string(), "{group}");
        let made = group["createTime"].as_u64().expect("Unix seconds");
        assert!(unix_now().abs_diff(made) <= 60, "{group}");
        assert_eq!(group.as_object().map(|fields| fields.len()), Some(7), "{group}");
    }
}

#[tokio::test]
async fn what_a_new_group_needs() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut create = async |fields: Value| {
        let mut request = json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a"});
        request.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        ann.ask(request).await
    };
    create(json!({"type": "Community"})).await.refused(10007);
    create(json!({"type": "Palace"})).await.names("type");
    create(json!({"type": null})).await.names("type");
    create(json!({"name": ""})).await.names("name");
    create(json!({"name": "x".repeat(101)})).await.names("name");
    create(json!({"name": "赞".repeat(34)})).await.names("name");
    create(json!({"name": 5})).await.names("name");
    create(json!({"type": "Public", "joinOption": "Perhaps"})).await.names("joinOption");
    for group in ["@TGS#mine", "é", "a\nb", &"x".repeat(49)] {
        create(json!({"groupID": group})).await.refused(10015);
    }
    create(json!({"name": "x".repeat(100)})).await.ok();
    for group in ["a", " ~ ", "@TGS", &"x".repeat(48)] {
        assert_eq!(create(json!({"groupID": group})).await.ok()["group"]["groupID"], group);
    }
}

#[tokio::test]
async fn an_id_that_is_taken() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    ann.create_as("Public", "room").await.ok();
    ann.create_as("ChatRoom", "room").await.refused(10025);
    ben.create_as("Public", "room").await.refused(10021);
    assert_eq!(ann.member_count("room").await, 1, "the first group is as it was");
}

#[tokio::test]
async fn one_user_owns_100_groups_and_no_more() {
    let server = Setup::new().limit("frames_per_second_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let first = ann.create("ChatRoom").await;
    for n in 1..100 {
        ann.create(["Private", "Public", "ChatRoom", "AVChatRoom"][n % 4]).await;
    }
    ann.create_as("ChatRoom", "one more").await.refused(10036);
    ann.join("one more").await.refused(10010);
    server.user("ben").await.create_as("ChatRoom", "his").await.ok();

    ann.dismiss(&first).await.ok();
    ann.create_as("ChatRoom", "one more").await.ok();
    ann.create_as("ChatRoom", "and another").await.refused(10036);
}

#[tokio::test]
async fn who_may_join_what() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let open = json!({"cmd": "createGroup", "type": "Public", "name": "open", "joinOption": "FreeAccess"});
    let open = ann.ask(open).await.ok()["group"].clone();
    assert_eq!(open["joinOption"], "FreeAccess");
    let asking = ann.ask(json!({"cmd": "createGroup", "type": "Public", "name": "asking"})).await.ok()["group"].clone();
    assert_eq!(asking["joinOption"], "NeedPermission");
    let private = ann.create("Private").await;

    ben.join(asking["groupID"].as_str().expect("an id")).await.refused(10007);
    ben.join(&private).await.refused(10007);
    for room in [open["groupID"].as_str().expect("an id").to_owned(), ann.create("ChatRoom").await] {
        ann.increase(&room, "like", 3).await.ok();
        let data = ben.join(&room).await.ok();
        assert_eq!(data["status"], "JoinedSuccess");
        assert_eq!(data["group"]["memberCount"], 2);
        assert_eq!(data["group"]["groupID"], room);
        assert_eq!(data["counters"], json!({"like": 3}));
        assert_eq!(data["version"], 1);
        assert_eq!(data["epoch"], ben.get(&room).await.ok()["epoch"]);
        ben.increase(&room, "like", 1).await.ok();
        ben.expect_push(&room, "like", 4).await;

        let again = ben.join(&room).await.ok();
        assert_eq!((&again["status"], &again["version"]), (&json!("AlreadyInGroup"), &json!(2)));
        assert_eq!(again["counters"], json!({"like": 4}));
        assert_eq!(ann.join(&room).await.ok()["status"], "AlreadyInGroup", "the owner is in from the start");
    }
    let data = ann.join(&private).await.ok();
    assert_eq!((&data["status"], &data["counters"]), (&json!("AlreadyInGroup"), &json!({})));
}

#[tokio::test]
async fn leaving() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.quit(&room).await.refused(10007);
    ben.join(&room).await.ok();
    assert_eq!(ben.quit(&room).await.ok(), json!({"groupID": room}));
    ben.quit(&room).await.refused(10007);
    ben.get(&room).await.refused(10007);
    assert_eq!(ann.member_count(&room).await, 1);

    ann.increase(&room, "like", 1).await.ok();
    ann.expect_push(&room, "like", 1).await;
    ben.join(&room).await.ok();
    ann.increase(&room, "like", 1).await.ok();
    ben.expect_push(&room, "like", 2).await;

    ann.quit(&room).await.refused(10009);
    let public = ann.create("Public").await;
    ann.quit(&public).await.refused(10009);
    let private = ann.create("Private").await;
    ann.quit(&private).await.ok();
    ann.get(&private).await.refused(10007);
}

#[tokio::test]
async fn only_the_owner_and_admins_dismiss() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let mut admin = server.user(ADMIN).await;

    for kind in ["Private", "Public", "ChatRoom", "AVChatRoom"] {
        let (hers, his) = (ann.create(kind).await, ann.create(kind).await);
        ben.dismiss(&hers).await.refused(10007);
        assert_eq!(ann.dismiss(&hers).await.ok(), json!({"groupID": hers}));
        admin.dismiss(&his).await.ok();
        ann.get(&hers).await.refused(10010);
        ann.get(&his).await.refused(10010);
    }
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    ben.dismiss(&room).await.refused(10007);
}

#[tokio::test]
async fn members_hear_of_the_end_and_the_id_is_free_again() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    ann.create_as("ChatRoom", "room").await.ok();
    ben.join("room").await.ok();
    ann.increase("room", "like", 9).await.ok();
    ben.expect_push("room", "like", 9).await;
    let old = ann.get("room").await.ok()["epoch"].clone();

    ann.dismiss("room").await.ok();
    assert_eq!(ben.expect_event("GROUP_DISMISSED").await, json!({"groupID": "room"}));
    ben.get("room").await.refused(10010);
    ben.create_as("Public", "room").await.ok();
    let new = ben.get("room").await.ok();
    assert_eq!((&new["version"], &new["counters"]), (&json!(0), &json!({})));
    assert_ne!(new["epoch"], old, "the new group is not the old one");
    ann.get("room").await.refused(10007);

    ann.pushed();
    assert_eq!(ben.increase("room", "like", 1).await.ok()["version"], 1);
    ben.expect_push("room", "like", 1).await;
    ann.no_push_until_ping().await;
}

#[tokio::test]
async fn groups_and_members_outlive_the_program() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    let gone = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    ann.set(&room, json!({"like": 5, "gift": 1})).await.ok();
    ann.dismiss(&gone).await.ok();
    let before = known(&mut ann, &room).await;

    for signal in ["TERM", "KILL"] {
        server.restart(signal).await;
        let mut ann = server.user("ann").await;
        let mut ben = server.user("ben").await;
        assert_eq!(known(&mut ann, &room).await, before, "after {signal}");
        ann.join(&gone).await.refused(10010);
        ann.increase(&room, "like", 0).await.ok();
        ann.expect_push(&room, "like", 5).await;
        ben.expect_push(&room, "like", 5).await;
        ann.set(&room, json!({"like": 5})).await.ok();
    }
}

/// What a member knows of a group, but for its version.
async fn known(client: &mut Client, room: &str) -> Value {
    let data = client.join(room).await.ok();
    json!([data["status"], data["group"], data["counters"], data["epoch"]])
}
