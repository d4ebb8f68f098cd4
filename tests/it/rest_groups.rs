//! The life of a group over REST: created with all that can be said of it, shown again, listed, dissolved.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rest_client::Backend;
use crate::server::{Server, Setup};
use crate::usersig::unix_now;

const CREATE: &str = "create_group";
const INFO: &str = "get_group_info";
const LIST: &str = "get_appid_group_list";

fn full() -> Value {
    json!({
        "Owner_Account": "leader", "Type": "Public", "GroupId": "fans", "Name": "Fans of the band",
        "Introduction": "who we are", "Notification": "be kind", "FaceUrl": "http://example.com/face.png",
        "MaxMemberCount": 50, "ApplyJoinOption": "FreeAccess",
        "AppDefinedData": [{"Key": "theme", "Value": "dark"}, {"Key": "note", "Value": ""}],
        "MemberList": [
            {"Member_Account": "anna", "Role": "Admin", "AppMemberDefinedData": [{"Key": "seat", "Value": "A1"}]},
            {"Member_Account": "bert"},
        ],
    })
}

async fn info(backend: &mut Backend, body: Value) -> Value {
    let answer = backend.call(INFO, body).await.ok();
    assert_eq!(answer["GroupInfo"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["GroupInfo"][0].clone()
}

fn member(name: &str, role: &str, since: &Value, data: Value) -> Value {
    json!({
        "Member_Account": name, "Role": role, "JoinTime": since, "MsgSeq": 0, "MsgFlag": "AcceptAndNotify",
        "LastSendMsgTime": 0, "ShutUpUntil": 0, "NameCard": "", "AppMemberDefinedData": data,
    })
}

#[tokio::test]
async fn a_group_is_shown_as_it_was_created_also_after_a_restart() {
    let mut server = Server::start().await;
    let begun = unix_now();
    assert_eq!(server.backend().await.call(CREATE, full()).await.ok()["GroupId"], "fans");
    for _ in 0..2 {
        let shown = info(&mut server.backend().await, json!({"GroupIdList": ["fans"]})).await;
        let since = &shown["CreateTime"];
        assert!((begun..=unix_now()).contains(&since.as_u64().expect("Unix seconds")), "{shown}");
        let expected = json!({
            "ErrorCode": 0, "ErrorInfo": "", "GroupId": "fans", "Type": "Public", "Name": "Fans of the band",
            "Introduction": "who we are", "Notification": "be kind", "FaceUrl": "http://example.com/face.png",
            "Owner_Account": "leader", "CreateTime": since, "InfoSeq": 0, "LastInfoTime": since, "LastMsgTime": 0, "NextMsgSeq": 0,
            "MemberNum": 3, "MaxMemberNum": 50, "ApplyJoinOption": "FreeAccess", "ShutUpAllMember": "Off",
            "AppDefinedData": [{"Key": "theme", "Value": "dark"}, {"Key": "note", "Value": ""}],
            "MemberList": [
                member("anna", "Admin", since, json!([{"Key": "seat", "Value": "A1"}])),
                member("bert", "Member", since, json!([])),
                member("leader", "Owner", since, json!([])),
            ],
        });
        assert_eq!(shown, expected);
        server.restart("KILL").await;
    }
    let mut anna = server.user("anna").await;
    anna.add("fans", &["carl"]).await.ok();
    assert_eq!(anna.set("fans", json!({"a": 1})).await.ok()["version"], 1);
    let mut stranger = server.user("stranger").await;
    assert_eq!(stranger.join("fans").await.ok()["status"], "JoinedSuccess");
}

#[tokio::test]
async fn a_new_groups_resting_values() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    for (asked, kind, option) in [
        ("Public", "Public", "NeedPermission"),
        ("Private", "Private", "DisableApply"),
        ("Work", "Private", "DisableApply"),
        ("ChatRoom", "ChatRoom", "FreeAccess"),
        ("Meeting", "ChatRoom", "FreeAccess"),
        ("AVChatRoom", "AVChatRoom", "FreeAccess"),
    ] {
        let made = backend.call(CREATE, json!({"Type": asked, "Name": "a room"})).await.ok();
        let id = made["GroupId"].as_str().expect("an id").to_owned();
        assert!(id.starts_with("@TGS#"), "{id}");
        let shown = info(&mut backend, json!({"GroupIdList": [id]})).await;
        assert_eq!((&shown["Type"], &shown["ApplyJoinOption"]), (&json!(kind), &json!(option)));
        assert_eq!((&shown["Owner_Account"], &shown["MemberNum"]), (&json!(""), &json!(0)));
        assert_eq!(shown.get("MemberList").is_some(), kind != "AVChatRoom");
    }
    // The owner of an AVChatRoom joins it like everybody.
    backend.call(CREATE, json!({"Type": "AVChatRoom", "Name": "live", "GroupId": "live", "Owner_Account": "leader"})).await.ok();
    let shown = info(&mut backend, json!({"GroupIdList": ["live"]})).await;
    assert_eq!((&shown["Owner_Account"], &shown["MemberNum"]), (&json!("leader"), &json!(0)));
    let mut leader = server.user("leader").await;
    assert_eq!(leader.join("live").await.ok()["status"], "JoinedSuccess");
    leader.dismiss("live").await.ok();
}

#[tokio::test]
async fn what_a_new_group_may_not_have() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    let pairs = |count: usize, length: usize| json!(vec![json!({"Key": "k", "Value": "v".repeat(length)}); count]);
    for (field, value, code) in [
        ("Type", Value::Null, 10004),
        ("Type", json!("Party"), 10004),
        ("Type", json!("Community"), 10007),
        ("Name", Value::Null, 10004),
        ("Name", json!(""), 10004),
        ("Name", json!("n".repeat(101)), 10004),
        ("GroupId", json!("@TGS#mine"), 10015),
        ("GroupId", json!("g".repeat(49)), 10015),
        ("GroupId", json!("zürich"), 10015),
        ("GroupId", json!(7), 10004),
        ("Owner_Account", json!("u".repeat(33)), 10004),
        ("Owner_Account", json!(" x"), 10004),
        ("Introduction", json!("i".repeat(401)), 10004),
        ("Notification", json!("n".repeat(401)), 10004),
        ("FaceUrl", json!("f".repeat(501)), 10004),
        ("MaxMemberCount", json!(-1), 10004),
        ("ApplyJoinOption", json!("Maybe"), 10004),
        ("AppDefinedData", pairs(11, 1), 10004),
        ("AppDefinedData", pairs(2, 2048), 10004),
        ("AppDefinedData", json!([{"Value": "x"}]), 10004),
        ("MemberList", json!([{"Role": "Admin"}]), 10004),
        ("MemberList", json!([{"Member_Account": "x", "Role": "Owner"}]), 10004),
        ("MemberList", json!(["x"]), 10004),
        ("MemberList", json!(vec![json!({"Member_Account": "x"}); 101]), 10005),
    ] {
        let mut body = full();
        body[field] = value;
        let answer = backend.call(CREATE, body).await;
        assert_eq!(answer.0["ErrorCode"], code, "{field}: {}", answer.0);
    }
    let with = |kind: &str, role: &str| json!({"Type": kind, "Name": "a", "MemberList": [{"Member_Account": "x", "Role": role}]});
    backend.call(CREATE, with("AVChatRoom", "")).await.refused(10007);
    backend.call(CREATE, with("Private", "Admin")).await.refused(10007);
    backend.call(CREATE, with("Private", "")).await.ok();
    backend.call(CREATE, json!({"Type": "Public", "Name": "a", "MaxMemberCount": 2, "Owner_Account": "o", "MemberList": [{"Member_Account": "x"}, {"Member_Account": "y"}]})).await.refused(10014);

    backend.call(CREATE, full()).await.ok();
    backend.call(CREATE, full()).await.refused(10025);
    let mut other = full();
    other["Owner_Account"] = json!("another");
    backend.call(CREATE, other).await.refused(10021);
}

