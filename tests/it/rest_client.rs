//! A back end that talks to the gateway: a small HTTP/1.1 client over one kept-alive connection, written for these tests so that
//! every byte of a request is theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::raw::Reply;
use crate::server::{ADMIN, PATIENCE, SDK_APP_ID, Server};
use crate::usersig::sign;

/// The parameters of the address, to be changed one by one.
#[derive(Clone)]
pub struct Address(BTreeMap<&'static str, String>);

impl Address {
    /// Those of a call that passes every check.
    pub fn good() -> Self {
        Self::of(ADMIN)
    }

    pub fn of(user: &str) -> Self {
        let all = [
            ("sdkappid", SDK_APP_ID.to_string()),
            ("identifier", user.to_owned()),
            ("usersig", sign(user)),
            ("random", "4294967295".to_owned()),
            ("contenttype", "json".to_owned()),
        ];
        Self(all.into())
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.insert(name, value.to_string());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    pub fn query(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

pub struct Backend {
    addr: SocketAddr,
    stream: TcpStream,
    unread: Vec<u8>,
    query: String,
}

impl Backend {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        Self { addr, stream, unread: Vec::new(), query: Address::good().query() }
    }

    /// The same connection, under another address.
    pub fn under(mut self, address: &Address) -> Self {
        self.query = address.query();
        self
    }

    /// Calls a command, whose service is told from its name, and returns its answer.
    pub async fn call(&mut self, command: &str, body: Value) -> Told {
        self.call_text(command, &body.to_string()).await
    }

    /// The same with a body as it stands.
    pub async fn call_text(&mut self, command: &str, body: &str) -> Told {
        self.call_with(command, "", body).await
    }

    /// The same with further header lines, each ended by CR LF.
    pub async fn call_with(&mut self, command: &str, headers: &str, body: &str) -> Told {
        let path = format!("{}?{}", path(command), self.query);
        Told::of(self.send("POST", &path, headers, body.as_bytes()).await)
    }

    /// A write under a name, so that it may be sent again.
    pub async fn call_once(&mut self, key: &str, command: &str, body: Value) -> Told {
        self.call_with(command, &format!("Idempotency-Key: {key}\r\n"), &body.to_string()).await
    }

    /// One request of any form, and its answer. No `Content-Type` unless `headers` has one.
    pub async fn send(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n", self.addr, body.len());
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        // A server that has heard enough may answer before it has all of it.
        let _ = timeout(PATIENCE, self.stream.write_all(&bytes)).await.expect("the request can be sent in time");
        self.reply().await
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the bytes can be sent");
    }

    /// The same where the other side may have heard enough.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the bytes can be sent in time");
    }

    pub async fn reply(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill().await, "the connection ended before an answer: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("a head in ASCII");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"));
        let mut reply = Reply { status, head, body: String::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < length {
            assert!(self.fill().await, "the connection ended within an answer");
        }
        reply.body = String::from_utf8(self.unread.drain(..length).collect()).expect("UTF-8");
        reply
    }

    /// True where the other side has ended the connection.
    pub async fn is_closed(&mut self) -> bool {
        !self.fill().await
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16384];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("something comes in time") {
            Ok(n) if n > 0 => self.unread.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
        true
    }

    // ---- calls that dialogues make again and again ----

    /// Creates a group with nothing but what is needed.
    pub async fn create(&mut self, kind: &str, group: &str) {
        self.call("create_group", json!({"Type": kind, "Name": "a room", "GroupId": group, "ApplyJoinOption": "FreeAccess"})).await.ok();
    }

    pub async fn update(&mut self, group: &str, mode: &str, counters: &[(&str, i64)]) -> Told {
        self.call("update_group_counter", update(group, mode, counters)).await
    }

    pub async fn counters(&mut self, group: &str) -> Value {
        let answer = self.call("get_group_counter", json!({"GroupId": group})).await.ok();
        as_object(&answer["GroupCounter"])
    }
}

impl Server {
    /// A back end of this server's app.
    pub async fn backend(&self) -> Backend {
        Backend::connect(self.addr()).await
    }
}

/// The path of a command.
pub fn path(command: &str) -> String {
    let of_accounts = ["account_import", "account_check", "kick"].contains(&command);
    format!("/v4/{}/{command}", if of_accounts { "im_open_login_svc" } else { "group_open_http_svc" })
}

pub fn update(group: &str, mode: &str, counters: &[(&str, i64)]) -> Value {
    let list: Vec<Value> = counters.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"GroupId": group, "GroupCounter": list, "Mode": mode})
}

/// A list of `Key` and `Value` as an object.
pub fn as_object(list: &Value) -> Value {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|pair| (pair["Key"].as_str().expect("a key").to_owned(), pair["Value"].clone())).collect()
}

/// An answer in the vendor's shape.
#[derive(Debug, Clone)]
pub struct Told(pub Value);

impl Told {
    /// Checks what every answer has, whatever came of the call.
    #[track_caller]
    pub fn of(reply: Reply) -> Self {
        assert_eq!(reply.status, 200, "{}{}", reply.head, reply.body);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-allow-headers"), Some("X-Requested-With"));
        assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("not JSON: {}", reply.body));
        let code = answer["ErrorCode"].as_u64().unwrap_or_else(|| panic!("no ErrorCode: {answer}"));
        assert_eq!(answer["ActionStatus"], if code == 0 { "OK" } else { "FAIL" }, "{answer}");
        assert_eq!(answer["ErrorInfo"].as_str().map(str::is_empty), Some(code == 0), "{answer}");
        Self(answer)
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.0["ErrorCode"], 0, "{}", self.0);
        self.0
    }

    /// A refusal, which has the three common fields and nothing else; its words are returned.
    #[track_caller]
    pub fn refused(self, code: u32) -> String {
        assert_eq!(self.0["ErrorCode"], code, "{}", self.0);
        assert_eq!(self.0.as_object().map(|fields| fields.len()), Some(3), "{}", self.0);
        self.0["ErrorInfo"].as_str().expect("words").to_owned()
    }

    /// A refusal with 10004 that names the field at fault.
    #[track_caller]
    pub fn names(self, field: &str) {
        let words = self.refused(10004);
        assert!(words.contains(field), "the field {field} is not named: {words}");
    }
}
