//! Folders as released programs left them, one for each format: they open for ever, with all that they held.
//!
//! `tests/fixtures/README.md` says how one is made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use super::support::*;
use crate::domain::group::{Group, apply};
use crate::domain::member::{Details, GroupType, JoinOption, Member, Profile, Role};
use crate::domain::name::{GroupId, GroupName};
use crate::domain::record::{Effect, Record};
use crate::store::embedded::Engine;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::disk::memory::{MemoryDisk, Verdict};
use crate::store::{Batch, Options, Relation, Store, verify};

/// When the last record of a fixture was made.
const THEN: u64 = 1_750_000_000_000;

/// The format that is written today.
const TODAY: u32 = 2;

/// What every fixture went through, commit by commit. Never changed: a new format gets the same story, with what only it can tell.
fn story(format: u32) -> Vec<Vec<Record>> {
    let mut commits = Vec::new();
    let at = THEN - 60_000;
    for (number, kind) in GroupType::ALL.into_iter().enumerate() {
        let details = Details {
            introduction: "TCJ1 is how a block of the first format began".into(),
            notification: "\u{0}\u{1}\u{7f} any text".into(),
            members_max: (number == 2).then_some(50),
            ..Details::default()
        };
        let profile = Profile {
            kind,
            name: GroupName::parse(&format!("room {number}")).unwrap(),
            owner: Some(user("owner")),
            join_option: JoinOption::of(kind, None),
            created_at: at / 1000,
            incarnation: 7 + number as u32,
            details,
        };
        let others = if kind == GroupType::AvChatRoom { Vec::new() } else { vec![(user("first"), Member::new(Role::Admin, 5))] };
        commits.push(vec![record(&format!("room-{number}"), at, Group::plan_create(profile, others, 1))]);
    }
    commits.push(vec![record("room-1", at, joined(&["a", "b", "c"])), record("room-2", at, joined(&["a"]))]);
    commits.push(vec![record("room-1", at, left(&["b"]))]);
    if format >= 2 {
        // Format 1 did not tell who joined by themself from those who were added.
        commits.push(vec![record("room-2", at, entered("b")), record("room-1", at, entered("d"))]);
    }
    commits.push(vec![record("gone", at, created(GroupType::ChatRoom, "owner"))]);
    for version in 1..=150 {
        let room = format!("room-{}", version % 3);
        let count = version / 3 + u64::from(version % 3 > 0);
        let values = [("like", version as i64), ("least", i64::MIN), ("most", i64::MAX)];
        let of_room = if version % 3 == 0 { version / 3 } else { count };
        let write = record(&room, at + version * 100, changed(of_room, &values));
        commits.push(vec![named(write, &format!("op-{version}"), of_room)]);
    }
    commits.push(vec![record("room-0", THEN, Effect::Deleted { version: 51, keys: vec![key("least")] })]);
    commits.push(vec![record("gone", THEN, Effect::Dissolved)]);
    commits
}

/// The files of a fixture.
fn files_of(format: u32, name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store-{format}/{name}"));
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
        files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), bytes);
    }
    files
}

/// A fixture on a disk of memory, at the time of its last record.
fn fixture(format: u32, name: &str) -> Rig {
    let rig = Rig::new(8192);
    rig.now.store(THEN, Ordering::SeqCst);
    Rig { disk: MemoryDisk::holding(files_of(format, name)), ..rig }
}

/// The groups of the story, as they are at its end.
fn groups_of(format: u32) -> BTreeMap<GroupId, Option<Box<Group>>> {
    let mut groups = BTreeMap::new();
    for record in story(format).into_iter().flatten() {
        apply(groups.entry(record.group).or_default(), record.effect.as_ref().unwrap());
    }
    groups
}

/// The store knows who belongs where, and by whose doing.
fn check_relations(engine: &Engine, format: u32) {
    let groups = groups_of(format);
    let members: BTreeSet<_> = groups.values().flatten().flat_map(|group| group.members.keys().cloned()).collect();
    for user in members {
        let of = |(id, group): (&GroupId, &Option<Box<Group>>)| {
            let group = group.as_ref()?;
            let (member, owner) = (group.members.get(&user), group.profile.owner.as_ref() == Some(&user));
            let relation = Relation { member: member.is_some(), owner, asked: member.is_some_and(|member| member.asked) };
            (relation != Relation::default()).then(|| (id.clone(), relation))
        };
        let mut expected: Vec<_> = groups.iter().filter_map(of).collect();
        assert_eq!(engine.relations_wait(user.as_str()), expected, "{user}");
        expected.retain(|(_, relation)| relation.member);
        expected.sort_by_key(|(_, relation)| relation.rank());
        assert_eq!(engine.seats_wait(user.as_str(), 2), expected[..expected.len().min(2)], "{user}");
    }
}

