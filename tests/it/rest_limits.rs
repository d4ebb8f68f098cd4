//! What a back end may not do too much of, and what is written down of what it does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::raw::RawClient;
use crate::rest_client::{Address, Told, path, update};
use crate::server::{ADMIN, PATIENCE, Server, Setup};

const GET: &str = "get_group_counter";

#[tokio::test]
async fn calls_of_each_api_in_a_second() {
    let server = Setup::new().set("rest.calls_per_second_max", 5).start().await;
    let mut backend = server.backend().await;
    let body = json!({"GroupId": "nowhere"});
    // Calls that are not let in for another reason cost nothing.
    let mut stranger = server.backend().await.under(&Address::of("stranger"));
    for _ in 0..10 {
        stranger.call(GET, body.clone()).await.refused(60010);
    }
    let begun = Instant::now();
    for _ in 0..5 {
        backend.call(GET, body.clone()).await.refused(10010);
    }
    backend.call(GET, body.clone()).await.refused(60007);
    backend.call_text(GET, "no JSON").await.refused(60007);
    // Another connection shares the count, another API does not.
    server.backend().await.call(GET, body.clone()).await.refused(60007);
    backend.call("get_online_member_num", body.clone()).await.refused(10010);
    assert!(begun.elapsed() < Duration::from_millis(900), "the machine is too slow for this test");
    tokio::time::sleep_until((begun + Duration::from_millis(1050)).into()).await;
    backend.call(GET, body.clone()).await.refused(10010);

    let free = Setup::new().set("rest.calls_per_second_max", 0).start().await;
    let mut backend = free.backend().await;
    for _ in 0..300 {
        backend.call(GET, body.clone()).await.refused(10010);
    }
}

#[tokio::test]
async fn without_a_setting_it_is_two_hundred() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    let begun = Instant::now();
    let mut refused = 0;
    for _ in 0..250 {
        refused += u32::from(backend.call(GET, json!({"GroupId": "nowhere"})).await.0["ErrorCode"] == 60007);
    }
    // A slow machine may take more than a second for them.
    if begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(refused, 50);
    }
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte() {
    let server = Server::start().await;
    let padded = |bytes: usize| {
        let (head, tail) = ("{\"GroupId\":\"nowhere\",\"Padding\":\"", "\"}");
        format!("{head}{}{tail}", "x".repeat(bytes - head.len() - tail.len()))
    };
    let mut backend = server.backend().await;
    backend.call_text(GET, &padded(1 << 20)).await.refused(10010);
    backend.call_text(GET, &padded((1 << 20) + 1)).await.refused(80002);
    assert!(backend.is_closed().await, "what is left of the body must not be taken for a call");
    // A length that is only claimed is refused before it is sent.
    let mut claim = server.backend().await;
    claim
        .write(
            format!("POST {}?{} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", path(GET), Address::good().query()).as_bytes(),
        )
        .await;
    Told::of(claim.reply().await).refused(80002);
    // In chunks nobody knows the length beforehand.
    let mut chunks = server.backend().await;
    chunks
        .write(
            format!("POST {}?{} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path(GET), Address::good().query()).as_bytes(),
        )
        .await;
    let mut chunk = b"20000\r\n".to_vec();
    chunk.extend(vec![b' '; 0x20000]);
    chunk.extend(b"\r\n");
    for _ in 0..9 {
        chunks.write(&chunk).await;
    }
    Told::of(chunks.reply().await).refused(80002);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start().await;
    let mut slow = server.backend().await;
    slow.write(format!("POST {}?{} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{", path(GET), Address::good().query()).as_bytes())
        .await;
    let begun = Instant::now();
    let reply = slow.reply().await;
    assert_eq!(reply.status, 408, "{}", reply.head);
    assert!(begun.elapsed() > Duration::from_secs(5), "a slow line gets its time");
    assert!(slow.is_closed().await);
}

#[tokio::test]
async fn an_address_without_end_is_refused_where_it_comes_in() {
    let server = Server::start().await;
    let mut raw = RawClient::tcp(server.addr()).await;
    let target = format!("{}?{}&padding={}", path(GET), Address::good().query(), "x".repeat(100_000));
    raw.try_send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).await;
    let reply = raw.reply_head().await;
    assert!([414, 431].contains(&reply.status), "{}", reply.head);
}

