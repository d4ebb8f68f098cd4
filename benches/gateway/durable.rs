//! How many durable writes one second of the server's CPU acknowledges, and whether every one of them counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Args;
use crate::fleet::Fleet;
use crate::load::{Books, Load, Tally, group};
use crate::report::{self, count, line, median, middle, quantiles, title};
use crate::server::{Server, Setup};
use crate::socket::{Opening, Socket, number_after};

const CONNECTIONS: usize = 200;
const GROUPS: usize = 50;
const WINDOWS: [usize; 3] = [1, 4, 16];
const WARM_UP: Duration = Duration::from_millis(1500);
const GOAL: &str = "goal >= 30,000";

/// What the rounds with one window have shown.
struct Seen {
    per_cpu: Vec<f64>,
    per_second: Vec<f64>,
    pushes: Vec<f64>,
    busy: Vec<f64>,
    per_sync: Vec<f64>,
    bytes_kept: Vec<f64>,
    latency: Histogram<u64>,
    threads: BTreeMap<String, [f64; 3]>,
    acks: u64,
}

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    title("durable", "200 connections, 50 AVChatRooms of 4, each write an increaseGroupCounter with a fresh opID, synced");
    let length = Duration::from_secs(if args.quick { 2 } else { 6 });
    let windows = args.window.map_or(WINDOWS.to_vec(), |window| vec![window]);
    let mut seen: Vec<Seen> = windows.iter().map(|_| Seen::new()).collect();
    let mut broken = 0;
    for _ in 0..args.rounds {
        for (window, seen) in windows.iter().zip(&mut seen) {
            broken += round(args, *window, length, seen)?;
        }
    }
    for (window, seen) in windows.iter().zip(&seen) {
        println!("  {window} under way on each connection");
        line("  acknowledged writes per CPU-second of the server", median(&seen.per_cpu), GOAL);
        line("  acknowledged writes per second", median(&seen.per_second), "");
        line("  share of one core that the server used, %", median(&seen.busy), "");
        line("  pushes delivered per second", median(&seen.pushes), "");
        line("  answer p50 / p99", quantiles(&seen.latency), "");
        line("  writes of one sync of the journal", median(&seen.per_sync), "");
        line("  growth of memory per remembered operation, bytes", median(&seen.bytes_kept), "");
        seen.tell_threads();
    }
    let rounds = args.rounds as usize * windows.len() * GROUPS;
    line("groups whose counter is not the sum of its answers", format!("{broken} of {rounds}"), "goal 0");
    Ok(())
}

impl Seen {
    fn new() -> Self {
        let (per_cpu, per_second, pushes, busy, per_sync, bytes_kept) = Default::default();
        let (latency, threads) = (report::histogram(), BTreeMap::new());
        Self { per_cpu, per_second, pushes, busy, per_sync, bytes_kept, latency, threads, acks: 0 }
    }

    fn tell_threads(&self) {
        for (name, [seconds, user, system]) in self.threads.iter().filter(|(_, used)| used[0] > 0.01) {
            let per_write = |seconds: f64| seconds * 1e6 / self.acks as f64;
            // The ticks say how it is shared between the two, the scheduler's nanoseconds how much it is.
            let share = user / (user + system).max(0.01);
            let (whole, user) = (per_write(*seconds), per_write(seconds * share));
            line(&format!("  {name}: us of CPU per write (user + system)"), format!("{whole:.1} ({user:.1} + {:.1})", whole - user), "");
        }
    }
}

/// One round on a fresh server. Returns how many groups do not hold what was acknowledged.
fn round(args: &Args, window: usize, length: Duration, seen: &mut Seen) -> anyhow::Result<usize> {
    let folder = tempfile::tempdir_in(&args.folder)?;
    let server = Setup::new(args, folder.path()).start()?;
    let mut fleet = assemble(&server)?;
    let empty = server.rss();
    let mut books = Books::new(GROUPS);
    let mut load = Load::new(&mut fleet, &mut books, "durable", window, |peer| peer % GROUPS);
    load.begin();
    load.run(WARM_UP, &mut Tally::new())?;
    let (mut tally, before, began) = (Tally::new(), server.usage(), Instant::now());
    load.run(length, &mut tally)?;
    let (usage, took) = (server.usage(), began.elapsed().as_secs_f64());
    let late = load.end(Duration::from_secs(10))?;
    anyhow::ensure!(fleet.gone == 0, "the server closed connections");
    anyhow::ensure!(tally.refused + late == 0, "writes were refused");

    let records = server.metric("tallycast_store_records_total")?;
    seen.per_sync.push(records / server.metric("tallycast_store_sync_seconds_count")?);
    seen.bytes_kept.push(server.rss().saturating_sub(empty) as f64 / records);
    let (cpu, threads) = usage.since(&before);
    seen.per_cpu.push(tally.acks as f64 / cpu);
    seen.per_second.push(tally.acks as f64 / took);
    seen.pushes.push(tally.pushes as f64 / took);
    seen.busy.push(100.0 * cpu / took);
    seen.latency.add(&tally.latency)?;
    seen.acks += tally.acks;
    for (name, used) in threads {
        let sum = seen.threads.entry(name).or_default();
        sum.iter_mut().zip(used).for_each(|(sum, used)| *sum += used);
    }
    audit(&server, &books)
}

fn assemble(server: &Server) -> anyhow::Result<Fleet> {
    let groups: Vec<String> = (0..GROUPS).map(group).collect();
    Socket::admin(server.address)?.create_groups(&groups)?;
    let join = |at: usize| {
        let mut socket = Socket::of(&format!("user-{at}"), server.address, Opening::default())?;
        socket.join(&groups[at % GROUPS])?;
        Ok(socket)
    };
    let sockets = (0..CONNECTIONS).map(join).collect::<anyhow::Result<Vec<_>>>()?;
    Fleet::new(sockets)
}

fn audit(server: &Server, books: &Books) -> anyhow::Result<usize> {
    anyhow::ensure!(books.open.iter().all(|open| *open == 0), "answers are missing after the load has ended");
    let get = |at: usize| format!(r#""cmd":"getGroupCounters","groupID":"{}""#, group(at));
    let answers = Socket::admin(server.address)?.ask_all(&(0..GROUPS).map(get).collect::<Vec<_>>())?;
    let holds = |(answer, acked): &(&String, &i64)| number_after(answer.as_bytes(), b"\"like\":") == Some(**acked);
    let broken = answers.iter().zip(&books.acked).filter(|pair| !holds(pair)).count();
    if broken > 0 {
        eprintln!("{broken} groups differ; the sum of all answers is {}", count(middle(&[books.acked.iter().sum::<i64>() as f64])));
    }
    Ok(broken)
}
