//! Reports made by hand, and what must be shown of them.

mod latencies;
mod merging;
mod pages;
mod requirements;
mod texts;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

/// A storm that went well.
pub fn kept() -> Report {
    let mut acknowledgement = Latency::default();
    let mut freshness = Latency::default();
    for micros in 1..=1000 {
        acknowledgement.record(Duration::from_micros(2 * micros));
        freshness.record(Duration::from_micros(40 * micros));
    }
    Report {
        run: Run {
            scenario: "storm".into(),
            parameters: vec![parameter("members", "500"), parameter("rate", "1,000 writes a second")],
            target: "ws://127.0.0.1:8080/ws".into(),
            own_server: true,
            started_at_unix_ms: 1_795_305_600_000,
            duration_s: 2.0,
            version: "0.1.0".into(),
            processes: 1,
        },
        counts: Counts {
            writes: Writes { sent: 2000, acknowledged: 2000, ..Writes::default() },
            connections: Connections { members: 500, rooms: 1, held: 500, ..Connections::default() },
            deliveries: 50_000,
            pushes_expected: 1_000_000,
            sample: Some(Sample { watched: 100, of: 500 }),
        },
        latencies: BTreeMap::from([(Span::Acknowledgement, acknowledgement), (Span::Freshness, freshness)]),
        seconds: vec![second(0, 24_000, 990), second(1, 26_000, 1010)],
        conservation: Some(Conservation {
            counters: vec![CounterCheck { name: "bench-1/part-1".into(), acknowledged: 2000, unknown: 0, value: 2000, contradictions: 0 }],
            members_checked: 500,
            ..Conservation::default()
        }),
        usage: Usage {
            server: Some(ServerUsage { cpu_s: 0.5, rss_before_bytes: 8 << 20, rss_peak_bytes: 20 << 20, rss_after_bytes: 10 << 20 }),
            tool: ToolUsage { cpu_s: 0.4, threads: 1, bottleneck: false },
        },
        outcome: Outcome::default(),
    }
}

