//! `tallycast bench`: the load tool.

pub mod report;
