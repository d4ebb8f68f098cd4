//! The loop that accepts connections, the one that looks at the time, and the end of both.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, header};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::connection::{Connection, serve};
use super::handshake::{self, Rejection, Wanted};
use super::head::{self, HeadFault};
use super::session::Session;
use super::{Door, Taken};
use crate::metrics::{Refused, ShardMetrics};
use crate::seldom;

/// How often connections are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Wait after the process has run out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);
/// A stalled member should find fresh values when it reads again, so the kernel gets no more than this in advance.
const UNSENT_BYTES_MAX: u32 = 4096;

const FULL: Rejection = Rejection::come_back(Refused::Full, "this server has as many connections as it can hold");
const ADDRESS_FULL: Rejection = Rejection::come_back(Refused::Address, "your address has as many connections as it may");
const STOPPING: Rejection = Rejection::come_back(Refused::Draining, "this server is stopping");
const LATE: Rejection = Rejection::new(Refused::HeadLate, 408, "the request head was not complete in time");
const TOO_LARGE: Rejection = Rejection::new(Refused::HeadTooLarge, 431, "the request head is too large");
const MALFORMED: Rejection = Rejection::new(Refused::HeadMalformed, 400, "this is no HTTP/1.1 request");

/// Answers a request that wants a WebSocket; none where it wants something else.
pub type Handshake = Rc<dyn Fn(&Request<Incoming>) -> Option<Response<String>>>;

/// What is left of a connection when plain HTTP is done with it.
pub enum Rest {
    /// Nothing.
    Nothing,
    /// The next request head did not come in time.
    Late(TcpStream),
    /// The last answer was given before everything was read.
    Unread(TcpStream),
    /// The handshake said yes; these bytes came after it.
    Socket(TcpStream, Vec<u8>),
}

/// Whoever speaks plain HTTP on this port: gets the connection with what was read of it.
pub trait Http {
    /// Serves the connection until its end, or until it is to be a WebSocket.
    fn serve(&self, stream: TcpStream, early: Vec<u8>, peer: SocketAddr, handshake: Handshake) -> impl Future<Output = Rest>;
}

/// The next connection. It waits where none can be accepted: that passes, and those who are here are served meanwhile.
pub async fn accepted(listener: &TcpListener, metrics: &ShardMetrics) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            // A listener of both families sees IPv4 addresses dressed as IPv6.
            Ok((stream, peer)) => return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Err(e) => {
                metrics.accept_errors.add(1);
                if !is_passing(&e) {
                    seldom!(warn, ("accept", 0), "no connection can be accepted at the moment: {e}");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }
}

/// Sees to the end of a connection that plain HTTP is done with.
pub async fn finish(rest: Rest) -> Option<(TcpStream, Vec<u8>)> {
    match rest {
        Rest::Nothing => {}
        Rest::Late(stream) => head::refuse(stream, LATE).await,
        Rest::Unread(stream) => head::linger(stream).await,
        Rest::Socket(stream, early) => return Some((stream, early)),
    }
    None
}

