//! The table behind the journal: redb on one file of the folder, opened again when a full disk has spoilt it.
//!
//! Only the merger writes (and recovery, before there is a merger); readers see the state of the last merge.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use super::disk::{Disk, DiskFile, is_full};
use super::rows::{ACCOUNTS, FORMAT, GROUPS, MEMBERS, META, Meta, RELATIONS};

/// The file's name.
pub(super) const NAME: &str = "table.redb";
/// Its name while it is made.
const UNFINISHED: &str = "table.new";

/// Why the table did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TableError {
    /// No space. The table must be opened again before it is used.
    #[error("the disk is full")]
    Full,
    /// What is there is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// The disk failed.
    #[error("{0}")]
    Failed(String),
}

impl<E: Into<redb::Error>> From<E> for TableError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Io(error) if is_full(&error) => Self::Full,
            error @ redb::Error::Corrupted(_) => Self::Damaged(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The table.
pub(super) struct Table {
    file: Arc<dyn DiskFile>,
    cache_bytes: usize,
    /// `None` after a full disk, until it could be opened again.
    database: RwLock<Option<Database>>,
}

impl Table {
    /// Makes a table; its name appears when it is whole and safe.
    pub(super) fn create(disk: &dyn Disk, cache_bytes: usize, meta: &Meta) -> Result<Self, TableError> {
        let io = |error: io::Error| TableError::from(redb::Error::Io(error));
        let file = disk.open(UNFINISHED, true).map_err(io)?;
        file.set_len(0).map_err(io)?;
        let table = Self::on(file, cache_bytes)?;
        let transaction = table.begin_write()?;
        {
            transaction.open_table(GROUPS)?;
            transaction.open_table(MEMBERS)?;
            transaction.open_table(RELATIONS)?;
            transaction.open_table(ACCOUNTS)?;
            transaction.open_table(META)?.insert("format", FORMAT.to_le_bytes().as_slice())?;
        }
        commit(transaction, meta)?;
        disk.rename(UNFINISHED, NAME).and_then(|()| disk.sync_dir()).map_err(io)?;
        Ok(table)
    }

    /// Opens the table of the folder.
    pub(super) fn open(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, TableError> {
        let file = disk.open(NAME, false).map_err(|error| TableError::from(redb::Error::Io(error)))?;
        Self::on(file, cache_bytes)
    }

    fn on(file: Arc<dyn DiskFile>, cache_bytes: usize) -> Result<Self, TableError> {
        let database = RwLock::new(Some(open_database(file.clone(), cache_bytes)?));
        Ok(Self { file, cache_bytes, database })
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
        commit(self.begin_write()?, meta)
    }

    /// Begins a change. It is kept by `commit` alone.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, TableError> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = guard.as_ref().ok_or(TableError::Full)?.begin_write()?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// Begins a look at one moment.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, TableError> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(guard.as_ref().ok_or(TableError::Full)?.begin_read()?)
    }

    /// Closes and opens the database: after an I/O error it refuses everything else.
    pub(super) fn reopen(&self) -> Result<(), TableError> {
        let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(guard.take());
        *guard = Some(open_database(self.file.clone(), self.cache_bytes)?);
        Ok(())
    }

    /// Closes the database; the table is of no use any more.
    pub(super) fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The file's length.
    pub(super) fn bytes(&self) -> u64 {
        self.file.len().unwrap_or(0)
    }
}

/// Ends a change, together with what the store knows of itself.
pub(super) fn commit(transaction: WriteTransaction, meta: &Meta) -> Result<(), TableError> {
    transaction.open_table(META)?.insert("state", meta.encode().as_slice())?;
    Ok(transaction.commit()?)
}

/// What the store knew of itself at a moment.
pub(super) fn meta_of(view: &ReadTransaction) -> Result<Meta, TableError> {
    let meta = view.open_table(META)?;
    let row = meta.get("state")?.ok_or_else(|| TableError::Damaged("the store's own state is missing".to_owned()))?;
    Meta::decode(row.value()).map_err(TableError::Damaged)
}

fn open_database(file: Arc<dyn DiskFile>, cache_bytes: usize) -> Result<Database, TableError> {
    let open = || redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(Backend(file));
    // redb trusts its pages: some damage makes it panic where we want words.
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(TableError::Damaged("the table cannot be read at all".to_owned())),
    }
}

#[derive(Debug)]
struct Backend(Arc<dyn DiskFile>);

impl StorageBackend for Backend {
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
        // A sync that failed for want of space is as final as any: it must not look like a write that found none.
        self.0.sync().map_err(|error| io::Error::other(format!("the table cannot be synced: {error}")))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
