//! What a load test has found, as plain values: filled by the engine, shown by the modules below. It measures nothing, and
//! shows nothing that was not measured: what could not be seen is absent, never zero.

mod csv;
mod figures;
mod html;
mod json;
mod latency;
mod merge;
mod require;
mod show;
mod text;
mod told;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use latency::Latency;
pub use merge::Args as MergeArgs;
pub use require::Requirement;
pub use show::Showing;

/// The result of one load test, or of several processes' parts of one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    pub run: Run,
    pub counts: Counts,
    /// Absent: not measured in this scenario.
    pub latencies: BTreeMap<Span, Latency>,
    /// One for each second of the measurement, in order, without the warm-up.
    pub seconds: Vec<Second>,
    /// None: the scenario writes nothing.
    pub conservation: Option<Conservation>,
    pub usage: Usage,
    pub outcome: Outcome,
}

/// What was done, to whom, and when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// The subcommand, such as `fan-out`.
    pub scenario: String,
    /// As asked for, in the order in which they are shown. Never a secret.
    pub parameters: Vec<Parameter>,
    /// The server's address, such as `ws://127.0.0.1:8080/ws`.
    pub target: String,
    /// The tool started the server itself, for this run alone.
    pub own_server: bool,
    /// When the measurement (not the warm-up) began, in milliseconds since 1970.
    pub started_at_unix_ms: u64,
    /// How long was measured: without the warm-up, and without the wait for stragglers at the end.
    pub duration_s: f64,
    /// The tool's version.
    pub version: String,
    /// How many processes took part. 1, or what `merge` has added up.
    pub processes: u32,
}

/// A parameter of the run as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

/// How often everything happened during the measurement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub writes: Writes,
    pub connections: Connections,
    /// Pushes that arrived at members.
    pub deliveries: u64,
    /// Pushes there would have been had every write applied in the rooms (as their versions tell: other writers' too) been
    /// pushed to every member of this tool by itself. Under load the gateway may send fewer: a push carries the newest value.
    pub pushes_expected: u64,
    /// How many members were watched for freshness, of how many. None: freshness was not measured.
    pub sample: Option<Sample>,
}

/// The fate of each write. What was sent is acknowledged, refused, or of unknown fate; `unsent` was due and never left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Writes {
    pub sent: u64,
    pub acknowledged: u64,
    /// By the code of the answer.
    pub refused: BTreeMap<u32, u64>,
    /// Neither an answer came, nor could it be learnt afterwards.
    pub unknown_fate: u64,
    pub unsent: u64,
}

/// The sockets of the tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Connections {
    /// Members of the rooms under test, each with a connection.
    pub members: u64,
    pub rooms: u64,
    /// Logged in and in their room when the measurement began.
    pub held: u64,
    /// Never came that far, by the reason in words.
    pub refused: BTreeMap<String, u64>,
    /// Ended during the measurement without being asked to.
    pub lost: u64,
    /// The same by the reason in words. Older reports have none.
    #[serde(default)]
    pub lost_by: BTreeMap<String, u64>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sample {
    pub watched: u64,
    pub of: u64,
}

/// What was timed. All from when it was *due*, not from when it could be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// From a write to its answer.
    Acknowledgement,
    /// From a write to its push at a member.
    Push,
    /// From a write's answer until a member holds a value that includes it; 0 when he held it before.
    Freshness,
    /// From the wish to connect until logged in and in the room.
    Connect,
    /// From the cut until the client is back and holds a snapshot.
    Return,
    /// From a write to its push in a room that has no part in the load.
    Bystander,
    /// The same before the load, to compare with.
    BystanderCalm,
}

/// One second of the measurement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Second {
    /// Seconds since the measurement began: 0 is the first.
    pub at_s: u32,
    pub deliveries: u64,
    pub acknowledged: u64,
    pub refused: u64,
    /// Of the writes acknowledged in this second. None: there were none.
    pub acknowledgement_p50_us: Option<u64>,
    pub acknowledgement_p99_us: Option<u64>,
    /// 100 is one core. None: the server's process cannot be seen.
    pub server_cpu_percent: Option<f64>,
    pub server_rss_bytes: Option<u64>,
}

/// Whether each acknowledged write counted once: acknowledged writes = final counter = last value held by every member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conservation {
    /// Each process writes to counters of its own, so that parts can be judged alone and added up.
    pub counters: Vec<CounterCheck>,
    /// Members whose last values were compared with the final counters.
    pub members_checked: u64,
    pub members_differing: u64,
    /// Some of those that differ, at most [`Conservation::EXAMPLES_MAX`].
    pub examples: Vec<Difference>,
    /// Why the check could not be finished, in words.
    pub unfinished: Option<String>,
}

