//! What a group's counters do, in the simplest words: a map, a version, and the answers that were given.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tallycast::domain::code::{Code, Refusal};
use tallycast::domain::command::{Items, Mode, Write};
use tallycast::domain::group::Group;
use tallycast::domain::name::{OpId, UserId};
use tallycast::group::Ask;
use tallycast::protocol::answer::Data;
use tallycast::users::ConnId;

use super::KEYS_MAX;

/// What the model must know of a command to judge its answer.
pub enum Asked {
    Write(Write, UserId, Option<OpId>),
    Create,
    Dissolve,
    Join(ConnId),
    Quit(ConnId),
    Other,
}

impl Asked {
    /// `None`: nobody is told.
    pub fn of(ask: &Ask, user: &UserId, connection: ConnId) -> Option<Self> {
        Some(match ask {
            Ask::Attach => return None,
            Ask::Write(write, operation) => Self::Write(write.clone(), user.clone(), operation.clone()),
            Ask::Create(_) => Self::Create,
            Ask::Dissolve => Self::Dissolve,
            Ask::Join => Self::Join(connection),
            Ask::Quit => Self::Quit(connection),
            _ => Self::Other,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Written {
    version: u64,
    /// Each key that was named, with its value after the write; none for a delete.
    values: BTreeMap<String, i64>,
}

struct Remembered {
    at: u64,
    write: Write,
    written: Written,
}

#[derive(Default)]
pub struct Model {
    exists: bool,
    version: u64,
    counters: BTreeMap<String, i64>,
    /// Connections whose newest word was a join.
    pub seats: BTreeSet<ConnId>,
    answers: HashMap<(UserId, OpId), Remembered>,
}

impl Model {
    pub fn judge(&mut self, asked: Asked, answer: Result<Data, Refusal>, now: u64) {
        match &asked {
            Asked::Join(connection) if answer.is_ok() => drop(self.seats.insert(*connection)),
            Asked::Quit(connection) if answer.is_ok() => drop(self.seats.remove(connection)),
            _ => {}
        }
        match (asked, answer) {
            (Asked::Write(write, user, operation), answer) => self.judge_write(write, operation.map(|name| (user, name)), answer, now),
            (Asked::Create, Ok(_)) => {
                assert!(!self.exists);
                *self = Self { exists: true, ..Self::default() };
            }
            (Asked::Dissolve, Ok(_)) => {
                assert!(self.exists);
                *self = Self::default();
            }
            (_, Ok(Data::Counters(_, snapshot) | Data::Joined { snapshot, .. })) => {
                assert!(self.exists);
                assert_eq!((&map(&snapshot.counters), snapshot.version), (&self.counters, self.version));
            }
            (_, Ok(Data::Inspected(inspected))) => {
                assert!(self.exists);
                assert_eq!(inspected.kept, inspected.members.len());
            }
            (_, Err(refusal)) if refusal.code == Code::NoSuchGroup => assert!(!self.exists),
            (Asked::Create, Err(refusal)) => {
                assert!(self.exists || matches!(refusal.code, Code::Internal | Code::TooFrequent), "{refusal:?}");
            }
            _ => {}
        }
    }

    /// The group must be the model's.
    pub fn check(&self, group: Option<&Group>) {
        assert_eq!(group.is_some(), self.exists);
        let Some(group) = group else { return };
        let counters: BTreeMap<_, _> = group.counters.iter().map(|counter| (counter.key.as_str().to_owned(), counter.value)).collect();
        assert_eq!((group.version, counters), (self.version, self.counters.clone()));
    }

    pub fn forget_before(&mut self, horizon: u64) {
        self.answers.retain(|_, remembered| remembered.at >= horizon);
    }

    fn judge_write(&mut self, write: Write, name: Option<(UserId, OpId)>, answer: Result<Data, Refusal>, now: u64) {
        let before = name.as_ref().and_then(|name| self.answers.get(name));
        let expected = match before {
            Some(known) if is_same(&known.write, &write) => Ok(known.written.clone()),
            Some(_) => Err(Code::InvalidParameter),
            None => self.expect(&write),
        };
        let repeats = before.is_some();
        let data = match answer {
            Ok(data) => data,
            Err(refusal) => {
                let by_others = matches!(refusal.code, Code::NotPermitted | Code::TooFrequent | Code::Internal);
                assert!(by_others || expected == Err(refusal.code), "{write:?} is answered {refusal:?}, expected is {expected:?}");
                // Who repeats a write is in, or gets 10007: the throttle is not asked.
                return assert!(!repeats || refusal.code != Code::TooFrequent, "a repeat was throttled");
            }
        };
        let (written, replayed) = told(data);
        let expected = expected.unwrap_or_else(|code| panic!("{write:?} was done, expected is {code:?}"));
        assert_eq!((&written, replayed), (&expected, repeats), "the answer to {write:?}");
        if repeats {
            return;
        }
        self.version = written.version;
        match &write {
            Write::Change(..) => self.counters.extend(written.values.clone()),
            Write::Delete(None) => self.counters.clear(),
            Write::Delete(Some(keys)) => self.counters.retain(|key, _| !keys.iter().any(|named| named.as_str() == key)),
        }
        if let Some(name) = name {
            self.answers.insert(name, Remembered { at: now, write, written });
        }
    }

    fn expect(&self, write: &Write) -> Result<Written, Code> {
        if !self.exists {
            return Err(Code::NoSuchGroup);
        }
        let (mut version, mut values) = (self.version + 1, BTreeMap::new());
        match write {
            Write::Change(mode, items) => {
                for (key, value) in items {
                    let old = values.get(key.as_str()).or(self.counters.get(key.as_str())).copied().unwrap_or(0);
                    let new = match mode {
                        Mode::Set => i128::from(*value),
                        Mode::Increase => i128::from(old) + i128::from(*value),
                        Mode::Decrease => i128::from(old) - i128::from(*value),
                    };
                    values.insert(key.as_str().to_owned(), i64::try_from(new).map_err(|_| Code::InvalidParameter)?);
                }
                let fresh = values.keys().filter(|key| !self.counters.contains_key(*key)).count();
                if fresh > 0 && self.counters.len() + fresh > KEYS_MAX {
                    return Err(Code::TooManyKeys);
                }
            }
            Write::Delete(Some(keys)) if keys.is_empty() => return Err(Code::InvalidParameter),
            Write::Delete(keys) => {
                let hit = |key: &String| keys.as_ref().is_none_or(|keys| keys.iter().any(|named| named.as_str() == key));
                if !self.counters.keys().any(hit) {
                    version = self.version;
                }
            }
        }
        Ok(Written { version, values })
    }
}

/// Keys of an object have no order, those of a list have one.
fn is_same(one: &Write, other: &Write) -> bool {
    match (one, other) {
        (Write::Change(Mode::Set, one), Write::Change(Mode::Set, other)) if map(one).len() == one.len() => {
            one.len() == other.len() && map(one) == map(other)
        }
        _ => one == other,
    }
}

fn map(items: &Items) -> BTreeMap<String, i64> {
    items.iter().map(|(key, value)| (key.as_str().to_owned(), *value)).collect()
}

fn told(data: Data) -> (Written, bool) {
    match data {
        Data::Changed { key, value, version, replayed, .. } => {
            (Written { version, values: BTreeMap::from([(key.as_str().to_owned(), value)]) }, replayed)
        }
        Data::Set { counters, version, replayed, .. } => (Written { version, values: map(&counters) }, replayed),
        Data::Written { after, version, replayed, .. } => (Written { version, values: map(&after) }, replayed),
        other => panic!("a write is answered {other:?}"),
    }
}
