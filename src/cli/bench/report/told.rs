//! What is told of a report, in words and in order: the same in the terminal and in the page. Decides no layout.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::figures::Figure;
use super::words::{bytes, count, counted, time};
use super::{Conservation, CounterCheck, Difference, Report, Required, Span, Verdict};

/// A report in words.
pub struct Told {
    pub scenario: String,
    /// Name and value: where, when, how long, and all parameters.
    pub facts: Vec<(String, String)>,
    pub finding: Option<Finding>,
    /// What matters most, at most [`HIGHLIGHTS_MAX`]: what it is, and the figure.
    pub highlights: Vec<(&'static str, String)>,
    pub latencies: Vec<LatencyRow>,
    pub groups: Vec<Group>,
    pub warnings: Vec<String>,
    pub requirements: Vec<Required>,
}

/// Conservation as a headline, a sentence that says what it rests on, and what else is to be known.
pub struct Finding {
    pub verdict: Verdict,
    pub headline: &'static str,
    pub sentence: String,
    pub details: Vec<String>,
}

/// A histogram in a row.
pub struct LatencyRow {
    pub span: Span,
    /// What was timed, from when to when.
    pub meaning: &'static str,
    /// Under [`QUANTILES`].
    pub quantiles: Vec<String>,
    pub count: String,
}

/// The columns of the table of latencies.
pub const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Later moments cannot be written as a date.
const YEAR_9999_MS: u64 = 253_370_764_800_000;

const HIGHLIGHTS_MAX: usize = 4;

/// What may matter most, the first ones first.
const HIGHLIGHTS: [(&str, &str); 9] = [
    ("99 % fresh within", "freshness.p99"),
    ("last one back after", "return.max"),
    ("99 % acknowledged within", "acknowledgement.p99"),
    ("pushes a second", "deliveries.per_second"),
    ("writes a second", "writes.per_second"),
    ("pushes a CPU-second of the server", "deliveries.per_cpu_second"),
    ("writes a CPU-second of the server", "writes.per_cpu_second"),
    ("memory of the server a connection", "connections.memory"),
    ("connections held", "connections.held"),
];

/// Figures that belong together.
pub struct Group {
    pub title: &'static str,
    pub lines: Vec<Line>,
}

/// A figure, and what is to be known beside it.
pub struct Line {
    /// The figure's name in requirements and in JSON.
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub note: String,
}

/// Everything that is told of a report.
pub fn told(report: &Report) -> Told {
    let groups = [writes(report), pushes(report), connections(report), server(report), tool(report)];
    Told {
        scenario: report.run.scenario.clone(),
        facts: facts(report),
        finding: report.conservation.as_ref().map(|conservation| finding(conservation, report.counts.writes.acknowledged)),
        highlights: highlights(report),
        latencies: Span::ALL.into_iter().filter_map(|span| latency(report, span)).collect(),
        groups: groups.into_iter().filter(|group| !group.lines.is_empty()).collect(),
        warnings: warnings(report),
        requirements: report.outcome.requirements.clone(),
    }
}

fn facts(report: &Report) -> Vec<(String, String)> {
    let run = &report.run;
    let began = SystemTime::UNIX_EPOCH + Duration::from_millis(run.started_at_unix_ms.min(YEAR_9999_MS));
    let server = if run.own_server { format!("{} (started for this run)", run.target) } else { run.target.clone() };
    let mut facts =
        vec![("server", server), ("began", humantime::format_rfc3339_seconds(began).to_string()), ("measured", time(run.duration_s * 1e6))];
    if run.processes > 1 {
        facts.push(("processes", count(run.processes)));
    }
    let parameters = run.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.value.clone()));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(parameters).collect()
}

