//! Many connections on one thread and one epoll. What is heard is handed out as it comes; what is said in return leaves in
//! one write for each connection and turn.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tallycast::cli::bench::client::frame::{CLOSE, Inbound, Outbound, PING, TEXT};

use crate::socket::Socket;

/// Connections and the epoll they share.
pub struct Fleet {
    poll: Poll,
    events: Events,
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    /// Connections that the server has closed, or that broke.
    pub gone: usize,
}

struct Peer {
    stream: TcpStream,
    inbound: Inbound,
    outbound: Outbound,
    is_gone: bool,
}

impl Fleet {
    /// Takes sockets over.
    pub fn new(sockets: impl IntoIterator<Item = Socket>) -> anyhow::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1024));
        let mut peers = Vec::new();
        for (at, socket) in sockets.into_iter().enumerate() {
            let (stream, inbound) = socket.into_parts();
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE)?;
            peers.push(Peer { stream, inbound, outbound: Outbound::default(), is_gone: false });
        }
        Ok(Self { poll, events, peers, buffer: vec![0; 64 * 1024], gone: 0 })
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Says something on a connection of its own accord.
    pub fn say(&mut self, peer: usize, put: impl FnOnce(&mut Outbound)) {
        let peer = &mut self.peers[peer];
        put(&mut peer.outbound);
        self.gone += peer.flush();
    }

    /// Waits for at most this long, and hands out what came: which connection, the text, and where to answer.
    pub fn turn(&mut self, patience: Duration, mut heard: impl FnMut(usize, &[u8], &mut Outbound)) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let at = event.token().0;
            let peer = &mut self.peers[at];
            if event.is_readable() {
                self.gone += peer.read(&mut self.buffer, |text, outbound| heard(at, text, outbound));
            }
            self.gone += peer.flush();
        }
        Ok(())
    }
}

impl Peer {
    /// Reads all there is; 1 where the connection is gone by that.
    fn read(&mut self, buffer: &mut [u8], mut heard: impl FnMut(&[u8], &mut Outbound)) -> usize {
        loop {
            if self.is_gone {
                return 0;
            }
            let n = match self.stream.read(buffer) {
                Ok(n) if n > 0 => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
                _ => return self.leave(),
            };
            let (outbound, mut closed) = (&mut self.outbound, false);
            let taken = self.inbound.take(&buffer[..n], |first, payload| match first {
                TEXT => heard(payload, outbound),
                PING => outbound.pong(payload),
                CLOSE => closed = true,
                _ => {}
            });
            if closed || taken.is_err() {
                return self.leave();
            }
            if n < buffer.len() {
                return 0;
            }
        }
    }

    /// Writes what is to be said; what does not go now goes when there is room.
    fn flush(&mut self) -> usize {
        while !self.outbound.bytes().is_empty() && !self.is_gone {
            match self.stream.write(self.outbound.bytes()) {
                Ok(n) => self.outbound.sent(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
                Err(_) => return self.leave(),
            }
        }
        0
    }

    fn leave(&mut self) -> usize {
        usize::from(!std::mem::replace(&mut self.is_gone, true))
    }
}
