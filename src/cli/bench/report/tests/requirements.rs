//! Requirements: what is read is what is judged, and what cannot be read says what could be.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::figures::{Figure, SINGLE, STATISTICS, Unit};
use super::*;

fn names() -> Vec<String> {
    let of_spans = Span::ALL.iter().flat_map(|span| STATISTICS.iter().map(move |(name, _)| format!("{}.{name}", span.name())));
    of_spans.chain(SINGLE.iter().map(|figure| figure.name.to_owned())).collect()
}

fn judged(report: &Report, text: &str) -> Required {
    text.parse::<Requirement>().unwrap().judge(report)
}

fn fault(text: &str) -> String {
    text.parse::<Requirement>().unwrap_err().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_figure_is_compared_as_its_threshold_says(
        name in proptest::sample::select(names()),
        sign in proptest::sample::select(vec!["<", "<=", ">", ">="]),
        tenths in 0..20_000u32,
        unit in 0..6usize,
        (left, right) in ("[ ]{0,2}", "[ ]{0,2}"),
    ) {
        let figure = Figure::named(&name).unwrap();
        let units: &[(&str, f64)] = match figure.unit() {
            Unit::Micros => &[("us", 1.0), ("µs", 1.0), ("ms", 1000.0), ("s", 1_000_000.0)],
            Unit::Bytes => &[("B", 1.0), ("kB", 1000.0), ("MiB", 1_048_576.0)],
            Unit::Percent => &[("%", 1.0)],
            Unit::Plain => &[("", 1.0)],
        };
        let (unit, factor) = units[unit % units.len()];
        let threshold = f64::from(tenths) / 10.0;
        let required = judged(&kept(), &format!("{left}{name}{right}{sign}{left}{threshold}{right}{unit}"));
        let bound = threshold * factor;
        let expected = figure.value(&kept()).is_some_and(|value| match sign {
            "<" => value < bound,
            "<=" => value <= bound,
            ">" => value > bound,
            _ => value >= bound,
        });
        prop_assert_eq!(required.met, expected, "{}", required.text);
    }

    #[test]
    fn no_text_makes_it_fail_otherwise_than_in_words(text in "\\PC{0,40}", name in proptest::sample::select(names()), tail in "[<>=0-9.a-zµ% ]{0,12}") {
        for text in [text, format!("{name}{tail}")] {
            if let Err(fault) = text.parse::<Requirement>() {
                prop_assert!(!fault.to_string().is_empty());
            }
        }
    }
}

#[test]
fn names_are_unique_and_found() {
    let names = names();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| Figure::named(name).is_some()));
    let text = super::super::require::figures();
    assert!(SINGLE.iter().all(|figure| text.contains(figure.name)) && Span::ALL.iter().all(|span| text.contains(span.name())), "{text}");
}

#[test]
fn figures_follow_from_what_was_measured() {
    let said = |name: &str| Figure::named(name).unwrap().say(&kept()).unwrap_or_default();
    let expected = [
        ("writes.per_second", "1,000"),
        ("writes.per_cpu_second", "4,000"),
        ("deliveries.per_second", "25,000"),
        ("deliveries.per_cpu_second", "100,000"),
        ("conflation", "20"),
        ("sweep", "20.0 ms"),
        ("freshness.p50", "20.0 ms"),
        ("freshness_sweeps.p50", "1.00"),
        ("connections.memory", ""),
        ("server.cpu", "25.0 %"),
        ("server.memory_growth", "2.00 MiB"),
        ("tool.cpu", "20.0 %"),
        ("acknowledgement.count", "1,000"),
        ("push.p99", ""),
    ];
    let found = expected.map(|(name, _)| (name, said(name)));
    assert_eq!(found.each_ref().map(|(name, value)| (*name, value.as_str())), expected);
}

#[test]
fn memory_is_a_connection_s_own_only_where_nobody_wrote() {
    let mut idle = kept();
    idle.counts.writes = Writes::default();
    assert_eq!(Figure::named("connections.memory").unwrap().say(&idle).as_deref(), Some("4.10 KiB"));
}

#[test]
fn what_was_not_measured_is_missed() {
    for text in ["push.p99<1min", "push.p99>0s", "bystander.count>=0"] {
        let required = judged(&kept(), text);
        assert_eq!((required.met, required.figure), (false, None), "{text}");
    }
    assert!(!judged(&broken(), "server.cpu<1000%").met);
    assert!(judged(&kept(), "server.cpu<1000%").met);
}

#[test]
fn a_requirement_that_cannot_be_read_says_what_could_be() {
    assert!(fault("freshness.p99").contains("one of < <= > >="));
    assert!(fault("").contains("one of < <= > >="));
    let unknown = fault("fresh.p99<1ms");
    assert!(
        unknown.contains("no figure \"fresh.p99\"") && unknown.contains("freshness") && unknown.contains("deliveries.per_second"),
        "{unknown}"
    );
    assert!(fault("freshness.p98<1ms").contains("p99.9"));
    for text in [
        "freshness.p99<100",
        "freshness.p99<100 MiB",
        "freshness.p99<ms",
        "freshness.p99<-1ms",
        "freshness.p99<1.2.3ms",
        "freshness.p99==1ms",
    ] {
        let said = fault(text);
        assert!(said.contains("with one of us, µs, ms, s, min") || said.contains("one of < <= > >="), "{text}: {said}");
    }
    assert!(fault("deliveries<5ms").contains("a number without a unit"));
    assert!(fault("writes.refused_share<1").contains("a number with %"));
    assert!(fault("server.memory_peak<1").contains("MiB"));
}
