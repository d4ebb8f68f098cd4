//! What each address does: how many connections it has, and how often its logins failed. Loopback is exempt. A map shared by
//! all shards; no lock is held across a wait, and addresses that do nothing are forgotten.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use dashmap::DashMap;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Deeds {
    connections: usize,
    bad_logins: u32,
    minute_began: Option<Instant>,
}

/// All addresses that do anything.
#[derive(Debug)]
pub struct Addresses {
    deeds: DashMap<IpAddr, Deeds>,
    connections_max: usize,
    bad_logins_max: u32,
}

impl Addresses {
    /// Nobody yet; 0 = no limit.
    pub fn new(connections_max: usize, bad_logins_max: u32) -> Self {
        Self { deeds: DashMap::new(), connections_max, bad_logins_max }
    }

    /// A connection from an address opens. False: it has too many.
    pub fn enter(&self, address: IpAddr) -> bool {
        if address.is_loopback() || self.connections_max == 0 {
            return true;
        }
        let mut deeds = self.deeds.entry(address).or_default();
        let room = deeds.connections < self.connections_max;
        deeds.connections += usize::from(room);
        room
    }

    /// A connection that was let in is gone.
    pub fn leave(&self, address: IpAddr) {
        if let Some(mut deeds) = self.deeds.get_mut(&address) {
            deeds.connections = deeds.connections.saturating_sub(1);
        }
    }

    /// A login from an address failed. False: too many of its logins failed within a minute.
    pub fn bad_login(&self, address: IpAddr, now: Instant) -> bool {
        if address.is_loopback() || self.bad_logins_max == 0 {
            return true;
        }
        let mut deeds = self.deeds.entry(address).or_default();
        if deeds.minute_began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            (deeds.minute_began, deeds.bad_logins) = (Some(now), 0);
        }
        deeds.bad_logins = deeds.bad_logins.saturating_add(1);
        deeds.bad_logins <= self.bad_logins_max
    }

    /// Whether so many logins of an address failed within a minute that none is looked at.
    pub fn is_banned(&self, address: IpAddr, now: Instant) -> bool {
        let banned = |deeds: &Deeds| {
            deeds.bad_logins > self.bad_logins_max && deeds.minute_began.is_some_and(|began| now.duration_since(began) < MINUTE)
        };
        self.bad_logins_max > 0 && self.deeds.get(&address).is_some_and(|deeds| banned(&deeds))
    }

    /// Forgets addresses that do nothing.
    pub fn sweep(&self, now: Instant) {
        let counts = |deeds: &Deeds| deeds.connections > 0 || deeds.minute_began.is_some_and(|began| now.duration_since(began) < MINUTE);
        self.deeds.retain(|_, deeds| counts(deeds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn an_address_has_so_many_connections_and_loopback_any() {
        let addresses = Addresses::new(2, 0);
        assert!(addresses.enter(SOMEWHERE) && addresses.enter(SOMEWHERE));
        assert!(!addresses.enter(SOMEWHERE));
        addresses.leave(SOMEWHERE);
        assert!(addresses.enter(SOMEWHERE));
        assert!((0..10).all(|_| addresses.enter([127, 0, 0, 1].into())));
    }

    #[test]
    fn failed_logins_count_by_the_minute() {
        let (addresses, start) = (Addresses::new(0, 3), Instant::now());
        assert!((0..3).all(|_| addresses.bad_login(SOMEWHERE, start)));
        assert!(!addresses.is_banned(SOMEWHERE, start));
        assert!(!addresses.bad_login(SOMEWHERE, start));
        assert!(addresses.is_banned(SOMEWHERE, start + MINUTE / 2));
        assert!(!addresses.is_banned(SOMEWHERE, start + MINUTE));
        assert!(addresses.bad_login(SOMEWHERE, start + MINUTE));
        addresses.sweep(start + 3 * MINUTE);
        assert!(addresses.deeds.is_empty());
    }
}
