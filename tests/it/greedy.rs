//! Users who ask for as much as a frame can hold: it costs them their place, and nobody else anything.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, interval};

use crate::client::Client;
use crate::commands::set;
use crate::server::{Server, Setup};

/// What fits into a frame with room for the rest of it.
const FILLING: usize = 32 * 1024 - 200;

/// As many different keys as one frame can hold.
fn keys() -> impl Iterator<Item = String> {
    (0..FILLING / 8).map(|n| format!("{n:x}"))
}

fn all_keys_set(group: &str) -> Value {
    let mut counters = Map::new();
    counters.extend(keys().map(|key| (key, json!(1))));
    set(group, Value::Object(counters))
}

fn all_keys_read(group: &str) -> Value {
    json!({"cmd": "getGroupCounters", "groupID": group, "keyList": keys().collect::<BTreeSet<_>>()})
}

/// A frame as long as those, about nothing.
fn long_ping() -> Value {
    json!({"cmd": "ping", "nothing": "x".repeat(FILLING)})
}

#[tokio::test]
async fn more_keys_than_a_group_can_hold_are_refused_before_anything_else() {
    let server = Setup::new().limit("counter_window", "60s").start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;

    for client in [&mut ann, &mut ben] {
        for _ in 0..25 {
            client.ask(all_keys_set(&room)).await.refused(10063);
            client.ask(all_keys_read(&room)).await.refused(10063);
        }
        client.ask(json!({"cmd": "getGroupCounters", "groupID": "nowhere", "keyList": ["a", "b"]})).await.refused(10010);
    }
    let twenty: Map<String, Value> = (0..20).map(|n| (n.to_string(), json!(n))).collect();
    ann.set(&room, Value::Object(twenty.clone())).await.ok();
    let keys: Vec<_> = twenty.keys().chain(["other"].into_iter().map(|_| twenty.keys().next().expect("there are 20"))).collect();
    ann.ask(json!({"cmd": "getGroupCounters", "groupID": room, "keyList": keys})).await.refused(10063);
    let data = ann.ask(json!({"cmd": "getGroupCounters", "groupID": room, "keyList": &keys[..20]})).await.ok();
    assert_eq!(data["counters"], Value::Object(twenty));

    let mut users: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let add = |users: &[String]| json!({"cmd": "addGroupMember", "groupID": room, "userIDList": users});
    ann.ask(add(&users)).await.ok();
    users.push("one-more".into());
    ann.ask(add(&users)).await.names("userIDList");
}

#[tokio::test]
async fn without_a_limit_of_keys_many_cost_no_more_than_their_number() {
    let server = Setup::new().unthrottled().limit("counters_per_group_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    // Fills the group, overwrites it, and is refused for a key that is there twice.
    ann.ask(all_keys_set(&room)).await.ok();
    let cost = |before: Duration| server.cpu() - before;
    let before = server.cpu();
    ann.ask(all_keys_set(&room)).await.ok();
    ann.ask(all_keys_read(&room)).await.ok();
    let many = cost(before);
    let before = server.cpu();
    for chunk in keys().collect::<Vec<_>>().chunks(20) {
        let counters: Map<String, Value> = chunk.iter().map(|key| (key.clone(), json!(1))).collect();
        ann.set(&room, Value::Object(counters)).await.ok();
    }
    let few_at_a_time = cost(before);
    assert!(many < few_at_a_time, "all keys in one frame took {many:?}, 20 in a frame {few_at_a_time:?}");
}

/// The processor's time for each of these requests.
async fn cost_of(server: &Server, client: &mut Client, request: &Value) -> Duration {
    const TIMES: u32 = 60;
    let before = server.cpu();
    for _ in 0..TIMES {
        client.ask(request.clone()).await;
    }
    (server.cpu() - before) / TIMES
}

#[tokio::test]
async fn a_frame_full_of_keys_costs_little_more_than_its_bytes() {
    let server = Setup::new().unthrottled().limit("faults_per_minute_max", 0).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let users: Vec<String> = keys().collect();
    let add = json!({"cmd": "addGroupMember", "groupID": room, "userIDList": users});
    cost_of(&server, &mut ann, &long_ping()).await;
    let calm = cost_of(&server, &mut ann, &long_ping()).await;
    for request in [all_keys_set(&room), all_keys_read(&room), add] {
        let cost = cost_of(&server, &mut ann, &request).await;
        assert!(cost < 4 * calm, "{} took {cost:?}, as many bytes about nothing {calm:?}", request["cmd"]);
    }
}

/// The median time of a bystander's ping, over a second.
async fn median_ping(client: &mut Client) -> Duration {
    let mut pause = interval(Duration::from_millis(5));
    let mut times = Vec::new();
    for _ in 0..200 {
        pause.tick().await;
        let asked = Instant::now();
        client.ask(json!({"cmd": "ping"})).await.ok();
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn two_users_with_frames_full_of_keys_slow_nobody_down() {
    let server = Setup::new().set("shards", 1).unthrottled().start().await;
    let mut bystander = server.user("bystander").await;
    let calm = median_ping(&mut bystander).await;
    let mut greedy = tokio::task::JoinSet::new();
    for name in ["ann", "ben"] {
        let mut client = server.user(name).await;
        let room = client.create("ChatRoom").await;
        let frame = all_keys_set(&room);
        greedy.spawn(async move {
            let mut pause = interval(Duration::from_millis(33));
            loop {
                pause.tick().await;
                let id = client.send(frame.clone()).await;
                client.answer(id).await;
            }
        });
    }
    let besieged = median_ping(&mut bystander).await;
    // Still another user comes in meanwhile.
    server.user("late").await.ask(json!({"cmd": "ping"})).await.ok();
    greedy.shutdown().await;
    assert!(besieged <= 5 * calm, "the median of a ping was {calm:?} and became {besieged:?}");
}