/// The store holds all of the story, and nothing else.
fn check(engine: &Engine, format: u32) {
    let (groups, mut operations) = (groups_of(format), BTreeMap::new());
    for record in story(format).into_iter().flatten() {
        if let Some(operation) = record.operation {
            operations.entry(record.group).or_insert_with(Vec::new).push((record.at, operation));
        }
    }
    for (id, expected) in &groups {
        let loaded = engine.load_wait(id).unwrap();
        assert_eq!(loaded.group, *expected, "{id}");
        assert_eq!(loaded.replays, operations.remove(id).unwrap_or_default(), "answered operations of {id}");
    }
    check_relations(engine, format);
    assert!(engine.has_account_wait("seen") && !engine.has_account_wait("unseen"));
    assert_eq!(engine.list_wait(None, None, 100).total, 4);
    assert_eq!(engine.generation(), 1);
}

const ENDS: [&str; 3] = ["closed", "half", "killed"];

/// Goes through the story, and ends it in one of the ways: closed, killed with half of it merged, killed with nothing merged.
fn written(name: &str) -> Rig {
    let rig = Rig::new(8192);
    rig.now.store(THEN - 60_000, Ordering::SeqCst);
    let mut seen = Batch::default();
    seen.push_account(&user("seen"));
    let commits = story(TODAY);
    let half = commits.len() / 2;
    let (tell, told) = channel();
    let mut engine = rig.open();
    engine.commit(seen, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap().unwrap();
    for (number, commit) in commits.iter().enumerate() {
        if number == half && name == "half" {
            engine.close().unwrap();
            engine = rig.open();
        }
        rig.now.store(commit[0].at, Ordering::SeqCst);
        engine.commit_wait(commit).unwrap();
    }
    if name == "closed" {
        engine.close().unwrap();
    }
    rig.killed()
}

/// What is written today is what will be kept of it. With `TALLYCAST_TEST_FIXTURES` the folders are written there.
#[test]
fn the_story_is_written_and_read_in_todays_format() {
    for name in ENDS {
        let rig = written(name);
        if let Ok(folder) = std::env::var("TALLYCAST_TEST_FIXTURES") {
            let folder = Path::new(&folder).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for file in rig.disk.list().unwrap() {
                let bytes = rig.disk.edit(&file, |bytes| bytes.clone());
                let target = std::fs::File::create(folder.join(format!("{file}.gz"))).unwrap();
                let mut packed = flate2::write::GzEncoder::new(target, flate2::Compression::best());
                packed.write_all(&bytes).unwrap();
                packed.finish().unwrap();
            }
        }
        rig.now.store(THEN, Ordering::SeqCst);
        check(&rig.open(), TODAY);
    }
}

#[test]
fn every_format_opens_with_all_that_it_held_and_goes_on() {
    for (format, name) in (1..=TODAY).flat_map(|format| ENDS.map(|name| (format, name))) {
        println!("format {format}, {name}");
        let rig = fixture(format, name);
        let engine = rig.open();
        check(&engine, format);
        engine.commit_wait(&[record("room-1", THEN, changed(51, &[("like", 1)]))]).unwrap();
        assert_eq!(rig.killed().open().version_wait(&id("room-1")), 51);
        engine.close().unwrap();
        assert_eq!(rig.open().version_wait(&id("room-1")), 51);
    }
}

/// What tells relations from groups and members agrees with both, before and after the step to today's format.
#[test]
fn every_format_is_sound_as_it_is_and_after_a_start() {
    for (format, name) in (1..=TODAY).flat_map(|format| ENDS.map(|name| (format, name))) {
        let folder = tempfile::tempdir().unwrap();
        for (file, bytes) in files_of(format, name) {
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        let sound = |when: &str| {
            let verified = verify(folder.path()).unwrap();
            assert!(verified.findings.is_empty(), "format {format}, {name}, {when}: {verified:?}");
        };
        sound("as it is");
        let store = Store::open(&Options::new(folder.path()), Box::new(|words| panic!("{words}"))).unwrap();
        check_relations(&store.0, format);
        store.close().unwrap();
        sound("after a start");
    }
}

/// Wherever a change of format is cut off, the next start finishes it.
#[test]
fn an_upgrade_that_is_cut_off_is_done_again() {
    let mut random = fastrand::Rng::with_seed(5);
    for name in ENDS {
        let mut cut = 0;
        while cuts_upgrade_at(name, cut + 1, &mut random) {
            cut += 1;
        }
        assert!(cut > 20, "only {cut} places to cut {name} at");
    }
}

fn cuts_upgrade_at(name: &str, at: usize, random: &mut fastrand::Rng) -> bool {
    let rig = fixture(1, name);
    let mut left = at;
    rig.disk.set_fate(move |_, _| {
        left -= 1;
        if left == 0 { Verdict::PowerOff } else { Verdict::Go }
    });
    let opened = rig.try_open();
    if !rig.disk.is_dead() {
        return false;
    }
    drop(opened);
    check(&rig.after_power_loss(random).open(), 1);
    true
}
