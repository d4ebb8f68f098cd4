//! The counter calls of REST: values, modes, lists, and what members hear of them.

use serde_json::{Value, json};

use crate::rest_client::{Backend, as_object, update};
use crate::server::{Server, Setup};

const UPDATE: &str = "update_group_counter";
const GET: &str = "get_group_counter";
const DELETE: &str = "delete_group_counter";

async fn room(server: &Server) -> Backend {
    let mut backend = server.backend().await;
    backend.create("ChatRoom", "room").await;
    backend
}

#[tokio::test]
async fn every_mode_and_the_one_left_out() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    let list = json!([{"Key": "like", "Value": 5}, {"Key": "gift", "Value": -3}]);
    let answer = backend.call(UPDATE, json!({"GroupId": "room", "GroupCounter": list})).await.ok();
    assert_eq!(answer["GroupCounter"], list, "without a mode it is Set");
    assert_eq!(answer["Version"], 1);
    let answer = backend.update("room", "Set", &[("like", 7)]).await.ok();
    assert_eq!((&answer["GroupCounter"], &answer["Version"]), (&json!([{"Key": "like", "Value": 7}]), &json!(2)));
    let answer = backend.update("room", "Increase", &[("like", 3), ("gift", -1), ("new", 0)]).await.ok();
    assert_eq!(as_object(&answer["GroupCounter"]), json!({"like": 10, "gift": -4, "new": 0}));
    let answer = backend.update("room", "Decrease", &[("like", 11), ("gone", 2)]).await.ok();
    assert_eq!(as_object(&answer["GroupCounter"]), json!({"like": -1, "gone": -2}));
    assert_eq!(answer["Version"], 4, "one call is one version, whatever its number of keys");
    for mode in ["set", "SET", "Add", "Increase "] {
        backend.update("room", mode, &[("like", 1)]).await.names("Mode");
    }
    backend.call(UPDATE, json!({"GroupId": "room", "Mode": 1, "GroupCounter": list})).await.names("Mode");
    assert_eq!(backend.counters("room").await, json!({"like": -1, "gift": -4, "new": 0, "gone": -2}));
}

#[tokio::test]
async fn values_are_exact_at_both_ends_and_never_wrap() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    backend.update("room", "Set", &[("max", i64::MAX), ("min", i64::MIN)]).await.ok();
    assert_eq!(backend.counters("room").await, json!({"max": i64::MAX, "min": i64::MIN}));
    backend.update("room", "Increase", &[("min", 1), ("max", 1)]).await.refused(10004);
    backend.update("room", "Decrease", &[("max", -1)]).await.refused(10004);
    backend.update("room", "Decrease", &[("min", 1)]).await.refused(10004);
    let kept = backend.call(GET, json!({"GroupId": "room"})).await.ok();
    assert_eq!(kept["Version"], 1, "of a refused list nothing was applied");
    // Only the result counts.
    backend.update("room", "Set", &[("one", -1)]).await.ok();
    backend.update("room", "Decrease", &[("one", i64::MIN)]).await.ok();
    assert_eq!(backend.counters("room").await["one"], i64::MAX);

    let text = |value: &str| format!("{{\"GroupId\":\"room\",\"GroupCounter\":[{{\"Key\":\"text\",\"Value\":{value}}}]}}");
    for (value, read) in
        [("\"42\"", 42), ("\"-9223372036854775808\"", i64::MIN), ("\"9223372036854775807\"", i64::MAX), ("-0", 0), ("\"007\"", 7)]
    {
        let answer = backend.call_text(UPDATE, &text(value)).await.ok();
        assert_eq!(answer["GroupCounter"][0]["Value"], read, "{value}");
    }
    for value in [
        "5.0",
        "1e3",
        "true",
        "null",
        "\"\"",
        "\"+1\"",
        "\" 1\"",
        "\"1.0\"",
        "\"x\"",
        "[]",
        "{}",
        "9223372036854775808",
        "\"9223372036854775808\"",
        "-9223372036854775809",
    ] {
        backend.call_text(UPDATE, &text(value)).await.names("Value");
    }
}

