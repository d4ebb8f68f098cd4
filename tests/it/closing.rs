//! How it ends when the server stops: every accepted write is answered, and everybody is told when to come back.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant};

use crate::commands::increase;
use crate::raw::{CLOSE, RawClient, TEXT, frame};
use crate::rest_client::Address;
use crate::server::{Server, Setup};

fn assert_invitation(reason: &str) {
    let reason: Value = serde_json::from_str(reason).unwrap_or_else(|_| panic!("the reason is JSON: {reason}"));
    assert!(reason["after"].is_u64() && reason["spread"].is_u64(), "{reason}");
}

#[tokio::test]
async fn a_stopping_server_says_when_to_come_back() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let mut nobody = server.connect().await;
    let room = ann.create("ChatRoom").await;
    ann.increase(&room, "like", 1).await.ok();
    server.signal("TERM");
    assert_invitation(&ann.expect_close(1012).await);
    assert_invitation(&nobody.expect_close(1012).await);
    drop((ann, nobody));
    assert_eq!(server.exit().await.code(), Some(0));
    assert!(TcpStream::connect(server.addr()).await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn an_interrupt_is_as_good_as_a_termination() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    server.signal("INT");
    assert_invitation(&ann.expect_close(1012).await);
    assert_eq!(server.exit().await.code(), Some(0));
}

