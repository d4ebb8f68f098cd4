//! Members of groups and accounts over REST.

use serde_json::{Value, json};

use crate::rest_client::Backend;
use crate::server::Server;

const ADD: &str = "add_group_member";
const REMOVE: &str = "delete_group_member";
const MEMBERS: &str = "get_group_member_info";
const ROLES: &str = "get_role_in_group";
const JOINED: &str = "get_joined_group_list";

fn people(group: &str, names: &[&str]) -> Value {
    let list: Vec<Value> = names.iter().map(|name| json!({"Member_Account": name})).collect();
    json!({"GroupId": group, "MemberList": list, "Silence": 1})
}

fn results(answer: &Value) -> Vec<(&str, u64)> {
    let entry = |entry: &'_ Value| entry["Result"].as_u64().expect("a number");
    let list = answer["MemberList"].as_array().expect("a list");
    list.iter().map(|e| (e["Member_Account"].as_str().expect("a name"), entry(e))).collect()
}

#[tokio::test]
async fn who_is_added_or_removed_is_told_and_hears_the_room_or_no_more_at_once() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    for kind in ["Private", "Public", "ChatRoom"] {
        backend.create(kind, kind).await;
        let (mut anna, mut phone) = (server.user("anna").await, server.user("anna").await);
        let answer = backend.call(ADD, people(kind, &["anna", "bert", "anna"])).await.ok();
        assert_eq!(results(&answer), [("anna", 1), ("bert", 1), ("anna", 2)]);
        for device in [&mut anna, &mut phone] {
            assert_eq!(device.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": kind, "status": "added"}));
        }
        backend.update(kind, "Set", &[("like", 1)]).await.ok();
        anna.expect_push(kind, "like", 1).await;
        phone.expect_push(kind, "like", 1).await;
        assert_eq!(results(&backend.call(ADD, people(kind, &["anna", "carl"])).await.ok()), [("anna", 2), ("carl", 1)]);

        let remove = |names: Value| json!({"GroupId": kind, "MemberToDel_Account": names, "Silence": 1, "Reason": "none"});
        let answer = backend.call(REMOVE, remove(json!(["anna", "nobody"]))).await.ok();
        assert_eq!(answer.as_object().map(|fields| fields.len()), Some(3), "who was no member counts as removed: {answer}");
        for device in [&mut anna, &mut phone] {
            assert_eq!(device.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": kind, "status": "removed"}));
        }
        backend.update(kind, "Set", &[("like", 2)]).await.ok();
        anna.no_push_until_ping().await;
        anna.get(kind).await.refused(10007);
        backend.call(REMOVE, remove(json!(["anna"]))).await.ok();
        backend.call(REMOVE, remove(json!([]))).await.refused(10004);
        backend.call(REMOVE, remove(json!(vec!["x"; 101]))).await.refused(10004);
        backend.call(REMOVE, remove(json!("bert"))).await.names("MemberToDel_Account");
        backend.call(ADD, people(kind, &[])).await.refused(10004);
        backend.call(ADD, people(kind, &vec!["x"; 301])).await.refused(10005);
        backend.call(ADD, people(kind, &["u".repeat(33).as_str()])).await.names("Member_Account");
        backend.call(ADD, json!({"GroupId": kind, "MemberList": [{"Member_Account": 7}]})).await.names("Member_Account");
        backend.call(ADD, json!({"GroupId": kind})).await.names("MemberList");
        anna.leave().await;
        phone.leave().await;
    }
    backend.create("AVChatRoom", "live").await;
    backend.call(ADD, people("live", &["anna"])).await.refused(10007);
    backend.call(REMOVE, json!({"GroupId": "live", "MemberToDel_Account": ["anna"]})).await.refused(10004);
    backend.call(ADD, people("nowhere", &["anna"])).await.refused(10010);
    backend.call(REMOVE, json!({"GroupId": "nowhere", "MemberToDel_Account": ["anna"]})).await.refused(10010);
}

/// A room with an owner, two admins and two members.
async fn staffed(backend: &mut Backend) {
    let list = json!([
        {"Member_Account": "a1", "Role": "Admin"}, {"Member_Account": "a2", "Role": "Admin"},
        {"Member_Account": "m1"}, {"Member_Account": "m2"},
    ]);
    let body = json!({"Type": "Public", "Name": "a room", "GroupId": "room", "Owner_Account": "boss", "MemberList": list});
    backend.call("create_group", body).await.ok();
}

fn names(answer: &Value) -> Vec<&str> {
    let list = answer["MemberList"].as_array().expect("a list");
    list.iter().map(|member| member["Member_Account"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn members_by_role_and_in_pages() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    staffed(&mut backend).await;
    let mut ask = async |more: Value| {
        let mut body = more;
        body["GroupId"] = json!("room");
        backend.call(MEMBERS, body).await.ok()
    };
    let all = ask(json!({})).await;
    assert_eq!((names(&all), &all["MemberNum"]), (vec!["a1", "a2", "boss", "m1", "m2"], &json!(5)));
    assert_eq!(names(&ask(json!({"MemberRoleFilter": ["Owner"]})).await), ["boss"]);
    assert_eq!(names(&ask(json!({"MemberRoleFilter": ["Admin", "Member"]})).await), ["a1", "a2", "m1", "m2"]);
    assert_eq!(names(&ask(json!({"MemberRoleFilter": []})).await).len(), 5);
    assert_eq!(names(&ask(json!({"Limit": 2})).await), ["a1", "a2"]);
    assert_eq!(names(&ask(json!({"Limit": 2, "Offset": 4})).await), ["m2"]);
    assert_eq!(names(&ask(json!({"Offset": 9})).await).len(), 0);
    assert_eq!(names(&ask(json!({"Limit": 1, "Offset": 1, "MemberRoleFilter": ["Admin"]})).await), ["a2"]);
    let some = ask(json!({"MemberInfoFilter": ["Role"], "Limit": 1})).await;
    assert_eq!(some["MemberList"], json!([{"Member_Account": "a1", "Role": "Admin"}]));
    backend.call(MEMBERS, json!({"GroupId": "room", "Limit": -1})).await.names("Limit");
    backend.create("AVChatRoom", "live").await;
    backend.call(MEMBERS, json!({"GroupId": "live"})).await.refused(10007);
    backend.call(MEMBERS, json!({"GroupId": "nowhere"})).await.refused(10010);
}

#[tokio::test]
async fn roles() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    staffed(&mut backend).await;
    let answer = backend.call(ROLES, json!({"GroupId": "room", "User_Account": ["m1", "nobody", "boss", "a2"]})).await.ok();
    let expected = json!([
        {"Member_Account": "m1", "Role": "Member"}, {"Member_Account": "nobody", "Role": "NotMember"},
        {"Member_Account": "boss", "Role": "Owner"}, {"Member_Account": "a2", "Role": "Admin"},
    ]);
    assert_eq!(answer["UserIdList"], expected);
    backend.call(ROLES, json!({"GroupId": "room"})).await.names("User_Account");
    backend.call(ROLES, json!({"GroupId": "room", "User_Account": vec!["x"; 501]})).await.refused(10005);
    backend.call(ROLES, json!({"GroupId": "nowhere", "User_Account": ["x"]})).await.refused(10010);
    backend.create("AVChatRoom", "live").await;
    backend.call(ROLES, json!({"GroupId": "live", "User_Account": ["x"]})).await.refused(10007);
}

#[tokio::test]
async fn groups_of_a_user() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    for (kind, group) in [("Public", "a"), ("Private", "b"), ("ChatRoom", "c"), ("Public", "d")] {
        backend.create(kind, group).await;
        backend.call(ADD, people(group, &["anna"])).await.ok();
    }
    backend.create("AVChatRoom", "live").await;
    let mut anna = server.user("anna").await;
    anna.join("live").await.ok();
    let mut ask = async |more: Value| {
        let mut body = more;
        body["Member_Account"] = json!("anna");
        backend.call(JOINED, body).await.ok()
    };
    let ids = |answer: &Value| -> Vec<String> {
        let list = answer["GroupIdList"].as_array().expect("a list");
        list.iter().map(|entry| entry["GroupId"].as_str().expect("an id").to_owned()).collect()
    };
    let all = ask(json!({})).await;
    assert_eq!((ids(&all), &all["TotalCount"]), (["a", "b", "c", "d"].map(str::to_owned).to_vec(), &json!(4)));
    assert_eq!(all["GroupIdList"][0], json!({"GroupId": "a"}));
    let page = ask(json!({"Limit": 2, "Offset": 1})).await;
    assert_eq!((ids(&page), &page["TotalCount"]), (["b", "c"].map(str::to_owned).to_vec(), &json!(4)));
    let public = ask(json!({"GroupType": "Public"})).await;
    assert_eq!((ids(&public), &public["TotalCount"]), (["a", "d"].map(str::to_owned).to_vec(), &json!(2)));
    assert_eq!(ids(&ask(json!({"GroupType": "Work", "WithHugeGroups": 1, "WithNoActiveGroups": 1})).await), ["b"]);
    let filter = json!({"GroupBaseInfoFilter": ["Type", "MemberNum"], "SelfInfoFilter": ["Role", "UnreadMsgNum"]});
    let shown = ask(json!({"Limit": 1, "ResponseFilter": filter})).await;
    let expected = json!({"GroupId": "a", "Type": "Public", "MemberNum": 1, "SelfInfo": {"Role": "Member", "UnreadMsgNum": 0}});
    assert_eq!(shown["GroupIdList"], json!([expected]));
    assert_eq!(ask(json!({"GroupType": ""})).await["TotalCount"], 4);
    backend.call(JOINED, json!({"Member_Account": "anna", "GroupType": "Party"})).await.refused(10004);
    backend.call(JOINED, json!({})).await.names("Member_Account");
    let nobody = backend.call(JOINED, json!({"Member_Account": "nobody"})).await.ok();
    assert_eq!((&nobody["TotalCount"], &nobody["GroupIdList"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn accounts_are_known_from_the_first_sight_of_them() {
    let mut server = Server::start().await;
    let mut backend = server.backend().await;
    let check = async |backend: &mut Backend, users: &[&str]| -> Vec<String> {
        let items: Vec<Value> = users.iter().map(|user| json!({"UserID": user})).collect();
        let answer = backend.call("account_check", json!({"CheckItem": items})).await.ok();
        let list = answer["ResultItem"].as_array().expect("a list");
        assert!(list.iter().zip(users).all(|(item, user)| item["UserID"] == *user && item["ResultCode"] == 0), "{answer}");
        list.iter().map(|item| item["AccountStatus"].as_str().expect("a status").to_owned()).collect()
    };
    assert_eq!(check(&mut backend, &["imported", "logged in", "added", "nobody"]).await, ["NotImported"; 4]);
    for _ in 0..2 {
        backend.call("account_import", json!({"UserID": "imported", "Nick": "I", "FaceUrl": "http://example.com/i.png"})).await.ok();
    }
    server.user("logged in").await.leave().await;
    backend.create("Public", "room").await;
    backend.call(ADD, people("room", &["added"])).await.ok();
    backend.call("account_import", json!({"Identifier": "old style"})).await.ok();
    let seen = ["imported", "logged in", "added", "nobody", "old style"];
    let expected = ["Imported", "Imported", "Imported", "NotImported", "Imported"];
    assert_eq!(check(&mut backend, &seen).await, expected);
    server.restart("TERM").await;
    let mut backend = server.backend().await;
    assert_eq!(check(&mut backend, &seen).await, expected, "also after a restart");
    for body in [json!({}), json!({"UserID": ""}), json!({"UserID": 7}), json!({"UserID": "u".repeat(33)})] {
        backend.call("account_import", body.clone()).await.refused(70402);
        backend.call("kick", body.clone()).await.refused(70402);
        backend.call("account_check", json!({"CheckItem": [body]})).await.refused(70402);
    }
    backend.call("account_check", json!({"CheckItem": []})).await.refused(70402);
    backend.call("account_check", json!({})).await.refused(70402);
    backend.call("account_check", json!({"CheckItem": vec![json!({"UserID": "x"}); 101]})).await.refused(70402);
}

#[tokio::test]
async fn a_kicked_user_is_told_and_every_connection_of_his_is_closed() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    let (mut one, mut two, mut other) = (server.user("anna").await, server.user("anna").await, server.user("bert").await);
    backend.call("kick", json!({"UserID": "anna"})).await.ok();
    for device in [&mut one, &mut two] {
        assert_eq!(device.expect_event("KICKED_OUT").await, json!({"type": "REST_API_Kick"}));
        device.expect_close(4504).await;
    }
    other.no_push_until_ping().await;
    backend.call("kick", json!({"UserID": "anna"})).await.ok();
    backend.call("kick", json!({"UserID": "nobody"})).await.refused(70107);
    // His UserSig stays good: he may come back when somebody tells him to.
    server.user("anna").await;
}
