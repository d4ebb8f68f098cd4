//! Operations that were answered before this start: kept until their group is loaded or their window is over.
//!
//! Bounded by bytes as well; whoever comes to that bound has written for the whole window as fast as the disk goes.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::UnixMillis;
use crate::domain::name::GroupId;
use crate::domain::record::Operation;

/// The most bytes that are kept; above it the oldest operations are forgotten.
const BYTES_MAX: usize = 1 << 30;

/// The operations, encoded: a parsed one takes three times the space.
#[derive(Debug, Default)]
pub(super) struct Replays {
    groups: HashMap<GroupId, Vec<u8>>,
    count: u64,
    bytes: usize,
    newest: UnixMillis,
}

impl Replays {
    /// Keeps an operation. A group's operations come in order.
    pub(super) fn keep(&mut self, group: GroupId, at: UnixMillis, operation: &Operation) {
        let kept = self.groups.entry(group).or_default();
        let before = kept.len();
        kept.extend_from_slice(&at.to_le_bytes());
        kept.extend_from_slice(&[0; 4]);
        // Plain values have no cause to fail.
        *kept = postcard::to_extend(operation, std::mem::take(kept)).expect("an operation can always be encoded");
        let length = (kept.len() - before - 12) as u32;
        kept[before + 8..before + 12].copy_from_slice(&length.to_le_bytes());
        self.bytes += kept.len() - before;
        self.count += 1;
        self.newest = self.newest.max(at);
    }

    /// Forgets what is known of a group that ended: whatever is made under its id is another one.
    pub(super) fn end(&mut self, group: &GroupId) {
        if let Some(kept) = self.groups.remove(group) {
            self.bytes -= kept.len();
            self.count -= split(&kept).count() as u64;
        }
    }

    /// Takes operations that seem to be of a later time than now for operations of now.
    pub(super) fn none_after(&mut self, now: UnixMillis) {
        if self.newest <= now {
            return;
        }
        self.newest = now;
        for kept in self.groups.values_mut() {
            let mut start = 0;
            let entries: Vec<_> = split(kept).map(|(at, entry)| (at.min(now), entry.len())).collect();
            for (at, length) in entries {
                kept[start..start + 8].copy_from_slice(&at.to_le_bytes());
                start += length;
            }
        }
    }

    /// Makes room where there is too much, oldest first; `horizon` is the window's beginning.
    pub(super) fn bound(&mut self, mut horizon: UnixMillis) {
        while self.bytes > BYTES_MAX {
            horizon += (self.newest.saturating_sub(horizon) / 8).max(1);
            self.forget_before(horizon);
        }
    }

    /// Hands out what is known of a group and not older than the window.
    pub(super) fn take(&mut self, group: &GroupId, now: UnixMillis, window: Duration) -> Vec<(UnixMillis, Operation)> {
        let Some(kept) = self.groups.remove(group) else { return Vec::new() };
        self.bytes -= kept.len();
        let horizon = horizon(now, window);
        let mut taken = Vec::new();
        for (at, bytes) in split(&kept) {
            self.count -= 1;
            if let (true, Ok(operation)) = (at >= horizon, postcard::from_bytes(&bytes[12..])) {
                taken.push((at, operation));
            }
        }
        taken
    }

    /// Forgets everything once the newest is older than the window.
    pub(super) fn expire(&mut self, now: UnixMillis, window: Duration) {
        if self.count > 0 && self.newest < horizon(now, window) {
            *self = Self::default();
        }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    fn forget_before(&mut self, horizon: UnixMillis) {
        let (mut count, mut bytes) = (0, 0);
        self.groups.retain(|_, kept| {
            let mut left = Vec::new();
            for (_, entry) in split(kept).filter(|(at, _)| *at >= horizon) {
                left.extend_from_slice(entry);
                count += 1;
            }
            bytes += left.len();
            *kept = left;
            !kept.is_empty()
        });
        (self.count, self.bytes) = (count, bytes);
    }
}

/// The beginning of a window that ends now.
pub(super) fn horizon(now: UnixMillis, window: Duration) -> UnixMillis {
    now.saturating_sub(u64::try_from(window.as_millis()).unwrap_or(u64::MAX))
}

/// The entries: time, and all bytes of the entry.
fn split(kept: &[u8]) -> impl Iterator<Item = (UnixMillis, &[u8])> {
    let mut rest = kept;
    std::iter::from_fn(move || {
        let (at, tail) = rest.split_first_chunk::<8>()?;
        let (length, _) = tail.split_first_chunk::<4>()?;
        let (entry, tail) = rest.split_at_checked(12 + u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some((u64::from_le_bytes(*at), entry))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::{OpId, UserId};
    use crate::domain::record::Answer;

    fn operation(id: &str) -> Operation {
        let answer = Answer { version: 1, values: smallvec::smallvec![5] };
        Operation { user: UserId::parse("u").unwrap(), id: OpId::parse(id).unwrap(), print: 7, answer }
    }

    #[test]
    fn operations_are_handed_out_once_and_only_within_the_window() {
        let (mut replays, group) = (Replays::default(), GroupId::parse("g").unwrap());
        for at in 0..10u64 {
            replays.keep(group.clone(), 1000 + at, &operation(&format!("op{at}")));
        }
        let taken = replays.take(&group, 1105, Duration::from_millis(100));
        assert_eq!(taken.len(), 5);
        assert_eq!(taken[0], (1005, operation("op5")));
        assert!(replays.take(&group, 1105, Duration::from_millis(100)).is_empty());
        assert_eq!((replays.len(), replays.bytes), (0, 0));
    }

    #[test]
    fn what_seems_to_be_of_tomorrow_is_of_now() {
        let (mut replays, group, window) = (Replays::default(), GroupId::parse("g").unwrap(), Duration::from_millis(100));
        for at in [990, 5000, 1000, 9000] {
            replays.keep(group.clone(), at, &operation(&format!("op{at}")));
        }
        replays.none_after(1000);
        replays.expire(1100, window);
        let times: Vec<_> = replays.take(&group, 1095, window).into_iter().map(|(at, operation)| (at, operation.id)).collect();
        let expected = [(1000, "op5000"), (1000, "op1000"), (1000, "op9000")];
        assert_eq!(times, expected.map(|(at, id)| (at, OpId::parse(id).unwrap())));
        replays.keep(group, 5000, &operation("op"));
        replays.none_after(1000);
        replays.expire(1101, window);
        assert_eq!(replays.len(), 0);
    }

    #[test]
    fn the_oldest_go_first() {
        let (mut replays, group) = (Replays::default(), GroupId::parse("g").unwrap());
        for at in 0..10u64 {
            replays.keep(group.clone(), at, &operation("op"));
        }
        replays.forget_before(4);
        assert_eq!(replays.len(), 6);
        replays.expire(20, Duration::from_millis(11));
        assert_eq!(replays.len(), 6);
        replays.expire(20, Duration::from_millis(10));
        assert_eq!(replays.len(), 0);
    }
}
