//! Brings a folder of format 1 to today's, at the start, before anything else is done with it.
//!
//! The journal is written anew, beside the old one; then one transaction of the table makes the new one count. Until then
//! the folder is one of format 1 and nothing in it has changed, so this can be cut off anywhere and done again.
//!
//! Format 1 had no labels and no last blocks; a block was `TCJ1`, length, CRC-32 over the segment's number and all else,
//! 0, number, newest synced, time, payload.

use std::collections::BTreeSet;
use std::io;

use serde::Deserialize;

use super::belonging;
use super::block::{ALIGN, HEADER_BYTES, Header, Kind, Sealer};
use super::disk::read_range;
use super::identity::StoreId;
use super::journal::Position;
use super::label::{FIRST_BLOCK, LABEL_BYTES, Label};
use super::place::Place;
use super::rows::{FORMAT, META, Meta};
use super::scan::ScanError;
use super::segment::{self, name_of, segment_bytes};
use super::table::{Table, TableError};
use crate::domain::UnixMillis;
use crate::store::{Lsn, OpenError, Options};

const OLD_MAGIC: [u8; 4] = *b"TCJ1";
const OLD_HEADER_BYTES: usize = 40;

/// What a store of format 1 knew of itself.
#[derive(Debug, Deserialize)]
struct OldMeta {
    generation: u64,
    merged: Position,
    oldest: u64,
    _boot: String,
    clean: bool,
    interval: bool,
}

/// A block of format 1.
struct OldBlock<'a> {
    lsn: Lsn,
    synced: Lsn,
    written: UnixMillis,
    payload: &'a [u8],
    bytes: u64,
}

/// Brings the folder to today's format; `numbers` are its segments, afterwards those that it has then.
pub(super) fn upgrade(place: &Place, options: &Options, table: &Table, numbers: &mut BTreeSet<u64>) -> Result<(), OpenError> {
    let old = old_meta(table).map_err(|error| place.table_error(error))?;
    remove_attempts(place, numbers).map_err(|error| place.io_error(&error))?;
    let end = find_end(place, &old, numbers).map_err(|error| place.scan_error(error))?;
    let store = StoreId::random().map_err(|error| place.io_error(&error))?;
    let mut copy = Copy { place, store, bytes: segment_bytes(&options.limits), lsn: 0, newest: 0, made: BTreeSet::new() };
    let oldest = numbers.last().copied().unwrap_or(0).max(old.merged.segment) + 1;
    let merged = copy.all(&old, end, oldest).map_err(|error| place.scan_error(error))?;
    // What format 1 knew is no proof that the end is complete.
    let doubtful = old.interval && !old.clean;
    let generation = old.generation + u64::from(doubtful);
    let home = String::new();
    let meta = Meta { store, generation, merged, oldest, life: 0, home, clean: old.clean, interval: old.interval };
    replace_meta(table, &meta).map_err(|error| place.table_error(error))?;
    numbers.append(&mut copy.made);
    tracing::info!("the data folder {} was brought from format 1 to format {FORMAT}", place.folder);
    Ok(())
}

fn old_meta(table: &Table) -> Result<OldMeta, TableError> {
    let damaged = || TableError::Damaged("the store's own state cannot be read".to_owned());
    let view = table.begin_read()?;
    let row = view.open_table(META)?.get("state")?.ok_or_else(damaged)?;
    let (body, sum) = row.value().split_last_chunk::<4>().ok_or_else(damaged)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"state\0");
    hasher.update(body);
    if hasher.finalize() != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    postcard::from_bytes(body).map_err(|_| damaged())
}

fn replace_meta(table: &Table, meta: &Meta) -> Result<(), TableError> {
    table.write(|transaction| {
        transaction.open_table(META)?.insert("format", FORMAT.to_le_bytes().as_slice())?;
        // Format 1 had them in the order of their groups.
        belonging::make_anew(transaction)?;
        Ok(((), meta.clone()))
    })
}

/// Removes what an upgrade that was cut off has left: segments with a label, which format 1 did not have.
fn remove_attempts(place: &Place, numbers: &mut BTreeSet<u64>) -> io::Result<()> {
    for number in numbers.clone().into_iter().rev() {
        let file = place.disk.open(&name_of(number), false)?;
        let first = read_range(&*file, 0, file.len()?.min(LABEL_BYTES as u64))?;
        if Label::decode(&first).is_some() {
            place.disk.remove(&name_of(number))?;
            numbers.remove(&number);
        }
    }
    place.disk.sync_dir()
}

fn read(place: &Place, number: u64) -> Result<Vec<u8>, ScanError> {
    let file = place.disk.open(&name_of(number), false);
    file.and_then(|file| read_range(&*file, 0, file.len()?)).map_err(|error| ScanError::Io(number, error))
}

