//! Tallycast.
