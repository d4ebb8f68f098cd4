//! How long answered operations are remembered, and how long segments are kept for their sake.

use std::time::Duration;

use super::support::*;
use crate::domain::member::GroupType;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::segment::segment_of;

fn names_of(replays: &[(u64, crate::domain::record::Operation)]) -> Vec<String> {
    replays.iter().map(|(_, operation)| operation.id.as_str().to_owned()).collect()
}

#[test]
fn operations_come_back_after_a_start_within_their_window_once() {
    let mut rig = Rig::new(8192).eager();
    rig.options.replay_window = Duration::from_secs(10);
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    for version in 1..=4 {
        rig.advance(4_000);
        let record = named(record("g", rig.now(), changed(version, &[("like", 1)])), &format!("op{version}"), version);
        let lsn = engine.commit_wait(&[record]).unwrap();
        until("the merge", || engine.merged() >= lsn);
    }
    assert!(engine.load_wait(&id("g")).unwrap().replays.is_empty(), "those of this life are with their group");
    for again in [rig.killed(), {
        engine.close().unwrap();
        rig.killed()
    }] {
        let engine = again.open();
        assert_eq!(engine.stats().replays, 3);
        let loaded = engine.load_wait(&id("g")).unwrap();
        assert_eq!(names_of(&loaded.replays), ["op2", "op3", "op4"]);
        assert_eq!(loaded.replays[2].1.answer.version, 4);
        assert!(engine.load_wait(&id("g")).unwrap().replays.is_empty());
        assert_eq!(engine.stats().replays, 0);
        let later = again.killed();
        later.advance(3_000);
        let engine = later.open();
        later.advance(3_500);
        assert_eq!(names_of(&engine.load_wait(&id("g")).unwrap().replays), ["op4"], "the window is looked at when they are handed out");
        later.advance(9_000);
        assert_eq!(later.killed().open().stats().replays, 0);
        rig.now.store(rig.now() - 15_500, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn an_operation_without_an_effect_is_remembered_too() {
    let rig = Rig::new(8192).eager();
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    let nothing = crate::domain::record::Record { effect: None, ..named(record("g", rig.now(), left(&[])), "delete", 0) };
    engine.commit_wait(&[nothing]).unwrap();
    let engine = rig.killed().open();
    assert_eq!(names_of(&engine.load_wait(&id("g")).unwrap().replays), ["delete"]);
}

/// What grows with writes is the journal. Its bound: the segments of one window, those not merged, the one in use, the one
/// prepared, and one kept to be used again.
#[test]
fn steady_writes_need_a_steady_number_of_segments() {
    let mut rig = Rig::new(4096);
    rig.options.replay_window = Duration::from_millis(100);
    rig.options.limits.merge_after_bytes = 2_000;
    rig.options.limits.unmerged_bytes_max = 8_000;
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    let mut most = 0;
    for version in 1..=4_000 {
        rig.advance(1);
        engine.commit_wait(&[record("g", rig.now(), changed(version, &[("like", 1)]))]).unwrap();
        most = most.max(engine.stats().journal.segments);
    }
    let newest = rig.disk.list().unwrap().iter().filter_map(|name| segment_of(name)).max().unwrap();
    assert!(newest > 60, "{newest}");
    // 100 ms are 100 blocks of at most 96 bytes, so 3 segments; 8,000 unmerged bytes and a block are 3 more.
    assert!(most <= 3 + 3 + 3 + 1, "{most} segments at once");
    assert!(engine.stats().table.bytes < 4 << 20);
}

/// Wherever the process is killed while segments are let go, what was answered and its operations are there.
#[test]
fn no_segment_goes_before_its_time() {
    let mut rig = Rig::new(4096).eager();
    rig.options.replay_window = Duration::from_millis(60);
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    for version in 1..=600u64 {
        rig.advance(1);
        let record = named(record("g", rig.now(), changed(version, &[("like", version as i64)])), &format!("op{version}"), version);
        engine.commit_wait(&[record]).unwrap();
        if random.u32(..12) == 0 {
            let mut again = rig.killed();
            if random.bool() {
                again.disk = again.disk.after_power_loss(&mut random);
            }
            let loaded = again.open().load_wait(&id("g")).unwrap();
            assert_eq!(loaded.group.unwrap().version, version);
            let first = version.saturating_sub(60).max(1);
            let expected: Vec<String> = (first..=version).map(|version| format!("op{version}")).collect();
            assert_eq!(names_of(&loaded.replays), expected);
        }
    }
}

/// The store's clock goes on and nothing else while it is open; what was written before a start may seem to be of the future.
#[test]
fn a_clock_that_is_set_back_between_two_starts_keeps_nothing_for_ever() {
    let mut rig = Rig::new(4096).eager();
    rig.options.replay_window = Duration::from_millis(50);
    let engine = rig.open();
    engine.commit_wait(&[record("g", rig.now(), created(GroupType::ChatRoom, "owner"))]).unwrap();
    let day = 86_400_000;
    rig.advance(day);
    let mut version = 0;
    let mut write = |rig: &Rig, engine: &crate::store::embedded::Engine| {
        rig.advance(1);
        version += 1;
        let record = named(record("g", rig.now(), changed(version, &[("like", 1)])), &format!("op{version}"), version);
        let lsn = engine.commit_wait(&[record]).unwrap();
        until("the merge", || engine.merged() >= lsn);
    };
    (0..200).for_each(|_| write(&rig, &engine));
    let rig = rig.killed();
    drop(engine);
    rig.now.store(rig.now() - day, std::sync::atomic::Ordering::SeqCst);
    let engine = rig.open();
    let names = names_of(&engine.load_wait(&id("g")).unwrap().replays);
    assert_eq!(names.last().map(String::as_str), Some("op200"), "a stamp of the future counts as one of now");
    drop(engine);

    let engine = rig.open();
    rig.advance(60);
    assert!(engine.load_wait(&id("g")).unwrap().replays.is_empty(), "and is forgotten when its window is over");
    (0..1_500).for_each(|_| write(&rig, &engine));
    assert!(engine.stats().journal.segments <= 8, "{:?}", engine.stats());
}
