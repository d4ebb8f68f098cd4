//! Increments under a window: each connection keeps so many of them under way and sends the next on each answer. Every one
//! has a fresh operation id, and what was acknowledged is added up by group, so that the end can be checked.

use std::io::Write as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tallycast::cli::bench::client::Outbound;

use crate::fleet::Fleet;
use crate::report;
use crate::socket::number_after;

/// More than any window: an answer finds its request by its number modulo this.
const SLOTS: usize = 64;

#[derive(Clone, Copy)]
struct Sent {
    at: Instant,
    group: usize,
    value: i64,
}

/// What the groups should hold.
pub struct Books {
    /// Sums of acknowledged increments by group.
    pub acked: Vec<i64>,
    /// Sums of those whose answer never came.
    pub open: Vec<i64>,
}

impl Books {
    /// Books of so many groups.
    pub fn new(groups: usize) -> Self {
        Self { acked: vec![0; groups], open: vec![0; groups] }
    }
}

/// What was seen while measuring.
pub struct Tally {
    /// Acknowledged writes.
    pub acks: u64,
    /// Writes answered with another code than 0.
    pub refused: u64,
    /// Pushes that arrived.
    pub pushes: u64,
    /// Time from a write's sending to its answer, in microseconds.
    pub latency: Histogram<u64>,
}

impl Tally {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { acks: 0, refused: 0, pushes: 0, latency: report::histogram() }
    }
}

/// The load of a fleet.
pub struct Load<'a, P: FnMut(usize) -> usize> {
    fleet: &'a mut Fleet,
    books: &'a mut Books,
    name: &'a str,
    pick: P,
    window: usize,
    open: Vec<[Option<Sent>; SLOTS]>,
    next: Vec<u64>,
}

impl<'a, P: FnMut(usize) -> usize> Load<'a, P> {
    /// A load whose operation ids begin with `name`; `pick` says which group a connection writes to next.
    pub fn new(fleet: &'a mut Fleet, books: &'a mut Books, name: &'a str, window: usize, pick: P) -> Self {
        let peers = fleet.len();
        Self { fleet, books, name, pick, window: window.min(SLOTS / 2), open: vec![[None; SLOTS]; peers], next: vec![0; peers] }
    }

    /// Fills every window.
    pub fn begin(&mut self) {
        for _ in 0..self.window {
            for peer in 0..self.fleet.len() {
                let (name, pick) = (self.name, &mut self.pick);
                let (open, next) = (&mut self.open[peer], &mut self.next[peer]);
                self.fleet.say(peer, |out| send(name, peer, pick(peer), open, next, out));
            }
        }
    }

    /// Goes on for so long, or until a connection is gone.
    pub fn run(&mut self, length: Duration, tally: &mut Tally) -> anyhow::Result<()> {
        let until = Instant::now() + length;
        while Instant::now() < until && self.fleet.gone == 0 {
            self.turn(tally, true)?;
        }
        Ok(())
    }

    /// Sends no more and waits for what is under way; what stays open goes into the books as such.
    pub fn end(mut self, patience: Duration) -> anyhow::Result<u64> {
        let (until, mut tally) = (Instant::now() + patience, Tally::new());
        while self.under_way() > 0 && Instant::now() < until && self.fleet.gone < self.fleet.len() {
            self.turn(&mut tally, false)?;
        }
        for sent in self.open.iter().flatten().flatten() {
            self.books.open[sent.group] += sent.value;
        }
        Ok(tally.refused)
    }

    fn under_way(&self) -> usize {
        self.open.iter().flatten().flatten().count()
    }

    fn turn(&mut self, tally: &mut Tally, goes_on: bool) -> anyhow::Result<()> {
        let Self { fleet, books, name, pick, open, next, .. } = self;
        fleet.turn(Duration::from_millis(20), |peer, text, out| {
            if !text.starts_with(b"{\"id\":") {
                tally.pushes += 1;
                return;
            }
            let Some(id) = number_after(&text[..text.len().min(32)], b"{\"id\":") else { return };
            let Some(sent) = open[peer][id as usize % SLOTS].take() else { return };
            if text.windows(10).take(32).any(|window| window == b",\"code\":0,") {
                tally.acks += 1;
                books.acked[sent.group] += sent.value;
                report::record(&mut tally.latency, sent.at.elapsed());
            } else {
                tally.refused += 1;
                eprintln!("refused: {}", String::from_utf8_lossy(text));
            }
            if goes_on {
                send(name, peer, pick(peer), &mut open[peer], &mut next[peer], out);
            }
        })
    }
}

/// The id of a group of a load.
pub fn group(at: usize) -> String {
    format!("bench-{at}")
}

fn send(name: &str, peer: usize, group: usize, open: &mut [Option<Sent>; SLOTS], next: &mut u64, out: &mut Outbound) {
    // An answer may be late by more than a round of slots where its group is read from disk first.
    while open[*next as usize % SLOTS].is_some() {
        *next += 1;
    }
    let (id, value) = (*next, 1 + (*next % 9) as i64);
    *next += 1;
    open[id as usize % SLOTS] = Some(Sent { at: Instant::now(), group, value });
    let mut text = Vec::with_capacity(160);
    write!(
        text,
        r#"{{"id":{id},"cmd":"increaseGroupCounter","groupID":"bench-{group}","key":"like","value":{value},"opID":"{name}-{peer}-{id}"}}"#
    )
    .expect("writing to memory cannot fail");
    out.say(&text);
}
