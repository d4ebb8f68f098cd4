//! Operation ids: a write that is sent again has one effect and one answer, whatever happened in between.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::client::Client;
use crate::commands::{increase, set, under};
use crate::server::{PATIENCE, Server, Setup};

/// The answer that a repeat of an applied write must get.
fn replayed(first: &Value) -> Value {
    let mut data = first.clone();
    data["replayed"] = json!(true);
    data
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_has_no_effect() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let like = under("op-1", increase(&room, "like", 5));
    let both = under("op-2", set(&room, json!({"a": 1, "b": -2})));
    let less = under("op 3", json!({"cmd": "decreaseGroupCounter", "groupID": room, "key": "like", "value": 2}));

    for (request, version) in [(&like, 1), (&both, 2), (&less, 3)] {
        let first = ann.ask(request.clone()).await.ok();
        assert_eq!(first["version"], version);
        assert!(first["replayed"].as_bool() != Some(true), "the first is no repeat: {first}");
        for _ in 0..2 {
            assert_eq!(ann.ask(request.clone()).await.ok(), replayed(&first));
        }
    }
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 4);
    assert_eq!(ann.ask(like).await.ok()["value"], 5, "the answer is the first one, not the value of now");

    ann.expect_push(&room, "like", 5).await;
    let (one, two) = (ann.event().await, ann.event().await);
    assert_eq!((&one["data"]["version"], &two["data"]["version"]), (&json!(2), &json!(2)));
    ann.expect_push(&room, "like", 3).await;
    ann.expect_push(&room, "like", 4).await;
    ann.no_push_until_ping().await;
}

#[tokio::test]
async fn a_repeat_on_another_connection_is_known() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let like = under("op", increase(&room, "like", 5));
    let first = ann.ask(like.clone()).await.ok();

    let mut second = server.user("ann").await;
    assert_eq!(second.ask(like.clone()).await.ok(), replayed(&first));
    second.leave().await;
    ann.leave().await;
    let mut again = server.user("ann").await;
    assert_eq!(again.ask(like).await.ok(), replayed(&first));
    assert_eq!(again.counters(&room).await, json!({"like": 5}));
}

#[tokio::test]
async fn a_repeat_is_known_after_a_restart_and_after_a_crash() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    let mut requests = vec![under("set", set(&room, json!({"a": 10, "b": 20})))];
    requests.push(under("inc", increase(&room, "a", i64::from(i32::MAX))));
    let mut firsts = Vec::new();
    for request in &requests {
        firsts.push(ann.ask(request.clone()).await.ok());
    }
    let before = ann.get(&room).await.ok();

    for signal in ["TERM", "KILL", "TERM"] {
        server.restart(signal).await;
        let mut ann = server.user("ann").await;
        for (request, first) in requests.iter().zip(&firsts) {
            assert_eq!(ann.ask(request.clone()).await.ok(), replayed(first), "after {signal}");
        }
        assert_eq!(ann.get(&room).await.ok(), before, "after {signal}");
    }
    let mut ann = server.user("ann").await;
    assert_eq!(ann.increase(&room, "b", 1).await.ok()["version"], 3);
}

#[tokio::test]
async fn the_same_id_with_another_write_is_refused() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.ask(under("op", increase(&room, "like", 5))).await.ok();
    ann.ask(under("pair", set(&room, json!({"a": 1, "b": 2})))).await.ok();

    let decrease = json!({"cmd": "decreaseGroupCounter", "groupID": room, "key": "like", "value": 5});
    ann.ask(under("op", decrease)).await.refused(10004);
    ann.ask(under("op", increase(&room, "like", 6))).await.refused(10004);
    ann.ask(under("op", increase(&room, "gift", 5))).await.refused(10004);
    ann.ask(under("op", set(&room, json!({"like": 5})))).await.refused(10004);
    ann.ask(under("pair", set(&room, json!({"a": 1})))).await.refused(10004);
    ann.ask(under("pair", set(&room, json!({"a": 1, "b": 2, "c": 3})))).await.refused(10004);
    assert_eq!(ann.counters(&room).await, json!({"like": 5, "a": 1, "b": 2}));

    // The same integer in another dress, and the same keys in another order, are the same write.
    assert_eq!(ann.ask(under("op", increase(&room, "like", "5"))).await.ok()["replayed"], true);
    let turned = format!(r#"{{"id":9,"cmd":"setGroupCounters","counters":{{"b":2,"a":1}},"groupID":"{room}","opID":"pair"}}"#);
    assert_eq!(ann.reply(&turned).await.ok()["replayed"], true);
}

#[tokio::test]
async fn an_id_belongs_to_one_user_and_one_group() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    let other = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();

    for (client, group, value) in [(&mut ann, &room, 1), (&mut ben, &room, 2)] {
        let data = client.ask(under("op", increase(group, "like", 1))).await.ok();
        assert_eq!((&data["value"], data["replayed"] == true), (&json!(value), false));
    }
    let data = ann.ask(under("op", increase(&other, "like", 1))).await.ok();
    assert_eq!((&data["version"], data["replayed"] == true), (&json!(1), false));
}

