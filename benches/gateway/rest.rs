//! What a counter call over REST costs the server, beside the smallest answer that the same HTTP library can give: in turns, over
//! the same kept-alive connections.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::Args;
use crate::report::{count, line, median, middle, title};
use crate::server::{ADMIN, Server, Setup, sign};
use crate::socket::Socket;

const CONNECTIONS: usize = 64;
const GROUPS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(500);
const FOUND: &[u8] = b"\"ErrorCode\":0";

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let length = Duration::from_secs(if args.quick { 2 } else { 4 });
    title("rest", "64 kept-alive connections, one call under way on each: update_group_counter (interval) and GET /healthz in turns");
    let folder = tempfile::tempdir_in(&args.folder)?;
    let server = Setup::new(args, folder.path()).durability("interval").start()?;
    let groups: Vec<String> = (0..GROUPS).map(|at| format!("rest-{at}")).collect();
    Socket::admin(server.address)?.create_groups(&groups)?;
    let mut peers = (0..CONNECTIONS).map(|_| Peer::new(&server)).collect::<anyhow::Result<Vec<_>>>()?;
    let updates = (0..CONNECTIONS).map(|at| update(&groups[at % GROUPS])).collect::<anyhow::Result<Vec<_>>>()?;
    let bare = vec![b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(); CONNECTIONS];
    let (mut calls, mut hellos) = (Seen::default(), Seen::default());
    for _ in 0..args.rounds {
        calls.round(&server, &mut peers, &updates, FOUND, length)?;
        hellos.round(&server, &mut peers, &bare, b"alive", length)?;
    }
    line("updates per CPU-second of the server", median(&calls.per_cpu), "");
    line("updates per second", median(&calls.per_second), "");
    line("bare answers per CPU-second of the server", median(&hellos.per_cpu), "");
    line("bare answers per second", median(&hellos.per_second), "");
    let ratios: Vec<f64> = calls.per_cpu.iter().zip(&hellos.per_cpu).map(|(call, hello)| call / hello).collect();
    line("updates over bare answers, of the same CPU", format!("{:.2}", middle(&ratios)), "goal >= 0.5");
    for (name, [seconds, user, system]) in &calls.threads {
        let share = |seconds: f64| seconds * 1e6 / calls.answers as f64;
        println!("    of an update, thread {name}: {:.1} us ({:.1} user, {:.1} system)", share(*seconds), share(*user), share(*system));
    }
    line("updates counted", count(calls.answers as f64), "");
    Ok(())
}

fn update(group: &str) -> anyhow::Result<Vec<u8>> {
    let body = format!(r#"{{"GroupId":"{group}","Mode":"Increase","GroupCounter":[{{"Key":"like","Value":1}}]}}"#);
    let query = format!("sdkappid=1400000000&identifier={ADMIN}&usersig={}&random=1&contenttype=json", sign(ADMIN)?);
    let path = format!("/v4/group_open_http_svc/update_group_counter?{query}");
    Ok(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// What the rounds have shown.
#[derive(Default)]
struct Seen {
    per_cpu: Vec<f64>,
    per_second: Vec<f64>,
    threads: BTreeMap<String, [f64; 3]>,
    answers: u64,
}

impl Seen {
    fn round(&mut self, server: &Server, peers: &mut [Peer], asks: &[Vec<u8>], found: &[u8], length: Duration) -> anyhow::Result<()> {
        exchange(peers, asks, found, WARM_UP)?;
        let (before, began) = (server.usage(), Instant::now());
        let answers = exchange(peers, asks, found, length)?;
        let (took, (cpu, threads)) = (began.elapsed(), server.usage().since(&before));
        self.per_cpu.push(answers as f64 / cpu);
        self.per_second.push(answers as f64 / took.as_secs_f64());
        self.answers += answers;
        for (name, used) in threads {
            let sum = self.threads.entry(name).or_default();
            sum.iter_mut().zip(used).for_each(|(sum, used)| *sum += used);
        }
        Ok(())
    }
}

/// Asks on every connection again as soon as it was answered; at the end none is under way.
fn exchange(peers: &mut [Peer], asks: &[Vec<u8>], found: &[u8], length: Duration) -> anyhow::Result<u64> {
    let (began, mut answers) = (Instant::now(), 0);
    for (peer, ask) in peers.iter_mut().zip(asks) {
        peer.stream.write_all(ask)?;
    }
    loop {
        let last = began.elapsed() >= length;
        for (peer, ask) in peers.iter_mut().zip(asks) {
            peer.answer(found)?;
            answers += 1;
            if !last {
                peer.stream.write_all(ask)?;
            }
        }
        if last {
            return Ok(answers);
        }
    }
}

/// One kept-alive connection.
struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    fn new(server: &Server) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, buffer: vec![0; 4096] })
    }

    /// Reads one whole answer, which must hold what is expected.
    fn answer(&mut self, found: &[u8]) -> anyhow::Result<()> {
        let mut filled = 0;
        loop {
            let n = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(n > 0, "the server closed the connection");
            filled += n;
            let text = std::str::from_utf8(&self.buffer[..filled])?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer has a length")?;
            if body.len() < length.parse::<usize>()? {
                continue;
            }
            ensure!(body.as_bytes().windows(found.len()).any(|window| window == found), "refused: {text}");
            return Ok(());
        }
    }
}
