//! The machine: which cores are whose, and what else must be known to read the figures.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Args;

/// Where the server runs.
pub const SERVER_CORE: usize = 0;
/// Where this process runs.
pub const CLIENT_CORE: usize = 1;

/// Whether there are two cores, and `taskset`.
pub fn can_pin() -> bool {
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    let there = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    cores >= 2 && there.is_ok_and(|status| status.success())
}

/// Pins this process and says what the figures were measured on.
pub fn introduce(args: &Args) {
    let pinned = can_pin() && pin_thread(CLIENT_CORE);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    println!("program {}, data under {}", args.program.display(), args.folder.display());
    match pinned {
        true => println!("server on core 0 (so it has one shard), client on core 1, by taskset"),
        false => println!("not pinned: there is no second core or no taskset, so figures per CPU-second are worth less"),
    }
    println!(
        "kernel {}, load average {}, congestion control {}",
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
        read("/proc/sys/net/ipv4/tcp_congestion_control")
    );
}

/// Pins the calling thread, and those that it starts from then on.
pub fn pin_thread(core: usize) -> bool {
    let Ok(task) = std::fs::read_link("/proc/thread-self") else { return false };
    let id = task.file_name().unwrap_or_default().to_owned();
    let mut taskset = Command::new("taskset");
    taskset.args(["-p", "-c", &core.to_string()]).arg(id).stdout(Stdio::null()).stderr(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}

/// Bytes of all files in a folder that take up room on disk.
pub fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.blocks() * 512).sum()
}
