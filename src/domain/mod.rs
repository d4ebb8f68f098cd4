//! The rules and the vocabulary. Pure: no I/O, no clock, no async; time comes in as an argument.

pub mod code;
pub mod command;
pub mod counters;
pub mod group;
pub mod keyed;
pub mod member;
pub mod name;
pub mod record;
pub mod replay;
pub mod throttle;

/// Milliseconds since the Unix epoch, as read by the shell that calls: of the wall clock, or of one that begins there and that
/// nobody can set.
pub type UnixMillis = u64;
