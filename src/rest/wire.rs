//! One HTTP connection's wire: gives the bytes first that were read before it came here, and notes when it moves. From these
//! notes come the deadlines that the HTTP library has not: of a client that takes no answer, of a connection that nobody uses,
//! and of a later request head.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Limits;

/// With the end near, a client that takes no answer has so much time.
const STALL_WHEN_STOPPING: Duration = Duration::from_millis(250);

/// A connection whose first bytes were read already.
pub struct Wire {
    early: Bytes,
    stream: TcpStream,
    notes: Rc<Notes>,
}

/// When a connection moved.
pub struct Notes {
    /// Since when an answer waits for room in the pipe.
    blocked_since: Cell<Option<Instant>>,
    /// Since when bytes of a request head have been coming.
    head_since: Cell<Option<Instant>>,
    /// When a call ended, or something of an answer left.
    moved_at: Cell<Instant>,
    calls: Cell<usize>,
    stopping: Cell<bool>,
}

/// What has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// The client takes no answer.
    Answer,
    /// A request head has begun and does not end.
    Head,
    /// Nobody asks anything.
    Request,
}

impl Notes {
    /// A connection that begins now.
    pub fn new() -> Rc<Self> {
        let (blocked_since, head_since, calls, stopping) = Default::default();
        Rc::new(Self { blocked_since, head_since, moved_at: Cell::new(Instant::now()), calls, stopping })
    }

    /// A call is being answered for as long as this lives.
    pub fn call(self: &Rc<Self>) -> Call {
        self.head_since.set(None);
        self.calls.set(self.calls.get() + 1);
        Call(self.clone())
    }

    /// The server will end soon.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// What will have taken too long at which time, if nothing moves until then.
    pub fn next_deadline(&self, limits: &Limits) -> Option<(Instant, Overdue)> {
        let after = |since: Instant, most: Duration| (!most.is_zero()).then(|| since + most);
        if let Some(since) = self.blocked_since.get() {
            let most = match (self.stopping.get(), limits.stall_deadline) {
                (false, most) => most,
                (true, Duration::ZERO) => STALL_WHEN_STOPPING,
                (true, most) => most.min(STALL_WHEN_STOPPING),
            };
            return Some((after(since, most)?, Overdue::Answer));
        }
        match self.head_since.get() {
            _ if self.calls.get() > 0 => None,
            Some(since) => Some((after(since, limits.head_deadline)?, Overdue::Head)),
            None => Some((after(self.moved_at.get(), limits.keep_alive)?, Overdue::Request)),
        }
    }
}

/// A call that is being answered.
pub struct Call(Rc<Notes>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
        self.0.moved_at.set(Instant::now());
    }
}

impl Wire {
    /// The wire of a connection of which `early` bytes were read before.
    pub fn new(stream: TcpStream, early: Vec<u8>, notes: Rc<Notes>) -> Self {
        Self { early: early.into(), stream, notes }
    }

    /// The connection, and what was read of it and of nobody taken: `read` by whoever read from this wire, and the rest.
    pub fn into_parts(self, read: &[u8]) -> (TcpStream, Vec<u8>) {
        (self.stream, [read, &self.early].concat())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.early.is_empty() {
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        } else {
            let n = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..n]);
            self.early.advance(n);
        }
        if buffer.filled().len() > before && self.notes.calls.get() == 0 && self.notes.head_since.get().is_none() {
            self.notes.head_since.set(Some(Instant::now()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let now = Instant::now();
        match written {
            Poll::Ready(_) => {
                self.notes.blocked_since.set(None);
                self.notes.moved_at.set(now);
            }
            Poll::Pending => self.notes.blocked_since.set(self.notes.blocked_since.get().or(Some(now))),
        }
        written
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
