//! Backups of stores that run and that rest, stores made of them, folders that were copied by hand, and repairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::support::*;
use crate::domain::member::GroupType;
use crate::domain::record::Effect;
use crate::store::{OpenError, Options, Store, UpkeepError, Verified};
use crate::store::{backup_at_rest, receive_backup, repair, restore, verify};

pub(super) struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    pub(super) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

fn options(path: &Path) -> Options {
    let mut options = Options::new(path);
    options.limits.segment_bytes = 64 << 10;
    options.limits.merge_after_bytes = 32 << 10;
    options.limits.merge_after = Duration::from_millis(50);
    options
}

pub(super) fn open(path: &Path) -> Store {
    Store::open(&options(path), Box::new(|words| panic!("{words}"))).unwrap()
}

fn backup_of(store: &Store, to: &Path) -> Result<crate::store::Copied, UpkeepError> {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(store.tell(&mut writer)));
        receive_backup(Path::new("elsewhere"), &mut reader, to)
    })
}

/// A store with some groups, members and writes, part of it merged and part of it not.
pub(super) fn filled(path: &Path) {
    let store = open(path);
    for n in 0..40 {
        let name = format!("group-{n:02}");
        let effect = created(if n % 2 == 0 { GroupType::Public } else { GroupType::AvChatRoom }, "owner");
        store.0.commit_wait(&[record(&name, now(), effect)]).unwrap();
        if n % 2 == 0 {
            store.0.commit_wait(&[record(&name, now(), joined(&["ann"])), record(&name, now(), entered("bob"))]).unwrap();
        }
        let write = named(record(&name, now(), changed(1, &[("like", n)])), &format!("op-{n}"), 1);
        store.0.commit_wait(&[write]).unwrap();
    }
    store.close().unwrap();
    let store = open(path);
    store.0.commit_wait(&[record("group-00", now(), changed(2, &[("like", 77)]))]).unwrap();
    drop(store);
}

pub(super) fn now() -> u64 {
    (Options::new("").clock)()
}

/// Every group's version, value and number of members; every user's relations.
pub(super) fn content(store: &Store) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    for group in store.0.list_wait(None, None, 10_000).groups {
        let loaded = store.0.load_wait(&group).unwrap().group.unwrap();
        let words = format!("{} {:?} {}", loaded.version, loaded.counters.value("like"), loaded.members.len());
        content.insert(group.as_str().to_owned(), words);
    }
    for user in ["owner", "ann", "bob"] {
        content.insert(format!("user {user}"), format!("{:?}", store.0.relations_wait(user)));
    }
    content
}

pub(super) fn sound(path: &Path) -> Verified {
    let verified = verify(path).unwrap();
    assert!(verified.findings.is_empty(), "{verified:?}");
    verified
}

/// All files with their content.
pub(super) fn bytes_of(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    files.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_backup_of_a_running_store_becomes_the_same_store_with_new_epochs() {
    let folders = Folders::new();
    let (data, copy, again) = (folders.path("data"), folders.path("copy"), folders.path("again"));
    filled(&data);
    let store = open(&data);
    let (before, generation) = (content(&store), store.generation());
    let copied = backup_of(&store, &copy).unwrap();
    assert_eq!((copied.groups, copied.members), (40, 60));
    let untouched = bytes_of(&copy);
    let verified = sound(&copy);
    assert_eq!((verified.read.groups, verified.read.up_to), (40, copied.up_to));
    let restored = restore(&copy, &again).unwrap();
    assert_eq!((restored.groups, restored.up_to), (40, copied.up_to));
    sound(&again);
    assert_eq!(bytes_of(&copy), untouched, "neither a look nor a restore changes a backup");
    let second = open(&again);
    assert_eq!(content(&second), before);
    assert_ne!(second.generation(), generation);
    let replay = second.0.load_wait(&id("group-07")).unwrap().replays;
    assert!(second.0.load_wait(&id("group-07")).unwrap().replays.is_empty());
    assert!(replay.is_empty(), "`content` has loaded it: operations are handed out once");
    second.0.commit_wait(&[record("group-00", now(), changed(3, &[("like", 78)]))]).unwrap();
    second.close().unwrap();
    let third = folders.path("third");
    restore(&copy, &third).unwrap();
    let third = open(&third);
    assert!(third.generation() != generation && third.generation() != open(&again).generation(), "each restore has epochs of its own");
    let replays = third.0.load_wait(&id("group-07")).unwrap().replays;
    assert_eq!(replays.len(), 1, "an operation that was answered before the backup is still known");
    store.close().unwrap();
}

#[test]
fn a_backup_at_rest_is_the_same_and_leaves_the_folder_as_it_was() {
    let folders = Folders::new();
    let (data, copy, again) = (folders.path("data"), folders.path("copy"), folders.path("again"));
    filled(&data);
    let before = bytes_of(&data);
    let copied = backup_at_rest(&data, &copy).unwrap();
    sound(&data);
    assert_eq!(bytes_of(&data), before);
    assert_eq!(copied.groups, 40);
    restore(&copy, &again).unwrap();
    assert_eq!(content(&open(&again)), content(&open(&data)));
}

/// What was answered before the backup began is in it, and what is in it is a prefix: of writes that each change two groups
/// at once, both or neither.
#[test]
fn a_backup_under_load_is_a_consistent_prefix() {
    let folders = Folders::new();
    let data = folders.path("data");
    filled(&data);
    let store = open(&data);
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut version = 2;
            while !stop.load(Ordering::Relaxed) {
                version += 1;
                let write = |group| record(group, now(), changed(version, &[("like", version as i64)]));
                store.0.commit_wait(&[write("group-00"), write("group-02")]).unwrap();
                answered.store(version, Ordering::SeqCst);
            }
        });
        for round in 0..4 {
            until("some writes", || answered.load(Ordering::SeqCst) > 200 * (round + 1));
            let (copy, again) = (folders.path(&format!("copy-{round}")), folders.path(&format!("again-{round}")));
            let before = answered.load(Ordering::SeqCst);
            backup_of(&store, &copy).unwrap();
            let after = answered.load(Ordering::SeqCst) + 1;
            restore(&copy, &again).unwrap();
            let restored = open(&again);
            let version = restored.0.version_wait(&id("group-00"));
            assert!((before..=after).contains(&version), "{before} <= {version} <= {after}");
            assert_eq!(restored.0.version_wait(&id("group-02")), version);
            restored.close().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let journal = store.stats().journal.segments;
    store.close().unwrap();
    sound(&data);
    assert!(journal > 0);
}

