//! An exact sliding window: at most N calls in any stretch of W milliseconds.
//!
//! Not a token bucket: those let nearly twice N through in their worst window, or refuse legal bursts. A refused call
//! leaves no trace.

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

    /// Whether no call of the past counts any more, so that forgetting the user changes nothing.
    pub fn is_idle(&self, window: Window, now: u64) -> bool {
        self.stamps.iter().all(|stamp| now.saturating_sub(*stamp) >= window.micros())
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
                prop_assert_eq!(throttle.is_idle(WINDOW, now), admitted.iter().all(|t| now - t >= WINDOW.micros()));
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
