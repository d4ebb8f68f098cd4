//! What is fuzzed, and what must hold whatever comes in. A target is a function that takes bytes and panics on a fault; it
//! may own a world (a gateway, a store) that lives as long as the function.
//!
//! Each target is run by the fuzzer (`targets/`) and, on the inputs kept in `corpus/`, by an ordinary test.

mod actor;
mod bytes;
mod gateway;
mod head;
mod journal;
mod request;
mod rest;
mod store;
mod table;
mod usersig;
mod websocket;

/// A target, ready to be called again and again.
pub type Target = Box<dyn FnMut(&[u8])>;

/// The names of all targets.
pub const TARGETS: [&str; 9] = ["request", "usersig", "head", "websocket", "rest", "actor", "journal", "table", "store"];

/// The target of this name, with a world of its own.
pub fn target(name: &str) -> Target {
    match name {
        "request" => Box::new(request::run),
        "usersig" => Box::new(usersig::target()),
        "head" => Box::new(head::target()),
        "websocket" => Box::new(websocket::target()),
        "rest" => Box::new(rest::target()),
        "actor" => Box::new(actor::run),
        "journal" => Box::new(journal::run),
        "table" => Box::new(table::run),
        "store" => Box::new(store::target()),
        _ => panic!("there is no target {name:?}"),
    }
}