#[tokio::test]
async fn a_list_is_applied_as_one_or_not_at_all() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    let long = "k".repeat(128);
    backend.update("room", "Set", &[(&long, 1)]).await.ok();
    for list in [
        json!([]),
        json!([{"Key": "a", "Value": 1}, {"Key": "b"}]),
        json!([{"Key": "a", "Value": 1}, {"Value": 2}]),
        json!([{"Key": "a", "Value": 1}, {"Key": "", "Value": 2}]),
        json!([{"Key": "a", "Value": 1}, {"Key": "k".repeat(129), "Value": 2}]),
        json!([{"Key": "a", "Value": 1}, {"Key": "é".repeat(65), "Value": 2}]),
        json!([{"Key": "a", "Value": 1}, {"Key": "a\n", "Value": 2}]),
        json!([{"Key": "a", "Value": 1}, {"Key": 7, "Value": 2}]),
        json!([{"Key": "a", "Value": 1}, "b"]),
        json!({"Key": "a", "Value": 1}),
        json!("a"),
        Value::Null,
    ] {
        backend.call(UPDATE, json!({"GroupId": "room", "GroupCounter": list})).await.refused(10004);
    }
    backend.call_text(UPDATE, r#"{"GroupId":"room","GroupCounter":[{"Key":"a","Key":"b","Value":1}]}"#).await.names("Key");
    assert_eq!(backend.counters("room").await, json!({&long: 1}));

    let answer = backend.update("room", "Increase", &[("a", 1), ("b", 5), ("a", 2)]).await.ok();
    assert_eq!(answer["GroupCounter"].as_array().map(Vec::len), Some(2), "each key once: {answer}");
    assert_eq!(as_object(&answer["GroupCounter"]), json!({"a": 3, "b": 5}));
    backend.update("room", "Set", &[("a", i64::MAX), ("a", -1)]).await.ok();
    assert_eq!(backend.counters("room").await["a"], -1, "in the order of the list");
    backend.update("room", "Increase", &[("a", 3), ("a", i64::MAX)]).await.refused(10004);
    assert_eq!(backend.counters("room").await["a"], -1);
}

#[tokio::test]
async fn twenty_keys_and_no_more() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    let keys: Vec<String> = (0..21).map(|i| format!("k{i}")).collect();
    let all: Vec<(&str, i64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    backend.update("room", "Set", &all).await.refused(10063);
    assert_eq!(backend.counters("room").await, json!({}));
    backend.update("room", "Set", &all[..20]).await.ok();
    backend.update("room", "Increase", &[("k0", 1), ("k20", 1)]).await.refused(10063);
    assert_eq!(backend.counters("room").await["k0"], 1, "nothing of it was applied");
    backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["k0"]})).await.ok();
    backend.update("room", "Increase", &[("k20", 1)]).await.ok();
}

#[tokio::test]
async fn reading_some_all_and_none() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    let answer = backend.call(GET, json!({"GroupId": "room"})).await.ok();
    assert_eq!((&answer["GroupCounter"], &answer["Version"]), (&json!([]), &json!(0)));
    backend.update("room", "Set", &[("a", 1), ("b", 2), ("ключ 🎁", 3)]).await.ok();
    for (keys, found) in [
        (json!(["b", "no such key"]), json!({"b": 2})),
        (json!([]), json!({"a": 1, "b": 2, "ключ 🎁": 3})),
        (json!(["ключ 🎁"]), json!({"ключ 🎁": 3})),
        (json!(["no such key"]), json!({})),
    ] {
        let answer = backend.call(GET, json!({"GroupId": "room", "GroupCounterKeys": keys})).await.ok();
        assert_eq!(as_object(&answer["GroupCounter"]), found);
        assert_eq!(answer["Version"], 1);
    }
    backend.call(GET, json!({"GroupId": "room", "GroupCounterKeys": "a"})).await.names("GroupCounterKeys");
    for command in [UPDATE, GET, DELETE] {
        let body = |group: &str| json!({"GroupId": group, "GroupCounter": [{"Key": "a", "Value": 1}]});
        backend.call(command, body("nowhere")).await.refused(10010);
        backend.call(command, body(&"g".repeat(49))).await.refused(10015);
        backend.call(command, body("a\tb")).await.refused(10015);
    }
}

#[tokio::test]
async fn deleting_listed_keys_all_keys_and_nothing() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    backend.update("room", "Set", &[("a", 1), ("b", 2), ("c", 3)]).await.ok();
    backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": []})).await.refused(10004);
    let answer = backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["a", "nothing", "a"]})).await.ok();
    assert_eq!(answer["Version"], 2);
    assert!(answer.get("GroupCounter").is_none(), "the vendor's answer has no counters: {answer}");
    assert_eq!(backend.counters("room").await, json!({"b": 2, "c": 3}));
    let answer = backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["nothing"]})).await.ok();
    assert_eq!(answer["Version"], 2, "where nothing was there, no version comes of it");
    assert_eq!(backend.call(DELETE, json!({"GroupId": "room"})).await.ok()["Version"], 3);
    assert_eq!(backend.call(DELETE, json!({"GroupId": "room"})).await.ok()["Version"], 3);
    assert_eq!(backend.counters("room").await, json!({}));
}

