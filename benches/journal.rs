//! What a commit costs, beside what the disk itself takes for the same bytes, and what a start costs with a million groups.
//!
//! `cargo bench --bench journal [-- --groups N] [-- --dir PATH]`. The rounds of disk and store are interleaved, so that both
//! see the same noise of the machine; only the ratio travels to another one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use tallycast::domain::group::Group;
use tallycast::domain::member::{GroupType, JoinOption, Profile};
use tallycast::domain::name::{CounterKey, GroupId, GroupName, OpId, UserId};
use tallycast::domain::record::{Answer, Effect, Operation, Record};
use tallycast::store::{Batch, Options, Store};

const ROUNDS: usize = 30;
const COMMITS_A_ROUND: usize = 100;
const BLOCK_HEADER_BYTES: usize = 56;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned();
    let groups: u64 = value("--groups").and_then(|groups| groups.parse().ok()).unwrap_or(1_000_000);
    if let Some(folder) = value("--fill") {
        return fill(Path::new(&folder), groups);
    }
    if let Some(folder) = value("--open") {
        return open_once(Path::new(&folder));
    }
    let here = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = here.join(format!("journal-bench-{}", std::process::id()));
    latency(&folder.join("latency"));
    throughput(&folder.join("throughput"));
    starts(&folder.join("starts"), groups);
    drop(std::fs::remove_dir_all(&folder));
}

fn group(number: u64) -> GroupId {
    GroupId::parse(&format!("live-room-{number:08}")).expect("a short printable name")
}

fn created(number: u64) -> Record {
    let owner = UserId::parse(&format!("streamer-{number:08}")).ok();
    let name = GroupName::parse("a room").expect("a short name");
    let kind = GroupType::Public;
    let profile =
        Profile { kind, name, owner, join_option: JoinOption::FreeAccess, created_at: 1, incarnation: 7, details: Default::default() };
    Record { group: group(number), at: now(), effect: Some(Group::plan_create(profile, Vec::new(), 1)), operation: None }
}

fn liked(number: u64, version: u64) -> Record {
    let key = CounterKey::parse("like").expect("a short key");
    let effect = Effect::Changed { version, values: smallvec::smallvec![(key, version as i64)] };
    let user = UserId::parse("viewer-00001234").expect("a short name");
    let id = OpId::parse("0b5c8a52-2f0e-4d6a-9d83").expect("a short name");
    let answer = Answer { version, values: smallvec::smallvec![version as i64] };
    Record { group: group(number), at: now(), effect: Some(effect), operation: Some(Operation { user, id, print: 7, answer }) }
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

fn open(folder: &Path) -> Store {
    open_with(&Options::new(folder))
}

fn open_with(options: &Options) -> Store {
    Store::open(options, Box::new(|words| panic!("{words}"))).expect("the folder can be opened")
}

fn create_groups(store: &Store, count: u64) {
    let (tell, told) = channel();
    let mut open = 0;
    for first in (0..count).step_by(1000) {
        let mut batch = Batch::default();
        (first..count.min(first + 1000)).for_each(|number| batch.push(&created(number)));
        commit(store, batch, &tell);
        open += 1;
        if open == 8 {
            told.recv().expect("an answer").expect("a commit");
            open -= 1;
        }
    }
    told.iter().take(open).for_each(|answer| assert!(answer.is_ok()));
}

fn commit(store: &Store, batch: Batch, tell: &Sender<Result<Duration, String>>) {
    let (tell, begun) = (tell.clone(), Instant::now());
    let done = move |result: Result<u64, tallycast::store::CommitError>| {
        // The one who waits may be gone at the end of a part.
        let _ = tell.send(result.map(|_| begun.elapsed()).map_err(|error| error.to_string()));
    };
    store.commit(batch, Box::new(done));
}

fn rows(count: usize, round: u64) -> Vec<Record> {
    (0..count as u64).map(|row| liked((round * 7919 + row * 31) % 10_000, round)).collect()
}

/// The machine's own append and sync of the same bytes, on a file zeroed ahead.
struct Raw {
    file: File,
    offset: u64,
}

impl Raw {
    const BYTES: u64 = 16 << 20;

    fn new(folder: &Path) -> Self {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        let file = options.open(folder.join("raw")).expect("a file");
        file.write_all_at(&vec![0; Self::BYTES as usize], 0).expect("space");
        file.sync_all().expect("a sync");
        Self { file, offset: 0 }
    }

    fn append(&mut self, bytes: &[u8]) -> Duration {
        if self.offset + bytes.len() as u64 > Self::BYTES {
            self.offset = 0;
        }
        let begun = Instant::now();
        self.file.write_all_at(bytes, self.offset).expect("a write");
        self.file.sync_data().expect("a sync");
        self.offset += bytes.len().next_multiple_of(8) as u64;
        begun.elapsed()
    }
}

fn latency(folder: &Path) {
    let store = open(folder);
    create_groups(&store, 10_000);
    let mut raw = Raw::new(folder);
    let (tell, told) = channel();
    println!("one commit at a time, {} of each, interleaved; microseconds", ROUNDS * COMMITS_A_ROUND);
    println!(
        "{:>6} {:>8} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "rows", "bytes", "disk p50", "disk p99", "store p50", "store p99", "p50", "p99"
    );
    for count in [1, 100] {
        let (mut disk, mut ours, mut bytes_of_one) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let records = rows(count, round as u64);
            let encoded: usize = records.iter().map(|record| 4 + postcard::to_stdvec(record).expect("plain values").len()).sum();
            bytes_of_one = BLOCK_HEADER_BYTES + encoded;
            let bytes = vec![round as u8; bytes_of_one];
            (0..COMMITS_A_ROUND).for_each(|_| disk.push(raw.append(&bytes)));
            for _ in 0..COMMITS_A_ROUND {
                let mut batch = Batch::default();
                records.iter().for_each(|record| batch.push(record));
                commit(&store, batch, &tell);
                ours.push(told.recv().expect("an answer").expect("a commit"));
            }
        }
        let [a, b, c, d] = [at(&mut disk, 0.5), at(&mut disk, 0.99), at(&mut ours, 0.5), at(&mut ours, 0.99)];
        println!("{count:>6} {bytes_of_one:>8} {a:>10.0} {b:>10.0} {c:>10.0} {d:>10.0} {:>7.2}x {:>7.2}x", c / a, d / b);
    }
    store.close().expect("a clean end");
}