#[tokio::test]
async fn a_refused_write_is_not_remembered() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.set(&room, json!({"like": i64::MAX})).await.ok();
    let like = under("op", increase(&room, "like", 1));

    ann.ask(like.clone()).await.refused(10004);
    ann.set(&room, json!({"like": 1})).await.ok();
    let data = ann.ask(like.clone()).await.ok();
    assert_eq!((&data["value"], data["replayed"] == true), (&json!(2), false));
    assert_eq!(ann.ask(like).await.ok(), replayed(&data));
}

#[tokio::test]
async fn an_id_has_1_to_64_bytes_of_printable_ascii() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    for op in ["", "a\tb", "é", &"x".repeat(65)] {
        ann.ask(under(op, increase(&room, "like", 1))).await.names("opID");
    }
    for op in [json!(5), json!(["x"]), json!({}), json!(true)] {
        let mut request = increase(&room, "like", 1);
        request["opID"] = op;
        ann.ask(request).await.names("opID");
    }
    for op in ["x", " ~", &"x".repeat(64)] {
        ann.ask(under(op, increase(&room, "like", 1))).await.ok();
    }
    assert_eq!(ann.counters(&room).await, json!({"like": 3}));
}

#[tokio::test]
async fn copies_sent_at_once_wait_for_the_same_commit() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let mut twin = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    for round in 1..=20u64 {
        let like = under(&format!("op-{round}"), increase(&room, "like", 1));
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push((ann.send(like.clone()).await, twin.send(like.clone()).await));
        }
        let mut fresh = 0;
        for (mine, hers) in ids {
            for data in [ann.answer(mine).await.ok(), twin.answer(hers).await.ok()] {
                assert_eq!(data["version"], round);
                assert_eq!(data["value"], round);
                fresh += i32::from(data["replayed"] != true);
            }
        }
        assert_eq!(fresh, 1, "one of the copies is the write");
    }
}

#[tokio::test]
async fn a_repeat_is_never_throttled_and_costs_nothing() {
    let server = Setup::new().limit("counter_window", "60s").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let request = |n: i32| under(&format!("op-{n}"), increase(&room, "like", n));
    let again = async |ann: &mut Client, n: i32| {
        let data = ann.ask(request(n)).await.ok();
        assert_eq!((&data["replayed"], &data["version"]), (&json!(true), &json!(n)));
    };

    for n in 1..=19 {
        ann.ask(request(n)).await.ok();
        again(&mut ann, n).await;
    }
    for n in 1..=19 {
        again(&mut ann, n).await;
    }
    ann.ask(request(20)).await.ok();
    ann.ask(request(21)).await.refused(2996);
    for n in 1..=20 {
        again(&mut ann, n).await;
    }
    // Another write under a known id is refused as such, not as one too many.
    ann.ask(under("op-3", increase(&room, "like", 4))).await.refused(10004);
    ann.ask(request(21)).await.refused(2996);
}

#[tokio::test]
async fn after_the_window_the_same_id_is_a_new_write() {
    let server = Setup::new().unthrottled().limit("replay_window", "1s").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let like = under("op", increase(&room, "like", 1));
    let begun = Instant::now();
    ann.ask(like.clone()).await.ok();

    loop {
        let data = ann.ask(like.clone()).await.ok();
        if data["replayed"] != true {
            assert_eq!(data["value"], 2);
            break;
        }
        assert_eq!(data["value"], 1);
        assert!(begun.elapsed() < PATIENCE, "an id is kept far beyond its window");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(1), "an id was forgotten within its window");
}

#[tokio::test]
async fn a_group_made_anew_does_not_know_the_operations_of_the_old_one() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.create_as("ChatRoom", "room").await.ok();
    ann.increase("room", "like", 1).await.ok();
    let like = under("op", increase("room", "like", 5));
    ann.ask(like.clone()).await.ok();
    ann.dismiss("room").await.ok();
    ann.create_as("ChatRoom", "room").await.ok();
    let data = ann.ask(like.clone()).await.ok();
    assert_eq!((&data["value"], &data["version"]), (&json!(5), &json!(1)), "{data}");
    ann.dismiss("room").await.ok();
    ann.create_as("ChatRoom", "room").await.ok();
    server.restart("KILL").await;
    let mut ann = server.user("ann").await;
    let data = ann.ask(like.clone()).await.ok();
    assert_eq!((&data["value"], &data["version"]), (&json!(5), &json!(1)), "{data}");
    server.restart("TERM").await;
    let mut ann = server.user("ann").await;
    assert_eq!(ann.ask(like).await.ok()["replayed"], true);
}