#[tokio::test]
async fn a_dissolved_group_is_gone_and_its_members_are_told() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.call(CREATE, full()).await.ok();
    backend.update("fans", "Set", &[("like", 1)]).await.ok();
    let (mut anna, mut guest) = (server.user("anna").await, server.user("guest").await);
    guest.join("fans").await.ok();
    assert_eq!(backend.call("destroy_group", json!({"GroupId": "fans"})).await.ok().as_object().map(|answer| answer.len()), Some(3));
    for member in [&mut anna, &mut guest] {
        assert_eq!(member.expect_event("GROUP_DISMISSED").await, json!({"groupID": "fans"}));
    }
    backend.call("destroy_group", json!({"GroupId": "fans"})).await.refused(10010);
    backend.call("destroy_group", json!({})).await.names("GroupId");
    backend.call("destroy_group", json!({"GroupId": "g".repeat(49)})).await.refused(10015);
    backend.create("ChatRoom", "fans").await;
    assert_eq!(backend.counters("fans").await, json!({}), "the counters went with it");
    backend.create("AVChatRoom", "live").await;
    guest.join("live").await.ok();
    backend.call("destroy_group", json!({"GroupId": "live"})).await.ok();
    guest.expect_event("GROUP_DISMISSED").await;
}

#[tokio::test]
async fn information_on_several_groups_with_filters() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.call(CREATE, full()).await.ok();
    let long = "g".repeat(49);
    let answer = backend.call(INFO, json!({"GroupIdList": ["fans", "nowhere", long, ""]})).await.ok();
    let list = answer["GroupInfo"].as_array().expect("a list");
    let codes: Vec<_> = list.iter().map(|entry| (entry["GroupId"].as_str(), entry["ErrorCode"].as_u64())).collect();
    assert_eq!(
        codes,
        [(Some("fans"), Some(0)), (Some("nowhere"), Some(10010)), (Some(long.as_str()), Some(10015)), (Some(""), Some(10015))]
    );
    assert!(list[1..].iter().all(|entry| entry["ErrorInfo"].as_str().is_some_and(|words| !words.is_empty())), "{answer}");

    let filter = json!({"GroupBaseInfoFilter": ["Type", "MemberNum", "NoSuchField"]});
    let shown = info(&mut backend, json!({"GroupIdList": ["fans"], "ResponseFilter": filter})).await;
    assert_eq!(shown, json!({"GroupId": "fans", "ErrorCode": 0, "ErrorInfo": "", "Type": "Public", "MemberNum": 3}));
    let filter = json!({"GroupBaseInfoFilter": ["Name"], "MemberInfoFilter": ["Role"]});
    let shown = info(&mut backend, json!({"GroupIdList": ["fans"], "ResponseFilter": filter})).await;
    let members = json!([
        {"Member_Account": "anna", "Role": "Admin"}, {"Member_Account": "bert", "Role": "Member"},
        {"Member_Account": "leader", "Role": "Owner"},
    ]);
    assert_eq!(shown["MemberList"], members);

    backend.call(INFO, json!({})).await.names("GroupIdList");
    backend.call(INFO, json!({"GroupIdList": []})).await.names("GroupIdList");
    backend.call(INFO, json!({"GroupIdList": vec!["a"; 51]})).await.names("GroupIdList");
    backend.call(INFO, json!({"GroupIdList": vec!["a"; 50]})).await.ok();
    backend.call(INFO, json!({"GroupIdList": ["fans"], "ResponseFilter": {"MemberInfoFilter": "Role"}})).await.names("MemberInfoFilter");
}

