//! Random histories, cut off at random moments: what was acknowledged is there, nothing is there by half.
//!
//! Batches are committed in the order in which they are handed in. So after any end the store must equal the model after
//! some number of batches: all that were acknowledged, and perhaps more. Every batch counts up the group `clock` by one,
//! which tells the number; then every group, relation and operation is compared.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::support::*;
use crate::domain::command::{Mode, Write};
use crate::domain::group::{Caller, Group, apply};
use crate::domain::member::{GroupType, JoinOption, Profile};
use crate::domain::name::{GroupId, GroupName};
use crate::domain::record::{Effect, Operation, Record};
use crate::store::embedded::Engine;
use crate::store::embedded::disk::memory::Verdict;
use crate::store::{CommitError, Durability, Relation};

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
const USERS: [&str; 4] = ["u0", "u1", "u2", "u3"];
const WINDOW: u64 = 5_000;

/// How a life of the store ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    PowerOff,
    /// The disk alone is cut off, and comes back: the machine runs on.
    Detach,
    /// The power fails at the n-th operation of the disk, whoever does it.
    PowerOffAt(usize),
    /// … and again while the next start recovers.
    PowerOffTwice(usize, usize),
    Close,
}

#[derive(Debug, Clone)]
struct Life {
    batches: Vec<Vec<(u8, u8, i64)>>,
    /// How many batches are handed in before the first answer is waited for.
    ahead: usize,
    merge_after_bytes: u64,
    sync_every_micros: u64,
    advance: u64,
    end: End,
}

fn any_life() -> impl Strategy<Value = Life> {
    let batch = prop::collection::vec((any::<u8>(), any::<u8>(), -9i64..9), 0..12);
    let end = prop_oneof![
        2 => Just(End::Kill),
        2 => Just(End::PowerOff),
        2 => Just(End::Detach),
        3 => (0usize..150).prop_map(End::PowerOffAt),
        2 => (0usize..150, 0usize..60).prop_map(|(first, second)| End::PowerOffTwice(first, second)),
        1 => Just(End::Close),
    ];
    let merge_after = prop_oneof![Just(1u64), Just(2_000), Just(1 << 30)];
    let sync_every = prop_oneof![Just(0u64), Just(200), Just(100_000)];
    let advance = prop_oneof![3 => 0u64..500, 1 => 2_000u64..7_000];
    (prop::collection::vec(batch, 0..40), 1usize..8, merge_after, sync_every, advance, end).prop_map(
        |(batches, ahead, merge_after_bytes, sync_every_micros, advance, end)| Life {
            batches,
            ahead,
            merge_after_bytes,
            sync_every_micros,
            advance,
            end,
        },
    )
}

#[derive(Default, Clone)]
struct Model {
    groups: HashMap<GroupId, Option<Box<Group>>>,
    operations: Vec<(GroupId, u64, Operation)>,
    count: u64,
}

impl Model {
    fn take(&mut self, record: &Record) {
        if let Some(effect) = &record.effect {
            if *effect == Effect::Dissolved {
                self.operations.retain(|(group, _, _)| *group != record.group);
            }
            apply(self.groups.entry(record.group.clone()).or_default(), effect);
        }
        if let Some(operation) = &record.operation {
            self.operations.push((record.group.clone(), record.at, operation.clone()));
        }
    }

    /// The next batch, planned by the rules; the model is as after it.
    fn plan(&mut self, batch: &[(u8, u8, i64)], now: u64) -> Vec<Record> {
        self.count += 1;
        let mut records = Vec::new();
        if self.count == 1 {
            records.push(record("clock", now, created(GroupType::Public, "owner")));
            self.take(&records[0]);
        }
        records.push(record("clock", now, changed(self.count, &[("batches", self.count as i64)])));
        self.take(&records[records.len() - 1]);
        for (number, (what, who, value)) in batch.iter().enumerate() {
            let name = GROUPS[usize::from(*what) % GROUPS.len()];
            let Some(effect) = self.plan_one(name, what / 16, USERS[usize::from(*who) % USERS.len()], *value) else { continue };
            let version = match &effect {
                Effect::Changed { version, .. } | Effect::Deleted { version, .. } => *version,
                _ => 0,
            };
            let record = named(record(name, now, effect), &format!("{}-{number}", self.count), version);
            self.take(&record);
            records.push(record);
        }
        records
    }