impl Door {
    /// Accepts until the node stops. Nobody is left in the backlog: where there is no place, that is said to a few at a time, and
    /// the others are closed at once, so that the store never lacks a descriptor.
    pub async fn accept<H: Http + 'static>(self: Rc<Self>, listener: TcpListener, http: Rc<H>) {
        loop {
            let (stream, peer) = accepted(&listener, self.shard.metrics()).await;
            match self.gate.served.take() {
                None => self.turn_away(stream, peer, FULL),
                Some(_) if !self.gate.addresses.enter(peer.ip()) => self.turn_away(stream, peer, ADDRESS_FULL),
                Some(place) => {
                    let (door, http) = (self.clone(), http.clone());
                    spawn_local(async move { door.receive(stream, peer, place, http).await });
                }
            }
        }
    }

    fn turn_away(&self, stream: TcpStream, peer: SocketAddr, rejection: Rejection) {
        match self.gate.refused.take() {
            Some(place) => {
                self.count(peer, rejection);
                spawn_local(async move {
                    head::refuse(stream, rejection).await;
                    drop(place);
                });
            }
            None => {
                self.count(peer, Rejection { why: Refused::Ceiling, ..rejection });
                // The kernel, too, shall keep nothing of it.
                let _ = stream.set_zero_linger();
            }
        }
    }

    fn count(&self, peer: SocketAddr, Rejection { why, text, .. }: Rejection) {
        self.shard.metrics().refused(why);
        seldom!(info, ("refused", why as u32), %peer, reason = why.label(), "a connection was refused: {text}");
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
            self.shard.sweep(now);
            if self.shard.index == 0 {
                let limits = &self.shard.node.limits;
                self.shard.node.users.sweep(&limits.windows, self.shard.node.micros(now));
                self.gate.addresses.sweep(now);
                seldom::tell_rest();
            }
        }
    }

    /// Lets each connection of this shard close itself, once everything it asked for is answered. To be called when the node is
    /// stopping; waits for the last of them.
    pub async fn drain(&self) {
        self.connections.borrow().iter().flatten().for_each(|connection| connection.bell.ring());
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }

    /// Serves a connection until its end. It counts as one of its address from its first moment on, whatever it will be: who
    /// sends half a request holds a descriptor like anybody else.
    async fn receive<H: Http>(self: Rc<Self>, stream: TcpStream, peer: SocketAddr, place: Taken, http: Rc<H>) {
        let seated = match self.attend(stream, peer, http).await {
            None => None,
            Some((stream, early)) => match self.seat(stream, peer.ip(), place) {
                Ok(connection) => Some((connection, early)),
                Err(e) => {
                    tracing::debug!(%peer, "cannot take a connection over: {e}");
                    None
                }
            },
        };
        // What shakes hands is larger than what serves a connection, and ends before it: each has a task of its own.
        match seated {
            Some((connection, early)) => drop(spawn_local(serve(connection, early))),
            None => self.gate.addresses.leave(peer.ip()),
        }
    }

    /// Shakes hands, and sees through to the end whatever is no WebSocket.
    async fn attend<H: Http>(self: &Rc<Self>, mut stream: TcpStream, peer: SocketAddr, http: Rc<H>) -> Option<(TcpStream, Vec<u8>)> {
        match self.shake_hands(&mut stream).await {
            Ok(early) => Some((stream, early)),
            Err(None) => None,
            Err(Some(Other::Refuse(rejection))) => {
                self.count(peer, rejection);
                Box::pin(head::refuse(stream, rejection)).await;
                None
            }
            Err(Some(Other::Http(bytes))) => {
                let door = self.clone();
                let handshake: Handshake = Rc::new(move |request| door.answer(peer, request));
                let rest = Box::pin(http.serve(stream, bytes, peer, handshake)).await;
                if let Rest::Late(_) = rest {
                    self.count(peer, LATE);
                }
                let upgraded = Box::pin(finish(rest)).await;
                if upgraded.is_some() {
                    self.turnstile.pass().await;
                }
                upgraded
            }
        }
    }

    async fn shake_hands(&self, stream: &mut TcpStream) -> Result<Vec<u8>, Option<Other>> {
        let read = head::read(stream, &self.gate.limits, &self.turnstile).await.map_err(|fault| match fault {
            HeadFault::Gone => None,
            HeadFault::Late => Some(Other::Refuse(LATE)),
            HeadFault::TooLarge => Some(Other::Refuse(TOO_LARGE)),
            HeadFault::Malformed => Some(Other::Refuse(MALFORMED)),
        })?;
        let wanted = handshake::look(&read.bytes[..read.len], &self.gate.origins);
        let accept = match wanted {
            _ if self.is_stopping() => return Err(Some(Other::Refuse(STOPPING))),
            Wanted::Http => return Err(Some(Other::Http(read.bytes))),
            Wanted::Rejected(rejection) => return Err(Some(Other::Refuse(rejection))),
            Wanted::Socket(accept) => accept,
        };
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        match tokio::io::AsyncWriteExt::write_all(stream, response.as_bytes()).await {
            Ok(()) => Ok(read.bytes[read.len..].to_vec()),
            Err(_) => Err(None),
        }
    }

    /// Answers a handshake on a connection that has served other requests before, as proxies with pooled connections send it.
    fn answer(&self, peer: SocketAddr, request: &Request<Incoming>) -> Option<Response<String>> {
        let (status, headers, text) = match handshake::look_at(request, &self.gate.origins) {
            Wanted::Http => return None,
            Wanted::Socket(_) if self.is_stopping() => {
                self.count(peer, STOPPING);
                return Some(rejected(STOPPING));
            }
            Wanted::Rejected(rejection) => {
                self.count(peer, rejection);
                return Some(rejected(rejection));
            }
            Wanted::Socket(accept) => {
                let accept = HeaderValue::try_from(accept).ok()?;
                let upgrade = [(header::UPGRADE, HeaderValue::from_static("websocket"))];
                let connection = [(header::CONNECTION, HeaderValue::from_static("Upgrade")), (header::SEC_WEBSOCKET_ACCEPT, accept)];
                (StatusCode::SWITCHING_PROTOCOLS, upgrade.into_iter().chain(connection), String::new())
            }
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        Some(response)
    }

    fn is_stopping(&self) -> bool {
        self.shard.node.stopping.load(Ordering::Relaxed)
    }

    fn seat(self: &Rc<Self>, stream: TcpStream, address: IpAddr, place: Taken) -> io::Result<Rc<Connection>> {
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        let (id, bell) = self.shard.outboxes.borrow_mut().open(self.shard.index, stream);
        let session = Session::new(Instant::now()).into();
        let connection = Rc::new(Connection { door: self.clone(), address, session, bell, id: id.into(), _place: place });
        self.enter(id.slot, connection.clone());
        let metrics = self.shard.metrics();
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        metrics.opened.add(1);
        tracing::debug!(%address, connection = %id, "a connection is open");
        Ok(connection)
    }
}

enum Other {
    Http(Vec<u8>),
    Refuse(Rejection),
}

fn rejected(Rejection { status, header, text, .. }: Rejection) -> Response<String> {
    let mut response = Response::new(format!("{text}\n"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let own = header.and_then(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_static(value))));
    response.headers_mut().extend([kind].into_iter().chain(own));
    response
}

/// Errors of one connection that was gone before it was accepted.
fn is_passing(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(e.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
