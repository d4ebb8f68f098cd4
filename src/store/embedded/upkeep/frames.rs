//! A copy of a store on its way, as frames: what it is of, the rows of the table, the blocks of the journal, the end.
//!
//! A copy without its last frame is none. Rows carry their own checksums and are checked where they arrive.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::UpkeepError;
use crate::domain::UnixMillis;
use crate::store::Lsn;
use crate::store::embedded::block::Kind as BlockKind;
use crate::store::embedded::rows::Rows;

/// No frame is larger: rows come in portions, and a block has its segment's size at most.
const FRAME_BYTES_MAX: usize = (1 << 30) + 4096;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `Begin`.
    Begin,
    /// Rows of a table.
    Rows(Rows),
    /// A block: `BlockHead`, then its records.
    Block,
    /// The number of the last block: that was all.
    End,
    /// Why it cannot go on, as text.
    Failed,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Begin => 1,
            Self::Rows(Rows::Groups) => 2,
            Self::Rows(Rows::Members) => 3,
            Self::Rows(Rows::Relations) => 4,
            Self::Rows(Rows::Accounts) => 5,
            Self::Block => 6,
            Self::End => 7,
            Self::Failed => 8,
        }
    }

    fn of(number: u8) -> Option<Self> {
        let rows = Rows::ALL.into_iter().map(Self::Rows);
        [Self::Begin, Self::Block, Self::End, Self::Failed].into_iter().chain(rows).find(|kind| kind.number() == number)
    }
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// The format of rows and blocks.
    pub(super) format: u32,
    /// The generation of the store.
    pub(super) generation: u64,
    /// The table has everything up to here.
    pub(super) merged: Lsn,
    /// The size of the journal's segments.
    pub(super) segment_bytes: u64,
}

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) lsn: Lsn,
    pub(super) written: UnixMillis,
    pub(super) kind: BlockKind,
}

/// Bytes of an encoded `BlockHead`.
const BLOCK_HEAD_BYTES: usize = 17;

impl BlockHead {
    /// A block as a frame.
    pub(super) fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK_HEAD_BYTES + payload.len());
        bytes.extend_from_slice(&self.lsn.to_le_bytes());
        bytes.extend_from_slice(&self.written.to_le_bytes());
        bytes.push(u8::from(self.kind == BlockKind::Last));
        bytes.extend_from_slice(payload);
        bytes
    }

    /// A block of a frame, and its records.
    pub(super) fn decode(frame: &[u8]) -> Result<(Self, &[u8]), UpkeepError> {
        let (lsn, rest) = frame.split_first_chunk::<8>().ok_or_else(cut)?;
        let (written, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let (last, payload) = rest.split_first().ok_or_else(cut)?;
        let kind = if *last == 0 { BlockKind::Records } else { BlockKind::Last };
        Ok((Self { lsn: u64::from_le_bytes(*lsn), written: u64::from_le_bytes(*written), kind }, payload))
    }
}

/// Adds a row to a frame.
pub(super) fn put_row(frame: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        frame.extend_from_slice(&(part.len() as u32).to_le_bytes());
        frame.extend_from_slice(part);
    }
}

/// The rows of a frame.
pub(super) fn rows(frame: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), UpkeepError>> {
    let mut rest = frame;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let row = part(&mut rest).and_then(|key| Some((key, part(&mut rest)?)));
        if row.is_none() {
            rest = &[];
        }
        Some(row.ok_or_else(cut))
    })
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = tail;
    Some(part)
}

/// Where frames go.
pub(super) trait Sink {
    /// Takes the next frame.
    fn take(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), UpkeepError>;
}

/// Frames as bytes.
pub(super) struct Wire<'a>(pub(super) &'a mut dyn Write);

impl Sink for Wire<'_> {
    fn take(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), UpkeepError> {
        let mut head = [0; 5];
        head[0] = kind.number();
        head[1..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        let written = self.0.write_all(&head).and_then(|()| self.0.write_all(bytes));
        written.map_err(|error| UpkeepError::Failed(format!("whoever asked for a copy does not take it: {error}")))
    }
}

/// Reads frames, up to the last one.
pub(super) fn receive(from: &mut dyn Read, to: &mut dyn Sink) -> Result<(), UpkeepError> {
    let lost = |error: io::Error| UpkeepError::Failed(format!("the gateway has broken the copy off: {error}"));
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).map_err(lost)?;
        let [number, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        let kind = Kind::of(number).filter(|_| length <= FRAME_BYTES_MAX).ok_or_else(cut)?;
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).map_err(lost)?;
        if kind == Kind::Failed {
            return Err(UpkeepError::Failed(String::from_utf8_lossy(&bytes).into_owned()));
        }
        to.take(kind, &bytes)?;
        if kind == Kind::End {
            return Ok(());
        }
    }
}

fn cut() -> UpkeepError {
    UpkeepError::Failed("a frame of the copy has a wrong form: are both programs of one version?".to_owned())
}
