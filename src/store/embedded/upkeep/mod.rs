//! What an operator does to a store: copies of it, a look at all of it, and making the best of one that is damaged.
//!
//! A copy is told as frames by a `Source` (a store that is open, or one at rest) and made by a `Target`. Whoever only reads
//! a folder opens it as a start would, on a disk that keeps every change in memory: so nothing in it changes.

mod frames;
mod live;
mod repair;
mod source;
mod target;
mod verify;

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use self::source::Source;
use self::target::Target;
use super::disk::Disk;
use super::disk::scratch::Scratch;
use super::place::Place;
use super::recovery::{Recovered, recover};
use super::rows::{ACCOUNTS, GROUPS, MEMBERS, Meta};
use super::segment::segment_of;
use super::table::{self, Table, TableError};
use super::witness::Nobody;
use crate::store::{Lsn, OpenError, Options};
use redb::ReadableTableMetadata as _;

pub use self::repair::{Repaired, repair};
pub use self::verify::{Finding, Verified, verify};

/// The file that says that a folder is a backup, and of what.
const BACKUP: &str = "BACKUP";
/// The file that says that a folder is not complete.
const UNFINISHED: &str = "UNFINISHED";

/// Why a store was not copied, read or repaired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpkeepError {
    /// What was asked for does not fit what is there; nothing was done.
    #[error("{0}")]
    Unfit(String),
    /// A process has the folder.
    #[error("{0} is in use by another process: stop it first")]
    InUse(String),
    /// The store is damaged, with file and place.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Something failed.
    #[error("{0}")]
    Failed(String),
}

impl UpkeepError {
    fn damage(file: &str, offset: u64, what: &str) -> Self {
        Self::Damaged(format!("{file} at byte {offset}: {what}"))
    }
}

impl From<TableError> for UpkeepError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Page(_) | TableError::Damaged(_) => Self::Damaged(error.to_string()),
            error => Self::Failed(format!("{}: {error}", table::NAME)),
        }
    }
}

impl From<OpenError> for UpkeepError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse(folder) => Self::InUse(folder),
            OpenError::Damaged { file, offset, what } => Self::damage(&file, offset, &what),
            OpenError::Newer { .. } | OpenError::NoStore(_) => Self::Unfit(error.to_string()),
            OpenError::Io(words) => Self::Failed(words),
        }
    }
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Groups.
    pub groups: u64,
    /// Members of them.
    pub members: u64,
    /// Users with an account.
    pub accounts: u64,
    /// The last block of records.
    pub up_to: Lsn,
    /// The generation that the copy begins with.
    pub generation: u64,
}

impl Copied {
    /// Counts what is in a table that has everything of its journal.
    fn count(table: &Table, meta: &Meta) -> Result<Self, TableError> {
        let view = table.begin_read()?;
        let (groups, members) = (view.open_table(GROUPS)?.len()?, view.open_table(MEMBERS)?.len()?);
        let accounts = view.open_table(ACCOUNTS)?.len()?;
        Ok(Self { groups, members, accounts, up_to: meta.merged.lsn, generation: meta.generation })
    }
}

/// Makes a backup in `to` of what an open store in `from` tells; see `Store::tell`.
pub fn receive_backup(from: &Path, told: &mut dyn Read, to: &Path) -> Result<Copied, UpkeepError> {
    refuse_inside(from, to)?;
    let mut target = Target::begin(to)?;
    frames::receive(told, &mut target)?;
    target.finish_backup()
}

/// Makes a backup in `to` of a folder that no process has.
pub fn backup_at_rest(from: &Path, to: &Path) -> Result<Copied, UpkeepError> {
    refuse_inside(from, to)?;
    let _held = hold(from)?;
    if from.join(BACKUP).exists() {
        return Err(UpkeepError::Unfit(format!("{} is a backup: copy it as it is", from.display())));
    }
    let at_rest = AtRest::open(from)?;
    let mut target = Target::begin(to)?;
    at_rest.source()?.tell(&mut target)?;
    target.finish_backup()
}

