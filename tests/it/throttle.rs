//! The throttle: 20 writes and 20 reads of one user in any window, counted exactly, over all that he does.

use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::client::Answer;
use crate::commands::{increase, set};
use crate::server::{ADMIN, Server, Setup};

/// A window so long that the test is over before any of it passes.
async fn server_with_one_window() -> Server {
    Setup::new().limit("counter_window", "60s").start().await
}

#[track_caller]
fn too_often(answer: Answer, window: u64) -> Duration {
    let answer = answer.refused(2996);
    let wait = answer["retryAfter"].as_u64().unwrap_or_else(|| panic!("no retryAfter in milliseconds: {answer}"));
    assert!((1..=window).contains(&wait), "{answer}");
    Duration::from_millis(wait)
}

#[tokio::test]
async fn twenty_writes_pass_and_the_next_does_not() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(ann.send(set(&room, json!({"a": n}))).await);
        ids.push(ann.send(increase(&room, "b", 1)).await);
        ids.push(ann.send(json!({"cmd": "decreaseGroupCounter", "groupID": room, "key": "c", "value": 1})).await);
    }
    let last = ids.pop().expect("there are 21");
    for id in ids {
        ann.answer(id).await.ok();
    }
    too_often(ann.answer(last).await, 5_000);
    let data = ann.get(&room).await.ok();
    assert_eq!(data["counters"], json!({"a": 6, "b": 7, "c": -6}));
    assert_eq!(data["version"], 20);
}

#[tokio::test]
async fn one_count_for_all_connections_and_groups_of_a_user() {
    let server = server_with_one_window().await;
    let mut ann = server.user("ann").await;
    let mut twin = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let rooms = [ann.create("ChatRoom").await, ann.create("Public").await];
    ben.join(&rooms[0]).await.ok();

    for _ in 0..5 {
        for room in &rooms {
            ann.increase(room, "like", 1).await.ok();
            twin.increase(room, "like", 1).await.ok();
        }
    }
    for room in &rooms {
        too_often(ann.increase(room, "like", 1).await, 60_000);
        too_often(twin.increase(room, "like", 1).await, 60_000);
    }
    ann.leave().await;
    twin.leave().await;
    let mut again = server.user("ann").await;
    too_often(again.increase(&rooms[0], "like", 1).await, 60_000);
    assert_eq!(ben.increase(&rooms[0], "like", 1).await.ok()["value"], 11, "others have a count of their own");
}

#[tokio::test]
async fn reads_have_a_count_of_their_own() {
    let server = server_with_one_window().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    for _ in 0..20 {
        ann.get(&room).await.ok();
    }
    too_often(ann.get(&room).await, 60_000);
    for _ in 0..20 {
        ann.increase(&room, "like", 1).await.ok();
    }
    too_often(ann.increase(&room, "like", 1).await, 60_000);
    assert_eq!(ann.join(&room).await.ok()["counters"], json!({"like": 20}), "a join is no read of counters");
}

#[tokio::test]
async fn a_write_refused_by_the_rules_has_cost_its_place() {
    let server = server_with_one_window().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.set(&room, json!({"max": i64::MAX})).await.ok();

    for _ in 0..19 {
        ann.increase(&room, "max", 1).await.refused(10004);
    }
    too_often(ann.increase(&room, "like", 1).await, 60_000);
    too_often(ann.increase(&room, "max", 1).await, 60_000);
}

#[tokio::test]
async fn what_never_reaches_the_throttle_costs_nothing() {
    let server = server_with_one_window().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let room = ann.create("ChatRoom").await;
    let closed = ben.create("Private").await;

    for _ in 0..15 {
        ann.increase("no such room", "like", 1).await.refused(10010);
        ann.increase(&closed, "like", 1).await.refused(10007);
        ann.ask(json!({"cmd": "increaseGroupCounter", "groupID": room, "key": "like"})).await.names("value");
    }
    for _ in 0..20 {
        ann.increase(&room, "like", 1).await.ok();
    }
    too_often(ann.increase(&room, "like", 1).await, 60_000);
}

#[tokio::test]
async fn an_admin_on_the_socket_is_under_it_too() {
    let server = server_with_one_window().await;
    let mut admin = server.user(ADMIN).await;
    let room = admin.create("ChatRoom").await;
    for _ in 0..20 {
        admin.increase(&room, "like", 1).await.ok();
    }
    too_often(admin.increase(&room, "like", 1).await, 60_000);
}

#[tokio::test]
async fn after_retry_after_the_next_passes_and_refusals_have_cost_nothing() {
    let server = Setup::new().limit("counter_window", "1500ms").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(ann.send(increase(&room, "like", 1)).await);
    }
    let mut wait = Duration::ZERO;
    for (n, id) in ids.into_iter().enumerate() {
        let answer = ann.answer(id).await;
        if n < 20 {
            answer.ok();
        } else {
            wait = too_often(answer, 1_500)
        }
    }
    sleep(wait).await;
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 21);
}

#[tokio::test]
async fn the_window_slides_exactly() {
    const WINDOW: Duration = Duration::from_millis(400);
    let server = Setup::new().limit("counter_window", "400ms").limit("counter_writes_max", 5).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;

    // The server's instants lie between the sending and the answer, so the widest span that we can see from the
    // first to the sixth of any six passed writes is at least the window, whatever the scheduler does.
    let mut passed: Vec<(Instant, Instant)> = Vec::new();
    let (mut refused, mut asked) = (0, 0);
    while passed.len() < 26 {
        let sent = Instant::now();
        let answer = ann.increase(&room, "like", 1).await;
        asked += 1;
        if answer.0["code"] == 0 {
            passed.push((sent, Instant::now()));
        } else {
            refused += 1;
            let wait = too_often(answer, 400);
            // Coming a little early, now and then, shows that the window is no coarse grid.
            sleep(if asked % 3 == 0 { wait } else { wait / 2 }).await;
        }
    }
    assert!(refused > 0, "the throttle was never felt");
    for six in passed.windows(6) {
        let span = six[5].1 - six[0].0;
        assert!(span >= WINDOW, "six writes passed within {span:?}");
    }
}

#[tokio::test]
async fn a_limit_of_zero_is_no_limit() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for _ in 0..60 {
        ann.increase(&room, "like", 1).await.ok();
        ann.get(&room).await.ok();
    }
}
