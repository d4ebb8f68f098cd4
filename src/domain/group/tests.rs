//! The rules of a group as properties, against a model that knows nothing of plans, effects and undoing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::command::Mode;
use crate::domain::name::{CounterKey, GroupName};

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn caller(user: &UserId) -> Caller<'_> {
    Caller { user, admin: false, seated: false }
}

fn new_group(kind: GroupType, join_option: JoinOption) -> Option<Box<Group>> {
    let profile = Profile {
        kind,
        name: GroupName::parse("room").unwrap(),
        owner: Some(user("owner")),
        join_option,
        created_at: 1,
        incarnation: 7,
        details: Default::default(),
    };
    let mut state = None;
    apply(&mut state, &Group::plan_create(profile, Vec::new(), 1));
    state
}

fn any_write() -> impl Strategy<Value = Write> {
    let key = || (0..24u8).prop_map(|n| CounterKey::parse(&format!("k{n}")).unwrap());
    let value = prop_oneof![-5i64..5, Just(i64::MAX), Just(i64::MIN), any::<i64>()];
    let mode = prop_oneof![Just(Mode::Set), Just(Mode::Increase), Just(Mode::Decrease)];
    prop_oneof![
        8 => (mode, prop::collection::vec((key(), value), 0..6)).prop_map(|(mode, items)| Write::Change(mode, items.into())),
        1 => prop::option::of(prop::collection::vec(key(), 0..4)).prop_map(Write::Delete),
    ]
}

/// The rules of the contract, told over 128-bit numbers.
fn model(counters: &BTreeMap<String, i128>, write: &Write) -> Result<BTreeMap<String, i128>, u32> {
    let mut next = counters.clone();
    match write {
        Write::Delete(None) => next.clear(),
        Write::Delete(Some(keys)) if keys.is_empty() => return Err(10004),
        Write::Delete(Some(keys)) => next.retain(|key, _| !keys.iter().any(|k| k.as_str() == key)),
        Write::Change(mode, items) => {
            if items.is_empty() {
                return Err(10004);
            }
            for (key, value) in items {
                let place = next.entry(key.as_str().to_owned()).or_default();
                *place = match mode {
                    Mode::Set => i128::from(*value),
                    Mode::Increase => *place + i128::from(*value),
                    Mode::Decrease => *place - i128::from(*value),
                };
                if i64::try_from(*place).is_err() {
                    return Err(10004);
                }
            }
            if next.len() > 20 && next.len() > counters.len() {
                return Err(10063);
            }
        }
    }
    Ok(next)
}

fn told(group: &Group) -> BTreeMap<String, i128> {
    group.counters.iter().map(|c| (c.key.as_str().to_owned(), i128::from(c.value))).collect()
}

