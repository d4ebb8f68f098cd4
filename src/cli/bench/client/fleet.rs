//! Many connections on one thread and one epoll. Each comes in by itself and, when it is lost, comes back by itself; what is
//! heard is handed out as it comes, and what is said in return leaves in one write for each connection and turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::frame::Outbound;
use super::gone::Gone;
use super::peer::Peer;

/// Few enough that what is due does not wait long behind what has come.
const EVENTS_A_TURN: usize = 256;
const READ_BYTES: usize = 64 * 1024;
/// Time to get from the connect to the room.
const COMING_IN_MAX: Duration = Duration::from_secs(30);
const LOOK_AFTER_SLOW_EVERY: Duration = Duration::from_secs(1);
/// A loopback address has 28,000 ports to connect from; so many of them are used, and then comes the next address.
const PEERS_PER_ADDRESS: usize = 10_000;
const TIMER: Token = Token(usize::MAX);
/// The longest wait of a turn, so that signals are seen in time.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where the clients go, and how many may be on their way at once.
pub struct Approach {
    /// The server's.
    pub address: SocketAddr,
    /// For the `Host` header.
    pub host: String,
    /// Of the socket, with its slash.
    pub path: String,
    /// On loopback the clients come from addresses that begin with 127 and these two: a single one has too few ports.
    pub source: (u8, u8),
    /// Above it, the others wait.
    pub at_once_max: usize,
}

/// Who a client is, and where it wants to be.
pub struct Guest {
    /// His userID.
    pub user: Arc<str>,
    /// His UserSig: it is never shown.
    pub sig: Arc<str>,
    /// The groupID of the room that he joins.
    pub room: Arc<str>,
}

