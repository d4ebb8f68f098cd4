//! Every figure that can be shown by name or required: what it is called, its unit, and how it follows from a report. What
//! was not measured has no figure.

use std::fmt;

use super::{Report, ServerUsage, Span, words};

/// A unit, which says how a figure is shown and how a threshold for it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Micros,
    Bytes,
    Percent,
    /// Whole or not, without a unit.
    Plain,
}

impl Unit {
    /// What stands at the end of a figure's name in JSON.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Micros => "_us",
            Self::Bytes => "_bytes",
            Self::Percent => "_percent",
            Self::Plain => "",
        }
    }

    /// The figure for people.
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Micros => words::time(value),
            Self::Bytes => words::bytes(value),
            Self::Percent => words::percent(value),
            Self::Plain => words::number(value),
        }
    }
}

/// A figure by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Something of a histogram, such as `freshness.p99`.
    Of(Span, Statistic),
    /// One of [`SINGLE`].
    Single(&'static Single),
}

/// What can be asked of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    Min,
    Mean,
    /// The time within which this share of all lie.
    Within(f64),
    /// How many were timed.
    Count,
}

/// The names of what can be asked of a histogram.
pub const STATISTICS: [(&str, Statistic); 10] = [
    ("min", Statistic::Min),
    ("mean", Statistic::Mean),
    ("p50", Statistic::Within(0.5)),
    ("p90", Statistic::Within(0.9)),
    ("p95", Statistic::Within(0.95)),
    ("p99", Statistic::Within(0.99)),
    ("p99.9", Statistic::Within(0.999)),
    ("p99.99", Statistic::Within(0.9999)),
    ("max", Statistic::Within(1.0)),
    ("count", Statistic::Count),
];

/// A figure of its own.
pub struct Single {
    pub name: &'static str,
    pub unit: Unit,
    /// What it is, in a line.
    pub what: &'static str,
    of: fn(&Report) -> Option<f64>,
}

