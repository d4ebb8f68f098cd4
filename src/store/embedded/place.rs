//! Where a store lives, and how its troubles are told: with the name of the file and the place in it.

use std::io;
use std::sync::Arc;

use super::disk::Disk;
use super::pages::PageDamage;
use super::scan::ScanError;
use super::segment::name_of;
use super::table::{self, TableError};
use super::witness::Witness;
use crate::store::OpenError;

/// Where the store lives.
pub(super) struct Place {
    /// The folder's files.
    pub(super) disk: Arc<dyn Disk>,
    /// The folder's name, for messages.
    pub(super) folder: String,
    /// Who saw the last write.
    pub(super) witness: Arc<dyn Witness>,
    /// What tells this folder from a copy of it; see `Disk::home`.
    pub(super) home: String,
}

impl Place {
    /// Damage in a file, with the file's name.
    pub(super) fn damaged(&self, name: &str, offset: u64, what: String) -> OpenError {
        OpenError::Damaged { file: format!("{}/{name}", self.folder), offset, what }
    }

    /// An error of the journal, with the file's name.
    pub(super) fn scan_error(&self, error: ScanError) -> OpenError {
        match error {
            ScanError::Damaged(number, offset, what) => self.damaged(&name_of(number), offset, what),
            ScanError::Io(number, error) => OpenError::Io(format!("{}/{}: {error}", self.folder, name_of(number))),
        }
    }

    /// An error of the table, with the file's name.
    pub(super) fn table_error(&self, error: TableError) -> OpenError {
        match error {
            TableError::Page(PageDamage { offset, what }) => self.damaged(table::NAME, offset, what.to_owned()),
            TableError::Damaged(what) => self.damaged(table::NAME, 0, what),
            error => OpenError::Io(format!("{}/{}: {error}", self.folder, table::NAME)),
        }
    }

    /// An error of the disk, with the folder's name.
    pub(super) fn io_error(&self, error: &io::Error) -> OpenError {
        OpenError::Io(format!("{}: {error}", self.folder))
    }
}
