//! An exact sliding window: at most N calls in any stretch of W milliseconds; and the same for calls that count as several.
//!
//! Not a token bucket: those let nearly twice N through in their worst window, or refuse legal bursts. A refused call
//! leaves no trace.

use std::collections::VecDeque;

/// The calls of one user that still count.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Times of the last calls let through, a ring of at most N; grows only as far as it is used.
    stamps: Vec<u64>,
    /// The oldest of a full ring.
    oldest: usize,
}

/// N and W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Calls in any window; 0 = no limit.
    pub calls_max: u32,
    /// The window's length in milliseconds.
    pub millis: u64,
}

impl Window {
    fn micros(self) -> u64 {
        self.millis.saturating_mul(1000)
    }
}

impl Throttle {
    /// Lets a call through, or says in how many milliseconds one would pass. `now` is of a clock that never runs
    /// backwards, in microseconds: in milliseconds a window could seem over nearly one of them too early.
    pub fn admit(&mut self, window: Window, now: u64) -> Result<(), u64> {
        let n = window.calls_max as usize;
        if n == 0 {
            return Ok(());
        }
        if self.stamps.len() < n {
            self.stamps.push(now);
            return Ok(());
        }
        let age = now.saturating_sub(self.stamps[self.oldest]);
        if age < window.micros() {
            return Err((window.micros() - age).div_ceil(1000));
        }
        self.stamps[self.oldest] = now;
        self.oldest = (self.oldest + 1) % n;
        Ok(())
    }

    /// From when on no call of the past counts any more, so that to forget the user changes nothing.
    pub fn idle_at(&self, window: Window) -> u64 {
        let newest = if self.oldest == 0 { self.stamps.last() } else { self.stamps.get(self.oldest - 1) };
        newest.map_or(0, |newest| newest.saturating_add(window.micros()))
    }
}

/// What one user has spent that still counts, several at a call. Takes no memory until something is.
#[derive(Debug, Default)]
pub struct Allowance {
    /// When, and how many.
    spent: VecDeque<(u64, u32)>,
    /// How many in all.
    sum: u32,
}

/// Why something may not be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It may be after so many milliseconds.
    After(u64),
    /// It is more than any window allows.
    Ever,
}

impl Allowance {
    /// Spends all of it or nothing. `now` is as for `Throttle::admit`.
    pub fn spend(&mut self, count: u32, window: Window, now: u64) -> Result<(), Denied> {
        let max = window.calls_max;
        if max == 0 || count == 0 {
            return Ok(());
        }
        if count > max {
            return Err(Denied::Ever);
        }
        while let Some((_, old)) = self.spent.pop_front_if(|(at, _)| now.saturating_sub(*at) >= window.micros()) {
            self.sum -= old;
        }
        let mut left = max - self.sum;
        if count <= left {
            self.sum += count;
            match self.spent.back_mut() {
                Some((at, last)) if *at == now => *last += count,
                _ => self.spent.push_back((now, count)),
            }
            return Ok(());
        }
        // As the oldest cease to count, there is room.
        for (at, old) in &self.spent {
            left += old;
            if count <= left {
                return Err(Denied::After((at + window.micros()).saturating_sub(now).div_ceil(1000)));
            }
        }
        Err(Denied::After(window.millis))
    }

    /// From when on nothing of the past counts any more.
    pub fn idle_at(&self, window: Window) -> u64 {
        self.spent.back().map_or(0, |(at, _)| at.saturating_add(window.micros()))
    }

    /// Gives its memory back where nothing counts any more.
    pub fn tidy(&mut self, window: Window, now: u64) {
        if self.idle_at(window) <= now {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window { calls_max: 20, millis: 5000 };

    proptest! {
        #[test]
        fn it_admits_exactly_what_the_window_allows(steps in prop::collection::vec(0u64..900_000, 1..400)) {
            let (mut throttle, mut now, mut admitted) = (Throttle::default(), 0, Vec::<u64>::new());
            for step in steps {
                now += step;
                let inside = admitted.iter().filter(|t| now - **t < WINDOW.micros()).count();
                match throttle.admit(WINDOW, now) {
                    Ok(()) => {
                        prop_assert!(inside < 20, "the 21st call of a window passed");
                        admitted.push(now);
                    }
                    Err(wait) => {
                        prop_assert_eq!(inside, 20, "the 20th call of a window was refused");
                        prop_assert!(wait > 0);
                        let oldest = admitted[admitted.len() - 20];
                        prop_assert_eq!(wait, (oldest + WINDOW.micros() - now).div_ceil(1000), "the wait is exact");
                    }
                }
                prop_assert_eq!(throttle.idle_at(WINDOW), admitted.last().unwrap() + WINDOW.micros());
            }
        }
    }

    proptest! {
        #[test]
        fn an_allowance_is_spent_exactly_as_the_window_allows(calls in prop::collection::vec((0u64..900_000, 0u32..30), 1..400)) {
            let (mut allowance, mut now, mut spent) = (Allowance::default(), 0, Vec::<(u64, u32)>::new());
            for (step, count) in calls {
                now += step;
                let inside = |spent: &[(u64, u32)], now: u64| {
                    spent.iter().filter(|(at, _)| now - at < WINDOW.micros()).map(|(_, count)| count).sum::<u32>()
                };
                match allowance.spend(count, WINDOW, now) {
                    Ok(()) => {
                        prop_assert!(inside(&spent, now) + count <= 20);
                        spent.push((now, count));
                    }
                    Err(Denied::Ever) => prop_assert!(count > 20),
                    Err(Denied::After(wait)) => {
                        prop_assert!(count <= 20 && inside(&spent, now) + count > 20);
                        prop_assert!(inside(&spent, now + wait * 1000) + count <= 20, "the wait is long enough");
                        prop_assert!(inside(&spent, now + (wait - 1) * 1000) + count > 20, "and no longer");
                    }
                }
                allowance.tidy(WINDOW, now);
                prop_assert!(inside(&spent, now) > 0 || allowance.spent.is_empty(), "what counts no more takes no memory");
            }
        }
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let mut throttle = Throttle::default();
        for _ in 0..20 {
            assert_eq!(throttle.admit(WINDOW, 0), Ok(()));
        }
        for now in 0..5000 {
            assert_eq!(throttle.admit(WINDOW, now * 1000), Err(5000 - now));
        }
        assert_eq!(throttle.admit(WINDOW, 4_999_999), Err(1));
        assert_eq!(throttle.admit(WINDOW, 5_000_000), Ok(()));
    }

    #[test]
    fn zero_means_no_limit() {
        let mut throttle = Throttle::default();
        for _ in 0..1000 {
            assert_eq!(throttle.admit(Window { calls_max: 0, millis: 5000 }, 0), Ok(()));
        }
        assert!(throttle.stamps.is_empty());
    }
}
