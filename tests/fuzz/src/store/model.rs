//! What the store must hold: groups, relations and operations, made by the rules of groups.

use std::collections::BTreeMap;

use tallycast::domain::command::{Mode, Write};
use tallycast::domain::group::{Caller, Group, apply};
use tallycast::domain::member::{Details, GroupType, JoinOption, Profile};
use tallycast::domain::name::{CounterKey, GroupId, GroupName, OpId, UserId};
use tallycast::domain::record::{Answer, Effect, Operation, Record};
use tallycast::store::{Relation, Store};

use super::read;
use crate::bytes::Bytes;

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
/// Groups beside those.
const FILLERS: usize = 60;
const USERS: [&str; 4] = ["u0", "u1", "u2", "u3"];

#[derive(Default, Clone)]
pub struct Model {
    groups: BTreeMap<GroupId, Option<Box<Group>>>,
    operations: Vec<(GroupId, u64, Operation)>,
    batches: u64,
}

impl Model {
    /// The records of the next batch; the model is as after it.
    pub fn plan(&mut self, input: &mut Bytes<'_>, now: u64) -> Vec<Record> {
        self.batches += 1;
        let mut records = Vec::new();
        for number in 0..=input.byte() % 4 {
            let group = GroupId::parse(input.pick(&GROUPS)).expect("a name");
            let Some(effect) = self.effect(&group, input) else { continue };
            let version = match &effect {
                Effect::Changed { version, .. } | Effect::Deleted { version, .. } => *version,
                _ => 0,
            };
            let id = OpId::parse(&format!("{}-{number}", self.batches)).expect("a name");
            let answer = Answer { version, values: [7].into_iter().collect() };
            let operation = Operation { user: user(USERS[0]), id, print: 1, answer };
            let record = Record { group, at: now, effect: Some(effect), operation: Some(operation) };
            self.take(&record);
            records.push(record);
        }
        if records.is_empty() {
            // Every batch changes something: so each state is another.
            let group = GroupId::parse("e").expect("a name");
            let effect = created(GroupType::Public, USERS[0], self.batches.to_string());
            records.push(Record { group, at: now, effect: Some(effect), operation: None });
            self.take(&records[0]);
        }
        records
    }

    /// Makes so many groups that the table's pages become a tree.
    pub fn fill(&mut self, now: u64) -> Vec<Record> {
        self.batches += 1;
        let group = |number| {
            let group = GroupId::parse(&format!("f{number}")).expect("a name");
            let effect = created(GroupType::ChatRoom, USERS[number % USERS.len()], "a long text ".repeat(16));
            Record { group, at: now, effect: Some(effect), operation: None }
        };
        let records: Vec<_> = (0..FILLERS).map(group).collect();
        records.iter().for_each(|record| self.take(record));
        records
    }

    fn take(&mut self, record: &Record) {
        let Some(effect) = &record.effect else { return };
        if *effect == Effect::Dissolved {
            self.operations.retain(|(group, _, _)| *group != record.group);
        }
        apply(self.groups.entry(record.group.clone()).or_default(), effect);
        self.operations.extend(record.operation.iter().map(|operation| (record.group.clone(), record.at, operation.clone())));
    }

    fn effect(&self, group: &GroupId, input: &mut Bytes<'_>) -> Option<Effect> {
        let (what, who) = (input.byte(), user(input.pick(&USERS)));
        let caller = Caller { user: &who, admin: false, seated: true };
        let Some(group) = self.groups.get(group).and_then(Option::as_ref) else {
            // Text of somebody's choice is what blocks and pages are made of.
            let text = String::from_utf8_lossy(input.short()).into_owned();
            return Some(created(GroupType::ALL[usize::from(what) % 4], who.as_str(), text));
        };
        match what % 8 {
            0 => group.plan_dissolve(caller).ok(),
            1 if what < 128 => group.plan_join(caller, 3, 0).ok().flatten(),
            1 => group.plan_add(Caller { admin: true, ..caller }, std::slice::from_ref(&who), 3, 0).ok()?.0,
            2 => group.plan_quit(caller).ok().flatten(),
            3 => group.plan_write(&Write::Delete(None), 20).ok()?.0,
            mode => {
                let mode = [Mode::Set, Mode::Increase][usize::from(mode) % 2];
                let key = CounterKey::parse(&format!("k{}", input.byte() % 5)).expect("a key");
                group.plan_write(&Write::one(mode, key, i64::from(input.byte())), 20).ok()?.0
            }
        }
    }

    /// What a store says that is not so; `None` where it says nothing wrong.
    pub fn differs(&self, store: &Store, now: u64) -> Option<String> {
        let names = GROUPS.iter().chain(&["e"]).map(|name| GroupId::parse(name).expect("a name"));
        for id in names.chain(self.groups.keys().filter(|id| id.as_str().starts_with('f')).cloned()) {
            let name = id.as_str();
            let Some(loaded) = read(|done| store.load(id.clone(), done)) else { continue };
            let expected = self.groups.get(&id).cloned().flatten();
            if loaded.group != expected {
                return Some(format!("group {name} is {:?}, not {expected:?}", loaded.group));
            }
            let of_group = self.operations.iter().filter(|(group, _, _)| *group == id);
            let expected: Vec<_> = of_group.map(|(_, at, operation)| (*at, operation.clone())).collect();
            // They are handed out once.
            if loaded.replays != expected && !loaded.replays.is_empty() {
                return Some(format!("operations of {name} at {now} are {:?}, not {expected:?}", loaded.replays));
            }
        }
        for name in USERS {
            let Some(relations) = read(|done| store.relations(user(name), done)) else { continue };
            let expected = self.relations(&user(name));
            if relations != expected {
                return Some(format!("relations of {name} are {relations:?}, not {expected:?}"));
            }
        }
        let page = read(|done| store.list(None, None, 100, done))?;
        let expected: Vec<_> = self.groups.iter().filter(|(_, group)| group.is_some()).map(|(id, _)| id.clone()).collect();
        (page.groups != expected || page.total != expected.len() as u64).then(|| format!("the list is {page:?}, not {expected:?}"))
    }

    fn relations(&self, user: &UserId) -> Vec<(GroupId, Relation)> {
        let of = |(id, group): (&GroupId, &Option<Box<Group>>)| {
            let group = group.as_ref()?;
            let member = group.members.get(user);
            let owner = group.profile.owner.as_ref() == Some(user);
            let relation = Relation { member: member.is_some(), owner, asked: member.is_some_and(|member| member.asked) };
            (relation != Relation::default()).then(|| (id.clone(), relation))
        };
        self.groups.iter().filter_map(of).collect()
    }
}

fn created(kind: GroupType, owner: &str, introduction: String) -> Effect {
    let details = Details { introduction: introduction.into(), ..Details::default() };
    let (name, owner) = (GroupName::parse("room").expect("a name"), Some(user(owner)));
    let join_option = JoinOption::FreeAccess;
    Group::plan_create(Profile { kind, name, owner, join_option, created_at: 1, incarnation: 7, details }, Vec::new(), 1)
}

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a name")
}