impl PartialEq for Single {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn single(name: &'static str, unit: Unit, what: &'static str, of: fn(&Report) -> Option<f64>) -> Single {
    Single { name, unit, what, of }
}

/// All figures that are not of a histogram.
pub static SINGLE: [Single; 26] = [
    single("writes.sent", Unit::Plain, "writes that left the tool", |r| Some(r.counts.writes.sent as f64)),
    single("writes.acknowledged", Unit::Plain, "writes answered with code 0", |r| Some(r.counts.writes.acknowledged as f64)),
    single("writes.refused", Unit::Plain, "writes answered with any other code", |r| Some(r.counts.writes.refused() as f64)),
    single("writes.refused_share", Unit::Percent, "refused writes of those sent", |r| {
        ratio(100.0 * r.counts.writes.refused() as f64, r.counts.writes.sent as f64)
    }),
    single("writes.unknown_fate", Unit::Plain, "writes whose answer was lost", |r| Some(r.counts.writes.unknown_fate as f64)),
    single("writes.unsent", Unit::Plain, "writes that were due and never left the tool", |r| Some(r.counts.writes.unsent as f64)),
    single("writes.per_second", Unit::Plain, "acknowledged writes a second", |r| {
        ratio(r.counts.writes.acknowledged as f64, r.run.duration_s)
    }),
    single("writes.per_cpu_second", Unit::Plain, "answered writes for each CPU-second of the server", |r| {
        ratio((r.counts.writes.acknowledged + r.counts.writes.refused()) as f64, r.usage.server?.cpu_s)
    }),
    single("deliveries", Unit::Plain, "pushes that reached a member", |r| Some(r.counts.deliveries as f64)),
    single("deliveries.per_second", Unit::Plain, "pushes that reached a member, each second", Report::deliveries_per_second),
    single("deliveries.per_cpu_second", Unit::Plain, "pushes for each CPU-second of the server", |r| {
        ratio(r.counts.deliveries as f64, r.usage.server?.cpu_s)
    }),
    single("conflation", Unit::Plain, "writes that one push tells of: 1 when each write is pushed by itself", |r| {
        ratio(r.counts.pushes_expected as f64, r.counts.deliveries as f64)
    }),
    single("sweep", Unit::Micros, "time in which each member is sent one push, at this run's pace", |r| Some(r.sweep_s()? * 1e6)),
    single("freshness_sweeps.p50", Unit::Plain, "half of all are fresh within so many sweeps", |r| r.in_sweeps(0.5)),
    single("freshness_sweeps.p99", Unit::Plain, "99 % are fresh within so many sweeps", |r| r.in_sweeps(0.99)),
    single("connections.held", Unit::Plain, "connections when the measurement began", |r| Some(r.counts.connections.held as f64)),
    single("connections.refused", Unit::Plain, "connections that did not come that far", |r| {
        Some(r.counts.connections.refused.values().sum::<u64>() as f64)
    }),
    single("connections.lost", Unit::Plain, "connections that ended unasked", |r| Some(r.counts.connections.lost as f64)),
    single("connections.memory", Unit::Bytes, "memory of the server for each connection, where nobody wrote", |r| {
        // What writes leave behind is no connection's.
        let server = r.usage.server.filter(|_| r.counts.writes.sent == 0)?;
        ratio(server.growth(), r.counts.connections.held as f64)
    }),
    single("members.differing", Unit::Plain, "members that ended with another value than the counter's", |r| {
        Some(r.conservation.as_ref()?.members_differing as f64)
    }),
    single("server.cpu", Unit::Percent, "CPU of the server; 100 is one core", |r| ratio(100.0 * r.usage.server?.cpu_s, r.run.duration_s)),
    single("server.cpu_time", Unit::Micros, "CPU time of the server", |r| Some(r.usage.server?.cpu_s * 1e6)),
    single("server.memory_peak", Unit::Bytes, "the most memory of the server", |r| Some(r.usage.server?.rss_peak_bytes as f64)),
    single("server.memory_growth", Unit::Bytes, "memory of the server at the end, less before the first connection", |r| {
        Some(r.usage.server?.growth())
    }),
    single("tool.cpu", Unit::Percent, "CPU of this tool; 100 is all that its threads can use", |r| {
        ratio(100.0 * r.usage.tool.cpu_s, r.run.duration_s * f64::from(r.usage.tool.threads))
    }),
    single("run.duration", Unit::Micros, "how long was measured", |r| Some(r.run.duration_s * 1e6)),
];

fn ratio(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then_some(above / below)
}

impl ServerUsage {
    fn growth(&self) -> f64 {
        self.rss_after_bytes as f64 - self.rss_before_bytes as f64
    }
}

impl Report {
    fn deliveries_per_second(&self) -> Option<f64> {
        ratio(self.counts.deliveries as f64, self.run.duration_s)
    }

    fn sweep_s(&self) -> Option<f64> {
        ratio(self.counts.connections.members as f64, self.deliveries_per_second()?)
    }

    fn in_sweeps(&self, share: f64) -> Option<f64> {
        let micros = self.latencies.get(&Span::Freshness)?.micros_at(share)?;
        ratio(micros as f64 / 1e6, self.sweep_s()?)
    }
}

impl Figure {
    /// The figure of that name.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(single) = SINGLE.iter().find(|single| single.name == name) {
            return Some(Self::Single(single));
        }
        let (span, statistic) = name.split_once('.')?;
        let span = Span::ALL.into_iter().find(|known| known.name() == span)?;
        STATISTICS.iter().find(|(known, _)| *known == statistic).map(|(_, statistic)| Self::Of(span, *statistic))
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        match self {
            Self::Of(_, Statistic::Count) => Unit::Plain,
            Self::Of(..) => Unit::Micros,
            Self::Single(single) => single.unit,
        }
    }

    /// Its value in a report; None when it was not measured.
    pub fn value(self, report: &Report) -> Option<f64> {
        let (span, statistic) = match self {
            Self::Single(single) => return (single.of)(report),
            Self::Of(span, statistic) => (span, statistic),
        };
        let latency = report.latencies.get(&span)?;
        match statistic {
            Statistic::Min => latency.min_micros().map(|micros| micros as f64),
            Statistic::Mean => latency.mean_micros(),
            Statistic::Within(share) => latency.micros_at(share).map(|micros| micros as f64),
            Statistic::Count => Some(latency.count() as f64),
        }
    }

    /// Its value for people; None when it was not measured.
    pub fn say(self, report: &Report) -> Option<String> {
        self.value(report).map(|value| self.unit().say(value))
    }
}
