//! Tells a store frame by frame: the table as one of its snapshots has it, and the journal from the oldest segment that the
//! snapshot needs up to its last whole block, whatever is written behind it meanwhile.

use std::io;
use std::sync::Arc;

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, Value};

use super::UpkeepError;
use super::frames::{self, Begin, BlockHead, Kind, Sink};
use crate::store::Lsn;
use crate::store::embedded::block::Sealer;
use crate::store::embedded::disk::{DiskFile, read_range};
use crate::store::embedded::journal::Position;
use crate::store::embedded::label::{FIRST_BLOCK, Label};
use crate::store::embedded::rows::{ACCOUNTS, FORMAT, GROUPS, MEMBERS, Meta, RELATIONS, Rows};
use crate::store::embedded::segment::name_of;
use crate::store::embedded::table::TableError;

/// Rows come in frames of about so many bytes.
const ROWS_BYTES: usize = 256 << 10;

/// Opens a segment.
pub(super) type Open<'a> = Box<dyn Fn(u64) -> io::Result<Arc<dyn DiskFile>> + 'a>;

/// A store at one moment. Nothing of it may go while it is told.
pub(super) struct Source<'a> {
    pub(super) view: ReadTransaction,
    pub(super) meta: Meta,
    /// So far the journal goes at least.
    pub(super) at_least: Lsn,
    pub(super) open: Open<'a>,
}

impl Source<'_> {
    /// Tells all of it.
    pub(super) fn tell(&self, sink: &mut dyn Sink) -> Result<(), UpkeepError> {
        let first = self.segment(self.meta.oldest)?;
        let begin =
            Begin { format: FORMAT, generation: self.meta.generation, merged: self.meta.merged.lsn, segment_bytes: first.len() as u64 };
        sink.take(Kind::Begin, &postcard::to_stdvec(&begin).expect("plain values can always be encoded"))?;
        for rows in Rows::ALL {
            self.tell_rows(rows, sink)?;
        }
        let last = self.tell_blocks(first, sink)?;
        sink.take(Kind::End, &last.to_le_bytes())
    }

    fn tell_rows(&self, rows: Rows, sink: &mut dyn Sink) -> Result<(), UpkeepError> {
        match rows {
            Rows::Groups => each(&self.view, GROUPS, sink, rows, |frame, key, value| frames::put_row(frame, key.as_bytes(), value)),
            Rows::Members => each(&self.view, MEMBERS, sink, rows, frames::put_row),
            Rows::Relations => each(&self.view, RELATIONS, sink, rows, frames::put_row),
            Rows::Accounts => each(&self.view, ACCOUNTS, sink, rows, |frame, key, ()| frames::put_row(frame, key.as_bytes(), &[])),
        }
    }

    /// Tells all blocks, and says which was the last.
    fn tell_blocks(&self, first: Vec<u8>, sink: &mut dyn Sink) -> Result<Lsn, UpkeepError> {
        let (mut bytes, mut last) = (first, None);
        let mut at = Position { lsn: 0, segment: self.meta.oldest, offset: FIRST_BLOCK };
        loop {
            let block = bytes.get(at.offset as usize..).and_then(|rest| Sealer::new(self.meta.store, at.segment).parse(rest, at.offset));
            let Some(block) = block.filter(|block| last.is_none_or(|last| block.header.lsn == last + 1)) else { break };
            let head = BlockHead { lsn: block.header.lsn, written: block.header.written, kind: block.header.kind };
            sink.take(Kind::Block, &head.encode(block.payload))?;
            last = Some(head.lsn);
            let behind = at.behind(head.lsn, block.bytes as u64, head.kind);
            if behind.segment != at.segment {
                bytes = self.segment(behind.segment)?;
            }
            at = behind;
        }
        let last = last.unwrap_or(self.meta.merged.lsn);
        if last < self.at_least.max(self.meta.merged.lsn) {
            return Err(UpkeepError::damage(&name_of(at.segment), at.offset, "a block is not what was written"));
        }
        Ok(last)
    }

    fn segment(&self, number: u64) -> Result<Vec<u8>, UpkeepError> {
        let read = (self.open)(number).and_then(|file| read_range(&*file, 0, file.len()?));
        let bytes = read.map_err(|error| UpkeepError::Failed(format!("{} cannot be read: {error}", name_of(number))))?;
        match Label::objection(self.meta.store, number, &bytes, bytes.len() as u64) {
            Some((offset, what)) => Err(UpkeepError::damage(&name_of(number), offset, &what)),
            None => Ok(bytes),
        }
    }
}

fn each<K: Key + 'static, V: Value + 'static>(
    view: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
    sink: &mut dyn Sink,
    rows: Rows,
    put: impl Fn(&mut Vec<u8>, K::SelfType<'_>, V::SelfType<'_>),
) -> Result<(), UpkeepError> {
    let table: ReadOnlyTable<K, V> = view.open_table(definition).map_err(TableError::from)?;
    let mut frame = Vec::with_capacity(ROWS_BYTES + 4096);
    for entry in table.iter().map_err(TableError::from)? {
        let (key, value) = entry.map_err(TableError::from)?;
        put(&mut frame, key.value(), value.value());
        if frame.len() >= ROWS_BYTES {
            sink.take(Kind::Rows(rows), &frame)?;
            frame.clear();
        }
    }
    if frame.is_empty() { Ok(()) } else { sink.take(Kind::Rows(rows), &frame) }
}