/// The block that stands here.
fn parse(bytes: &[u8], at: u64, segment: u64) -> Option<OldBlock<'_>> {
    let rest = bytes.get(at as usize..)?;
    let head = rest.get(..OLD_HEADER_BYTES).filter(|head| head[..4] == OLD_MAGIC)?;
    let number = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let length = (number(4) & u64::from(u32::MAX)) as usize;
    let block = rest.get(..(OLD_HEADER_BYTES + length).next_multiple_of(ALIGN))?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&block[..8]);
    hasher.update(&block[12..]);
    let sound = u64::from(hasher.finalize()) == number(8) & u64::from(u32::MAX);
    let payload = &block[OLD_HEADER_BYTES..OLD_HEADER_BYTES + length];
    sound.then_some(OldBlock { lsn: number(16), synced: number(24), written: number(32), payload, bytes: block.len() as u64 })
}

/// The place behind the last block that counts, by the rules of format 1.
fn find_end(place: &Place, old: &OldMeta, numbers: &BTreeSet<u64>) -> Result<Position, ScanError> {
    let newest = numbers.last().copied().unwrap_or(0).max(old.merged.segment);
    if let Some(missing) = (old.oldest..=newest).find(|number| !numbers.contains(number)) {
        return Err(ScanError::Damaged(missing, 0, "the segment is missing".to_owned()));
    }
    let mut bytes = read(place, old.oldest)?;
    let first = parse(&bytes, 0, old.oldest).map_or(old.merged.lsn + 1, |block| block.lsn);
    let mut end = Position { lsn: first - 1, segment: old.oldest, offset: 0 };
    loop {
        while let Some(block) = parse(&bytes, end.offset, end.segment).filter(|block| block.lsn == end.lsn + 1) {
            end = Position { lsn: block.lsn, offset: end.offset + block.bytes, ..end };
        }
        if end.segment == newest {
            break;
        }
        let next = read(place, end.segment + 1)?;
        if parse(&next, 0, end.segment + 1).is_none_or(|block| block.lsn != end.lsn + 1) {
            break;
        }
        (end.segment, end.offset, bytes) = (end.segment + 1, 0, next);
    }
    let damaged = || ScanError::Damaged(end.segment, end.offset, "a block is damaged or missing that was safe on disk".to_owned());
    if end.lsn < old.merged.lsn {
        return Err(damaged());
    }
    // Behind a clean end nothing counts, whatever it looks like.
    if old.clean && end.lsn == old.merged.lsn {
        return Ok(end);
    }
    for number in end.segment..=newest {
        let (bytes, from) = if number == end.segment { (std::mem::take(&mut bytes), end.offset) } else { (read(place, number)?, 0) };
        let found = (from..bytes.len() as u64).step_by(ALIGN).filter_map(|at| parse(&bytes, at, number));
        if found.into_iter().any(|block| block.lsn > end.lsn + 1 && block.synced > end.lsn) {
            return Err(damaged());
        }
    }
    Ok(end)
}

/// The new journal while it is written.
struct Copy<'a> {
    place: &'a Place,
    store: StoreId,
    bytes: u64,
    lsn: Lsn,
    newest: UnixMillis,
    made: BTreeSet<u64>,
}

impl Copy<'_> {
    /// Writes every block up to `end` into segments from `to` on, one for each old one; says up to where they are merged.
    fn all(&mut self, old: &OldMeta, end: Position, to: u64) -> Result<Position, ScanError> {
        let mut merged = Position { lsn: 0, segment: to, offset: FIRST_BLOCK };
        for number in old.oldest..=end.segment {
            let bytes = read(self.place, number)?;
            let target = to + number - old.oldest;
            let mut made = vec![0; LABEL_BYTES];
            let mut at = 0;
            while let Some(block) = parse(&bytes, at, number).filter(|block| block.lsn <= end.lsn) {
                self.newest = self.newest.max(block.written);
                self.add(&mut made, target, Kind::Records, block.payload);
                if block.lsn == old.merged.lsn {
                    merged = Position { lsn: self.lsn, segment: target, offset: made.len() as u64 };
                }
                at += block.bytes;
            }
            if number < end.segment {
                let closed = self.lsn == merged.lsn;
                self.add(&mut made, target, Kind::Last, &[]);
                if closed {
                    merged = Position { lsn: self.lsn, segment: target + 1, offset: FIRST_BLOCK };
                }
            }
            self.put(target, made).map_err(|error| ScanError::Io(target, error))?;
        }
        Ok(merged)
    }

    fn add(&mut self, made: &mut Vec<u8>, segment: u64, kind: Kind, payload: &[u8]) {
        self.lsn += 1;
        let mut block = [&[0; HEADER_BYTES], payload].concat();
        // All of the new journal is synced before it counts.
        let header = Header { lsn: self.lsn, synced: self.lsn - 1, written: self.newest, kind };
        Sealer::new(self.store, segment).seal(&mut block, made.len() as u64, header);
        made.extend(block);
    }

    fn put(&mut self, segment: u64, made: Vec<u8>) -> io::Result<()> {
        let bytes = self.bytes.max((made.len() + HEADER_BYTES).next_multiple_of(4096) as u64);
        segment::create(&*self.place.disk, Label { store: self.store, segment, bytes }, &made[LABEL_BYTES..])?;
        self.made.insert(segment);
        Ok(())
    }
}
