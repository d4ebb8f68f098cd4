//! The rules of a counter: what each command does to a group, and what it refuses without a trace.

use serde_json::json;

use crate::commands::set;
use crate::server::{Server, Setup};

#[tokio::test]
async fn set_adds_and_changes_several_keys_at_once() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    let data = ann.set(&room, json!({"like": 5, "gift": -3})).await.ok();
    assert_eq!(data, json!({"groupID": room, "counters": {"like": 5, "gift": -3}, "version": 1}));
    let data = ann.set(&room, json!({"gift": 0, "share": 1})).await.ok();
    assert_eq!(data, json!({"groupID": room, "counters": {"gift": 0, "share": 1}, "version": 2}));

    let data = ann.get(&room).await.ok();
    assert_eq!(data["counters"], json!({"like": 5, "gift": 0, "share": 1}));
    assert_eq!(data["version"], 2);
    assert_eq!(data["groupID"], room);
    assert!(data["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()), "an epoch is a string: {data}");
}

#[tokio::test]
async fn increase_and_decrease_start_at_zero_and_go_both_ways() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    let data = ann.increase(&room, "up", 7).await.ok();
    assert_eq!(data, json!({"groupID": room, "key": "up", "value": 7, "version": 1}));
    let data = ann.decrease(&room, "down", 7).await.ok();
    assert_eq!(data, json!({"groupID": room, "key": "down", "value": -7, "version": 2}));
    assert_eq!(ann.increase(&room, "up", -10).await.ok()["value"], -3);
    assert_eq!(ann.decrease(&room, "down", -10).await.ok()["value"], 3);
    assert_eq!(ann.increase(&room, "zero", 0).await.ok()["value"], 0);
    assert_eq!(ann.decrease(&room, "up", 0).await.ok()["version"], 6);
    assert_eq!(ann.counters(&room).await, json!({"up": -3, "down": 3, "zero": 0}));
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_a_write_all_the_same() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    ann.set(&room, json!({"like": 4})).await.ok();
    assert_eq!(ann.expect_push(&room, "like", 4).await, 1);
    assert_eq!(ann.set(&room, json!({"like": 4})).await.ok()["version"], 2);
    assert_eq!(ann.expect_push(&room, "like", 4).await, 2);
    assert_eq!(ann.increase(&room, "like", 0).await.ok()["version"], 3);
    assert_eq!(ann.expect_push(&room, "like", 4).await, 3);
}

#[tokio::test]
async fn get_answers_the_keys_asked_for_that_exist() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    assert_eq!(ann.get(&room).await.ok()["version"], 0);
    assert_eq!(ann.counters(&room).await, json!({}));

    ann.set(&room, json!({"a": 1, "b": 2, "c": 3})).await.ok();
    let mut keys = async |list: serde_json::Value| {
        let request = json!({"cmd": "getGroupCounters", "groupID": room, "keyList": list});
        ann.ask(request).await
    };
    assert_eq!(keys(json!([])).await.ok()["counters"], json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(keys(json!(["b"])).await.ok()["counters"], json!({"b": 2}));
    assert_eq!(keys(json!(["c", "nothing", "a", "c"])).await.ok()["counters"], json!({"a": 1, "c": 3}));
    assert_eq!(keys(json!(["nothing"])).await.ok()["counters"], json!({}));
    keys(json!("b")).await.names("keyList");
    keys(json!([1])).await.names("keyList");
}

#[tokio::test]
async fn no_counters_at_all_is_an_invalid_set() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    ann.set(&room, json!({})).await.names("counters");
    ann.set(&room, json!([])).await.names("counters");
    ann.ask(json!({"cmd": "setGroupCounters", "groupID": room})).await.names("counters");
    assert_eq!(ann.set(&room, json!({"a": 1})).await.ok()["version"], 1, "a refused write has no version");
}

#[tokio::test]
async fn a_group_holds_twenty_keys_and_refuses_the_next_as_a_whole() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let keys = |range: std::ops::Range<i32>| -> serde_json::Value {
        range.map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into()
    };

    ann.set(&room, keys(0..21)).await.refused(10063);
    assert_eq!(ann.counters(&room).await, json!({}), "nothing of the refused write is there");
    ann.set(&room, keys(0..19)).await.ok();
    ann.set(&room, json!({"k0": 100, "k19": 19, "k20": 20})).await.refused(10063);
    assert_eq!(ann.counters(&room).await, keys(0..19), "not even the key that was there has changed");
    ann.set(&room, keys(19..20)).await.ok();

    ann.set(&room, json!({"k20": 20})).await.refused(10063);
    ann.increase(&room, "k20", 1).await.refused(10063);
    ann.decrease(&room, "k20", 1).await.refused(10063);
    assert_eq!(ann.counters(&room).await, keys(0..20));
    assert_eq!(ann.set(&room, keys(0..20)).await.ok()["version"], 3, "the twenty can still be changed");
    assert_eq!(ann.increase(&room, "k5", 5).await.ok()["value"], 10);
}

#[tokio::test]
async fn a_key_has_1_to_128_bytes_and_no_control_characters() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let widest = format!("{}ab", "赞".repeat(42));
    assert_eq!(widest.len(), 128);

    for key in ["x", " ", "é \"\\/", &"k".repeat(128), &widest] {
        assert_eq!(ann.increase(&room, key, 1).await.ok()["key"], key);
        ann.expect_push(&room, key, 1).await;
    }
    let before = ann.get(&room).await.ok();
    for key in ["", "a\nb", "\u{0}", "\u{7f}", &"k".repeat(129), &"赞".repeat(43)] {
        ann.increase(&room, key, 1).await.names("key");
        let mixed = ann.ask(set(&room, json!({key: 1, "good": 1}))).await;
        mixed.refused(10004);
    }
    assert_eq!(ann.get(&room).await.ok(), before, "no part of the refused writes is there");
}

#[tokio::test]
async fn versions_follow_the_order_of_answers_across_members() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();

    for round in 0..8u64 {
        assert_eq!(ann.increase(&room, "n", 1).await.ok()["version"], 2 * round + 1);
        assert_eq!(ben.increase(&room, "n", 1).await.ok()["version"], 2 * round + 2);
    }
    assert_eq!(ann.counters(&room).await, json!({"n": 16}));
    let other = ann.create("ChatRoom").await;
    assert_eq!(ann.increase(&other, "n", 1).await.ok()["version"], 1, "each group counts for itself");
}
