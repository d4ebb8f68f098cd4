//! Who belongs where, and which groups there are: from the table and from what is not merged yet, without a seam.

use super::support::*;
use crate::domain::member::GroupType;
use crate::domain::record::Effect;
use crate::store::embedded::disk::memory::{Op, Verdict};
use crate::store::embedded::{Engine, belonging};
use crate::store::{Batch, Relation};

const MEMBER: Relation = Relation { member: true, owner: false, asked: false };
const ASKED: Relation = Relation { asked: true, ..MEMBER };
const OWNER: Relation = Relation { owner: true, ..MEMBER };

#[test]
fn relations_are_the_same_before_and_after_merging() {
    for rig in [Rig::new(16384), Rig::new(16384).eager()] {
        let engine = rig.open();
        let commit = |effects: Vec<(&str, Effect)>| {
            let records: Vec<_> = effects.into_iter().map(|(group, effect)| record(group, 1, effect)).collect();
            let lsn = engine.commit_wait(&records).unwrap();
            let merges = rig.options.limits.merge_after_bytes == 1;
            until("the merge", || !merges || engine.merged() >= lsn);
        };
        commit(vec![("a", created(GroupType::Private, "x")), ("b", created(GroupType::AvChatRoom, "x"))]);
        commit(vec![("a", joined(&["y", "z"])), ("c", created(GroupType::Public, "y"))]);
        let only_owner = Relation { member: false, ..OWNER };
        assert_eq!(engine.relations_wait("x"), [(id("a"), OWNER), (id("b"), only_owner)]);
        assert_eq!(engine.relations_wait("y"), [(id("a"), MEMBER), (id("c"), OWNER)]);
        commit(vec![("a", left(&["x", "z"]))]);
        assert_eq!(engine.relations_wait("x"), [(id("b"), only_owner)]);
        assert_eq!(engine.relations_wait("z"), []);
        commit(vec![("a", Effect::Dissolved), ("a", created(GroupType::Public, "z")), ("a", joined(&["x"])), ("b", Effect::Dissolved)]);
        assert_eq!(engine.relations_wait("x"), [(id("a"), MEMBER)]);
        assert_eq!(engine.relations_wait("y"), [(id("c"), OWNER)], "a member of the group's earlier life is none of this one");
        assert_eq!(engine.relations_wait("z"), [(id("a"), OWNER)]);
        assert_eq!(engine.relations_wait("nobody"), []);
        let again = rig.killed().open();
        for who in ["x", "y", "z"] {
            assert_eq!(again.relations_wait(who), engine.relations_wait(who), "after a start");
        }
        let group = again.load_wait(&id("a")).unwrap().group.unwrap();
        assert_eq!(group.members.len(), 2);
        assert_eq!(group.profile.owner, Some(user("z")));
    }
}

#[test]
fn who_caused_a_membership_is_known_before_and_after_merging_and_after_a_start() {
    for rig in [Rig::new(16384), Rig::new(16384).eager()] {
        let engine = rig.open();
        let commit = |group: &str, effect: Effect| {
            let lsn = engine.commit_wait(&[record(group, 1, effect)]).unwrap();
            let merges = rig.options.limits.merge_after_bytes == 1;
            until("the merge", || !merges || engine.merged() >= lsn);
        };
        for group in ["a", "b", "c", "d"] {
            commit(group, created(GroupType::ChatRoom, if group == "d" { "x" } else { "owner" }));
        }
        commit("live", created(GroupType::AvChatRoom, "x"));
        commit("a", joined(&["x"]));
        commit("b", joined(&["x"]));
        commit("c", entered("x"));
        assert_eq!(engine.seats_wait("x", 9), [(id("d"), OWNER), (id("c"), ASKED), (id("a"), MEMBER), (id("b"), MEMBER)]);
        assert_eq!(engine.seats_wait("x", 3), [(id("d"), OWNER), (id("c"), ASKED), (id("a"), MEMBER)]);
        assert_eq!(engine.owned_wait("x"), 2);
        // Who is added again is there by others' doing, and the other way round.
        commit("c", left(&["x"]));
        commit("c", joined(&["x"]));
        commit("b", left(&["x"]));
        commit("b", entered("x"));
        commit("d", Effect::Dissolved);
        let expected = [(id("b"), ASKED), (id("a"), MEMBER), (id("c"), MEMBER)];
        assert_eq!(engine.seats_wait("x", 9), expected);
        assert_eq!((engine.seats_wait("x", 1), engine.owned_wait("x")), (expected[..1].to_vec(), 1));
        let again = rig.killed().open();
        assert_eq!(again.seats_wait("x", 9), expected, "after a kill");
        again.close().unwrap();
        engine.close().unwrap();
        let again = rig.open();
        assert_eq!(again.seats_wait("x", 9), expected, "from the table");
        let group = again.load_wait(&id("b")).unwrap().group.unwrap();
        assert!(group.members[&user("x")].asked && !group.members[&user("owner")].asked);
    }
}

