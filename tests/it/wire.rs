//! Faults on the wire: frames that break RFC 6455 or the limits. Each ends the connection with a close frame that arrives.

use std::net::SocketAddr;

use serde_json::json;
use tokio::time::{Duration, sleep};

use crate::raw::{BINARY, CLOSE, CONTINUATION, PING, PONG, RawClient, TEXT, frame, header};
use crate::server::{Server, Setup};

const BEFORE_LOGIN: usize = 8 * 1024;
const AFTER_LOGIN: usize = 32 * 1024;

/// A ping of exactly so many bytes.
fn ping_of(bytes: usize) -> String {
    let empty = json!({"id": 1, "cmd": "ping", "pad": ""}).to_string();
    json!({"id": 1, "cmd": "ping", "pad": "x".repeat(bytes - empty.len())}).to_string()
}

async fn still_fine(client: &mut RawClient) {
    assert_eq!(client.ask(r#"{"id":"fine","cmd":"ping"}"#).await, json!({"id": "fine", "code": 0, "data": {}}));
}

#[tokio::test]
async fn control_frames_are_answered_and_fragments_put_together() {
    let server = Server::start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.frame(PING, b"are you there").await;
    assert_eq!(raw.next_frame().await, Some((PONG, b"are you there".to_vec())));
    raw.frame(PONG, b"nobody asked").await;

    // A name in the middle of a letter, with a control frame between the parts.
    let text = r#"{"id":"ü","cmd":"ping"}"#.as_bytes();
    raw.part(TEXT, &text[..8]).await;
    raw.part(CONTINUATION, b"").await;
    raw.frame(PING, b"between").await;
    raw.frame(CONTINUATION, &text[8..]).await;
    assert_eq!(raw.next_frame().await, Some((PONG, b"between".to_vec())));
    assert_eq!(raw.next_text().await, json!({"id": "ü", "code": 0, "data": {}}));

    // A frame that comes byte by byte, and two that come in one piece.
    for byte in frame(true, TEXT, br#"{"id":1,"cmd":"ping"}"#) {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.next_text().await["id"], 1);
    let mut two = frame(true, TEXT, br#"{"id":2,"cmd":"ping"}"#);
    two.extend(frame(true, TEXT, br#"{"id":3,"cmd":"ping"}"#));
    raw.send(&two).await;
    assert_eq!((raw.next_text().await["id"].as_u64(), raw.next_text().await["id"].as_u64()), (Some(2), Some(3)));
    raw.frame(CLOSE, &1000u16.to_be_bytes()).await;
    raw.expect_close(1000).await;
}

#[tokio::test]
async fn a_binary_frame_ends_in_1003() {
    let server = Server::start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.frame(BINARY, br#"{"id":1,"cmd":"ping"}"#).await;
    raw.expect_close(1003).await;
    let mut nobody = RawClient::upgraded(server.addr()).await;
    nobody.frame(BINARY, b"").await;
    nobody.expect_close(1003).await;
    let mut client = server.user("ann").await;
    client.say_bytes(&[1, 2, 3]).await;
    client.expect_close(1003).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_ends_in_1007() {
    let server = Server::start().await;
    for bad in [&b"{\"id\":1,\"cmd\":\"\xff\"}"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
        let mut raw = RawClient::user(server.addr(), "ann").await;
        raw.frame(TEXT, bad).await;
        raw.expect_close(1007).await;
    }
    let mut raw = RawClient::user(server.addr(), "ann").await;
    raw.part(TEXT, b"{\"id\":\"\xc3").await;
    raw.frame(CONTINUATION, b"\"}").await;
    raw.expect_close(1007).await;
}

#[tokio::test]
async fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let server = Server::start().await;
    for (limit, user) in [(BEFORE_LOGIN, None), (AFTER_LOGIN, Some("ann"))] {
        let connect = async || match user {
            Some(user) => RawClient::user(server.addr(), user).await,
            None => RawClient::upgraded(server.addr()).await,
        };
        let mut raw = connect().await;
        assert_eq!(raw.ask(&ping_of(limit)).await["code"], 0);
        still_fine(&mut raw).await;
        raw.text(&ping_of(limit + 1)).await;
        raw.expect_close(1009).await;

        // The head alone is enough to be refused: the server neither waits for the rest nor makes room for it.
        for length in [limit as u64 + 1, 1 << 20, u64::from(u32::MAX), (1 << 62) + 5] {
            let mut raw = connect().await;
            let mut head = header(true, TEXT, length);
            head.extend_from_slice(&[0; 4]);
            raw.send(&head).await;
            raw.expect_close(1009).await;
        }
    }
}

#[tokio::test]
async fn the_larger_limit_begins_with_the_login_and_ends_with_the_logout() {
    let server = Server::start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    assert_eq!(raw.ask(&ping_of(BEFORE_LOGIN + 1)).await["code"], 0);
    assert_eq!(raw.ask(r#"{"id":2,"cmd":"logout"}"#).await["code"], 0);
    raw.text(&ping_of(BEFORE_LOGIN + 1)).await;
    raw.expect_close(1009).await;
}

#[tokio::test]
async fn a_message_in_parts_has_the_same_limit() {
    let server = Server::start().await;
    let text = ping_of(BEFORE_LOGIN);
    let mut raw = RawClient::upgraded(server.addr()).await;
    in_parts(&mut raw, text.as_bytes(), true).await;
    assert_eq!(raw.next_text().await["code"], 0);

    let text = ping_of(BEFORE_LOGIN + 1);
    let mut raw = RawClient::upgraded(server.addr()).await;
    in_parts(&mut raw, text.as_bytes(), true).await;
    raw.expect_close(1009).await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    in_parts(&mut raw, ping_of(AFTER_LOGIN + 1).as_bytes(), false).await;
    raw.expect_close(1009).await;
}

async fn in_parts(raw: &mut RawClient, bytes: &[u8], whole: bool) {
    let parts: Vec<&[u8]> = bytes.chunks(1000).collect();
    for (n, part) in parts.iter().enumerate() {
        let opcode = if n == 0 { TEXT } else { CONTINUATION };
        let last = whole && n + 1 == parts.len();
        if !raw.try_send(&frame(last, opcode, part)).await {
            return;
        }
    }
}

#[tokio::test]
async fn endless_parts_that_make_no_message_end_in_1009() {
    let server = Setup::new().limit("frames_per_second_max", 0).start().await;
    for payload in [&b""[..], b" "] {
        let mut raw = RawClient::upgraded(server.addr()).await;
        raw.part(TEXT, b"{").await;
        // Four times the limit on the wire, where twice is too much.
        let part = frame(false, CONTINUATION, payload);
        let all: Vec<u8> = part.iter().copied().cycle().take(part.len() * (4 * BEFORE_LOGIN / part.len())).collect();
        raw.try_send(&all).await;
        raw.expect_close(1009).await;
    }
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_in_1002() {
    let server = Server::start().await;
    let unmasked = b"\x81\x02{}".to_vec();
    let reserved_bit = {
        let mut f = frame(true, TEXT, b"{}");
        f[0] |= 0x40;
        f
    };
    let cases = [
        unmasked,
        reserved_bit,
        frame(true, 0x3, b"{}"),
        frame(true, 0xb, b""),
        frame(true, CONTINUATION, b"{}"),
        frame(false, PING, b""),
        [frame(false, TEXT, b"{"), frame(true, TEXT, b"}")].concat(),
        header(true, PING, 126),
    ];
    for bytes in cases {
        let mut raw = RawClient::user(server.addr(), "ann").await;
        raw.send(&bytes).await;
        raw.try_send(&[0; 4]).await;
        raw.expect_close(1002).await;
    }
}

#[tokio::test]
async fn too_many_frames_end_in_4010() {
    let server = Setup::new().limit("frames_per_second_max", 20).start().await;
    for kind in [Kind::Command, Kind::Ping, Kind::Pong, Kind::Part] {
        let mut raw = RawClient::user(server.addr(), "ann").await;
        for n in 0..300 {
            if !raw.try_send(&kind.frame(n)).await {
                break;
            }
        }
        raw.expect_close(4010).await;
    }
    let mut calm = RawClient::user(server.addr(), "ann").await;
    for _ in 0..19 {
        still_fine(&mut calm).await;
    }
}

enum Kind {
    Command,
    Ping,
    Pong,
    Part,
}

impl Kind {
    fn frame(&self, n: usize) -> Vec<u8> {
        match self {
            Kind::Command => frame(true, TEXT, br#"{"id":1,"cmd":"ping"}"#),
            Kind::Ping => frame(true, PING, b"x"),
            Kind::Pong => frame(true, PONG, b"x"),
            Kind::Part => frame(false, if n == 0 { TEXT } else { CONTINUATION }, b""),
        }
    }
}

#[tokio::test]
async fn a_client_that_vanishes_or_breaks_off_harms_nobody() {
    let server = Server::start().await;
    let addr: SocketAddr = server.addr();
    drop(RawClient::tcp(addr).await);
    drop(RawClient::upgraded(addr).await);
    let mut half = RawClient::user(addr, "ann").await;
    half.send(&header(true, TEXT, 100)).await;
    drop(half);
    let mut parts = RawClient::user(addr, "ann").await;
    parts.part(TEXT, b"{").await;
    drop(parts);
    let mut ann = server.user("ann").await;
    ann.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn what_is_said_while_a_slow_request_is_under_way_is_heard() {
    // The moment at which the next frame comes is the point: there is no event to wait for.
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    for n in 0..60u64 {
        let created = ann.send(json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a"})).await;
        sleep(Duration::from_micros(n * 20)).await;
        let pinged = ann.send(json!({"cmd": "ping"})).await;
        for id in [created, pinged] {
            ann.answer(id).await.ok();
        }
    }
}

#[tokio::test]
async fn many_answers_at_once_stop_nothing() {
    let server = Setup::new().unthrottled().start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    for round in 0..20 {
        let mut bytes = Vec::new();
        for n in 0..1_200u64 {
            let id = format!("{n:0>128}");
            bytes.extend(frame(true, TEXT, json!({"id": id, "cmd": "ping"}).to_string().as_bytes()));
        }
        raw.send(&bytes).await;
        for n in 0..1_200u64 {
            let id = raw.next_answer().await["id"].as_str().and_then(|id| id.parse::<u64>().ok());
            assert_eq!(id, Some(n), "round {round}");
        }
    }
}

#[tokio::test]
async fn nothing_follows_a_close_frame_that_has_to_wait() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut slow = RawClient::narrow(server.addr()).await;
    slow.upgrade(server.addr()).await;
    slow.login("ann").await;
    // More than fits into the pipe, then writes that are still to be committed when the fault is seen.
    let mut bytes = Vec::new();
    for n in 0..250 {
        let id = format!("{n:0>128}");
        bytes.extend(frame(true, TEXT, json!({"id": id, "cmd": "ping"}).to_string().as_bytes()));
    }
    for n in 0..10 {
        let request = json!({"id": n, "cmd": "increaseGroupCounter", "groupID": room, "key": "like", "value": 1});
        bytes.extend(frame(true, TEXT, request.to_string().as_bytes()));
    }
    bytes.extend(frame(true, BINARY, b"x"));
    slow.send(&bytes).await;
    ann.await_value(&room, "like", 10).await;
    slow.expect_close(1003).await;
}
