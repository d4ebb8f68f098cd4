//! Who is here: one `User` for all connections of a name, with his throttle. Shared by all shards; holds no lock across a
//! wait.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dashmap::{DashMap, Entry};

use crate::domain::name::UserId;
use crate::domain::throttle::{Allowance, Denied, Throttle, Window};

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

/// What one user may do in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// set, increase and decrease.
    pub writes: Window,
    /// get.
    pub reads: Window,
    /// Users made members or taken out, himself or others, and groups made or dissolved.
    pub memberships: Window,
}

/// What he has done that still counts.
#[derive(Debug, Default)]
struct Done {
    writes: Throttle,
    reads: Throttle,
    memberships: Allowance,
}

impl Done {
    /// From when on nothing of it counts any more.
    fn idle_at(&self, windows: &Windows) -> u64 {
        let calls = self.writes.idle_at(windows.writes).max(self.reads.idle_at(windows.reads));
        calls.max(self.memberships.idle_at(windows.memberships))
    }
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
    /// Boxed, because few users ever make a group and all of them are in memory.
    creating: OnceLock<Box<tokio::sync::Mutex<()>>>,
    done: Mutex<Done>,
    connections: Mutex<Vec<ConnId>>,
    /// Whether the sweep has him in its line; changed while `connections` is held.
    in_line: AtomicBool,
}

impl User {
    fn new(id: UserId, admin: bool) -> Self {
        Self {
            id,
            admin,
            known: AtomicBool::new(false),
            creating: Default::default(),
            done: Default::default(),
            connections: Default::default(),
            in_line: AtomicBool::new(false),
        }
    }

    /// To be held while a group is being made, so that the count of groups owned cannot be outrun.
    pub async fn creating(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.creating.get_or_init(Default::default).lock().await
    }

    /// Lets a call through, or says in how many milliseconds one would pass. `now` is in microseconds.
    pub fn admit(&self, call: Call, window: Window, now: u64) -> Result<(), u64> {
        let mut done = lock(&self.done);
        match call {
            Call::Write => done.writes.admit(window, now),
            Call::Read => done.reads.admit(window, now),
        }
    }

    /// Lets so many changes of memberships through, or none. `now` is in microseconds.
    pub fn change_memberships(&self, count: u32, window: Window, now: u64) -> Result<(), Denied> {
        lock(&self.done).memberships.spend(count, window, now)
    }

    /// Gives memory back that nothing needs any more. To be called now and then.
    pub fn tidy(&self, windows: &Windows, now: u64) {
        lock(&self.done).memberships.tidy(windows.memberships, now);
    }

    /// His connections, oldest first.
    pub fn connections(&self) -> Vec<ConnId> {
        lock(&self.connections).clone()
    }
}

/// A panic while one of these short locks is held leaves nothing half done, so the lock stays good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Users looked at in one sweep.
const SWEPT_AT_ONCE: usize = 4096;
/// Whoever is held by something else, a command under way perhaps, is looked at again after so many microseconds.
const AGAIN_AFTER: u64 = 1_000_000;

/// Users without a connection, who are to be forgotten: the sweep looks at them alone.
#[derive(Debug, Default)]
struct Line {
    /// Those who came since the last sweep.
    fresh: VecDeque<UserId>,
    /// The others by the time at which nothing of them counts any more.
    waiting: BinaryHeap<Reverse<(u64, UserId)>>,
}

/// All users with an open connection or with calls that still count.
#[derive(Debug)]
pub struct Users {
    by_name: DashMap<UserId, Arc<User>>,
    line: Mutex<Line>,
    admins: Vec<UserId>,
    connections_max: usize,
}

impl Users {
    /// Nobody yet. `connections_max` of one user at once, 0 = no limit.
    pub fn new(admins: Vec<UserId>, connections_max: usize) -> Self {
        Self { by_name: DashMap::new(), line: Mutex::default(), admins, connections_max }
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
        if connections.is_empty() && !user.in_line.swap(true, Ordering::Relaxed) {
            drop(connections);
            lock(&self.line).fresh.push_back(user.id.clone());
        }
    }

    /// The user of this name, made where nobody of that name is here. For callers without a connection.
    pub fn visit(&self, id: &UserId) -> Arc<User> {
        match self.by_name.entry(id.clone()) {
            Entry::Occupied(user) => user.get().clone(),
            Entry::Vacant(place) => {
                let user = self.make(id);
                user.in_line.store(true, Ordering::Relaxed);
                drop(place.insert(user.clone()));
                lock(&self.line).fresh.push_back(id.clone());
                user
            }
        }
    }

