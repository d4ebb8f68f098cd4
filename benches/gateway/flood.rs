//! A peer that pings as fast as it can and never reads, with the limit of frames off: the server must not gather its pongs.

use std::io::{ErrorKind, Write as _};
use std::time::{Duration, Instant};

use tallycast::cli::bench::client::frame::{PING, put_frame};

use crate::Args;
use crate::report::{self, bytes, count, line, quantiles, record, title};
use crate::server::{Server, Setup};
use crate::socket::{Opening, Socket};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let length = Duration::from_secs(if args.quick { 2 } else { 5 });
    title("flood", &format!("a logged-in peer sends pings as fast as it can for {} s and never reads", length.as_secs()));
    for (payload, label) in [(0, "empty pings"), (125, "pings of 125 bytes")] {
        let folder = tempfile::tempdir_in(&args.folder)?;
        let server = Setup::new(args, folder.path()).start()?;
        flood(&server, payload, label, length)?;
    }
    Ok(())
}

fn flood(server: &Server, payload: usize, label: &str, length: Duration) -> anyhow::Result<()> {
    let mut other = Socket::admin(server.address)?;
    let mut peer = Socket::of("flooder", server.address, Opening::default())?;
    let mut pings = Vec::new();
    let (mut in_one, size) = (0, payload + 6);
    while pings.len() < 64 * 1024 - size {
        put_frame(&mut pings, PING, &vec![0x70; payload]);
        in_one += 1;
    }
    for _ in 0..100 {
        other.round_trip()?;
    }
    peer.stream.set_nonblocking(true)?;
    let (before, began) = (server.rss(), Instant::now());
    let (mut most, mut sent, mut at, mut looked, mut trips) = (before, 0_u64, 0, began, report::histogram());
    while began.elapsed() < length {
        match peer.stream.write(&pings[at..]) {
            Ok(n) => {
                at = (at + n) % pings.len();
                sent += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(e) => anyhow::bail!("the server closed the flooding peer: {e}"),
        }
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            most = most.max(server.rss());
            record(&mut trips, other.round_trip()?);
        }
    }
    let sent = sent * in_one / pings.len() as u64;
    line(&format!("{label}: growth of the server's memory"), bytes((most - before) as f64), "goal <= 2 MiB");
    line(&format!("{label}: taken before it stopped reading"), count(sent as f64), "");
    line(&format!("{label}: another client's round trip, p50 / p99"), quantiles(&trips), "");
    Ok(())
}
