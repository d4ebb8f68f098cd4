//! The way out of one shard: every byte that leaves a connection passes here, whole frames at a time.
//!
//! Dense tables by place. A push to a connection with nothing pending is one look at a flag and one `send`. A connection
//! whose pipe is full keeps the rest of one push and nothing else: what it missed is fetched from its rooms when it drains.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use tokio::net::TcpStream;

use super::place::Places;
use crate::protocol::close::Close;
use crate::users::ConnId;

/// What a connection's own task must know.
#[derive(Default)]
pub struct Bell {
    /// The pipe is full: drain when it is writable.
    pub blocked: Cell<bool>,
    /// Somebody wants the connection closed.
    pub closing: RefCell<Option<Close>>,
    /// Requests told and not answered yet.
    pub in_flight: Cell<usize>,
    rang: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Bell {
    /// Wakes the connection's task.
    pub fn ring(&self) {
        self.rang.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// One of its requests is on its way.
    pub fn told(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// One of its requests is answered.
    pub fn answered(&self) {
        let left = self.in_flight.get().saturating_sub(1);
        self.in_flight.set(left);
        // Whoever waits for room waits until half of it is there, so that answers do not wake him one by one.
        if left == IN_FLIGHT_MAX / 2 || left == 0 {
            self.ring();
        }
    }

    /// Waits for a ring.
    pub fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rang.take() {
            return Poll::Ready(());
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

struct Outbox {
    bell: Rc<Bell>,
    pending: Vec<u8>,
    blocked_since: Option<Instant>,
    pong_pending: bool,
    places: Places,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is on its way.
    Sent,
    /// The pipe is full: the connection stays behind until it drains.
    Behind,
}

/// Requests of one connection that may be under way; the next is read when there is room.
pub const IN_FLIGHT_MAX: usize = 64;

/// Bytes that a connection may owe before its requests are left unread.
pub const PENDING_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a connection with a full pipe may be owed in all. What others cause, such as being added to groups, comes on top
/// of its own requests; above this it is closed as one that does not read.
const OWED_BYTES_MAX: usize = 1024 * 1024;

/// All connections' ways out.
#[derive(Default)]
pub struct Outboxes {
    sockets: Vec<Option<Rc<TcpStream>>>,
    /// Anything but empty and open: such a connection is no matter for the short way.
    busy: Vec<bool>,
    boxes: Vec<Option<Outbox>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    unflushed: Vec<u32>,
    /// Connections whose pipe is full.
    pub blocked: BTreeSet<u32>,
    /// Bytes taken by the kernel.
    pub bytes_sent: u64,
}

impl Outboxes {
    /// Takes a socket in.
    pub fn open(&mut self, shard: u16, socket: TcpStream) -> (ConnId, Rc<Bell>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.busy.push(true);
            self.boxes.push(None);
            self.generations.push(0);
            (self.sockets.len() - 1) as u32
        });
        let bell = Rc::new(Bell::default());
        let at = slot as usize;
        self.sockets[at] = Some(Rc::new(socket));
        self.busy[at] = false;
        self.boxes[at] =
            Some(Outbox { bell: bell.clone(), pending: Vec::new(), blocked_since: None, pong_pending: false, places: Places::default() });
        (ConnId { shard, slot, generation: self.generations[at] }, bell)
    }

    /// Forgets a connection; it must have left its rooms. The socket closes when its reader lets go of it, too.
    pub fn close(&mut self, slot: u32) {
        let at = slot as usize;
        debug_assert!(self.boxes[at].as_ref().is_none_or(|b| b.places.is_empty()), "a seat outlives its socket");
        self.boxes[at] = None;
        self.blocked.remove(&slot);
        self.busy[at] = true;
        self.generations[at] = self.generations[at].wrapping_add(1);
        self.free.push(slot);
        self.sockets[at] = None;
    }

    /// Gives a connection a new name: nothing that is on its way to the old one will arrive.
    pub fn rename(&mut self, id: ConnId) -> ConnId {
        let generation = &mut self.generations[id.slot as usize];
        *generation = generation.wrapping_add(1);
        ConnId { generation: *generation, ..id }
    }

    /// The socket of a connection, to read from.
    pub fn socket(&self, slot: u32) -> Option<&Rc<TcpStream>> {
        self.sockets[slot as usize].as_ref()
    }

    /// The bell of a connection that is still there.
    pub fn bell(&self, id: ConnId) -> Option<&Rc<Bell>> {
        let at = id.slot as usize;
        let alive = self.generations.get(at) == Some(&id.generation);
        self.boxes.get(at)?.as_ref().filter(|_| alive).map(|b| &b.bell)
    }

    /// The bell of whoever is at a place now.
    pub fn bell_of(&self, slot: u32) -> Option<&Rc<Bell>> {
        self.boxes.get(slot as usize)?.as_ref().map(|b| &b.bell)
    }

    /// Where a connection sits.
    pub fn places(&mut self, slot: u32) -> Option<&mut Places> {
        self.boxes.get_mut(slot as usize)?.as_mut().map(|b| &mut b.places)
    }

    /// Adds whole frames; they leave at the end of the shard's turn, in one `send` with whatever else comes.
    pub fn say(&mut self, slot: u32, frames: &[u8]) {
        let at = slot as usize;
        let Some(outbox) = &mut self.boxes[at] else { return };
        outbox.pending.extend_from_slice(frames);
        if !self.busy[at] {
            self.busy[at] = true;
            self.unflushed.push(slot);
        } else if outbox.blocked_since.is_some() && outbox.pending.len() > OWED_BYTES_MAX {
            outbox.bell.closing.borrow_mut().get_or_insert(Close::STALLED);
            outbox.bell.ring();
        }
    }

    /// Adds a pong. Only the newest ping needs an answer (RFC 6455, 5.5.3), so a full pipe holds one at most.
    pub fn say_pong(&mut self, slot: u32, frame: &[u8]) {
        let Some(outbox) = &mut self.boxes[slot as usize] else { return };
        if outbox.blocked_since.is_none() || !std::mem::replace(&mut outbox.pong_pending, true) {
            self.say(slot, frame);
        }
    }

    /// Sends a push the shortest way there is: `fd` is the connection's socket, told again so that this walk over thousands
    /// of members fetches no memory of theirs.
    pub fn push(&mut self, slot: u32, fd: RawFd, frame: &[u8], now: Instant) -> Pushed {
        let at = slot as usize;
        if self.busy[at] {
            let Some(outbox) = &mut self.boxes[at] else { return Pushed::Sent };
            if outbox.blocked_since.is_some() {
                return Pushed::Behind;
            }
            outbox.pending.extend_from_slice(frame);
            return Pushed::Sent;
        }
        let n = match send(fd, frame, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
            Ok(n) => n,
            // Kept like the rest of a frame: only a write that is refused tells the runtime to wait for room.
            Err(Errno::EAGAIN) => 0,
            // The connection's own task reads the error from the same socket and leaves.
            Err(_) => return Pushed::Sent,
        };
        self.bytes_sent += n as u64;
        if n < frame.len() {
            if let Some(outbox) = &mut self.boxes[at] {
                outbox.pending.extend_from_slice(&frame[n..]);
            }
            self.block(slot, now);
        }
        Pushed::Sent
    }

    /// Sends what was said in this turn.
    pub fn flush(&mut self, now: Instant) {
        let mut slots = std::mem::take(&mut self.unflushed);
        for slot in slots.drain(..) {
            if self.boxes[slot as usize].as_ref().is_some_and(|b| b.blocked_since.is_none()) {
                self.drain(slot, now);
            }
        }
        self.unflushed = slots;
    }

    /// Sends as much as the pipe takes. True when nothing is left: then the connection may catch up in its rooms.
    pub fn drain(&mut self, slot: u32, now: Instant) -> bool {
        let at = slot as usize;
        let (Some(outbox), Some(socket)) = (&mut self.boxes[at], self.sockets[at].as_deref()) else { return false };
        let mut sent = 0;
        let full = loop {
            if sent == outbox.pending.len() {
                break false;
            }
            match socket.try_write(&outbox.pending[sent..]) {
                Ok(n) => sent += n,
                Err(e) if is_full(&e) => break true,
                Err(_) => sent = outbox.pending.len(),
            }
        };
        self.bytes_sent += sent as u64;
        if full {
            outbox.pending.drain(..sent);
            if sent > 0 {
                outbox.blocked_since = None;
            }
            self.block(slot, now);
            return false;
        }
        outbox.pending = Vec::new();
        (outbox.blocked_since, outbox.pong_pending) = (None, false);
        if outbox.bell.blocked.replace(false) {
            self.blocked.remove(&slot);
        }
        self.busy[at] = false;
        true
    }

    /// Whether a connection owes so much that its requests should wait.
    pub fn is_overfull(&self, slot: u32) -> bool {
        self.boxes[slot as usize].as_ref().is_some_and(|b| b.pending.len() > PENDING_BYTES_MAX)
    }

    /// Since when a connection's pipe has taken nothing.
    pub fn blocked_since(&self, slot: u32) -> Option<Instant> {
        self.boxes[slot as usize].as_ref().and_then(|b| b.blocked_since)
    }

    fn block(&mut self, slot: u32, now: Instant) {
        let at = slot as usize;
        self.busy[at] = true;
        if let Some(outbox) = &mut self.boxes[at] {
            outbox.blocked_since.get_or_insert(now);
            if !outbox.bell.blocked.replace(true) {
                self.blocked.insert(slot);
                outbox.bell.ring();
            }
        }
    }
}

fn is_full(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
pub(super) mod tests;
