//! The throttle: 20 writes and 20 reads of one user in any window, counted exactly, over all that he does.

use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::client::Answer;
use crate::commands::{increase, set};
use crate::rest_client::Backend;
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

#[tokio::test]
async fn two_hundred_memberships_change_and_no_more() {
    let server = server_with_one_window().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let rooms = [ann.create("ChatRoom").await, ann.create("ChatRoom").await];
    let names: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    // Two groups made; 98 added, of whom two are named again without a change; 98 removed.
    ann.add(&rooms[0], &names[..98]).await.ok();
    ann.add(&rooms[0], &names[..2]).await.ok();
    ann.remove(&rooms[0], &names).await.ok();
    // 2 are left.
    too_often(ann.add(&rooms[1], &names[..3]).await, 60_000);
    ann.add(&rooms[1], &["ben"]).await.ok();
    ann.dismiss(&rooms[0]).await.ok();
    too_often(ann.dismiss(&rooms[1]).await, 60_000);
    too_often(ann.create_as("ChatRoom", "another").await, 60_000);
    let mut twin = server.user("ann").await;
    too_often(twin.remove(&rooms[1], &["ben"]).await, 60_000);
    // Membership and rights come first, and what changes nothing is free.
    ann.add("no such group", &names[..1]).await.refused(10010);
    assert_eq!(ann.join(&rooms[1]).await.ok()["status"], "AlreadyInGroup");
    ann.add(&rooms[1], &["ben"]).await.ok();
    ann.increase(&rooms[1], "like", 1).await.ok();

    // What was refused has changed nothing, and others have a count of their own.
    assert_eq!(ann.member_count(&rooms[1]).await, 2);
    ben.quit(&rooms[1]).await.ok();
    ben.join(&rooms[1]).await.ok();
}

#[tokio::test]
async fn joins_and_quits_that_are_kept_count_and_seats_do_not() {
    let server = Setup::new().limit("counter_window", "60s").limit("membership_changes_max", 4).start().await;
    let mut ann = server.user("ann").await;
    let mut ben = server.user("ben").await;
    let kept = ann.create("ChatRoom").await;
    let live = ann.create("AVChatRoom").await;
    for _ in 0..2 {
        ben.join(&kept).await.ok();
        ben.quit(&kept).await.ok();
    }
    too_often(ben.join(&kept).await, 60_000);
    for _ in 0..10 {
        ben.join(&live).await.ok();
        ben.quit(&live).await.ok();
    }
    ben.quit(&kept).await.refused(10007);

    // More in one call than any window allows: waiting would not help.
    let answer = ann.add(&kept, &["a", "b", "c", "d", "e"]).await.refused(10004);
    assert!(answer.get("retryAfter").is_none(), "{answer}");
    ann.add(&kept, &["a", "b"]).await.ok();
    too_often(ann.add(&kept, &["c"]).await, 60_000);
    let mut backend = Backend::connect(server.addr()).await;
    let members: Vec<_> = (0..100).map(|n| json!({"Member_Account": format!("u{n}")})).collect();
    backend.call("add_group_member", json!({"GroupId": kept, "MemberList": members})).await.ok();
}

#[tokio::test]
async fn memberships_may_change_again_when_the_window_has_passed() {
    let server = Setup::new().limit("counter_window", "700ms").limit("membership_changes_max", 3).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.add(&room, &["a", "b"]).await.ok();
    let refused = ann.remove(&room, &["a", "b"]).await;
    // Slow machines may be through with the window before they ask.
    if refused.0["code"] != 0 {
        sleep(too_often(refused, 700)).await;
        ann.remove(&room, &["a", "b"]).await.ok();
    }
    assert_eq!(ann.member_count(&room).await, 1);
}
