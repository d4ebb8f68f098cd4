//! Adds up the reports of several processes that were one test. Refuses what cannot be one test; loses nothing in silence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Conservation, Counts, Outcome, Parameter, Report, Run, Sample, Second, ServerUsage, Showing, Usage, json};

/// The parts that are read at most.
const PARTS_MAX: usize = 1000;

/// A part may begin so much later than the first without a warning, in milliseconds.
const APART_MS_MAX: u64 = 2000;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Adds up the reports of several processes of one test, and shows them as one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    showing: Showing,
    /// The parts: JSON reports, each written by one process
    #[arg(required = true, value_name = "FILE", num_args = 1..=PARTS_MAX)]
    parts: Vec<PathBuf>,
}

/// Why reports cannot be added up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("there is no report to add up")]
    Nothing,
    #[error("these are reports of different scenarios ({0} and {1}); only parts of one test can be added up")]
    Scenarios(String, String),
    #[error("two of the reports tell of the counter {0}; was one given twice?")]
    Twice(String),
}

impl Args {
    /// Reads, adds up, judges and shows the parts; the exit code is that of the whole.
    ///
    /// # Errors
    /// A file that cannot be read or written, is no report, or does not belong to the others.
    pub fn run(self) -> anyhow::Result<u8> {
        let parts = self.parts.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
        self.showing.show(merged(parts)?)
    }
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let name = || path.display().to_string();
    let size = std::fs::metadata(path).with_context(|| format!("{} cannot be read", name()))?.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "{} is larger than {} MiB: no report is", name(), FILE_BYTES_MAX >> 20);
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", name()))?;
    json::read(&text).with_context(name)
}

/// One report of all. Counts and histograms are added; of one server seen by several, the most that any saw is kept.
///
/// # Errors
/// None given, or reports that are not parts of one test.
pub fn merged(parts: Vec<Report>) -> Result<Report, Fault> {
    let began = parts.iter().map(|part| part.run.started_at_unix_ms);
    let (first, last) = began.clone().min().zip(began.max()).ok_or(Fault::Nothing)?;
    let mut parts = parts.into_iter();
    let mut whole = parts.next().ok_or(Fault::Nothing)?;
    shift(&mut whole.seconds, whole.run.started_at_unix_ms - first);
    // What each part required of itself says nothing of the whole.
    whole.outcome.requirements.clear();
    for mut part in parts {
        if part.run.scenario != whole.run.scenario {
            return Err(Fault::Scenarios(whole.run.scenario, part.run.scenario));
        }
        shift(&mut part.seconds, part.run.started_at_unix_ms - first);
        add_run(&mut whole.run, part.run);
        add_counts(&mut whole.counts, part.counts);
        for (span, latency) in part.latencies {
            whole.latencies.entry(span).or_default().add(&latency);
        }
        add_seconds(&mut whole.seconds, part.seconds);
        whole.conservation = both(whole.conservation, part.conservation, add_conservation)?;
        add_usage(&mut whole.usage, part.usage);
        add_outcome(&mut whole.outcome, part.outcome);
    }
    if last - first > APART_MS_MAX {
        whole.outcome.warnings.push(format!(
            "The parts did not begin together: the last one {:.1} s after the first. Start them with a common instant.",
            (last - first) as f64 / 1e3
        ));
    }
    Ok(whole)
}

fn both<T>(one: Option<T>, other: Option<T>, add: impl FnOnce(T, T) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
    match (one, other) {
        (Some(one), Some(other)) => add(one, other).map(Some),
        (one, other) => Ok(one.or(other)),
    }
}

fn shift(seconds: &mut [Second], by_ms: u64) {
    let by = u32::try_from((by_ms + 500) / 1000).unwrap_or(u32::MAX);
    for second in seconds {
        second.at_s = second.at_s.saturating_add(by);
    }
}

fn add_run(whole: &mut Run, part: Run) {
    let end = |run: &Run| run.started_at_unix_ms as f64 + run.duration_s * 1e3;
    let last = end(whole).max(end(&part));
    whole.started_at_unix_ms = whole.started_at_unix_ms.min(part.started_at_unix_ms);
    whole.duration_s = (last - whole.started_at_unix_ms as f64) / 1e3;
    whole.processes += part.processes;
    whole.own_server |= part.own_server;
    add_text(&mut whole.target, &part.target);
    add_text(&mut whole.version, &part.version);
    for Parameter { name, value } in part.parameters {
        match whole.parameters.iter_mut().find(|known| known.name == name) {
            Some(known) => add_text(&mut known.value, &value),
            None => whole.parameters.push(Parameter { name, value }),
        }
    }
}

