//! Parts of one test, added up.

use super::super::merge::{Fault, merged};
use super::*;

/// Another process's part: with a counter of its own, begun so many milliseconds later.
fn part(number: u32, later_ms: u64) -> Report {
    let mut part = kept();
    part.run.started_at_unix_ms += later_ms;
    part.run.parameters[0].value = format!("{}", 500 + number);
    part.conservation.as_mut().unwrap().counters[0].name = format!("bench-1/part-{number}");
    part
}

#[test]
fn everything_that_can_be_added_is_the_sum() {
    let whole = merged(vec![part(1, 0), part(2, 0), part(3, 0)]).unwrap();
    assert_eq!((whole.run.processes, whole.run.duration_s), (3, 2.0));
    assert_eq!(whole.run.parameters, vec![parameter("members", "501 / 502 / 503"), parameter("rate", "1,000 writes a second")]);
    assert_eq!((whole.counts.writes.acknowledged, whole.counts.deliveries, whole.counts.pushes_expected), (6000, 150_000, 3_000_000));
    assert_eq!((whole.counts.connections.members, whole.counts.connections.rooms), (1500, 1));
    assert_eq!(whole.counts.sample, Some(Sample { watched: 300, of: 1500 }));
    assert_eq!(whole.latencies[&Span::Freshness].count(), 3000);
    assert_eq!(whole.latencies[&Span::Freshness].micros_at(0.99), kept().latencies[&Span::Freshness].micros_at(0.99));
    assert_eq!(whole.seconds.iter().map(|second| second.deliveries).collect::<Vec<_>>(), [72_000, 78_000]);
    let conservation = whole.conservation.as_ref().unwrap();
    assert_eq!((conservation.verdict(), conservation.counters.len(), conservation.members_checked), (Verdict::Kept, 3, 1500));
    // One server seen by three processes is still one server.
    assert_eq!(whole.usage.server, kept().usage.server);
    assert_eq!((whole.usage.tool.threads, whole.usage.tool.cpu_s), (3, 0.4 + 0.4 + 0.4));
    assert!(whole.outcome.warnings.is_empty());
}

#[test]
fn one_part_alone_stays_as_it_is() {
    assert_eq!(merged(vec![kept()]).unwrap(), kept());
}

#[test]
fn seconds_are_laid_side_by_side_by_the_clock() {
    let whole = merged(vec![part(2, 3000), part(1, 0)]).unwrap();
    assert_eq!(whole.seconds.iter().map(|second| second.at_s).collect::<Vec<_>>(), [0, 1, 3, 4]);
    assert_eq!((whole.run.duration_s, whole.run.started_at_unix_ms), (5.0, kept().run.started_at_unix_ms));
    assert!(whole.outcome.warnings[0].contains("3.0 s after the first"), "{:?}", whole.outcome.warnings);
    let near = merged(vec![part(1, 0), part(2, 400)]).unwrap();
    assert_eq!(near.seconds.len(), 2);
}

#[test]
fn the_worst_part_decides() {
    let mut bad = broken();
    bad.conservation.as_mut().unwrap().counters[0].name = "bench-1/part-2".into();
    bad.judge(&["deliveries<1".parse().unwrap()]);
    let whole = merged(vec![part(1, 0), bad]).unwrap();
    assert_eq!(whole.conservation.as_ref().unwrap().verdict(), Verdict::Broken);
    assert!(whole.outcome.interrupted && whole.usage.tool.bottleneck && whole.exit_code() == 3);
    assert_eq!(whole.outcome.requirements, Vec::new());
    assert_eq!(whole.seconds[1].acknowledgement_p50_us, Some(1000));
    assert_eq!(whole.counts.writes.refused, BTreeMap::from([(2996, 90), (10002, 10)]));
}

#[test]
fn examples_stay_few() {
    let crowd = |number| {
        let mut bad = broken();
        let conservation = bad.conservation.as_mut().unwrap();
        conservation.counters[0].name = format!("part-{number}");
        conservation.examples = vec![conservation.examples[0].clone(); Conservation::EXAMPLES_MAX];
        bad
    };
    let whole = merged(vec![crowd(1), crowd(2)]).unwrap();
    assert_eq!(whole.conservation.unwrap().examples.len(), Conservation::EXAMPLES_MAX);
}

#[test]
fn what_is_no_part_of_it_is_refused() {
    assert_eq!(merged(vec![]), Err(Fault::Nothing));
    assert_eq!(merged(vec![kept(), kept()]), Err(Fault::Twice("bench-1/part-1".into())));
    let mut other = part(2, 0);
    other.run.scenario = "idle".into();
    assert_eq!(merged(vec![kept(), other]), Err(Fault::Scenarios("storm".into(), "idle".into())));
}