#[tokio::test]
async fn the_online_number_of_an_avchatroom() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.create("AVChatRoom", "live").await;
    backend.create("Public", "other").await;
    let online = async |backend: &mut Backend| {
        backend.call("get_online_member_num", json!({"GroupId": "live"})).await.ok()["OnlineMemberNum"].clone()
    };
    assert_eq!(online(&mut backend).await, 0);
    let (mut one, mut two, mut again) = (server.user("one").await, server.user("two").await, server.user("one").await);
    for fan in [&mut one, &mut two, &mut again] {
        fan.join("live").await.ok();
    }
    assert_eq!(online(&mut backend).await, 2, "of users, not of connections");
    two.quit("live").await.ok();
    assert_eq!(online(&mut backend).await, 1);
    backend.call("get_online_member_num", json!({"GroupId": "other"})).await.refused(10007);
    backend.call("get_online_member_num", json!({"GroupId": "nowhere"})).await.refused(10010);
}

/// All pages of the list of all groups, and the total that each of them told.
async fn pages(backend: &mut Backend, limit: usize, kind: &str) -> (Vec<String>, BTreeSet<u64>) {
    let (mut found, mut totals, mut next) = (Vec::new(), BTreeSet::new(), 0);
    loop {
        let page = backend.call(LIST, json!({"Limit": limit, "Next": next, "GroupType": kind})).await.ok();
        let groups = page["GroupIdList"].as_array().expect("a list");
        assert!(groups.len() <= limit, "{page}");
        found.extend(groups.iter().map(|entry| entry["GroupId"].as_str().expect("an id").to_owned()));
        totals.insert(page["TotalCount"].as_u64().expect("a count"));
        next = page["Next"].as_u64().expect("a number");
        if next == 0 {
            return (found, totals);
        }
    }
}

