//! What a repair keeps, and that it tells of everything that it does not.

use super::copies::{Folders, bytes_of, content, copy_folder, filled, now, open, sound};
use super::support::*;
use crate::store::{Batch, repair, verify};

#[test]
fn repair_keeps_what_can_be_read_says_what_is_lost_and_keeps_the_damaged_folder() {
    let folders = Folders::new();
    let data = folders.path("data");
    filled(&data);
    assert!(repair(&data).unwrap().is_none(), "a sound store is left alone");
    let store = open(&data);
    let (truth, generation) = (content(&store), store.generation());
    store.close().unwrap();
    let mut bytes = std::fs::read(data.join("table.redb")).unwrap();
    let name = b"group-21";
    let row = |at: &usize| bytes[*at..].starts_with(name) && bytes[at + name.len()..].starts_with(b"group-22");
    let places: Vec<usize> = (0..bytes.len() - 16).filter(row).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + name.len()].copy_from_slice(b"GROUP=@!");
    }
    std::fs::write(data.join("table.redb"), &bytes).unwrap();
    let repaired = repair(&data).unwrap().unwrap();
    assert!(repaired.done.iter().any(|done| done.starts_with("1 of 40 rows of the table of groups are lost")), "{repaired:?}");
    assert_eq!(std::fs::read(repaired.aside.join("table.redb")).unwrap(), bytes);
    let store = open(&data);
    let mut expected = truth;
    expected.remove("group-21");
    let owner = "user owner".to_owned();
    let relations = expected.get_mut(&owner).unwrap();
    *relations = format!("{:?}", store.0.relations_wait("owner"));
    assert!(!relations.contains("group-21") && relations.contains("group-22"));
    assert!(expected["user bob"].contains("asked: true") && !expected["user ann"].contains("asked: true"));
    assert_eq!(content(&store), expected);
    assert_ne!(store.generation(), generation);
}

#[test]
fn a_cut_journal_is_named_and_repaired_up_to_the_cut() {
    let folders = Folders::new();
    let (data, hurt) = (folders.path("data"), folders.path("hurt"));
    filled(&data);
    for (name, bytes) in bytes_of(&data).into_iter().filter(|(name, _)| name.starts_with("journal-")) {
        copy_folder(&data, &hurt);
        std::fs::write(hurt.join(&name), &bytes[..bytes.len() / 2]).unwrap();
        let verified = verify(&hurt).unwrap();
        assert!(verified.findings.iter().any(|finding| finding.place.contains(&name)), "{name}: {verified:?}");
        let repaired = repair(&hurt).unwrap().unwrap();
        assert!(repaired.done.iter().any(|done| done.contains(&name) && done.contains("lost")), "{name}: {repaired:?}");
        sound(&hurt);
        assert_eq!(open(&hurt).0.list_wait(None, None, 100).groups.len(), 40);
        std::fs::remove_file(hurt.join(&name)).unwrap_or_default();
    }
    copy_folder(&data, &hurt);
    std::fs::remove_file(hurt.join("table.sums")).unwrap();
    assert!(verify(&hurt).unwrap().findings[0].what.contains("table.sums is missing"));
    let repaired = repair(&hurt).unwrap().unwrap();
    assert!(repaired.done[0].contains("table.sums is missing: all checksums were made anew"), "{repaired:?}");
    assert_eq!(content(&open(&hurt)), content(&open(&data)));
    std::fs::remove_file(hurt.join("table.redb")).unwrap();
    assert!(verify(&hurt).unwrap().findings[0].place.contains("table.redb"), "{:?}", verify(&hurt));
    let error = repair(&hurt).unwrap_err().to_string();
    assert!(error.contains("restore a backup"), "{error}");
}

#[test]
fn a_missing_end_of_the_journal_is_told_as_lost() {
    let folders = Folders::new();
    let data = folders.path("data");
    filled(&data);
    let store = open(&data);
    // The names alone: what a running store has not finished is gone again when it is read.
    let names = || {
        let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("journal-")).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names().len();
    let mut version = 1;
    // Up to a segment that begins after the table has the rest.
    while names().len() < before + 2 {
        version += 1;
        store.0.commit_wait(&[record("group-00", now(), changed(version, &[("like", 1)]))]).unwrap();
    }
    drop(store);
    for name in names().into_iter().rev() {
        std::fs::remove_file(data.join(&name)).unwrap();
        if !verify(&data).unwrap().findings.is_empty() {
            let repaired = repair(&data).unwrap().unwrap();
            let told = format!("{name} is missing: ");
            assert!(repaired.done.iter().any(|done| done.starts_with(&told) && done.contains("lost")), "{repaired:?}");
            return;
        }
    }
    panic!("nothing was missed");
}

/// Accounts are names and nothing else, which nothing vouches for but their page.
#[test]
fn names_that_may_be_wrong_are_told() {
    let folders = Folders::new();
    let data = folders.path("data");
    let store = open(&data);
    let (tell, told) = std::sync::mpsc::channel();
    let mut batch = Batch::default();
    (0..200).for_each(|n| batch.push_account(&user(&format!("person-{n:04}"))));
    store.commit(batch, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap().unwrap();
    store.close().unwrap();
    let mut bytes = std::fs::read(data.join("table.redb")).unwrap();
    let row = |at: &usize| bytes[*at..].starts_with(b"person-0100person-0101");
    let places: Vec<usize> = (0..bytes.len() - 22).filter(row).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + 11].copy_from_slice(b"person-009z"));
    std::fs::write(data.join("table.redb"), &bytes).unwrap();
    let repaired = repair(&data).unwrap().unwrap();
    assert!(repaired.done.iter().any(|done| done.contains("accounts") && done.contains("may be wrong")), "{repaired:?}");
}

#[test]
fn files_of_others_stay_in_the_damaged_folder_and_are_named() {
    let folders = Folders::new();
    let data = folders.path("data");
    filled(&data);
    std::fs::write(data.join("audit.log"), "who did what").unwrap();
    std::fs::remove_file(data.join("table.sums")).unwrap();
    let repaired = repair(&data).unwrap().unwrap();
    assert!(repaired.done.iter().any(|done| done.contains("audit.log")), "{repaired:?}");
    assert_eq!(std::fs::read_to_string(repaired.aside.join("audit.log")).unwrap(), "who did what");
}

/// A program of before there were sums refuses a folder of today, and has opened its table by then.
#[test]
fn a_table_that_an_older_program_has_opened_is_repaired() {
    let folders = Folders::new();
    let data = folders.path("data");
    filled(&data);
    let truth = content(&open(&data));
    drop(redb::Database::open(data.join("table.redb")).unwrap());
    let findings = verify(&data).unwrap().findings;
    assert!(findings[0].what.contains("older program"), "{findings:?}");
    let repaired = repair(&data).unwrap().unwrap();
    assert!(repaired.done.iter().any(|done| done.contains("header") && done.contains("redb's own checksums")), "{repaired:?}");
    sound(&data);
    assert_eq!(content(&open(&data)), truth);
}
