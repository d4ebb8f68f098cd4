#![no_main]

include!("../any.rs");
