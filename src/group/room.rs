//! One shard's share of a group's members, and the rolling cursor that brings them the newest values.
//!
//! A push wakes no member's task: the cursor walks a dense list of seats and sends shared bytes itself. A seat knows up to
//! which version it is current; that is all the memory a member who is behind costs. The cursor never queues: whoever it
//! reaches gets the newest value of each key he has not seen.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::Incarnation;
use super::inbox::{Update, Updates};
use super::outbox::{Outboxes, Pushed};

#[derive(Debug, Clone, Copy)]
struct Seat {
    slot: u32,
    /// The socket. The seat is taken away before the socket closes, so it is never somebody else's.
    fd: RawFd,
    seen: u64,
}

/// Deleted keys whose notice is kept for members who are behind; above it, those members are closed.
const TOMBS_MAX: usize = 256;

/// The members of one group on one shard.
pub struct Room {
    /// The group, in one of its lives.
    pub of: Incarnation,
    /// Least time between the starts of two passes.
    pub min_interval: Duration,
    seats: Vec<Seat>,
    /// The newest frame of each key.
    updates: Updates,
    version: u64,
    cursor: usize,
    /// Seats to look at until everybody has the newest value.
    left: usize,
    /// Seats to look at until the cursor has come round once, and when that round began: only a new round has to wait.
    round: usize,
    round_began: Option<Instant>,
    news_since: Option<Instant>,
    /// Frames for a seat current up to the version named, and how many they are.
    joined: Option<(u64, Bytes, u64)>,
    ended: bool,
    /// Whether the shard has it in its list of rooms with work.
    pub queued: bool,
}

impl Room {
    /// A room without members.
    pub fn new(of: Incarnation, min_interval: Duration) -> Self {
        Self {
            of,
            min_interval,
            seats: Vec::new(),
            updates: Updates::default(),
            version: 0,
            cursor: 0,
            left: 0,
            round: 0,
            round_began: None,
            news_since: None,
            joined: None,
            ended: false,
            queued: false,
        }
    }

    /// How many connections sit here.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody sits here.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Seats a connection that knows everything up to a version; its index comes back.
    pub fn sit(&mut self, slot: u32, fd: RawFd, seen: u64) -> usize {
        self.seats.push(Seat { slot, fd, seen });
        // The cursor meets the new seat before those it has still to come back to: one look more, or the last would miss theirs,
        // or would have to wait for the next round.
        self.left += usize::from(self.left > 0);
        self.round += usize::from(self.round > 0);
        self.seats.len() - 1
    }

    /// A connection that sits here was told everything up to a version.
    pub fn knows(&mut self, at: usize, seen: u64) {
        let seat = &mut self.seats[at];
        seat.seen = seat.seen.max(seen);
    }

    /// Takes a seat away. The connection that was moved to its index comes back.
    pub fn rise(&mut self, at: usize) -> Option<u32> {
        self.seats.swap_remove(at);
        self.round = self.round.min(self.seats.len());
        if self.left > 0 {
            // Whoever was moved may have been moved to a place that the cursor has passed: look at all once more.
            self.left = self.seats.len();
        }
        self.seats.get(at).map(|seat| seat.slot)
    }

    /// Takes newer values in. Says how many pushes of older values will never be sent.
    pub fn publish(&mut self, updates: &[Update], now: Instant) -> u64 {
        let mut conflated = 0;
        for update in updates {
            self.version = self.version.max(update.version);
            if self.updates.put(update) {
                conflated += self.left as u64;
            }
        }
        self.joined = None;
        self.left = self.seats.len();
        self.news_since.get_or_insert(now);
        conflated
    }

    /// Whether everybody whose pipe has room has the newest value.
    pub fn is_calm(&self) -> bool {
        self.left == 0
    }

    /// How long the newest values that were just brought to all have been here; `None`: that was told before.
    pub fn news_age(&mut self) -> Option<Duration> {
        self.news_since.take().map(|since| since.elapsed())
    }