/// Makes a store in `to` of the backup in `from`. Every epoch is another than before.
pub fn restore(from: &Path, to: &Path) -> Result<Copied, UpkeepError> {
    refuse_inside(from, to)?;
    if !from.join(BACKUP).is_file() {
        return Err(UpkeepError::Unfit(format!("{} is not a backup: it has no file {BACKUP}", from.display())));
    }
    let _held = hold(from)?;
    let at_rest = AtRest::open(from)?;
    let mut target = Target::begin(to)?;
    at_rest.source()?.tell(&mut target)?;
    target.finish_store()
}

/// A folder that must not be opened as a store says so.
pub(in crate::store::embedded) fn refuse_what_is_no_store(place: &Place) -> Result<(), OpenError> {
    let names = place.disk.list().map_err(|error| place.io_error(&error))?;
    let has = |name: &str| names.iter().any(|present| present == name);
    if has(UNFINISHED) {
        let words = "was not completed (it holds a file UNFINISHED): remove it, and begin the copy again";
        return Err(OpenError::NoStore(format!("{} {words}", place.folder)));
    }
    if has(BACKUP) {
        let words = "is a backup: make a store of it with `tallycast restore --from … --to …`";
        return Err(OpenError::NoStore(format!("{} {words}", place.folder)));
    }
    Ok(())
}

/// Keeps others out of a folder for as long as it is held. Asks for no right to write: a backup may be on a read-only disk.
fn hold(path: &Path) -> Result<Option<File>, UpkeepError> {
    let failed = |error: std::io::Error| UpkeepError::Failed(format!("{}: {error}", path.display()));
    let file = match File::open(path.join("LOCK")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(UpkeepError::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A copy inside of what is copied would be a part of it.
fn refuse_inside(from: &Path, to: &Path) -> Result<(), UpkeepError> {
    let parent =
        to.ancestors().find_map(|parent| std::fs::canonicalize(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }).ok());
    let inside = std::fs::canonicalize(from).is_ok_and(|from| parent.is_some_and(|parent| parent.starts_with(from)));
    if inside {
        return Err(UpkeepError::Unfit(format!("{} lies inside {}: name another folder", to.display(), from.display())));
    }
    Ok(())
}

/// A folder as a start would find it, every change of which stays in memory.
struct AtRest {
    disk: Scratch,
    found: Recovered,
}

impl AtRest {
    fn open(path: &Path) -> Result<Self, UpkeepError> {
        let disk = scratch(path)?;
        let found = recover(&place_of(&disk, path), &Options::new(path))?;
        Ok(Self { disk, found })
    }

    fn source(&self) -> Result<Source<'_>, UpkeepError> {
        let view = self.found.table.begin_read()?;
        let open = |number| self.disk.open(&super::segment::name_of(number), false);
        Ok(Source { view, meta: self.found.meta.clone(), at_least: self.found.end.lsn, open: Box::new(open) })
    }
}

/// The folder's files, where they are those of a store.
fn scratch(path: &Path) -> Result<Scratch, UpkeepError> {
    let disk = Scratch::of(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => UpkeepError::Unfit(format!("{} is not a folder", path.display())),
        _ => UpkeepError::Failed(format!("{}: {error}", path.display())),
    })?;
    let names = disk.list().map_err(|error| UpkeepError::Failed(format!("{}: {error}", path.display())))?;
    if names.iter().any(|name| name == UNFINISHED) {
        return Err(UpkeepError::Unfit(format!("{} was not completed: remove it, and begin the copy again", path.display())));
    }
    if !names.iter().any(|name| name == table::NAME || segment_of(name).is_some()) {
        let words = format!("{} is not a store: it has neither {} nor a journal", path.display(), table::NAME);
        return Err(UpkeepError::Unfit(words));
    }
    Ok(disk)
}

fn place_of(disk: &Scratch, path: &Path) -> Place {
    Place { disk: Arc::new(disk.clone()), folder: path.display().to_string(), witness: Arc::new(Nobody), home: String::new() }
}
