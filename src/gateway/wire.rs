//! What the WebSocket library reads from and writes to: a socket of the shard's table on the way in, the connection's outbox
//! on the way out. It counts bytes, so that fragments without an end can be told from a message.

use std::io::{self, Read, Write};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::scan::Scan;
use crate::group::shard::Shard;

/// One connection's wire.
pub struct Wire {
    shard: Rc<Shard>,
    slot: u32,
    stream: Rc<TcpStream>,
    /// The last read got less than it had room for: nothing more is there.
    is_dry: bool,
    /// The heads of frames read so far.
    pub scan: Scan,
    /// Bytes read since the last whole message.
    pub unfinished: usize,
    /// Above this, reading fails: fragments without end.
    pub unfinished_max: usize,
}

impl Wire {
    /// The wire of a place in the shard's table; `early` bytes of it were read before.
    pub fn new(shard: Rc<Shard>, slot: u32, stream: Rc<TcpStream>, early: &[u8]) -> Self {
        let mut scan = Scan::default();
        scan.eat(early);
        Self { shard, slot, stream, is_dry: false, scan, unfinished: early.len(), unfinished_max: usize::MAX }
    }

    /// To be called when others may have had their turn since the last read: the runtime may have been told of more meanwhile,
    /// and would not be told again.
    pub fn look_again(&mut self) {
        self.is_dry = false;
    }

    /// Whether nothing more is to be read: fragments went on for too long, or a frame cannot be.
    pub fn is_spoilt(&self) -> bool {
        self.is_endless() || self.scan.has_long_control
    }

    /// Whether fragments went on for too long.
    pub fn is_endless(&self) -> bool {
        self.unfinished > self.unfinished_max
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_spoilt() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if std::mem::take(&mut self.is_dry) {
            // Tells the runtime what a further read would only find out again.
            return self.stream.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
        }
        let n = self.stream.try_read(buffer)?;
        self.is_dry = n > 0 && n < buffer.len();
        self.unfinished += n;
        self.scan.eat(&buffer[..n]);
        self.shard.metrics().bytes_received.add(n as u64);
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        const PONG: u8 = 0x8a;
        let mut outboxes = self.shard.outboxes.borrow_mut();
        match frame.first() {
            Some(&PONG) => outboxes.say_pong(self.slot, frame),
            _ => outboxes.say(self.slot, frame),
        }
        self.shard.ring();
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
