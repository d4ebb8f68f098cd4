//! What a member sees of a busy room: the newest value of every key, in the end and always, whoever is slow.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::commands::{increase, set};
use crate::raw::{PING, RawClient, TEXT};
use crate::server::{PATIENCE, Server, Setup};

/// Reads pushes until the newest value heard of each key is the one expected.
async fn settles(member: &mut Client, expected: &Value) {
    let mut newest: HashMap<String, Value> = HashMap::new();
    let is_settled =
        |newest: &HashMap<String, Value>| expected.as_object().expect("counters").iter().all(|(key, value)| newest.get(key) == Some(value));
    while !is_settled(&newest) {
        let data = member.expect_event("GROUP_COUNTER_UPDATED").await;
        newest.insert(data["key"].as_str().expect("a key").to_owned(), data["value"].clone());
    }
}

async fn storm(server: &Server, room: &str, writers: usize, writes: usize) {
    let mut clients = Vec::new();
    for n in 0..writers {
        let mut writer = server.user(&format!("writer-{n}")).await;
        writer.join(room).await.ok();
        clients.push(writer);
    }
    let run = async |mut writer: Client, n: usize| {
        let mut open = std::collections::VecDeque::new();
        for i in 0..writes {
            open.push_back(writer.send(increase(room, &format!("k{}", (n + i) % 7), 1)).await);
            if open.len() >= 32 {
                writer.answer(open.pop_front().expect("there are 32")).await.ok();
            }
        }
        for id in open {
            writer.answer(id).await.ok();
        }
        writer
    };
    let done = futures_util::future::join_all(clients.into_iter().enumerate().map(|(n, writer)| run(writer, n))).await;
    assert_eq!(done.len(), writers);
}

#[tokio::test]
async fn the_newest_value_of_every_key_arrives_under_a_storm() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut viewers = Vec::new();
    for n in 0..20 {
        let mut viewer = server.user(&format!("viewer-{n}")).await;
        viewer.join(&room).await.ok();
        viewers.push(viewer);
    }
    storm(&server, &room, 4, 500).await;
    let data = ann.get(&room).await.ok();
    assert_eq!(data["version"], 2_000);
    let total: i64 = data["counters"].as_object().expect("counters").values().filter_map(Value::as_i64).sum();
    assert_eq!(total, 2_000);
    for viewer in &mut viewers {
        settles(viewer, &data["counters"]).await;
    }
}

#[tokio::test]
async fn an_interval_between_pushes_skips_values_but_never_the_last() {
    let server = Setup::new().unthrottled().set("push.min_interval", "100ms").start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    let begun = Instant::now();
    for n in 1..=300 {
        assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], n);
    }
    let mut pushes = 0u128;
    loop {
        pushes += 1;
        if ben.expect_event("GROUP_COUNTER_UPDATED").await["value"] == 300 {
            break;
        }
    }
    let most = begun.elapsed().as_millis() / 100 + 2;
    assert!(pushes <= most, "{pushes} pushes where {most} intervals have passed");
    ben.no_push_until_ping().await;
}

/// Keys so long that a reader who does not read is soon felt.
fn long_keys(value: i64) -> Value {
    let counters = (0..20).map(|n| (format!("{n:0>128}"), json!(value)));
    Value::Object(counters.collect())
}