proptest! {
    #[test]
    fn a_page_of_members_is_what_the_whole_list_has_there(
        members in prop::collection::vec((0..5u64, 0..3usize), 0..60),
        roles in prop::option::of(prop::collection::vec(0..3usize, 0..3)),
        offset in 0..70usize,
        limit in prop_oneof![0..70usize, Just(usize::MAX)],
    ) {
        let all = [Role::Owner, Role::Admin, Role::Member];
        let roles = roles.map(|roles| roles.into_iter().map(|at| all[at]).collect::<Vec<_>>());
        let mut group = *new_group(GroupType::ChatRoom, JoinOption::FreeAccess).unwrap();
        let named = members.iter().enumerate().map(|(n, (at, role))| (user(&format!("u{n}")), Member::new(all[*role], *at)));
        group.members = named.collect();
        let mut whole: Vec<_> = group.members.iter().filter(|(_, member)| roles.as_ref().is_none_or(|r| r.contains(&member.role))).collect();
        whole.sort_by_key(|(user, member)| (member.joined_at, (*user).clone()));
        let expected: Vec<_> = whole.into_iter().skip(offset).take(limit).collect();
        prop_assert_eq!(group.page_of_members(roles.as_deref(), offset, limit), expected);
    }

    /// With so many keys that they are found by a table.
    #[test]
    fn many_counters_are_taken_back_as_they_were(
        before in prop::collection::vec(0..200u8, 0..150),
        after in prop::collection::vec((any::<bool>(), prop::collection::vec(0..200u8, 1..80)), 1..6),
    ) {
        let key = |n: &u8| CounterKey::parse(&format!("k{n}")).unwrap();
        let mut state = new_group(GroupType::ChatRoom, JoinOption::FreeAccess);
        let set = |keys: &[u8], value| Write::Change(Mode::Set, keys.iter().map(|n| (key(n), value)).collect());
        let (mut history, mut model) = (Vec::new(), BTreeMap::new());
        for (at, (deletes, keys)) in [(false, before)].into_iter().chain(after).enumerate() {
            let write = if deletes { Write::Delete(Some(keys.iter().map(key).collect())) } else { set(&keys, at as i64) };
            let Ok((Some(effect), _)) = state.as_ref().unwrap().plan_write(&write, 0) else { continue };
            for n in keys {
                match deletes {
                    true => drop(model.remove(key(&n).as_str())),
                    false => drop(model.insert(key(&n).as_str().to_owned(), at as i128)),
                }
            }
            let was = state.clone();
            let undo = apply(&mut state, &effect);
            prop_assert_eq!(told(state.as_ref().unwrap()), model.clone());
            history.push((was, effect, undo));
        }
        while let Some((was, effect, undo)) = history.pop() {
            take_back(&mut state, &effect, undo);
            prop_assert_eq!(&state, &was);
            for counter in was.unwrap().counters.iter() {
                prop_assert_eq!(state.as_ref().unwrap().counters.value(counter.key.as_str()), Some(counter.value));
            }
        }
    }

    #[test]
    fn counters_follow_the_model_and_refusals_change_nothing(writes in prop::collection::vec(any_write(), 1..80)) {
        let mut state = new_group(GroupType::ChatRoom, JoinOption::FreeAccess);
        let mut journal = Vec::new();
        for write in &writes {
            let before = state.clone().unwrap();
            let planned = before.plan_write(write, 20);
            match (planned, model(&told(&before), write)) {
                (Ok((effect, answer)), Ok(expected)) => {
                    if let Some(effect) = effect {
                        let undo = apply(&mut state, &effect);
                        let after = state.clone();
                        take_back(&mut state, &effect, undo);
                        prop_assert_eq!(state.as_deref(), Some(&*before), "taken back, it never happened");
                        apply(&mut state, &effect);
                        prop_assert_eq!(&state, &after);
                        prop_assert_eq!(state.as_ref().unwrap().version, before.version + 1, "one write, one version");
                        journal.push(effect);
                    } else {
                        prop_assert!(matches!(write, Write::Delete(_)), "only a delete of nothing does nothing");
                    }
                    let after = state.as_ref().unwrap();
                    prop_assert_eq!(answer.version, after.version);
                    prop_assert_eq!(told(after), expected);
                }
                (Err(refusal), Err(code)) => {
                    prop_assert_eq!(refusal.code.number(), code);
                    prop_assert_eq!(state.as_deref(), Some(&*before));
                }
                (planned, expected) => prop_assert!(false, "planned {planned:?}, the model says {expected:?}"),
            }
        }
        let mut replayed = new_group(GroupType::ChatRoom, JoinOption::FreeAccess);
        journal.iter().for_each(|effect| drop(apply(&mut replayed, effect)));
        prop_assert_eq!(replayed, state, "the journal rebuilds the group");
    }

    #[test]
    fn membership_changes_can_be_taken_back(kind in 0usize..3, adds in prop::collection::vec("[a-e]", 1..6), leaves in prop::collection::vec("[a-e]", 1..4)) {
        let mut state = new_group(GroupType::ALL[kind], JoinOption::FreeAccess);
        let owner = user("owner");
        let adds: Vec<_> = adds.iter().map(|name| user(name)).collect();
        let (effect, listed) = state.as_ref().unwrap().plan_add(caller(&owner), &adds, 5, 0).unwrap();
        prop_assert_eq!(listed.success.len() + listed.existed.len(), adds.len());
        let before = state.clone();
        let effect = effect.unwrap();
        let undo = apply(&mut state, &effect);
        take_back(&mut state, &effect, undo);
        prop_assert_eq!(&state, &before);
        if kind == 2 {
            // Whoever joins is marked, as nobody is who was added.
            let (guest, before) = (user("guest"), state.clone());
            let effect = before.as_ref().unwrap().plan_join(caller(&guest), 7, 0).unwrap().unwrap();
            let undo = apply(&mut state, &effect);
            prop_assert_eq!(&state.as_ref().unwrap().members[&guest], &Member::entered(7));
            take_back(&mut state, &effect, undo);
            prop_assert_eq!(&state, &before);
        }
        apply(&mut state, &effect);
        prop_assert!(state.as_ref().unwrap().members.values().all(|member| !member.asked));
        let leaves: Vec<_> = leaves.iter().map(|name| user(name)).collect();
        let (effect, _) = state.as_ref().unwrap().plan_remove(caller(&owner), &leaves).unwrap();
        if let Some(effect) = effect {
            let before = state.clone();
            let undo = apply(&mut state, &effect);
            prop_assert!(leaves.iter().all(|user| !state.as_ref().unwrap().members.contains_key(user)));
            take_back(&mut state, &effect, undo);
            prop_assert_eq!(&state, &before);
        }
    }
}

