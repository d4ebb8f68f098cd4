//! What processes of this machine use, read from /proc, and how many descriptors this one may have.

use std::fs;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the tool needs apart from its sockets.
const DESCRIPTORS_APART: u64 = 64;

/// A process of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub u32);

impl Process {
    /// Nanoseconds of CPU that its threads have used; `None` when it cannot be seen.
    pub(super) fn cpu_nanos(self) -> Option<u64> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).ok()?;
        // A thread may end between the listing and the look.
        let used = tasks.flatten().filter_map(|task| schedstat(&task.path().join("schedstat").to_string_lossy()));
        Some(used.map(|(cpu, _)| cpu).sum())
    }

    /// Resident memory in bytes; `None` when it cannot be seen.
    pub(super) fn rss_bytes(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }
}

/// Nanoseconds that the calling thread has run, and that it could have run but had no core.
pub(super) fn thread_nanos() -> Option<(u64, u64)> {
    schedstat("/proc/thread-self/schedstat")
}

fn schedstat(path: &str) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some((words.next()??, words.next()??))
}

/// Raises the limit of descriptors as far as it goes. Fails, and says what to do, where it is too low for so many sockets.
pub(super) fn make_room_for(sockets: usize) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("the limit of descriptors cannot be raised")?;
    let needed = sockets as u64 + DESCRIPTORS_APART;
    ensure!(
        needed <= most,
        "{sockets} members need {needed} descriptors, and this process may have {most}. Either allow more \
         (`ulimit -n {needed}` as root, or LimitNOFILE), or start several processes as one test: --part 1/2, --part 2/2 …"
    );
    Ok(())
}