    /// The group is no more: nothing is pushed here from now on, and all are to be told so.
    pub fn end(&mut self) {
        self.updates.clear();
        self.joined = None;
        (self.version, self.left, self.round, self.ended) = (0, 0, 0, true);
    }

    /// Whether the group is no more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes the last seat away; the connection that sat there comes back.
    pub fn pop(&mut self) -> Option<u32> {
        self.seats.pop().map(|seat| seat.slot)
    }

    /// When the cursor may go on, if there is anything to do.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        match self.round_began {
            _ if self.left == 0 => None,
            Some(began) if self.round == 0 => Some((began + self.min_interval).max(now)),
            _ => Some(now),
        }
    }

    /// Somebody here could not be served: the cursor will come to them.
    pub fn look_again(&mut self) {
        self.left = self.seats.len();
    }

    /// Looks at up to `seats_max` seats and sends what they lack, until `frames_max` are sent; whoever is reached gets all they
    /// lack. Returns pushes sent.
    pub fn step(&mut self, outboxes: &mut Outboxes, seats_max: usize, frames_max: u64, now: Instant) -> u64 {
        if self.round == 0 {
            (self.round, self.round_began) = (self.seats.len(), Some(now));
        }
        let mut sent = 0;
        for _ in 0..seats_max.min(self.left).min(self.round) {
            if self.cursor >= self.seats.len() {
                self.cursor = 0;
            }
            sent += self.serve(self.cursor, outboxes, now);
            self.cursor += 1;
            self.left -= 1;
            self.round -= 1;
            if sent >= frames_max {
                break;
            }
        }
        if (self.left == 0 || self.round == 0) && self.updates.iter().any(|update| update.deleted) {
            self.bury();
        }
        sent
    }

    /// Sends what one seat lacks, if its pipe takes it. Returns pushes sent.
    pub fn serve(&mut self, at: usize, outboxes: &mut Outboxes, now: Instant) -> u64 {
        let seat = self.seats[at];
        if seat.seen >= self.version {
            return 0;
        }
        let (frames, count) = self.frames_since(seat.seen);
        if frames.is_empty() || outboxes.push(seat.slot, seat.fd, &frames, now) == Pushed::Sent {
            self.seats[at].seen = self.version;
            return count;
        }
        0
    }

    /// Members who hold up the notice of too many deletions, because their pipes are full.
    pub fn too_far_behind(&self, outboxes: &Outboxes) -> Vec<u32> {
        let tombs = || self.updates.iter().filter(|update| update.deleted).map(|update| update.version);
        let Some(oldest) = tombs().min().filter(|_| tombs().count() > TOMBS_MAX) else { return Vec::new() };
        let behind = self.seats.iter().filter(|seat| seat.seen < oldest && outboxes.blocked_since(seat.slot).is_some());
        behind.map(|seat| seat.slot).collect()
    }

    fn frames_since(&mut self, seen: u64) -> (Bytes, u64) {
        if let Some((since, frames, count)) = &self.joined
            && *since == seen
        {
            return (frames.clone(), *count);
        }
        let mut newer = self.updates.iter().filter(|update| update.version > seen);
        let (frames, count) = match (newer.next(), newer.next()) {
            (None, _) => (Bytes::new(), 0),
            (Some(one), None) => (one.frame.clone(), 1),
            (Some(one), Some(two)) => {
                let (mut all, mut count) = (BytesMut::from(&one.frame[..]), 2);
                all.extend_from_slice(&two.frame);
                for update in newer {
                    all.extend_from_slice(&update.frame);
                    count += 1;
                }
                (all.freeze(), count)
            }
        };
        self.joined = Some((seen, frames.clone(), count));
        (frames, count)
    }

    /// Drops notices of deletion that everybody has.
    fn bury(&mut self) {
        let seen_by_all = self.seats.iter().map(|seat| seat.seen).min().unwrap_or(self.version);
        self.updates.retain(|update| !update.deleted || update.version > seen_by_all);
    }
}

#[cfg(test)]
mod tests;
