//! Faults in what a client says, as far as they leave the connection open, and the point where they do not any more.

use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::increase;
use crate::server::Server;

#[tokio::test]
async fn what_is_no_request_gets_60003_and_the_connection_stays() {
    let server = Server::start().await;
    let mut nobody = server.connect().await;
    for text in ["", "nonsense", "{", "[]", "[{}]", "5", "\"ping\"", "null", "true", "{}", "{\"id\":null}", "{} {}"] {
        let answer = nobody.reply(text).await.refused(60003);
        assert_eq!(answer["id"], Value::Null, "{text} got {answer}");
        assert!(answer.get("id").is_some(), "{text} got {answer}");
    }
    for (text, id) in [("{\"id\":7}", json!(7)), ("{\"id\":\"seven\",\"command\":\"ping\"}", json!("seven"))] {
        assert_eq!(nobody.reply(text).await.refused(60003)["id"], id);
    }
    nobody.ask(json!({"cmd": "ping"})).await.ok();
    nobody.login("ann").await.ok();
}

#[tokio::test]
async fn an_id_comes_back_as_it_was() {
    let server = Server::start().await;
    let mut nobody = server.connect().await;
    for id in ["0", "-1", "1.5", "9007199254740993", "18446744073709551615", "\"\"", "\"ü\\n\\\"\"", "\"5\"", "null"] {
        let answer = nobody.reply(&format!(r#"{{"id":{id},"cmd":"ping"}}"#)).await;
        let expected: Value = serde_json::from_str(id).expect("JSON");
        assert_eq!(answer.0, json!({"id": expected, "code": 0, "data": {}}));
    }
    assert_eq!(nobody.reply(r#"{"cmd":"ping"}"#).await.0, json!({"id": null, "code": 0, "data": {}}));
    for id in ["true", "[]", "{}", "[1]", "false"] {
        let answer = nobody.reply(&format!(r#"{{"id":{id},"cmd":"ping"}}"#)).await.refused(10004);
        assert_eq!(answer.get("id"), Some(&Value::Null), "{id} got {answer}");
    }
}

#[tokio::test]
async fn before_the_login_there_is_ping_and_login_and_nothing_else() {
    let server = Server::start().await;
    let mut nobody = server.connect().await;
    assert_eq!(nobody.ask(json!({"cmd": "ping"})).await.ok(), json!({}));
    let commands = [
        json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a"}),
        json!({"cmd": "dismissGroup", "groupID": "a"}),
        json!({"cmd": "joinGroup", "groupID": "a"}),
        json!({"cmd": "quitGroup", "groupID": "a"}),
        json!({"cmd": "addGroupMember", "groupID": "a", "userIDList": ["ben"]}),
        json!({"cmd": "deleteGroupMember", "groupID": "a", "userIDList": ["ben"]}),
        json!({"cmd": "setGroupCounters", "groupID": "a", "counters": {"a": 1}}),
        increase("a", "like", 1),
        json!({"cmd": "decreaseGroupCounter", "groupID": "a", "key": "a", "value": 1}),
        json!({"cmd": "getGroupCounters", "groupID": "a"}),
        json!({"cmd": "getGroupOnlineMemberCount", "groupID": "a"}),
        json!({"cmd": "logout"}),
    ];
    for command in commands {
        nobody.ask(command).await.refused(6014);
    }
    nobody.login("ann").await.ok();
    nobody.create("ChatRoom").await;
}

#[tokio::test]
async fn an_unknown_command_gets_10003() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    for cmd in ["", "Ping", "ping ", "deleteGroupCounters", "login\u{0}"] {
        ann.ask(json!({"cmd": cmd})).await.refused(10003);
    }
}

#[tokio::test]
async fn a_field_missing_or_of_a_wrong_type_is_named() {
    let server = Server::start().await;
    let cases = [
        (json!({"cmd": "createGroup", "name": "a"}), "type"),
        (json!({"cmd": "createGroup", "type": "ChatRoom"}), "name"),
        (json!({"cmd": "joinGroup"}), "groupID"),
        (json!({"cmd": "joinGroup", "groupID": 5}), "groupID"),
        (json!({"cmd": "joinGroup", "groupID": null}), "groupID"),
        (json!({"cmd": "quitGroup"}), "groupID"),
        (json!({"cmd": "dismissGroup", "groupID": ["a"]}), "groupID"),
        (json!({"cmd": "addGroupMember", "groupID": "a"}), "userIDList"),
        (json!({"cmd": "deleteGroupMember", "groupID": "a"}), "userIDList"),
        (json!({"cmd": "setGroupCounters", "groupID": "a"}), "counters"),
        (json!({"cmd": "setGroupCounters", "groupID": "a", "counters": "a"}), "counters"),
        (json!({"cmd": "increaseGroupCounter", "groupID": "a", "value": 1}), "key"),
        (json!({"cmd": "increaseGroupCounter", "groupID": "a", "key": 5, "value": 1}), "key"),
        (json!({"cmd": "decreaseGroupCounter", "groupID": "a", "key": "k"}), "value"),
        (json!({"cmd": "getGroupCounters"}), "groupID"),
        (json!({"cmd": "getGroupOnlineMemberCount"}), "groupID"),
        (json!({"cmd": "login", "userSig": "x"}), "userID"),
        (json!({"cmd": "login", "userID": "ann"}), "userSig"),
        (json!({"cmd": "login", "userID": 5, "userSig": "x"}), "userID"),
        (json!({"cmd": "login", "userID": "ann", "userSig": {}}), "userSig"),
    ];
    let mut ann = server.user("ann").await;
    for (request, field) in cases {
        ann.ask(request).await.names(field);
    }
    ann.ask(json!({"cmd": "ping"})).await.ok();
}

/// Says the fault 21 times: twenty are answered with the code, the last ends the connection without an answer.
async fn one_too_many(mut client: Client, fault: &str, code: i64) {
    for _ in 0..20 {
        assert_eq!(client.reply(fault).await.0["code"], code, "{fault}");
    }
    client.ask(json!({"cmd": "ping"})).await.ok();
    client.say(fault).await;
    client.expect_close(4010).await;
    assert_eq!(client.unfetched(), Vec::<Value>::new(), "the fault too many has no answer");
}

#[tokio::test]
async fn the_21st_fault_within_a_minute_ends_the_connection() {
    let server = Server::start().await;
    one_too_many(server.connect().await, "nonsense", 60003).await;
    one_too_many(server.connect().await, r#"{"id":1,"cmd":"fly"}"#, 10003).await;
    one_too_many(server.connect().await, r#"{"id":1,"cmd":"joinGroup","groupID":"a"}"#, 6014).await;
    one_too_many(server.user("ann").await, r#"{"id":1,"cmd":"joinGroup"}"#, 10004).await;
}

#[tokio::test]
async fn faults_of_all_kinds_are_counted_together() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let kinds = [r#"{"cmd":"fly"}"#, "nonsense", r#"{"cmd":"joinGroup"}"#, "[]"];
    for n in 0..20 {
        let answer = ann.reply(kinds[n % 4]).await;
        assert_ne!(answer.0["code"], 0);
    }
    ann.say(kinds[0]).await;
    ann.expect_close(4010).await;
    assert!(ann.unfetched().is_empty());
}

#[tokio::test]
async fn refusals_that_are_no_faults_end_nothing() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    for _ in 0..30 {
        ann.join("no such room").await.refused(10010);
    }
    let mut ben = server.user("ben").await;
    let room = ben.create("Private").await;
    for _ in 0..30 {
        ann.join(&room).await.refused(10007);
    }
    ann.ask(json!({"cmd": "ping"})).await.ok();
}