/// What happens to a client.
pub enum Event<'a> {
    /// It is in its room: the answer to `joinGroup`, and the time since it wanted to be there.
    Here {
        /// As it came.
        answer: &'a [u8],
        /// The failed tries are in it.
        took: Duration,
    },
    /// It hears a text.
    Text(&'a [u8]),
    /// It is gone. It comes back by itself where that may help.
    Gone(&'a Gone),
}

/// Connections and the epoll they share.
pub struct Fleet {
    poll: Poll,
    events: Events,
    timer: TimerFd,
    peers: Vec<Peer>,
    guests: Vec<Guest>,
    approach: Approach,
    buffer: Vec<u8>,
    door: Door,
}

/// Who is on the way in, and who will be.
struct Door {
    registry: Registry,
    awaited: BinaryHeap<Reverse<(Instant, usize)>>,
    coming: usize,
    slow_looked_at: Instant,
}

impl Fleet {
    /// Clients who are all away. Fails where the system has no epoll or timer left to give.
    pub fn new(approach: Approach, guests: Vec<Guest>) -> anyhow::Result<Self> {
        let poll = Poll::new().context("no epoll")?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC).context("no timer")?;
        poll.registry().register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)?;
        let now = Instant::now();
        let door = Door { registry: poll.registry().try_clone()?, awaited: BinaryHeap::new(), coming: 0, slow_looked_at: now };
        let peers = guests.iter().map(|_| Peer::new(now)).collect();
        let events = Events::with_capacity(EVENTS_A_TURN);
        Ok(Self { poll, events, timer, peers, guests, approach, buffer: vec![0; READ_BYTES], door })
    }

    /// Lets a client come at this time. It must be away.
    pub fn come(&mut self, peer: usize, at: Instant) {
        self.peers[peer].wanted = at;
        self.peers[peer].failures = 0;
        self.door.awaited.push(Reverse((at, peer)));
    }

    /// Breaks the connection of a client who is in his room, without a word. He stays away until he is told to come.
    pub fn cut(&mut self, peer: usize) {
        if self.peers[peer].is_here() {
            self.peers[peer].cut();
        }
    }

    /// From now on so many may be on their way at once.
    pub fn let_in(&mut self, at_once_max: usize) {
        self.approach.at_once_max = at_once_max;
    }

    /// Says something on a connection of its own accord. What cannot be said because the connection is lost is dropped: the
    /// loss is told at the next turn.
    pub fn say(&mut self, peer: usize, put: impl FnOnce(&mut Outbound)) {
        // The epoll tells of a broken stream, too, and there the loss is told once.
        let _ = self.peers[peer].say(put);
    }

    /// Waits until something comes, until `until`, or for 50 ms; hands out what came.
    pub fn turn(&mut self, until: Option<Instant>, mut on: impl FnMut(usize, Event<'_>, Instant, &mut Outbound)) -> anyhow::Result<()> {
        let now = Instant::now();
        self.let_come(now, &mut on);
        self.set_timer(now, until)?;
        let patience = if until.is_some_and(|until| until <= now) { Duration::ZERO } else { PATIENCE };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("the epoll failed")?,
        }
        let Self { events, peers, guests, approach, buffer, door, .. } = self;
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let at = event.token().0;
            let (peer, guest) = (&mut peers[at], &guests[at]);
            // A client that was cut may have an event left.
            if peer.is_away() {
                continue;
            }
            let was_here = peer.is_here();
            let done = peer.react(event, approach, guest, buffer, &mut |event, now, out: &mut Outbound| on(at, event, now, out));
            door.coming -= usize::from(!was_here && peer.is_here());
            if let Err(why) = done {
                door.lose(at, peer, &why, &mut on);
            }
        }
        Ok(())
    }

    /// So that the next turn ends at `until` to the microsecond; the epoll's own patience counts in milliseconds.
    fn set_timer(&mut self, now: Instant, until: Option<Instant>) -> anyhow::Result<()> {
        let Some(wait) = until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero() && *wait < PATIENCE) else {
            return Ok(());
        };
        Ok(self.timer.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty())?)
    }

    fn let_come(&mut self, now: Instant, on: &mut impl FnMut(usize, Event<'_>, Instant, &mut Outbound)) {
        if now.saturating_duration_since(self.door.slow_looked_at) >= LOOK_AFTER_SLOW_EVERY {
            self.door.slow_looked_at = now;
            for (at, peer) in self.peers.iter_mut().enumerate() {
                let slow = !peer.is_away() && !peer.is_here() && now.saturating_duration_since(peer.begun) > COMING_IN_MAX;
                if slow {
                    self.door.lose(at, peer, &Gone::TooSlow, on);
                }
            }
        }
        while self.door.coming < self.approach.at_once_max {
            match self.door.awaited.peek() {
                Some(Reverse((at, _))) if *at <= now => {}
                _ => return,
            }
            let Some(Reverse((_, at))) = self.door.awaited.pop() else { return };
            let (peer, source) = (&mut self.peers[at], self.approach.source_of(at));
            self.door.coming += 1;
            let registered = match peer.begin(&self.approach, source, now) {
                Ok(stream) => {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.door.registry.register(stream, Token(at), interest).map_err(|e| Gone::Unreachable(e.to_string()))
                }
                Err(why) => Err(why),
            };
            if let Err(why) = registered {
                self.door.lose(at, peer, &why, on);
            }
        }
    }
}

impl Door {
    /// Takes a client out, and in again later where that may help.
    fn lose(&mut self, at: usize, peer: &mut Peer, why: &Gone, on: &mut impl FnMut(usize, Event<'_>, Instant, &mut Outbound)) {
        let (now, was_here) = (Instant::now(), peer.is_here());
        self.coming -= usize::from(!was_here);
        peer.leave();
        on(at, Event::Gone(why), now, &mut Outbound::default());
        if was_here {
            peer.wanted = now;
        }
        if why.may_return() {
            self.awaited.push(Reverse((now + why.pause(peer.failures), at)));
            peer.failures += 1;
        }
    }
}

impl Approach {
    /// Where a client comes from; the system chooses where it may.
    fn source_of(&self, peer: usize) -> Option<SocketAddr> {
        let is_loopback = matches!(self.address.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let last = 1 + peer / PEERS_PER_ADDRESS;
        let address = Ipv4Addr::new(127, self.source.0, self.source.1, u8::try_from(last).unwrap_or(u8::MAX));
        is_loopback.then(|| SocketAddr::new(address.into(), 0))
    }
}
