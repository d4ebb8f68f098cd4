//! Who is here: one `User` for all connections of a name, with his throttle. Shared by all shards; holds no lock across a
//! wait.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;

use crate::domain::name::UserId;
use crate::domain::throttle::{Throttle, Window};

/// A connection's place on this node. A place that was used again has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// The shard that holds the socket.
    pub shard: u16,
    /// Its place there.
    pub slot: u32,
    /// How often the place was used before.
    pub generation: u32,
}

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.shard, self.slot, self.generation)
    }
}

/// Which throttle a call counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// set, increase, decrease
    Write,
    /// get
    Read,
}

/// What all connections of one name share.
#[derive(Debug)]
pub struct User {
    /// The name.
    pub id: UserId,
    /// An app admin.
    pub admin: bool,
    /// Whether the store was asked for his account, and told where it had none.
    pub known: AtomicBool,
    /// Held while a group is being made, so that the count of groups owned cannot be outrun.
    pub creating: tokio::sync::Mutex<()>,
    throttles: Mutex<[Throttle; 2]>,
    connections: Mutex<Vec<ConnId>>,
}

impl User {
    fn new(id: UserId, admin: bool) -> Self {
        Self {
            id,
            admin,
            known: AtomicBool::new(false),
            creating: Default::default(),
            throttles: Default::default(),
            connections: Default::default(),
        }
    }

    /// Lets a call through, or says in how many milliseconds one would pass. `now` is in microseconds.
    pub fn admit(&self, call: Call, window: Window, now: u64) -> Result<(), u64> {
        lock(&self.throttles)[call as usize].admit(window, now)
    }

    /// His connections, oldest first.
    pub fn connections(&self) -> Vec<ConnId> {
        lock(&self.connections).clone()
    }

    fn is_idle(&self, windows: [Window; 2], now: u64) -> bool {
        let throttles = lock(&self.throttles);
        lock(&self.connections).is_empty() && throttles.iter().zip(windows).all(|(throttle, window)| throttle.is_idle(window, now))
    }
}

/// A panic while one of these short locks is held leaves nothing half done, so the lock stays good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All users with an open connection or with calls that still count.
#[derive(Debug)]
pub struct Users {
    by_name: DashMap<UserId, Arc<User>>,
    admins: Vec<UserId>,
    connections_max: usize,
}

impl Users {
    /// Nobody yet. `connections_max` of one user at once, 0 = no limit.
    pub fn new(admins: Vec<UserId>, connections_max: usize) -> Self {
        Self { by_name: DashMap::new(), admins, connections_max }
    }

    /// A user logs in on a connection. The second value names his oldest connections where he now has too many: they are
    /// to be closed, and are not his any more.
    pub fn enter(&self, id: &UserId, connection: ConnId) -> (Arc<User>, Vec<ConnId>) {
        let user = self.by_name.entry(id.clone()).or_insert_with(|| self.make(id));
        let mut connections = lock(&user.connections);
        connections.push(connection);
        let surplus = match self.connections_max {
            0 => 0,
            max => connections.len().saturating_sub(max),
        };
        let oldest = connections.drain(..surplus).collect();
        drop(connections);
        (user.clone(), oldest)
    }

    /// A connection is gone, or logged out.
    pub fn leave(&self, user: &User, connection: ConnId) {
        let mut connections = lock(&user.connections);
        if let Some(at) = connections.iter().position(|c| *c == connection) {
            connections.remove(at);
        }
    }

    /// The user of this name, made where nobody of that name is here. For callers without a connection.
    pub fn visit(&self, id: &UserId) -> Arc<User> {
        self.by_name.entry(id.clone()).or_insert_with(|| self.make(id)).clone()
    }

    /// Whether a name is an app admin's.
    pub fn is_admin(&self, id: &UserId) -> bool {
        self.admins.contains(id)
    }

    /// The user of this name, where he is here.
    pub fn find(&self, id: &UserId) -> Option<Arc<User>> {
        self.by_name.get(id).map(|user| user.clone())
    }

    /// Forgets users of whom nothing counts any more. `windows` are those of writes and reads, `now` is in
    /// microseconds.
    pub fn sweep(&self, windows: [Window; 2], now: u64) {
        self.by_name.retain(|_, user| Arc::strong_count(user) > 1 || !user.is_idle(windows, now));
    }

    /// How many users are known.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn make(&self, id: &UserId) -> Arc<User> {
        Arc::new(User::new(id.clone(), self.admins.contains(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(slot: u32) -> ConnId {
        ConnId { shard: 0, slot, generation: 0 }
    }

    #[test]
    fn the_oldest_connection_makes_room() {
        let users = Users::new(vec![], 2);
        let ann = UserId::parse("ann").unwrap();
        assert_eq!(users.enter(&ann, connection(1)).1, vec![]);
        assert_eq!(users.enter(&ann, connection(2)).1, vec![]);
        assert_eq!(users.enter(&ann, connection(3)).1, vec![connection(1)]);
        assert_eq!(users.find(&ann).unwrap().connections(), vec![connection(2), connection(3)]);
    }

    #[test]
    fn a_user_is_forgotten_only_when_his_calls_no_longer_count() {
        let (users, window) = (Users::new(vec![], 0), Window { calls_max: 20, millis: 5000 });
        let ann = UserId::parse("ann").unwrap();
        let (user, _) = users.enter(&ann, connection(1));
        user.admit(Call::Write, window, 0).unwrap();
        users.leave(&user, connection(1));
        drop(user);
        users.sweep([window; 2], 4_999_999);
        assert_eq!(users.len(), 1);
        users.sweep([window; 2], 5_000_000);
        assert!(users.is_empty());
    }
}
