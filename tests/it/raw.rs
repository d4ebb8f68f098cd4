//! A client over plain TCP, for what no well-behaved library would send: hand-made frames, fragments, half heads,
//! and a reader that does not read.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::PATIENCE;
use crate::usersig::sign;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;
const FIN: u8 = 0x80;

pub struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The head of an HTTP answer and what came with it.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl RawClient {
    pub async fn tcp(addr: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        Self { stream, unread: Vec::new() }
    }

    /// A connection whose kernel keeps as little unread as it may, so that not reading is soon felt.
    pub async fn narrow(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a buffer size");
        socket.connect(&addr.into()).expect("a connection");
        socket.set_nonblocking(true).expect("a mode");
        let stream = TcpStream::from_std(socket.into()).expect("a TCP stream");
        Self { stream, unread: Vec::new() }
    }

    /// A connection that has passed the WebSocket handshake.
    pub async fn upgraded(addr: SocketAddr) -> Self {
        let mut client = Self::tcp(addr).await;
        client.upgrade(addr).await;
        client
    }

    /// The same, logged in.
    pub async fn user(addr: SocketAddr, user: &str) -> Self {
        let mut client = Self::upgraded(addr).await;
        client.login(user).await;
        client
    }

    pub async fn upgrade(&mut self, addr: SocketAddr) {
        self.send(upgrade_head(addr, "").as_bytes()).await;
        let reply = self.reply_head().await;
        assert_eq!(reply.status, 101, "{}", reply.head);
    }

    pub async fn login(&mut self, user: &str) {
        let login = json!({"id": 0, "cmd": "login", "userID": user, "userSig": sign(user)});
        let answer = self.ask(&login.to_string()).await;
        assert_eq!(answer["code"], 0, "{answer}");
    }

    // ---- sending ----

    pub async fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes).await, "the bytes could not be sent");
    }

    /// False where the other side has had enough, which the tests of faults expect.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends as much as the pipe takes without being read. False where that was not all.
    pub async fn send_some(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(Duration::from_millis(500), self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    pub async fn frame(&mut self, opcode: u8, payload: &[u8]) {
        self.send(&frame(true, opcode, payload)).await;
    }

    /// A part of a message that is not its last.
    pub async fn part(&mut self, opcode: u8, payload: &[u8]) {
        self.send(&frame(false, opcode, payload)).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes()).await;
    }

    /// Sends a text and returns the next text that is no event.
    pub async fn ask(&mut self, text: &str) -> Value {
        self.text(text).await;
        self.next_answer().await
    }

    pub async fn next_answer(&mut self) -> Value {
        loop {
            let frame = self.next_text().await;
            if frame.get("event").is_none() {
                return frame;
            }
        }
    }

    pub async fn next_text(&mut self) -> Value {
        let text = self.next_raw_text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    pub async fn next_raw_text(&mut self) -> String {
        loop {
            match self.next_frame().await {
                Some((TEXT, payload)) => return String::from_utf8(payload).expect("UTF-8"),
                Some((PING | PONG, _)) => {}
                other => panic!("waited for a text, got {other:?}"),
            }
        }
    }

    // ---- reading ----

    /// The next frame's opcode and payload, or none where the stream ended or broke.
    pub async fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, payload, used)) = parse(&self.unread) {
                self.unread.drain(..used);
                return Some((opcode, payload));
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    async fn read_more(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match timeout(PATIENCE, self.stream.read(&mut chunk)).await.expect("something comes in time") {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&chunk[..count]);
                true
            }
        }
    }

    /// Whatever comes before it, a close frame with this code comes, and then the end of the stream; the frames before
    /// it are returned as texts, with the reason last.
    pub async fn expect_close(&mut self, code: u16) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            match self.next_frame().await {
                Some((TEXT, payload)) => texts.push(String::from_utf8(payload).expect("UTF-8")),
                Some((CLOSE, payload)) => {
                    assert!(payload.len() >= 2, "a close frame without a code");
                    let seen = u16::from_be_bytes([payload[0], payload[1]]);
                    let reason = String::from_utf8(payload[2..].to_vec()).expect("UTF-8");
                    assert_eq!(seen, code, "closed for another reason: {reason}");
                    texts.push(reason);
                    break;
                }
                Some((PING | PONG, _)) => {}
                other => panic!("no close frame, waited for {code}: {other:?} after {texts:?}"),
            }
        }
        assert!(self.ends().await, "bytes after the close frame");
        texts
    }

    /// True where nothing but the end follows.
    pub async fn ends(&mut self) -> bool {
        while self.read_more().await {}
        self.unread.is_empty()
    }

    // ---- HTTP ----

    /// Sends a request and reads the whole answer up to the end of the stream.
    pub async fn http(addr: SocketAddr, path: &str) -> Reply {
        let mut client = Self::tcp(addr).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        client.reply().await
    }

    /// Asks for an upgrade with more header lines and returns the answer, whatever it is.
    pub async fn upgrade_with(addr: SocketAddr, lines: &str) -> Reply {
        let mut client = Self::tcp(addr).await;
        client.send(upgrade_head(addr, lines).as_bytes()).await;
        client.reply_head().await
    }

    pub async fn reply_head(&mut self) -> Reply {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                let head = String::from_utf8_lossy(&head).into_owned();
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                return Reply { status: status.unwrap_or_else(|| panic!("no status: {head}")), head, body: String::new() };
            }
            let more = self.read_more().await;
            assert!(more, "the stream ended within a head: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    pub async fn reply(&mut self) -> Reply {
        let mut reply = self.reply_head().await;
        while self.read_more().await {}
        reply.body = String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned();
        reply
    }

    /// The status and the body of an answer after which others may follow.
    pub async fn whole_reply(&mut self) -> (u16, String) {
        let reply = self.reply_head().await;
        let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < length {
            assert!(self.read_more().await, "the stream ended within an answer");
        }
        (reply.status, String::from_utf8(self.unread.drain(..length).collect()).expect("UTF-8"))
    }

    /// Whether the other side has broken the connection off, though it was not read to the end.
    pub fn is_reset(&self) -> bool {
        self.stream.take_error().expect("a socket").is_some()
    }

    /// False when the stream has ended; what comes before is dropped.
    pub async fn still_open(&mut self) -> bool {
        self.unread.clear();
        self.read_more().await
    }

    /// True as soon as there is something to read, or the end.
    pub async fn readable_within(&self, wait: Duration) -> bool {
        timeout(wait, self.stream.readable()).await.is_ok()
    }
}

pub fn upgrade_head(addr: SocketAddr, lines: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A masked frame as a client must send it.
pub fn frame(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(last, opcode, payload.len() as u64);
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// The first bytes of a masked frame that says it is `length` long; the mask is still to come.
pub fn header(last: bool, opcode: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![opcode | if last { FIN } else { 0 }];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// One unmasked, whole frame at the head of the bytes: opcode, payload, bytes used.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(first & 0xf0, FIN, "the server sends whole frames without reserved bits");
    assert_eq!(second & 0x80, 0, "the server does not mask");
    let (length, start) = match second {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let end = start + usize::try_from(length).ok()?;
    Some((first & 0x0f, bytes.get(start..end)?.to_vec(), end))
}
