//! A store on a disk of memory, with a clock that stands still, and calls that wait for their answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::domain::command::Items;
use crate::domain::group::Group;
use crate::domain::member::{GroupType, JoinOption, Member, Profile, Role};
use crate::domain::name::{CounterKey, GroupId, GroupName, OpId, UserId};
use crate::domain::record::{Answer, Effect, Operation, Record};
use crate::store::embedded::Engine;
use crate::store::embedded::disk::memory::MemoryDisk;
use crate::store::embedded::identity::StoreId;
use crate::store::embedded::place::Place;
use crate::store::embedded::witness::{Note, Witness};
use crate::store::{Batch, CommitError, Durability, Limits, LoadError, Loaded, Lsn, OpenError, Options, Page, Relation};

/// The memory of a machine.
#[derive(Default)]
pub(super) struct Remembering(Mutex<Option<Note>>);

impl Remembering {
    fn copy(&self) -> Arc<Self> {
        Arc::new(Self(Mutex::new(*self.0.lock().unwrap())))
    }
}

impl Witness for Remembering {
    fn told(&self, _store: &StoreId) -> Option<Note> {
        *self.0.lock().unwrap()
    }

    fn note(&self, _store: &StoreId, note: Note) -> std::io::Result<()> {
        *self.0.lock().unwrap() = Some(note);
        Ok(())
    }
}

/// What is needed to open a store again and again.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) disk: MemoryDisk,
    pub(super) options: Options,
    pub(super) witness: Arc<Remembering>,
    pub(super) now: Arc<AtomicU64>,
    pub(super) fatal: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    /// Small segments, and no merging unless a test wants it.
    pub(super) fn new(segment_bytes: u64) -> Self {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let mut options = Options::new("memory");
        options.cache_bytes = 1 << 20;
        let clock = now.clone();
        options.clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let hour = Duration::from_secs(3600);
        let limits = Limits { segment_bytes, merge_after_bytes: 1 << 30, merge_after: hour, ..Limits::default() };
        options.limits = Limits { unmerged_bytes_max: 1 << 30, ..limits };
        Self { disk: MemoryDisk::default(), options, witness: Arc::default(), now, fatal: Arc::default() }
    }

    pub(super) fn interval(mut self) -> Self {
        self.options.durability = Durability::Interval;
        self
    }

    /// Merges as soon as anything is there.
    pub(super) fn eager(mut self) -> Self {
        self.options.limits.merge_after_bytes = 1;
        self
    }

    pub(super) fn try_open(&self) -> Result<Engine, OpenError> {
        let place =
            Place { disk: Arc::new(self.disk.clone()), folder: "memory".to_owned(), witness: self.witness.clone(), home: String::new() };
        let fatal = self.fatal.clone();
        Engine::open_at(place, &self.options, Box::new(move |words| fatal.lock().unwrap().push(words)))
    }

    pub(super) fn open(&self) -> Engine {
        self.try_open().unwrap()
    }

    /// The same store after a kill of its process at this moment.
    pub(super) fn killed(&self) -> Self {
        // What is noted is written: whoever copies the two one after the other begins with the note.
        let witness = self.witness.copy();
        Self { disk: self.disk.copy(), witness, fatal: Arc::default(), ..self.clone() }
    }

    /// The same store after the power was cut at this moment and came back.
    pub(super) fn after_power_loss(&self, random: &mut fastrand::Rng) -> Self {
        self.disk.power_off();
        Self { disk: self.disk.after_power_loss(random), witness: Arc::default(), fatal: Arc::default(), ..self.clone() }
    }

    /// The same store after its disk alone was cut off and came back, while the machine ran on.
    pub(super) fn after_detaching(&self, random: &mut fastrand::Rng) -> Self {
        let after = self.after_power_loss(random);
        Self { witness: self.witness.copy(), ..after }
    }

    pub(super) fn advance(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(super) fn fatal_words(&self) -> Vec<String> {
        self.fatal.lock().unwrap().clone()
    }
}

impl Engine {
    pub(super) fn commit_wait(&self, records: &[Record]) -> Result<Lsn, CommitError> {
        let (tell, told) = channel();
        self.commit(batch(records), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap()
    }

    pub(super) fn load_wait(&self, group: &GroupId) -> Result<Loaded, LoadError> {
        let (tell, told) = channel();
        self.load(group.clone(), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap()
    }

    pub(super) fn relations_wait(&self, user: &str) -> Vec<(GroupId, Relation)> {
        let (tell, told) = channel();
        self.relations(UserId::parse(user).unwrap(), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap()
    }

    pub(super) fn seats_wait(&self, user: &str, max: usize) -> Vec<(GroupId, Relation)> {
        let (tell, told) = channel();
        self.seats(UserId::parse(user).unwrap(), max, Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap()
    }

    pub(super) fn owned_wait(&self, user: &str) -> usize {
        let (tell, told) = channel();
        self.owned(UserId::parse(user).unwrap(), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap()
    }

    pub(super) fn has_account_wait(&self, user: &str) -> bool {
        let (tell, told) = channel();
        self.has_account(UserId::parse(user).unwrap(), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap()
    }

    pub(super) fn list_wait(&self, after: Option<&str>, kind: Option<GroupType>, limit: usize) -> Page {
        let (tell, told) = channel();
        let after = after.map(|after| GroupId::parse(after).unwrap());
        self.list(after, kind, limit, Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap()
    }

    pub(super) fn version_wait(&self, group: &GroupId) -> u64 {
        self.load_wait(group).unwrap().group.map_or(0, |group| group.version)
    }
}

/// Waits for something that has no callback.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn batch(records: &[Record]) -> Batch {
    let mut batch = Batch::default();
    records.iter().for_each(|record| batch.push(record));
    batch
}

pub(super) fn id(name: &str) -> GroupId {
    GroupId::parse(name).unwrap()
}

pub(super) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(super) fn key(name: &str) -> CounterKey {
    CounterKey::parse(name).unwrap()
}

pub(super) fn record(group: &str, at: u64, effect: Effect) -> Record {
    Record { group: id(group), at, effect: Some(effect), operation: None }
}

pub(super) fn created(kind: GroupType, owner: &str) -> Effect {
    let name = GroupName::parse("room").unwrap();
    let owner = Some(user(owner));
    Group::plan_create(
        Profile { kind, name, owner, join_option: JoinOption::FreeAccess, created_at: 1, incarnation: 7, details: Default::default() },
        Vec::new(),
        1,
    )
}

pub(super) fn changed(version: u64, values: &[(&str, i64)]) -> Effect {
    let values: Items = values.iter().map(|(name, value)| (key(name), *value)).collect();
    Effect::Changed { version, values }
}

pub(super) fn joined(users: &[&str]) -> Effect {
    Effect::Joined { members: users.iter().map(|name| (user(name), Member::new(Role::Member, 5))).collect() }
}

pub(super) fn entered(name: &str) -> Effect {
    Effect::Entered { user: user(name), joined_at: 5 }
}

pub(super) fn left(users: &[&str]) -> Effect {
    Effect::Left { users: users.iter().map(|name| user(name)).collect() }
}

pub(super) fn named(record: Record, name: &str, version: u64) -> Record {
    let answer = Answer { version, values: smallvec::smallvec![version as i64] };
    let operation = Operation { user: user("caller"), id: OpId::parse(name).unwrap(), print: 1, answer };
    Record { operation: Some(operation), ..record }
}
