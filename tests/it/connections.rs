//! Deadlines and numbers of connections: who is let in, who must go, and after how long.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::client::Client;
use crate::raw::{PING, PONG, RawClient};
use crate::rest_client::{Address, path};
use crate::server::{Server, Setup};
use crate::usersig::{Sig, unix_now};

#[tokio::test]
async fn who_does_not_log_in_in_time_is_closed_with_4004() {
    let server = Setup::new().limit("login_deadline", "400ms").start().await;
    let mut ann = server.user("ann").await;
    let begun = Instant::now();
    let mut nobody = server.connect().await;
    nobody.ask(json!({"cmd": "ping"})).await.ok();
    nobody.expect_close(4004).await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "closed too early");
    // Her login was before his handshake: if the deadline held for her too, she would be gone by now.
    ann.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn the_deadline_begins_again_with_a_logout() {
    let server = Setup::new().limit("login_deadline", "400ms").start().await;
    let mut ann = server.user("ann").await;
    let mut late = server.connect().await;
    late.expect_close(4004).await;
    let begun = Instant::now();
    ann.ask(json!({"cmd": "logout"})).await.ok();
    ann.ask(json!({"cmd": "ping"})).await.ok();
    ann.expect_close(4004).await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "closed too early");

    let mut again = server.user("ann").await;
    again.ask(json!({"cmd": "logout"})).await.ok();
    again.login("ann").await.ok();
    server.connect().await.expect_close(4004).await;
    again.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn who_does_not_answer_pings_is_closed_with_4001() {
    let server = Setup::new().limit("ping_every", "200ms").limit("pong_deadline", "300ms").start().await;
    let mut deaf = RawClient::user(server.addr(), "ann").await;
    let mut alive = server.user("ben").await;
    let begun = Instant::now();
    let (_, ()) = tokio::join!(
        async {
            assert_eq!(deaf.next_frame().await.map(|(opcode, _)| opcode), Some(PING), "a ping goes out");
            deaf.expect_close(4001).await;
        },
        // Somebody who only answers pings, which his library does while he reads, stays all the time.
        async {
            loop {
                if tokio::time::timeout(Duration::from_millis(1_500), alive.hear()).await.is_err() {
                    break;
                }
            }
        }
    );
    assert!(begun.elapsed() >= Duration::from_millis(400), "closed before the pong was due");
    alive.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn a_pong_is_enough_to_be_heard() {
    let server = Setup::new().limit("ping_every", "150ms").limit("pong_deadline", "300ms").start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    let mut pings = 0;
    while pings < 5 {
        let (opcode, payload) = raw.next_frame().await.expect("the connection stays");
        assert_eq!(opcode, PING);
        raw.frame(PONG, &payload).await;
        pings += 1;
    }
    assert_eq!(raw.ask(r#"{"id":1,"cmd":"ping"}"#).await["code"], 0);
}

#[tokio::test]
async fn the_oldest_connection_of_a_user_gives_way_with_4503() {
    let server = Setup::new().limit("connections_per_user_max", 2).start().await;
    let mut ben = server.user("ben").await;
    let mut first = server.user("ann").await;
    let mut second = server.user("ann").await;
    let mut third = server.user("ann").await;
    first.expect_close(4503).await;
    let mut fourth = server.user("ann").await;
    second.expect_close(4503).await;
    for client in [&mut third, &mut fourth, &mut ben] {
        client.ask(json!({"cmd": "ping"})).await.ok();
    }
    // A place that is given back is a place: no one has to go for the next.
    let room = ben.create("ChatRoom").await;
    third.join(&room).await.ok();
    fourth.leave().await;
    let mut fifth = server.user("ann").await;
    fifth.increase(&room, "like", 1).await.ok();
    third.expect_push(&room, "like", 1).await;
}

#[tokio::test]
async fn sixteen_connections_of_a_user_unless_told_otherwise() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..17 {
        clients.push(server.user("ann").await);
    }
    clients[0].expect_close(4503).await;
    for client in &mut clients[1..] {
        client.ask(json!({"cmd": "ping"})).await.ok();
    }

    let open = Setup::new().limit("connections_per_user_max", 0).start().await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(open.user("ann").await);
    }
    for client in &mut clients {
        client.ask(json!({"cmd": "ping"})).await.ok();
    }
}

#[tokio::test]
async fn beyond_the_number_of_connections_in_all_there_is_503() {
    let server = Setup::new().limit("connections_max", 5).start().await;
    let mut clients = Vec::new();
    for n in 0..5 {
        clients.push(server.user(&format!("user-{n}")).await);
    }
    let reply = RawClient::upgrade_with(server.addr(), "").await;
    assert_eq!(reply.status, 503);
    let wait = reply.header("Retry-After").and_then(|value| value.parse::<u32>().ok());
    assert!(wait.is_some_and(|seconds| seconds >= 1), "{}", reply.head);
    for client in &mut clients {
        client.ask(json!({"cmd": "ping"})).await.ok();
    }
    clients.pop().expect("there are five").leave().await;
    let begun = Instant::now();
    loop {
        if Client::try_connect(server.addr()).await.is_ok() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "the place is never free again");
    }
}

#[tokio::test]
async fn loopback_is_exempt_from_the_number_for_each_address() {
    let server = Setup::new().limit("connections_per_address_max", 2).start().await;
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(server.user(&format!("user-{n}")).await);
    }
    for client in &mut clients {
        client.ask(json!({"cmd": "ping"})).await.ok();
    }
}

