//! A disk for tests, which forgets what was not synced, fails when it is told to, and can be full.
//!
//! After a loss of power every sector of 512 bytes that was not synced holds, by chance, any of the contents it was given
//! since its last sync, or the one before. Names behave as on a file system with a journal: a prefix of the changes since
//! the last sync of the folder is kept.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::{Disk, DiskFile, Lock};

const SECTOR: usize = 512;

/// What happens to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    Fail(ErrorKind),
    /// Fails with an error of the operating system.
    FailWith(Errno),
    /// The power fails before it: it and all after it fail.
    PowerOff,
}

/// An operation that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Open,
    Write,
    Sync,
    SetLen,
    Name,
    SyncDir,
}

type Fate = Box<dyn FnMut(Op, &str) -> Verdict + Send>;

#[derive(Debug, Default, Clone)]
struct Content {
    name: String,
    live: Vec<u8>,
    safe: Vec<u8>,
    /// What each sector held since the last sync, oldest first.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    /// One atom: both ends are kept or lost together.
    Rename(String, String, usize),
}

#[derive(Default)]
struct World {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    capacity: Option<usize>,
    /// A byte of a file that the disk cannot read any more.
    unreadable: Option<(String, usize)>,
    dead: bool,
    fate: Option<Fate>,
}

impl World {
    fn judge(&mut self, op: Op, name: &str) -> io::Result<()> {
        let verdict = match &mut self.fate {
            _ if self.dead => Verdict::PowerOff,
            Some(fate) => fate(op, name),
            None => Verdict::Go,
        };
        match verdict {
            Verdict::Go => Ok(()),
            Verdict::Fail(kind) => Err(kind.into()),
            Verdict::FailWith(errno) => Err(errno.into()),
            Verdict::PowerOff => {
                self.dead = true;
                Err(io::Error::other("the power is off"))
            }
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        let mut linked: Vec<usize> = self.names.values().copied().collect();
        linked.sort_unstable();
        linked.dedup();
        linked.iter().map(|at| self.files[*at].live.len()).sum()
    }

    fn resize(&mut self, at: usize, length: usize) -> io::Result<()> {
        let before = self.files[at].live.len();
        if length > before && self.capacity.is_some_and(|capacity| self.used() + length - before > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        self.files[at].live.resize(length, 0);
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.name_changes.push(change);
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Link(name, at) => drop(names.insert(name.clone(), *at)),
        NameChange::Unlink(name) => drop(names.remove(name)),
        NameChange::Rename(from, to, at) => {
            names.remove(from);
            names.insert(to.clone(), *at);
        }
    }
}

/// The disk. A clone is the same disk.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    world: Arc<Mutex<World>>,
    locked: Arc<AtomicBool>,
}

impl MemoryDisk {
    /// Decides on every operation that changes something.
    pub(crate) fn set_fate(&self, fate: impl FnMut(Op, &str) -> Verdict + Send + 'static) {
        self.world().fate = Some(Box::new(fate));
    }

    /// Lets all operations pass again.
    pub(crate) fn clear_fate(&self) {
        self.world().fate = None;
    }

    /// All files together may have so many bytes.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.world().capacity = bytes;
    }

    /// The bytes of all files.
    pub(crate) fn used(&self) -> usize {
        self.world().used()
    }

    /// The disk cannot read this byte any more.
    pub(crate) fn set_unreadable(&self, name: &str, byte: usize) {
        self.world().unreadable = Some((name.to_owned(), byte));
    }

    /// Whether the power has failed.
    pub(crate) fn is_dead(&self) -> bool {
        self.world().dead
    }

    /// Cuts the power now.
    pub(crate) fn power_off(&self) {
        self.world().dead = true;
    }

    /// A file's bytes, to be looked at or damaged (as if it had been so for ever).
    pub(crate) fn edit<T>(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut world = self.world();
        let at = world.names[name];
        let file = &mut world.files[at];
        let result = edit(&mut file.live);
        file.safe = file.live.clone();
        file.unsynced.clear();
        result
    }

    /// What a kernel does after a sync that failed: it takes pages for clean that are in its memory alone.
    pub(crate) fn forget_what_is_unsynced(&self) {
        self.world().files.iter_mut().for_each(|file| file.unsynced.clear());
    }

    /// A copy of this disk as it is now, all of it safe: what a kill of the process leaves.
    pub(crate) fn copy(&self) -> Self {
        let world = self.world();
        let files = world.files.iter().map(|f| Content { safe: f.live.clone(), unsynced: BTreeMap::new(), ..f.clone() }).collect();
        Self::of(files, world.names.clone())
    }

    /// The disk that a loss of power leaves: what was synced, and some of the rest.
    pub(crate) fn after_power_loss(&self, random: &mut fastrand::Rng) -> Self {
        let world = self.world();
        let mut names = world.safe_names.clone();
        let kept = random.usize(..=world.name_changes.len());
        world.name_changes[..kept].iter().for_each(|change| apply(&mut names, change));
        // Sometimes nothing is kept, sometimes all, mostly a part.
        let chance = [0.0, 0.1, 0.5, 0.9, 1.0][random.usize(..5)];
        let files = world.files.iter().map(|file| forget(file, chance, random)).collect();
        Self::of(files, names)
    }

