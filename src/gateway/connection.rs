//! One WebSocket connection: reads frames, asks the session whether they may be, and tells groups. Its task wakes for what
//! comes in, and for going out only when the pipe was full.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::session::{Due, Login, Session};
use super::wire::Wire;
use super::{Door, Taken};
use crate::clock::unix_millis;
use crate::domain::code::{Code, Refusal};
use crate::group::outbox::{Bell, IN_FLIGHT_MAX};
use crate::group::{self, Ask, Command, Origin};
use crate::protocol::answer::{Data, put_answer};
use crate::protocol::close::Close;
use crate::protocol::frame;
use crate::protocol::push::{KickedOut, kicked_out};
use crate::protocol::request::{Body, Cmd, FieldLimits, Frame, Id};
use crate::users::ConnId;

/// Bytes of messages handled before others have their turn …
const BYTES_AT_ONCE: usize = 4096;
/// … of which each message takes so many at least, however short it is.
const BYTES_A_MESSAGE: usize = 128;
/// Time that clients are told to stay away from a server that is stopping, and to spread their return over.
const COME_BACK_AFTER: u64 = 1000;
const COME_BACK_SPREAD: u64 = 4000;
/// A larger read buffer is zero-filled at every read and stays resident.
const READ_BUFFER_BYTES: usize = 512;

/// One connection, as its task and the shard's sweep know it.
pub struct Connection {
    pub(super) door: Rc<Door>,
    pub(super) address: IpAddr,
    pub(super) session: RefCell<Session>,
    pub(super) bell: Rc<Bell>,
    pub(super) id: std::cell::Cell<ConnId>,
    /// Its place among all connections of this node.
    pub(super) _place: Taken,
}

/// Why a connection ends.
pub(super) enum Leave {
    /// The socket is gone, or the closing handshake is done.
    Gone,
    /// The server closes it.
    Close(Close),
}

/// What a connection at rest has waited for.
enum Awaited {
    Rung,
    Writable,
    Readable,
    Gone,
}

/// What a read has brought.
enum Next {
    /// Nothing more for now.
    Nothing,
    /// There may be more.
    More,
    /// A request that has to wait for something.
    Slow(Box<(Id, Body, Instant)>),
    /// The end.
    Leave(Leave),
}

type Socket = WebSocket<Wire>;

/// Serves a connection until its end. `early` are bytes read after the request head.
pub(super) async fn serve(connection: Rc<Connection>, early: Vec<u8>) {
    let (shard, slot) = (connection.door.shard.clone(), connection.id.get().slot);
    let Some(stream) = shard.outboxes.borrow().socket(slot).cloned() else { return };
    let mut wire = Wire::new(shard, slot, stream.clone(), &early);
    wire.unfinished_max = connection.unfinished_max();
    let mut socket = WebSocket::from_partially_read(wire, early, Role::Server, Some(connection.socket_config()));
    let leave = connection.clone().talk(&mut socket, &stream).await;
    // Whoever looks at the time has nothing more to say here, however long it takes to get through the turnstile.
    connection.bell.closing.borrow_mut().get_or_insert(Close::NORMAL);
    connection.door.turnstile.pass().await;
    connection.leave(&leave);
    // The library has the answer to a close frame ready. Nothing may follow it, so it is written now.
    let _ = socket.flush();
    drop(socket);
    Box::pin(connection.part(stream, leave)).await;
}

impl Connection {
    async fn talk(self: Rc<Self>, socket: &mut Socket, stream: &TcpStream) -> Leave {
        let slot = self.id.get().slot;
        let mut more = true;
        loop {
            if let Some(close) = self.bell.closing.borrow_mut().take() {
                return Leave::Close(close);
            }
            let shard = &self.door.shard;
            let (blocked, overfull) = (self.bell.blocked.get(), shard.outboxes.borrow().is_overfull(slot));
            let crowded = self.bell.in_flight.get() >= IN_FLIGHT_MAX || overfull;
            let stopping = shard.node.stopping.load(std::sync::atomic::Ordering::Relaxed);
            if stopping && self.bell.in_flight.get() == 0 {
                return Leave::Close(Close::stopping(COME_BACK_AFTER, COME_BACK_SPREAD));
            }
            let paused = crowded || stopping;
            if more && !paused {
                // What the library has read ahead is not announced by the socket again.
                match self.read(socket) {
                    Next::More => tokio::task::yield_now().await,
                    Next::Nothing => more = false,
                    Next::Leave(leave) => return leave,
                    Next::Slow(request) => {
                        self.door.turnstile.pass().await;
                        let (id, body, asked_at) = *request;
                        if let Err(leave) = Box::pin(self.clone().slow(id, body, asked_at, socket)).await {
                            return leave;
                        }
                    }
                }
                continue;
            }
            if overfull && !blocked {
                // It leaves with the shard's next turn, and where the pipe takes all of it nobody rings.
                tokio::task::yield_now().await;
                continue;
            }
            match self.wait(stream, blocked, !paused && !more).await {
                Awaited::Rung => {}
                Awaited::Writable => drop(shard.drain(slot)),
                Awaited::Readable => more = true,
                Awaited::Gone => return Leave::Gone,
            }
        }
    }

