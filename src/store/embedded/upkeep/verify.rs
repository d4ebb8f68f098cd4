//! Reads everything: each page, each row, each record, and then opens the folder as a start would. Changes nothing.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value};

use super::{AtRest, Copied, UpkeepError, hold, scratch};
use crate::domain::record::Entry;
use crate::store::embedded::belonging;
use crate::store::embedded::block::{self, Sealer};
use crate::store::embedded::disk::{Disk as _, read_range};
use crate::store::embedded::label::FIRST_BLOCK;
use crate::store::embedded::pages;
use crate::store::embedded::rows::{self, ACCOUNTS, GROUPS, MEMBERS, RELATIONS, Rows};
use crate::store::embedded::segment::name_of;
use crate::store::embedded::table::{self, Table, TableError};

/// The memory for the table's pages: each is looked at once.
const CACHE_BYTES: usize = 16 << 20;
/// More damaged pages than this are not named.
const PAGES_NAMED_MAX: usize = 20;

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file and the place in it, as far as it can be told.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// What is damaged; nothing: all is as it was written.
    pub findings: Vec<Finding>,
    /// What was read.
    pub read: Copied,
    /// Records in the journal.
    pub records: u64,
}

/// Reads everything in a folder that no process has, a store or a backup.
pub fn verify(path: &Path) -> Result<Verified, UpkeepError> {
    let _held = hold(path)?;
    examine(path)
}

/// The same, of a folder that is held.
pub(super) fn examine(path: &Path) -> Result<Verified, UpkeepError> {
    let mut verified = Verified::default();
    verified.read_table(path)?;
    verified.read_journal(path)?;
    Ok(verified)
}

impl Verified {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        let finding = Finding { place: place.into(), what: what.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn table_error(&mut self, error: &TableError) -> Result<(), UpkeepError> {
        match error {
            TableError::Page(damage) => self.find(format!("{} at byte {}", table::NAME, damage.offset), damage.what),
            TableError::Damaged(what) => self.find(table::NAME, what),
            TableError::Full | TableError::NoDescriptors | TableError::Spoilt | TableError::Failed(_) => return Err(error.clone().into()),
        }
        Ok(())
    }

    /// Looks at every page as redb does and at every row as we do, in the table as it stands.
    fn read_table(&mut self, path: &Path) -> Result<(), UpkeepError> {
        let disk = scratch(path)?;
        if !path.join(table::NAME).exists() {
            self.find(table::NAME, "the file is missing");
            return Ok(());
        }
        match Table::open_checked(&disk, CACHE_BYTES) {
            Ok(table) => {
                for rows in Rows::ALL {
                    if let Err(error) = table.begin_read().and_then(|view| self.read_rows(&view, rows)) {
                        self.table_error(&error)?;
                        table.mend()?;
                    }
                }
                if self.findings.is_empty()
                    && let Err(error) = table.begin_read().and_then(|view| self.compare(&view))
                {
                    self.table_error(&error)?;
                }
            }
            Err(error) => self.table_error(&error)?,
        }
        let closed = Table::open(&scratch(path)?, CACHE_BYTES).and_then(|table| table.meta()).is_ok_and(|meta| meta.clean);
        if !self.findings.is_empty() && closed {
            // Damage ends each of those looks: now all pages at once. After a kill, those that were not in use may be half written.
            for offset in pages::damaged(&disk).into_iter().flatten().take(PAGES_NAMED_MAX) {
                self.table_error(&TableError::Page(pages::PageDamage { offset, what: pages::WRONG }))?;
            }
        }
        Ok(())
    }

    fn read_rows(&mut self, view: &ReadTransaction, rows: Rows) -> Result<(), TableError> {
        match rows {
            Rows::Groups => self.check_rows(view, GROUPS, |key, value| rows.check(key.as_bytes(), value)),
            Rows::Members => self.check_rows(view, MEMBERS, |key, value| rows.check(key, value)),
            Rows::Relations => self.check_rows(view, RELATIONS, |key, value| rows.check(key, value)),
            Rows::Accounts => self.check_rows(view, ACCOUNTS, |key, ()| rows.check(key.as_bytes(), &[])),
        }
    }

