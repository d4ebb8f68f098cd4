//! Lists whose entries have a counter's key each: a few are compared one by one, many are found by a table of their places.

use std::collections::HashMap;

use super::name::CounterKey;

/// Up to so many entries are compared one by one: quicker than a table, and it needs no memory.
const FEW: usize = 32;

/// Something with a key.
pub trait Keyed {
    /// The key.
    fn key(&self) -> &CounterKey;
}

impl<T> Keyed for (CounterKey, T) {
    fn key(&self) -> &CounterKey {
        &self.0
    }
}

/// The places of a list's entries. Holds nothing while there are few.
#[derive(Debug, Clone, Default)]
pub struct Places(HashMap<CounterKey, usize>);

impl Places {
    /// The places of this list, in which each key stands once.
    pub fn of<T: Keyed>(list: &[T]) -> Self {
        match list.len() {
            0..=FEW => Self::default(),
            _ => Self(list.iter().enumerate().map(|(at, entry)| (entry.key().clone(), at)).collect()),
        }
    }

    /// Where a key stands in the list.
    pub fn find<T: Keyed>(&self, list: &[T], key: &str) -> Option<usize> {
        match list.len() {
            0..=FEW => list.iter().position(|entry| entry.key().as_str() == key),
            _ => self.0.get(key).copied(),
        }
    }

    /// To be told that the list's last entry is new.
    pub fn pushed<T: Keyed>(&mut self, list: &[T]) {
        match list {
            [.., last] if list.len() > FEW + 1 => drop(self.0.insert(last.key().clone(), list.len() - 1)),
            _ => *self = Self::of(list),
        }
    }

    /// To be told that the list's last entry is gone, which had this key.
    pub fn popped(&mut self, key: &CounterKey) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_found_where_they_stand() {
        let key = |n: usize| CounterKey::parse(&format!("k{n}")).unwrap();
        let (mut list, mut places) = (Vec::new(), Places::default());
        for n in 0..FEW * 3 {
            list.push((key(n), ()));
            places.pushed(&list);
            for known in 0..FEW * 3 {
                assert_eq!(places.find(&list, key(known).as_str()), (known <= n).then_some(known));
            }
        }
        while let Some((gone, ())) = list.pop() {
            places.popped(&gone);
            assert_eq!(places.find(&list, gone.as_str()), None);
            if let Some((last, ())) = list.last() {
                assert_eq!(places.find(&list, last.as_str()), Some(list.len() - 1));
            }
            // From few to many and back again, with another key in the same place.
            list.push((key(1000 + list.len()), ()));
            places.pushed(&list);
            assert_eq!(places.find(&list, list[list.len() - 1].0.as_str()), Some(list.len() - 1));
            let (last, ()) = list.pop().unwrap();
            places.popped(&last);
        }
    }
}
