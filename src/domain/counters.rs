//! The counters of one group: at most a handful of keys, each with a signed 64-bit value.
//!
//! Rules of the vendor's "Updating Group Counters": 20 keys a group, keys of 128 bytes, values of 64 bits. A result
//! outside i64 is refused, never wrapped.

use serde::{Deserialize, Serialize};

use super::code::{Code, Refusal};
use super::command::{Items, Mode};
use super::name::CounterKey;

/// One counter, with the version of the write that last touched it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Its key.
    pub key: CounterKey,
    /// Its value.
    pub value: i64,
    /// The group's version when it was last written.
    pub version: u64,
}

/// A group's counters, in the order in which they were first written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters(Vec<Counter>);

impl Counters {
    /// The value of a key, where it exists.
    pub fn value(&self, key: &str) -> Option<i64> {
        self.0.iter().find(|c| c.key.as_str() == key).map(|c| c.value)
    }

    /// All counters.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Counter> {
        self.0.iter()
    }

    /// The counters named, in the order named, those that do not exist left out; all where none is named.
    pub fn pick(&self, keys: &[CounterKey]) -> Items {
        if keys.is_empty() {
            return self.0.iter().map(|c| (c.key.clone(), c.value)).collect();
        }
        let mut picked = Items::new();
        for key in keys {
            if let Some(value) = self.value(key.as_str())
                && !picked.iter().any(|(k, _)| k == key)
            {
                picked.push((key.clone(), value));
            }
        }
        picked
    }

    /// What the keys would hold after the change: each key once, with its newest value. Nothing is changed yet.
    ///
    /// Errors: 10004 for a result outside i64 or an empty list, 10063 for more than `keys_max` keys (0 = no limit).
    pub fn plan(&self, mode: Mode, items: &[(CounterKey, i64)], keys_max: usize) -> Result<Items, Refusal> {
        if items.is_empty() {
            return Err(Refusal::new(Code::InvalidParameter, "counters is empty: name at least one key"));
        }
        let mut planned = Items::new();
        let mut fresh = 0;
        for (key, value) in items {
            let at = planned.iter().position(|(k, _)| k == key);
            let stored = self.value(key.as_str());
            let old = at.map_or(stored.unwrap_or(0), |i| planned[i].1);
            let new = match mode {
                Mode::Set => Some(*value),
                Mode::Increase => old.checked_add(*value),
                Mode::Decrease => old.checked_sub(*value),
            };
            let new = new.ok_or_else(|| {
                Refusal::new(
                    Code::InvalidParameter,
                    format!("the counter {key:?} is {old}: the result would not fit in a signed 64-bit integer"),
                )
            })?;
            match at {
                Some(i) => planned[i].1 = new,
                None => {
                    fresh += usize::from(stored.is_none());
                    planned.push((key.clone(), new));
                }
            }
        }
        if keys_max > 0 && fresh > 0 && self.0.len() + fresh > keys_max {
            return Err(Refusal::new(
                Code::TooManyKeys,
                format!("a group holds at most {keys_max} counters, and this one has {}", self.0.len()),
            ));
        }
        Ok(planned)
    }

    /// Writes a value; what stood there before comes back.
    pub(super) fn put(&mut self, key: &CounterKey, value: i64, version: u64) -> Option<(i64, u64)> {
        match self.0.iter_mut().find(|c| c.key == *key) {
            Some(counter) => {
                let before = (counter.value, counter.version);
                (counter.value, counter.version) = (value, version);
                Some(before)
            }
            None => {
                self.0.push(Counter { key: key.clone(), value, version });
                None
            }
        }
    }

    /// Takes a key away, with its place.
    pub(super) fn take(&mut self, key: &CounterKey) -> Option<(usize, Counter)> {
        let at = self.0.iter().position(|c| c.key == *key)?;
        Some((at, self.0.remove(at)))
    }

    /// Puts a key back where `take` found it.
    pub(super) fn put_back(&mut self, at: usize, counter: Counter) {
        self.0.insert(at, counter);
    }
}
