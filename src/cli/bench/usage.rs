//! What the server and the tool use while it is measured. Reads /proc at the edges and once a second.

use std::time::Instant;

use super::machine::{Process, thread_nanos};
use super::report::{ServerUsage, ToolUsage, Usage};

/// The tool's thread is at its limit above this share of its time on a core,
const BUSY_MAX: f64 = 0.9;
/// or when it waited for a core for more than this share of the time.
const WAITED_MAX: f64 = 0.3;

/// Readings of both processes.
pub(super) struct Meter {
    server: Option<Process>,
    before_rss: Option<u64>,
    peak_rss: u64,
    begun: Reading,
    last: Reading,
}

/// Everything at one moment.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    server_cpu: Option<u64>,
    tool_cpu: u64,
    thread: (u64, u64),
}

impl Reading {
    fn take(server: Option<Process>) -> Self {
        Self {
            at: Instant::now(),
            server_cpu: server.and_then(Process::cpu_nanos),
            tool_cpu: Process(std::process::id()).cpu_nanos().unwrap_or_default(),
            thread: thread_nanos().unwrap_or_default(),
        }
    }
}

impl Meter {
    /// Before the first connection.
    pub(super) fn new(server: Option<Process>) -> Self {
        let (reading, rss) = (Reading::take(server), server.and_then(Process::rss_bytes));
        Self { server, before_rss: rss, peak_rss: rss.unwrap_or_default(), begun: reading, last: reading }
    }

    /// The measurement begins.
    pub(super) fn begin(&mut self) {
        self.begun = Reading::take(self.server);
        self.last = self.begun;
    }

    /// The server is another process from now on. What the old one used is forgotten with it.
    pub(super) fn follow(&mut self, server: Process) {
        (self.server, self.before_rss, self.peak_rss) = (Some(server), server.rss_bytes(), 0);
        self.begin();
    }

    /// A second is over: the server's CPU in percent of a core since the last, and its memory in bytes.
    pub(super) fn second(&mut self) -> (Option<f64>, Option<u64>) {
        let (now, rss) = (Reading::take(self.server), self.server.and_then(Process::rss_bytes));
        self.peak_rss = self.peak_rss.max(rss.unwrap_or_default());
        let spent = now.server_cpu.zip(self.last.server_cpu).map(|(now, before)| now.saturating_sub(before));
        let percent = spent.map(|nanos| nanos as f64 / now.at.saturating_duration_since(self.last.at).as_nanos().max(1) as f64 * 100.0);
        self.last = now;
        (percent, rss)
    }

    /// The measurement ends, with all connections still open.
    pub(super) fn end(&mut self) -> Usage {
        let (now, rss) = (Reading::take(self.server), self.server.and_then(Process::rss_bytes));
        let length = now.at.saturating_duration_since(self.begun.at).as_nanos().max(1) as f64;
        let cpu = now.server_cpu.zip(self.begun.server_cpu).map(|(now, before)| now.saturating_sub(before));
        let server = cpu.zip(rss).map(|(cpu, rss)| ServerUsage {
            cpu_s: cpu as f64 / 1e9,
            rss_before_bytes: self.before_rss.unwrap_or_default(),
            rss_peak_bytes: self.peak_rss.max(rss),
            rss_after_bytes: rss,
        });
        let share = |now: u64, before: u64| now.saturating_sub(before) as f64 / length;
        let (busy, waited) = (share(now.thread.0, self.begun.thread.0), share(now.thread.1, self.begun.thread.1));
        let cpu_s = now.tool_cpu.saturating_sub(self.begun.tool_cpu) as f64 / 1e9;
        Usage { server, tool: ToolUsage { cpu_s, threads: 1, bottleneck: busy > BUSY_MAX || waited > WAITED_MAX } }
    }
}
