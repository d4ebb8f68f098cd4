//! One step of merging: a stretch of the journal becomes one transaction of the table.
//!
//! Only synced blocks may be merged: the table must never know what the journal could lose.

use std::io;

use super::behind::Behind;
use super::block::{self, Block, Change};
use super::disk::{is_out_of_descriptors, read_range};
use super::fold::Fold;
use super::journal::Position;
use super::overlay::Overlay;
use super::rows::{GROUPS, Meta};
use super::segment::{Segments, name_of};
use super::table::{Table, TableError};
use crate::domain::record::Entry;
use crate::store::batch::Turn;

/// Merges from `meta.merged` towards `to`, but not much more than `bytes_max`; the table's new state is `meta` with the new
/// position, which comes back with the bytes that were merged.
pub(super) fn merge_some(
    table: &Table,
    segments: &Segments,
    meta: &Meta,
    to: Position,
    bytes_max: u64,
) -> Result<(Position, u64), TableError> {
    table.write(|transaction| {
        let mut fold = Fold::default();
        let (end, bytes) = {
            let rows = transaction.open_table(GROUPS)?;
            walk(segments, meta.merged, to, bytes_max, |block| {
                for entry in block::entries(block.payload) {
                    match entry.map_err(TableError::Damaged)? {
                        Change::Command(record) => fold.apply(&rows, &record)?,
                        Change::Account(user) => fold.add_account(user),
                    }
                }
                Ok(())
            })?
        };
        fold.write(transaction)?;
        Ok(((end, bytes), Meta { merged: end, ..meta.clone() }))
    })
}

/// Reads what is between `from` and `to` without merging it: who belongs where goes into the overlay, the effects into what
/// comes back.
pub(super) fn read_behind(segments: &Segments, from: Position, to: Position, overlay: &mut Overlay) -> Result<Behind, TableError> {
    let mut behind = Behind::default();
    walk(segments, from, to, u64::MAX, |block| {
        let (lsn, mut turns) = (block.header.lsn, Vec::new());
        for entry in block::entries(block.payload) {
            match entry.map_err(TableError::Damaged)? {
                Entry::Account(user) => turns.push(Turn::Seen(user)),
                Entry::Command(record) => {
                    turns.extend(Turn::of(&record, None));
                    if let Some(effect) = record.effect {
                        behind.add(lsn, record.group, effect);
                    }
                }
            }
        }
        overlay.add(lsn, turns);
        Ok(())
    })?;
    Ok(behind)
}

/// Shows all blocks from behind `from` up to `to`, or until there were `bytes_max`.
fn walk(
    segments: &Segments,
    from: Position,
    to: Position,
    bytes_max: u64,
    mut each: impl FnMut(&Block<'_>) -> Result<(), TableError>,
) -> Result<(Position, u64), TableError> {
    let (mut at, mut seen) = (from, 0);
    while at.lsn < to.lsn && seen < bytes_max {
        let (start, sealer) = (at, segments.sealer(at.segment));
        let stretch = read_stretch(segments, at, to).map_err(|error| failed(at.segment, &error))?;
        while at.segment == start.segment && at.lsn < to.lsn && seen < bytes_max {
            let rest = &stretch[(at.offset - start.offset) as usize..];
            let block = sealer.parse(rest, at.offset).filter(|block| block.header.lsn == at.lsn + 1).ok_or_else(|| {
                let words = format!("{} at byte {}: a block is not what was written", name_of(at.segment), at.offset);
                TableError::Damaged(words)
            })?;
            each(&block)?;
            at = at.behind(block.header.lsn, block.bytes as u64, block.header.kind);
            seen += block.bytes as u64;
        }
    }
    Ok((at, seen))
}

fn read_stretch(segments: &Segments, at: Position, to: Position) -> io::Result<Vec<u8>> {
    let file = segments.open(at.segment)?;
    let end = if at.segment == to.segment { to.offset } else { file.len()? };
    read_range(&*file, at.offset, end)
}

fn failed(segment: u64, error: &io::Error) -> TableError {
    match is_out_of_descriptors(error) {
        true => TableError::NoDescriptors,
        false => TableError::Failed(format!("{} cannot be read: {error}", name_of(segment))),
    }
}
