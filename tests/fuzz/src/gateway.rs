//! A whole gateway in this process, and what a stranger's socket sees of it: the doors are fuzzed as they stand, from the
//! first byte of a connection to the last.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use socket2::{Domain, Socket, Type};
use tallycast::auth::{Keyring, Secret};
use tallycast::config::Sources;
use tallycast::domain::name::UserId;
use tallycast::server::Server;
use tempfile::TempDir;

pub const APP: u64 = 1_400_000_000;
pub const ADMIN: &str = "administrator";
const SECRET: &str = "the secret of a gateway that is fuzzed";
/// No answer for so long is a fault. Generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Gateway {
    server: Option<Server>,
    _folder: TempDir,
    connections: u32,
}

impl Gateway {
    /// One with the defaults of the program, but for what would make an input's fate depend on those before it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let sources = Sources::new()
            .flag("fuzz", "listen", Some("127.0.0.1:0"))
            .flag("fuzz", "shards", Some("1"))
            .flag("fuzz", "app.sdk_app_id", Some(&APP.to_string()))
            .flag("fuzz", "app.secret_keys", Some(SECRET))
            .flag("fuzz", "app.admins", Some(ADMIN))
            .flag("fuzz", "store.path", Some(&path("store")))
            .flag("fuzz", "store.durability", Some("interval"))
            .flag("fuzz", "rest.audit_path", Some(&path("audit.log")))
            .flag("fuzz", "rest.calls_per_second_max", Some("0"))
            .flag("fuzz", "limits.counter_window", Some("0s"))
            .flag("fuzz", "limits.replay_window", Some("1s"));
        let config = sources.read().unwrap_or_else(|faults| panic!("{faults}"));
        let server = Server::start(&config, Router::new(), Arc::new(|words| panic!("{words}"))).expect("a gateway");
        Self { server: Some(server), _folder: folder, connections: 0 }
    }

    /// A connection, from an address of its own: a port that was just used is not free at once.
    pub fn connect(&mut self) -> Peer {
        self.connections = (self.connections + 1) % (1 << 16);
        let [_, _, high, low] = self.connections.to_be_bytes();
        let from = SocketAddr::from((Ipv4Addr::new(127, 77, high, low), 0));
        let connect = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&from.into())?;
            socket.connect(&self.server.as_ref().expect("it runs").address.into())?;
            socket.set_tcp_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok::<TcpStream, io::Error>(socket.into())
        };
        Peer { stream: connect().expect("a gateway takes connections"), ahead: Vec::new() }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(server) = self.server.take().filter(|_| !std::thread::panicking()) {
            server.stop().expect("a gateway stops well");
        }
    }
}

/// A UserSig that is good for a day.
pub fn sign(user: &str) -> String {
    let secret = Secret::new(SECRET).expect("it is not empty");
    let keyring = Keyring::new(APP, vec![secret]).expect("there is a secret");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    keyring.sign(&UserId::parse(user).expect("a name"), now, 86_400)
}

/// The other end of a connection.
pub struct Peer {
    stream: TcpStream,
    /// Read, and not taken yet.
    ahead: Vec<u8>,
}

impl Peer {
    /// Says something. False: the gateway does not listen any more.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(e) if is_end(&e) => false,
            Err(e) => panic!("the gateway does not read: {e}"),
        }
    }

    /// Nothing more will be said.
    pub fn end(&mut self) {
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads until so much is there as `enough` wants, which is shown all that was not taken. `None`: the gateway has ended
    /// the connection before.
    pub fn read<T>(&mut self, mut enough: impl FnMut(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((found, bytes)) = enough(&self.ahead) {
                self.ahead.drain(..bytes);
                return Some(found);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.ahead.extend_from_slice(&buffer[..n]),
                Err(e) if is_end(&e) => return None,
                // The fuzzer looks at its clock.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => panic!("the gateway says nothing: {e}, after {:?}", String::from_utf8_lossy(&self.ahead)),
            }
        }
    }

    /// Everything that is said until the end.
    pub fn rest(&mut self) -> Vec<u8> {
        let _: Option<()> = self.read(|_| None);
        std::mem::take(&mut self.ahead)
    }

    /// An HTTP response with its body, where its head tells of one.
    pub fn response(&mut self) -> Option<Response> {
        self.read(Response::parse)
    }
}

/// The connection is over, in one way or another.
fn is_end(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    pub closes: bool,
}

impl Response {
    /// A whole response at the beginning of these bytes, and its length.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let start = match head.parse(bytes).expect("what the gateway says is HTTP") {
            httparse::Status::Complete(start) => start,
            httparse::Status::Partial => return None,
        };
        let value = |name: &str| {
            let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let length = value("content-length").map_or(0, |length| length.parse().expect("a number"));
        let body = bytes.get(start..start + length)?.to_vec();
        let closes = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Some((Self { status: head.code.expect("a status"), body, closes }, start + length))
    }
}