    fn check_rows<K: Key + 'static, V: Value + 'static>(
        &mut self,
        view: &ReadTransaction,
        definition: TableDefinition<'_, K, V>,
        check: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), String>,
    ) -> Result<(), TableError> {
        for entry in view.open_table(definition)?.iter()? {
            let (key, value) = entry?;
            if let Err(words) = check(key.value(), value.value()) {
                self.find(table::NAME, words);
            }
        }
        Ok(())
    }

    /// Members and relations tell the same from two sides.
    fn compare(&mut self, view: &ReadTransaction) -> Result<(), TableError> {
        let hasher = RandomState::new();
        let hash = |group: &[u8], user: &[u8], what: &str| hasher.hash_one((group, user, what));
        let member = |asked: bool| if asked { "joined" } else { "added" };
        let (mut told, mut known) = (0u64, 0u64);
        for entry in view.open_table(GROUPS)?.iter()? {
            let (key, row) = entry?;
            let Some(id) = rows::group(key.value()) else { continue };
            let owner = rows::decode_group(&id, row.value()).map_err(TableError::Damaged)?.profile.owner;
            told = told.wrapping_add(owner.map_or(0, |owner| hash(key.value().as_bytes(), owner.as_str().as_bytes(), "owner")));
        }
        for entry in view.open_table(MEMBERS)?.iter()? {
            let (key, row) = entry?;
            let (group, user) = halves(key.value());
            let asked = rows::decode_member(key.value(), row.value()).map_err(TableError::Damaged)?.asked;
            told = told.wrapping_add(hash(group, user, member(asked)));
        }
        for entry in view.open_table(RELATIONS)?.iter()? {
            let (key, row) = entry?;
            let (user, group) = halves(key.value());
            let group = belonging::group_of(group);
            let relation = rows::decode_relation(key.value(), row.value()).map_err(TableError::Damaged)?;
            known = known.wrapping_add(if relation.owner { hash(group, user, "owner") } else { 0 });
            known = known.wrapping_add(if relation.member { hash(group, user, member(relation.asked)) } else { 0 });
        }
        if told != known {
            self.find(table::NAME, "groups and members say otherwise than the relations of users: a row is missing or too many");
        }
        Ok(())
    }

    /// Opens the folder as a start would, merges what is not merged, and reads every record of the journal.
    fn read_journal(&mut self, path: &Path) -> Result<(), UpkeepError> {
        let at_rest = match AtRest::open(path) {
            Ok(at_rest) => at_rest,
            Err(UpkeepError::Damaged(words)) => {
                // What is damaged in the table has been named before.
                if self.findings.is_empty() || !words.contains(table::NAME) {
                    let (place, what) = words.split_once(": ").unwrap_or((&words, ""));
                    self.find(place.trim_start_matches(&format!("{}/", path.display())), what);
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (meta, end) = (&at_rest.found.meta, at_rest.found.end);
        match Copied::count(&at_rest.found.table, meta) {
            Ok(read) => self.read = read,
            Err(error) => self.table_error(&error)?,
        }
        for number in meta.oldest..=end.segment {
            let failed = |error: std::io::Error| UpkeepError::Failed(format!("{}: {error}", name_of(number)));
            let bytes = at_rest.disk.open(&name_of(number), false).and_then(|file| read_range(&*file, 0, file.len()?)).map_err(failed)?;
            let mut offset = FIRST_BLOCK as usize;
            while let Some(block) = bytes.get(offset..).and_then(|rest| Sealer::new(meta.store, number).parse(rest, offset as u64)) {
                for entry in block::entries::<Entry>(block.payload) {
                    match entry {
                        Ok(_) => self.records += 1,
                        Err(words) => self.find(format!("{} at byte {offset}", name_of(number)), words),
                    }
                }
                offset += block.bytes;
            }
        }
        Ok(())
    }
}

/// The two names of a key.
fn halves(key: &[u8]) -> (&[u8], &[u8]) {
    let at = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    (&key[..at], key.get(at + 1..).unwrap_or_default())
}
