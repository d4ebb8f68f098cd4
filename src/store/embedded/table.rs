//! The table behind the journal: redb on one file of the folder, opened again when a full disk or a damaged page has spoilt it.
//!
//! Only the merger writes (and recovery, before there is a merger); readers see the state of the last merge.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use super::disk::{Disk, DiskFile, is_full};
use super::pages::{self, PageDamage, Pages, Shown, Sums};
use super::rows::{ACCOUNTS, FORMAT, GROUPS, MEMBERS, META, Meta, RELATIONS};

/// The file's name.
pub(super) const NAME: &str = "table.redb";
/// Its name while it is made.
pub(super) const UNFINISHED: &str = "table.new";

/// Why the table did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TableError {
    /// No space. The table must be mended before it is used.
    #[error("the disk is full")]
    Full,
    /// A file of the journal cannot be opened now.
    #[error("no descriptor is left")]
    NoDescriptors,
    /// A page is not what was written. The table must be mended before it is used.
    #[error("{NAME} {0}")]
    Page(PageDamage),
    /// What is there is not what was written.
    #[error("{NAME}: {0}")]
    Damaged(String),
    /// An operation of somebody else has failed. The table must be mended before it is used.
    #[error("the table must be opened again")]
    Spoilt,
    /// The disk failed.
    #[error("{0}")]
    Failed(String),
}

impl TableError {
    /// Whether something that was written is not there any more.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Damaged(_))
    }
}

