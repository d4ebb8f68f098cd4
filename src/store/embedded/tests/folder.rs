//! On a folder of the operating system.

use super::support::*;
use crate::domain::member::GroupType;
use crate::store::{OpenError, Options, Store};

fn silent() -> crate::store::OnFatal {
    Box::new(|words| panic!("{words}"))
}

#[test]
fn what_was_committed_is_there_after_closing_and_after_dropping() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("deep/inside"));
    let store = Store::open(&options, silent()).unwrap();
    store.0.commit_wait(&[record("g", 1, created(GroupType::Public, "owner"))]).unwrap();
    store.0.commit_wait(&[record("g", 1, changed(1, &[("like", 5), ("gift", -7)]))]).unwrap();
    store.close().unwrap();
    let store = Store::open(&options, silent()).unwrap();
    store.0.commit_wait(&[record("g", 1, changed(2, &[("like", 6)]))]).unwrap();
    drop(store);
    let store = Store::open(&options, silent()).unwrap();
    let group = store.0.load_wait(&id("g")).unwrap().group.unwrap();
    assert_eq!((group.version, group.counters.value("like"), group.counters.value("gift")), (2, Some(6), Some(-7)));
    assert_eq!(group.members.len(), 1);
    assert_eq!(store.generation(), 1);
}

#[test]
fn a_second_process_is_refused_by_name_and_let_in_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path());
    let store = Store::open(&options, silent()).unwrap();
    match Store::open(&options, silent()).err().unwrap() {
        OpenError::InUse(name) => assert_eq!(name, folder.path().display().to_string()),
        other => panic!("{other}"),
    }
    store.close().unwrap();
    Store::open(&options, silent()).unwrap();
}
