//! What each address does: how many connections it has, and how often its logins failed. Loopback is exempt. Of IPv6 a whole
//! /64 is one address: that is what one customer gets. A map shared by all shards; no lock is held across a wait, and addresses
//! that do nothing are forgotten, at the cost of those alone.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
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
    /// When a minute of failed logins began, and whose, oldest first.
    minutes: Mutex<VecDeque<(Instant, IpAddr)>>,
    connections_max: usize,
    bad_logins_max: u32,
}

impl Addresses {
    /// Nobody yet; 0 = no limit.
    pub fn new(connections_max: usize, bad_logins_max: u32) -> Self {
        Self { deeds: DashMap::new(), minutes: Mutex::default(), connections_max, bad_logins_max }
    }

    /// A connection from an address opens. False: it has too many.
    pub fn enter(&self, address: IpAddr) -> bool {
        if address.is_loopback() || self.connections_max == 0 {
            return true;
        }
        let mut deeds = self.deeds.entry(counted(address)).or_default();
        let room = deeds.connections < self.connections_max;
        deeds.connections += usize::from(room);
        room
    }

    /// A connection that was let in is gone.
    pub fn leave(&self, address: IpAddr) {
        let address = counted(address);
        if let Some(mut deeds) = self.deeds.get_mut(&address) {
            deeds.connections = deeds.connections.saturating_sub(1);
        }
        self.deeds.remove_if(&address, |_, deeds| deeds.count_for_nothing());
    }

    /// A login from an address failed. False: too many of its logins failed within a minute.
    pub fn bad_login(&self, address: IpAddr, now: Instant) -> bool {
        if address.is_loopback() || self.bad_logins_max == 0 {
            return true;
        }
        let address = counted(address);
        let mut deeds = self.deeds.entry(address).or_default();
        if deeds.minute_began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            (deeds.minute_began, deeds.bad_logins) = (Some(now), 0);
            self.minutes.lock().unwrap_or_else(PoisonError::into_inner).push_back((now, address));
        }
        deeds.bad_logins = deeds.bad_logins.saturating_add(1);
        deeds.bad_logins <= self.bad_logins_max
    }

    /// Whether so many logins of an address failed within a minute that none is looked at.
    pub fn is_banned(&self, address: IpAddr, now: Instant) -> bool {
        let banned = |deeds: &Deeds| {
            deeds.bad_logins > self.bad_logins_max && deeds.minute_began.is_some_and(|began| now.duration_since(began) < MINUTE)
        };
        self.bad_logins_max > 0 && self.deeds.get(&counted(address)).is_some_and(|deeds| banned(&deeds))
    }

    /// Forgets failed logins whose minute is over. Looks at those alone.
    pub fn sweep(&self, now: Instant) {
        loop {
            let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
            let over = minutes.front().is_some_and(|(began, _)| now.duration_since(*began) >= MINUTE);
            let Some((began, address)) = minutes.pop_front_if(|_| over) else { return };
            drop(minutes);
            // Another minute may have begun since; it has its own place in the list.
            if let Some(mut deeds) = self.deeds.get_mut(&address).filter(|deeds| deeds.minute_began == Some(began)) {
                (deeds.minute_began, deeds.bad_logins) = (None, 0);
            }
            self.deeds.remove_if(&address, |_, deeds| deeds.count_for_nothing());
        }
    }
}

impl Deeds {
    fn count_for_nothing(&self) -> bool {
        self.connections == 0 && self.minute_began.is_none()
    }
}

/// What an address is counted as.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
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
        assert!((0..10).all(|_| addresses.enter(Ipv6Addr::LOCALHOST.into())));
        (0..2).for_each(|_| addresses.leave(SOMEWHERE));
        assert!(addresses.deeds.is_empty(), "who has left is forgotten at once");
    }

    #[test]
    fn a_whole_network_of_ipv6_is_one_address() {
        let addresses = Addresses::new(2, 1);
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(addresses.enter(of("2001:db8:0:1::1")) && addresses.enter(of("2001:db8:0:1:ffff:ffff:ffff:ffff")));
        assert!(!addresses.enter(of("2001:db8:0:1:2::")));
        assert!(addresses.enter(of("2001:db8:0:2::1")), "the next network has places of its own");
        addresses.leave(of("2001:db8:0:1::9"));
        assert!(addresses.enter(of("2001:db8:0:1::2")));
        let now = Instant::now();
        assert!(addresses.bad_login(of("2001:db8::1"), now));
        assert!(!addresses.bad_login(of("2001:db8::2"), now));
        assert!(addresses.is_banned(of("2001:db8::3"), now) && !addresses.is_banned(of("2001:db8:0:1::1"), now));
        // IPv4 in the dress of IPv6 is IPv4, each by itself.
        assert!(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "::ffff:192.0.2.2"].into_iter().all(|text| addresses.enter(of(text))));
        assert!(!addresses.enter(of("192.0.2.1")) && !addresses.enter(of("::ffff:192.0.2.2")));
    }

    #[test]
    fn failed_logins_count_by_the_minute() {
        let (addresses, start) = (Addresses::new(9, 3), Instant::now());
        assert!((0..3).all(|_| addresses.bad_login(SOMEWHERE, start)));
        assert!(!addresses.is_banned(SOMEWHERE, start));
        assert!(!addresses.bad_login(SOMEWHERE, start));
        assert!(addresses.is_banned(SOMEWHERE, start + MINUTE / 2));
        assert!(!addresses.is_banned(SOMEWHERE, start + MINUTE));
        assert!(addresses.bad_login(SOMEWHERE, start + MINUTE));
        addresses.sweep(start + 3 * MINUTE / 2);
        assert_eq!(addresses.deeds.len(), 1, "the second minute is not over");
        addresses.enter(SOMEWHERE);
        addresses.sweep(start + 3 * MINUTE);
        assert_eq!(addresses.deeds.len(), 1, "it is connected still");
        addresses.leave(SOMEWHERE);
        assert!(addresses.deeds.is_empty() && addresses.minutes.lock().unwrap().is_empty());
    }
}
