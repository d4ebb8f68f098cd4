//! Disks that are full, and disks that fail.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::support::*;
use crate::domain::member::GroupType;
use crate::domain::record::Effect;
use crate::store::embedded::Engine;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::disk::memory::{Op, Verdict};
use crate::store::{Batch, CommitError};

fn like(engine: &Engine, version: u64) -> Result<u64, CommitError> {
    engine.commit_wait(&[record("g", 1, changed(version, &[("like", version as i64)]))])
}

fn with_group(rig: &Rig) -> Engine {
    let engine = rig.open();
    engine.commit_wait(&[record("g", 1, created(GroupType::ChatRoom, "owner"))]).unwrap();
    engine
}

/// Commits until there is no space; says which version was the last.
fn fill(engine: &Engine, from: u64) -> u64 {
    let mut version = from;
    loop {
        match like(engine, version + 1) {
            Ok(_) => version += 1,
            Err(error) => {
                assert_eq!(error, CommitError::Full);
                return version;
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room_and_keeps_all_that_was_answered() {
    let rig = Rig::new(4096);
    let engine = with_group(&rig);
    rig.disk.set_capacity(Some(rig.disk.used() + 10_000));
    let last = fill(&engine, 0);
    assert!(last > 20, "{last}");
    assert_eq!(like(&engine, last + 1), Err(CommitError::Full));
    assert!(engine.load_wait(&id("g")).is_ok(), "reads go on");
    assert_eq!(rig.killed().open().version_wait(&id("g")), last, "what was refused is not there");
    rig.disk.set_capacity(None);
    until("room", || like(&engine, last + 1).is_ok());
    assert_eq!(rig.killed().open().version_wait(&id("g")), last + 1);
    engine.close().unwrap();
    assert_eq!(rig.open().version_wait(&id("g")), last + 1);
    assert!(rig.fatal_words().is_empty());
}

#[test]
fn a_write_that_finds_no_space_leaves_the_journal_as_it_was() {
    let rig = Rig::new(8192);
    let engine = with_group(&rig);
    for round in 0..5 {
        rig.disk.set_fate(|op, name| {
            if op == Op::Write && name.starts_with("journal-") { Verdict::Fail(ErrorKind::StorageFull) } else { Verdict::Go }
        });
        assert_eq!(like(&engine, round + 1), Err(CommitError::Full));
        rig.disk.clear_fate();
        like(&engine, round + 1).unwrap();
    }
    assert_eq!(rig.killed().open().version_wait(&id("g")), 5);
}

#[test]
fn a_table_without_space_is_opened_again_and_merges_later() {
    let mut rig = Rig::new(4096);
    rig.options.limits.merge_after = Duration::from_millis(20);
    rig.options.limits.unmerged_bytes_max = 20_000;
    let engine = with_group(&rig);
    until("the first merge", || engine.merged() >= 1);
    rig.disk.set_fate(|_, name| if name.starts_with("table") { Verdict::Fail(ErrorKind::StorageFull) } else { Verdict::Go });
    let last = fill(&engine, 0);
    assert!(engine.stats().journal.unmerged_bytes > 20_000, "commits go on until too much is unmerged: {:?}", engine.stats());
    assert!(engine.stats().table.merges_full > 0);
    rig.disk.clear_fate();
    until("room", || like(&engine, last + 1).is_ok());
    until("the merge", || engine.version_wait(&id("g")) == last + 1);
    assert!(rig.fatal_words().is_empty());
    engine.close().unwrap();
}

#[test]
fn a_failed_sync_is_the_end_and_the_next_start_decides() {
    for durability in [Rig::new(8192), Rig::new(8192).interval()] {
        let rig = durability;
        let engine = with_group(&rig);
        like(&engine, 1).unwrap();
        rig.disk.set_fate(
            |op, name| {
                if op == Op::Sync && name.starts_with("journal-") { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go }
            },
        );
        let failed = std::iter::repeat_with(|| like(&engine, 2)).take(100_000).find(Result::is_err);
        assert_eq!(failed, Some(Err(CommitError::Broken)));
        rig.disk.clear_fate();
        for _ in 0..3 {
            assert_eq!(like(&engine, 2), Err(CommitError::Broken), "a disk that works again is not believed");
        }
        until("the words", || !rig.fatal_words().is_empty());
        assert_eq!(engine.close(), Err(CommitError::Broken));
        let words = rig.fatal_words();
        assert!(words.len() == 1 && words[0].contains("cannot be synced"), "{words:?}");
        let version = rig.killed().open().version_wait(&id("g"));
        assert!(version == 1 || version == 2, "{version}");
    }
}

/// After a failed sync the kernel calls pages clean that never reached the disk: the next start writes them again.
#[test]
fn a_start_after_a_failed_sync_does_not_trust_the_kernels_memory() {
    let mut rig = Rig::new(8192);
    let engine = with_group(&rig);
    rig.disk.set_fate(
        |op, name| {
            if op == Op::Sync && name.starts_with("journal-") { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go }
        },
    );
    // Of many sectors, so that no later write brings them to the disk by the way.
    let names: Vec<String> = (0..100).map(|n| format!("user-with-a-long-name-{n}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = [record("g", 1, joined(&users)), record("g", 1, changed(1, &[("like", 1)]))];
    assert_eq!(engine.commit_wait(&many), Err(CommitError::Broken));
    drop(engine);
    rig.disk.clear_fate();
    rig.disk.forget_what_is_unsynced();
    let engine = rig.open();
    let decided = engine.version_wait(&id("g"));
    for version in decided + 1..decided + 4 {
        like(&engine, version).unwrap();
    }
    rig = rig.after_power_loss(&mut fastrand::Rng::with_seed(3));
    assert_eq!(rig.open().version_wait(&id("g")), decided + 3);
}

#[test]
fn a_write_or_a_merge_that_fails_for_another_reason_is_the_end_too() {
    let rig = Rig::new(8192);
    let engine = with_group(&rig);
    rig.disk.set_fate(
        |op, name| {
            if op == Op::Write && name.starts_with("journal-") { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go }
        },
    );
    assert_eq!(like(&engine, 1), Err(CommitError::Broken));
    drop(engine);
    assert!(rig.fatal_words()[0].contains("cannot be written"), "{:?}", rig.fatal_words());

    let rig = Rig::new(8192).eager();
    let engine = with_group(&rig);
    until("the first merge", || engine.merged() >= 1);
    rig.disk.set_fate(|_, name| if name.starts_with("table") { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go });
    let _ = like(&engine, 1);
    until("the words", || !rig.fatal_words().is_empty());
    assert!(rig.fatal_words()[0].contains("cannot be merged"), "{:?}", rig.fatal_words());
    assert_eq!(like(&engine, 2), Err(CommitError::Broken));
    assert_eq!(rig.fatal_words().len(), 1);
}

#[test]
fn commits_wait_for_the_merger_where_too_much_is_unmerged() {
    let mut rig = Rig::new(4096);
    rig.options.limits.unmerged_bytes_max = 10_000;
    rig.options.limits.merge_after_bytes = 5_000;
    let engine = with_group(&rig);
    for version in 1..=1000 {
        like(&engine, version).unwrap();
        assert!(engine.stats().journal.unmerged_bytes < 10_000 + 4096);
    }
    engine.close().unwrap();
    assert_eq!(rig.open().version_wait(&id("g")), 1000);
}

/// What was gathered together with a block whose sync failed must not be written any more, even if the disk works again.
#[test]
fn nothing_is_committed_behind_a_failed_sync() {
    let rig = Rig::new(4096);
    let engine = with_group(&rig);
    let (tell, told) = channel();
    let (go, wait) = channel::<()>();
    let (begin, begun) = channel();
    let first = move |_| {
        begin.send(()).unwrap();
        wait.recv().unwrap();
    };
    engine.commit(batch(&[record("g", 1, changed(1, &[("like", 1)]))]), Box::new(first));
    begun.recv().unwrap();
    for version in 2..=600 {
        let tell = tell.clone();
        let records = [record("g", 1, changed(version, &[("like", 1)]))];
        engine.commit(batch(&records), Box::new(move |result| tell.send(result).unwrap()));
    }
    let mut failed = false;
    rig.disk.set_fate(move |op, name| {
        let fails = op == Op::Sync && name.starts_with("journal-") && !failed;
        failed |= fails;
        if fails { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go }
    });
    go.send(()).unwrap();
    for _ in 2..=600 {
        assert_eq!(told.recv().unwrap(), Err(CommitError::Broken));
    }
}

/// Whoever counts on the order of answers would take the answer to one commit for that to another.
#[test]
fn a_commit_that_comes_after_the_failure_is_refused_before_an_earlier_one_is_kept() {
    let rig = Rig::new(1 << 16);
    let engine = Arc::new(with_group(&rig));
    let (tell, told) = channel();
    let (late, second) = (Arc::downgrade(&engine), tell.clone());
    rig.disk.set_fate(move |op, name| {
        // The merger fails while the first commit is being synced.
        if op == Op::Sync
            && name.starts_with("journal-")
            && let Some(engine) = late.upgrade()
        {
            engine.shared.fail("the journal cannot be merged".to_owned());
            let second = second.clone();
            engine.commit(
                batch(&[record("g", 1, changed(2, &[("like", 2)]))]),
                Box::new(move |result| second.send(("second", result)).unwrap()),
            );
        }
        Verdict::Go
    });
    engine.commit(batch(&[record("g", 1, changed(1, &[("like", 1)]))]), Box::new(move |result| tell.send(("first", result)).unwrap()));
    assert_eq!(told.recv().unwrap(), ("second", Err(CommitError::Broken)));
    assert!(matches!(told.recv().unwrap(), ("first", Ok(_))));
    rig.disk.clear_fate();
    assert_eq!(rig.killed().open().version_wait(&id("g")), 1);
}

#[test]
fn a_batch_that_no_segment_holds_is_refused_alone() {
    let rig = Rig::new(4096);
    let engine = with_group(&rig);
    let names: Vec<String> = (0..300).map(|n| format!("user-with-a-long-name-{n}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(engine.commit_wait(&[record("g", 1, joined(&users))]), Err(CommitError::TooLarge));
    like(&engine, 1).unwrap();
}

#[test]
fn after_the_end_every_call_is_refused_and_every_commit_before_it_is_answered() {
    let rig = Rig::new(8192);
    let engine = with_group(&rig);
    let (tell, told) = channel();
    for version in 1..=100 {
        let tell = tell.clone();
        let records = [record("g", 1, changed(version, &[("like", 1)]))];
        engine.commit(batch(&records), Box::new(move |result| tell.send(result).unwrap()));
    }
    engine.close().unwrap();
    assert_eq!(told.try_iter().filter(|result| result.is_ok()).count(), 100);
    assert_eq!(like(&engine, 101), Err(CommitError::Closed));
    assert!(engine.load_wait(&id("g")).is_err());
    drop(engine);
    assert_eq!(rig.open().version_wait(&id("g")), 100);
}

#[test]
fn an_empty_batch_is_answered_and_writes_nothing() {
    let rig = Rig::new(8192);
    let engine = with_group(&rig);
    let blocks = engine.stats().journal.records;
    assert!(engine.commit_wait(&[]).is_ok());
    assert_eq!(engine.stats().journal.records, blocks);
    assert!(Batch::default().is_empty());
}

/// A callback may hold the last handle on the store: the store then ends on its own thread.
#[test]
fn a_store_may_end_inside_a_callback() {
    let rig = Rig::new(8192);
    let engine = std::sync::Arc::new(with_group(&rig));
    let (tell, told) = channel();
    let (go, wait) = channel::<()>();
    let held = engine.clone();
    let done = move |result: Result<u64, CommitError>| {
        wait.recv().unwrap();
        drop(held);
        tell.send(result).unwrap();
    };
    engine.commit(batch(&[record("g", 1, changed(1, &[("like", 1)]))]), Box::new(done));
    drop(engine);
    go.send(()).unwrap();
    told.recv().unwrap().unwrap();
    until("the folder is free", || rig.try_open().is_ok());
}

#[test]
fn in_interval_a_commit_is_synced_without_another_one() {
    let mut rig = Rig::new(8192).interval();
    rig.options.limits.sync_every = Duration::from_millis(1);
    let engine = with_group(&rig);
    until("the sync", || engine.stats().syncs.count > 0);
    let rig = rig.after_power_loss(&mut fastrand::Rng::with_seed(5));
    assert!(rig.open().load_wait(&id("g")).unwrap().group.is_some());
}

#[test]
fn a_callback_that_panics_ends_the_store_with_words_and_leaves_nobody_waiting() {
    let rig = Rig::new(8192);
    let engine = with_group(&rig);
    let (tell, told) = channel();
    let (go, wait) = channel::<()>();
    let (begin, begun) = channel();
    let panics = move |_| {
        begin.send(()).unwrap();
        wait.recv().unwrap();
        panic!("this panic is part of the test")
    };
    engine.commit(batch(&[record("g", 1, changed(1, &[("like", 1)]))]), Box::new(panics));
    begun.recv().unwrap();
    engine.commit(batch(&[record("g", 1, changed(3, &[("like", 3)]))]), Box::new(move |result| tell.send(result).unwrap()));
    go.send(()).unwrap();
    assert_eq!(told.recv().unwrap(), Err(CommitError::Broken));
    until("the words", || !rig.fatal_words().is_empty());
    assert!(rig.fatal_words()[0].contains("has panicked"), "{:?}", rig.fatal_words());
    assert_eq!(like(&engine, 4), Err(CommitError::Broken));
}

/// A start whose table must grow finds a full disk: whatever was answered can be read, and writes come back with the room.
#[test]
fn a_start_on_a_full_disk_serves_reads_and_writes_again_when_there_is_room() {
    let rig = Rig::new(1 << 16);
    let engine = with_group(&rig);
    engine.commit_wait(&[record("g", 1, joined(&["a", "b"])), record("gone", 1, created(GroupType::Public, "owner"))]).unwrap();
    for number in 0..100 {
        let rooms = (0..200).map(|n| record(&format!("room-{}", number * 200 + n), 1, created(GroupType::ChatRoom, "owner")));
        engine.commit_wait(&rooms.collect::<Vec<_>>()).unwrap();
    }
    engine.commit_wait(&[record("room-19999", 1, joined(&["a"]))]).unwrap();
    engine.commit_wait(&[record("g", 1, changed(1, &[("like", 1)])), record("gone", 1, Effect::Dissolved)]).unwrap();
    let full = rig.killed();
    drop(engine);
    full.disk.set_capacity(Some(full.disk.used()));
    let engine = full.open();
    assert_eq!(engine.troubles()[0].kind.name(), "disk_full");
    let check = |engine: &Engine, version: u64| {
        let group = engine.load_wait(&id("g")).unwrap().group.unwrap();
        assert_eq!((group.version, group.members.len(), group.counters.value("like")), (version, 3, Some(version as i64)));
        assert!(engine.load_wait(&id("gone")).unwrap().group.is_none());
        assert_eq!(engine.load_wait(&id("room-19999")).unwrap().group.unwrap().members.len(), 2);
        assert_eq!(engine.relations_wait("a").len(), 2);
        assert_eq!(engine.list_wait(None, None, 1000).total, 20001);
    };
    check(&engine, 1);
    let last = fill(&engine, 1);
    check(&full.killed().open(), last);
    // A stop does not wait for room, and the next start goes on from there.
    engine.close().unwrap();
    let engine = full.open();
    assert_eq!(engine.version_wait(&id("g")), last);
    full.disk.set_capacity(None);
    until("room", || like(&engine, last + 1).is_ok());
    until("the end of the trouble", || engine.troubles().is_empty());
    until("the merge", || engine.version_wait(&id("g")) == last + 1);
    engine.close().unwrap();
    let engine = full.open();
    assert_eq!((engine.version_wait(&id("g")), engine.generation()), (last + 1, 1));
    assert!(full.fatal_words().is_empty(), "{:?}", full.fatal_words());
}

#[test]
fn an_attempt_that_finds_no_room_writes_nothing() {
    let rig = Rig::new(1 << 20);
    let engine = with_group(&rig);
    until("the next segment", || engine.stats().journal.segments == 2);
    rig.disk.set_capacity(Some(rig.disk.used() + (1 << 19)));
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = written.clone();
    rig.disk.set_fate(move |op, name| {
        count.fetch_add(u64::from(op == Op::Write && name == "journal.new"), std::sync::atomic::Ordering::SeqCst);
        Verdict::Go
    });
    let names: Vec<String> = (0..2_000).map(|n| format!("user-with-a-long-name-{n}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    until("a full disk", || engine.commit_wait(&[record("g", 1, joined(&users))]) == Err(CommitError::Full));
    let failed = engine.stats().journal.preparations_failed;
    until("another attempt", || engine.stats().journal.preparations_failed > failed);
    assert_eq!(written.load(std::sync::atomic::Ordering::SeqCst), 0);
    rig.disk.set_capacity(None);
    until("room", || like(&engine, 1).is_ok());
}

/// Nobody outside may end the program by taking all descriptors.
#[test]
fn without_descriptors_the_store_goes_on_with_what_it_has_and_recovers() {
    for errno in [nix::errno::Errno::EMFILE, nix::errno::Errno::ENFILE] {
        let rig = Rig::new(4096).eager();
        let engine = with_group(&rig);
        until("the next segment", || engine.stats().journal.segments == 2);
        rig.disk.set_fate(move |op, _| if op == Op::Open { Verdict::FailWith(errno) } else { Verdict::Go });
        let last = fill(&engine, 0);
        assert!(last > 30, "what was prepared is used: {last}");
        until("the trouble", || engine.troubles().iter().any(|trouble| trouble.kind.name() == "no_descriptors"));
        until("the merge, which needs no descriptor", || engine.version_wait(&id("g")) == last);
        rig.disk.clear_fate();
        until("descriptors", || like(&engine, last + 1).is_ok());
        until("the end of the trouble", || engine.troubles().is_empty());
        assert!(rig.fatal_words().is_empty(), "{:?}", rig.fatal_words());
        engine.close().unwrap();
    }
}

#[test]
fn a_segment_that_cannot_be_made_is_told_before_it_is_needed_and_tried_again() {
    let rig = Rig::new(1 << 16);
    let engine = with_group(&rig);
    until("the next segment", || engine.stats().journal.segments == 2);
    rig.disk.set_fate(|op, name| if op == Op::Sync && name == "journal.new" { Verdict::Fail(ErrorKind::Other) } else { Verdict::Go });
    let mut version = 0;
    until("the trouble", || {
        version += 1;
        like(&engine, version).unwrap();
        !engine.troubles().is_empty()
    });
    assert_eq!(engine.troubles()[0].kind.name(), "segment_failing");
    assert!(engine.troubles()[0].words.contains("journal-"), "{:?}", engine.troubles());
    assert!(engine.stats().journal.preparations_failed > 0);
    rig.disk.clear_fate();
    until("the next attempt", || engine.troubles().is_empty());
    like(&engine, version + 1).unwrap();
    assert!(rig.fatal_words().is_empty());
}

#[test]
fn a_file_that_was_removed_is_noticed_at_the_next_sync() {
    for name in ["journal-0000000000000001", "table.redb", "table.sums"] {
        let rig = Rig::new(8192).eager();
        let engine = with_group(&rig);
        until("the first merge", || engine.merged() >= 1);
        rig.disk.remove(name).unwrap();
        let answer = like(&engine, 1);
        if name.starts_with("journal") {
            assert_eq!(answer, Err(CommitError::Broken), "nothing is answered that nobody will find");
        }
        until("the words", || !rig.fatal_words().is_empty());
        let words = rig.fatal_words();
        assert!(words[0].contains(name) && words[0].contains("was removed"), "{words:?}");
        assert_eq!(like(&engine, 2), Err(CommitError::Broken));
    }
}

#[test]
fn a_start_removes_its_own_unfinished_files_and_no_others() {
    let rig = Rig::new(4096);
    rig.open().close().unwrap();
    for name in ["audit.log.new", "audit.new", "journal-x.new", "journal.new", "table.new", "journal-1", "journal-000000000000000G"] {
        rig.disk.open(name, true).unwrap();
    }
    rig.open().close().unwrap();
    let left = rig.disk.list().unwrap();
    assert!(["audit.log.new", "audit.new", "journal-x.new"].iter().all(|name| left.contains(&(*name).to_owned())), "{left:?}");
    assert!(!left.iter().any(|name| name == "journal.new" || name == "table.new"), "{left:?}");
}

/// A table grows in two files. The power may fail when the disk has the new length of the one, and not yet that of the other.
#[test]
fn a_table_whose_growth_was_cut_off_goes_on_growing() {
    let rig = Rig::new(1 << 20);
    with_group(&rig).close().unwrap();
    let (table, sums) = (rig.disk.edit("table.redb", |bytes| bytes.len()), rig.disk.edit("table.sums", |bytes| bytes.len()));
    let pages = sums / 4 + 1024;
    assert!(table < pages * 4096);
    rig.disk.edit("table.redb", |bytes| bytes.resize(pages * 4096, 0));
    let engine = rig.open();
    for number in 0..20 {
        let rooms = (0..200).map(|n| record(&format!("room-{}", number * 200 + n), 1, created(GroupType::ChatRoom, "owner")));
        engine.commit_wait(&rooms.collect::<Vec<_>>()).unwrap();
    }
    engine.close().unwrap();
    assert!(rig.fatal_words().is_empty(), "{:?}", rig.fatal_words());
    assert_eq!(rig.open().list_wait(None, None, 1).total, 4_001);
}
