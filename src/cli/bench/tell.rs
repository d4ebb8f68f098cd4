//! From the books of a test to its report: counts, times, and what a reader must know besides. It leaves nothing out.

use std::time::Duration;

use super::crew::Crew;
use super::report::{Conservation, Report, Sample, Span};
use super::test::Test;

/// Writes that leave later than this are told of, in microseconds.
const LATE_MICROS: u64 = 10_000;

impl Test {
    /// Puts all that was found into the report.
    pub(super) fn tell(&mut self, report: &mut Report) {
        let crew = &mut self.crew;
        let connections = &mut crew.tally.counts.connections;
        (connections.members, connections.rooms) = (crew.members.len() as u64, crew.rooms.len() as u64);
        let watched = crew.members.iter().filter(|member| member.watched.is_some()).count() as u64;
        crew.tally.counts.sample =
            crew.tally.latencies.contains_key(&Span::Freshness).then_some(Sample { watched, of: crew.members.len() as u64 });
        report.outcome.warnings = warnings(crew, report.conservation.as_ref(), report.usage.server.is_none());
        report.counts = std::mem::take(&mut crew.tally.counts);
        report.latencies = std::mem::take(&mut crew.tally.latencies);
        report.seconds = std::mem::take(&mut crew.tally.seconds);
    }
}

fn warnings(crew: &Crew, conservation: Option<&Conservation>, blind: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let writes = &crew.tally.counts.writes;
    if crew.tally.backward > 0 {
        warnings.push(format!(
            "{} pushes had a version not above the one before: the server promises that there are none.",
            crew.tally.backward
        ));
    }
    if let Some(text) = &crew.faults.strange {
        warnings.push(format!("The server sent what the protocol does not explain: {text}"));
    }
    if let Some(refused) = writes.refused.get(&2996) {
        warnings.push(format!(
            "{refused} writes were refused with 2996: a server lets a user write 20 times in five seconds. Spread the rate over more \
             writers, or set limits.counter_writes_max = 0 on the server for the test."
        ));
    }
    let late = crew.tally.lateness.micros_at(0.99).unwrap_or_default();
    if late > LATE_MICROS {
        let late = Duration::from_micros(late);
        warnings.push(format!("One write in a hundred left {late:.1?} or more after it was due. That is inside its latency."));
    }
    if blind {
        warnings.push(
            "The server's process cannot be seen, so its CPU and memory are not shown. Where it runs on this machine: --server-pid."
                .to_owned(),
        );
    }
    let forgotten: u64 = crew.rooms.iter().map(|room| room.freshness.forgotten).sum();
    if forgotten > 0 {
        warnings.push(format!("{forgotten} writes took so long to reach some member that they are not in freshness."));
    }
    if conservation.is_some_and(|it| it.counters.iter().any(|counter| counter.unknown > 0)) {
        warnings.push("Some writes have no known fate: their answers never came.".to_owned());
    }
    warnings.extend(crew.faults.notes.iter().map(|note| format!("During the test {note}.")));
    warnings
}