#[tokio::test]
async fn members_hear_what_a_back_end_writes_in_one_order_with_their_own() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    let mut fan = server.user("fan").await;
    fan.join("room").await.ok();
    backend.update("room", "Set", &[("like", 5), ("gift", 1)]).await.ok();
    assert_eq!(fan.expect_push("room", "like", 5).await, 1);
    assert_eq!(fan.expect_push("room", "gift", 1).await, 1);
    assert_eq!(fan.increase("room", "like", 1).await.ok()["version"], 2);
    fan.expect_push("room", "like", 6).await;
    let answer = backend.update("room", "Increase", &[("like", 10)]).await.ok();
    assert_eq!((&answer["GroupCounter"][0]["Value"], &answer["Version"]), (&json!(16), &json!(3)));
    assert_eq!(fan.expect_push("room", "like", 16).await, 3);
    assert_eq!(fan.decrease("room", "like", 6).await.ok()["version"], 4);
    fan.expect_push("room", "like", 10).await;
    backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["gift", "nothing"]})).await.ok();
    let push = fan.expect_event("GROUP_COUNTER_UPDATED").await;
    assert_eq!(push, json!({"groupID": "room", "key": "gift", "value": 0, "deleted": true, "version": 5}));
    // A value that stays as it was is pushed too, deleting what is not there is not.
    backend.update("room", "Set", &[("like", 10)]).await.ok();
    assert_eq!(fan.expect_push("room", "like", 10).await, 6);
    backend.call(DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["gift"]})).await.ok();
    fan.no_push_until_ping().await;
}

#[tokio::test]
async fn a_write_sent_again_under_its_name_counts_once() {
    let server = Setup::new().unthrottled().start().await;
    let mut server = server;
    let mut backend = room(&server).await;
    let add = update("room", "Increase", &[("like", 1), ("gift", 2)]);
    let first = backend.call_once("op-1", UPDATE, add.clone()).await.ok();
    let mut fan = server.user("fan").await;
    fan.join("room").await.ok();
    assert_eq!(backend.call_once("op-1", UPDATE, add.clone()).await.ok(), first);
    fan.no_push_until_ping().await;
    for other in [
        update("room", "Increase", &[("like", 2), ("gift", 2)]),
        update("room", "Increase", &[("like", 1)]),
        update("room", "Decrease", &[("like", 1), ("gift", 2)]),
        update("room", "Set", &[("like", 1), ("gift", 2)]),
    ] {
        backend.call_once("op-1", UPDATE, other).await.refused(10004);
    }
    backend.call_once("op-1", DELETE, json!({"GroupId": "room"})).await.refused(10004);
    let deleted = backend.call_once("op-2", DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["gift"]})).await.ok();
    backend.update("room", "Set", &[("gift", 9)]).await.ok();

    server.restart("KILL").await;
    let mut backend = server.backend().await;
    assert_eq!(backend.call_once("op-1", UPDATE, add.clone()).await.ok(), first);
    let again = backend.call_once("op-2", DELETE, json!({"GroupId": "room", "GroupCounterKeys": ["gift"]})).await.ok();
    assert_eq!(again, deleted);
    assert_eq!(backend.counters("room").await, json!({"like": 1, "gift": 9}));
    // A refused write is not remembered: its name is free.
    backend.call_once("op-3", UPDATE, update("room", "Increase", &[("like", i64::MAX)])).await.refused(10004);
    backend.call_once("op-3", UPDATE, add).await.ok();
    for bad in ["", &"x".repeat(65), "é"] {
        backend.call_once(bad, UPDATE, update("room", "Set", &[("like", 1)])).await.names("Idempotency-Key");
    }
}

#[tokio::test]
async fn a_back_end_is_not_under_the_throttle_of_users() {
    let server = Server::start().await;
    let mut backend = room(&server).await;
    for i in 1..=50 {
        assert_eq!(backend.update("room", "Increase", &[("like", 1)]).await.ok()["Version"], i);
        backend.counters("room").await;
    }
}
