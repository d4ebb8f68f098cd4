//! A hot room in which half of the members stop reading, beside a room of the same live members without them: in turns, so
//! that both see the same machine. Stalled members are never closed here.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Args;
use crate::fleet::Fleet;
use crate::report::{self, bytes, count, line, quantiles, record, title};
use crate::server::{Server, Setup};
use crate::socket::{Opening, Socket, number_after};

const LIVE: usize = 50;
const STALLED: usize = 50;
const WRITES_PER_SECOND: u32 = 500;
const RECEIVE_BYTES: usize = 4096;
const ROOMS: [&str; 2] = ["without-stalled", "with-stalled"];
const KEYS: [&str; 2] = ["like", "gift"];

/// Both rooms, and what their live members have seen.
struct Stage {
    /// First a writer for each room, then the live members of the first, then those of the second.
    fleet: Fleet,
    stalled: Vec<Socket>,
    /// When the writes to each room were due; the n-th made the value n.
    due: [Vec<Instant>; 2],
    latency: [Histogram<u64>; 2],
    pushes: [u64; 2],
    acks: u64,
}

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let (phases, phase) = if args.quick { (5, Duration::from_secs(2)) } else { (12, Duration::from_secs(5)) };
    let seconds = phases * phase.as_secs() as u32;
    title("stalled", &format!("{WRITES_PER_SECOND} writes a second for {seconds} s to a room of 100, 50 of whom never read"));
    let folder = tempfile::tempdir_in(&args.folder)?;
    let server = Setup::new(args, folder.path()).start()?;
    let mut stage = Stage::set(&server)?;
    // Buffers that every room fills once are no growth.
    (0..2).try_for_each(|room| stage.write(room, Duration::from_secs(1), None))?;
    let before = server.rss();
    let mut most = before;
    for _ in 0..phases {
        for room in 0..2 {
            stage.write(room, phase, Some(&server))?;
            most = most.max(server.rss());
        }
    }
    stage.settle()?;
    let [without, with] = &stage.latency;
    line("growth of the server's memory, at the most", bytes((most - before) as f64), "goal: flat");
    line("growth of the server's memory, at the end", bytes(server.rss() as f64 - before as f64), "goal: flat");
    line("live members' push without the stalled, p50 / p99", quantiles(without), "");
    line("live members' push beside the stalled, p50 / p99", quantiles(with), "goal: as without");
    let expected = (stage.due[1].len() * LIVE) as f64;
    line("pushes to live members beside the stalled", format!("{} of {}", count(stage.pushes[1] as f64), count(expected)), "");
    stage.wake(&server)
}

impl Stage {
    fn set(server: &Server) -> anyhow::Result<Self> {
        Socket::admin(server.address)?.create_groups(&ROOMS.map(str::to_owned))?;
        let member = |user: String, room: usize, opening: Opening| {
            let mut socket = Socket::of(&user, server.address, opening)?;
            socket.join(ROOMS[room])?;
            anyhow::Ok(socket)
        };
        let mut sockets = Vec::new();
        for _ in ROOMS {
            sockets.push(Socket::admin(server.address)?);
        }
        for room in 0..2 {
            for at in 0..LIVE {
                sockets.push(member(format!("live-{room}-{at}"), room, Opening::default())?);
            }
        }
        let small = Opening { receive_bytes: Some(RECEIVE_BYTES), ..Opening::default() };
        let stalled = (0..STALLED).map(|at| member(format!("stalled-{at}"), 1, small)).collect::<anyhow::Result<_>>()?;
        let latency = [report::histogram(), report::histogram()];
        Ok(Self { fleet: Fleet::new(sockets)?, stalled, due: Default::default(), latency, pushes: [0; 2], acks: 0 })
    }

    /// Writes to a room at the fixed rate, whatever comes back. Pushes are timed from when their write was due.
    fn write(&mut self, room: usize, length: Duration, measured: Option<&Server>) -> anyhow::Result<()> {
        let (began, gap) = (Instant::now(), Duration::from_secs(1) / WRITES_PER_SECOND);
        for at in 0.. {
            let due = began + gap * at;
            if due >= began + length {
                return Ok(());
            }
            while let left = due.saturating_duration_since(Instant::now())
                && !left.is_zero()
            {
                // An epoll sleeps in whole milliseconds: the last one is spent awake.
                self.hear(
                    if left > Duration::from_millis(2) { left - Duration::from_millis(1) } else { Duration::ZERO },
                    measured.is_some(),
                )?;
            }
            self.due[room].push(due);
            let (n, key) = (self.due[room].len(), KEYS[at as usize % 2]);
            // Values are set, not added to, so that each push tells which write it comes from.
            let text = format!(r#"{{"id":{n},"cmd":"setGroupCounters","groupID":"{}","counters":{{"{key}":{n}}}}}"#, ROOMS[room]);
            self.fleet.say(room, |out| out.say(text.as_bytes()));
        }
        Ok(())
    }

    fn hear(&mut self, patience: Duration, measured: bool) -> anyhow::Result<()> {
        let Self { fleet, due, latency, pushes, acks, .. } = self;
        fleet.turn(patience, |peer, text, _| {
            if text.starts_with(b"{\"id\"") {
                *acks += 1;
                return;
            }
            let room = usize::from(peer >= 2 + LIVE);
            let Some(n) = number_after(text, b"\"value\":") else { return };
            pushes[room] += 1;
            if let (true, Some(due)) = (measured, due[room].get(n as usize - 1)) {
                record(&mut latency[room], due.elapsed());
            }
        })
    }

    /// Waits until every write is answered and pushed.
    fn settle(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            self.hear(Duration::from_millis(20), false)?;
        }
        let sent = self.due.iter().map(Vec::len).sum::<usize>() as u64;
        anyhow::ensure!(self.acks == sent && self.fleet.gone == 0, "{} of {sent} writes were answered", self.acks);
        Ok(())
    }

    /// Lets the stalled read: what each holds in the end, and how much was waiting for it.
    fn wake(&mut self, server: &Server) -> anyhow::Result<()> {
        let writes = self.due[1].len() as i64;
        let newest = [writes - 1, writes];
        let (mut current, mut most) = (0, 0);
        for socket in &mut self.stalled {
            socket.stream.set_read_timeout(Some(Duration::from_millis(500)))?;
            let (mut held, mut frames) = ([0; 2], 0);
            while held != newest {
                let heard = socket.hear(|text| {
                    let Some(value) = number_after(text, b"\"value\":") else { return };
                    frames += 1;
                    let key = usize::from(!text.windows(6).any(|window| window == b"\"like\""));
                    held[key] = held[key].max(value);
                });
                if heard.is_err() {
                    break;
                }
            }
            current += usize::from(held == newest);
            most = most.max(frames);
        }
        line("woken members that hold the newest of both keys", format!("{current} of {STALLED}"), "goal: all");
        line("frames that a woken member still got, at the most", count(f64::from(most)), "");
        line("round trip afterwards", report::time(Socket::admin(server.address)?.round_trip()?), "");
        Ok(())
    }
}