/// A counter (or all counters of many rooms, added up) at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CounterCheck {
    /// Names it in all the world, such as `bench-5f0c/part-1`, so that no report is added twice.
    pub name: String,
    /// The sum of all acknowledged increments.
    pub acknowledged: i64,
    /// The sum of the increments of unknown fate: each may have counted or not.
    pub unknown: i64,
    /// What the server says at the end, less what it said before the first write.
    pub value: i64,
    /// Answers whose value or version another answer contradicts: where one write was lost and another one counted twice, the
    /// sum is right. Older reports have none.
    #[serde(default)]
    pub contradictions: u64,
}

/// A member that ended with another value than the counter's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Difference {
    pub member: String,
    pub counter: String,
    /// None: he never saw one.
    pub held: Option<i64>,
    pub expected: i64,
}

/// What the two sides used during the measurement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// None: it is not on this machine.
    pub server: Option<ServerUsage>,
    pub tool: ToolUsage,
}

/// Seen in the server's process.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerUsage {
    pub cpu_s: f64,
    /// Before the first connection.
    pub rss_before_bytes: u64,
    pub rss_peak_bytes: u64,
    /// At the end of the measurement, with all connections still open.
    pub rss_after_bytes: u64,
}

/// The load tool itself.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ToolUsage {
    pub cpu_s: f64,
    /// Threads that drive sockets; each can use one core.
    pub threads: u32,
    /// The tool could not keep up, so that figures are its own rather than the server's.
    pub bottleneck: bool,
}

/// What else is to be told, and what was asked of the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// In words, for people; the worst first.
    pub warnings: Vec<String>,
    /// Ended before its time.
    pub interrupted: bool,
    /// Each `--require`, as it was given, with what came of it.
    pub requirements: Vec<Required>,
}

/// A requirement and what came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Required {
    /// As it was given, such as `freshness.p99<100ms`.
    pub text: String,
    /// The figure in words with its unit. None: it was not measured in this run, and so the requirement is missed.
    pub figure: Option<String>,
    pub met: bool,
}

/// What conservation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every acknowledged write counted exactly once, and every member knows it.
    Kept,
    /// Something was lost, counted twice, or not told to a member.
    Broken,
    /// Nothing speaks against it, but it could not be shown.
    Unproven,
}

impl Span {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Acknowledgement, Self::Push, Self::Freshness, Self::Connect, Self::Return, Self::Bystander, Self::BystanderCalm];

    /// As it is called in requirements and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledgement => "acknowledgement",
            Self::Push => "push",
            Self::Freshness => "freshness",
            Self::Connect => "connect",
            Self::Return => "return",
            Self::Bystander => "bystander",
            Self::BystanderCalm => "bystander-calm",
        }
    }
}

impl Writes {
    /// All refused ones, whatever the code.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// Reasons that are told apart. A server that gives each connection words of its own does not fill the report.
const REASONS_MAX: usize = 16;

impl Connections {
    /// One ended for this reason.
    pub fn lose(&mut self, reason: String) {
        self.lost += 1;
        let known = self.lost_by.contains_key(&reason) || self.lost_by.len() < REASONS_MAX;
        *self.lost_by.entry(if known { reason } else { "others".to_owned() }).or_default() += 1;
    }
}

impl Report {
    /// Judges each requirement, in place of those judged before.
    pub fn judge(&mut self, requirements: &[Requirement]) {
        self.outcome.requirements = requirements.iter().map(|requirement| requirement.judge(self)).collect();
    }

    /// The program's exit code: 3 when conservation is broken, or was not shown although the run came to its end; else 4 when a
    /// requirement was missed; else 0.
    pub fn exit_code(&self) -> u8 {
        match self.conservation.as_ref().map(Conservation::verdict) {
            Some(Verdict::Broken) => 3,
            Some(Verdict::Unproven) if !self.outcome.interrupted => 3,
            _ if self.outcome.requirements.iter().any(|required| !required.met) => 4,
            _ => 0,
        }
    }
}

impl CounterCheck {
    /// Every acknowledged write is in the value, and nothing is that may not be.
    fn possible(&self) -> bool {
        (self.acknowledged..=self.acknowledged.saturating_add(self.unknown)).contains(&self.value)
    }
}

impl Conservation {
    /// As many members that differ are named.
    pub const EXAMPLES_MAX: usize = 10;

    /// Judges what was found. Writes of unknown fate leave it open while the counter lies between without and with them.
    pub fn verdict(&self) -> Verdict {
        if self.members_differing > 0 || !self.counters.iter().all(|counter| counter.possible() && counter.contradictions == 0) {
            return Verdict::Broken;
        }
        let open = self.unfinished.is_some() || self.members_checked == 0 || self.counters.iter().all(|counter| counter.acknowledged == 0);
        if open || self.counters.iter().any(|counter| counter.unknown > 0) { Verdict::Unproven } else { Verdict::Kept }
    }
}

#[cfg(test)]
mod tests;
