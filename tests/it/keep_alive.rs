//! Plain HTTP connections that are kept: how long, what may follow on them, and what becomes of those who do not read.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, sleep};

use crate::raw::{RawClient, TEXT, frame, upgrade_head};
use crate::rest_client::{Address, Told, path};
use crate::server::{PATIENCE, Server, Setup};

#[tokio::test]
async fn a_handshake_may_follow_other_requests() {
    let server = Server::start().await;
    let addr = server.addr();
    let mut pooled = RawClient::tcp(addr).await;
    let call =
        format!("POST {}?{} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 2\r\n\r\n{{}}", path("get_group_info"), Address::good().query());
    for request in [format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\n\r\n"), call] {
        pooled.send(request.as_bytes()).await;
        let (status, _) = pooled.whole_reply().await;
        assert_eq!(status, 200);
    }
    // The first frame may be on its way already.
    let mut bytes = upgrade_head(addr, "").into_bytes();
    bytes.extend(frame(true, TEXT, br#"{"id":1,"cmd":"ping"}"#));
    pooled.send(&bytes).await;
    let reply = pooled.reply_head().await;
    assert_eq!(reply.status, 101, "{}", reply.head);
    assert_eq!(reply.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(reply.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")), "{}", reply.head);
    assert!(reply.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{}", reply.head);
    assert_eq!(pooled.next_text().await, json!({"id": 1, "code": 0, "data": {}}));
    pooled.login("ann").await;
    let room = json!({"id": 2, "cmd": "createGroup", "type": "ChatRoom", "name": "a", "groupID": "room"});
    assert_eq!(pooled.ask(&room.to_string()).await["code"], 0);
    pooled.frame(crate::raw::BINARY, b"x").await;
    pooled.expect_close(1003).await;
}

#[tokio::test]
async fn a_later_handshake_is_judged_like_a_first_one() {
    let server = Server::start().await;
    let addr = server.addr();
    let mut pooled = RawClient::tcp(addr).await;
    pooled.send(format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await;
    pooled.whole_reply().await;
    for (lines, status) in [("Origin: http://evil.example\r\n", 403), ("Sec-WebSocket-Protocol: x\r\nOrigin: null\r\n", 403)] {
        pooled.send(upgrade_head(addr, lines).as_bytes()).await;
        assert_eq!(pooled.whole_reply().await.0, status);
    }
    pooled.send(format!("GET /ws HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await;
    assert_eq!(pooled.whole_reply().await.0, 426);
    pooled.send(format!("POST /ws HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
    assert_eq!(pooled.whole_reply().await.0, 405);
    pooled.send(upgrade_head(addr, "").as_bytes()).await;
    assert_eq!(pooled.reply_head().await.status, 101);
}

#[tokio::test]
async fn a_connection_is_kept_longer_than_a_head_may_take() {
    let server = Setup::new().limit("handshake_deadline", "200ms").start().await;
    let addr = server.addr();
    let get = format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\n\r\n");
    let mut kept = RawClient::tcp(addr).await;
    kept.send(get.as_bytes()).await;
    kept.whole_reply().await;
    // Somebody who came later and says nothing is told to go: by then the deadline of a head is over for the first, too.
    let mut silent = RawClient::tcp(addr).await;
    assert_eq!(silent.reply_head().await.status, 408);
    kept.send(get.as_bytes()).await;
    assert_eq!(kept.whole_reply().await.0, 200);
    // A later head has the deadline of a first one.
    kept.send(b"GET /healthz HTT").await;
    assert_eq!(kept.reply_head().await.status, 408);

    let server = Setup::new().limit("keep_alive", "200ms").start().await;
    let mut kept = RawClient::tcp(server.addr()).await;
    kept.send(get.as_bytes()).await;
    kept.whole_reply().await;
    assert!(kept.ends().await, "a connection without a request is not kept for ever");
}

/// Asks for more than the pipes hold and reads none of it, until the server takes nothing more from it either.
async fn deaf(server: &Server) -> RawClient {
    let mut client = RawClient::narrow(server.addr()).await;
    let get = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nX-Padding: {}\r\n\r\n", server.addr(), "x".repeat(8_000));
    let many = get.repeat(100);
    while client.send_some(many.as_bytes()).await {}
    client
}

#[tokio::test]
async fn who_takes_no_answer_is_closed() {
    let server = Setup::new().limit("stall_deadline", "500ms").start().await;
    let deaf = deaf(&server).await;
    let begun = Instant::now();
    while !deaf.is_reset() {
        assert!(begun.elapsed() < PATIENCE, "a client that never reads is kept");
        sleep(Duration::from_millis(10)).await;
    }
    // Who reads slowly, but reads, is served.
    let mut slow = RawClient::narrow(server.addr()).await;
    let get = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
    slow.send(get.repeat(50).as_bytes()).await;
    for _ in 0..50 {
        sleep(Duration::from_millis(20)).await;
        assert_eq!(slow.whole_reply().await.0, 200);
    }
}

/// The kernel alone would take megabytes in advance, and then nothing for as long as a slow reader needs for them.
#[tokio::test]
async fn who_reads_slowly_is_served_however_much_is_asked_for() {
    const REQUESTS: usize = 600;
    let server = Setup::new().limit("stall_deadline", "1s").start().await;
    let mut slow = RawClient::narrow(server.addr()).await;
    let get = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
    slow.send(get.repeat(REQUESTS).as_bytes()).await;
    for _ in 0..40 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(slow.whole_reply().await.0, 200);
    }
    for _ in 40..REQUESTS {
        assert_eq!(slow.whole_reply().await.0, 200);
    }
}

#[tokio::test]
async fn who_takes_no_answer_does_not_delay_the_end() {
    let calm = {
        let mut server = Server::start().await;
        let begun = Instant::now();
        server.signal("TERM");
        server.exit().await;
        begun.elapsed()
    };
    let mut server = Server::start().await;
    let all = tokio::join!(deaf(&server), deaf(&server), deaf(&server));
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit().await.code(), Some(0));
    let took = begun.elapsed();
    assert!(took < calm + Duration::from_millis(1_500), "{took:?} instead of {calm:?}");
    drop(all);
}

/// A client that sends all it has before it reads, as most do.
async fn sends_all_first(server: &Server, request: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut stream = tokio::net::TcpStream::connect(server.addr()).await?;
    for piece in request.chunks(16 * 1024) {
        stream.write_all(piece).await?;
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time")?;
    Ok(answer)
}

#[tokio::test]
async fn an_early_answer_reaches_those_who_send_all_first() {
    let server = Server::start().await;
    let good = Address::good().query();
    let body = " ".repeat(3 << 20);
    let chunked: String = (0..24).map(|_| format!("20000\r\n{}\r\n", " ".repeat(0x20000))).collect();
    let target = path("get_group_info");
    for (head, body, code) in [
        (format!("POST {target}?{good} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()), &body, 80002),
        (format!("POST {target}?{good} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), &chunked, 80002),
        (format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"), &body[..1_000_000].to_owned(), 60012),
        (format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), &chunked, 60012),
    ] {
        let request = [head.as_bytes(), body.as_bytes()].concat();
        for round in 0..20 {
            let answer = sends_all_first(&server, &request).await;
            let answer = answer.unwrap_or_else(|fault| panic!("{code}, round {round}: {fault}"));
            assert!(String::from_utf8_lossy(&answer).contains(&code.to_string()), "{}", String::from_utf8_lossy(&answer));
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_the_body_of_a_call_that_is_refused() {
    let server = Server::start().await;
    let before = server.memory();
    let mut all = Vec::new();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", path("get_group_info"), 1 << 20);
    for _ in 0..200 {
        let mut backend = server.backend().await;
        backend.try_write(head.as_bytes()).await;
        backend.try_write(&vec![b' '; (1 << 20) - 1]).await;
        all.push(backend);
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 32 * 1024, "200 strangers cost {grown} KiB");
    for mut backend in all {
        Told::of(backend.reply().await).refused(60012);
    }
    // What is only announced is not waited for, and `100 Continue` is not said to it.
    let mut asks = server.backend().await;
    asks.write(head.replace("Host: x", "Host: x\r\nExpect: 100-continue").as_bytes()).await;
    Told::of(asks.reply().await).refused(60012);
}

#[tokio::test]
async fn bodies_that_are_read_have_so_much_memory_and_no_more() {
    let server = Server::start().await;
    let head = format!(
        "POST {}?{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        path("get_group_counter"),
        Address::good().query(),
        1 << 20
    );
    let mut body = br#"{"GroupId":"nowhere"}"#.to_vec();
    body.resize(1 << 20, b' ');
    let round = async || {
        let mut all = Vec::new();
        for _ in 0..150 {
            let mut backend = server.backend().await;
            let (head, body) = (head.clone(), body.clone());
            all.push(tokio::spawn(async move {
                backend.write(head.as_bytes()).await;
                backend.write(&body[..body.len() - 1]).await;
                backend
            }));
        }
        let begun = Instant::now();
        // As much as fits is read; the others wait.
        let mut peak = 0;
        while begun.elapsed() < Duration::from_secs(1) {
            peak = peak.max(server.memory());
            sleep(Duration::from_millis(10)).await;
        }
        for task in all {
            task.abort();
        }
        peak
    };
    let before = server.memory();
    let first = round().await - before;
    assert!(first < 110 * 1024, "bodies cost {first} KiB");
    for _ in 0..3 {
        round().await;
    }
    // A call is served again at once, and the memory is given back.
    Told::of(server.backend().await.send("POST", &format!("{}?{}", path("get_group_counter"), Address::good().query()), "", &body).await)
        .refused(10010);
    let begun = Instant::now();
    while server.memory() > before + 40 * 1024 {
        assert!(begun.elapsed() < PATIENCE, "{} KiB of {} are kept", server.memory() - before, first);
        sleep(Duration::from_millis(20)).await;
    }
}