fn at(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6
}

fn throughput(folder: &Path) {
    let store = open(folder);
    create_groups(&store, 200_000);
    println!("\n{:>22} {:>12} {:>12} {:>14} {:>10}", "", "commits/s", "rows/s", "CPU µs a row", "blocks/s");
    for (name, count, in_flight) in [("1 x 100 rows", 100, 1), ("64 x 1 row", 1, 64), ("64 x 100 rows", 100, 64)] {
        let (tell, told) = channel();
        let records: Vec<Vec<Record>> = (0..64).map(|round| rows(count, round)).collect();
        let (begun, cpu, blocks) = (Instant::now(), cpu(), store.stats().journal.blocks);
        let (mut commits, mut open) = (0u64, 0);
        while begun.elapsed() < Duration::from_secs(3) {
            let mut batch = Batch::default();
            records[commits as usize % 64].iter().for_each(|record| batch.push(record));
            commit(&store, batch, &tell);
            commits += 1;
            open += 1;
            if open == in_flight {
                told.recv().expect("an answer").expect("a commit");
                open -= 1;
            }
        }
        let (seconds, rows) = (begun.elapsed().as_secs_f64(), (commits * count as u64) as f64);
        let cpu = (self::cpu() - cpu).as_secs_f64() * 1e6 / rows;
        let blocks = (store.stats().journal.blocks - blocks) as f64 / seconds;
        println!("{name:>22} {:>12.0} {:>12.0} {cpu:>14.2} {blocks:>10.0}", commits as f64 / seconds, rows / seconds);
    }
    store.close().expect("a clean end");
}

/// The processor's time of this process, in steps of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

fn starts(folder: &Path, groups: u64) {
    println!("\nstarts with {groups} groups");
    let begun = Instant::now();
    let mut filler = child(folder, groups, "--fill");
    let line = first_line(&mut filler);
    println!("{:>22} {line} in {:.1} s", "filled", begun.elapsed().as_secs_f64());
    filler.kill().expect("a kill");
    filler.wait().expect("an end");
    for name in ["after a kill", "after a clean end", "and once more"] {
        let mut opener = child(folder, groups, "--open");
        println!("{name:>22} {}", first_line(&mut opener));
        opener.wait().expect("an end");
    }
}

fn child(folder: &Path, groups: u64, what: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(what).arg(folder).arg("--groups").arg(groups.to_string()).stdout(Stdio::piped());
    command.spawn().expect("a process")
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// Makes the groups and then writes into them for the time of one window of merging, until it is killed.
fn fill(folder: &Path, groups: u64) {
    let store = open(folder);
    create_groups(&store, groups);
    let (tell, told) = channel();
    let mut said = false;
    let begun = Instant::now();
    for round in 1.. {
        let mut batch = Batch::default();
        (0..100u64).for_each(|row| batch.push(&liked((round * 7919 + row * 31) % groups, round)));
        commit(&store, batch, &tell);
        told.recv().expect("an answer").expect("a commit");
        if !said && begun.elapsed() > Duration::from_secs(4) {
            said = true;
            let stats = store.stats();
            println!("{}, unmerged {} MiB", sizes(&store), stats.journal.unmerged_bytes >> 20);
        }
    }
}

fn open_once(folder: &Path) {
    let begun = Instant::now();
    let store = open(folder);
    let took = begun.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let of = |name: &str| {
        status.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    let (now, most) = (of("VmRSS").unwrap_or(0) >> 10, of("VmHWM").unwrap_or(0) >> 10);
    let (tell, told) = channel();
    let begun = Instant::now();
    store.load(group(4711), Box::new(move |loaded| tell.send(loaded.is_ok_and(|loaded| loaded.group.is_some())).unwrap_or(())));
    let found = told.recv().expect("an answer");
    let first = begun.elapsed().as_secs_f64() * 1e6;
    println!(
        "{:>7.0} ms, {now} MiB resident (at most {most}), first load {first:.0} µs (found: {found}); {}",
        took.as_secs_f64() * 1e3,
        sizes(&store)
    );
    store.close().expect("a clean end");
}

fn sizes(store: &Store) -> String {
    let stats = store.stats();
    format!(
        "journal {} MiB in {} segments, table {} MiB, {} operations to hand out",
        stats.journal.bytes >> 20,
        stats.journal.segments,
        stats.table.bytes >> 20,
        stats.replays
    )
}