/// Conservation in words; it may rest on more writes than were measured.
fn finding(conservation: &Conservation, measured: u64) -> Finding {
    let sum = |of: fn(&CounterCheck) -> i64| conservation.counters.iter().map(|counter| i128::from(of(counter))).sum::<i128>();
    let (acknowledged, unknown, value) = (sum(|c| c.acknowledged), sum(|c| c.unknown), sum(|c| c.value));
    let contradictions: u64 = conservation.counters.iter().map(|counter| counter.contradictions).sum();
    let members = conservation.members_checked;
    let (headline, sentence) = match conservation.verdict() {
        Verdict::Kept => (
            "Nothing lost, nothing counted twice",
            format!("{} acknowledged = {} counted = held by {}", count(acknowledged), count(value), all(members)),
        ),
        Verdict::Broken if value != acknowledged => (
            "NOT CONSERVED",
            format!("{} acknowledged, {} counted: {}", count(acknowledged), count(value), gap(value - acknowledged, unknown)),
        ),
        Verdict::Broken if !conservation.counters.iter().all(|c| c.possible()) => ("NOT CONSERVED", wrong_counters(conservation)),
        Verdict::Broken if contradictions > 0 => (
            "NOT CONSERVED",
            format!(
                "{} acknowledged, {} counted, but their values do not add up: writes were lost, and others counted twice",
                count(acknowledged),
                count(value)
            ),
        ),
        Verdict::Broken => {
            let differing = conservation.members_differing;
            ("NOT CONSERVED", format!("{} of {} ended with another value than the counter's", count(differing), counted(members, "member")))
        }
        Verdict::Unproven => {
            ("Not shown", format!("{} acknowledged, {} counted, {} asked", count(acknowledged), count(value), counted(members, "member")))
        }
    };
    let mut details: Vec<String> = conservation.unfinished.iter().map(|why| format!("The check is unfinished: {why}")).collect();
    if acknowledged > i128::from(measured) {
        details.push(format!("This is about all writes of the run: the {} measured, and those before and after", count(measured)));
    }
    if contradictions > 0 {
        let answers = counted(contradictions, "answer");
        details.push(format!("{answers} told a value or a version that others contradict: each must be told once, and in order"));
    }
    if unknown > 0 {
        details.push(format!("{} of unknown fate: they may have counted or not", counted(unknown as u64, "write")));
    }
    details.extend(conservation.examples.iter().map(example));
    Finding { verdict: conservation.verdict(), headline, sentence, details }
}

fn all(members: u64) -> String {
    if members == 1 { "the one member".to_owned() } else { format!("all {} members", count(members)) }
}

/// For counters whose errors cancel out in the sum.
fn wrong_counters(conservation: &Conservation) -> String {
    let gaps = conservation.counters.iter().map(|counter| i128::from(counter.value) - i128::from(counter.acknowledged));
    let (lost, extra): (Vec<i128>, Vec<i128>) = gaps.filter(|gap| *gap != 0).partition(|gap| *gap < 0);
    let (wrong, all) = (lost.len() + extra.len(), conservation.counters.len());
    let lost = counted(lost.iter().sum::<i128>().unsigned_abs() as u64, "write");
    format!("{wrong} of {all} counters are not what was acknowledged: {lost} lost, {} too many", count(extra.iter().sum::<i128>()))
}

fn gap(gap: i128, unknown: i128) -> String {
    match gap {
        gap if gap < 0 => format!("{} lost", count(-gap)),
        gap if unknown > 0 => format!("{} too many, of which {} may be writes of unknown fate", count(gap), count(unknown)),
        gap => format!("{} too many", count(gap)),
    }
}

fn example(Difference { member, counter, held, expected }: &Difference) -> String {
    let held = held.map_or_else(|| "nothing".to_owned(), count);
    format!("{member} holds {held} of {counter}, which is {}", count(*expected))
}

fn highlights(report: &Report) -> Vec<(&'static str, String)> {
    let said = |(what, name): &(&'static str, &str)| {
        let figure = Figure::named(name)?;
        let value = figure.value(report).filter(|value| *value > 0.0)?;
        Some((*what, figure.unit().say(value)))
    };
    HIGHLIGHTS.iter().filter_map(said).take(HIGHLIGHTS_MAX).collect()
}

fn latency(report: &Report, span: Span) -> Option<LatencyRow> {
    let latency = report.latencies.get(&span).filter(|latency| latency.count() > 0)?;
    let meaning = match span {
        Span::Acknowledgement => "from when a write was due to its answer",
        Span::Push => "from when a write was due to its push at a member",
        Span::Freshness => "from a write's answer until a member holds it",
        Span::Connect => "from the wish to connect until in the room",
        Span::Return => "from the cut until back with a snapshot",
        Span::Bystander => "from a write to its push in a room beside the load",
        Span::BystanderCalm => "the same before the load",
    };
    let quantiles = QUANTILES.iter().filter_map(|(_, share)| latency.micros_at(*share)).map(|micros| time(micros as f64)).collect();
    Some(LatencyRow { span, meaning, quantiles, count: count(latency.count()) })
}

/// A line whose value is a figure; none when that was not measured.
fn line(report: &Report, label: &'static str, name: &'static str, note: String) -> Option<Line> {
    said(report, name).map(|value| Line { name, label, value, note })
}

fn said(report: &Report, name: &str) -> Option<String> {
    Figure::named(name)?.say(report)
}

/// What several figures say, each with its words; those that were not measured are left out.
fn notes(report: &Report, figures: &[(&str, &str)]) -> String {
    let said = figures.iter().filter_map(|(name, words)| Some(format!("{}{words}", said(report, name)?)));
    said.collect::<Vec<_>>().join(" · ")
}

fn writes(report: &Report) -> Group {
    let writes = &report.counts.writes;
    let mut lines = Vec::new();
    if writes.sent + writes.unsent > 0 {
        lines.extend(line(report, "sent", "writes.sent", String::new()));
        lines.extend(line(report, "acknowledged", "writes.acknowledged", notes(report, &[("writes.per_second", " a second")])));
        let codes = writes.refused.iter().map(|(code, times)| format!("code {code}: {}", count(*times)));
        lines.extend(line(report, "refused", "writes.refused", codes.collect::<Vec<_>>().join(", ")));
        lines.extend(line(report, "of unknown fate", "writes.unknown_fate", String::new()));
        lines.extend(line(report, "unsent", "writes.unsent", String::new()));
    }
    Group { title: "Writes", lines }
}

