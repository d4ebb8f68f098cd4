//! What the end of a journal means: a write that was cut off goes, damage is refused with its place.

use std::collections::BTreeSet;

use super::support::*;
use crate::domain::member::GroupType;
use crate::store::OpenError;
use crate::store::embedded::block::Sealer;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::label::{LABEL_BYTES, Label};
use crate::store::embedded::rows::Meta;
use crate::store::embedded::scan::{ScanError, scan};
use crate::store::embedded::segment::{name_of, segment_of};
use crate::store::embedded::table::Table;

/// A store that was killed after so many commits of one counter, each in its own block.
fn killed_after(rig: &Rig, commits: u64) -> Rig {
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    for version in 1..=commits {
        engine.commit_wait(&[record("g", rig.now(), changed(version, &[("like", version as i64)]))]).unwrap();
    }
    // The empty block after a moment of quiet says that the last commit was synced.
    let before = engine.stats().journal.blocks;
    until("the mark of quiet", || engine.stats().journal.blocks > before.max(commits + 1));
    rig.killed()
}

/// All blocks of a segment: where they begin and how long they are.
fn blocks_of(rig: &Rig, segment: u64) -> Vec<(usize, usize)> {
    let bytes = rig.disk.edit(&name_of(segment), |bytes| bytes.clone());
    let label = Label::decode(&bytes).unwrap();
    let (mut at, mut blocks) = (LABEL_BYTES, Vec::new());
    while let Some(block) = Sealer::new(label.store, segment).parse(&bytes[at..], at as u64) {
        blocks.push((at, block.bytes));
        at += block.bytes;
    }
    blocks
}

#[test]
fn a_last_write_that_was_cut_off_goes_and_all_before_it_stays() {
    let rig = killed_after(&Rig::new(8192), 3);
    let blocks = blocks_of(&rig, 1);
    let (last, length) = blocks[blocks.len() - 2];
    for cut in 0..length {
        let torn = rig.killed();
        // Nobody can know of the mark of quiet without the block before it.
        let whole = torn.disk.edit(&name_of(1), |bytes| {
            let before = bytes[last..last + length].to_vec();
            bytes[last + cut..].fill(if cut % 2 == 0 { 0 } else { 0x5a });
            before == bytes[last..last + length]
        });
        let engine = torn.open();
        let left = if whole { 3 } else { 2 };
        assert_eq!(engine.version_wait(&id("g")), left, "cut after {cut}");
        engine.commit_wait(&[record("g", 1, changed(left + 1, &[("like", 33)]))]).unwrap();
        let again = torn.killed().open();
        assert_eq!(again.load_wait(&id("g")).unwrap().group.unwrap().counters.value("like"), Some(33));
        assert_eq!(again.generation(), 1);
    }
}

