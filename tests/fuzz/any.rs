// What every target is made of: the program's name says which it is.

use std::cell::RefCell;

thread_local! {
    static RUN: RefCell<tallycast_fuzz::Target> = RefCell::new(tallycast_fuzz::target(env!("CARGO_BIN_NAME")));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| RUN.with_borrow_mut(|run| run(data)));
