//! The first bytes of a segment: whose it is, which one, and how long. Pure: values in, bytes out.
//!
//! A segment never changes its length. One that is shorter than its label says has lost something, whatever else it holds.

use super::identity::StoreId;

/// Bytes of a label; the first block stands behind it.
pub(super) const LABEL_BYTES: usize = 64;

/// Where the first block of a segment stands.
pub(super) const FIRST_BLOCK: u64 = LABEL_BYTES as u64;

/// The last character is the format's version.
const MAGIC: [u8; 4] = *b"TCS2";

const DAMAGED: &str = "the segment's label is damaged";

/// What the sum is of; see `StoreId::sum`.
const OF_LABEL: u8 = 3;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Its store.
    pub(super) store: StoreId,
    /// Its number.
    pub(super) segment: u64,
    /// The length of its file.
    pub(super) bytes: u64,
}

impl Label {
    /// The label as it stands in the file.
    pub(super) fn encode(&self) -> [u8; LABEL_BYTES] {
        let mut bytes = [0; LABEL_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.store.bytes());
        let sum = self.store.sum(OF_LABEL, self.segment, 0, &bytes[..56]);
        bytes[56..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a label, of whatever store; `None` where there is no whole one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<LABEL_BYTES>().filter(|bytes| bytes[..4] == MAGIC)?;
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let store = StoreId::from_bytes(*bytes[24..].first_chunk()?);
        let label = Self { store, segment: number(8), bytes: number(16) };
        // Encoded again it must be the same: so its sum is right, and no bit is set that has no meaning yet.
        (label.encode() == *bytes).then_some(label)
    }

    /// Why a file with these first bytes and this length is not the segment that was asked for, and at which byte that is
    /// seen; `None`: it is.
    pub(super) fn objection(store: StoreId, segment: u64, first: &[u8], length: u64) -> Option<(u64, String)> {
        let Some(label) = Self::decode(first) else {
            let short = length < FIRST_BLOCK;
            let words = if short { format!("the file has {length} bytes, fewer than its label alone") } else { DAMAGED.to_owned() };
            return Some((if short { length } else { 0 }, words));
        };
        if label.store != store {
            Some((0, "the segment belongs to another store".to_owned()))
        } else if label.segment != segment {
            Some((0, format!("the file is segment {:016x} under another name", label.segment)))
        } else if label.bytes != length {
            Some((length.min(label.bytes), format!("the file has {length} bytes, and must have {}", label.bytes)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label { store: StoreId::random().unwrap(), segment: 3, bytes: 4096 }
    }

    #[test]
    fn a_label_is_read_as_it_was_written_and_any_flipped_bit_is_seen() {
        let label = label();
        let mut bytes = label.encode();
        assert_eq!(Label::decode(&bytes), Some(label));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Label::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(Label::decode(&bytes[..LABEL_BYTES - 1]), None);
    }

    #[test]
    fn each_objection_says_what_is_wrong() {
        let label = label();
        let bytes = label.encode();
        let says = |store, segment, first: &[u8], length| Label::objection(store, segment, first, length).unwrap_or_default().1;
        assert_eq!(says(label.store, 3, &bytes, 4096), "");
        assert!(says(StoreId::random().unwrap(), 3, &bytes, 4096).contains("another store"));
        assert!(says(label.store, 4, &bytes, 4096).contains("segment 0000000000000003 under another name"));
        assert!(says(label.store, 3, &bytes, 4000).contains("has 4000 bytes, and must have 4096"));
        assert!(says(label.store, 3, &bytes[..10], 10).contains("has 10 bytes"));
        assert!(says(label.store, 3, &[], 0).contains("has 0 bytes"));
        assert!(says(label.store, 3, &[0; 64], 4096).contains("damaged"));
    }
}
