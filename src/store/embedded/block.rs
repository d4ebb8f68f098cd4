//! A block of the journal: one write, one checksum, one atom. Pure: bytes in, bytes out.
//!
//! Its sums are keyed with the store's secret number, and its place is under them. So nothing but a block that this store
//! wrote at this place of this segment can be taken for one: no text in the data, nothing of an earlier life of the file.
//! The header has a sum of its own, so that a search through a whole segment never reads a payload that is none.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::identity::StoreId;
use crate::domain::UnixMillis;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::Effect;
use crate::store::Lsn;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 56;

/// Blocks begin at multiples of this.
pub(super) const ALIGN: usize = 8;

/// The last character is the format's version.
const MAGIC: [u8; 4] = *b"TCB2";

/// What a sum is of; see `StoreId::sum`.
const OF_HEADER: u8 = 1;
const OF_PAYLOAD: u8 = 2;

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// It has records, or says that all before it is synced.
    #[default]
    Records,
    /// It ends its segment: the journal goes on in the next one.
    Last,
}

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its number; without gaps.
    pub(super) lsn: Lsn,
    /// The newest block that was known to be synced when this one was written.
    pub(super) synced: Lsn,
    /// When it was written.
    pub(super) written: UnixMillis,
    /// What it is for.
    pub(super) kind: Kind,
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

/// What makes blocks of one segment and knows them again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealer {
    id: StoreId,
    segment: u64,
}

impl Sealer {
    /// Of a segment of a store.
    pub(super) fn new(id: StoreId, segment: u64) -> Self {
        Self { id, segment }
    }

    /// Makes a block of a buffer that holds `HEADER_BYTES` of anything and then the payload; it will stand at `offset`.
    pub(super) fn seal(&self, buffer: &mut Vec<u8>, offset: u64, header: Header) {
        let length = buffer.len() - HEADER_BYTES;
        buffer.resize(bytes_of(length), 0);
        let payload_sum = self.id.sum(OF_PAYLOAD, self.segment, offset, &buffer[HEADER_BYTES..]);
        buffer[..4].copy_from_slice(&MAGIC);
        buffer[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        buffer[8..16].copy_from_slice(&header.lsn.to_le_bytes());
        buffer[16..24].copy_from_slice(&header.synced.to_le_bytes());
        buffer[24..32].copy_from_slice(&header.written.to_le_bytes());
        buffer[32..40].fill(0);
        buffer[32] = header.kind as u8;
        buffer[40..48].copy_from_slice(&payload_sum.to_le_bytes());
        let sum = self.id.sum(OF_HEADER, self.segment, offset, &buffer[..48]);
        buffer[48..56].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the block at the beginning of the bytes, which stand at `offset`; `None` where there is no whole one.
    pub(super) fn parse<'a>(&self, bytes: &'a [u8], offset: u64) -> Option<Block<'a>> {
        let header = self.header(bytes, offset)?;
        let length = number(bytes, 4, 4) as usize;
        let block = bytes.get(..bytes_of(length))?;
        let (payload, padding) = block[HEADER_BYTES..].split_at(length);
        let whole = self.id.sum(OF_PAYLOAD, self.segment, offset, &block[HEADER_BYTES..]) == number(bytes, 40, 8);
        (whole && padding.iter().all(|byte| *byte == 0)).then_some(Block { header, payload, bytes: block.len() })
    }

    /// Reads a header alone: its block was begun here, and may not be whole.
    pub(super) fn header(&self, bytes: &[u8], offset: u64) -> Option<Header> {
        let head = bytes.get(..HEADER_BYTES).filter(|head| head[..4] == MAGIC)?;
        let kind = match head[32..40] {
            [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Records,
            [1, 0, 0, 0, 0, 0, 0, 0] => Kind::Last,
            _ => return None,
        };
        let sound = self.id.sum(OF_HEADER, self.segment, offset, &head[..48]) == number(head, 48, 8);
        let header = Header { lsn: number(head, 8, 8), synced: number(head, 16, 8), written: number(head, 24, 8), kind };
        sound.then_some(header)
    }

    /// All headers anywhere in the bytes, which stand at `offset`, a multiple of `ALIGN`, with their places.
    pub(super) fn headers(self, bytes: &[u8], offset: u64) -> impl Iterator<Item = (u64, Header)> {
        let places = (0..bytes.len()).step_by(ALIGN).map(move |at| (offset + at as u64, &bytes[at..]));
        places.filter_map(move |(place, bytes)| Some((place, self.header(bytes, place)?)))
    }
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

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 640;

    fn sealer(segment: u64) -> Sealer {
        Sealer::new(StoreId::from_bytes(*b"sixteen bytes .."), segment)
    }

    fn block(payload: &[u8], segment: u64, lsn: Lsn) -> Vec<u8> {
        let mut buffer = [&[0xee; HEADER_BYTES], payload].concat();
        sealer(segment).seal(&mut buffer, AT, Header { lsn, synced: lsn - 1, written: 77, kind: Kind::Records });
        buffer
    }

    #[test]
    fn what_was_sealed_is_read_by_its_store_at_its_place_alone() {
        for length in 0..40 {
            let payload = vec![7; length];
            let bytes = block(&payload, 3, 9);
            assert_eq!(bytes.len() % ALIGN, 0);
            let read = sealer(3).parse(&bytes, AT).unwrap();
            assert_eq!((read.payload, read.bytes), (&payload[..], bytes.len()));
            assert_eq!(read.header, Header { lsn: 9, synced: 8, written: 77, kind: Kind::Records });
            assert!(sealer(4).parse(&bytes, AT).is_none(), "another segment");
            assert!(sealer(3).parse(&bytes, AT + 8).is_none(), "another place");
            assert!(Sealer::new(StoreId::random().unwrap(), 3).parse(&bytes, AT).is_none(), "another store");
            assert!(sealer(3).parse(&bytes[..bytes.len() - 1], AT).is_none());
        }
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let mut bytes = block(b"payload", 3, 9);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer(3).parse(&bytes, AT).is_none(), "bit {bit}");
            assert_eq!(sealer(3).header(&bytes, AT).is_some(), bit >= HEADER_BYTES * 8, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Bits that have no meaning yet stay free: a program that does not know one must not read over it.
    #[test]
    fn a_bit_without_a_meaning_is_refused_even_under_a_true_sum() {
        for at in 32..40 {
            let mut bytes = block(b"payload", 3, 9);
            bytes[at] |= 2;
            let sum = sealer(3).id.sum(OF_HEADER, 3, AT, &bytes[..48]);
            bytes[48..56].copy_from_slice(&sum.to_le_bytes());
            assert!(sealer(3).header(&bytes, AT).is_none(), "byte {at}");
        }
    }

    #[test]
    fn headers_are_found_behind_garbage_whole_block_or_not() {
        let mut bytes = vec![0x54; 64];
        for (segment, lsn) in [(3, 1), (2, 2), (3, 3)] {
            let mut block = [&[0; HEADER_BYTES], &b"some"[..]].concat();
            sealer(segment).seal(&mut block, AT + bytes.len() as u64, Header { lsn, synced: 0, written: 1, kind: Kind::Last });
            bytes.extend(block);
            bytes.extend([0; 16]);
        }
        let end = bytes.len() - 16 - ALIGN;
        bytes[end..].fill(0x5a);
        let found: Vec<Lsn> = sealer(3).headers(&bytes, AT).map(|(_, header)| header.lsn).collect();
        assert_eq!(found, [1, 3]);
    }
}