    /// Waits for the bell, for room in the pipe, or for something to read. By hand: what the runtime needs to let futures wait
    /// for each would be half of an idle connection's task.
    fn wait(&self, stream: &TcpStream, to_write: bool, to_read: bool) -> impl Future<Output = Awaited> {
        poll_fn(move |cx| {
            if self.bell.poll_rung(cx).is_ready() {
                return Poll::Ready(Awaited::Rung);
            }
            if to_write && let Poll::Ready(ready) = stream.poll_write_ready(cx) {
                return Poll::Ready(ready.map_or(Awaited::Gone, |()| Awaited::Writable));
            }
            if to_read && let Poll::Ready(ready) = stream.poll_read_ready(cx) {
                return Poll::Ready(ready.map_or(Awaited::Gone, |()| Awaited::Readable));
            }
            Poll::Pending
        })
    }

    /// Handles frames until none is left, or others should have their turn.
    fn read(&self, socket: &mut Socket) -> Next {
        let now = Instant::now();
        socket.get_mut().look_again();
        let mut handled = 0;
        while handled < BYTES_AT_ONCE {
            if self.bell.in_flight.get() >= IN_FLIGHT_MAX {
                return Next::More;
            }
            let message = socket.read();
            let wire = socket.get_mut();
            if let Err(close) = self.session.borrow_mut().frames(wire.scan.frames, &self.door.gate.limits, now) {
                return Next::Leave(Leave::Close(close));
            }
            let message = match message {
                Ok(message) => message,
                Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    return match (wire.is_endless(), wire.scan.has_long_control) {
                        (true, _) => Next::Leave(Leave::Close(Close::TOO_BIG)),
                        (_, true) => Next::Leave(Leave::Close(Close::PROTOCOL)),
                        _ => Next::Nothing,
                    };
                }
                Err(e) => return Next::Leave(fault_of(e)),
            };
            self.session.borrow_mut().heard(now);
            handled += message.len().max(BYTES_A_MESSAGE);
            match message {
                Message::Text(text) => {
                    wire.unfinished = 0;
                    match self.text(&text, now) {
                        Next::More => {}
                        next => return next,
                    }
                }
                // A control frame may stand between fragments: it is no part of their message.
                Message::Ping(payload) | Message::Pong(payload) => wire.unfinished = wire.unfinished.saturating_sub(payload.len() + 6),
                Message::Binary(_) => return Next::Leave(Leave::Close(Close::BINARY)),
                Message::Close(_) => return Next::Leave(Leave::Gone),
                Message::Frame(_) => {}
            }
        }
        Next::More
    }

    /// One text frame: the order of checks is JSON, command, login, fields.
    fn text(&self, text: &str, now: Instant) -> Next {
        let limits = &self.door.gate.limits;
        let frame = match Frame::read(text) {
            Ok(frame) => frame,
            Err((id, refusal)) => return self.fault(None, &id, refusal, now),
        };
        let login = self.session.borrow().login.clone();
        if login.is_none() && !matches!(frame.cmd, Cmd::Login | Cmd::Ping) {
            let refusal = Refusal::new(Code::NotLoggedIn, "log in first");
            return self.fault(Some(frame.cmd), &frame.id, refusal, now);
        }
        let keys_max = self.door.shard.node.limits.keys_max;
        let body = match frame.body(FieldLimits { users_max: limits.user_list_max, keys_max }) {
            Ok(body) => body,
            Err(refusal) if refusal.code == Code::InvalidParameter => return self.fault(Some(frame.cmd), &frame.id, refusal, now),
            Err(refusal) => {
                self.answer(frame.cmd, &frame.id, &Err(refusal), now);
                return Next::More;
            }
        };
        let (group, ask) = match body {
            Body::Ping => {
                self.answer(frame.cmd, &frame.id, &Ok(Data::Empty), now);
                return Next::More;
            }
            Body::Login { .. } | Body::Logout | Body::CreateGroup(..) => return Next::Slow(Box::new((frame.id, body, now))),
            Body::DismissGroup(group) => (group, Ask::Dissolve),
            Body::JoinGroup(group) => (group, Ask::Join),
            Body::FollowGroup(group) => (group, Ask::Follow),
            Body::QuitGroup(group) => (group, Ask::Quit),
            Body::AddGroupMember(group, users) => (group, Ask::Add(users)),
            Body::DeleteGroupMember(group, users) => (group, Ask::Remove(users)),
            Body::Write(group, write, operation) => (group, Ask::Write(write, operation)),
            Body::Read(group, keys) => (group, Ask::Read(keys)),
            Body::OnlineCount(group) => (group, Ask::Online),
        };
        let Some(Login { user, .. }) = login else { return Next::More };
        if matches!(ask, Ask::Join) && !self.door.shard.keep_place(self.id.get(), &group) {
            let refusal = Refusal::new(Code::TooManyGroups, "this connection is in as many groups as it may be: quit one first");
            self.answer(frame.cmd, &frame.id, &Err(refusal), now);
            return Next::More;
        }
        self.bell.told();
        let door = match ask {
            Ask::Follow => group::Door::Follow(self.id.get(), frame.id, now),
            _ => group::Door::Socket(self.id.get(), frame.cmd, frame.id, now),
        };
        self.door.shard.tell(Command { group, ask, user, door, origin: Origin::Socket });
        Next::More
    }

    fn fault(&self, cmd: Option<Cmd>, id: &Id, refusal: Refusal, now: Instant) -> Next {
        match self.session.borrow_mut().fault(&self.door.gate.limits, now) {
            Err(close) => return Next::Leave(Leave::Close(close)),
            Ok(()) => self.put_answer(cmd, id, &Err(refusal), now),
        }
        Next::More
    }

    /// Answers at once a request that was read at that time.
    pub(super) fn answer(&self, cmd: Cmd, id: &Id, answer: &Result<Data, Refusal>, asked_at: Instant) {
        self.put_answer(Some(cmd), id, answer, asked_at);
    }

    fn put_answer(&self, cmd: Option<Cmd>, id: &Id, answer: &Result<Data, Refusal>, asked_at: Instant) {
        if let Some(cmd) = cmd {
            self.door.shard.metrics().answer_times[cmd as usize].record(asked_at.elapsed());
        }
        self.door.shard.metrics().answers.add(cmd, answer.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok));
        if let Err(Refusal { code, message, .. }) = answer {
            let (address, cmd) = (self.address, cmd.map(Cmd::name));
            tracing::debug!(%address, connection = %self.id.get(), cmd, code = code.number(), "refused: {message}");
        }
        let mut json = Vec::with_capacity(128);
        put_answer(&mut json, id, answer);
        let mut framed = Vec::with_capacity(json.len() + 4);
        frame::put_text(&mut framed, &json);
        self.door.shard.outboxes.borrow_mut().say(self.id.get().slot, &framed);
        self.door.shard.ring();
    }

    /// What the time has brought; called by the sweep.
    pub(super) fn tick(&self, now: Instant) {
        if self.bell.closing.borrow().is_some() {
            return;
        }
        let (limits, node) = (&self.door.gate.limits, &self.door.shard.node);
        if let Some(login) = &self.session.borrow().login {
            login.user.tidy(&node.limits.windows, node.micros(now));
        }
        let slot = self.id.get().slot;
        let blocked_since = self.door.shard.outboxes.borrow().blocked_since(slot);
        let stalled =
            blocked_since.is_some_and(|since| !limits.stall_deadline.is_zero() && now.duration_since(since) >= limits.stall_deadline);
        if let Some(since) = blocked_since {
            // Its pong may be behind what it has not read yet, or be read only when it owes less.
            self.session.borrow_mut().has_read(since);
        }
        let unix = unix_millis() / 1000;
        let due = if stalled { Due::Close(Close::STALLED) } else { self.session.borrow_mut().tick(limits, now, unix) };
        self.door.look_at(slot, self.session.borrow().next_look(limits, now, unix));
        match due {
            Due::Nothing => {}
            Due::Ping => {
                let mut ping = Vec::with_capacity(2);
                frame::put_ping(&mut ping);
                self.door.shard.outboxes.borrow_mut().say(slot, &ping);
                self.door.shard.ring();
            }
            Due::Expired => {
                self.door.shard.outboxes.borrow_mut().say(slot, &kicked_out(KickedOut::SigExpired));
                self.close(Close::SIG_EXPIRED);
            }
            Due::Close(close) => self.close(close),
        }
    }

    /// Asks the connection's task to close it.
    pub(super) fn close(&self, close: Close) {
        self.bell.closing.borrow_mut().get_or_insert(close);
        self.bell.ring();
    }

    pub(super) fn frame_bytes_max(&self) -> Option<usize> {
        let limits = &self.door.gate.limits;
        let max = if self.session.borrow().login.is_some() { limits.frame_bytes_max } else { limits.frame_bytes_max_before_login };
        (max > 0).then_some(max)
    }

    fn unfinished_max(&self) -> usize {
        // A pipelining client may have the rest of its burst in the same read.
        self.frame_bytes_max().map_or(usize::MAX, |max| 2 * max + READ_BUFFER_BYTES)
    }

    fn socket_config(&self) -> WebSocketConfig {
        let max = self.frame_bytes_max();
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
        config.max_write_buffer_size(64 * 1024).max_message_size(max).max_frame_size(max)
    }

    /// Puts the limits of the present login in force.
    pub(super) fn resize(&self, socket: &mut Socket) {
        let max = self.frame_bytes_max();
        socket.set_config(|config| (config.max_message_size, config.max_frame_size) = (max, max));
        socket.get_mut().unfinished_max = self.unfinished_max();
    }
}

fn fault_of(e: Error) -> Leave {
    match e {
        Error::Capacity(_) => Leave::Close(Close::TOO_BIG),
        Error::Utf8(_) => Leave::Close(Close::NOT_UTF8),
        Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => Leave::Gone,
        Error::Protocol(_) => Leave::Close(Close::PROTOCOL),
        _ => Leave::Gone,
    }
}