/// The same, in which much went wrong.
pub fn broken() -> Report {
    let mut report = kept();
    report.counts.writes =
        Writes { sent: 2105, refused: BTreeMap::from([(2996, 90), (10002, 10)]), unknown_fate: 5, unsent: 1, ..report.counts.writes };
    report.counts.connections.refused = BTreeMap::from([("HTTP 503".into(), 3)]);
    report.counts.connections.lost = 1;
    report.seconds[1] = Second { server_cpu_percent: None, server_rss_bytes: None, acknowledgement_p50_us: None, ..second(1, 0, 0) };
    report.usage = Usage { server: None, tool: ToolUsage { cpu_s: 1.99, threads: 1, bottleneck: true } };
    report.outcome = Outcome { warnings: vec!["A word of the engine.".into()], interrupted: true, requirements: Vec::new() };
    report.conservation = Some(Conservation {
        counters: vec![CounterCheck { name: "bench-1/part-1".into(), acknowledged: 2000, unknown: 5, value: 1997, contradictions: 0 }],
        members_checked: 499,
        members_differing: 1,
        examples: vec![
            Difference { member: "bench-7".into(), counter: "bench-1/part-1".into(), held: Some(1900), expected: 1997 },
            Difference { member: "bench-8".into(), counter: "bench-1/part-1".into(), held: None, expected: 1997 },
        ],
        unfinished: Some("a member was lost".into()),
    });
    report
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

pub fn second(at_s: u32, deliveries: u64, acknowledged: u64) -> Second {
    Second {
        at_s,
        deliveries,
        acknowledged,
        refused: 0,
        acknowledgement_p50_us: Some(1000),
        acknowledgement_p99_us: Some(1990),
        server_cpu_percent: Some(25.0),
        server_rss_bytes: Some(10 << 20),
    }
}

/// The verdict on one counter, where so many members were asked and so many differ.
fn verdict(acknowledged: i64, unknown: i64, value: i64, members_checked: u64, members_differing: u64) -> Verdict {
    let counters = vec![CounterCheck { name: "c".into(), acknowledged, unknown, value, contradictions: 0 }];
    Conservation { counters, members_checked, members_differing, ..Conservation::default() }.verdict()
}

#[test]
fn conservation_is_kept_only_where_everything_agrees() {
    assert_eq!(verdict(5, 0, 5, 2, 0), Verdict::Kept);
    for (case, what) in
        [((5, 0, 4, 2, 0), "lost"), ((5, 0, 6, 2, 0), "twice"), ((5, 0, 5, 2, 1), "not told"), ((5, 2, 8, 2, 0), "more than can be")]
    {
        assert_eq!(verdict(case.0, case.1, case.2, case.3, case.4), Verdict::Broken, "{what}");
    }
    for (case, what) in [((5, 2, 6, 2, 0), "fate open"), ((5, 0, 5, 0, 0), "nobody asked"), ((0, 0, 0, 2, 0), "nothing written")] {
        assert_eq!(verdict(case.0, case.1, case.2, case.3, case.4), Verdict::Unproven, "{what}");
    }
    let unfinished = Conservation { unfinished: Some("why".into()), ..kept().conservation.unwrap() };
    assert_eq!(unfinished.verdict(), Verdict::Unproven);
}

#[test]
fn two_wrongs_in_different_counters_do_not_make_a_right() {
    let mut conservation = kept().conservation.unwrap();
    let other = |value| CounterCheck { name: format!("c{value}"), acknowledged: 10, unknown: 0, value, contradictions: 0 };
    conservation.counters.extend([other(9), other(11)]);
    assert_eq!(conservation.verdict(), Verdict::Broken);
    let told = told::told(&Report { conservation: Some(conservation), ..kept() });
    assert_eq!(told.finding.unwrap().sentence, "2 of 3 counters are not what was acknowledged: 1 write lost, 1 too many");
}

#[test]
fn a_sum_that_is_right_does_not_hide_answers_that_contradict_each_other() {
    let mut conservation = kept().conservation.unwrap();
    conservation.counters[0].contradictions = 2;
    assert_eq!(conservation.verdict(), Verdict::Broken);
    let finding = told::told(&Report { conservation: Some(conservation), ..kept() }).finding.unwrap();
    assert!(finding.sentence.contains("do not add up") && finding.details[0].starts_with("2 answers told"), "{}", finding.sentence);
}

#[test]
fn lost_connections_have_their_reasons_and_these_have_a_bound() {
    let mut report = kept();
    let connections = &mut report.counts.connections;
    (0..2).for_each(|_| connections.lose("closed with 4010 (too many frames)".into()));
    let told = told::told(&report);
    assert!(told.warnings.iter().any(|warning| warning.contains("closed with 4010 (too many frames): 2")), "{:?}", told.warnings);
    let connections = &mut report.counts.connections;
    (0..100).for_each(|n| connections.lose(format!("reason {n}")));
    assert!(connections.lost == 102 && connections.lost_by.len() <= 17, "{:?}", connections.lost_by);
    assert_eq!(connections.lost_by.values().sum::<u64>(), 102);
}

#[test]
fn the_exit_code_tells_the_worst() {
    assert_eq!(kept().exit_code(), 0);
    assert_eq!(Report { conservation: None, ..kept() }.exit_code(), 0);
    let mut missed = kept();
    missed.judge(&["deliveries<1".parse().unwrap()]);
    assert_eq!(missed.exit_code(), 4);
    let mut both = broken();
    both.judge(&["deliveries<1".parse().unwrap()]);
    assert_eq!(both.exit_code(), 3);
    let nobody_asked = || kept().conservation.map(|conservation| Conservation { members_checked: 0, ..conservation });
    let mut unproven = Report { conservation: nobody_asked(), ..kept() };
    assert_eq!(unproven.exit_code(), 3);
    unproven.outcome.interrupted = true;
    assert_eq!(unproven.exit_code(), 0);
}