/// What others caused is read only as far as it is wanted, also where the table's first rows have just become void.
#[test]
fn the_first_seats_are_found_without_reading_all() {
    let rig = Rig::new(1 << 20);
    let engine = rig.open();
    let name = |kind: &str, n: usize| format!("{kind}{n:03}");
    let mut records = Vec::new();
    for n in 0..300 {
        for (kind, effect) in [("added", joined(&["x"])), ("joined", entered("x"))] {
            if kind == "added" || n < 20 {
                records.push(record(&name(kind, n), 1, created(GroupType::Public, "owner")));
                records.push(record(&name(kind, n), 1, effect));
            }
        }
    }
    engine.commit_wait(&records).unwrap();
    engine.close().unwrap();
    let engine = rig.open();
    let read = |rows_max| {
        let view = engine.shared.reading.table.begin_read().unwrap();
        belonging::first(&view, &user("x"), rows_max).unwrap()
    };
    let known = read(8);
    assert_eq!((known.relations.len(), known.horizon), (8, Some((1, id("joined007")))));
    assert_eq!(read(25).horizon, Some((2, id("added004"))));
    assert_eq!((read(320).relations.len(), read(320).horizon), (320, None));
    let expect = |joined: std::ops::Range<usize>, added: std::ops::Range<usize>| {
        let joined = joined.map(|n| (id(&name("joined", n)), ASKED));
        joined.chain(added.map(|n| (id(&name("added", n)), MEMBER))).collect::<Vec<_>>()
    };
    assert_eq!(engine.seats_wait("x", 8), expect(0..8, 0..0));
    assert_eq!(engine.seats_wait("x", 30), expect(0..20, 0..10));
    // Now what follows is in the journal alone.
    let void: Vec<_> = (0..15).map(|n| record(&name("joined", n), 1, left(&["x"]))).collect();
    engine.commit_wait(&void).unwrap();
    assert_eq!(engine.seats_wait("x", 4), expect(15..19, 0..0));
    assert_eq!(engine.seats_wait("x", 8), expect(15..20, 0..3));
    let void: Vec<_> = (0..250).map(|n| record(&name("added", n), 1, Effect::Dissolved)).collect();
    engine.commit_wait(&void).unwrap();
    assert_eq!(engine.seats_wait("x", 8), expect(15..20, 250..253));
    assert_eq!(engine.seats_wait("x", usize::MAX), expect(15..20, 250..300));
}

#[test]
fn relations_know_a_commit_as_soon_as_it_is_answered_while_merges_run() {
    let rig = Rig::new(16384).eager();
    let engine = rig.open();
    engine.commit_wait(&[record("g", 1, created(GroupType::Public, "owner"))]).unwrap();
    for round in 0..200 {
        engine.commit_wait(&[record("g", 1, joined(&["u"]))]).unwrap();
        assert_eq!(engine.relations_wait("u"), [(id("g"), MEMBER)], "round {round}");
        engine.commit_wait(&[record("g", 1, left(&["u"]))]).unwrap();
        assert_eq!(engine.relations_wait("u"), [], "round {round}");
    }
}