#[tokio::test]
async fn all_that_was_accepted_is_answered_before_the_end() {
    let mut server = Setup::new().unthrottled().start().await;
    let mut writers = Vec::new();
    let room = server.user("ann").await.create("ChatRoom").await;
    for n in 0..5 {
        let mut writer = server.user(&format!("writer-{n}")).await;
        writer.join(&room).await.ok();
        writers.push(writer);
    }
    for writer in &mut writers {
        for _ in 0..200 {
            writer.send(increase(&room, "like", 1)).await;
        }
    }
    server.signal("TERM");
    let mut answered = 0;
    for writer in &mut writers {
        writer.expect_close(1012).await;
        for answer in writer.unfetched() {
            assert_eq!(answer["code"], 0, "{answer}");
            answered += 1;
        }
    }
    assert_eq!(server.exit().await.code(), Some(0));
    server.again().await;
    let mut ann = server.user("ann").await;
    let data = ann.get(&room).await.ok();
    assert_eq!(data["version"], answered, "as many writes are kept as were answered");
    assert_eq!(data["counters"]["like"].as_u64().unwrap_or(0), answered);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_delays_the_end_by_little() {
    let mut server = Server::start().await;
    let mut deaf = RawClient::user(server.addr(), "ann").await;
    let mut half = RawClient::tcp(server.addr()).await;
    half.send(b"GET /ws HTTP/1.1\r\n").await;
    let begun = Instant::now();
    server.signal("TERM");
    while deaf.next_frame().await.expect("a close frame").0 != CLOSE {}
    assert_eq!(server.exit().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start().await;
    let mut deaf = RawClient::user(server.addr(), "ann").await;
    server.signal("TERM");
    while deaf.next_frame().await.expect("a close frame").0 != CLOSE {}
    let begun = Instant::now();
    server.signal("TERM");
    server.exit().await;
    assert!(begun.elapsed() < Duration::from_millis(500), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_close_of_a_client_is_answered() {
    let server = Server::start().await;
    for code in [1000u16, 1001, 3000, 4999] {
        let mut raw = RawClient::user(server.addr(), "ann").await;
        raw.frame(CLOSE, &code.to_be_bytes()).await;
        raw.expect_close(code).await;
    }
    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.frame(CLOSE, b"").await;
    let (opcode, _) = raw.next_frame().await.expect("the answer to a close");
    assert_eq!(opcode, CLOSE);
    assert!(raw.ends().await);
}

#[tokio::test]
async fn what_was_said_before_a_fault_is_done() {
    let server = Setup::new().unthrottled().start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    let create = json!({"id": 1, "cmd": "createGroup", "type": "ChatRoom", "name": "a", "groupID": "room"});
    assert_eq!(raw.ask(&create.to_string()).await["code"], 0);
    let mut bytes = Vec::new();
    for id in 0..5 {
        let mut request = increase("room", "like", 1);
        request["id"] = json!(id);
        bytes.extend(crate::raw::frame(true, crate::raw::TEXT, request.to_string().as_bytes()));
    }
    bytes.extend(crate::raw::frame(true, crate::raw::BINARY, b"x"));
    raw.send(&bytes).await;
    raw.expect_close(1003).await;
    let mut ann = server.user("ann").await;
    assert_eq!(ann.counters("room").await, json!({"like": 5}), "what was said before the fault was heard");
}

#[tokio::test]
async fn no_thread_ends_before_those_that_wait_for_it() {
    for round in 0..5 {
        let mut server = Setup::new().unthrottled().set("shards", 4).start().await;
        let mut ann = server.user("ann").await;
        let mut rooms = Vec::new();
        for _ in 0..8 {
            rooms.push(ann.create("ChatRoom").await);
        }
        ann.leave().await;
        let mut raw = RawClient::user(server.addr(), "ann").await;
        let mut bytes = Vec::new();
        for n in 0..4_000 {
            let mut request = increase(&rooms[n % 8], "like", 1);
            request["id"] = json!(n);
            bytes.extend(crate::raw::frame(true, crate::raw::TEXT, request.to_string().as_bytes()));
        }
        raw.send(&bytes).await;
        let begun = Instant::now();
        server.signal("TERM");
        raw.expect_close(1012).await;
        assert_eq!(server.exit().await.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(5), "round {round} took {:?}", begun.elapsed());
    }
}

/// A back end that adds 1 again and again until nobody answers any more; says how often it was told that it is done.
async fn add_until_the_end(addr: std::net::SocketAddr) -> u64 {
    let mut backend = TcpStream::connect(addr).await.expect("a connection");
    let path = format!("/v4/group_open_http_svc/update_group_counter?{}", Address::good().query());
    let body = json!({"GroupId": "room", "Mode": "Increase", "GroupCounter": [{"Key": "like", "Value": 1}]}).to_string();
    let request = format!("POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut answered = 0;
    loop {
        let mut answer = Vec::new();
        if backend.write_all(request.as_bytes()).await.is_err() {
            return answered;
        }
        while !answer.ends_with(b"}") {
            match backend.read_buf(&mut answer).await {
                Ok(n) if n > 0 => {}
                _ => return answered,
            }
        }
        answered += u64::from(String::from_utf8_lossy(&answer).contains("\"ErrorCode\":0"));
    }
}

#[tokio::test]
async fn what_back_ends_wrote_is_answered_before_the_end() {
    for round in 0..5 {
        let mut server = Setup::new().unthrottled().set("rest.calls_per_second_max", 0).start().await;
        server.user("ann").await.create_as("ChatRoom", "room").await.ok();
        let backends: Vec<_> = (0..8).map(|_| tokio::spawn(add_until_the_end(server.addr()))).collect();
        tokio::time::sleep(Duration::from_millis(100 + round)).await;
        let begun = Instant::now();
        server.signal("TERM");
        assert_eq!(server.exit().await.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        let mut answered = 0;
        for backend in backends {
            answered += backend.await.expect("a back end");
        }
        server.again().await;
        let version = server.user(crate::server::ADMIN).await.get("room").await.ok()["version"].clone();
        assert_eq!(version, answered, "round {round}: as many writes are kept as were answered");
    }
}

/// Asks until the answer has this status.
async fn until_ready_is(addr: std::net::SocketAddr, status: u16) {
    let begun = Instant::now();
    while RawClient::http(addr, "/readyz").await.status != status {
        assert!(begun.elapsed() < crate::server::PATIENCE, "/readyz never says {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_balancer_has_time_to_see_that_it_stops() {
    let mut server = Setup::new().set("drain.wait", "2s").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    until_ready_is(server.addr(), 200).await;
    let begun = Instant::now();
    server.signal("TERM");
    until_ready_is(server.addr(), 503).await;
    assert_eq!(RawClient::http(server.addr(), "/readyz").await.json()["causes"][0]["cause"], "draining");
    assert!(RawClient::http(server.addr(), "/metrics").await.body.contains("\ntallycast_draining 1\n"));
    // Everything is served still, newcomers too.
    let mut ben = server.user("ben").await;
    ben.join(&room).await.ok();
    assert_eq!(ben.increase(&room, "like", 1).await.ok()["value"], 1);
    ann.expect_push(&room, "like", 1).await;
    assert_eq!(server.backend().await.counters(&room).await, json!({"like": 1}));
    assert_invitation(&ann.expect_close(1012).await);
    assert_invitation(&ben.expect_close(1012).await);
    assert!(begun.elapsed() >= Duration::from_secs(2), "it did not wait: {:?}", begun.elapsed());
    assert_eq!(server.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_and_everything_else() {
    let mut server = Setup::new().set("drain.wait", "1h").start().await;
    server.signal("TERM");
    until_ready_is(server.addr(), 503).await;
    server.signal("HUP");
    server.user("ann").await.ask(json!({"cmd": "ping"})).await.ok();
    server.signal("INT");
    assert_eq!(server.exit().await.code(), Some(1));
}

#[tokio::test]
async fn nothing_follows_the_answer_to_a_close() {
    // One shard: then an answer that needs no disk is always ready a moment after its question.
    let server = Setup::new().set("shards", 1).start().await;
    let room = server.user("ann").await.create("AVChatRoom").await;
    let mut bob = RawClient::user(server.addr(), "bob").await;
    let ask = json!({"id": 1, "cmd": "getGroupOnlineMemberCount", "groupID": room}).to_string();
    let mut bytes = frame(true, TEXT, ask.as_bytes()).repeat(5);
    bytes.extend(frame(true, CLOSE, &1000u16.to_be_bytes()));
    bob.send(&bytes).await;
    bob.expect_close(1000).await;
}
