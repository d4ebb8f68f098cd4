//! The writing end of the journal: puts blocks behind each other and knows which of them are synced.
//!
//! Never retries a sync: after a failed one the kernel may call pages clean that never reached the disk.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block::{self, HEADER_BYTES, Header, Kind};
use super::disk::{DiskFile, is_full};
use super::label::FIRST_BLOCK;
use super::segment::{NoSegment, Segments, name_of};
use crate::domain::UnixMillis;
use crate::store::Lsn;

/// The place behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// The block; 0 before the first.
    pub(super) lsn: Lsn,
    /// Its segment.
    pub(super) segment: u64,
    /// The byte in the segment where it ends.
    pub(super) offset: u64,
}

impl Position {
    /// The place behind a block that stands here. Behind the last one of a segment is the beginning of the next.
    pub(super) fn behind(self, lsn: Lsn, bytes: u64, kind: Kind) -> Self {
        match kind {
            Kind::Records => Self { lsn, segment: self.segment, offset: self.offset + bytes },
            Kind::Last => Self { lsn, segment: self.segment + 1, offset: FIRST_BLOCK },
        }
    }
}

/// Why a block was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteError {
    /// No segment can be had now; the journal is as before.
    Full,
    /// No space in the segment itself, with the words; the journal is as before.
    NoRoom(String),
    /// No segment can hold it; the journal is as before.
    TooLarge,
    /// Nobody knows what the disk holds now, with its words.
    Broken(String),
}

/// The writing end.
pub(super) struct Journal {
    segments: Arc<Segments>,
    file: Arc<dyn DiskFile>,
    file_bytes: u64,
    end: Position,
    synced: Position,
    newest: UnixMillis,
    /// The next segment, while this one is not closed yet.
    following: Option<Arc<dyn DiskFile>>,
}

impl Journal {
    /// Goes on behind `end`; all before it is synced.
    pub(super) fn new(segments: Arc<Segments>, end: Position, newest: UnixMillis) -> io::Result<Self> {
        let file = segments.open(end.segment)?;
        let file_bytes = file.len()?;
        Ok(Self { segments, file, file_bytes, end, synced: end, newest, following: None })
    }

    /// Behind the newest block.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// Behind the newest block that is synced.
    pub(super) fn synced(&self) -> Position {
        self.synced
    }

    /// Whether a block with such a payload needs no new segment; a place for the last block is always left.
    pub(super) fn has_room(&self, payload: usize) -> bool {
        self.end.offset + (block::bytes_of(payload) + HEADER_BYTES) as u64 <= self.file_bytes
    }

    /// Writes a block; `buffer` holds `HEADER_BYTES` of anything and then the payload. It is not synced yet. Says how many
    /// bytes of blocks were written.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, now: UnixMillis) -> Result<u64, WriteError> {
        let payload = buffer.len() - HEADER_BYTES;
        if block::bytes_of(payload) as u64 > self.segments.block_bytes_max() {
            return Err(WriteError::TooLarge);
        }
        self.newest = self.newest.max(now);
        let mut closing = 0;
        if !self.has_room(payload) {
            self.roll()?;
            closing = HEADER_BYTES as u64;
        }
        self.write(buffer, Kind::Records)?;
        Ok(closing + buffer.len() as u64)
    }

    fn write(&mut self, buffer: &mut Vec<u8>, kind: Kind) -> Result<(), WriteError> {
        let header = Header { lsn: self.end.lsn + 1, synced: self.synced.lsn, written: self.newest, kind };
        self.segments.sealer(self.end.segment).seal(buffer, self.end.offset, header);
        match self.file.write_at(self.end.offset, buffer) {
            Ok(()) => {
                self.end.lsn += 1;
                self.end.offset += buffer.len() as u64;
                Ok(())
            }
            Err(error) if is_full(&error) => Err(WriteError::NoRoom(format!("{} cannot be written: {error}", name_of(self.end.segment)))),
            Err(error) => Err(WriteError::Broken(format!("{} cannot be written: {error}", name_of(self.end.segment)))),
        }
    }

    /// Syncs all blocks; an error is final.
    pub(super) fn sync(&mut self) -> Result<(), String> {
        if self.synced.lsn < self.end.lsn {
            let name = || name_of(self.end.segment);
            self.file.sync().map_err(|error| format!("{} cannot be synced: {error}", name()))?;
            // A sync of a file that was removed succeeds, and saves nothing.
            match self.file.has_name() {
                Ok(true) => self.synced = self.end,
                Ok(false) => return Err(format!("{} was removed while it was written", name())),
                Err(error) => return Err(format!("{} cannot be looked at: {error}", name())),
            }
        }
        Ok(())
    }

    /// Goes to the next segment. The old one is closed and synced before, so that only one file ever holds blocks that are
    /// not, and so that a segment which is missing after it is missed.
    fn roll(&mut self) -> Result<(), WriteError> {
        let file = match self.following.take() {
            Some(file) => file,
            None => self.segments.next(self.end.segment, self.newest).map_err(|failure| match failure {
                NoSegment::Full => WriteError::Full,
                NoSegment::Broken(words) => WriteError::Broken(words),
            })?,
        };
        if let Err(error) = self.write(&mut vec![0; HEADER_BYTES], Kind::Last) {
            self.following = Some(file);
            return Err(error);
        }
        self.sync().map_err(WriteError::Broken)?;
        self.file_bytes = file.len().map_err(|error| WriteError::Broken(error.to_string()))?;
        self.file = file;
        self.end = self.end.behind(self.end.lsn, 0, Kind::Last);
        self.synced = self.end;
        Ok(())
    }
}