/// A backup reads every segment; those that are merged need no descriptor for longer than that.
#[test]
fn a_backup_leaves_nothing_open() {
    let folders = Folders::new();
    let data = folders.path("data");
    let store = open(&data);
    let (mut version, mut newest) = (0, store.0.commit_wait(&[record("group", now(), created(GroupType::Public, "owner"))]).unwrap());
    while store.stats().journal.segments < 12 {
        version += 1;
        newest = store.0.commit_wait(&[record("group", now(), changed(version, &[("like", 1)]))]).unwrap();
    }
    until("the merge", || store.merged() >= newest);
    let open_segments = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        files.filter(|path| path.starts_with(&data) && path.to_string_lossy().contains("journal-")).count()
    };
    let before = open_segments();
    backup_of(&store, &folders.path("copy")).unwrap();
    assert!(open_segments() <= before, "{} after {before}", open_segments());
    store.close().unwrap();
}

#[test]
fn an_unfinished_copy_is_no_backup_and_no_store() {
    let folders = Folders::new();
    let (data, copy) = (folders.path("data"), folders.path("copy"));
    filled(&data);
    let store = open(&data);
    let mut told = Vec::new();
    store.tell(&mut told).unwrap();
    for part in [0, 3, 400, told.len() / 2, told.len() - 1] {
        let error = receive_backup(&data, &mut &told[..part], &copy).unwrap_err();
        assert!(matches!(&error, UpkeepError::Failed(words) if words.contains("broken")), "{part}: {error}");
        assert!(!copy.exists(), "what is of no use is removed");
    }
    // A process that is killed removes nothing.
    receive_backup(&data, &mut &told[..], &copy).unwrap();
    std::fs::write(copy.join("UNFINISHED"), "").unwrap();
    for error in [verify(&copy).unwrap_err(), restore(&copy, &folders.path("again")).unwrap_err()] {
        assert!(matches!(&error, UpkeepError::Unfit(words) if words.contains("not completed")), "{error}");
    }
    match Store::open(&options(&copy), Box::new(|_| {})).err().unwrap() {
        OpenError::NoStore(words) => assert!(words.contains("UNFINISHED"), "{words}"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_done() {
    let folders = Folders::new();
    let (data, copy, empty) = (folders.path("data"), folders.path("copy"), folders.path("empty"));
    filled(&data);
    std::fs::create_dir(&empty).unwrap();
    let unfit = |result: Result<(), UpkeepError>, part: &str| match result {
        Err(UpkeepError::Unfit(words)) => assert!(words.contains(part), "{words}"),
        other => panic!("{part}: {other:?}"),
    };
    unfit(backup_at_rest(&data, &data).map(drop), "lies inside");
    unfit(backup_at_rest(&data, &data.join("deep/copy")).map(drop), "lies inside");
    unfit(backup_at_rest(&folders.path("nowhere"), &copy).map(drop), "is not a folder");
    unfit(backup_at_rest(&empty, &copy).map(drop), "is not a store");
    unfit(verify(&empty).map(drop), "is not a store");
    unfit(restore(&data, &copy).map(drop), "is not a backup");
    assert!(!copy.exists());
    backup_at_rest(&data, &copy).unwrap();
    unfit(backup_at_rest(&data, &copy).map(drop), "is not empty");
    unfit(restore(&copy, &data).map(drop), "is not empty");
    unfit(backup_at_rest(&copy, &folders.path("other")).map(drop), "is a backup");
    match Store::open(&options(&copy), Box::new(|_| {})).err().unwrap() {
        OpenError::NoStore(words) => assert!(words.contains("tallycast restore"), "{words}"),
        other => panic!("{other}"),
    }
    let store = open(&data);
    for error in [verify(&data).map(drop), repair(&data).map(drop), backup_at_rest(&data, &folders.path("x")).map(drop)] {
        assert_eq!(error, Err(UpkeepError::InUse(data.display().to_string())));
    }
    store.close().unwrap();
}

/// The oldest way of restoring: the folder is copied away, and later back.
#[test]
fn a_folder_that_was_copied_by_hand_has_new_epochs_and_one_that_was_moved_has_not() {
    let folders = Folders::new();
    let (data, aside) = (folders.path("data"), folders.path("aside"));
    filled(&data);
    let store = open(&data);
    let generation = store.generation();
    store.close().unwrap();
    std::fs::create_dir(&aside).unwrap();
    for (name, bytes) in bytes_of(&data) {
        std::fs::write(aside.join(name), bytes).unwrap();
    }
    assert_eq!(open(&data).generation(), generation, "a start alone changes nothing");
    let moved = folders.path("moved");
    std::fs::rename(&data, &moved).unwrap();
    assert_eq!(open(&moved).generation(), generation, "the same folder under another name");
    std::fs::rename(&aside, &data).unwrap();
    let copy = open(&data);
    let renewed = copy.generation();
    assert!(renewed > generation);
    copy.close().unwrap();
    assert_eq!(open(&data).generation(), renewed, "it changes once");
}

/// Flips a bit of one file, somewhere where it is used.
fn flip(path: &Path, random: &mut fastrand::Rng) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let at = std::iter::repeat_with(|| random.usize(..bytes.len())).find(|at| bytes[*at] != 0).unwrap();
    bytes[at] ^= 1 << random.u8(..8);
    std::fs::write(path, bytes).unwrap();
    format!("byte {at} of {}", path.file_name().unwrap().display())
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    bytes_of(from).into_iter().for_each(|(name, bytes)| std::fs::write(to.join(name), bytes).unwrap());
}

#[test]
fn a_flipped_bit_is_named_by_verify_or_is_where_nothing_is_used_and_repair_makes_it_good() {
    let folders = Folders::new();
    let (data, hurt) = (folders.path("data"), folders.path("hurt"));
    filled(&data);
    let truth = content(&open(&data));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let files: Vec<String> = bytes_of(&data).into_keys().filter(|name| name != "LOCK").collect();
    let (mut named, mut whole) = (0, 0);
    for round in 0..24 {
        copy_folder(&data, &hurt);
        let file = &files[round % files.len()];
        if !std::fs::read(hurt.join(file)).unwrap().iter().any(|byte| *byte != 0) {
            continue;
        }
        let what = format!("seed {seed}, round {round}: {}", flip(&hurt.join(file), &mut random));
        let verified = verify(&hurt).unwrap();
        if verified.findings.is_empty() {
            assert_eq!(content(&open(&hurt)), truth, "{what}: what is not named does no harm");
            continue;
        }
        named += 1;
        let place = &verified.findings[0].place;
        assert!(place.contains(if file == "table.sums" { "table.redb" } else { file }), "{what}: {:?}", verified.findings);
        let repaired = repair(&hurt).unwrap().unwrap_or_else(|| panic!("{what}"));
        assert!(!repaired.done.is_empty() || file.starts_with("journal"), "{what}: {repaired:?}");
        assert!(repaired.aside.is_dir());
        sound(&hurt);
        let store = open(&hurt);
        let found = content(&store);
        // One wrong bit of the table is put right. One in the journal may cut off what was not merged.
        if file.starts_with("table") {
            assert_eq!(found, truth, "{what}: {repaired:?}");
        } else {
            let differ = found.iter().filter(|(name, words)| truth.get(*name) != Some(words)).count();
            assert!(differ <= 1, "{what}: {differ} {repaired:?}");
        }
        whole += u32::from(found == truth);
        drop(store);
        std::fs::remove_dir_all(repaired.aside).unwrap();
    }
    println!("{named} named, {whole} repaired without a loss");
    assert!(named > 8 && whole > 4, "{named} {whole}");
}

/// Records of one folder are none of another one's.
#[test]
fn a_backups_journal_is_not_that_of_its_store() {
    let folders = Folders::new();
    let (data, copy) = (folders.path("data"), folders.path("copy"));
    filled(&data);
    let store = open(&data);
    store.0.commit_wait(&[record("group-01", now(), Effect::Dissolved)]).unwrap();
    backup_of(&store, &copy).unwrap();
    store.close().unwrap();
    let first = "journal-0000000000000001";
    std::fs::copy(data.join(first), copy.join(first)).unwrap();
    let verified = verify(&copy).unwrap();
    assert!(verified.findings[0].place.contains(first) && verified.findings[0].what.contains("another store"), "{verified:?}");
}