/// Writes until a reader who reads nothing must have filled every buffer between him and the server.
async fn flood(ann: &mut Client, ben: &mut Client, room: &str, rounds: i64) -> Duration {
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let begun = Instant::now();
        ann.ask(set(room, long_keys(round))).await.ok();
        for _ in 0..20 {
            assert_eq!(ben.expect_event("GROUP_COUNTER_UPDATED").await["value"], round);
        }
        ann.pushed();
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

#[tokio::test]
async fn a_stalled_member_slows_nobody_and_gets_the_newest_when_he_reads_again() {
    let server = Setup::new().unthrottled().limit("stall_deadline", "60s").start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    ben.join(&room).await.ok();
    let mut stalled = RawClient::narrow(server.addr()).await;
    stalled.upgrade(server.addr()).await;
    stalled.login("carl").await;
    let join = json!({"id": 1, "cmd": "joinGroup", "groupID": room}).to_string();
    assert_eq!(stalled.ask(&join).await["code"], 0);

    // About 3 MB for each member, where some kilobytes fit into the narrow pipe.
    const ROUNDS: i64 = 600;
    let slowest = flood(&mut ann, &mut ben, &room, ROUNDS).await;
    assert!(slowest < Duration::from_secs(2), "a round took {slowest:?}");

    let mut newest: HashMap<String, (u64, i64)> = HashMap::new();
    let mut frames = 0i64;
    let drained = async {
        while newest.len() < 20 || newest.values().any(|(_, value)| *value != ROUNDS) {
            let frame = stalled.next_text().await;
            let (version, value) = (frame["data"]["version"].as_u64(), frame["data"]["value"].as_i64());
            let key = frame["data"]["key"].as_str().expect("a key").to_owned();
            let (version, value) = (version.expect("a version"), value.expect("a value"));
            let before = newest.insert(key, (version, value));
            assert!(before.is_none_or(|(before, _)| before < version), "versions grow: {before:?} before {frame}");
            frames += 1;
        }
    };
    timeout(PATIENCE, drained).await.expect("the newest value of each key arrives");
    assert!(frames < 20 * ROUNDS / 4, "{frames} frames were kept for a reader who did not read");
    let answer = stalled.ask(r#"{"id":2,"cmd":"ping"}"#).await;
    assert_eq!(answer["code"], 0, "the connection lives on");
}

#[tokio::test]
async fn a_reader_without_progress_is_closed_and_the_others_stay() {
    let server = Setup::new().unthrottled().limit("stall_deadline", "500ms").start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("AVChatRoom").await;
    ann.join(&room).await.ok();
    ben.join(&room).await.ok();
    let mut stalled = RawClient::narrow(server.addr()).await;
    stalled.upgrade(server.addr()).await;
    stalled.login("carl").await;
    let join = json!({"id": 1, "cmd": "joinGroup", "groupID": room}).to_string();
    assert_eq!(stalled.ask(&join).await["code"], 0);
    assert_eq!(ann.online(&room).await, 3);

    let deadline = Instant::now() + PATIENCE;
    while ann.online(&room).await == 3 {
        assert!(Instant::now() < deadline, "the stalled reader is never given up");
        flood(&mut ann, &mut ben, &room, 20).await;
    }
    // What still lies in the pipe may end in the close frame; anything but 4000 in it would be wrong.
    let end = async {
        while let Some((opcode, payload)) = stalled.next_frame().await {
            if opcode == crate::raw::CLOSE {
                assert_eq!(payload.get(..2), Some(&4000u16.to_be_bytes()[..]));
            }
        }
    };
    timeout(PATIENCE, end).await.expect("the stream ends");
    assert_eq!(ben.online(&room).await, 2);
}

#[tokio::test]
async fn a_slow_reader_in_a_busy_room_is_heard() {
    let server = Setup::new().unthrottled().limit("ping_every", "1s").limit("pong_deadline", "2s").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut slow = RawClient::narrow(server.addr()).await;
    slow.upgrade(server.addr()).await;
    slow.login("carl").await;
    let join = json!({"id": 1, "cmd": "joinGroup", "groupID": room}).to_string();
    assert_eq!(slow.ask(&join).await["code"], 0);
    let writer = async {
        for round in 0.. {
            ann.ask(set(&room, long_keys(round))).await.ok();
            ann.pushed();
        }
    };
    // He reads a few frames at a time, far fewer than there are, and asks again whenever he was answered.
    let reader = async {
        let begun = Instant::now();
        let mut answered = 0;
        slow.text(r#"{"id":7,"cmd":"ping"}"#).await;
        while begun.elapsed() < Duration::from_secs(4) {
            for _ in 0..3 {
                match slow.next_frame().await {
                    Some((TEXT, payload)) if payload.starts_with(b"{\"id\":7") => {
                        answered += 1;
                        slow.text(r#"{"id":7,"cmd":"ping"}"#).await;
                    }
                    Some((TEXT | PING, _)) => {}
                    other => panic!("after {answered} answers: {other:?}"),
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert!(answered >= 3, "{answered} answers");
    };
    tokio::select! { () = writer => {}, () = reader => {} }
}

#[tokio::test]
async fn many_counters_close_nobody() {
    let server = Setup::new().unthrottled().limit("counters_per_group_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for n in 0..300 {
        // One push for each: nobody is behind.
        ann.increase(&room, &format!("k{n}"), 1).await.ok();
        ann.await_value(&room, &format!("k{n}"), 1).await;
    }
}

#[tokio::test]
async fn who_does_not_read_is_owed_only_so_much() {
    let server = Setup::new().unthrottled().limit("stall_deadline", 0).limit("ping_every", 0).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut stalled = RawClient::narrow(server.addr()).await;
    stalled.upgrade(server.addr()).await;
    stalled.login("carl").await;
    // Each time he is added and removed he is told so: 2 MB in all.
    for _ in 0..350 {
        let mut last = 0;
        for _ in 0..30 {
            ann.send(json!({"cmd": "addGroupMember", "groupID": room, "userIDList": ["carl"]})).await;
            last = ann.send(json!({"cmd": "deleteGroupMember", "groupID": room, "userIDList": ["carl"]})).await;
        }
        ann.answer(last).await.ok();
        ann.unfetched();
    }
    let mut bytes = 0;
    while let Some((_, payload)) = timeout(PATIENCE, stalled.next_frame()).await.expect("he is closed") {
        bytes += payload.len();
        assert!(bytes < 1_200_000, "{bytes} bytes were kept for a reader who does not read");
    }
}

#[tokio::test]
async fn a_slow_reader_hears_of_all_his_busy_rooms() {
    let server = Setup::new().unthrottled().limit("ping_every", 0).start().await;
    let mut ann = server.user("ann").await;
    let rooms = [ann.create("ChatRoom").await, ann.create("ChatRoom").await, ann.create("ChatRoom").await];
    let mut slow = RawClient::narrow(server.addr()).await;
    slow.upgrade(server.addr()).await;
    slow.login("carl").await;
    for room in &rooms {
        let join = json!({"id": 1, "cmd": "joinGroup", "groupID": room}).to_string();
        assert_eq!(slow.ask(&join).await["code"], 0);
    }
    let writer = async {
        for round in 0.. {
            let mut last = 0;
            for room in &rooms {
                last = ann.send(set(room, long_keys(round))).await;
            }
            ann.answer(last).await.ok();
            ann.pushed();
            ann.unfetched();
        }
    };
    let reader = async {
        let begun = Instant::now();
        let mut newest: HashMap<String, i64> = HashMap::new();
        while begun.elapsed() < Duration::from_secs(4) {
            for _ in 0..6 {
                let data = slow.next_text().await["data"].clone();
                newest.insert(data["groupID"].as_str().expect("a push").to_owned(), data["value"].as_i64().expect("a value"));
            }
            sleep(Duration::from_millis(10)).await;
        }
        let (least, most) = (newest.values().min().expect("pushes"), newest.values().max().expect("pushes"));
        assert!(newest.len() == rooms.len() && least * 2 > *most, "{newest:?}");
    };
    tokio::select! { () = writer => {}, () = reader => {} }
}