/// Values that differ are all named, each once.
fn add_text(whole: &mut String, part: &str) {
    let known: BTreeSet<_> = whole.split(" / ").collect();
    if part.split(" / ").any(|value| !known.contains(value)) {
        *whole = format!("{whole} / {part}");
    }
}

fn add_counts(whole: &mut Counts, part: Counts) {
    let (writes, connections) = (&mut whole.writes, &mut whole.connections);
    writes.sent += part.writes.sent;
    writes.acknowledged += part.writes.acknowledged;
    writes.unknown_fate += part.writes.unknown_fate;
    writes.unsent += part.writes.unsent;
    for (code, times) in part.writes.refused {
        *writes.refused.entry(code).or_default() += times;
    }
    connections.members += part.connections.members;
    // Parts of one test share their rooms.
    connections.rooms = connections.rooms.max(part.connections.rooms);
    connections.held += part.connections.held;
    connections.lost += part.connections.lost;
    for (reason, times) in part.connections.lost_by {
        *connections.lost_by.entry(reason).or_default() += times;
    }
    for (reason, times) in part.connections.refused {
        *connections.refused.entry(reason).or_default() += times;
    }
    whole.deliveries += part.deliveries;
    whole.pushes_expected += part.pushes_expected;
    whole.sample = match (whole.sample, part.sample) {
        (Some(one), Some(other)) => Some(Sample { watched: one.watched + other.watched, of: one.of + other.of }),
        (one, other) => one.or(other),
    };
}

fn add_seconds(whole: &mut Vec<Second>, part: Vec<Second>) {
    for second in part {
        match whole.binary_search_by_key(&second.at_s, |known| known.at_s) {
            Err(place) => whole.insert(place, second),
            Ok(place) => add_second(&mut whole[place], &second),
        }
    }
}

/// Percentiles of single seconds cannot be added up: the worse one is kept.
fn add_second(whole: &mut Second, part: &Second) {
    whole.deliveries += part.deliveries;
    whole.acknowledged += part.acknowledged;
    whole.refused += part.refused;
    whole.acknowledgement_p50_us = whole.acknowledgement_p50_us.max(part.acknowledgement_p50_us);
    whole.acknowledgement_p99_us = whole.acknowledgement_p99_us.max(part.acknowledgement_p99_us);
    whole.server_cpu_percent = match (whole.server_cpu_percent, part.server_cpu_percent) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
    whole.server_rss_bytes = whole.server_rss_bytes.max(part.server_rss_bytes);
}

fn add_conservation(mut whole: Conservation, part: Conservation) -> Result<Conservation, Fault> {
    for counter in part.counters {
        if whole.counters.iter().any(|known| known.name == counter.name) {
            return Err(Fault::Twice(counter.name));
        }
        whole.counters.push(counter);
    }
    whole.members_checked += part.members_checked;
    whole.members_differing += part.members_differing;
    whole.examples.extend(part.examples);
    whole.examples.truncate(Conservation::EXAMPLES_MAX);
    whole.unfinished = whole.unfinished.or(part.unfinished);
    Ok(whole)
}

fn add_usage(whole: &mut Usage, part: Usage) {
    whole.server = match (whole.server, part.server) {
        (Some(one), Some(other)) => Some(ServerUsage {
            cpu_s: one.cpu_s.max(other.cpu_s),
            rss_before_bytes: one.rss_before_bytes.min(other.rss_before_bytes),
            rss_peak_bytes: one.rss_peak_bytes.max(other.rss_peak_bytes),
            rss_after_bytes: one.rss_after_bytes.max(other.rss_after_bytes),
        }),
        (one, other) => one.or(other),
    };
    whole.tool.cpu_s += part.tool.cpu_s;
    whole.tool.threads += part.tool.threads;
    whole.tool.bottleneck |= part.tool.bottleneck;
}

fn add_outcome(whole: &mut Outcome, part: Outcome) {
    whole.interrupted |= part.interrupted;
    for warning in part.warnings {
        if !whole.warnings.contains(&warning) {
            whole.warnings.push(warning);
        }
    }
}
