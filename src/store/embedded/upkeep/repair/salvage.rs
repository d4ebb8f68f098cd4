//! Copies what can be read of a damaged table: from the front up to what cannot be read, and from the back down to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{Key, ReadableTable, ReadableTableMetadata, TableDefinition, Value};

use super::super::UpkeepError;
use super::super::frames::{self, Kind, Sink};
use crate::store::embedded::rows::{ACCOUNTS, GROUPS, MEMBERS, RELATIONS, Rows};
use crate::store::embedded::table::{Table, TableError};

/// Rows come in frames of about so many bytes.
const ROWS_BYTES: usize = 256 << 10;
/// More rows than this are not named.
const ROWS_NAMED_MAX: usize = 20;

/// Copies the rows of one kind; tells how many are lost, and which may be wrong.
pub(super) fn copy_rows(table: &Table, rows: Rows, to: &mut dyn Sink, done: &mut Vec<String>) -> Result<(), UpkeepError> {
    let mut saved = Saved { rows, to, frame: Vec::new(), kept: 0, wrong: Vec::new(), first: None, last: None };
    let shown = table.shown();
    let expected = match rows {
        Rows::Groups => saved.both_ways(table, GROUPS, |key, value| (key.as_bytes().to_vec(), value.to_vec())),
        Rows::Members => saved.both_ways(table, MEMBERS, |key, value| (key.to_vec(), value.to_vec())),
        Rows::Relations => saved.both_ways(table, RELATIONS, |key, value| (key.to_vec(), value.to_vec())),
        Rows::Accounts => saved.both_ways(table, ACCOUNTS, |key, ()| (key.as_bytes().to_vec(), Vec::new())),
    }?;
    saved.flush()?;
    if rows == Rows::Accounts && table.shown() > shown {
        done.push("names on damaged pages of the table of accounts were kept: nothing vouches for them, and some may be wrong".to_owned());
    }
    let lost = expected.saturating_sub(saved.kept);
    if lost > 0 || !saved.wrong.is_empty() {
        let named = saved.wrong.iter().take(ROWS_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        let names = if named.is_empty() { String::new() } else { format!(", among them {named}") };
        done.push(format!("{lost} of {expected} rows of the table of {} are lost{names}", rows.name()));
    }
    Ok(())
}

struct Saved<'a> {
    rows: Rows,
    to: &'a mut dyn Sink,
    frame: Vec<u8>,
    kept: u64,
    wrong: Vec<String>,
    /// The keys between which nothing could be read.
    first: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
}

impl Saved<'_> {
    /// Reads from both ends; says how many rows there should be.
    fn both_ways<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: &Table,
        definition: TableDefinition<'_, K, V>,
        row: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> (Vec<u8>, Vec<u8>),
    ) -> Result<u64, UpkeepError> {
        let expected = table.begin_read().and_then(|view| Ok(view.open_table(definition)?.len()?))?;
        for forward in [true, false] {
            // A page that is shown as it is may be such that redb does not get along with it.
            let read = catch_unwind(AssertUnwindSafe(|| self.one_way(table, definition, &row, forward)));
            match read {
                Ok(Ok(())) => break,
                Ok(Err(Stop::Table(error))) if error.is_damage() || error == TableError::Spoilt => {}
                Ok(Err(Stop::Table(error))) => return Err(error.into()),
                Ok(Err(Stop::Target(error))) => return Err(error),
                Err(_) => {}
            }
            table.mend()?;
        }
        Ok(expected)
    }

    fn one_way<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: &Table,
        definition: TableDefinition<'_, K, V>,
        row: &impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> (Vec<u8>, Vec<u8>),
        forward: bool,
    ) -> Result<(), Stop> {
        let view = table.begin_read().map_err(Stop::Table)?;
        let opened = view.open_table(definition).map_err(|error| Stop::Table(error.into()))?;
        let mut entries = opened.iter().map_err(|error| Stop::Table(error.into()))?;
        while let Some(entry) = if forward { entries.next() } else { entries.next_back() } {
            let (key, value) = entry.map_err(|error| Stop::Table(error.into()))?;
            let (key, value) = row(key.value(), value.value());
            if !forward && self.first.as_ref().is_some_and(|first| key <= *first) {
                return Ok(());
            }
            let seen = if forward { &mut self.first } else { &mut self.last };
            // Out of order, or met before: what is read is not the row that belongs here.
            let follows = seen.as_ref().is_none_or(|before| (key > *before) == forward && key != *before);
            if !follows || self.rows.check(&key, &value).is_err() {
                self.wrong.push(String::from_utf8_lossy(&key).replace('\0', "/"));
                continue;
            }
            *seen = Some(key.clone());
            self.keep(&key, &value).map_err(Stop::Target)?;
        }
        Ok(())
    }

    fn keep(&mut self, key: &[u8], value: &[u8]) -> Result<(), UpkeepError> {
        frames::put_row(&mut self.frame, key, value);
        self.kept += 1;
        if self.frame.len() >= ROWS_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), UpkeepError> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.to.take(Kind::Rows(self.rows), &std::mem::take(&mut self.frame))
    }
}

/// Why the reading ended.
enum Stop {
    Table(TableError),
    Target(UpkeepError),
}
