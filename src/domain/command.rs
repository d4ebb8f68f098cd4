//! What can be asked of a group's counters, already parsed: nothing here needs a second look.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::name::CounterKey;

/// Keys with a value each. One is the usual case and needs no memory of its own.
pub type Items = SmallVec<[(CounterKey, i64); 1]>;

/// How a write combines what is there with what it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The value itself.
    Set,
    /// `old + value`.
    Increase,
    /// `old - value`.
    Decrease,
}

/// A write to the counters of one group. All of it is applied, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Sets or changes the keys in the order given; a missing key starts at 0.
    Change(Mode, Items),
    /// Deletes the keys named, or all of them.
    Delete(Option<Vec<CounterKey>>),
}

impl Write {
    /// The write of one key.
    pub fn one(mode: Mode, key: CounterKey, value: i64) -> Self {
        Self::Change(mode, smallvec::smallvec![(key, value)])
    }

    /// A number that is the same for the same write, on every machine and in every version of the program. It tells a
    /// repeated operation id with other values from a true repeat; two writes of one user that share it by chance
    /// (1 in 2^64) would be taken for the same.
    pub fn print(&self) -> u64 {
        let mut print = Fnv::new();
        match self {
            Write::Change(mode, items) => {
                print.eat(&[1, *mode as u8]);
                let mut items: SmallVec<[&(CounterKey, i64); 1]> = items.iter().collect();
                if *mode == Mode::Set {
                    sort_set_of_keys(&mut items);
                }
                for (key, value) in items {
                    print.eat(key.as_str().as_bytes());
                    print.eat(&[0xff]);
                    print.eat(&value.to_le_bytes());
                }
            }
            Write::Delete(None) => print.eat(&[2]),
            Write::Delete(Some(keys)) => {
                print.eat(&[3]);
                for key in keys {
                    print.eat(key.as_str().as_bytes());
                    print.eat(&[0xff]);
                }
            }
        }
        print.0
    }
}

/// Keys of an object have no order. Where a list names one twice, its order means something and stays.
fn sort_set_of_keys(items: &mut SmallVec<[&(CounterKey, i64); 1]>) {
    if items.len() > 1 {
        let mut sorted = items.clone();
        sorted.sort_unstable();
        if sorted.windows(2).all(|pair| pair[0].0 != pair[1].0) {
            *items = sorted;
        }
    }
}

/// FNV-1a, 64 bits: a published hash that will not change under our feet.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> CounterKey {
        CounterKey::parse(text).unwrap()
    }

    #[test]
    fn prints_tell_writes_apart_and_never_change() {
        let like = Write::one(Mode::Increase, key("like"), 1);
        assert_eq!(like.print(), like.clone().print());
        assert_eq!(like.print(), 0xf9ce_01d3_5d85_fe60, "stored on disk: a change here breaks repeats across an update");
        for other in [
            Write::one(Mode::Decrease, key("like"), 1),
            Write::one(Mode::Increase, key("like"), 2),
            Write::one(Mode::Increase, key("likes"), 1),
            Write::Delete(None),
            Write::Delete(Some(vec![])),
            Write::Delete(Some(vec![key("like")])),
        ] {
            assert_ne!(like.print(), other.print());
        }
        let set = |items: &[(&str, i64)]| Write::Change(Mode::Set, items.iter().map(|(name, value)| (key(name), *value)).collect());
        assert_eq!(set(&[("b", 1), ("a", 2)]).print(), 0x51f7_d78e_97dd_fc8c);
        assert_eq!(set(&[("b", 1), ("a", 2)]).print(), set(&[("a", 2), ("b", 1)]).print(), "keys of an object have no order");
        let twice = set(&[("b", 1), ("a", 2), ("b", 3)]);
        assert_eq!(twice.print(), 0xed09_5492_e571_5f9c);
        assert_ne!(twice.print(), set(&[("b", 3), ("a", 2), ("b", 1)]).print(), "the last of two values counts");
    }
}
