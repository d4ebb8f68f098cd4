//! What processes of this machine use, read from /proc, and how many descriptors this one may have.

use std::fs;
use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the tool needs apart from its sockets.
const DESCRIPTORS_APART: u64 = 64;

/// A process of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub u32);

impl Process {
    /// The process of this machine that listens there, where there is one that may be looked at.
    pub(super) fn listening_on(address: SocketAddr) -> Option<Self> {
        // An address of another machine cannot be bound here.
        UdpSocket::bind((address.ip(), 0)).ok()?;
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"].iter().flat_map(|table| listeners(table, address.port())).collect();
        let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let has_one = |id: &u32| {
            let descriptors = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            let mut open = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
            open.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
        };
        processes.into_iter().find(has_one).map(Self)
    }

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

/// The sockets that listen on a port, as links of descriptors name them.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, listens_on) = fields.get(1)?.rsplit_once(':')?;
        // 0A is the state of one that listens.
        let found = u16::from_str_radix(listens_on, 16) == Ok(port) && *fields.get(3)? == "0A";
        found.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    text.lines().filter_map(socket).collect()
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
