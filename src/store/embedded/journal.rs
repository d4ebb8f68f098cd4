//! The writing end of the journal: puts blocks behind each other and knows which of them are synced.
//!
//! Never retries a sync: after a failed one the kernel may call pages clean that never reached the disk.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block::{self, HEADER_BYTES, Header};
use super::disk::{DiskFile, is_full};
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

/// Why a block was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteError {
    /// No space; the journal is as before.
    Full,
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
}

impl Journal {
    /// Goes on behind `end`; all before it is synced.
    pub(super) fn new(segments: Arc<Segments>, end: Position, newest: UnixMillis) -> io::Result<Self> {
        let file = segments.open(end.segment)?;
        let file_bytes = file.len()?;
        Ok(Self { segments, file, file_bytes, end, synced: end, newest })
    }

    /// Behind the newest block.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// Behind the newest block that is synced.
    pub(super) fn synced(&self) -> Position {
        self.synced
    }

    /// Whether a block with such a payload needs no new segment.
    pub(super) fn has_room(&self, payload: usize) -> bool {
        self.end.offset + block::bytes_of(payload) as u64 <= self.file_bytes
    }

    /// Writes a block; `buffer` holds `HEADER_BYTES` of anything and then the payload. It is not synced yet.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, now: UnixMillis) -> Result<Lsn, WriteError> {
        let payload = buffer.len() - HEADER_BYTES;
        if block::bytes_of(payload) as u64 > self.segments.bytes() {
            return Err(WriteError::TooLarge);
        }
        if !self.has_room(payload) {
            self.roll()?;
        }
        self.newest = self.newest.max(now);
        let header = Header { lsn: self.end.lsn + 1, synced: self.synced.lsn, written: self.newest };
        block::seal(buffer, self.end.segment, header);
        match self.file.write_at(self.end.offset, buffer) {
            Ok(()) => {
                self.end.lsn += 1;
                self.end.offset += buffer.len() as u64;
                Ok(self.end.lsn)
            }
            Err(error) if is_full(&error) => Err(WriteError::Full),
            Err(error) => Err(WriteError::Broken(format!("{} cannot be written: {error}", name_of(self.end.segment)))),
        }
    }

    /// Syncs all blocks; an error is final.
    pub(super) fn sync(&mut self) -> Result<(), String> {
        if self.synced.lsn < self.end.lsn {
            self.file.sync().map_err(|error| format!("{} cannot be synced: {error}", name_of(self.end.segment)))?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// Goes to the next segment. The old one is synced before, so that only one file ever holds blocks that are not.
    fn roll(&mut self) -> Result<(), WriteError> {
        self.sync().map_err(WriteError::Broken)?;
        let file = self.segments.next(self.end.segment, self.newest).map_err(|failure| match failure {
            NoSegment::Full => WriteError::Full,
            NoSegment::Broken(words) => WriteError::Broken(words),
        })?;
        self.file_bytes = file.len().map_err(|error| WriteError::Broken(error.to_string()))?;
        self.file = file;
        self.end = Position { segment: self.end.segment + 1, offset: 0, ..self.end };
        Ok(())
    }
}
