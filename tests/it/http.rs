//! The way to the socket: the HTTP head before the upgrade, its limits, and who may come from where.

use crate::raw::{RawClient, upgrade_head};
use crate::server::{Server, Setup};
use tokio::time::{Duration, Instant};

#[tokio::test]
async fn an_upgrade_follows_rfc_6455() {
    let server = Server::start().await;
    let reply = RawClient::upgrade_with(server.addr(), "").await;
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(reply.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
    assert!(reply.header("Sec-WebSocket-Extensions").is_none(), "no extension was asked for");

    // A head that comes byte by byte is a head all the same.
    let mut slow = RawClient::tcp(server.addr()).await;
    for byte in upgrade_head(server.addr(), "").bytes() {
        slow.send(&[byte]).await;
    }
    assert_eq!(slow.reply_head().await.status, 101);

    let plain = RawClient::http(server.addr(), "/ws").await;
    assert!((400..500).contains(&plain.status), "no upgrade was asked for: {}", plain.head);
    let missing = RawClient::http(server.addr(), "/no/such/page").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_first_frame_may_come_with_the_head() {
    let server = Server::start().await;
    let mut raw = RawClient::tcp(server.addr()).await;
    let mut bytes = upgrade_head(server.addr(), "").into_bytes();
    bytes.extend(crate::raw::frame(true, crate::raw::TEXT, br#"{"id":1,"cmd":"ping"}"#));
    raw.send(&bytes).await;
    assert_eq!(raw.reply_head().await.status, 101);
    assert_eq!(raw.next_text().await["code"], 0);
}

#[tokio::test]
async fn without_a_list_only_the_same_host_is_an_allowed_origin() {
    let server = Server::start().await;
    let addr = server.addr();
    for (origin, status) in [
        (format!("http://{addr}"), 101),
        ("http://evil.example".to_owned(), 403),
        (format!("http://127.0.0.1:{}", addr.port().wrapping_add(1)), 403),
        (format!("http://{addr}.evil.example"), 403),
        ("null".to_owned(), 403),
        (String::new(), 403),
    ] {
        let reply = RawClient::upgrade_with(addr, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(reply.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_list_of_allowed_origins() {
    let server = Setup::new().set("security.allowed_origins", vec!["https://app.example"]).start().await;
    for (origin, status) in [
        ("https://app.example", 101),
        ("http://app.example", 403),
        ("https://app.example:8443", 403),
        ("https://app.example.evil.example", 403),
        ("https://evil.example", 403),
    ] {
        let reply = RawClient::upgrade_with(server.addr(), &format!("Origin: {origin}\r\n")).await;
        assert_eq!(reply.status, status, "{origin}");
    }
    assert_eq!(RawClient::upgrade_with(server.addr(), "").await.status, 101, "no browser, no origin");

    let open = Setup::new().set("security.allowed_origins", vec!["*"]).start().await;
    let reply = RawClient::upgrade_with(open.addr(), "Origin: https://anywhere.example\r\n").await;
    assert_eq!(reply.status, 101);
}

#[tokio::test]
async fn a_head_that_is_not_complete_in_time_gets_408() {
    let server = Setup::new().limit("handshake_deadline", "300ms").start().await;
    let mut half = RawClient::tcp(server.addr()).await;
    let begun = Instant::now();
    half.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: web").await;
    let reply = half.reply().await;
    assert_eq!(reply.status, 408, "{}", reply.head);
    assert!(begun.elapsed() >= Duration::from_millis(300));

    // Dripping on does not buy more time.
    let mut drip = RawClient::tcp(server.addr()).await;
    drip.send(b"GET /ws HTTP/1.1\r\nX: ").await;
    let begun = Instant::now();
    while !drip.readable_within(Duration::from_millis(20)).await {
        drip.try_send(b"x").await;
        assert!(begun.elapsed() < Duration::from_secs(5), "a dripping head is never given up");
    }
    assert_eq!(drip.reply_head().await.status, 408);

    // One who says nothing at all is not kept either.
    let mut silent = RawClient::tcp(server.addr()).await;
    while silent.still_open().await {}
}

#[tokio::test]
async fn a_head_too_large_gets_431() {
    let server = Server::start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(17 * 1024));
    assert_eq!(RawClient::upgrade_with(server.addr(), &long).await.status, 431);
    let many: String = (0..65).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(RawClient::upgrade_with(server.addr(), &many).await.status, 431);

    let mut endless = RawClient::tcp(server.addr()).await;
    endless.try_send(format!("GET /{} ", "x".repeat(20 * 1024)).as_bytes()).await;
    let status = endless.reply().await.status;
    assert!([414, 431].contains(&status), "{status}");

    let fair: String = (0..40).map(|n| format!("X-{n}: {}\r\n", "y".repeat(200))).collect();
    assert_eq!(RawClient::upgrade_with(server.addr(), &fair).await.status, 101);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_closed() {
    let server = Server::start().await;
    let mut raw = RawClient::tcp(server.addr()).await;
    raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n").await;
    let reply = raw.reply().await;
    assert_eq!(reply.status, 400, "{}", reply.head);
    for lines in ["Sec-WebSocket-Version: 12", "Upgrade: h2c"] {
        let mut raw = RawClient::tcp(server.addr()).await;
        let head = upgrade_head(server.addr(), "");
        let name = lines.split(':').next().expect("a name");
        let changed: String = head
            .split_inclusive("\r\n")
            .map(|line| if line.starts_with(&format!("{name}:")) { format!("{lines}\r\n") } else { line.to_owned() })
            .collect();
        raw.send(changed.as_bytes()).await;
        let status = raw.reply_head().await.status;
        assert!((400..500).contains(&status), "{lines}: {status}");
    }
}
