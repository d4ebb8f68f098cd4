//! Tallycast, the program.
fn main() {}