impl<E: Into<redb::Error>> From<E> for TableError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Io(error) if is_full(&error) => Self::Full,
            redb::Error::Io(error) => match PageDamage::of(&error) {
                Some(damage) => Self::Page(damage.clone()),
                None => Self::Failed(error.to_string()),
            },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Spoilt,
            error @ redb::Error::Corrupted(_) => Self::Damaged(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The database on its pages.
struct Opened {
    database: Database,
    pages: Pages,
}

/// The table.
pub(super) struct Table {
    file: Arc<dyn DiskFile>,
    sums: Arc<Sums>,
    cache_bytes: usize,
    /// Where damaged leaves are shown as they are: how many were.
    lenient: Option<Shown>,
    /// Why it is not open, where it could not be opened again.
    opened: RwLock<Result<Opened, TableError>>,
    /// Held while something is written: a database may only be opened again when the one before it writes nothing any more.
    writing: Mutex<()>,
}

impl Table {
    /// Makes a table; its name appears when it is whole and safe.
    pub(super) fn create(disk: &dyn Disk, cache_bytes: usize, meta: &Meta) -> Result<Self, TableError> {
        let sums = Sums::create(disk.open(pages::NAME, true).map_err(io_error)?).map_err(io_error)?;
        let file = disk.open(UNFINISHED, true).map_err(io_error)?;
        file.set_len(0).map_err(io_error)?;
        let table = Self::on(file, sums, cache_bytes)?;
        table.write(|transaction| {
            transaction.open_table(GROUPS)?;
            transaction.open_table(MEMBERS)?;
            transaction.open_table(RELATIONS)?;
            transaction.open_table(ACCOUNTS)?;
            transaction.open_table(META)?.insert("format", FORMAT.to_le_bytes().as_slice())?;
            Ok(((), meta.clone()))
        })?;
        disk.sync_dir().and_then(|()| disk.rename(UNFINISHED, NAME)).and_then(|()| disk.sync_dir()).map_err(io_error)?;
        Ok(table)
    }

    /// Opens the table of the folder.
    pub(super) fn open(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, TableError> {
        let file = disk.open(NAME, false).map_err(io_error)?;
        if file.len().map_err(io_error)? == 0 {
            return Err(TableError::Page(PageDamage { offset: 0, what: "the file is empty" }));
        }
        if Pages::is_bare(&*file).map_err(io_error)? {
            return Self::adopt(disk, file, cache_bytes);
        }
        let sums = disk.open(pages::NAME, false).and_then(Sums::open);
        let sums = sums.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TableError::Damaged(format!("{} is missing, which tells whether its pages are whole", pages::NAME)),
            _ => io_error(error),
        })?;
        Self::on(file, sums, cache_bytes)
    }

    /// Opens the table of the folder to save of it what can be read; see `Pages::lenient`.
    pub(super) fn open_leniently(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, TableError> {
        let (file, sums) = (disk.open(NAME, false).map_err(io_error)?, disk.open(pages::NAME, true).map_err(io_error)?);
        let sums = Arc::new(Sums::open(sums).map_err(io_error)?);
        let shown = Shown::default();
        let opened = RwLock::new(Ok(open_database(Pages::lenient(file.clone(), sums.clone(), shown.clone()), cache_bytes)?));
        Ok(Self { file, sums, cache_bytes, lenient: Some(shown), opened, writing: Mutex::default() })
    }

    /// Opens a table whose sums are lost, as one that never had any.
    pub(super) fn open_unsummed(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, TableError> {
        Self::adopt(disk, disk.open(NAME, false).map_err(io_error)?, cache_bytes)
    }

    /// Opens a table without sums, which an earlier program has left: checks it as redb does, and gives it sums. The header
    /// gets its own at last, so that what is cut off is begun again.
    fn adopt(disk: &dyn Disk, file: Arc<dyn DiskFile>, cache_bytes: usize) -> Result<Self, TableError> {
        let open =
            || redb::Builder::new().set_cache_size(cache_bytes).set_check_integrity_on_open(true).create_with_backend(Bare(file.clone()));
        let checked = catch_unwind(AssertUnwindSafe(open)).map_err(|_| unreadable())?;
        checked?.close()?;
        let sums = Sums::adopt(disk.open(pages::NAME, true).map_err(io_error)?, &*file).map_err(io_error)?;
        disk.sync_dir().map_err(io_error)?;
        let sums = Arc::new(sums);
        Pages::new(file.clone(), sums.clone()).seal_header().map_err(io_error)?;
        Self::with(file, sums, cache_bytes)
    }

    /// Opens the table of the folder and has redb look at every page. Writes to the disk: to be called on a scratch disk.
    pub(super) fn open_checked(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, TableError> {
        let table = Self::open(disk, cache_bytes)?;
        {
            let mut opened = table.opened.write().unwrap_or_else(PoisonError::into_inner);
            let database = &mut opened.as_mut().map_err(|error| error.clone())?.database;
            let check = AssertUnwindSafe(|| database.check_integrity());
            catch_unwind(check).map_err(|_| unreadable())??;
        }
        Ok(table)
    }

    fn on(file: Arc<dyn DiskFile>, sums: Sums, cache_bytes: usize) -> Result<Self, TableError> {
        Self::with(file, Arc::new(sums), cache_bytes)
    }

    fn with(file: Arc<dyn DiskFile>, sums: Arc<Sums>, cache_bytes: usize) -> Result<Self, TableError> {
        let opened = RwLock::new(Ok(open_database(Pages::new(file.clone(), sums.clone()), cache_bytes)?));
        Ok(Self { file, sums, cache_bytes, lenient: None, opened, writing: Mutex::default() })
    }

    /// The format that the table says it has.
    pub(super) fn format(&self) -> Result<u32, TableError> {
        let meta = self.begin_read()?.open_table(META)?;
        let row = meta.get("format")?;
        let bytes = row.as_ref().and_then(|row| row.value().try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or_else(|| TableError::Damaged("the format is missing".to_owned()))
    }

    /// What the store knows of itself.
    pub(super) fn meta(&self) -> Result<Meta, TableError> {
        meta_of(&self.begin_read()?)
    }

    /// Replaces what the store knows of itself.
    pub(super) fn set_meta(&self, meta: &Meta) -> Result<(), TableError> {
        self.write(|_| Ok(((), meta.clone())))
    }

    /// Makes a change, all of it or nothing, together with what the store knows of itself from then on.
    pub(super) fn write<T>(&self, change: impl FnOnce(&WriteTransaction) -> Result<(T, Meta), TableError>) -> Result<T, TableError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = self.opened().as_ref().map_err(Clone::clone)?.database.begin_write()?;
        transaction.set_quick_repair(true);
        let (result, meta) = change(&transaction)?;
        transaction.open_table(META)?.insert("state", meta.encode().as_slice())?;
        transaction.commit()?;
        Ok(result)
    }

    /// Begins a look at one moment.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, TableError> {
        Ok(self.opened().as_ref().map_err(Clone::clone)?.database.begin_read()?)
    }

    /// Opens the database again where it needs it: after an I/O error it refuses everything else.
    pub(super) fn mend(&self) -> Result<(), TableError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_ok_and(|opened| !opened.pages.has_failed()) {
            return Ok(());
        }
        // The one before must be closed first.
        *opened = Err(TableError::Spoilt);
        let (file, sums) = (self.file.clone(), self.sums.clone());
        let pages = match &self.lenient {
            Some(shown) => Pages::lenient(file, sums, shown.clone()),
            None => Pages::new(file, sums),
        };
        *opened = open_database(pages, self.cache_bytes);
        opened.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Closes the database; the table is of no use any more.
    pub(super) fn close(&self) {
        let closed = Err(TableError::Failed("the table is closed".to_owned()));
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = closed;
    }

    /// How many damaged leaves were shown as they are.
    pub(super) fn shown(&self) -> u64 {
        self.lenient.as_ref().map_or(0, |shown| shown.load(Ordering::Relaxed))
    }

    /// Which of its files is not in its folder any more; a sync of one that was removed succeeds, and saves nothing.
    pub(super) fn removed(&self) -> Option<&'static str> {
        let is_there = |has_name: io::Result<bool>| has_name.unwrap_or(true);
        match (is_there(self.file.has_name()), is_there(self.sums.has_name())) {
            (false, _) => Some(NAME),
            (_, false) => Some(pages::NAME),
            _ => None,
        }
    }

    /// The file's length.
    pub(super) fn bytes(&self) -> u64 {
        self.file.len().unwrap_or(0)
    }

    fn opened(&self) -> RwLockReadGuard<'_, Result<Opened, TableError>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store knew of itself at a moment.
pub(super) fn meta_of(view: &ReadTransaction) -> Result<Meta, TableError> {
    let meta = view.open_table(META)?;
    let row = meta.get("state")?.ok_or_else(|| TableError::Damaged("the store's own state is missing".to_owned()))?;
    Meta::decode(row.value()).map_err(TableError::Damaged)
}

fn open_database(pages: Pages, cache_bytes: usize) -> Result<Opened, TableError> {
    let backend = pages.clone();
    let open = || redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(backend);
    // redb trusts what it reads. It is what was written, but a row that we never wrote might still make it panic.
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => Ok(Opened { database: opened?, pages }),
        Err(_) => Err(unreadable()),
    }
}

fn unreadable() -> TableError {
    TableError::Damaged("the table cannot be read at all".to_owned())
}

fn io_error(error: io::Error) -> TableError {
    TableError::from(redb::Error::Io(error))
}

/// A file as redb alone writes it.
#[derive(Debug)]
struct Bare(Arc<dyn DiskFile>);

impl StorageBackend for Bare {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
