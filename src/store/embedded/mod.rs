//! The store on a folder of its own: a journal that commits, a table behind it that remembers.
//!
//! The folder: `LOCK` tells that a process has it; `journal-…` are the segments; `table.redb` is the table, `table.sums` has
//! a checksum of each of its pages; a name that ends with `.new` was not finished. What grows with writes is the journal
//! alone, and three things bound it: the replay window, `Limits::unmerged_bytes_max`, and at most two segments beyond those
//! in use.
//!
//! Five kinds of threads: one commits, one merges, one prepares segments, one checks what nobody reads, some read. They meet in `Shared` alone.
//! Nothing here runs on a caller's thread but the encoding of its batch and the opening and closing of the store.

mod backoff;
mod behind;
mod belonging;
mod block;
mod check;
mod committer;
mod disk;
mod flow;
mod fold;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod intake;
mod journal;
mod kinds;
mod label;
mod merge;
mod merger;
mod overlay;
mod pages;
mod place;
mod query;
mod reading;
mod recovery;
mod replays;
mod rows;
mod scan;
mod segment;
pub(super) mod stats;
mod table;
mod troubles;
mod upgrade;
pub(super) mod upkeep;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use committer::Committer;
use disk::{Disk, Folder, Lock};
use flow::{Flow, Stop};
use intake::{Intake, Taken};
use journal::Journal;
use merger::Merger;
use place::Place;
use query::Wanted;
use reading::Reading;
use segment::Segments;
use stats::{Counts, Stats};
use troubles::Troubles;
use witness::{Memory, Watch};

use super::{Batch, CommitError, Done, LoadError, Loaded, Lsn, OnFatal, OpenError, Options, Page, Relation, Trouble};
use crate::domain::UnixMillis;
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};

/// How many threads read.
const READERS: usize = 2;

/// Where the threads meet.
struct Shared {
    settings: Options,
    disk: Arc<dyn Disk>,
    watch: Option<Watch>,
    troubles: Arc<Troubles>,
    counts: Counts,
    health: Health,
    intake: Intake,
    flow: Flow,
    segments: Arc<Segments>,
    reading: Reading,
    merged: AtomicU64,
    /// The table knows under which conditions the store is kept.
    settled: AtomicBool,
    /// How many copies are being made: while there are any, no segment goes. Held for as long as the merger is at work.
    copies: Mutex<usize>,
    checking: check::Stopping,
}

/// Whether the store can go on, and who must be told when it cannot.
struct Health {
    failed: AtomicBool,
    words: Mutex<Option<String>>,
    on_fatal: OnFatal,
    /// The folder is ours until the last thread is gone.
    lock: Mutex<Option<Lock>>,
}

impl Shared {
    /// The store cannot go on: nothing is committed or merged from now on. Says what to answer; `announce` must follow.
    fn fail(&self, words: String) -> CommitError {
        if !self.health.failed.swap(true, Ordering::AcqRel) {
            *held(&self.health.words) = Some(words);
            self.intake.close(CommitError::Broken);
            self.flow.stop(Stop::AsItIs);
        }
        CommitError::Broken
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    fn has_failed(&self) -> bool {
        self.health.failed.load(Ordering::Acquire)
    }

    /// Tells of a failure, where there was one and nobody has told.
    fn announce(&self) {
        let words = held(&self.health.words).take();
        if let Some(words) = words {
            (self.health.on_fatal)(words);
        }
    }

    /// Everything up to here is in the table and out of the overlay.
    fn merged(&self, lsn: Lsn, bytes: u64) {
        self.counts.merges.fetch_add(1, Ordering::Relaxed);
        self.merged.store(lsn, Ordering::Release);
        self.flow.merged(lsn, bytes);
    }

    fn found_no_space(&self) {
        self.counts.merges_full.fetch_add(1, Ordering::Relaxed);
        self.flow.merger_is_full();
    }
}

/// The threads of a store that is open.
#[derive(Default)]
struct Threads {
    committer: Option<JoinHandle<()>>,
    merger: Option<JoinHandle<Result<(), CommitError>>>,
    others: Vec<JoinHandle<()>>,
}

/// An open store.
pub(super) struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    generation: u64,
}

impl Engine {
    /// Opens a folder of the operating system.
    pub(super) fn open(options: &Options, on_fatal: OnFatal) -> Result<Self, OpenError> {
        let folder = options.path.display().to_string();
        let disk = Folder::new(&options.path).map_err(|error| OpenError::Io(format!("{folder}: {error}")))?;
        let witness = Arc::new(Memory::of_this_machine());
        Self::open_at(Place { disk: Arc::new(disk), folder, witness, home: String::new() }, options, on_fatal)
    }

    /// Opens a folder of any disk.
    fn open_at(mut place: Place, options: &Options, on_fatal: OnFatal) -> Result<Self, OpenError> {
        upkeep::refuse_what_is_no_store(&place)?;
        let lock = place.disk.lock().map_err(|error| place.io_error(&error))?.ok_or_else(|| OpenError::InUse(place.folder.clone()))?;
        place.home = place.disk.home().map_err(|error| place.io_error(&error))?;
        let place = &place;
        let found = recovery::recover(place, options)?;
        let journal = Journal::new(found.segments.clone(), found.end, found.newest).map_err(|error| place.io_error(&error))?;
        let health = Health { failed: AtomicBool::new(false), words: Mutex::new(None), on_fatal, lock: Mutex::new(Some(lock)) };
        let generation = found.meta.generation;
        let shared = Arc::new(Shared {
            settings: options.clone(),
            disk: place.disk.clone(),
            watch: found.watch,
            troubles: found.troubles.clone(),
            counts: Counts::default(),
            health,
            intake: Intake::default(),
            flow: Flow::new(found.end, found.meta.merged.lsn, found.unmerged_bytes),
            segments: found.segments,
            merged: AtomicU64::new(found.meta.merged.lsn),
            settled: AtomicBool::new(found.waiting.is_none()),
            reading: Reading::new(found.table, found.replays, found.troubles, found.waiting),
            copies: Mutex::default(),
            checking: check::Stopping::default(),
        });
        let engine = Self { shared, threads: Mutex::default(), generation };
        // Where a thread cannot be started, dropping the engine ends those that were.
        held(&engine.threads).start(&engine.shared, journal, found.meta).map_err(|error| place.io_error(&error))?;
        Ok(engine)
    }