    /// Whether a name is an app admin's.
    pub fn is_admin(&self, id: &UserId) -> bool {
        self.admins.contains(id)
    }

    /// The user of this name, where he is here.
    pub fn find(&self, id: &UserId) -> Option<Arc<User>> {
        self.by_name.get(id).map(|user| user.clone())
    }

    /// Forgets users of whom nothing counts any more; costs nothing for those who are here. `now` is in microseconds. To be
    /// called by one thread.
    pub fn sweep(&self, windows: &Windows, now: u64) {
        for name in self.due(now) {
            let mut again = None;
            self.by_name.remove_if(&name, |_, user| {
                let connections = lock(&user.connections);
                if !connections.is_empty() {
                    user.in_line.store(false, Ordering::Relaxed);
                    return false;
                }
                let idle_at = lock(&user.done).idle_at(windows);
                // The map's own is the only one.
                let forgotten = idle_at <= now && Arc::strong_count(user) == 1;
                again = (!forgotten).then(|| if idle_at > now { idle_at } else { now + AGAIN_AFTER });
                forgotten
            });
            if let Some(again) = again {
                lock(&self.line).waiting.push(Reverse((again, name)));
            }
        }
    }

    /// Takes those out of the line who are to be looked at.
    fn due(&self, now: u64) -> Vec<UserId> {
        let mut line = lock(&self.line);
        let fresh = line.fresh.len().min(SWEPT_AT_ONCE);
        let mut due: Vec<_> = line.fresh.drain(..fresh).collect();
        while due.len() < SWEPT_AT_ONCE
            && let Some(first) = line.waiting.peek_mut()
            && first.0.0 <= now
        {
            due.push(PeekMut::pop(first).0.1);
        }
        due
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

    fn windows() -> Windows {
        let window = Window { calls_max: 20, millis: 5000 };
        Windows { writes: window, reads: window, memberships: Window { calls_max: 200, millis: 8000 } }
    }

    #[test]
    fn a_user_is_forgotten_only_when_what_he_did_no_longer_counts() {
        let (users, windows) = (Users::new(vec![], 0), windows());
        let ann = UserId::parse("ann").unwrap();
        let (user, _) = users.enter(&ann, connection(1));
        user.admit(Call::Write, windows.writes, 0).unwrap();
        users.leave(&user, connection(1));
        drop(user);
        users.sweep(&windows, 4_999_999);
        assert_eq!(users.len(), 1);
        users.sweep(&windows, 5_000_000);
        assert!(users.is_empty());

        users.visit(&ann).change_memberships(200, windows.memberships, 6_000_000).unwrap();
        users.sweep(&windows, 13_999_999);
        assert_eq!(users.find(&ann).unwrap().change_memberships(1, windows.memberships, 13_999_999), Err(Denied::After(1)));
        users.sweep(&windows, 14_000_000);
        assert!(users.is_empty());
    }

    #[test]
    fn whoever_comes_back_stays_and_whoever_goes_again_is_forgotten() {
        let (users, windows) = (Users::new(vec![], 0), windows());
        let ann = UserId::parse("ann").unwrap();
        let (user, _) = users.enter(&ann, connection(1));
        users.leave(&user, connection(1));
        users.sweep(&windows, 0);
        assert_eq!(users.len(), 1, "somebody still holds her");
        users.enter(&ann, connection(2));
        users.sweep(&windows, 10_000_000);
        assert_eq!(users.len(), 1);
        users.leave(&user, connection(2));
        users.leave(&user, connection(2));
        drop(user);
        users.sweep(&windows, 10_000_000);
        assert!(users.is_empty());
        let line = lock(&users.line);
        assert!(line.fresh.is_empty() && line.waiting.is_empty());
    }

    /// Those who are here are not even looked at.
    #[test]
    fn a_sweep_looks_at_those_alone_who_left() {
        let (users, windows) = (Users::new(vec![], 0), windows());
        let name = |n: u32| UserId::parse(&format!("u{n}")).unwrap();
        let all: Vec<_> = (0..10_000).map(|n| users.enter(&name(n), connection(n)).0).collect();
        assert!(users.due(0).is_empty());
        (0..10).for_each(|n| users.leave(&all[n as usize], connection(n)));
        drop(all);
        assert_eq!(users.due(0).len(), 10);
        lock(&users.line).fresh.extend((0..10).map(name));
        users.sweep(&windows, 0);
        assert_eq!(users.len(), 9_990);
    }
}
