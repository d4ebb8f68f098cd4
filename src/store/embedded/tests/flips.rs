//! A bit of the table that the disk has changed: every read gives the truth or an error, never anything else.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::support::*;
use crate::domain::group::Group;
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::Effect;
use crate::store::embedded::Engine;
use crate::store::embedded::disk::memory::MemoryDisk;
use crate::store::{Batch, LoadError, OpenError, Relation};

const GROUPS: usize = 600;
const USERS: usize = 120;
const FILES: [&str; 2] = ["table.redb", "table.sums"];

/// What the store holds, as an undamaged one tells it.
#[derive(Debug, PartialEq)]
struct Truth {
    groups: BTreeMap<GroupId, Option<Box<Group>>>,
    relations: BTreeMap<UserId, Vec<(GroupId, Relation)>>,
    accounts: BTreeMap<UserId, bool>,
    listed: Vec<GroupId>,
}

fn group(n: usize) -> GroupId {
    id(&format!("room-{n:05}"))
}

fn person(n: usize) -> UserId {
    user(&format!("person-{n:04}"))
}

/// Groups and members enough for branch pages in each of redb's trees; some groups are gone again.
fn fill(rig: &Rig) {
    let engine = rig.open();
    for start in (0..GROUPS).step_by(100) {
        let records: Vec<_> = (start..start + 100)
            .flat_map(|n| {
                let name = group(n).as_str().to_owned();
                let others: Vec<_> = (1..5).map(|step| person((n * 7 + step) % USERS).as_str().to_owned()).collect();
                let others: Vec<&str> = others.iter().map(String::as_str).collect();
                let owner = person(n % USERS);
                let mut records = vec![
                    record(&name, 1, created(GroupType::Public, owner.as_str())),
                    record(&name, 1, joined(&others)),
                    record(&name, 1, changed(1, &[("like", n as i64), ("gift", -7)])),
                ];
                if n % 10 == 3 {
                    records.push(record(&name, 1, Effect::Dissolved));
                }
                records
            })
            .collect();
        engine.commit_wait(&records).unwrap();
    }
    let mut batch = Batch::default();
    (0..USERS).for_each(|n| batch.push_account(&person(n)));
    let (tell, told) = channel();
    engine.commit(batch, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap().unwrap();
    engine.close().unwrap();
}

fn ask<T: Send + 'static>(call: impl FnOnce(crate::store::Done<T, LoadError>)) -> Result<T, LoadError> {
    let (tell, told) = channel();
    call(Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap()
}

/// All that can be read of what there is and of what there is not; refused reads are left out.
fn read_all(engine: &Engine, mut refused: impl FnMut(LoadError)) -> Truth {
    let mut truth = Truth { groups: BTreeMap::new(), relations: BTreeMap::new(), accounts: BTreeMap::new(), listed: Vec::new() };
    for n in 0..GROUPS + 5 {
        match ask(|done| engine.load(group(n), done)) {
            Ok(loaded) => drop(truth.groups.insert(group(n), loaded.group)),
            Err(error) => refused(error),
        }
    }
    for n in 0..USERS + 5 {
        match ask(|done| engine.relations(person(n), done)) {
            Ok(relations) => drop(truth.relations.insert(person(n), relations)),
            Err(error) => refused(error),
        }
        match ask(|done| engine.has_account(person(n), done)) {
            Ok(known) => drop(truth.accounts.insert(person(n), known)),
            Err(error) => refused(error),
        }
    }
    match ask(|done| engine.list(None, None, 10_000, done)) {
        Ok(page) => truth.listed = page.groups,
        Err(error) => refused(error),
    }
    truth
}

/// Whether all that was told is true, however much of it was refused.
fn check(told: &Truth, truth: &Truth, what: &str) {
    told.groups.iter().for_each(|(id, state)| assert_eq!(state, &truth.groups[id], "{what}: {id}"));
    told.relations.iter().for_each(|(user, all)| assert_eq!(all, &truth.relations[user], "{what}: {user}"));
    told.accounts.iter().for_each(|(user, known)| assert_eq!(known, &truth.accounts[user], "{what}: {user}"));
    assert!(told.listed.is_empty() || told.listed == truth.listed, "{what}: the list");
}

/// Flips a random bit of the file, where the byte is used (or, in one of eight cases, anywhere).
fn flip(disk: &MemoryDisk, file: &str, random: &mut fastrand::Rng) -> (usize, u8) {
    disk.edit(file, |bytes| {
        let anywhere = random.u8(..8) == 0;
        let at = std::iter::repeat_with(|| random.usize(..bytes.len())).find(|at| anywhere || bytes[*at] != 0).unwrap();
        let bit = random.u8(..8);
        bytes[at] ^= 1 << bit;
        (at, bit)
    })
}

#[test]
fn a_flipped_bit_of_the_table_is_never_silent() {
    let mut rig = Rig::new(1 << 20);
    rig.options.limits.merge_after_bytes = 1 << 18;
    fill(&rig);
    // Nothing stays in memory, so that each read is one of the disk.
    rig.options.cache_bytes = 0;
    let truth = read_all(&rig.open(), |error| panic!("{error}"));
    assert_eq!(truth.listed.len(), GROUPS - GROUPS / 10);
    assert!(truth.groups[&group(GROUPS)].is_none() && !truth.accounts[&person(USERS)]);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut refused_starts, mut refused_reads) = (0, 0);
    for round in 0..40 {
        let hurt = rig.killed();
        // Half of the bits flip behind the back of a store that is open.
        let early = round % 2 == 0;
        let running = if early { None } else { Some(hurt.open()) };
        let file = FILES[usize::from(early && round % 6 == 0)];
        let (at, bit) = flip(&hurt.disk, file, &mut random);
        let what = format!("seed {seed}, round {round}: bit {bit} of byte {at} of {file}");
        let engine = match running.map_or_else(|| hurt.try_open(), Ok) {
            Ok(engine) => engine,
            Err(OpenError::Damaged { file, .. }) => {
                assert!(file.ends_with("table.redb"), "{what}: {file}");
                refused_starts += 1;
                continue;
            }
            Err(error) => panic!("{what}: {error}"),
        };
        let mut noticed = false;
        let told = read_all(&engine, |error| {
            noticed = true;
            match &error {
                LoadError::Damaged(words) => assert!(words.contains("table.redb at byte "), "{what}: {words}"),
                _ => panic!("{what}: {error}"),
            }
        });
        check(&told, &truth, &what);
        refused_reads += u32::from(noticed);
    }
    println!("40 bits: {refused_starts} starts and {refused_reads} stores with refused reads");
    assert!(refused_starts + refused_reads > 10, "the bits were in use: {refused_starts}, {refused_reads}");
}

