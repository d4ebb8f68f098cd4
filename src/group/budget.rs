//! How many pushes a node may send in a second. Pure: the time comes in.
//!
//! Each shard has an equal share of the bound, so that a busy one cannot starve another; what an idle shard does not need goes
//! to those who do. Nothing is rounded: a share is counted in parts of a frame.

use std::sync::{Mutex, MutexGuard, PoisonError};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// Time for which a share may be saved up. It is also by how much one second may exceed the bound: a twentieth.
const SAVED_NANOS: i128 = 50_000_000;

/// The bound, with what is left of it.
#[derive(Debug)]
pub struct Budget {
    per_second: i128,
    shares: Vec<Mutex<Share>>,
}

/// One shard's share. Below nothing where a member was owed more frames at once than were left.
#[derive(Debug, Default)]
struct Share {
    parts: i128,
    filled_nanos: u64,
}

impl Budget {
    /// A bound for so many shards; 0 = none.
    pub fn new(frames_per_second: u64, shards: usize) -> Option<Self> {
        let shares = (0..shards).map(|_| Mutex::default()).collect();
        (frames_per_second > 0).then_some(Self { per_second: frames_per_second.into(), shares })
    }

    /// How many frames a shard may send now. The time is that of any clock that never runs backwards.
    pub fn allows(&self, shard: usize, now_nanos: u64) -> u64 {
        let mut own = self.share(shard, now_nanos);
        if own.parts < self.most() {
            let mut missing = self.most() * self.shares.len() as i128 - own.parts;
            drop(own);
            let mut found = 0;
            for other in (0..self.shares.len()).filter(|other| *other != shard) {
                let mut share = self.share(other, now_nanos);
                // Whoever is idle has all they may save: half of it is theirs for when they wake.
                let spare = (share.parts - self.most() / 2).clamp(0, missing);
                share.parts -= spare;
                (missing, found) = (missing - spare, found + spare);
            }
            own = self.share(shard, now_nanos);
            own.parts += found;
        }
        (own.parts / self.frame()).max(0) as u64
    }

    /// Frames were sent.
    pub fn spend(&self, shard: usize, frames: u64) {
        held(&self.shares[shard]).parts -= i128::from(frames) * self.frame();
    }

    /// In how many nanoseconds the next frame may be sent, if nobody else leaves any.
    pub fn wait_nanos(&self, shard: usize) -> u64 {
        let missing = (self.frame() - held(&self.shares[shard]).parts).max(0);
        u64::try_from(missing / self.per_second + 1).unwrap_or(u64::MAX)
    }

    fn share(&self, shard: usize, now_nanos: u64) -> MutexGuard<'_, Share> {
        let mut share = held(&self.shares[shard]);
        let passed = now_nanos.saturating_sub(share.filled_nanos);
        share.filled_nanos = share.filled_nanos.max(now_nanos);
        // What was drawn from others may be more than what is saved.
        let most = self.most().max(share.parts);
        share.parts = (share.parts + i128::from(passed) * self.per_second).min(most);
        share
    }

    /// The parts of one frame: each share gets `per_second` of them in a nanosecond.
    fn frame(&self) -> i128 {
        NANOS_PER_SECOND * self.shares.len() as i128
    }

    /// The most that a share holds: where the bound is low, still enough for one to use and one to leave.
    fn most(&self) -> i128 {
        (self.per_second * SAVED_NANOS).max(2 * self.frame())
    }
}

fn held(share: &Mutex<Share>) -> MutexGuard<'_, Share> {
    share.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one shard may send in ten seconds, if it looks at such intervals.
    fn sent(budget: &Budget, shard: usize, every_nanos: u64) -> u64 {
        let mut sent = 0;
        for now in (0..10 * NANOS_PER_SECOND as u64).step_by(every_nanos as usize) {
            let frames = budget.allows(shard, now);
            budget.spend(shard, frames);
            sent += frames;
        }
        sent
    }

    #[test]
    fn a_bound_is_kept_to_the_frame_however_often_it_is_looked_at() {
        for per_second in [1, 7, 168, 200, 999, 123_457] {
            for every_nanos in [333_333, 1_000_003, 7_000_001, 20_000_000] {
                for shards in [1, 2, 3, 8] {
                    let budget = Budget::new(per_second, shards).unwrap();
                    let sent = sent(&budget, shards - 1, every_nanos);
                    let saved_max = (per_second / 20).max(2) * shards as u64;
                    let (all, tenth) = (10 * per_second, per_second / 10);
                    assert!(sent <= all + saved_max, "{sent} of {all}, {shards} shards, {every_nanos} ns");
                    assert!(sent + tenth + 2 * shards as u64 >= all, "{sent} of {all}, {shards} shards, {every_nanos} ns");
                }
            }
        }
    }

    #[test]
    fn a_busy_shard_starves_no_other() {
        let budget = Budget::new(200, 2).unwrap();
        let (mut hot, mut calm) = (0, 0);
        for milli in 0..10_000 {
            let now = milli * 1_000_000;
            let frames = budget.allows(0, now);
            budget.spend(0, frames);
            hot += frames;
            if milli % 100 == 99 {
                assert!(budget.allows(1, now) > 0, "after {milli} ms");
                budget.spend(1, 1);
                calm += 1;
            }
        }
        assert!((1950..=2020).contains(&(hot + calm)), "{hot} and {calm}");
    }

    #[test]
    fn a_debt_is_paid_back() {
        let budget = Budget::new(100, 1).unwrap();
        budget.spend(0, 20);
        assert_eq!(budget.allows(0, 200_000_000), 0);
        assert_eq!(budget.wait_nanos(0), 10_000_001);
        assert_eq!(budget.allows(0, 210_000_000), 1);
    }

    #[test]
    fn without_a_bound_there_is_nothing_to_ask() {
        assert!(Budget::new(0, 2).is_none());
    }
}
