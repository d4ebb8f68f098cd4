//! Lists and objects that must not have too many entries: reading stops at the first that is too many, and what a sender
//! names twice is found without comparing each with all others.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Up to so many names are compared one by one: quicker than a table of them.
const FEW: usize = 16;

/// Why a list or an object was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is something else, or one of its entries is.
    Malformed,
    /// It has more entries than it may.
    TooMany,
}

/// A key or a string that borrows where it has no escapes.
#[derive(Deserialize)]
pub struct Name<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The entries of an object, each value as it was written.
pub type Pairs<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// A list of at most `max` entries (0 = no limit).
pub fn list<'a, T: Deserialize<'a>>(raw: &'a RawValue, max: usize) -> Result<Vec<T>, Unread> {
    let entries = UpTo::new(max);
    let read = (&entries).deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    read.map_err(|_| entries.fault())
}

/// An object of at most `max` entries (0 = no limit).
pub fn pairs(raw: &RawValue, max: usize) -> Result<Pairs<'_>, Unread> {
    let entries = UpTo::<()>::new(max);
    let read = serde_json::Deserializer::from_str(raw.get()).deserialize_map(&entries);
    read.map_err(|_| entries.fault())
}

/// The first name that has stood there before.
pub fn first_twice<'a, T: Eq + Hash + ?Sized + 'a>(names: impl ExactSizeIterator<Item = &'a T> + Clone) -> Option<&'a T> {
    if names.len() > FEW {
        let mut known = HashSet::with_capacity(names.len());
        return names.into_iter().find(|name| !known.insert(*name));
    }
    names.clone().enumerate().find(|(i, name)| names.clone().take(*i).any(|earlier| earlier == *name)).map(|(_, name)| name)
}

/// Takes entries until there are too many.
struct UpTo<T> {
    max: usize,
    exceeded: Cell<bool>,
    of: PhantomData<T>,
}

impl<T> UpTo<T> {
    fn new(max: usize) -> Self {
        Self { max, exceeded: Cell::new(false), of: PhantomData }
    }

    /// Whether one more may come after so many.
    fn admit<E: Error>(&self, count: usize) -> Result<(), E> {
        self.exceeded.set(self.max > 0 && count > self.max);
        if self.exceeded.get() { Err(E::custom("too many entries")) } else { Ok(()) }
    }

    fn fault(&self) -> Unread {
        if self.exceeded.get() { Unread::TooMany } else { Unread::Malformed }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for &UpTo<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        struct Entries<'c, T>(&'c UpTo<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<'_, T> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    self.0.admit(entries.len() + 1)?;
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_seq(Entries(self))
    }
}

impl<'de> Visitor<'de> for &UpTo<()> {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            self.admit(entries.len() + 1)?;
            entries.push((name, value));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    fn texts(text: &str, max: usize) -> Result<usize, Unread> {
        list::<Name>(&raw(text), max).map(|texts| texts.len())
    }

    #[test]
    fn what_is_too_many_is_told_from_what_is_wrong() {
        for max in [0, 3] {
            assert_eq!(texts(r#"["a","b\n","c"]"#, max), Ok(3));
            assert_eq!(texts("[]", max), Ok(0));
            assert_eq!(texts(r#"["a",5]"#, max), Err(Unread::Malformed));
            assert_eq!(texts("{}", max), Err(Unread::Malformed));
            assert_eq!(pairs(&raw(r#"{"a":1,"b":[2],"c":"3"}"#), max).unwrap().len(), 3);
            assert_eq!(pairs(&raw("[]"), max).err(), Some(Unread::Malformed));
        }
        assert_eq!(texts(r#"["a","b","c","d",5]"#, 3), Err(Unread::TooMany));
        assert_eq!(pairs(&raw(r#"{"a":1,"b":2}"#), 1).err(), Some(Unread::TooMany));
    }

    #[test]
    fn a_name_given_twice_is_found_among_few_and_among_many() {
        for count in [0, 1, FEW, FEW + 1, 5000] {
            let mut names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            assert_eq!(first_twice(names.iter()), None);
            if count > 1 {
                names.push(names[1].clone());
                assert_eq!(first_twice(names.iter()), Some(&"1".to_owned()));
            }
        }
    }
}
