//! Data that is made to look like the journal's own: whoever can write text into the store must be able to do no more.

use std::time::Duration;

use proptest::prelude::*;

use super::support::*;
use crate::domain::group::Group;
use crate::domain::member::{Details, GroupType, JoinOption, Profile};
use crate::domain::name::{GroupName, OpId};
use crate::domain::record::{Effect, Record};
use crate::store::embedded::disk::Disk;
use crate::store::embedded::segment::segment_of;

/// The header of a block of the first format, whose checksum everybody can compute; only characters of ASCII.
fn first_format(segment: u64, lsn: u64) -> String {
    for written in 0u64.. {
        let mut head = *b"TCJ1\0\0\0\0\0\0\0\0\0\0\0\0................................";
        head[16..24].copy_from_slice(&lsn.to_le_bytes());
        head[24..32].copy_from_slice(&(lsn - 1).to_le_bytes());
        head[32..40].copy_from_slice(&(written & 0x7f | (written & 0x3f80) << 1).to_le_bytes());
        let head = &mut head[..40];
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&segment.to_le_bytes());
        hasher.update(&head[..8]);
        hasher.update(&head[12..]);
        head[8..12].copy_from_slice(&hasher.finalize().to_le_bytes());
        if head.is_ascii() {
            return String::from_utf8(head.to_vec()).unwrap();
        }
    }
    unreachable!()
}

/// The header of a block of today's format, whose sums can only be guessed.
fn second_format(lsn: u64, guess: u64) -> String {
    let mut head = [0; 56];
    head[..4].copy_from_slice(b"TCB2");
    head[4] = (guess % 100) as u8;
    head[8..16].copy_from_slice(&lsn.to_le_bytes());
    head[16..24].copy_from_slice(&(lsn - 1).to_le_bytes());
    head[40..48].copy_from_slice(&(guess & 0x7f7f_7f7f_7f7f_7f7f).to_le_bytes());
    head[48..56].copy_from_slice(&(guess.rotate_left(17) & 0x7f7f_7f7f_7f7f_7f7f).to_le_bytes());
    String::from_utf8(head.to_vec()).unwrap()
}

/// Headers of this and the next segments, at every place that a block could begin at. Their numbers are those of blocks far
/// ahead, so that they would prove damage, or of the next few, so that they would be taken for them.
fn forged(segment: u64, lsn: u64, guess: u64) -> String {
    let mut text = String::new();
    for _alignment in 0..8 {
        text.push('-');
        for segment in segment..segment + 4 {
            text.push_str(&first_format(segment, lsn));
        }
        text.push_str(&second_format(lsn, guess));
    }
    text
}

/// A group whose every field that may hold any text holds such headers.
fn hostile(number: u64, text: &str) -> Record {
    let details = Details {
        introduction: text.into(),
        notification: text[text.len() / 3..].into(),
        data: vec![(text[..40].into(), text.into())],
        ..Details::default()
    };
    let profile = Profile {
        kind: GroupType::Public,
        name: GroupName::parse("room").unwrap(),
        owner: Some(user("owner")),
        join_option: JoinOption::FreeAccess,
        created_at: 1,
        incarnation: number as u32,
        details,
    };
    record(&format!("g{}", number % 3), number, Group::plan_create(profile, Vec::new(), 1))
}

/// Names that are only printable: what can be forged of a header stands in keys and operations, too.
fn with_names(record: Record, number: u64) -> Record {
    let mut named = named(record, "op", number);
    if let Some(operation) = &mut named.operation {
        operation.id = OpId::parse(&"TCB2TCJ1".repeat(8)).unwrap();
    }
    named
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_in_the_data_stops_a_start_or_is_replayed(seed in any::<u64>(), eager in any::<bool>(), clean in any::<bool>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(8192);
        // Segments are used again as soon as they are merged, so that the text stands behind the end of a later life.
        rig.options.replay_window = Duration::ZERO;
        rig.options.limits.merge_after_bytes = if eager { 1 } else { 1 << 30 };
        let mut engine = rig.open();
        let mut newest = [0u64; 3];
        for number in 1..=60 {
            rig.advance(1);
            let segment = rig.disk.list().unwrap().iter().filter_map(|name| segment_of(name)).max().unwrap();
            let lsn = if random.bool() { 0x4040 } else { engine.stats().journal.blocks + random.u64(1..4) };
            let text = forged(segment.saturating_sub(1).max(1), lsn & 0x7f7f, random.u64(..));
            let records = [with_names(hostile(number, &text), number), record("k", number, key_of(number))];
            let lsn = engine.commit_wait(&records).unwrap();
            newest[(number % 3) as usize] = number;
            if eager {
                until("the merge", || engine.merged() >= lsn);
            }
            if random.u8(..6) == 0 {
                if clean {
                    engine.close().unwrap();
                } else {
                    rig = rig.killed();
                }
                engine = rig.open();
                for (group, number) in newest.iter().enumerate().filter(|(_, number)| **number > 0) {
                    let group = engine.load_wait(&id(&format!("g{group}"))).unwrap().group.unwrap();
                    prop_assert_eq!(u64::from(group.profile.incarnation), *number);
                }
                prop_assert_eq!(engine.generation(), 1);
            }
        }
    }
}

fn key_of(number: u64) -> Effect {
    if number == 1 { created(GroupType::ChatRoom, "owner") } else { changed(number - 1, &[(&"TCB2TCJ1".repeat(16), 1)]) }
}
