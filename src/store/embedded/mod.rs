//! The store on a folder of its own. First stage: one file, everything in memory.

pub(super) mod stats;

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use stats::Stats;

use super::{Batch, CommitError, Done, LoadError, Loaded, Lsn, OnFatal, OpenError, Options, Page, Relation};
use crate::domain::UnixMillis;
use crate::domain::group::{self, Group};
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::{Operation, Record};

type Job = (Batch, Done<Lsn, CommitError>);

#[derive(Default)]
struct State {
    groups: BTreeMap<GroupId, Option<Box<Group>>>,
    replays: HashMap<GroupId, Vec<(UnixMillis, Operation)>>,
}

impl State {
    fn apply(&mut self, bytes: &[u8], replays: bool) {
        let mut rest = bytes;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some(Ok(record)) = tail.get(..length).map(postcard::from_bytes::<Record>) else { return };
            rest = &tail[length..];
            if let Some(effect) = &record.effect {
                group::apply(self.groups.entry(record.group.clone()).or_default(), effect);
            }
            if let (Some(operation), true) = (record.operation, replays) {
                self.replays.entry(record.group).or_default().push((record.at, operation));
            }
        }
    }
}

pub(super) struct Engine {
    state: Arc<Mutex<State>>,
    queue: Mutex<Option<Sender<Job>>>,
    merged: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(super) fn open(options: &Options, on_fatal: OnFatal) -> Result<Self, OpenError> {
        let io = |error: std::io::Error| OpenError::Io(format!("{}: {error}", options.path.display()));
        std::fs::create_dir_all(&options.path).map_err(io)?;
        let path = options.path.join("stage1.journal");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        file.try_lock().map_err(|_| OpenError::InUse(options.path.display().to_string()))?;
        let (mut bytes, mut state) = (Vec::new(), State::default());
        file.read_to_end(&mut bytes).map_err(io)?;
        state.apply(&bytes, true);
        let (state, merged) = (Arc::new(Mutex::new(state)), Arc::new(AtomicU64::new(0)));
        let (queue, jobs) = channel::<Job>();
        let thread = std::thread::spawn({
            let (state, merged) = (state.clone(), merged.clone());
            move || {
                while let Ok(first) = jobs.recv() {
                    let taken: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
                    let result = commit(&mut file, &taken).map_err(|error| on_fatal(error.to_string()));
                    for (batch, _) in &taken {
                        held(&state).apply(&batch.bytes, false);
                    }
                    let lsn = merged.fetch_add(1, Ordering::AcqRel) + 1;
                    for (_, done) in taken {
                        done(result.map(|()| lsn).map_err(|()| CommitError::Broken));
                    }
                }
            }
        });
        Ok(Self { state, queue: Mutex::new(Some(queue)), merged, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn commit(&self, batch: Batch, done: Done<Lsn, CommitError>) {
        match &*held(&self.queue) {
            Some(queue) => drop(queue.send((batch, done))),
            None => done(Err(CommitError::Closed)),
        }
    }

    pub(super) fn load(&self, group: GroupId, done: Done<Loaded, LoadError>) {
        let mut state = held(&self.state);
        let replays = state.replays.remove(&group).unwrap_or_default();
        let group = state.groups.get(&group).cloned().flatten();
        drop(state);
        done(Ok(Loaded { group, replays }));
    }

    pub(super) fn relations(&self, user: UserId, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        let state = held(&self.state);
        let of = |(id, group): (&GroupId, &Option<Box<Group>>)| {
            let group = group.as_ref()?;
            let (member, owner) = (group.members.contains_key(&user), group.profile.owner.as_ref() == Some(&user));
            (member || owner).then(|| (id.clone(), Relation { member, owner }))
        };
        let relations = state.groups.iter().filter_map(of).collect();
        drop(state);
        done(Ok(relations));
    }

    pub(super) fn list(&self, after: Option<GroupId>, kind: Option<GroupType>, limit: usize, done: Done<Page, LoadError>) {
        let state = held(&self.state);
        let all = state.groups.iter().filter_map(|(id, group)| Some((id, group.as_ref()?)));
        let total = all.clone().count() as u64;
        let wanted =
            all.filter(|(id, group)| after.as_ref().is_none_or(|after| *id > after) && kind.is_none_or(|k| k == group.profile.kind));
        let groups: Vec<GroupId> = wanted.take(limit).map(|(id, _)| id.clone()).collect();
        let next = groups.last().filter(|_| groups.len() == limit).cloned();
        drop(state);
        done(Ok(Page { groups, next, total }));
    }

    pub(super) fn merged(&self) -> Lsn {
        self.merged.load(Ordering::Acquire)
    }

    pub(super) fn generation(&self) -> u64 {
        1
    }

    pub(super) fn stats(&self) -> Stats {
        Stats::default()
    }

    pub(super) fn close(&self) -> Result<(), CommitError> {
        held(&self.queue).take();
        if let Some(thread) = held(&self.thread).take() {
            drop(thread.join());
        }
        Ok(())
    }
}

fn commit(file: &mut File, jobs: &[Job]) -> std::io::Result<()> {
    let bytes: Vec<u8> = jobs.iter().flat_map(|(batch, _)| &batch.bytes).copied().collect();
    file.write_all(&bytes)?;
    file.sync_data()
}