    fn plan_one(&self, name: &str, what: u8, who: &str, value: i64) -> Option<Effect> {
        let user = user(who);
        let caller = Caller { user: &user, admin: false, seated: true };
        let Some(group) = self.groups.get(&id(name)).and_then(|group| group.as_ref()) else {
            let kind = GroupType::ALL[usize::from(what) % 4];
            let (name, owner) = (GroupName::parse("room").unwrap(), Some(user.clone()));
            let profile = Profile {
                kind,
                name,
                owner,
                join_option: JoinOption::FreeAccess,
                created_at: 1,
                incarnation: u32::from(what),
                details: Default::default(),
            };
            return Some(Group::plan_create(profile, Vec::new(), 1));
        };
        match what {
            0 => group.plan_dissolve(caller).ok(),
            1 => group.plan_join(caller, 3, 0).ok().flatten(),
            2 => group.plan_add(Caller { admin: true, ..caller }, std::slice::from_ref(&user), 3, 0).ok()?.0,
            3 | 4 => group.plan_quit(caller).ok().flatten(),
            5 => group.plan_write(&Write::Delete(None), 20).ok()?.0,
            _ => {
                let items = [(key("k0"), value), (key(&format!("k{}", what % 3)), 1)];
                group.plan_write(&Write::Change(Mode::Increase, items.into_iter().collect()), 20).ok()?.0
            }
        }
    }

    fn relations(&self, who: &str) -> Vec<(GroupId, Relation)> {
        let of = |(id, group): (&GroupId, &Option<Box<Group>>)| {
            let group = group.as_ref()?;
            let user = user(who);
            let member = group.members.get(&user);
            let owner = group.profile.owner.as_ref() == Some(&user);
            let relation = Relation { member: member.is_some(), owner, asked: member.is_some_and(|member| member.asked) };
            (relation != Relation::default()).then(|| (id.clone(), relation))
        };
        let mut relations: Vec<_> = self.groups.iter().filter_map(of).collect();
        relations.sort_by(|(a, _), (b, _)| a.cmp(b));
        relations
    }

    /// What can be seen without loading: also what is not merged.
    fn check_overlay(&self, engine: &Engine) {
        for who in USERS {
            let mut relations = self.relations(who);
            assert_eq!(engine.relations_wait(who), relations, "relations of {who}");
            assert_eq!(engine.owned_wait(who), relations.iter().filter(|(_, relation)| relation.owner).count(), "groups of {who}");
            relations.retain(|(_, relation)| relation.member);
            relations.sort_by_key(|(_, relation)| relation.rank());
            for max in 1..=GROUPS.len() {
                assert_eq!(engine.seats_wait(who, max), relations[..max.min(relations.len())], "the first {max} of {who}");
            }
        }
        let mut alive: Vec<_> = self.groups.iter().filter(|(_, group)| group.is_some()).map(|(id, _)| id.clone()).collect();
        alive.sort();
        let page = engine.list_wait(None, None, 100);
        assert_eq!((page.total, page.groups), (alive.len() as u64, alive));
    }

    fn check_all(&self, engine: &Engine, now: u64) {
        for (id, expected) in &self.groups {
            let loaded = engine.load_wait(id).unwrap();
            assert_eq!(&loaded.group, expected, "{id}");
            let of_group = self.operations.iter().filter(|(group, at, _)| group == id && at + WINDOW >= now);
            let operations: Vec<_> = of_group.map(|(_, at, operation)| (*at, operation.clone())).collect();
            assert_eq!(loaded.replays, operations, "operations of {id}");
        }
    }
}

