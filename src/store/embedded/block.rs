//! A block of the journal: one write, one checksum, one atom. Pure: bytes in, bytes out.
//!
//! All of it is under the checksum, and so is the number of its segment: what an earlier life of the file left behind can
//! never be taken for a block of this one. Names hold no control characters, so no payload can look like a header.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::UnixMillis;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::Effect;
use crate::store::Lsn;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 40;

/// Blocks begin at multiples of this.
pub(super) const ALIGN: usize = 8;

/// The last character is the format's version.
const MAGIC: [u8; 4] = *b"TCJ1";

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its number; without gaps.
    pub(super) lsn: Lsn,
    /// The newest block that was known to be synced when this one was written.
    pub(super) synced: Lsn,
    /// When it was written.
    pub(super) written: UnixMillis,
}

/// A block that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    /// What it says of itself.
    pub(super) header: Header,
    /// Its records.
    pub(super) payload: &'a [u8],
    /// Its bytes in the file.
    pub(super) bytes: usize,
}

/// The bytes that a block with such a payload takes.
pub(super) fn bytes_of(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(ALIGN)
}

/// Makes a block of a buffer that holds `HEADER_BYTES` of anything and then the payload.
pub(super) fn seal(buffer: &mut Vec<u8>, segment: u64, header: Header) {
    let length = buffer.len() - HEADER_BYTES;
    buffer.resize(bytes_of(length), 0);
    buffer[..4].copy_from_slice(&MAGIC);
    buffer[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    buffer[12..16].fill(0);
    buffer[16..24].copy_from_slice(&header.lsn.to_le_bytes());
    buffer[24..32].copy_from_slice(&header.synced.to_le_bytes());
    buffer[32..40].copy_from_slice(&header.written.to_le_bytes());
    let sum = checksum(buffer, segment);
    buffer[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the block at the beginning of the bytes; `None` where there is no whole one.
pub(super) fn parse(bytes: &[u8], segment: u64) -> Option<Block<'_>> {
    let head = bytes.get(..HEADER_BYTES).filter(|head| head[..4] == MAGIC)?;
    let length = number(head, 4, 4) as usize;
    let block = bytes.get(..bytes_of(length))?;
    if checksum(block, segment) != number(head, 8, 4) as u32 {
        return None;
    }
    let header = Header { lsn: number(head, 16, 8), synced: number(head, 24, 8), written: number(head, 32, 8) };
    Some(Block { header, payload: &block[HEADER_BYTES..HEADER_BYTES + length], bytes: block.len() })
}

/// All whole blocks that begin anywhere in the bytes, which begin at a multiple of `ALIGN`.
pub(super) fn find_all(bytes: &[u8], segment: u64) -> impl Iterator<Item = Block<'_>> {
    (0..bytes.len()).step_by(ALIGN).filter(|at| bytes[*at..].starts_with(&MAGIC)).filter_map(move |at| parse(&bytes[at..], segment))
}

/// Whether the bytes begin like a certain block, whole or not.
pub(super) fn has_begun(bytes: &[u8], lsn: Lsn) -> bool {
    bytes.get(..HEADER_BYTES).is_some_and(|head| number(head, 16, 8) == lsn)
}

/// The part of an entry that changes the table. To leave the operation unread halves the work of merging.
#[derive(Debug, Deserialize)]
pub(super) enum Change {
    // The variants and fields stand as in `Entry` and `Record`, of which these are the beginnings.
    /// Of a group.
    Command(GroupChange),
    /// A user was seen for the first time.
    Account(UserId),
}

/// What changes a group.
#[derive(Debug, Deserialize)]
pub(super) struct GroupChange {
    /// Whose.
    pub(super) group: GroupId,
    _at: UnixMillis,
    /// What it changed.
    pub(super) effect: Option<Effect>,
}

/// The entries of a payload, each as an `Entry` or the beginning of one; an error says what is wrong, and then there are no
/// more.
pub(super) fn entries<T: DeserializeOwned>(payload: &[u8]) -> impl Iterator<Item = Result<T, String>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry =
            split(&mut rest).and_then(|bytes| postcard::from_bytes(bytes).map_err(|error| format!("an entry cannot be read: {error}")));
        if entry.is_err() {
            rest = &[];
        }
        Some(entry)
    })
}

fn split<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let whole = *rest;
    let cut = whole.split_first_chunk::<4>().and_then(|(length, tail)| tail.split_at_checked(u32::from_le_bytes(*length) as usize));
    let (entry, tail) = cut.ok_or("an entry is longer than its block")?;
    *rest = tail;
    Ok(entry)
}

fn checksum(block: &[u8], segment: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&block[..8]);
    hasher.update(&block[12..]);
    hasher.finalize()
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(payload: &[u8], segment: u64, lsn: Lsn) -> Vec<u8> {
        let mut buffer = vec![0xaa; HEADER_BYTES];
        buffer.extend_from_slice(payload);
        seal(&mut buffer, segment, Header { lsn, synced: lsn - 1, written: 77 });
        buffer
    }

    #[test]
    fn a_block_is_read_as_it_was_written_and_only_in_its_segment() {
        for length in 0..20 {
            let payload = vec![7; length];
            let bytes = block(&payload, 3, 9);
            assert_eq!(bytes.len() % ALIGN, 0);
            let read = parse(&bytes, 3).unwrap();
            assert_eq!((read.payload, read.bytes), (&payload[..], bytes.len()));
            assert_eq!(read.header, Header { lsn: 9, synced: 8, written: 77 });
            assert!(parse(&bytes, 4).is_none());
            assert!(parse(&bytes[..bytes.len() - 1], 3).is_none());
        }
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let mut bytes = block(b"payload", 3, 9);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bytes, 3).is_none(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn blocks_are_found_behind_garbage() {
        let mut bytes = vec![0x54; 64];
        bytes.extend(block(b"one", 3, 1));
        bytes.extend([0; 16]);
        bytes.extend(block(b"two", 3, 2));
        bytes.extend(block(b"of another life", 2, 3));
        let found: Vec<Lsn> = find_all(&bytes, 3).map(|block| block.header.lsn).collect();
        assert_eq!(found, [1, 2]);
    }
}
