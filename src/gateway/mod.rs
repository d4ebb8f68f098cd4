//! The socket door: accepts connections, shakes hands, and turns frames into commands to groups.
//!
//! It never decides what a command may do, and never waits for an answer: answers and pushes leave by the shard's outboxes.

pub mod accept;
mod address;
mod capacity;
mod connection;
mod handshake;
mod head;
mod login;
mod part;
mod scan;
mod session;
mod turnstile;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use address::Addresses;
pub use capacity::{Capacity, Taken};
pub use handshake::Origins;

use tokio::sync::Notify;

use crate::auth::Keys;
use crate::group::shard::Shard;

/// The limits of connections; 0 = no limit, and no deadline.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that are served, whatever they speak.
    pub connections_max: usize,
    /// Connections beyond those that are told so at a time; above that they are closed without a word.
    pub refusals_max: usize,
    /// Frames a second from one connection, over three seconds.
    pub frames_per_second_max: u32,
    /// The longest message after login, in bytes.
    pub frame_bytes_max: usize,
    /// The longest message before login, in bytes.
    pub frame_bytes_max_before_login: usize,
    /// Faulty frames in a minute.
    pub faults_per_minute_max: u32,
    /// Time to log in.
    pub login_deadline: Duration,
    /// Time for a whole request head.
    pub handshake_deadline: Duration,
    /// The longest request head, in bytes.
    pub head_bytes_max: usize,
    /// Header lines in a request head.
    pub headers_max: usize,
    /// How often the server pings.
    pub ping_every: Duration,
    /// Time for an answer to a ping.
    pub pong_deadline: Duration,
    /// How long a client may take nothing while something waits for it.
    pub stall_deadline: Duration,
    /// Groups one user may own.
    pub groups_owned_max: usize,
    /// Groups on one connection.
    pub groups_per_connection_max: usize,
    /// Users named in one call.
    pub user_list_max: usize,
}

/// What the doors of all shards share.
pub struct Gate {
    /// The limits of connections.
    pub limits: Limits,
    /// Pages that may open a socket.
    pub origins: Origins,
    /// What each address does.
    pub addresses: Addresses,
    /// Places of connections that are served, whatever they speak, of all shards.
    pub served: Capacity,
    /// Places of connections that are told that there is none for them.
    pub refused: Capacity,
    /// Secrets in force.
    pub keys: Arc<Keys>,
}

impl Gate {
    /// A door that is open.
    pub fn new(limits: Limits, origins: Origins, addresses: Addresses, keys: Arc<Keys>) -> Self {
        let (served, refused) = (Capacity::new(limits.connections_max), Capacity::new(limits.refusals_max));
        Self { limits, origins, addresses, served, refused, keys }
    }
}

/// One shard's door.
pub struct Door {
    /// The shard behind it.
    pub shard: Rc<Shard>,
    /// What it shares with the others.
    pub gate: Arc<Gate>,
    /// Connections by their place in the shard's tables, and when to look at each next: a walk over the times alone.
    connections: RefCell<Vec<Option<Rc<connection::Connection>>>>,
    looks: RefCell<Vec<Option<Instant>>>,
    /// How many connections there are.
    open: Cell<usize>,
    /// Told when the last of them has gone.
    emptied: Notify,
    turnstile: turnstile::Turnstile,
}

impl Door {
    /// A shard's door, without connections.
    pub fn new(shard: Rc<Shard>, gate: Arc<Gate>) -> Rc<Self> {
        let (connections, looks) = Default::default();
        Rc::new(Self { shard, gate, connections, looks, open: Cell::new(0), emptied: Notify::new(), turnstile: Default::default() })
    }

    fn enter(&self, slot: u32, connection: Rc<connection::Connection>) {
        let (at, mut connections, mut looks) = (slot as usize, self.connections.borrow_mut(), self.looks.borrow_mut());
        if connections.len() <= at {
            connections.resize(at + 1, None);
            looks.resize(at + 1, None);
        }
        connections[at] = Some(connection);
        self.open.set(self.open.get() + 1);
        drop(looks);
        self.look_at(slot, Instant::now());
    }

    fn leave(&self, slot: u32) {
        self.connections.borrow_mut()[slot as usize] = None;
        self.looks.borrow_mut()[slot as usize] = None;
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.emptied.notify_one();
        }
    }

    /// Wants a connection looked at no later than this.
    fn look_at(&self, slot: u32, at: Instant) {
        self.looks.borrow_mut()[slot as usize] = Some(at);
    }

    /// The connections that are due.
    fn due(&self, now: Instant) -> Vec<Rc<connection::Connection>> {
        let connections = self.connections.borrow();
        let timed = self
            .looks
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, look)| look.is_some_and(|at| at <= now))
            .map(|(slot, _)| slot)
            .collect::<Vec<_>>();
        let blocked = self.shard.outboxes.borrow().blocked.iter().map(|slot| *slot as usize).collect::<Vec<_>>();
        timed.into_iter().chain(blocked).filter_map(|slot| connections.get(slot).cloned().flatten()).collect()
    }
}
