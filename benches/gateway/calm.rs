//! What one durable write costs in time when nothing else happens, beside what the disk itself takes: in turns, so that both
//! see the same disk, and from the server's core, because a disk may answer one core sooner than another.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::report::{self, line, middle, quantile, quantiles, record, title};
use crate::server::Setup;
use crate::socket::{Opening, Socket};
use crate::{Args, machine};

const APPEND_BYTES: usize = 200;
const WARM_UP: usize = 100;
const GROUP: &str = "calm";

/// The times of all rounds, and what each round said by itself.
struct Seen {
    answers: Histogram<u64>,
    pushes: Histogram<u64>,
    disk: Histogram<u64>,
    over_disk: [Vec<f64>; 2],
    syncs: Vec<f64>,
}

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    title("calm", "one write at a time by the one member of a room, in turns with an append and fdatasync of 200 bytes");
    let [answers, pushes, disk, mut trips] = std::array::from_fn(|_| report::histogram());
    let mut seen = Seen { answers, pushes, disk, over_disk: Default::default(), syncs: Vec::new() };
    let rounds = if args.quick { 1 } else { 2 * args.rounds + 1 };
    for _ in 0..rounds {
        round(args, if args.quick { 500 } else { 2000 }, &mut seen, &mut trips)?;
    }
    let times = |at: usize| {
        let rounds = &seen.over_disk[at];
        let (low, high) = rounds.iter().fold((f64::MAX, 0_f64), |(low, high), times| (low.min(*times), high.max(*times)));
        format!("{:.2} ({low:.2} - {high:.2})", middle(rounds))
    };
    line("append + fdatasync on the server's core, p50 / p99", quantiles(&seen.disk), "");
    line("durable answer, p50 / p99", quantiles(&seen.answers), "");
    line("push to the member, p50 / p99", quantiles(&seen.pushes), "");
    line("answer over disk at p50, times, by rounds", times(0), "goal <= 2");
    line("answer over disk at p99, times, by rounds", times(1), "goal <= 5");
    line("of it the journal's own sync, mean", format!("{:.0} us", middle(&seen.syncs)), "");
    line("for comparison: a ping command and its answer", quantiles(&trips), "");
    Ok(())
}

fn round(args: &Args, writes: usize, seen: &mut Seen, trips: &mut Histogram<u64>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&args.folder)?;
    let server = Setup::new(args, folder.path()).start()?;
    Socket::admin(server.address)?.create_groups(&[GROUP.to_owned()])?;
    let mut member = Socket::of("member", server.address, Opening::default())?;
    member.join(GROUP)?;
    let own = Disk::new(folder.path(), (writes + WARM_UP) * APPEND_BYTES)?;
    let (mut answers, mut disk) = (report::histogram(), report::histogram());
    for at in 0..writes + WARM_UP {
        let text = format!(r#"{{"id":0,"cmd":"increaseGroupCounter","groupID":"{GROUP}","key":"like","value":1,"opID":"calm-{at}"}}"#);
        let began = Instant::now();
        // The answer and the push leave together; either may be in the next read.
        let (mut answered, mut pushed) = (None, None);
        member.say(&text)?;
        while answered.is_none() || pushed.is_none() {
            member.hear(|text| {
                let slot = if text.starts_with(b"{\"id\":0,\"code\":0,") { &mut answered } else { &mut pushed };
                *slot = Some(began.elapsed());
            })?;
        }
        let synced = own.append(at)?;
        if at >= WARM_UP {
            record(&mut answers, answered.unwrap_or_default());
            record(&mut seen.pushes, pushed.unwrap_or_default());
            record(&mut disk, synced);
        }
    }
    for (at, q) in [0.5, 0.99].into_iter().enumerate() {
        seen.over_disk[at].push(quantile(&answers, q).as_secs_f64() / quantile(&disk, q).as_secs_f64());
    }
    let (count, sum) = ("tallycast_store_sync_seconds_count", "tallycast_store_sync_seconds_sum");
    seen.syncs.push(1e6 * server.metric(sum)? / server.metric(count)?);
    seen.answers.add(&answers)?;
    seen.disk.add(&disk)?;
    for _ in 0..200 {
        record(trips, member.round_trip()?);
    }
    Ok(())
}

/// A thread on the server's core with a file of its own.
struct Disk {
    ask: mpsc::Sender<usize>,
    done: mpsc::Receiver<std::io::Result<Duration>>,
}

impl Disk {
    /// The file has its zeros on disk already, so that a sync writes data alone.
    fn new(folder: &Path, bytes: usize) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().create_new(true).write(true).open(folder.join("own-append"))?;
        file.write_all(&vec![0; bytes])?;
        file.sync_all()?;
        let ((ask, asked), (tell, done)) = (mpsc::channel::<usize>(), mpsc::channel());
        std::thread::spawn(move || {
            if machine::can_pin() {
                machine::pin_thread(machine::SERVER_CORE);
            }
            while let Ok(at) = asked.recv() {
                let began = Instant::now();
                let written = file.write_all_at(&[0x5a; APPEND_BYTES], (at * APPEND_BYTES) as u64).and_then(|()| file.sync_data());
                let _ = tell.send(written.map(|()| began.elapsed()));
            }
        });
        Ok(Self { ask, done })
    }

    fn append(&self, at: usize) -> anyhow::Result<Duration> {
        self.ask.send(at)?;
        Ok(self.done.recv()??)
    }
}