#[tokio::test]
async fn the_list_of_all_groups_in_pages_even_when_the_server_has_forgotten_where_one_began() {
    let server = Setup::new().set("rest.calls_per_second_max", 0).set("store.durability", "interval").start().await;
    let mut backend = server.backend().await;
    assert_eq!(pages(&mut backend, 10, "").await, (Vec::new(), [0].into()));
    let names: BTreeSet<String> = (0..300).map(|i| format!("room {i}")).collect();
    for (i, name) in names.iter().enumerate() {
        backend.create(["Public", "AVChatRoom", "ChatRoom"][i % 3], name).await;
    }
    for limit in [1, 7, 100, 300] {
        let (found, totals) = pages(&mut backend, limit, "").await;
        assert_eq!(totals, [300].into());
        assert_eq!(found.len(), 300, "each once, in pages of {limit}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
    }
    let (some, totals) = pages(&mut backend, 7, "ChatRoom").await;
    assert_eq!((some.len(), totals), (100, [100].into()));
    assert_eq!(pages(&mut backend, 7, "Meeting").await.0, some);
    assert_eq!(pages(&mut backend, 7, "Private").await.0.len(), 0);

    let all = backend.call(LIST, json!({})).await.ok();
    assert_eq!((all["GroupIdList"].as_array().map(Vec::len), &all["Next"]), (Some(300), &json!(0)));
    let whole = all["GroupIdList"].as_array().expect("a list");
    let page = backend.call(LIST, json!({"Limit": 5, "Next": 7})).await.ok();
    assert_eq!(page["GroupIdList"].as_array().expect("a list"), &whole[7..12]);
    // More pages than the server remembers are asked for; the first is found again by counting.
    pages(&mut backend, 1, "").await;
    let again = backend.call(LIST, json!({"Limit": 5, "Next": 7})).await.ok();
    assert_eq!(again["GroupIdList"], page["GroupIdList"]);
    let past = backend.call(LIST, json!({"Limit": 5, "Next": 1000})).await.ok();
    assert_eq!((&past["GroupIdList"], &past["Next"]), (&json!([]), &json!(0)));
    backend.call(LIST, json!({"GroupType": "Party"})).await.refused(10004);
    backend.call(LIST, json!({"Limit": "x"})).await.names("Limit");
}

#[tokio::test]
async fn a_group_named_twice_is_told_once_and_too_much_is_never_built() {
    let server = Setup::new().set("rest.calls_per_second_max", 0).start().await;
    let mut backend = server.backend().await;
    for room in ["one", "two", "three"] {
        backend.create("Public", room).await;
        for hundreds in 0..20 {
            let people: Vec<Value> =
                (0..100).map(|n| json!({"Member_Account": format!("a rather long name {hundreds:02}-{n:02}")})).collect();
            backend.call("add_group_member", json!({"GroupId": room, "MemberList": people})).await.ok();
        }
    }
    let ids = |answer: &Value| -> Vec<String> {
        let infos = answer["GroupInfo"].as_array().expect("a list");
        infos.iter().map(|info| info["GroupId"].as_str().expect("an id").to_owned()).collect()
    };
    let mut asked = vec!["two"; 25];
    asked.extend(["nowhere"; 24]);
    asked.push("one");
    let answer = backend.call(INFO, json!({"GroupIdList": asked, "ResponseFilter": {"GroupBaseInfoFilter": ["Name"]}})).await.ok();
    assert_eq!(ids(&answer), ["two", "nowhere", "one"]);
    assert_eq!(answer["GroupInfo"][1]["ErrorCode"], 10010);
    let answer = backend.call(INFO, json!({"GroupIdList": vec!["two"; 50]})).await.ok();
    assert_eq!(ids(&answer), ["two"]);
    assert_eq!(answer["GroupInfo"][0]["MemberList"].as_array().map(Vec::len), Some(2000));
    backend.call(INFO, json!({"GroupIdList": ["two", "one", "three"]})).await.refused(10018);
    assert_eq!(backend.call(INFO, json!({"GroupIdList": ["one"]})).await.ok(), {
        let mut alone = backend.call(INFO, json!({"GroupIdList": ["one", "one"]})).await.ok();
        alone["GroupInfo"].as_array_mut().expect("a list").truncate(1);
        alone
    });
}
