//! The process by the names that Prometheus's own libraries give such figures. What the system does not tell is left out.

use std::fmt::Error;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

use super::sheet::Sheet;

/// Puts every figure of this process down.
pub fn put(sheet: &mut Sheet) -> Result<(), Error> {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
        sheet.counter("process_cpu_seconds", "Time of the processor that the process has used", cpu)?;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, help, field) in [
        ("process_resident_memory_bytes", "Memory of the process that is in RAM", "VmRSS:"),
        ("process_virtual_memory_bytes", "Addresses that the process has asked for", "VmSize:"),
    ] {
        if let Some(bytes) = bytes_of(&status, field) {
            sheet.gauge(name, help, bytes)?;
        }
    }
    if let Some(open) = open_descriptors() {
        sheet.gauge("process_open_fds", "Descriptors that are open", open)?;
    }
    if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        sheet.gauge("process_max_fds", "Descriptors that may be open", most)?;
    }
    match started_at() {
        Some(at) => sheet.gauge("process_start_time_seconds", "Unix time at which the process began", at),
        None => Ok(()),
    }
}

/// A figure of `/proc/self/status`, which gives kibibytes.
fn bytes_of(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Newer kernels give their number as the folder's size; on others all are listed.
fn open_descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).ok()?.len() {
        0 => std::fs::read_dir(folder).ok().map(|entries| entries.count() as u64),
        open => Some(open),
    }
}

/// The system counts from its own start, in hundredths of a second whatever its clock does.
fn started_at() -> Option<f64> {
    static AT: OnceLock<Option<f64>> = OnceLock::new();
    const TICKS_A_SECOND: f64 = 100.0;
    *AT.get_or_init(|| {
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program stands in brackets and may hold anything. Behind it the start is the twentieth field.
        let ticks = own.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse::<f64>().ok()?;
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
        Some(booted + ticks / TICKS_A_SECOND)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_this_process() {
        let status = "Name:\tx\nVmSize:\t  12345 kB\nVmRSS:\t     678 kB\n";
        assert_eq!((bytes_of(status, "VmRSS:"), bytes_of(status, "VmSize:")), (Some(678 * 1024), Some(12345 * 1024)));
        assert_eq!(bytes_of(status, "VmSwap:"), None);
        let before = open_descriptors().unwrap();
        assert!(before > 2);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - started_at().unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