/// Runs one life: gives back its states, the oldest first, and the number of the last one that was acknowledged.
fn live(rig: &Rig, engine: &Engine, life: &Life, start: &Model) -> (Vec<Model>, usize) {
    let (mut models, acknowledged) = (vec![start.clone()], Arc::new(AtomicUsize::new(0)));
    let (tell, told) = std::sync::mpsc::channel();
    let mut open = 0;
    for planned in &life.batches {
        let mut model = models[models.len() - 1].clone();
        let records = model.plan(planned, rig.now());
        models.push(model);
        rig.advance(life.advance / 40);
        let (tell, acknowledged, number) = (tell.clone(), acknowledged.clone(), models.len() - 1);
        let done = move |result: Result<_, CommitError>| {
            if result.is_ok() {
                let before = acknowledged.swap(number, Ordering::SeqCst);
                assert_eq!(before, number - 1, "answers come in order, and none after a failure");
            }
            tell.send(()).unwrap();
        };
        engine.commit(batch(&records), Box::new(done));
        open += 1;
        if open >= life.ahead {
            told.recv().unwrap();
            open -= 1;
        }
    }
    if matches!(life.end, End::Close) || models.len() % 2 == 0 {
        (0..open).for_each(|_| told.recv().unwrap());
    }
    if acknowledged.load(Ordering::SeqCst) == models.len() - 1 {
        // A power cut in the midst of the look would be taken for its result.
        rig.disk.clear_fate();
        if !rig.disk.is_dead() {
            models[models.len() - 1].check_overlay(engine);
        }
    }
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    (models, acknowledged)
}

fn power_off_at(rig: &Rig, number: usize) {
    let mut left = number;
    rig.disk.set_fate(move |_, _| {
        left = left.saturating_sub(1);
        if left == 0 { Verdict::PowerOff } else { Verdict::Go }
    });
}

/// Ends a life; the store that the next one begins with.
fn end(rig: &Rig, engine: Engine, life: &Life, random: &mut fastrand::Rng) -> Rig {
    match life.end {
        End::Close => {
            engine.close().unwrap();
            rig.clone()
        }
        End::Kill => rig.killed(),
        End::Detach => rig.after_detaching(random),
        _ => rig.after_power_loss(random),
    }
}

fn run(lives: &[Life], durability: Durability, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::new(4096);
    rig.options.durability = durability;
    rig.options.replay_window = std::time::Duration::from_millis(WINDOW);
    let (mut model, mut generation) = (Model::default(), 1);
    for life in lives {
        rig.options.limits.merge_after_bytes = life.merge_after_bytes;
        rig.options.limits.sync_every = std::time::Duration::from_micros(life.sync_every_micros);
        let engine = rig.open();
        if let End::PowerOffAt(number) | End::PowerOffTwice(number, _) = life.end {
            power_off_at(&rig, number);
        }
        let (states, acknowledged) = live(&rig, &engine, life, &model);
        let power_lost = !matches!(life.end, End::Kill | End::Close);
        rig = end(&rig, engine, life, &mut random);
        if let End::PowerOffTwice(_, second) = life.end {
            power_off_at(&rig, second);
            let opened = rig.try_open();
            assert!(opened.is_ok() || rig.disk.is_dead(), "{}", opened.err().unwrap());
            drop(opened);
            rig = rig.after_power_loss(&mut random);
        }
        rig.advance(life.advance);
        let engine = rig.open();
        let count = engine.version_wait(&id("clock"));
        if count < states[acknowledged].count {
            assert!(
                durability == Durability::Interval && power_lost,
                "lost: {} were acknowledged, {count} are there",
                states[acknowledged].count
            );
            assert!(engine.generation() > generation, "a loss changes the generation");
        }
        if durability == Durability::Sync || !power_lost {
            assert_eq!(engine.generation(), generation, "without a loss the generation stays");
        }
        generation = engine.generation();
        let state = states.into_iter().find(|state| state.count == count).expect("a state between the life's beginning and its end");
        state.check_overlay(&engine);
        state.check_all(&engine, rig.now());
        model = state;
        drop(engine);
        rig = rig.killed();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_everything(lives in prop::collection::vec(any_life(), 1..5), seed in any::<u64>()) {
        run(&lives, Durability::Sync, seed);
    }

    #[test]
    fn an_interval_may_be_lost_but_is_never_torn(lives in prop::collection::vec(any_life(), 1..5), seed in any::<u64>()) {
        run(&lives, Durability::Interval, seed);
    }
}

/// `STORE_CASES=1000` looks longer.
fn cases() -> u32 {
    std::env::var("STORE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}
