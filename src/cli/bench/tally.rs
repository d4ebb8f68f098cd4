//! What is counted and timed while it is measured: nothing before, nothing after. It knows no socket and no room.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::report::{Counts, Latency, Second, Span};

/// From when to when it is measured. Writes belong to it by when they were due, pushes by when they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub from: Instant,
    pub until: Instant,
}

impl Window {
    pub(super) fn has(self, at: Instant) -> bool {
        (self.from..self.until).contains(&at)
    }

    pub(super) fn length(self) -> Duration {
        self.until.saturating_duration_since(self.from)
    }
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Tally {
    /// `None`: it is not known yet when the measurement begins.
    pub window: Option<Window>,
    pub counts: Counts,
    pub latencies: BTreeMap<Span, Latency>,
    pub seconds: Vec<Second>,
    /// Pushes of a version not above the one before: the gateway promises that there are none.
    pub backward: u64,
    /// How late writes were sent, whatever kept them.
    pub lateness: Latency,
    now: Now,
}

/// The second that is not over yet.
#[derive(Default)]
struct Now {
    second: Second,
    acknowledgement: Latency,
}

impl Tally {
    /// Whether a moment belongs to the measurement.
    pub(super) fn counts_at(&self, at: Instant) -> bool {
        self.window.is_some_and(|window| window.has(at))
    }

    /// Takes a time.
    pub(super) fn time(&mut self, span: Span, took: Duration) {
        self.latencies.entry(span).or_default().record(took);
    }

    /// A push of the test came, which told of so many writes.
    pub(super) fn delivered(&mut self, writes: u64, now: Instant) {
        if self.counts_at(now) {
            self.counts.deliveries += 1;
            self.counts.pushes_expected += writes;
            self.now.second.deliveries += 1;
        }
    }

    /// A write left that was due then.
    pub(super) fn sent(&mut self, due: Instant, now: Instant) {
        if self.counts_at(due) {
            self.counts.writes.sent += 1;
            self.lateness.record(now.saturating_duration_since(due));
        }
    }

    /// A write that was due then has been acknowledged.
    pub(super) fn acknowledged(&mut self, due: Instant, now: Instant) {
        let took = now.saturating_duration_since(due);
        if self.counts_at(due) {
            self.counts.writes.acknowledged += 1;
            self.time(Span::Acknowledgement, took);
        }
        if self.counts_at(now) {
            self.now.second.acknowledged += 1;
            self.now.acknowledgement.record(took);
        }
    }

    /// A write that was due then was refused with this code.
    pub(super) fn refused(&mut self, due: Instant, now: Instant, code: u32) {
        if self.counts_at(due) {
            *self.counts.writes.refused.entry(code).or_default() += 1;
        }
        if self.counts_at(now) {
            self.now.second.refused += 1;
        }
    }

    /// The second is over: what the server used in it is added, and it is told.
    pub(super) fn end_second(&mut self, cpu_percent: Option<f64>, rss_bytes: Option<u64>) -> &Second {
        let Now { second, acknowledgement } = &mut self.now;
        let mut ended = std::mem::take(second);
        ended.at_s = u32::try_from(self.seconds.len()).unwrap_or(u32::MAX);
        (ended.acknowledgement_p50_us, ended.acknowledgement_p99_us) = (acknowledgement.micros_at(0.5), acknowledgement.micros_at(0.99));
        (ended.server_cpu_percent, ended.server_rss_bytes) = (cpu_percent, rss_bytes);
        acknowledgement.clear();
        self.seconds.push(ended);
        &self.seconds[self.seconds.len() - 1]
    }
}
