//! The loop that accepts connections, the one that looks at the time, and the end of both.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::Door;
use super::connection::{Connection, serve};
use super::handshake::{self, Wanted};
use super::head::{self, HeadFault};
use super::session::Session;
use crate::protocol::close::Close;
use crate::seldom;

/// How often connections are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often a draining door looks for connections that may be closed.
const DRAIN_TICK: Duration = Duration::from_millis(2);
/// Wait after the process has run out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);
/// A stalled member should find fresh values when it reads again, so the kernel gets no more than this in advance.
const UNSENT_BYTES_MAX: u32 = 4096;
/// Time that clients are told to stay away from a server that is stopping, and to spread their return over.
const COME_BACK_AFTER: u64 = 1000;
const COME_BACK_SPREAD: u64 = 4000;

/// Whoever speaks plain HTTP on this port: gets the connection with what was read of it.
pub trait Http {
    /// Serves the connection until its end.
    fn serve(&self, stream: TcpStream, early: Vec<u8>, peer: SocketAddr) -> impl Future<Output = ()>;
}

impl Door {
    /// Accepts until the node drains.
    pub async fn accept<H: Http + 'static>(self: Rc<Self>, listener: TcpListener, http: Rc<H>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (door, http) = (self.clone(), http.clone());
                    spawn_local(async move { door.receive(stream, peer, http).await });
                }
                Err(e) if is_passing(&e) => {}
                Err(e) => {
                    tracing::warn!("cannot accept connections at the moment: {e}");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }

    /// Looks at deadlines for ever.
    pub async fn keep_time(self: Rc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = Instant::now();
            for connection in self.due(now) {
                connection.tick(now);
            }
            self.shard.sweep();
            if self.shard.index == 0 {
                let limits = &self.shard.node.limits;
                self.shard.node.users.sweep([limits.writes, limits.reads], self.shard.node.micros(now));
                self.gate.addresses.sweep(now);
                seldom::tell_rest();
            }
        }
    }

    /// Closes each connection of this shard, once everything it asked for is answered.
    pub async fn drain(&self) {
        loop {
            let all = self.all();
            if all.is_empty() {
                return;
            }
            for connection in all.iter().filter(|connection| connection.bell.in_flight.get() == 0) {
                connection.close(Close::stopping(COME_BACK_AFTER, COME_BACK_SPREAD));
            }
            tokio::time::sleep(DRAIN_TICK).await;
        }
    }

    /// Serves a connection until its end. It counts as one of its address from its first moment on, whatever it will be: who
    /// sends half a request holds a descriptor like anybody else.
    async fn receive<H: Http>(self: Rc<Self>, stream: TcpStream, peer: SocketAddr, http: Rc<H>) {
        // A listener of both families sees IPv4 addresses dressed as IPv6.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if !self.gate.addresses.enter(peer.ip()) {
            let text = "your address has as many connections as it may";
            return Box::pin(head::refuse(stream, "503 Service Unavailable", "Retry-After: 5\r\n", text)).await;
        }
        // What shakes hands is larger than what serves a connection, and ends before it: each has a task of its own.
        match self.attend(stream, peer, http).await {
            Some((connection, early)) => drop(spawn_local(serve(connection, early))),
            None => self.gate.addresses.leave(peer.ip()),
        }
    }

    /// Shakes hands, and sees through to the end whatever is no WebSocket.
    async fn attend<H: Http>(self: &Rc<Self>, mut stream: TcpStream, peer: SocketAddr, http: Rc<H>) -> Option<(Rc<Connection>, Vec<u8>)> {
        match self.shake_hands(&mut stream).await {
            Ok(early) => match self.seat(stream, peer.ip()) {
                Ok(connection) => return Some((connection, early)),
                Err(e) => {
                    self.gate.connections.fetch_sub(1, Ordering::Relaxed);
                    tracing::debug!("cannot take a connection over: {e}");
                }
            },
            Err(None) => {}
            Err(Some(Other::Http(bytes))) => Box::pin(http.serve(stream, bytes, peer)).await,
            Err(Some(Other::Refuse(status, extra, text))) => Box::pin(head::refuse(stream, status, extra, text)).await,
        }
        None
    }

    async fn shake_hands(&self, stream: &mut TcpStream) -> Result<Vec<u8>, Option<Other>> {
        let refuse = |status, extra, text| Some(Other::Refuse(status, extra, text));
        let read = head::read(stream, &self.gate.limits, &self.turnstile).await.map_err(|fault| match fault {
            HeadFault::Gone => None,
            HeadFault::Late => refuse("408 Request Timeout", "", "the request head was not complete in time"),
            HeadFault::TooLarge => refuse("431 Request Header Fields Too Large", "", "the request head is too large"),
            HeadFault::Malformed => refuse("400 Bad Request", "", "this is no HTTP/1.1 request"),
        })?;
        let wanted = handshake::look(&read.bytes[..read.len], &self.gate.origins);
        if self.shard.node.draining.load(Ordering::Relaxed) {
            return Err(refuse("503 Service Unavailable", "Retry-After: 5\r\n", "this server is stopping"));
        }
        let accept = match wanted {
            Wanted::Http => return Err(Some(Other::Http(read.bytes))),
            Wanted::Refused(status, extra, text) => return Err(refuse(status, extra, text)),
            Wanted::Socket(accept) => accept,
        };
        let max = self.gate.limits.connections_max;
        if self.gate.connections.fetch_add(1, Ordering::Relaxed) >= max && max > 0 {
            self.gate.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(refuse("503 Service Unavailable", "Retry-After: 5\r\n", "this server has as many connections as it can hold"));
        }
        if tokio::io::AsyncWriteExt::write_all(stream, accept.as_bytes()).await.is_err() {
            self.gate.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(None);
        }
        Ok(read.bytes[read.len..].to_vec())
    }

    fn seat(self: &Rc<Self>, stream: TcpStream, address: IpAddr) -> io::Result<Rc<Connection>> {
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        let (id, bell) = self.shard.outboxes.borrow_mut().open(self.shard.index, stream);
        let session = Session::new(Instant::now()).into();
        let connection = Rc::new(Connection { door: self.clone(), address, session, bell, id: id.into() });
        self.enter(id.slot, connection.clone());
        self.shard.metrics().connections.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }
}

enum Other {
    Http(Vec<u8>),
    Refuse(&'static str, &'static str, &'static str),
}

/// Errors of one connection that was gone before it was accepted.
fn is_passing(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(e.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
