//! The values of counters: the whole of i64, exactly, and nothing else.

use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{increase, set};
use crate::raw::RawClient;
use crate::server::{Server, Setup};

#[tokio::test]
async fn the_edges_of_i64_are_kept_with_all_their_digits() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create_as("ChatRoom", "edges").await.ok()["group"]["groupID"].clone();
    ann.set("edges", json!({"max": i64::MAX, "min": i64::MIN, "odd": 9_007_199_254_740_993_i64})).await.ok();
    assert_eq!(room, "edges");

    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.text(r#"{"id":1,"cmd":"getGroupCounters","groupID":"edges"}"#).await;
    let text = raw.next_raw_text().await;
    for digits in [r#""max":9223372036854775807"#, r#""min":-9223372036854775808"#, r#""odd":9007199254740993"#] {
        assert!(text.replace(": ", ":").contains(digits), "{digits} is not in {text}");
    }
    raw.text(r#"{"id":2,"cmd":"increaseGroupCounter","groupID":"edges","key":"odd","value":0}"#).await;
    for what in ["the answer", "its push"] {
        let text = raw.next_raw_text().await;
        assert!(text.contains("9007199254740993"), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_result_outside_i64_is_refused_and_never_wraps() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.set(&room, json!({"max": i64::MAX, "min": i64::MIN, "minus": -1, "zero": 0})).await.ok();
    let before = ann.get(&room).await.ok();

    ann.increase(&room, "max", 1).await.refused(10004);
    ann.increase(&room, "max", i64::MAX).await.refused(10004);
    ann.decrease(&room, "max", -1).await.refused(10004);
    ann.decrease(&room, "min", 1).await.refused(10004);
    ann.increase(&room, "min", i64::MIN).await.refused(10004);
    ann.decrease(&room, "zero", i64::MIN).await.refused(10004);
    ann.decrease(&room, "new", i64::MIN).await.refused(10004);
    assert_eq!(ann.get(&room).await.ok(), before, "refused writes leave no trace");

    assert_eq!(ann.decrease(&room, "minus", i64::MIN).await.ok()["value"], i64::MAX);
    assert_eq!(ann.increase(&room, "zero", i64::MIN).await.ok()["value"], i64::MIN);
    assert_eq!(ann.increase(&room, "max", i64::MIN).await.ok()["value"], -1);
    assert_eq!(ann.decrease(&room, "min", i64::MIN).await.ok()["value"], 0);
    assert_eq!(ann.get(&room).await.ok()["version"], 5);
}

#[tokio::test]
async fn an_integer_may_come_as_a_string_of_digits() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let good =
        [("0", 0), ("-0", 0), ("7", 7), ("007", 7), ("-12", -12), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)];
    for (text, value) in good {
        assert_eq!(ann.set(&room, json!({"s": text})).await.ok()["counters"], json!({"s": value}));
        ann.set(&room, json!({"i": 0, "d": 0})).await.ok();
        assert_eq!(ann.increase(&room, "i", text).await.ok()["value"], value);
    }
    assert_eq!(ann.decrease(&room, "d", "-5").await.ok()["value"], 5);
}

/// What is no integer, in JSON as it would be sent.
const NO_INTEGERS: [&str; 24] = [
    "5.0",
    "1e3",
    "-0.5",
    "true",
    "null",
    "[]",
    "{}",
    "[1]",
    "9223372036854775808",
    "-9223372036854775809",
    "100000000000000000000000",
    "\"\"",
    "\"-\"",
    "\"+5\"",
    "\" 5\"",
    "\"5 \"",
    "\"5.0\"",
    "\"1e3\"",
    "\"0x10\"",
    "\"--5\"",
    "\"9223372036854775808\"",
    "\"-9223372036854775809\"",
    "\"1_000\"",
    "\"٣\"",
];

#[tokio::test]
async fn what_is_no_integer_is_refused_by_every_command() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.create_as("ChatRoom", "room").await.ok();

    for value in NO_INTEGERS {
        // A connection of its own for each, because faults of a connection add up to its end.
        let mut ann = server.user("ann").await;
        for cmd in ["increaseGroupCounter", "decreaseGroupCounter"] {
            let text = format!(r#"{{"id":1,"cmd":"{cmd}","groupID":"room","key":"k","value":{value}}}"#);
            ann.reply(&text).await.names("value");
        }
        let text = format!(r#"{{"id":1,"cmd":"setGroupCounters","groupID":"room","counters":{{"a":1,"k":{value}}}}}"#);
        ann.reply(&text).await.refused(10004);
        ann.leave().await;
    }
    let data = ann.get("room").await.ok();
    assert_eq!(data["counters"], json!({}), "nothing of the refused writes is there");
    assert_eq!(data["version"], 0);
}

/// Requests in which one field stands twice, be it with the same value.
const TWICE: [&str; 10] = [
    r#"{"id":1,"cmd":"ping","cmd":"ping"}"#,
    r#"{"id":1,"id":1,"cmd":"ping"}"#,
    r#"{"id":1,"cmd":"getGroupCounters","groupID":"room","groupID":"room"}"#,
    r#"{"id":1,"cmd":"getGroupCounters","groupID":"room","keyList":["a"],"keyList":["a"]}"#,
    r#"{"id":1,"cmd":"setGroupCounters","groupID":"room","counters":{"a":1},"counters":{"a":1}}"#,
    r#"{"id":1,"cmd":"setGroupCounters","groupID":"room","counters":{"a":1,"b":2,"a":1}}"#,
    r#"{"id":1,"cmd":"setGroupCounters","groupID":"room","counters":{"a":1,"\u0061":2}}"#,
    r#"{"id":1,"cmd":"increaseGroupCounter","groupID":"room","key":"a","value":1,"value":1}"#,
    r#"{"id":1,"cmd":"increaseGroupCounter","groupID":"room","key":"a","key":"b","value":1}"#,
    r#"{"id":1,"cmd":"increaseGroupCounter","groupID":"room","key":"a","value":1,"opID":"x","opID":"x"}"#,
];

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.create_as("ChatRoom", "room").await.ok();

    for text in TWICE {
        let answer = ann.reply(text).await;
        assert_eq!(answer.0["code"], 10004, "{text} got {}", answer.0);
    }
    assert_eq!(ann.get("room").await.ok()["version"], 0);
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let with_more = |mut request: Value| {
        request["priority"] = json!({"nested": [1, 2, {"deep": null}]});
        request["ext"] = json!("more");
        request
    };

    ann.ask(with_more(set(&room, json!({"a": 1})))).await.ok();
    ann.ask(with_more(increase(&room, "a", 1))).await.ok();
    assert_eq!(ann.counters(&room).await, json!({"a": 2}));
    ping(&mut ann, with_more(json!({"cmd": "ping"}))).await;
}

async fn ping(client: &mut Client, request: Value) {
    assert_eq!(client.ask(request).await.ok(), json!({}));
}