    /// A disk that holds such files, all of them safe.
    pub(crate) fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let names = files.keys().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        let content = |(name, live): (String, Vec<u8>)| Content { name, safe: live.clone(), live, unsynced: BTreeMap::new() };
        Self::of(files.into_iter().map(content).collect(), names)
    }

    fn of(files: Vec<Content>, names: BTreeMap<String, usize>) -> Self {
        let world = World { files, safe_names: names.clone(), names, ..World::default() };
        Self { world: Arc::new(Mutex::new(world)), locked: Arc::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, at: usize) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile { disk: self.clone(), at })
    }
}

fn forget(file: &Content, chance: f64, random: &mut fastrand::Rng) -> Content {
    let mut left = file.safe.clone();
    if random.f64() < chance {
        left.resize(file.live.len(), 0);
    }
    for (sector, versions) in &file.unsynced {
        if random.f64() >= chance {
            continue;
        }
        // The newest content is the likeliest.
        let version = if random.bool() { versions.len() - 1 } else { random.usize(..versions.len()) };
        let (start, bytes) = (sector * SECTOR, &versions[version]);
        let end = left.len().min(start + bytes.len());
        if start < end {
            left[start..end].copy_from_slice(&bytes[..end - start]);
        }
    }
    Content { name: file.name.clone(), live: left.clone(), safe: left, unsynced: BTreeMap::new() }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.alive()?;
        world.judge(Op::Open, name)?;
        if let Some(at) = world.names.get(name).copied() {
            drop(world);
            return Ok(self.file(at));
        }
        if !create {
            return Err(ErrorKind::NotFound.into());
        }
        world.judge(Op::Name, name)?;
        let at = world.files.len();
        world.files.push(Content { name: name.to_owned(), ..Content::default() });
        world.change_name(NameChange::Link(name.to_owned(), at));
        drop(world);
        Ok(self.file(at))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.judge(Op::Name, to)?;
        let at = *world.names.get(from).ok_or(ErrorKind::NotFound)?;
        world.files[at].name = to.to_owned();
        world.change_name(NameChange::Rename(from.to_owned(), to.to_owned(), at));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.judge(Op::Name, name)?;
        if !world.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        world.change_name(NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let world = self.world();
        world.alive()?;
        Ok(world.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.world();
        world.judge(Op::SyncDir, "")?;
        world.safe_names = world.names.clone();
        world.name_changes.clear();
        Ok(())
    }

    fn home(&self) -> io::Result<String> {
        Ok("memory".to_owned())
    }

    fn room(&self) -> Option<u64> {
        let world = self.world();
        world.capacity.map(|capacity| capacity.saturating_sub(world.used()) as u64)
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        struct Held(Arc<AtomicBool>);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        let free = !self.locked.swap(true, Ordering::SeqCst);
        Ok(free.then(|| Box::new(Held(self.locked.clone())) as Lock))
    }
}

#[derive(Clone)]
struct MemoryFile {
    disk: MemoryDisk,
    at: usize,
}

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryFile({})", self.at)
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        let world = self.disk.world();
        world.alive()?;
        Ok(world.files[self.at].live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.disk.world();
        world.alive()?;
        let start = offset as usize;
        let is_here = |(name, at): &(String, usize)| *name == world.files[self.at].name && (start..start + buffer.len()).contains(at);
        if world.unreadable.as_ref().is_some_and(is_here) {
            return Err(Errno::EIO.into());
        }
        let bytes = world.files[self.at].live.get(start..start + buffer.len()).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let name = world.files[self.at].name.clone();
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let was_dead = world.dead;
        let judged = world.judge(Op::Write, &name);
        if judged.is_err() && (was_dead || !world.dead || end > world.files[self.at].live.len()) {
            return judged;
        }
        // The write under which the power fails may be done in part.
        if end > world.files[self.at].live.len() {
            world.resize(self.at, end)?;
        }
        let file = &mut world.files[self.at];
        file.live[start..end].copy_from_slice(bytes);
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            let range = sector * SECTOR..file.live.len().min((sector + 1) * SECTOR);
            let content = file.live[range].to_vec();
            file.unsynced.entry(sector).or_default().push(content);
        }
        judged
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        let name = world.files[self.at].name.clone();
        world.judge(Op::SetLen, &name)?;
        world.resize(self.at, length as usize)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let world = self.disk.world();
        let more = (bytes as usize).saturating_sub(world.files[self.at].live.len());
        if world.capacity.is_some_and(|capacity| world.used() + more > capacity) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.disk.world().names.values().any(|at| *at == self.at))
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        let name = world.files[self.at].name.clone();
        world.judge(Op::Sync, &name)?;
        let file = &mut world.files[self.at];
        file.safe.resize(file.live.len(), 0);
        for sector in std::mem::take(&mut file.unsynced).into_keys() {
            // No more than this sector: one that the kernel wrongly takes for clean stays as it is on the disk.
            let range = (sector * SECTOR).min(file.live.len())..file.live.len().min((sector + 1) * SECTOR);
            file.safe[range.clone()].copy_from_slice(&file.live[range]);
        }
        Ok(())
    }
}
