//! The rules and the vocabulary. Pure: no I/O, no clock, no async; time comes in as an argument.

pub mod code;
pub mod name;

/// Milliseconds since the Unix epoch, as read by the shell that calls.
pub type UnixMillis = u64;
