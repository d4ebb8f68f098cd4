//! What one durable write costs in time when nothing else happens, beside what the disk itself takes: in turns, so that both
//! see the same disk.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Args;
use crate::report::{self, line, quantile, quantiles, record, title};
use crate::server::Setup;
use crate::socket::{Opening, Socket};

const APPEND_BYTES: usize = 200;
const GROUP: &str = "calm";

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    title("calm", "one write at a time by the one member of a room, in turns with an append and fdatasync of 200 bytes");
    let writes = if args.quick { 500 } else { 4000 };
    let folder = tempfile::tempdir_in(&args.folder)?;
    let server = Setup::new(args, folder.path()).start()?;
    Socket::admin(server.address)?.create_groups(&[GROUP.to_owned()])?;
    let mut member = Socket::of("member", server.address, Opening::default())?;
    member.join(GROUP)?;
    let file = prepared(folder.path(), (writes + 100) * APPEND_BYTES)?;
    let (mut acks, mut pushes, mut disk) = (report::histogram(), report::histogram(), report::histogram());
    let warm_up = 100;
    for at in 0..writes + warm_up {
        let text = format!(r#"{{"id":0,"cmd":"increaseGroupCounter","groupID":"{GROUP}","key":"like","value":1,"opID":"calm-{at}"}}"#);
        let began = Instant::now();
        // The answer and the push leave together; either may be in the next read.
        let (mut acked, mut pushed) = (None, None);
        member.say(&text)?;
        while acked.is_none() || pushed.is_none() {
            member.hear(|text| {
                let slot = if text.starts_with(b"{\"id\":0,\"code\":0,") { &mut acked } else { &mut pushed };
                *slot = Some(began.elapsed());
            })?;
        }
        let synced = append(&file, at)?;
        if at >= warm_up {
            record(&mut acks, acked.unwrap_or_default());
            record(&mut pushes, pushed.unwrap_or_default());
            record(&mut disk, synced);
        }
    }
    let times = |q: f64| quantile(&acks, q).as_secs_f64() / quantile(&disk, q).as_secs_f64();
    line("the disk's own append + fdatasync, p50 / p99", quantiles(&disk), "");
    line("durable answer, p50 / p99", quantiles(&acks), "");
    line("push to the member, p50 / p99", quantiles(&pushes), "");
    line("answer over disk at p50", format!("{:.2} times", times(0.5)), "goal <= 2 times");
    line("answer over disk at p99", format!("{:.2} times", times(0.99)), "goal <= 5 times");
    let round_trips = (0..500).map(|_| member.round_trip()).collect::<anyhow::Result<Vec<_>>>()?;
    let mut trips = report::histogram();
    round_trips.into_iter().for_each(|took| record(&mut trips, took));
    line("for comparison: a ping command and its answer", quantiles(&trips), "");
    Ok(())
}

/// A file with zeros already on disk, so that a sync writes data alone.
fn prepared(folder: &Path, bytes: usize) -> anyhow::Result<File> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(folder.join("own-append"))?;
    file.write_all(&vec![0; bytes])?;
    file.sync_all()?;
    Ok(file)
}

fn append(file: &File, at: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    file.write_all_at(&[0x5a; APPEND_BYTES], (at * APPEND_BYTES) as u64)?;
    file.sync_data()?;
    Ok(began.elapsed())
}