#[test]
fn any_flipped_bit_of_any_synced_block_is_refused_with_its_place() {
    let mut rig = killed_after(&Rig::new(4096), 100);
    let table = Table::open(&rig.disk, 1 << 20).unwrap();
    let unmerged = table.meta().unwrap();
    drop(table);
    let present: BTreeSet<u64> = (1..=3).filter(|segment| rig.disk.open(&name_of(*segment), false).is_ok()).collect();
    let found = scan(&rig.disk, &unmerged, &present, 0).unwrap();
    assert!(found.used.len() > 1, "more than one segment");
    let merged = Meta { merged: found.end, ..unmerged.clone() };
    let mut random = fastrand::Rng::with_seed(7);
    for segment in found.used.keys().copied() {
        let mut blocks = blocks_of(&rig, segment);
        if segment == found.end.segment {
            blocks.pop();
        }
        let last = blocks.len() - 1;
        for (number, (start, length)) in blocks.into_iter().enumerate() {
            // All bits of the blocks at the borders, some of every other one.
            let step = if number == 0 || number == last { 1 } else { random.usize(50..150) };
            for bit in (start * 8..(start + length) * 8).step_by(step) {
                let flip = |rig: &Rig| rig.disk.edit(&name_of(segment), |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                flip(&rig);
                for meta in [&unmerged, &merged] {
                    match scan(&rig.disk, meta, &present, 0) {
                        Err(ScanError::Damaged(at, offset, _)) => assert_eq!((at, offset), (segment, start as u64), "bit {bit}"),
                        _ => panic!("segment {segment} bit {bit} was not seen"),
                    }
                }
                if random.u32(..100) == 0 {
                    refuses(&mut rig, &name_of(segment), start as u64);
                }
                flip(&rig);
            }
        }
    }
    assert_eq!(rig.open().version_wait(&id("g")), 100, "without the damage it opens");
}

fn refuses(rig: &mut Rig, name: &str, at: u64) {
    match rig.try_open().err() {
        Some(OpenError::Damaged { file, offset, .. }) => assert_eq!((file, offset), (format!("memory/{name}"), at)),
        Some(other) => panic!("{other}"),
        None => panic!("opened with damage in {name} at {at}"),
    }
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let mut rig = killed_after(&Rig::new(4096), 150);
    assert!(blocks_of(&rig, 3).len() > 1);
    for missing in [1, 2, 3] {
        let mut without = rig.killed();
        without.disk.remove(&name_of(missing)).unwrap();
        refuses(&mut without, &name_of(missing.min(3)), 0);
    }
    let without = rig.killed();
    without.disk.remove("table.redb").unwrap();
    let words = without.try_open().err().unwrap().to_string();
    assert!(words.contains("table.redb is missing"), "{words}");
    let engine = rig.open();
    engine.close().unwrap();
    for segment in 1..=4 {
        let _ = rig.disk.remove(&name_of(segment));
    }
    let newest = Table::open(&rig.disk, 1 << 20).unwrap().meta().unwrap().oldest;
    refuses(&mut rig, &name_of(newest), 0);
}

/// A segment has its full length from its first day: a shorter one has lost something, however much like a torn end it looks.
#[test]
fn a_segment_that_was_cut_is_refused_with_its_lengths() {
    let whole = killed_after(&Rig::new(8192), 3);
    for length in [8191, 4096, 700, 64, 63, 1, 0] {
        let mut cut = whole.killed();
        cut.disk.edit(&name_of(1), |bytes| bytes.truncate(length));
        let words = cut.try_open().err().unwrap().to_string();
        assert!(words.contains(&format!("{} at byte {length}", name_of(1))), "{words}");
        assert!(words.contains(&format!("has {length} bytes, ")), "{words}");
        refuses(&mut cut, &name_of(1), length as u64);
        // The one that is only prepared, too.
        let mut cut = whole.killed();
        cut.disk.edit(&name_of(2), |bytes| bytes.truncate(length));
        refuses(&mut cut, &name_of(2), length as u64);
    }
    let longer = whole.killed();
    longer.disk.edit(&name_of(1), |bytes| bytes.resize(9000, 0));
    assert!(longer.try_open().err().unwrap().to_string().contains("has 9000 bytes, and must have 8192"));
}

#[test]
fn a_segment_of_another_store_or_of_another_place_is_told_as_such() {
    let (rig, other) = (killed_after(&Rig::new(4096), 150), killed_after(&Rig::new(4096), 150));
    for number in 1..=4 {
        let foreign = other.disk.edit(&name_of(number), |bytes| bytes.clone());
        let mixed = rig.killed();
        mixed.disk.edit(&name_of(number), |bytes| *bytes = foreign);
        let words = mixed.try_open().err().unwrap().to_string();
        assert!(words.contains(&name_of(number)) && words.contains("belongs to another store"), "{words}");
        let moved = rig.killed();
        let first = moved.disk.edit(&name_of(if number == 1 { 2 } else { 1 }), |bytes| bytes.clone());
        moved.disk.edit(&name_of(number), |bytes| *bytes = first);
        let words = moved.try_open().err().unwrap().to_string();
        assert!(words.contains(&name_of(number)) && words.contains("under another name"), "{words}");
    }
}

/// The newest segments may be missing without a gap in the numbers: the one before them tells.
#[test]
fn a_missing_end_of_the_journal_is_missed() {
    let mut rig = killed_after(&Rig::new(4096), 150);
    let newest = rig.disk.list().unwrap().iter().filter_map(|name| segment_of(name)).max().unwrap();
    assert!(blocks_of(&rig, newest).is_empty() && !blocks_of(&rig, newest - 1).is_empty());
    for number in newest - 1..=newest {
        rig.disk.remove(&name_of(number)).unwrap();
    }
    refuses(&mut rig, &name_of(newest - 1), 0);
}

#[test]
fn a_newer_format_is_refused_with_words() {
    let rig = Rig::new(8192);
    rig.open().close().unwrap();
    let table = Table::open(&rig.disk, 1 << 20).unwrap();
    let meta = table.meta().unwrap();
    let newer = 7u32.to_le_bytes();
    let change = |transaction: &redb::WriteTransaction| {
        transaction.open_table(crate::store::embedded::rows::META)?.insert("format", newer.as_slice())?;
        Ok(((), meta))
    };
    table.write(change).unwrap();
    drop(table);
    let words = rig.try_open().err().unwrap().to_string();
    assert!(words.contains("memory has format 7") && words.contains("newer program"), "{words}");
}

#[test]
fn what_a_recycled_segment_held_before_is_never_replayed() {
    let mut rig = Rig::new(4096).eager();
    rig.options.replay_window = std::time::Duration::ZERO;
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    for version in 1..=400u64 {
        rig.advance(1);
        let lsn = engine.commit_wait(&[record("g", rig.now(), changed(version, &[("like", version as i64)]))]).unwrap();
        until("the merge", || engine.merged() >= lsn);
        if version % 10 == 0 {
            // Behind the end stand whole blocks of the segment's earlier lives.
            let again = rig.killed().open();
            assert_eq!((again.version_wait(&id("g")), again.generation()), (version, 1));
        }
    }
    let newest = rig.disk.list().unwrap().iter().filter_map(|name| crate::store::embedded::segment::segment_of(name)).max().unwrap();
    assert!(newest > 6, "segments were used again: the newest is {newest}");
    assert!(engine.stats().journal.segments <= 4, "{:?}", engine.stats());
}

/// A disk that was cut off and came back looks like one on which nothing more was written; the machine never went down.
#[test]
fn a_disk_that_comes_back_without_answered_writes_changes_the_generation_and_a_kill_does_not() {
    let mut random = fastrand::Rng::with_seed(9);
    let (mut lost, mut kept) = (0, 0);
    for _ in 0..40 {
        let mut rig = Rig::new(8192).interval();
        rig.options.limits.sync_every = std::time::Duration::from_secs(3600);
        let engine = rig.open();
        engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
        for version in 1..=5 {
            engine.commit_wait(&[record("g", rig.now(), changed(version, &[("like", version as i64)]))]).unwrap();
        }
        let killed = rig.killed().open();
        assert_eq!((killed.version_wait(&id("g")), killed.generation()), (5, 1));
        let detached = rig.after_detaching(&mut random).open();
        match detached.version_wait(&id("g")) {
            5 => kept += 1,
            _ => {
                lost += 1;
                assert!(detached.generation() > 1, "what was answered is gone");
            }
        }
    }
    assert!(lost > 5 && kept > 0, "{lost} of 40 lost something, {kept} did not");
}

#[test]
fn the_loss_of_power_changes_the_generation_only_where_answers_may_be_lost() {
    let mut random = fastrand::Rng::with_seed(1);
    for (rig, after_power, after_close) in [(Rig::new(8192), 1, 1), (Rig::new(8192).interval(), 2, 2)] {
        let killed = killed_after(&rig, 2);
        let engine = killed.open();
        assert_eq!(engine.generation(), 1, "a kill is no loss");
        engine.commit_wait(&[record("g", 1, changed(3, &[("like", 3)]))]).unwrap();
        let lost = killed.after_power_loss(&mut random);
        let engine = lost.open();
        assert_eq!(engine.generation(), after_power);
        engine.close().unwrap();
        let mut rebooted = lost.killed();
        rebooted.witness = std::sync::Arc::default();
        assert_eq!(rebooted.open().generation(), after_close, "a clean end is no loss");
    }
}