/// An address of this machine that is not loopback, where it has one.
fn elsewhere() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this only asks which way it would go.
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[tokio::test]
async fn half_a_handshake_counts_as_a_connection_of_its_address() {
    let Some(address) = elsewhere() else { return };
    let server = Setup::new().set("listen", "0.0.0.0:0").limit("connections_per_address_max", 3).start().await;
    let addr = SocketAddr::new(address, server.addr().port());
    let mut half = Vec::new();
    for begun in ["", "GET /ws HTTP/1.1\r\n", "POST /v4/group_open_http_svc/create_group HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"]
    {
        let mut client = RawClient::tcp(addr).await;
        client.send(begun.as_bytes()).await;
        half.push(client);
    }
    // The threads of the server take connections in no order.
    let deadline = Instant::now() + Duration::from_secs(4);
    loop {
        let reply = RawClient::upgrade_with(addr, "").await;
        if reply.status == 503 {
            assert!(reply.header("Retry-After").is_some(), "{}", reply.head);
            break;
        }
        assert!(Instant::now() < deadline, "{}", reply.head);
    }
    drop(half);
    while RawClient::upgrade_with(addr, "").await.status != 101 {
        assert!(Instant::now() < deadline, "those who left still count");
    }
}

#[tokio::test]
async fn loopback_is_loopback_in_either_family() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let server = Setup::new().set("listen", "[::]:0").limit("connections_per_address_max", 1).start().await;
    let addr = SocketAddr::from(([127, 0, 0, 1], server.addr().port()));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(RawClient::upgraded(addr).await);
    }
}

/// Comes as often as there is time for and stays until it is thrown out; says how often each of its connections was told so.
async fn comes_and_is_thrown_out(addr: SocketAddr, until: u64) -> Vec<usize> {
    let mut crowd = Vec::new();
    while crowd.len() < 900 {
        let mut raw = RawClient::upgraded(addr).await;
        let now = unix_now();
        if now + 2 > until {
            break;
        }
        let sig = Sig::of("ann").time(now).expire(until - now).encode();
        let answer = raw.ask(&json!({"id": 0, "cmd": "login", "userID": "ann", "userSig": sig}).to_string()).await;
        assert_eq!(answer["code"], 0, "{answer}");
        crowd.push(raw);
    }
    let mut told = Vec::new();
    for raw in &mut crowd {
        told.push(raw.expect_close(4501).await.iter().filter(|text| text.contains("KICKED_OUT")).count());
    }
    told
}

#[tokio::test]
async fn who_is_thrown_out_is_told_so_once() {
    let server = Setup::new().set("shards", 1).limit("connections_per_user_max", 0).limit("login_deadline", "1m").start().await;
    // All sigs end at once: then it takes the server a while to let everybody go.
    let until = unix_now() + 12;
    let crowd: Vec<_> = (0..8).map(|_| tokio::spawn(comes_and_is_thrown_out(server.addr(), until))).collect();
    let mut told = Vec::new();
    for part in crowd {
        told.extend(part.await.expect("no panic"));
    }
    assert!(told.len() > 500, "only {} came in time", told.len());
    let wrong = told.iter().filter(|times| **times != 1).count();
    assert_eq!(wrong, 0, "of {} clients", told.len());
}

#[tokio::test]
async fn a_slow_reader_is_alive_as_long_as_it_reads() {
    let setup = Setup::new().unthrottled().limit("ping_every", "300ms").limit("pong_deadline", "400ms");
    let server = setup.limit("stall_deadline", "5s").start().await;
    let mut slow = RawClient::narrow(server.addr()).await;
    slow.upgrade(server.addr()).await;
    slow.login("ann").await;
    let room = json!({"id": 1, "cmd": "createGroup", "type": "ChatRoom", "name": "a", "groupID": "room"});
    assert_eq!(slow.ask(&room.to_string()).await["code"], 0);
    let keys: serde_json::Map<_, _> = (0..20).map(|n| (format!("{n}{}", "k".repeat(120)), json!(n))).collect();
    let set = json!({"id": 2, "cmd": "setGroupCounters", "groupID": "room", "counters": keys});
    assert_eq!(slow.ask(&set.to_string()).await["code"], 0);
    // Some 400 KB of answers, read at 100 KB a second: no ping comes through in time, and every one is answered.
    let mut requests = Vec::new();
    for id in 0..160 {
        requests.extend(crate::raw::frame(
            true,
            crate::raw::TEXT,
            format!(r#"{{"id":{id},"cmd":"getGroupCounters","groupID":"room"}}"#).as_bytes(),
        ));
    }
    slow.send(&requests).await;
    let mut answers = 0;
    while answers < 160 {
        match slow.next_frame().await.expect("it stays") {
            (PING, payload) => slow.frame(PONG, &payload).await,
            (crate::raw::TEXT, payload) => {
                answers += usize::from(!payload.starts_with(b"{\"event\""));
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            (opcode, payload) => panic!("{opcode}: {}", String::from_utf8_lossy(&payload)),
        }
    }
}

#[tokio::test]
async fn who_is_kicked_again_and_again_is_told_so_once() {
    let server = Setup::new().set("rest.calls_per_second_max", 0).start().await;
    let mut wrong = 0;
    for round in 0..20 {
        let user = format!("user-{round}");
        let mut ann = RawClient::user(server.addr(), &user).await;
        let body = json!({"UserID": user}).to_string();
        let target = format!("{}?{}", path("kick"), Address::good().query());
        let call = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut backend = RawClient::tcp(server.addr()).await;
        backend.send(call.repeat(16).as_bytes()).await;
        let told = ann.expect_close(4504).await.iter().filter(|text| text.contains("KICKED_OUT")).count();
        wrong += usize::from(told != 1);
    }
    assert_eq!(wrong, 0, "of 20");
}