#[test]
fn only_the_result_counts_for_overflow() {
    let mut state = new_group(GroupType::ChatRoom, JoinOption::FreeAccess);
    let key = || CounterKey::parse("k").unwrap();
    let set = Write::one(Mode::Set, key(), -1);
    let (effect, _) = state.as_ref().unwrap().plan_write(&set, 20).unwrap();
    apply(&mut state, &effect.unwrap());
    let group = state.as_ref().unwrap();
    let (effect, _) = group.plan_write(&Write::one(Mode::Decrease, key(), i64::MIN), 20).unwrap();
    assert_eq!(effect, Some(Effect::Changed { version: 2, values: smallvec::smallvec![(key(), i64::MAX)] }));
    let refused = group.plan_write(&Write::one(Mode::Increase, key(), i64::MIN), 20).unwrap_err();
    assert_eq!(refused.code, Code::InvalidParameter);
}

#[test]
fn joining_and_leaving_follow_the_type() {
    let (owner, guest) = (user("owner"), user("guest"));
    let join = |kind, option| new_group(kind, option).unwrap().plan_join(caller(&guest), 5, 0).map_err(|r| r.code);
    assert_eq!(join(GroupType::Private, JoinOption::FreeAccess), Err(Code::NotPermitted));
    assert_eq!(join(GroupType::Public, JoinOption::NeedPermission), Err(Code::NotPermitted));
    assert!(join(GroupType::Public, JoinOption::FreeAccess).unwrap().is_some());
    assert!(join(GroupType::ChatRoom, JoinOption::DisableApply).unwrap().is_some());
    assert_eq!(join(GroupType::AvChatRoom, JoinOption::FreeAccess), Ok(None));

    let quit = |kind, who: &UserId| new_group(kind, JoinOption::FreeAccess).unwrap().plan_quit(caller(who)).map_err(|r| r.code);
    assert_eq!(quit(GroupType::Public, &owner), Err(Code::OwnerCannotQuit));
    assert_eq!(quit(GroupType::ChatRoom, &owner), Err(Code::OwnerCannotQuit));
    assert!(quit(GroupType::Private, &owner).unwrap().is_some());
    assert_eq!(quit(GroupType::ChatRoom, &guest), Err(Code::NotPermitted));

    let mut ownerless = new_group(GroupType::Private, JoinOption::FreeAccess);
    apply(&mut ownerless, &Effect::Left { users: vec![owner.clone()] });
    assert_eq!(ownerless.as_ref().unwrap().profile.owner, None);
    assert_eq!(ownerless.as_ref().unwrap().plan_dissolve(caller(&owner)).unwrap_err().code, Code::NotPermitted);
}

#[test]
fn members_limits_and_ranks() {
    let (owner, guest, other) = (user("owner"), user("guest"), user("other"));
    let mut state = new_group(GroupType::ChatRoom, JoinOption::FreeAccess);
    apply(&mut state, &Effect::Joined { members: vec![(guest.clone(), Member::new(Role::Member, 2))] });
    let group = state.as_ref().unwrap();
    assert_eq!(group.plan_add(caller(&guest), std::slice::from_ref(&other), 3, 0).unwrap_err().code, Code::NotPermitted);
    assert_eq!(group.plan_add(caller(&owner), std::slice::from_ref(&other), 3, 2).unwrap_err().code, Code::GroupFull);
    assert_eq!(group.plan_join(caller(&other), 3, 2).unwrap_err().code, Code::GroupFull);
    let (_, listed) = group.plan_remove(caller(&owner), &[owner.clone(), guest.clone(), other.clone()]).unwrap();
    assert_eq!((listed.failure, listed.success), (vec![owner.clone()], vec![guest.clone(), other.clone()]));
    assert_eq!(group.plan_remove(caller(&guest), &[other]).unwrap_err().code, Code::NotPermitted);
    assert_eq!(group.plan_dissolve(caller(&guest)).unwrap_err().code, Code::NotPermitted);
    assert!(group.plan_dissolve(Caller { user: &guest, admin: true, seated: false }).is_ok());
}