#[test]
fn pages_are_whole_and_in_order_wherever_the_groups_are() {
    let rig = Rig::new(16384);
    let engine = rig.open();
    let kinds = [GroupType::Public, GroupType::AvChatRoom, GroupType::ChatRoom];
    let create = |n: usize| record(&format!("g{n:02}"), 1, created(kinds[n % 3], "owner"));
    engine.commit_wait(&(0..20).step_by(2).map(create).collect::<Vec<_>>()).unwrap();
    engine.close().unwrap();
    let engine = rig.open();
    engine.commit_wait(&(1..20).step_by(2).map(create).collect::<Vec<_>>()).unwrap();
    let mut ends = Batch::default();
    for n in [4, 5] {
        ends.push_of(&record(&format!("g{n:02}"), 1, Effect::Dissolved), Some(kinds[n % 3]));
    }
    let (tell, told) = std::sync::mpsc::channel();
    engine.commit(ends, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap().unwrap();
    check_pages(&engine, kinds);
    let table = &engine.shared.reading.table;
    let forget_kinds = |kind: GroupType| {
        let meta = table.meta().unwrap();
        table.write(|transaction| Ok((transaction.delete_table(crate::store::embedded::kinds::table_of(kind))?, meta))).unwrap();
    };
    forget_kinds(GroupType::Public);
    check_pages(&engine, kinds);
    GroupType::ALL.into_iter().for_each(forget_kinds);
    check_pages(&engine, kinds);
    let known = |engine: &Engine| {
        let view = engine.shared.reading.table.begin_read().unwrap();
        GroupType::ALL.map(|kind| crate::store::embedded::kinds::count(&view, kind).unwrap())
    };
    assert_eq!(known(&engine), [None; 4]);
    // As a folder of an earlier program comes to this one.
    let rig = rig.killed();
    let engine = rig.open();
    assert_eq!(known(&engine), [0, 7, 5, 6].map(Some));
    check_pages(&engine, kinds);
    engine.commit_wait(&[record("g00", 1, Effect::Dissolved), record("g00", 1, created(GroupType::Private, "owner"))]).unwrap();
    engine.close().unwrap();
    let engine = rig.open();
    assert_eq!(known(&engine), [1, 6, 5, 6].map(Some));
}

/// Of 20 groups two are gone; the types go round.
fn check_pages(engine: &Engine, kinds: [GroupType; 3]) {
    let left: Vec<usize> = (0..20).filter(|n| *n != 4 && *n != 5).collect();
    let all: Vec<_> = (0..20).map(|n| id(&format!("g{n:02}"))).collect();
    let (tell, told) = std::sync::mpsc::channel();
    engine.kinds(all, Box::new(move |found| tell.send(found).unwrap()));
    let expected: Vec<_> = (0..20).map(|n| left.contains(&n).then_some(kinds[n % 3])).collect();
    assert_eq!(told.recv().unwrap().unwrap(), expected);
    for kind in [None, Some(GroupType::Public), Some(GroupType::AvChatRoom), Some(GroupType::Private)] {
        let of_kind = left.iter().filter(|n| kind.is_none_or(|kind| kinds[*n % 3] == kind));
        let expected: Vec<_> = of_kind.map(|n| id(&format!("g{n:02}"))).collect();
        for limit in [1, 3, 100] {
            let (mut found, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = engine.list_wait(after.as_deref(), kind, limit);
                assert!(page.groups.len() <= limit);
                assert_eq!(page.total, expected.len() as u64);
                found.extend(page.groups);
                match page.next {
                    Some(next) => after = Some(next.as_str().to_owned()),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{kind:?} by {limit}");
        }
    }
}

/// Two commits must not be answered by one sync that began before the second was written.
#[test]
fn answers_come_after_the_sync_of_their_own_block() {
    let rig = Rig::new(16384);
    let engine = rig.open();
    let lsn = engine.commit_wait(&[record("g", 1, created(GroupType::Public, "owner"))]).unwrap();
    rig.disk.set_fate(|op, _| if op == Op::Sync { Verdict::PowerOff } else { Verdict::Go });
    assert!(engine.commit_wait(&[record("g", 1, changed(1, &[("like", 1)]))]).is_err());
    assert_eq!(lsn, 1);
}
