//! Reads the whole journal after a start and finds its end. Changes nothing.
//!
//! The rule of the end: at the first block that is not whole, a later whole block that calls it synced proves damage, and
//! then the store must not open. Otherwise the write was cut off before anybody was told of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use super::block::{self, Block};
use super::disk::{Disk, DiskFile, read_range};
use super::journal::Position;
use super::replays::Replays;
use super::rows::Meta;
use super::segment::name_of;
use crate::domain::UnixMillis;
use crate::domain::record::{Effect, Entry};
use crate::store::Lsn;

/// Why the journal cannot be read.
#[derive(Debug)]
pub(super) enum ScanError {
    /// It contradicts itself: segment, byte, words.
    Damaged(u64, u64, String),
    /// The disk failed: segment, error.
    Io(u64, io::Error),
}

/// Where blocks stand: segment, first byte, bytes.
pub(super) type Place = (u64, u64, u64);

/// What the journal holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Behind the last block that counts.
    pub(super) end: Position,
    /// The segments up to there, with the time of their newest blocks.
    pub(super) used: BTreeMap<u64, UnixMillis>,
    /// Blocks that may be in the kernel's memory alone, with their numbers.
    pub(super) unsynced: VecDeque<(Lsn, Place)>,
    /// Something was begun behind the end: it must be wiped out.
    pub(super) torn: bool,
    /// Whole blocks stand behind the end that do not count any more.
    pub(super) discarded: bool,
    /// Bytes of blocks that the table does not have.
    pub(super) unmerged_bytes: u64,
    /// Operations within the window.
    pub(super) replays: Replays,
}

struct Segment {
    number: u64,
    bytes: Vec<u8>,
}

/// Reads the segments `present` from `meta.oldest` on; operations before `horizon` do not matter.
pub(super) fn scan(disk: &dyn Disk, meta: &Meta, present: &BTreeSet<u64>, horizon: UnixMillis) -> Result<Scan, ScanError> {
    let newest = present.iter().next_back().copied().unwrap_or(0).max(meta.merged.segment);
    if let Some(missing) = (meta.oldest..=newest).find(|number| !present.contains(number)) {
        return Err(ScanError::Damaged(missing, 0, "the segment is missing".to_owned()));
    }
    let mut scan = Scan::default();
    let mut segment = read(disk, meta.oldest)?;
    let first = block::parse(&segment.bytes, segment.number).map(|block| block.header.lsn);
    let starts_merged = (meta.merged.segment, meta.merged.offset) > (segment.number, 0);
    let expected = match first {
        Some(lsn) => lsn,
        None if starts_merged => return Err(damaged(&segment, 0, "the first block is damaged")),
        None => meta.merged.lsn + 1,
    };
    scan.end = Position { lsn: expected - 1, segment: segment.number, offset: 0 };
    if !starts_merged && scan.end.lsn != meta.merged.lsn {
        return Err(damaged(&segment, 0, "journal and table do not belong together"));
    }
    loop {
        scan.take_blocks(&segment, meta, horizon)?;
        if !present.contains(&(segment.number + 1)) {
            break;
        }
        let next = read(disk, segment.number + 1)?;
        let goes_on = block::parse(&next.bytes, next.number).is_some_and(|block| block.header.lsn == scan.end.lsn + 1);
        if !goes_on {
            break;
        }
        (scan.end.segment, scan.end.offset) = (next.number, 0);
        segment = next;
    }
    scan.judge_rest(disk, &segment, meta, newest)?;
    Ok(scan)
}

impl Scan {
    /// Takes whole blocks from the end on, for as long as they follow each other.
    fn take_blocks(&mut self, segment: &Segment, meta: &Meta, horizon: UnixMillis) -> Result<(), ScanError> {
        self.used.insert(segment.number, 0);
        while let Some(block) = segment.bytes.get(self.end.offset as usize..).and_then(|rest| block::parse(rest, segment.number))
            && block.header.lsn == self.end.lsn + 1
        {
            self.take(&block, segment, meta, horizon)?;
        }
        Ok(())
    }

    fn take(&mut self, block: &Block<'_>, segment: &Segment, meta: &Meta, horizon: UnixMillis) -> Result<(), ScanError> {
        let (header, start) = (block.header, self.end.offset);
        self.end = Position { lsn: header.lsn, segment: segment.number, offset: start + block.bytes as u64 };
        if header.lsn == meta.merged.lsn && self.end != meta.merged {
            return Err(damaged(segment, start, "journal and table do not belong together"));
        }
        if header.lsn > meta.merged.lsn {
            self.unmerged_bytes += block.bytes as u64;
        }
        self.used.insert(segment.number, header.written);
        while self.unsynced.pop_front_if(|(lsn, _)| *lsn <= header.synced).is_some() {}
        self.unsynced.push_back((header.lsn, (segment.number, start, block.bytes as u64)));
        if header.written >= horizon {
            for entry in block::entries::<Entry>(block.payload) {
                let Entry::Command(record) = entry.map_err(|words| damaged(segment, start, &words))? else { continue };
                if matches!(record.effect, Some(Effect::Dissolved)) {
                    self.replays.end(&record.group);
                }
                if let Some(operation) = record.operation.as_ref().filter(|_| record.at >= horizon) {
                    self.replays.keep(record.group, record.at, operation);
                }
            }
            self.replays.bound(horizon);
        }
        Ok(())
    }

    /// Looks at everything behind the end: is it nothing, the rest of a write, or proof of damage?
    fn judge_rest(&mut self, disk: &dyn Disk, last: &Segment, meta: &Meta, newest: u64) -> Result<(), ScanError> {
        let broken = self.end.lsn + 1;
        let rest = last.bytes.get(self.end.offset as usize..).unwrap_or_default();
        self.torn = block::has_begun(rest, broken);
        let mut proven = broken <= meta.merged.lsn;
        // Where the end of a segment is bare, the broken block was the first of the next one.
        let mut place = (last.number, self.end.offset);
        for number in last.number..=newest {
            let later = if number == last.number { None } else { Some(read(disk, number)?) };
            let bytes = later.as_ref().map_or(rest, |later| &later.bytes);
            let mut found = block::find_all(bytes, number).map(|block| block.header).filter(|header| header.lsn > broken).peekable();
            if number == last.number + 1 && !self.torn && !self.discarded {
                let used = meta.merged.segment >= number || found.peek().is_some();
                place = if used && block::parse(bytes, number).is_none() { (number, 0) } else { place };
            }
            for header in found {
                self.discarded = true;
                proven |= header.synced >= broken;
            }
        }
        self.torn |= self.discarded;
        if proven {
            let what = "a block is damaged or missing that was safe on disk: what came later knows of it";
            return Err(ScanError::Damaged(place.0, place.1, what.to_owned()));
        }
        Ok(())
    }
}

/// Whether any whole block stands in a segment.
pub(super) fn has_blocks(disk: &dyn Disk, number: u64) -> Result<bool, ScanError> {
    let segment = read(disk, number)?;
    Ok(block::find_all(&segment.bytes, number).next().is_some())
}

fn read(disk: &dyn Disk, number: u64) -> Result<Segment, ScanError> {
    let read = |file: std::sync::Arc<dyn DiskFile>| read_range(&*file, 0, file.len()?);
    let bytes = disk.open(&name_of(number), false).and_then(read).map_err(|error| ScanError::Io(number, error))?;
    Ok(Segment { number, bytes })
}

fn damaged(segment: &Segment, offset: u64, what: &str) -> ScanError {
    ScanError::Damaged(segment.number, offset, what.to_owned())
}
