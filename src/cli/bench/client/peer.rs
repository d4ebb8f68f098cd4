//! One client's connection and how far it has come: connect, upgrade, login, join. It never waits: everything is a reaction to
//! what the socket is ready for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event as Ready;
use mio::net::TcpStream;
use nix::errno::Errno;
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use super::fleet::{Approach, Event, Guest};
use super::frame::{BadFrame, CLOSE, Inbound, Outbound, PING, TEXT};
use super::gone::Gone;
use super::handshake::Key;

const LOGIN: u64 = 0;
const JOIN: u64 = 1;

/// How far a connection has come.
enum Stage {
    Away,
    Connecting,
    Shaking(Box<Key>),
    LoggingIn,
    Joining,
    Here,
}

/// One client.
pub(super) struct Peer {
    stream: Option<TcpStream>,
    stage: Stage,
    inbound: Inbound,
    outbound: Outbound,
    /// Since when it wants to be in its room.
    pub(super) wanted: Instant,
    /// When the try under way began.
    pub(super) begun: Instant,
    /// Tries that came to nothing since it was in its room.
    pub(super) failures: u32,
}

impl Peer {
    pub(super) fn new(now: Instant) -> Self {
        let (inbound, outbound) = (Inbound::default(), Outbound::default());
        Self { stream: None, stage: Stage::Away, inbound, outbound, wanted: now, begun: now, failures: 0 }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self.stage, Stage::Away)
    }

    pub(super) fn is_here(&self) -> bool {
        matches!(self.stage, Stage::Here)
    }

    /// Begins to connect. The stream is to be registered with the epoll.
    pub(super) fn begin(&mut self, approach: &Approach, source: Option<SocketAddr>, now: Instant) -> Result<&mut TcpStream, Gone> {
        self.begun = now;
        let stream = connect(approach.address, source).map_err(|e| Gone::Unreachable(e.to_string()))?;
        self.stage = Stage::Connecting;
        Ok(self.stream.insert(stream))
    }

    /// Forgets the connection.
    pub(super) fn leave(&mut self) {
        (self.stream, self.stage) = (None, Stage::Away);
        (self.inbound, self.outbound) = Default::default();
    }

    /// Breaks the connection as a lost network does: nothing is said, nothing is sent any more.
    pub(super) fn cut(&mut self) {
        if let Some(stream) = &self.stream {
            // Without it, the ports of all that were cut would stay taken for a minute. A socket that is closed already has
            // nothing to be cut.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        self.leave();
    }

    /// Says something, as far as the socket takes it now; the rest follows by itself.
    pub(super) fn say(&mut self, put: impl FnOnce(&mut Outbound)) -> Result<(), Gone> {
        put(&mut self.outbound);
        self.flush()
    }

    /// Does what the socket is ready for.
    pub(super) fn react<F>(&mut self, ready: &Ready, approach: &Approach, guest: &Guest, buffer: &mut [u8], on: &mut F) -> Result<(), Gone>
    where
        F: FnMut(Event<'_>, Instant, &mut Outbound),
    {
        if matches!(self.stage, Stage::Connecting) && ready.is_writable() {
            self.connected(approach)?;
        }
        if ready.is_readable() || ready.is_read_closed() {
            self.read(ready.is_read_closed(), guest, buffer, on)?;
        }
        self.flush()
    }

    fn connected(&mut self, approach: &Approach) -> Result<(), Gone> {
        let Some(stream) = &self.stream else { return Ok(()) };
        if let Ok(Some(fault)) | Err(fault) = stream.take_error() {
            return Err(Gone::Unreachable(fault.to_string()));
        }
        let key = Key::random();
        self.outbound.raw(key.request(&approach.host, &approach.path).as_bytes());
        self.stage = Stage::Shaking(Box::new(key));
        Ok(())
    }

    fn read<F>(&mut self, to_the_end: bool, guest: &Guest, buffer: &mut [u8], on: &mut F) -> Result<(), Gone>
    where
        F: FnMut(Event<'_>, Instant, &mut Outbound),
    {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(()) };
            let n = match stream.read(buffer) {
                Ok(0) => return Err(Gone::Broken("the stream ended without a close frame".into())),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(self.stage, Stage::Connecting) => return Err(Gone::Unreachable(e.to_string())),
                Err(e) => return Err(Gone::Broken(e.to_string())),
            };
            let now = Instant::now();
            match self.stage {
                Stage::Shaking(_) => self.shake(&buffer[..n], guest, now, on)?,
                _ => self.take(&buffer[..n], guest, now, on)?,
            }
            // A read that did not fill the buffer has emptied the socket; only an end that came meanwhile is told no second time.
            if n < buffer.len() && !to_the_end {
                return Ok(());
            }
        }
    }

    fn shake<F>(&mut self, bytes: &[u8], guest: &Guest, now: Instant, on: &mut F) -> Result<(), Gone>
    where
        F: FnMut(Event<'_>, Instant, &mut Outbound),
    {
        let Stage::Shaking(key) = &self.stage else { return Ok(()) };
        self.inbound.raw().extend_from_slice(bytes);
        let Some(length) = key.answered(self.inbound.raw())? else { return Ok(()) };
        let rest = std::mem::take(self.inbound.raw()).split_off(length);
        self.stage = Stage::LoggingIn;
        let login = json!({"id": LOGIN, "cmd": "login", "userID": &*guest.user, "userSig": &*guest.sig});
        self.outbound.say(login.to_string().as_bytes());
        self.take(&rest, guest, now, on)
    }

    fn take<F>(&mut self, bytes: &[u8], guest: &Guest, now: Instant, on: &mut F) -> Result<(), Gone>
    where
        F: FnMut(Event<'_>, Instant, &mut Outbound),
    {
        let Self { inbound, outbound, stage, wanted, failures, .. } = self;
        let mut gone = None;
        let taken = inbound.take(bytes, |first, payload| match (first, &*stage) {
            _ if gone.is_some() => {}
            (TEXT, Stage::Here) => on(Event::Text(payload), now, outbound),
            (TEXT, _) => match come_in(stage, guest, payload, outbound) {
                Ok(false) => {}
                Ok(true) => {
                    *failures = 0;
                    on(Event::Here { answer: payload, took: now.saturating_duration_since(*wanted) }, now, outbound);
                }
                Err(why) => gone = Some(why),
            },
            (PING, _) => outbound.pong(payload),
            (CLOSE, _) => gone = Some(Gone::closed(payload)),
            _ => {}
        });
        match gone {
            Some(why) => Err(why),
            None => taken.map_err(|BadFrame| Gone::NoWebSocket("it sent a frame that no Tallycast server sends")),
        }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while !self.outbound.bytes().is_empty() && !matches!(self.stage, Stage::Connecting) {
            match stream.write(self.outbound.bytes()) {
                Ok(n) => self.outbound.sent(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Gone::Broken(e.to_string())),
            }
        }
        Ok(())
    }
}

/// Takes an answer on the way in; true where it was the last: that to `joinGroup`. Pushes of groups that the user is a member
/// of anyway come before.
fn come_in(stage: &mut Stage, guest: &Guest, text: &[u8], outbound: &mut Outbound) -> Result<bool, Gone> {
    let answer: Value = serde_json::from_slice(text).map_err(|_| Gone::NoWebSocket("it sent a text that is no JSON"))?;
    if answer.get("event").is_some() {
        return Ok(false);
    }
    let command = if matches!(stage, Stage::LoggingIn) { "login" } else { "joinGroup" };
    if answer["code"] != 0 {
        return Err(Gone::refused(command, &answer));
    }
    let is_last = matches!(stage, Stage::Joining);
    if is_last {
        *stage = Stage::Here;
    } else {
        *stage = Stage::Joining;
        outbound.say(json!({"id": JOIN, "cmd": "joinGroup", "groupID": &*guest.room}).to_string().as_bytes());
    }
    Ok(is_last)
}

fn connect(address: SocketAddr, source: Option<SocketAddr>) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&source.into())?;
    }
    match socket.connect(&address.into()) {
        Err(e) if e.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(e),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