    pub(super) fn commit(&self, batch: Batch, done: Done<Lsn, CommitError>) {
        self.shared.intake.put(batch, done);
    }

    pub(super) fn load(&self, group: GroupId, done: Done<Loaded, LoadError>) {
        let (clock, window) = (self.shared.settings.clock.clone(), self.shared.settings.replay_window);
        self.shared.reading.load(group, move || (clock(), window), done);
    }

    pub(super) fn relations(&self, user: UserId, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.shared.reading.relations(user, done);
    }

    /// See `Store::seats`.
    pub(super) fn seats(&self, user: UserId, max: usize, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.shared.reading.seats(user, max, done);
    }

    /// See `Store::owned`.
    pub(super) fn owned(&self, user: UserId, done: Done<usize, LoadError>) {
        self.shared.reading.owned(user, done);
    }

    pub(super) fn kinds(&self, groups: Vec<GroupId>, done: Done<Vec<Option<GroupType>>, LoadError>) {
        self.shared.reading.kinds(groups, done);
    }

    pub(super) fn has_account(&self, user: UserId, done: Done<bool, LoadError>) {
        self.shared.reading.has_account(user, done);
    }

    pub(super) fn list(&self, after: Option<GroupId>, kind: Option<GroupType>, limit: usize, done: Done<Page, LoadError>) {
        self.shared.reading.list(Wanted { after, kind, limit }, done);
    }

    pub(super) fn now(&self) -> UnixMillis {
        (self.shared.settings.clock)()
    }

    pub(super) fn merged(&self) -> Lsn {
        self.shared.merged.load(Ordering::Acquire)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn stats(&self) -> Stats {
        let shared = &self.shared;
        let mut stats = shared.counts.read();
        stats.journal.segments = shared.segments.count();
        stats.journal.preparations_failed = shared.segments.attempts_failed();
        stats.journal.bytes = stats.journal.segments * shared.segments.bytes();
        stats.journal.unmerged_bytes = shared.flow.unmerged_bytes();
        stats.table.bytes = shared.reading.table.bytes();
        stats.replays = shared.reading.replays().len();
        stats
    }

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.shared.troubles.all()
    }

    pub(super) fn close(&self) -> Result<(), CommitError> {
        self.end(Stop::Merged)
    }

    fn end(&self, how: Stop) -> Result<(), CommitError> {
        let threads = std::mem::take(&mut *held(&self.threads));
        self.shared.intake.close(CommitError::Closed);
        let mut alone = threads.committer.is_none_or(|committer| join(committer).is_some());
        self.shared.flow.stop(how);
        let result = threads.merger.map_or(Some(Ok(())), join);
        self.shared.segments.stop();
        self.shared.checking.stop();
        self.shared.reading.close();
        alone &= threads.others.into_iter().map(|other| join(other).is_some()).fold(result.is_some(), |all, joined| all && joined);
        self.shared.reading.table.close();
        if alone {
            held(&self.shared.health.lock).take();
        }
        result.unwrap_or(Ok(()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What is committed stays committed; the next start merges it.
        let _ = self.end(Stop::AsItIs);
    }
}

impl Threads {
    fn start(&mut self, shared: &Arc<Shared>, journal: Journal, meta: rows::Meta) -> std::io::Result<()> {
        let (mut committer, mut merger) = (Committer::new(shared.clone(), journal), Merger::new(shared.clone(), meta));
        let preparing = shared.segments.clone();
        self.others.push(spawn(shared, "segments", (), move || preparing.prepare_all())?);
        let checking = shared.clone();
        self.others.push(spawn(shared, "checker", (), move || check::run(&checking))?);
        for _ in 0..READERS {
            let reading = shared.clone();
            self.others.push(spawn(shared, "reader", (), move || reading.reading.run())?);
        }
        self.merger = Some(spawn(shared, "merger", Err(CommitError::Broken), move || merger.run())?);
        self.committer = Some(spawn(shared, "committer", (), move || committer.run())?);
        Ok(())
    }
}

/// Starts a thread. Where it panics the store fails: it would stand still without a word.
fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: &str,
    broken: T,
    life: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let (shared, words) = (shared.clone(), format!("the store's thread {name:?} has panicked"));
    std::thread::Builder::new().name(format!("store-{name}")).spawn(move || {
        catch_unwind(AssertUnwindSafe(life)).unwrap_or_else(|_| {
            let error = shared.fail(words);
            shared.segments.stop();
            if let Taken::End(commits, _) = shared.intake.take(None) {
                commits.into_iter().for_each(|pending| (pending.done)(Err(error.clone())));
            }
            shared.announce();
            broken
        })
    })
}

/// Waits for a thread, unless it is this one: a callback may hold the last handle.
fn join<T>(thread: JoinHandle<T>) -> Option<T> {
    if thread.thread().id() == std::thread::current().id() {
        return None;
    }
    thread.join().ok()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