/// The lines of the audit file, of which there must be so many.
async fn audit(server: &Server, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(server.folder().join("data/audit.log")).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if lines.len() >= count || begun.elapsed() > PATIENCE {
            assert_eq!(lines.len(), count, "{text}");
            assert!(!text.contains("eJ"), "a UserSig is never written down");
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn each_change_is_written_down_once() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    let create =
        json!({"Type": "Public", "Name": "a room", "GroupId": "room", "Owner_Account": "boss", "MemberList": [{"Member_Account": "anna"}]});
    backend.call("create_group", create.clone()).await.ok();
    backend.call("create_group", create).await.refused(10025);
    backend.update("room", "Set", &[("a", 1), ("b", 2)]).await.ok();
    backend.call_once("op", "update_group_counter", update("room", "Increase", &[("a", i64::from(u32::MAX))])).await.ok();
    backend.call_once("op", "update_group_counter", update("room", "Increase", &[("a", i64::from(u32::MAX))])).await.ok();
    backend.update("room", "Increase", &[("a", i64::MAX)]).await.refused(10004);
    backend.call("delete_group_counter", json!({"GroupId": "room", "GroupCounterKeys": ["b", "x"]})).await.ok();
    backend.call("delete_group_counter", json!({"GroupId": "room", "GroupCounterKeys": ["b"]})).await.ok();
    let people = |names: &[&str]| names.iter().map(|name| json!({"Member_Account": name})).collect::<Vec<_>>();
    backend.call("add_group_member", json!({"GroupId": "room", "MemberList": people(&["anna", "bert"])})).await.ok();
    backend.call("add_group_member", json!({"GroupId": "room", "MemberList": people(&["anna"])})).await.ok();
    backend.call("delete_group_member", json!({"GroupId": "room", "MemberToDel_Account": ["bert", "nobody"]})).await.ok();
    backend.call("delete_group_member", json!({"GroupId": "room", "MemberToDel_Account": ["bert"]})).await.ok();
    backend.call("account_import", json!({"UserID": "carl"})).await.ok();
    backend.call("account_import", json!({"UserID": "carl"})).await.ok();
    backend.call("kick", json!({"UserID": "carl"})).await.ok();
    backend.call("destroy_group", json!({"GroupId": "room"})).await.ok();
    backend.call("get_group_info", json!({"GroupIdList": ["room"]})).await.ok();
    let lines = audit(&server, 9).await;
    let told: Vec<Value> = lines
        .iter()
        .map(|line| {
            assert_eq!(line["admin"], ADMIN);
            assert!(line["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{line}");
            assert!(line["time"].as_u64().is_some_and(|time| time > 1_700_000_000_000), "Unix milliseconds: {line}");
            json!([line["command"], line["group"], line["before"], line["after"]])
        })
        .collect();
    let many = 1 + i64::from(u32::MAX);
    let expected = json!([
        ["create_group", "room", null, {"type": "Public", "owner": "boss", "members": 2}],
        ["update_group_counter", "room", {}, {"a": 1, "b": 2}],
        ["update_group_counter", "room", {"a": 1}, {"a": many}],
        ["delete_group_counter", "room", {"b": 2}, {}],
        ["add_group_member", "room", null, {"added": ["bert"]}],
        ["delete_group_member", "room", {"removed": ["bert"]}, null],
        ["account_import", null, null, {"imported": "carl"}],
        ["kick", null, {"user": "carl", "connections": 0}, null],
        ["destroy_group", "room", {"type": "Public", "owner": "boss", "members": 2}, null],
    ]);
    assert_eq!(json!(told), expected);
}

#[tokio::test]
async fn the_audit_file_may_lie_elsewhere_and_be_moved_away() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("who did what.jsonl");
    let server = Setup::new().set("rest.audit_path", file.to_str().expect("UTF-8")).start().await;
    let mut backend = server.backend().await;
    let lines = async |count: usize| {
        let begun = Instant::now();
        while std::fs::read_to_string(&file).unwrap_or_default().lines().count() != count {
            assert!(begun.elapsed() < PATIENCE, "there are not {count} lines");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    backend.create("Public", "one").await;
    lines(1).await;
    std::fs::rename(&file, folder.path().join("yesterday.jsonl")).expect("it can be moved");
    server.signal("HUP");
    lines(0).await;
    backend.create("Public", "two").await;
    lines(1).await;
}

#[tokio::test]
async fn calls_are_counted_by_command_and_code() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.create("Public", "room").await;
    for _ in 0..3 {
        backend.update("room", "Increase", &[("a", 1)]).await.ok();
    }
    backend.update("nowhere", "Increase", &[("a", 1)]).await.refused(10010);
    let metrics = RawClient::http(server.addr(), "/metrics").await.body;
    let line = |command: &str, code: u32, count: u32| {
        let found = metrics.lines().any(|line| {
            line.starts_with("tallycast_rest_answers_total{")
                && line.contains(&format!("command=\"{command}\""))
                && line.contains(&format!("code=\"{code}\""))
                && line.ends_with(&format!(" {count}"))
        });
        let told: Vec<_> = metrics.lines().filter(|line| line.contains("rest_answers")).collect();
        assert!(found, "no {command} {code} {count} in {told:?}");
    };
    line("create_group", 0, 1);
    line("update_group_counter", 0, 3);
    line("update_group_counter", 10010, 1);
}
