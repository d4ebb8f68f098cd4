//! Who saw the last write: a note in the machine's memory, which a kill of the process leaves and a loss of memory takes.
//!
//! Under `Durability::Interval` an answer may be in the kernel's memory alone. Whether it still was there when the next start
//! read the journal, the journal cannot tell: a disk that was detached and came back looks like one on which nothing more was
//! written. So each write is noted, before it is answered, where that disk has no part in it: in a file of a `tmpfs`.
//! Where the note is missing, nothing is proved.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::identity::StoreId;
use crate::store::Lsn;

/// What a sum is of; see `StoreId::sum`.
const OF_NAME: u8 = 4;
const OF_NOTE: u8 = 5;
/// Three numbers and a sum.
const NOTE_BYTES: usize = 32;

/// What was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// The life of the store that noted it; never 0.
    pub(super) life: u64,
    /// The life before, where nothing of it was missing when this one began; else 0.
    pub(super) before: u64,
    /// The newest block that may have been answered.
    pub(super) lsn: Lsn,
}

impl Note {
    /// Whether a journal of that life, with this end, has everything that was answered.
    pub(super) fn proves(&self, life: u64, end: Lsn) -> bool {
        life != 0 && (life == self.life || life == self.before) && self.lsn <= end
    }
}

/// Where notes are kept.
pub(super) trait Witness: Send + Sync {
    /// The note of a store.
    fn told(&self, store: &StoreId) -> Option<Note>;
    /// Replaces the note of a store; after an error it may be the old one.
    fn note(&self, store: &StoreId, note: Note) -> io::Result<()>;
}

/// A life of a store under somebody's eyes.
pub(super) struct Watch {
    witness: Arc<dyn Witness>,
    store: StoreId,
    life: u64,
    before: u64,
}

impl Watch {
    /// Begins a life after another one whose number was `before`, at this end of the journal; `None` where nobody watches.
    pub(super) fn begin(witness: Arc<dyn Witness>, store: StoreId, before: u64, end: Lsn) -> Option<Self> {
        let watch = Self { witness, store, life: fastrand::u64(1..), before };
        watch.saw(end).is_ok().then_some(watch)
    }

    /// Its number.
    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// Everything up to here may be answered from now on.
    pub(super) fn saw(&self, lsn: Lsn) -> io::Result<()> {
        self.witness.note(&self.store, Note { life: self.life, before: self.before, lsn })
    }
}

/// Nobody watches: nothing is proved.
pub(super) struct Nobody;

impl Witness for Nobody {
    fn told(&self, _store: &StoreId) -> Option<Note> {
        None
    }

    fn note(&self, _store: &StoreId, _note: Note) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A file in the machine's memory. Its name cannot be guessed without the store's number, and its content not be forged.
pub(super) struct Memory {
    folder: PathBuf,
    file: Mutex<Option<File>>,
}

impl Memory {
    /// In `/dev/shm`, where that is memory.
    pub(super) fn of_this_machine() -> Self {
        Self { folder: PathBuf::from("/dev/shm"), file: Mutex::default() }
    }

    fn with<T>(&self, store: &StoreId, create: bool, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*held {
            return act(file);
        }
        if !is_memory(&self.folder) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let path = self.folder.join(format!("tallycast-{:016x}", store.sum(OF_NAME, 0, 0, &[])));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
        let file = options.open(path)?;
        if !is_ours_alone(&file.metadata()?) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        act(held.insert(file))
    }
}

/// Everybody may put files into that folder. In one of somebody else's an older note could be put back, which would prove what
/// is not so; and what has another name as well may be a file of ours that is something else.
fn is_ours_alone(about: &std::fs::Metadata) -> bool {
    about.is_file() && about.uid() == nix::unistd::geteuid().as_raw() && about.mode() & 0o077 == 0 && about.nlink() == 1
}

#[cfg(target_os = "linux")]
fn is_memory(folder: &std::path::Path) -> bool {
    nix::sys::statfs::statfs(folder).is_ok_and(|about| about.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_folder: &std::path::Path) -> bool {
    false
}

impl Witness for Memory {
    fn told(&self, store: &StoreId) -> Option<Note> {
        let mut bytes = [0; NOTE_BYTES];
        self.with(store, false, |file| file.read_exact_at(&mut bytes, 0)).ok()?;
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let note = Note { life: number(0), before: number(8), lsn: number(16) };
        (store.sum(OF_NOTE, 0, 0, &bytes[..24]) == number(24)).then_some(note)
    }

    fn note(&self, store: &StoreId, note: Note) -> io::Result<()> {
        let mut bytes = [0; NOTE_BYTES];
        for (at, number) in [note.life, note.before, note.lsn].into_iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
        }
        let sum = store.sum(OF_NOTE, 0, 0, &bytes[..24]);
        bytes[24..].copy_from_slice(&sum.to_le_bytes());
        self.with(store, true, |file| file.write_all_at(&bytes, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_have_a_hand_in_is_no_witness() {
        use std::os::unix::fs::PermissionsExt as _;
        let store = StoreId::random().unwrap();
        let note = Note { life: 7, before: 5, lsn: 9 };
        let path = PathBuf::from(format!("/dev/shm/tallycast-{:016x}", store.sum(OF_NAME, 0, 0, &[])));
        let other = path.with_extension("other");
        let noted = || Memory::of_this_machine().note(&store, note);
        noted().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(noted().is_err() && Memory::of_this_machine().told(&store).is_none());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        assert!(noted().is_err() && Memory::of_this_machine().told(&store).is_none());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(noted().is_err() && Memory::of_this_machine().told(&store).is_none());
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&other).unwrap();
    }

    #[test]
    fn a_note_is_told_to_its_store_alone_and_proves_what_it_says() {
        let (store, other) = (StoreId::random().unwrap(), StoreId::random().unwrap());
        let note = Note { life: 7, before: 5, lsn: 9 };
        Memory::of_this_machine().note(&store, note).unwrap();
        let memory = Memory::of_this_machine();
        assert_eq!(memory.told(&store), Some(note));
        assert_eq!(Memory::of_this_machine().told(&other), None);
        let proved = [(7, 9), (5, 9), (7, 10), (7, 8), (6, 9), (0, 9)].map(|(life, end)| note.proves(life, end));
        assert_eq!(proved, [true, true, true, false, false, false]);
        for store in [store, other] {
            let _ = std::fs::remove_file(format!("/dev/shm/tallycast-{:016x}", store.sum(OF_NAME, 0, 0, &[])));
        }
    }
}
