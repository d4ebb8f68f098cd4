//! The counters of one group: at most a handful of keys, each with a signed 64-bit value.
//!
//! Rules of the vendor's "Updating Group Counters": 20 keys a group, keys of 128 bytes, values of 64 bits. A result
//! outside i64 is refused, never wrapped.

use serde::{Deserialize, Serialize, Serializer};

use super::code::{Code, Refusal};
use super::command::{Items, Mode};
use super::keyed::{Keyed, Places};
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

impl Keyed for Counter {
    fn key(&self) -> &CounterKey {
        &self.key
    }
}

/// A group's counters, in the order in which they were first written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<Counter>")]
pub struct Counters {
    list: Vec<Counter>,
    places: Places,
}

impl From<Vec<Counter>> for Counters {
    fn from(list: Vec<Counter>) -> Self {
        Self { places: Places::of(&list), list }
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl PartialEq for Counters {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Counters {}

impl Counters {
    /// The value of a key, where it exists.
    pub fn value(&self, key: &str) -> Option<i64> {
        self.places.find(&self.list, key).map(|at| self.list[at].value)
    }

    /// All counters.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Counter> {
        self.list.iter()
    }

    /// Those of these keys that exist, each once, in the order of the counters.
    pub fn existing(&self, keys: &[CounterKey]) -> Vec<CounterKey> {
        self.places_of(keys).into_iter().map(|at| self.list[at].key.clone()).collect()
    }

    /// The counters named, in the order named, those that do not exist left out; all where none is named.
    pub fn pick(&self, keys: &[CounterKey]) -> Items {
        if keys.is_empty() {
            return self.list.iter().map(|c| (c.key.clone(), c.value)).collect();
        }
        let (mut picked, mut places) = (Items::new(), Places::default());
        for key in keys {
            if let Some(value) = self.value(key.as_str())
                && places.find(&picked, key.as_str()).is_none()
            {
                picked.push((key.clone(), value));
                places.pushed(&picked);
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
        let (mut planned, mut places) = (Items::new(), Places::default());
        let mut fresh = 0;
        for (key, value) in items {
            let at = places.find(&planned, key.as_str());
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
                    places.pushed(&planned);
                }
            }
        }
        if keys_max > 0 && fresh > 0 && self.list.len() + fresh > keys_max {
            return Err(Refusal::new(
                Code::TooManyKeys,
                format!("a group holds at most {keys_max} counters, and this one has {}", self.list.len()),
            ));
        }
        Ok(planned)
    }

    /// Writes a value; what stood there before comes back.
    pub(super) fn put(&mut self, key: &CounterKey, value: i64, version: u64) -> Option<(i64, u64)> {
        match self.places.find(&self.list, key.as_str()) {
            Some(at) => {
                let counter = &mut self.list[at];
                let before = (counter.value, counter.version);
                (counter.value, counter.version) = (value, version);
                Some(before)
            }
            None => {
                self.list.push(Counter { key: key.clone(), value, version });
                self.places.pushed(&self.list);
                None
            }
        }
    }

    /// Takes the key back that was the last to be added.
    pub(super) fn take_newest(&mut self, key: &CounterKey) {
        if self.list.last().is_some_and(|counter| counter.key == *key) {
            self.list.pop();
            self.places.popped(key);
        }
    }

    /// Takes keys away; they come back with their places, in order.
    pub(super) fn take_all(&mut self, keys: &[CounterKey]) -> Vec<(usize, Counter)> {
        let mut gone = self.places_of(keys).into_iter().peekable();
        let (mut taken, mut kept) = (Vec::with_capacity(gone.len()), Vec::with_capacity(self.list.len() - gone.len()));
        for (at, counter) in std::mem::take(&mut self.list).into_iter().enumerate() {
            match gone.next_if_eq(&at) {
                Some(_) => taken.push((at, counter)),
                None => kept.push(counter),
            }
        }
        *self = kept.into();
        taken
    }

    /// Puts keys back where `take_all` found them.
    pub(super) fn put_back_all(&mut self, taken: Vec<(usize, Counter)>) {
        let mut list = Vec::with_capacity(self.list.len() + taken.len());
        let mut kept = std::mem::take(&mut self.list).into_iter();
        for (at, counter) in taken {
            let before = at - list.len();
            list.extend(kept.by_ref().take(before));
            list.push(counter);
        }
        list.extend(kept);
        *self = list.into();
    }

    fn places_of(&self, keys: &[CounterKey]) -> Vec<usize> {
        let mut places: Vec<usize> = keys.iter().filter_map(|key| self.places.find(&self.list, key.as_str())).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}
