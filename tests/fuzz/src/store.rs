//! A store's folder that was damaged between two starts: a wrong bit, a range of other bytes, a cut, long, missing or exchanged
//! file. Either the store refuses, or everything that was answered is there.
//!
//! One loss cannot be told from a write that was cut off before anybody was answered: that of the very last block, after a
//! kill. Every other block is known to the one behind it.

mod damage;
mod model;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use damage::{Files, Touched};
use model::Model;
use tallycast::store::{Batch, Limits, LoadError, Options, Store};

use crate::bytes::Bytes;

const BATCHES_MAX: u8 = 24;
const DAMAGES_MAX: u8 = 3;
const NOW: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

thread_local! {
    /// While a store is being opened, redb may panic on this thread, which is caught.
    static OPENING: Cell<bool> = const { Cell::new(false) };
}

pub fn target() -> impl FnMut(&[u8]) {
    hush();
    let parent = tempfile::tempdir().expect("a folder");
    move |data| {
        let folder = parent.path().join("store");
        let _ = std::fs::remove_dir_all(&folder);
        run(data, &folder);
    }
}

/// A panic of a thread of the store makes it fail with words, which is allowed; a fuzzer would end at it.
fn hush() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let of_store = std::thread::current().name().is_some_and(|name| name.starts_with("store-"));
        if !of_store && !OPENING.get() {
            loud(info);
        }
    }));
}

fn run(data: &[u8], folder: &Path) {
    let mut input = Bytes::new(data);
    let options = input.byte();
    let closes = options & 1 == 1;
    let mut models = vec![Model::default()];
    let lives = 1 + usize::from(options >> 2) % 2;
    for life in 0..lives {
        let crowded = life == 0 && options & 8 == 8;
        let store = open(folder, options).unwrap_or_else(|words| panic!("a sound store does not open: {words}"));
        for number in 0..input.byte() % BATCHES_MAX {
            let mut model = models[models.len() - 1].clone();
            let records = if crowded && number == 0 { model.fill(NOW) } else { model.plan(&mut input, NOW) };
            let mut batch = Batch::default();
            records.iter().for_each(|record| batch.push(record));
            models.push(model);
            wait(|done| store.commit(batch, done)).expect("a sound disk takes it");
        }
        if closes || life + 1 < lives {
            store.close().expect("a sound store closes");
        }
    }
    let count = input.byte() % DAMAGES_MAX;
    let files = Files::of(folder);
    let touched = (0..count).fold(Touched::default(), |touched, _| touched.and(files.hurt(&mut input)));

    let store = match open(folder, options) {
        Ok(store) => store,
        Err(words) => {
            assert!(count > 0, "an unhurt store does not open: {words}");
            return assert!(words.contains("store"), "who reads this cannot tell where: {words}");
        }
    };
    let newest = &models[models.len() - 1];
    let told = newest.differs(&store, NOW);
    let Some(difference) = told else { return };
    assert!(count > 0, "an unhurt store: {difference}");
    if touched.tail && !closes {
        return;
    }
    // Each wrong bit can hurt one of the last blocks: where all behind a block are hurt, none is left to know of it.
    let lost_at_most = if closes { 0 } else { touched.newest };
    let mut before = models.iter().rev().skip(1).take(lost_at_most);
    assert!(before.any(|before| before.differs(&store, NOW).is_none()), "damage is silent: {difference}");
}

/// Opens the folder, with the options of an input.
fn open(folder: &Path, options: u8) -> Result<Store, String> {
    let (eager, crowded) = (options & 2 == 2, options & 8 == 8);
    let mut options = Options::new(folder);
    options.cache_bytes = 1 << 20;
    options.replay_window = Duration::from_secs(5);
    options.clock = Arc::new(|| NOW);
    let merge_after_bytes = if eager { 1 } else { 1 << 30 };
    let segment_bytes = if crowded { 32_768 } else { 4096 };
    options.limits = Limits { segment_bytes, merge_after_bytes, merge_after: Duration::from_secs(3600), ..Limits::default() };
    OPENING.set(true);
    let opened = Store::open(&options, Box::new(|_| {}));
    OPENING.set(false);
    opened.map_err(|error| error.to_string())
}

/// Asks the store and waits for its answer.
fn wait<T: Send + 'static, E: Send + 'static>(ask: impl FnOnce(tallycast::store::Done<T, E>)) -> Result<T, E> {
    let (tell, told): (_, Receiver<Result<T, E>>) = channel();
    ask(Box::new(move |answer| drop(tell.send(answer))));
    told.recv_timeout(PATIENCE).expect("the store answers")
}

/// What a reading store says; a refusal is no lie.
fn read<T: Send + 'static>(ask: impl FnOnce(tallycast::store::Done<T, LoadError>)) -> Option<T> {
    wait(ask).ok()
}
