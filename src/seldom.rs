//! Lines of the log that may be caused from outside, at any rate: each cause writes at most one a second, and the next line
//! says how many were left out. With the level `debug` every one of them is written, as a line of that level.
//!
//! Nothing here is on the way of a command that succeeds: causes are refusals, faults and ends.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a cause is silent after a line.
const SILENCE: Duration = Duration::from_secs(1);
/// Causes that are told apart. Those beyond it share one; the program itself has a few dozen.
const CAUSES_MAX: usize = 256;

/// What lines are counted by: words that stand in the program, and a number where the cause has one (a code, a place in a
/// table).
pub type Cause = (&'static str, u32);

/// The causes that have written something.
static CAUSES: Causes = Causes::new();

struct Causes(Mutex<Vec<(Cause, Told)>>);

struct Told {
    at: Instant,
    left_out: u64,
}

impl Causes {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// How many lines were left out since the last one, where one may be written now.
    fn may_tell(&self, cause: Cause, now: Instant) -> Option<u64> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match causes.iter().position(|(known, _)| *known == cause) {
            Some(at) => at,
            None if causes.len() < CAUSES_MAX => {
                causes.push((cause, Told { at: now, left_out: 0 }));
                return Some(0);
            }
            None => CAUSES_MAX - 1,
        };
        let told = &mut causes[at].1;
        if now.saturating_duration_since(told.at) < SILENCE {
            told.left_out += 1;
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.left_out))
    }

    /// Causes whose silence is over while lines were left out: nothing more has come since.
    fn rest(&self, now: Instant) -> Vec<(Cause, u64)> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |told: &Told| told.left_out > 0 && now.saturating_duration_since(told.at) >= SILENCE;
        causes
            .iter_mut()
            .filter(|(_, told)| over(told))
            .map(|(cause, told)| {
                told.at = now;
                (*cause, std::mem::take(&mut told.left_out))
            })
            .collect()
    }
}

/// How many lines of this cause were left out since its last one, where one may be written now; else this one is left out,
/// too. For the macro `seldom!`.
pub fn may_tell(cause: Cause) -> Option<u64> {
    CAUSES.may_tell(cause, Instant::now())
}

/// Tells of lines that were left out and that no later line will tell of. To be called about once a second.
pub fn tell_rest() {
    for ((words, number), left_out) in CAUSES.rest(Instant::now()) {
        tracing::info!(left_out, number, "more of the same was left out: {words}");
    }
}

/// Writes a line of the log at most once a second for each cause: `seldom!(warn, ("accept", 0), %peer, "cannot accept: {e}")`.
/// A line that is left out is a line of the level `debug` instead.
#[macro_export]
macro_rules! seldom {
    ($level:ident, $cause:expr, $($line:tt)+) => {
        match $crate::seldom::may_tell($cause) {
            Some(0) => ::tracing::$level!($($line)+),
            Some(left_out) => ::tracing::$level!(left_out, $($line)+),
            None => ::tracing::debug!($($line)+),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_tells_once_a_second_and_says_what_it_left_out() {
        let (causes, start) = (Causes::new(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(causes.may_tell(("a", 1), start), Some(0));
        assert_eq!(causes.may_tell(("a", 2), after(1)), Some(0));
        assert_eq!(causes.may_tell(("a", 1), after(1)), None);
        assert_eq!(causes.may_tell(("a", 1), after(999)), None);
        assert_eq!(causes.may_tell(("a", 1), after(1000)), Some(2));
        assert_eq!(causes.may_tell(("a", 1), after(2000)), Some(0));
    }

    #[test]
    fn what_was_left_out_last_is_told_when_the_second_is_over() {
        let (causes, start) = (Causes::new(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        causes.may_tell(("a", 1), start);
        causes.may_tell(("b", 0), start);
        (0..5).for_each(|_| assert_eq!(causes.may_tell(("a", 1), after(1)), None));
        assert_eq!(causes.rest(after(999)), []);
        assert_eq!(causes.rest(after(1000)), [(("a", 1), 5)]);
        assert_eq!(causes.may_tell(("a", 1), after(1001)), None, "the rest counts as a line");
        assert_eq!(causes.rest(after(2000)), [(("a", 1), 1)]);
        assert_eq!(causes.rest(after(9000)), []);
    }

    #[test]
    fn causes_without_end_do_not_fill_the_memory() {
        let (causes, now) = (Causes::new(), Instant::now());
        let told = (0..10 * CAUSES_MAX as u32).filter(|number| causes.may_tell(("a", *number), now).is_some()).count();
        assert_eq!(told, CAUSES_MAX);
        assert_eq!(causes.0.lock().unwrap().len(), CAUSES_MAX);
    }
}
