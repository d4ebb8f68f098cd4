//! The clocks. What people are shown, and what a UserSig promises, goes by the wall clock; how old something is goes by one
//! that nobody can set. Beside `Instant`, which needs no care, time is read here alone.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::UnixMillis;

/// The wall clock: milliseconds since the Unix epoch. It may be set forward and back at any moment.
pub fn unix_millis() -> UnixMillis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A clock that begins at the wall clock's time and from then on only goes on, whatever becomes of the wall clock. Stamps of
/// an earlier start may lie in its future.
pub fn steady() -> impl Fn() -> UnixMillis + Send + Sync + 'static {
    let (began, started) = (unix_millis(), Instant::now());
    move || began.saturating_add(started.elapsed().as_millis() as u64)
}