fn pushes(report: &Report) -> Group {
    let mut lines = Vec::new();
    if report.counts.pushes_expected > 0 {
        lines.extend(line(report, "delivered", "deliveries", notes(report, &[("deliveries.per_second", " a second")])));
        let expected = format!("{} without conflation", count(report.counts.pushes_expected));
        lines.extend(line(report, "writes in a push", "conflation", expected));
        lines.extend(line(report, "one sweep", "sweep", "a push to each member, at this pace".to_owned()));
        let sweeps = notes(report, &[("freshness_sweeps.p50", " p50"), ("freshness_sweeps.p99", " p99")]);
        if !sweeps.is_empty() {
            lines.push(Line { name: "freshness_sweeps", label: "fresh, in sweeps", value: sweeps, note: sample(report) });
        }
    }
    Group { title: "Pushes", lines }
}

fn sample(report: &Report) -> String {
    let sample = report.counts.sample.filter(|sample| sample.watched < sample.of);
    sample.map(|sample| format!("watched at {} of {} members", count(sample.watched), count(sample.of))).unwrap_or_default()
}

fn connections(report: &Report) -> Group {
    let connections = &report.counts.connections;
    let mut lines = Vec::new();
    let places = format!("{} in {}", counted(connections.members, "member"), counted(connections.rooms, "room"));
    lines.extend(line(report, "held", "connections.held", places));
    lines.extend(line(report, "refused", "connections.refused", reasons(&connections.refused)));
    lines.extend(line(report, "lost", "connections.lost", reasons(&connections.lost_by)));
    Group { title: "Connections", lines }
}

fn reasons(counted: &BTreeMap<String, u64>) -> String {
    let reasons = counted.iter().map(|(reason, times)| format!("{reason}: {}", count(*times)));
    reasons.collect::<Vec<_>>().join(", ")
}

fn server(report: &Report) -> Group {
    let mut lines = Vec::new();
    if let Some(server) = report.usage.server {
        lines.extend(line(report, "CPU time", "server.cpu_time", notes(report, &[("server.cpu", " of a core")])));
        lines.extend(line(report, "pushes", "deliveries.per_cpu_second", "for each CPU-second".to_owned()));
        lines.extend(line(report, "writes", "writes.per_cpu_second", "for each CPU-second".to_owned()));
        let memory = format!("{} before, {} after", bytes(server.rss_before_bytes as f64), bytes(server.rss_after_bytes as f64));
        lines.extend(line(report, "memory, peak", "server.memory_peak", memory));
        lines.extend(line(report, "memory, growth", "server.memory_growth", notes(report, &[("connections.memory", " a connection")])));
        // Without a write or a push these would only say 0.
        lines.retain(|line| line.value != "0");
    }
    Group { title: "Server", lines }
}

fn tool(report: &Report) -> Group {
    let tool = report.usage.tool;
    let cores = format!("of {}", counted(u64::from(tool.threads), "thread"));
    let time = format!("{cores}, {} of CPU time", time(tool.cpu_s * 1e6));
    Group { title: "This tool", lines: line(report, "CPU used", "tool.cpu", time).into_iter().collect() }
}

/// What the reader must know before he believes a figure: the engine's own warnings after those that follow from the figures.
fn warnings(report: &Report) -> Vec<String> {
    let (writes, connections) = (&report.counts.writes, &report.counts.connections);
    let mut warnings = Vec::new();
    if report.outcome.interrupted {
        warnings.push("The run was ended before its time.".to_owned());
    }
    if report.usage.tool.bottleneck {
        warnings.push("This tool could not keep up: the figures are its own limit, not the server's. Use fewer members or a lower rate, or start it on several machines.".to_owned());
    }
    if writes.unsent > 0 {
        warnings.push(format!("{} due and never sent: the rate asked for was not reached.", was(writes.unsent, "write")));
    }
    let refused: u64 = connections.refused.values().sum();
    if refused > 0 {
        warnings.push(format!("{} not made, so the load was smaller than asked for.", was(refused, "connection")));
    }
    if connections.lost > 0 {
        let lost = was(connections.lost, "connection");
        warnings.push(match reasons(&connections.lost_by) {
            reasons if reasons.is_empty() => format!("{lost} lost on the way."),
            reasons => format!("{lost} lost on the way. {reasons}."),
        });
    }
    warnings.extend(report.outcome.warnings.iter().cloned());
    warnings
}

fn was(times: u64, noun: &str) -> String {
    format!("{} {}", counted(times, noun), if times == 1 { "was" } else { "were" })
}
