//! The log as its operator reads it: what is told at `info`, that nobody can flood it, and that every line keeps its format.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::raw::{BINARY, RawClient, frame};
use crate::server::{PATIENCE, Process, SECRET, Server, Setup};
use crate::usersig::{Sig, sign};

/// Every line, which must be an object.
#[track_caller]
fn lines(log: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}\nin\n{log}"));
    log.lines().map(object).collect()
}

/// The lines whose message holds these words.
#[track_caller]
fn with(log: &str, words: &str) -> Vec<Value> {
    lines(log).into_iter().filter(|line| line["message"].as_str().is_some_and(|message| message.contains(words))).collect()
}

/// Waits for something in the log.
async fn until(server: &Server, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = server.log();
        if wanted(&log) {
            return log;
        }
        assert!(Instant::now() < deadline, "{log}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn as_json() -> Setup {
    Setup::new().set("log.format", "json")
}

#[tokio::test]
async fn the_start_and_the_end_have_a_line_each() {
    let mut server = as_json().set("shards", 2).set("store.durability", "interval").start().await;
    let start = with(&server.log(), "starts");
    assert_eq!(start.len(), 1, "{}", server.log());
    let facts = ["version", "shards", "durability"].map(|field| start[0][field].clone());
    assert_eq!(facts, [json!(env!("CARGO_PKG_VERSION")), json!(2), json!("interval")], "{}", start[0]);
    for field in ["folder", "journal_bytes", "table_bytes", "remembered_answers", "generation", "opened_in_ms", "connections_max"] {
        assert!(!start[0][field].is_null(), "{field} is missing: {}", start[0]);
    }
    let _ann = server.user("ann").await;
    server.signal("TERM");
    assert_eq!(server.exit().await.code(), Some(0));
    let log = server.log();
    assert_eq!(with(&log, "stopping")[0]["signal"], "SIGTERM", "{log}");
    let end = with(&log, "stopped");
    assert_eq!((end.len(), &end[0]["connections_closed"]), (1, &json!(1)), "{log}");
    assert!(end[0]["uptime_s"].is_u64() && end[0]["drained_in_ms"].is_u64(), "{log}");
}

#[tokio::test]
async fn failed_logins_are_told_and_do_not_flood() {
    let server = as_json().start().await;
    for _ in 0..50 {
        server.connect().await.login_with("ann", &Sig::of("ann").secret("another secret").encode()).await.refused(70009);
    }
    // What the last second left out comes when that second is over.
    let told = |log: &str| -> u64 {
        let first = with(log, "a login was refused");
        let rest = with(log, "left out: login refused");
        first.iter().chain(&rest).filter_map(|line| line["left_out"].as_u64()).sum::<u64>() + first.len() as u64
    };
    let log = until(&server, |log| told(log) == 50).await;
    let first = &with(&log, "a login was refused")[0];
    assert_eq!((&first["user"], &first["code"], &first["level"]), (&json!("ann"), &json!(70009), &json!("INFO")), "{first}");
    assert!(first["address"] == "127.0.0.1", "{first}");
    assert!(with(&log, "a login was refused").len() < 25, "{log}");
}

#[tokio::test]
async fn a_connection_that_is_closed_has_its_reason_in_the_log() {
    let server = as_json().start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.send(&frame(true, BINARY, b"x")).await;
    let log = until(&server, |log| !with(log, "a connection was closed").is_empty()).await;
    let line = &with(&log, "a connection was closed")[0];
    assert_eq!((&line["code"], &line["user"]), (&json!(1003), &json!("ann")), "{line}");
    assert!(line["message"].as_str().is_some_and(|message| message.contains("send text frames")), "{line}");
}

#[tokio::test]
async fn what_ends_the_program_is_a_line_like_any_other() {
    let server = as_json().start().await;
    let mut second = Process::spawn(server.setup(), server.folder());
    assert_eq!(second.exit().await.code(), Some(1));
    let last = lines(&second.log()).pop().expect("it says why");
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(last["message"].as_str().is_some_and(|message| message.contains("in use")), "{last}");
}

#[tokio::test]
async fn at_debug_every_refusal_is_there_and_no_secret() {
    let server = as_json().set("log.level", "debug").start().await;
    let mut ann = server.user("ann").await;
    for _ in 0..10 {
        ann.increase("nowhere", "like", 1).await.refused(10010);
    }
    let (good, bad) = (sign("ann"), Sig::of("ann").secret("another secret").encode());
    for _ in 0..10 {
        server.connect().await.login_with("ann", &bad).await.refused(70009);
    }
    let mut backend = server.backend().await;
    backend.call("destroy_group", json!({"GroupId": "nowhere"})).await.refused(10010);
    let path = format!("/v4/group_open_http_svc/get_group_info?sdkappid=1&identifier=ann&usersig={good}&random=1&contenttype=json");
    RawClient::http(server.addr(), &path).await;
    let log = until(&server, |log| with(log, "a login was refused").len() == 10 && with(log, "refused: ").len() >= 10).await;
    assert_eq!(lines(&log).iter().filter(|line| line["cmd"] == "increaseGroupCounter" && line["code"] == 10010).count(), 10, "{log}");
    assert!(lines(&log).iter().any(|line| line["command"] == "destroy_group" && line["code"] == 10010), "{log}");
    assert!(!log.contains(&good[..24]) && !log.contains(&bad[..24]) && !log.contains(SECRET), "{log}");
}
