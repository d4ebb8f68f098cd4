//! Reads the whole journal after a start and finds its end. Changes nothing.
//!
//! The rule of the end: at the first block that is not whole, a later whole block that calls it synced proves damage, and
//! then the store must not open. Otherwise the write was cut off before anybody was told of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use super::block::{self, Block, Header, Sealer};
use super::disk::{Disk, DiskFile, read_range};
use super::identity::StoreId;
use super::journal::Position;
use super::label::{FIRST_BLOCK, LABEL_BYTES, Label};
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
    store: StoreId,
    number: u64,
    bytes: Vec<u8>,
}

/// Reads the segments `present` from `meta.oldest` on; operations before `horizon` do not matter.
pub(super) fn scan(disk: &dyn Disk, meta: &Meta, present: &BTreeSet<u64>, horizon: UnixMillis) -> Result<Scan, ScanError> {
    let newest = present.iter().next_back().copied().unwrap_or(0).max(meta.merged.segment);
    if let Some(missing) = (meta.oldest..=newest).find(|number| !present.contains(number)) {
        return Err(is_missing(missing));
    }
    let mut scan = Scan::default();
    let mut segment = read(disk, meta.store, meta.oldest)?;
    let first = segment.block(FIRST_BLOCK).map(|block| block.header.lsn);
    let starts_merged = (meta.merged.segment, meta.merged.offset) > (segment.number, FIRST_BLOCK);
    let expected = match first {
        Some(lsn) => lsn,
        None if starts_merged => return Err(damaged(&segment, FIRST_BLOCK, "the first block is damaged")),
        None => meta.merged.lsn + 1,
    };
    scan.end = Position { lsn: expected - 1, segment: segment.number, offset: FIRST_BLOCK };
    if !starts_merged && scan.end.lsn != meta.merged.lsn {
        return Err(damaged(&segment, FIRST_BLOCK, "journal and table do not belong together"));
    }
    loop {
        scan.take_blocks(&segment, meta, horizon)?;
        if scan.end.segment == segment.number {
            break;
        }
        if !present.contains(&scan.end.segment) {
            return Err(is_missing(scan.end.segment));
        }
        segment = read(disk, meta.store, scan.end.segment)?;
    }
    scan.judge_rest(disk, &segment, meta, newest)?;
    Ok(scan)
}

impl Scan {
    /// Takes whole blocks from the end on, for as long as they follow each other in this segment.
    fn take_blocks(&mut self, segment: &Segment, meta: &Meta, horizon: UnixMillis) -> Result<(), ScanError> {
        self.used.insert(segment.number, 0);
        while self.end.segment == segment.number
            && let Some(block) = segment.block(self.end.offset)
            && block.header.lsn == self.end.lsn + 1
        {
            self.take(&block, segment, meta, horizon)?;
        }
        Ok(())
    }

    fn take(&mut self, block: &Block<'_>, segment: &Segment, meta: &Meta, horizon: UnixMillis) -> Result<(), ScanError> {
        let (header, start) = (block.header, self.end.offset);
        self.end = self.end.behind(header.lsn, block.bytes as u64, header.kind);
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
        let mut proven = broken <= meta.merged.lsn;
        for (at, header) in last.headers(self.end.offset) {
            self.torn = true;
            self.discarded |= at > self.end.offset;
            proven |= header.lsn > broken && header.synced >= broken;
        }
        for number in last.number + 1..=newest {
            // A segment is closed, and that is safe, before anything is written into the next one.
            proven |= read(disk, meta.store, number)?.headers(FIRST_BLOCK).next().is_some();
        }
        if proven {
            let what = "a block is damaged or missing that was safe on disk: what came later knows of it";
            return Err(damaged(last, self.end.offset, what));
        }
        Ok(())
    }
}

impl Segment {
    fn sealer(&self) -> Sealer {
        Sealer::new(self.store, self.number)
    }

    fn block(&self, offset: u64) -> Option<Block<'_>> {
        self.sealer().parse(self.bytes.get(offset as usize..)?, offset)
    }

    fn headers(&self, from: u64) -> impl Iterator<Item = (u64, Header)> {
        self.sealer().headers(self.bytes.get(from as usize..).unwrap_or_default(), from)
    }
}

/// Whether anything stands in a segment behind its label, whatever its format.
pub(super) fn has_content(disk: &dyn Disk, number: u64) -> Result<bool, ScanError> {
    let bytes = read_all(disk, number)?;
    let bare = Label::decode(&bytes).map_or(&bytes[..], |_| &bytes[LABEL_BYTES..]);
    Ok(bare.iter().any(|byte| *byte != 0))
}

fn read(disk: &dyn Disk, store: StoreId, number: u64) -> Result<Segment, ScanError> {
    let bytes = read_all(disk, number)?;
    match Label::objection(store, number, &bytes, bytes.len() as u64) {
        Some((offset, words)) => Err(ScanError::Damaged(number, offset, words)),
        None => Ok(Segment { store, number, bytes }),
    }
}

fn read_all(disk: &dyn Disk, number: u64) -> Result<Vec<u8>, ScanError> {
    let read = |file: std::sync::Arc<dyn DiskFile>| read_range(&*file, 0, file.len()?);
    disk.open(&name_of(number), false).and_then(read).map_err(|error| ScanError::Io(number, error))
}

fn is_missing(number: u64) -> ScanError {
    ScanError::Damaged(number, 0, "the segment is missing".to_owned())
}

fn damaged(segment: &Segment, offset: u64, what: &str) -> ScanError {
    ScanError::Damaged(segment.number, offset, what.to_owned())
}
