//! The thread that reads the whole table now and then, so that damage is known while there is still a good backup.
//!
//! Whatever is read for somebody is checked anyway; this is for what nobody asks for. It reads a few rows at a time, each
//! time in a view of its own, and rests nine times as long.

use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use redb::{Key, ReadTransaction, TableDefinition, Value};

use super::rows::{ACCOUNTS, GROUPS, MEMBERS, RELATIONS, Rows};
use super::table::TableError;
use super::{Shared, held};

/// The first look begins so long after the start, when those who come back have been served.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Rows that are read in one go.
const PORTION: usize = 500;
/// For one part of work, so many parts of rest.
const REST: u32 = 9;

/// Tells the checker to end.
#[derive(Default)]
pub(super) struct Stopping {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    /// Ends `run`.
    pub(super) fn stop(&self) {
        *held(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Waits; says whether it is time to end.
    fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut stopped = held(&self.stopped);
        while !*stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            stopped = self.changed.wait_timeout(stopped, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}

/// Checks the table until it is stopped; the life of the checking thread.
pub(super) fn run(shared: &Arc<Shared>) {
    let every = shared.settings.limits.check_every;
    let mut after = FIRST_AFTER.min(every);
    while !every.is_zero() && !shared.checking.rest(after) {
        let began = Instant::now();
        let mut rows = 0;
        for table in Rows::ALL {
            match check(shared, table) {
                Some(checked) => rows += checked,
                None => return,
            }
        }
        tracing::info!(rows, seconds = began.elapsed().as_secs(), "the whole table was read");
        after = every;
    }
}

/// Reads all rows of one kind, up to damage; says how many there were. `None`: it is time to end.
fn check(shared: &Shared, rows: Rows) -> Option<u64> {
    let (mut after, mut checked) = (Vec::new(), 0);
    loop {
        let began = Instant::now();
        match shared.reading.table.begin_read().and_then(|view| portion(&view, rows, &after)) {
            Ok((count, last)) => {
                checked += count;
                match last {
                    Some(last) => after = last,
                    None => return Some(checked),
                }
            }
            Err(error) if error.is_damage() => {
                shared.reading.met_damage(&error.to_string());
                return Some(checked);
            }
            // Somebody else has met damage, or there is no room: the table will be opened again.
            Err(_) => {}
        }
        if shared.checking.rest(began.elapsed().max(Duration::from_millis(1)) * REST) {
            return None;
        }
    }
}

/// Checks some rows behind a key (an empty one is before all); says how many, and which was the last unless there are no more.
fn portion(view: &ReadTransaction, rows: Rows, after: &[u8]) -> Result<(u64, Option<Vec<u8>>), TableError> {
    let text = std::str::from_utf8(after).map_err(|_| TableError::Damaged("a name is no text".to_owned()));
    match rows {
        Rows::Groups => some(view, GROUPS, text?, |key, row| (key.as_bytes().to_vec(), rows.check(key.as_bytes(), row))),
        Rows::Members => some(view, MEMBERS, after, |key, row| (key.to_vec(), rows.check(key, row))),
        Rows::Relations => some(view, RELATIONS, after, |key, row| (key.to_vec(), rows.check(key, row))),
        Rows::Accounts => some(view, ACCOUNTS, text?, |key, ()| (key.as_bytes().to_vec(), rows.check(key.as_bytes(), &[]))),
    }
}

fn some<K: Key + 'static, V: Value + 'static>(
    view: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
    after: K::SelfType<'_>,
    check: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> (Vec<u8>, Result<(), String>),
) -> Result<(u64, Option<Vec<u8>>), TableError> {
    let opened = view.open_table(definition)?;
    let (mut count, mut last) = (0, None);
    for entry in opened.range::<K::SelfType<'_>>((Bound::Excluded(after), Bound::Unbounded))?.take(PORTION) {
        let (key, row) = entry?;
        let (key, sound) = check(key.value(), row.value());
        sound.map_err(TableError::Damaged)?;
        count += 1;
        last = Some(key);
    }
    Ok((count, last.filter(|_| count == PORTION as u64)))
}