#[test]
fn damage_to_one_page_refuses_what_is_on_it_and_nothing_else() {
    let mut rig = Rig::new(1 << 20);
    rig.options.limits.merge_after_bytes = 1 << 18;
    fill(&rig);
    rig.options.cache_bytes = 0;
    let engine = rig.open();
    let truth = read_all(&engine, |error| panic!("{error}"));
    rig.disk.edit("table.redb", |bytes| {
        // The rows of a leaf page: the group's name is followed by those of its neighbours.
        let (name, next) = (b"room-00300".as_slice(), b"room-00301".as_slice());
        let leaf = |at: &usize| bytes[*at..].starts_with(name) && bytes[at + name.len()..].starts_with(next);
        let places: Vec<usize> = (0..bytes.len() - 20).filter(leaf).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[*at] ^= 1);
    });
    let mut refused = 0;
    for round in 0..2 {
        let told = read_all(&engine, |_| refused += 1);
        check(&told, &truth, "one page");
        assert!(told.groups.len() > GROUPS - 100, "{} groups can be read", told.groups.len());
        assert!(!told.groups.contains_key(&group(300)), "round {round}");
        assert_eq!((told.relations.len(), told.accounts.len()), (USERS + 5, USERS + 5));
    }
    assert!(refused > 0);
    assert!(rig.fatal_words().is_empty());
}

/// Nobody asks for what is damaged, and it is known all the same. So is what the disk does not give back at all.
#[test]
fn damage_that_nobody_reads_is_found_in_the_background() {
    for unreadable in [false, true] {
        let mut rig = Rig::new(1 << 20);
        fill(&rig);
        rig.options.cache_bytes = 0;
        rig.options.limits.check_every = Duration::from_millis(1);
        let engine = rig.open();
        assert_eq!(engine.troubles(), []);
        let places = rig.disk.edit("table.redb", |bytes| {
            let (name, next) = (b"room-00300".as_slice(), b"room-00301".as_slice());
            let leaf = |at: &usize| bytes[*at..].starts_with(name) && bytes[at + name.len()..].starts_with(next);
            let places: Vec<usize> = (0..bytes.len() - 20).filter(leaf).collect();
            places.iter().filter(|_| !unreadable).for_each(|at| bytes[*at] ^= 1);
            places
        });
        if unreadable {
            // Of two places one may be of an older row, that nobody reads any more.
            let is_read = |at: &&usize| {
                rig.disk.set_unreadable("table.redb", **at);
                engine.load_wait(&group(300)).is_err()
            };
            assert!(places.iter().any(|at| is_read(&at)));
        }
        until("the trouble", || !engine.troubles().is_empty());
        let trouble = &engine.troubles()[0];
        assert_eq!(trouble.kind.name(), "damaged");
        assert!(trouble.words.contains("table.redb at byte "), "{trouble}");
        assert!(matches!(engine.load_wait(&group(300)), Err(LoadError::Damaged(_))));
        assert!(engine.load_wait(&group(5)).is_ok());
        engine.close().unwrap();
    }
}

#[test]
fn a_page_in_the_place_of_another_is_noticed() {
    let rig = Rig::new(1 << 20);
    fill(&rig);
    let truth = read_all(&rig.open(), |error| panic!("{error}"));
    let mut random = fastrand::Rng::with_seed(11);
    let mut noticed = 0;
    for round in 0..20 {
        let hurt = rig.killed();
        hurt.disk.edit("table.redb", |bytes| {
            let pages = bytes.len() / 4096;
            let (from, to) = (random.usize(1..pages), random.usize(1..pages));
            bytes.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
        });
        match hurt.try_open() {
            Ok(engine) => {
                let told = read_all(&engine, |_| noticed += 1);
                check(&told, &truth, &format!("round {round}"));
            }
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 0);
}
