//! The journal's blocks: any payload is read or refused, and no bytes can be taken for a block but those that were written as
//! one, at this place of this segment of this store.

use tallycast::domain::record::Entry;
use tallycast::store::fuzzing::{Blocks, changes, entries};

use crate::bytes::Bytes;

const STORE: [u8; 16] = *b"what nobody else";
const OTHER: [u8; 16] = *b"another's secret";
const ALIGN: u64 = 8;

pub fn run(data: &[u8]) {
    let mut input = Bytes::new(data);
    match input.byte() % 3 {
        0 => payload(input.rest()),
        1 => {
            let blocks = Blocks::of(STORE, input.number());
            let offset = u64::from(input.byte()) * ALIGN;
            let bytes = input.rest();
            assert!(blocks.parse(bytes, offset).is_none() && blocks.headers(bytes, offset).is_empty(), "a block out of nothing");
        }
        _ => hostile(&mut input),
    }
}

/// What is read as entries is read alike by the start and by merging.
fn payload(bytes: &[u8]) {
    let (entries, changes) = (entries(bytes), changes(bytes));
    for (entry, change) in entries.iter().zip(&changes) {
        match (entry, change) {
            (Ok(Entry::Command(record)), Ok(Ok((group, effect)))) => assert_eq!((&record.group, &record.effect), (group, effect)),
            (Ok(Entry::Account(user)), Ok(Err(seen))) => assert_eq!(user, seen),
            // The beginning of an entry may be sound where its end is not.
            (Err(_), _) => {}
            (entry, change) => panic!("{entry:?} and {change:?}"),
        }
    }
    assert!(changes.len() >= entries.len());
}

/// Text of somebody's choice, with blocks of other places in it, between two blocks; then one bit is wrong.
fn hostile(input: &mut Bytes<'_>) {
    let segment = 1 + u64::from(input.byte() % 4);
    let blocks = Blocks::of(STORE, segment);
    let start = u64::from(input.byte()) * ALIGN;
    let mut text = Vec::new();
    for _ in 0..input.byte() % 8 {
        let inner = input.short();
        let at = u64::from(input.byte()) * ALIGN;
        match input.byte() % 4 {
            0 => text.extend_from_slice(inner),
            1 => text.extend(Blocks::of(STORE, segment + 1).seal(at, 9, inner)),
            2 => text.extend(Blocks::of(OTHER, segment).seal(at, 9, inner)),
            // What this very segment holds elsewhere: a reader of its file could copy that.
            _ => text.extend(blocks.seal(start, 9, inner)),
        }
        let padding = input.byte() % 8;
        text.extend(std::iter::repeat_n(0, padding.into()));
    }
    let first = blocks.seal(start, 2, &text);
    let next = start + first.len() as u64;
    let mut bytes = first.clone();
    bytes.extend(blocks.seal(next, 3, b"the next one"));
    let (lsn, payload, length) = blocks.parse(&bytes, start).expect("a block is read as it was written");
    assert_eq!((lsn, payload, length), (2, &text[..], first.len()));
    assert_eq!(blocks.headers(&bytes, start), [start, next], "a text is taken for a block");
    assert!(blocks.parse(&bytes, start + ALIGN).is_none(), "a block is known at another place");
    assert!(blocks.parse(&bytes[..length - 1], start).is_none(), "a cut block is whole");

    let bit = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % (first.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    assert!(blocks.parse(&bytes, start).is_none(), "a wrong bit is not seen: {bit}");
}
