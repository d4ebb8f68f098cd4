//! Socket frames on one side, typed requests, answers and pushes on the other. Pure.

pub mod answer;
pub mod bounded;
pub mod close;
pub mod fields;
pub mod frame;
pub mod push;
pub mod request;
