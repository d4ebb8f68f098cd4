//! The end of a connection: out of its rooms, the close frame really sent, then read and dropped for a moment so that closing
//! does not reset what is still on its way.

use std::borrow::Cow;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::connection::{Connection, Leave};
use super::head::LINGER;
use crate::protocol::close::Close;
use crate::protocol::frame;
use crate::seldom;

impl Connection {
    /// Nothing is said to it from now on but what its end demands.
    pub(super) fn leave(&self, leave: &Leave) {
        self.tell_why(leave);
        self.leave_user();
    }

    /// Ends a connection that has left.
    pub(super) async fn part(self: Rc<Self>, stream: Rc<TcpStream>, leave: Leave) {
        let shard = self.door.shard.clone();
        if let Leave::Close(close) = leave {
            shard.metrics().closed(close.code);
            let mut bytes = Vec::with_capacity(128);
            frame::put_close(&mut bytes, close.code, &close.reason);
            shard.outboxes.borrow_mut().say(self.id.get().slot, &bytes);
        }
        let _ = tokio::time::timeout(LINGER, self.empty(&stream)).await;
        drop(stream);
        self.vanish();
    }

    fn tell_why(&self, leave: &Leave) {
        let (session, address) = (self.session.borrow(), self.address);
        let user = session.login.as_ref().map(|login| login.user.id.as_str());
        match leave {
            Leave::Gone => tracing::debug!(%address, user, connection = %self.id.get(), "a connection ended"),
            Leave::Close(Close { code, reason: Cow::Borrowed(reason) }) => {
                seldom!(info, ("closed", (*code).into()), %address, user, code, "a connection was closed: {reason}");
            }
            // A server that is stopping closes all of them, and says so in one line.
            Leave::Close(Close { code, .. }) => tracing::debug!(%address, user, code, "a connection was closed: the server is stopping"),
        }
    }

    /// Forgets the connection; its socket closes.
    pub(super) fn vanish(&self) {
        let (shard, id) = (&self.door.shard, self.id.get());
        self.door.leave(id.slot);
        self.door.gate.addresses.leave(self.address);
        shard.metrics().connections.fetch_sub(1, Ordering::Relaxed);
        shard.outboxes.borrow_mut().close(id.slot);
    }

    /// Sends what is left, says that nothing more will come, and waits for the peer to say the same.
    async fn empty(&self, stream: &TcpStream) {
        let (shard, slot) = (&self.door.shard, self.id.get().slot);
        while !shard.drain(slot) {
            if stream.writable().await.is_err() {
                return;
            }
        }
        if SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut rest = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut rest) {
                Ok(0) => return,
                Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}
