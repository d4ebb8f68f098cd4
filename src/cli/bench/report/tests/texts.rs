//! Text, JSON and CSV as they are written. A golden file is what the program wrote and a person has read.

use super::super::text::{self, Ink};
use super::super::{csv, json, told::told};
use super::*;

fn text(report: &Report) -> String {
    text::written(&told(report), Ink::Plain)
}

fn judged(mut report: Report) -> Report {
    report.judge(&["freshness.p99<100ms", "push.p50 < 1ms", "deliveries>=60000"].map(|text| text.parse().unwrap()));
    report
}

#[test]
fn text_is_as_it_was_read_by_a_person() {
    assert_eq!(text(&judged(kept())), include_str!("golden/kept.txt"));
    assert_eq!(text(&judged(broken())), include_str!("golden/broken.txt"));
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    for report in [judged(kept()), judged(broken())] {
        let text = text(&report);
        assert_eq!(text.lines().filter(|line| line.chars().count() > 80).collect::<Vec<_>>(), Vec::<&str>::new());
    }
}

#[test]
fn what_came_from_outside_cannot_steer_the_terminal() {
    let mut report = judged(kept());
    report.run.target = "ws://h/\u{1b}[2J\r\n".into();
    report.outcome.warnings.push("\u{7}ring".into());
    let text = text(&report);
    assert!(text.contains("ws://h/?[2J??") && text.contains("?ring"), "{text}");
    assert!(!text.contains(|sign: char| sign.is_control() && sign != '\n'));
}

#[test]
fn the_oddest_numbers_are_told() {
    let mut report = kept();
    report.run.started_at_unix_ms = u64::MAX;
    report.run.duration_s = f64::MAX;
    report.counts.deliveries = u64::MAX;
    assert!(text(&report).contains("9999-01-01T00:00:00Z"), "{}", text(&report));
}

#[test]
fn colours_change_no_word() {
    let (plain, coloured) = (text(&judged(broken())), text::written(&told(&judged(broken())), Ink::Coloured));
    assert!(coloured.contains("\u{1b}[1;31m✗ NOT CONSERVED\u{1b}[0m"));
    let without: String =
        coloured.split('\u{1b}').enumerate().map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 }).collect();
    assert_eq!(without, plain);
}

#[test]
fn json_is_read_again_as_it_was_and_has_its_names() {
    for report in [judged(kept()), judged(broken()), Report::default()] {
        assert_eq!(json::read(&json::written(&report)).unwrap(), report);
    }
    let json: serde_json::Value = serde_json::from_str(&json::written(&judged(kept()))).unwrap();
    assert_eq!(json["format"], "tallycast-bench-1");
    assert_eq!(json["verdict"], "kept");
    assert_eq!(json["latencies"]["freshness"]["percentiles"]["p99_us"], 39_615);
    assert_eq!(json["figures"]["deliveries.per_cpu_second"], 100_000.0);
    assert_eq!(json["figures"]["sweep_us"], 20_000.0);
    assert_eq!(json["figures"]["server.memory_peak_bytes"], 20_971_520.0);
    assert_eq!(json["outcome"]["requirements"][0]["met"], true);
    let broken: serde_json::Value = serde_json::from_str(&json::written(&broken())).unwrap();
    assert_eq!((&broken["verdict"], broken["figures"].get("server.cpu_percent")), (&serde_json::json!("broken"), None));
    assert_eq!(broken["counts"]["writes"]["refused"]["2996"], 90);
}

#[test]
fn only_reports_are_read() {
    for (text, says) in [
        ("", "not a JSON report"),
        ("[]", "not a JSON report"),
        ("{}", "\"format\" is \"\""),
        ("{\"format\":\"tallycast-bench-9\"}", "bench-9"),
    ] {
        let said = json::read(text).unwrap_err().to_string();
        assert!(said.contains(says), "{text}: {said}");
    }
    let cut = json::written(&kept()).replace("\"counts\"", "\"other\"");
    assert!(json::read(&cut).unwrap_err().to_string().contains("counts"));
}

#[test]
fn csv_has_a_row_for_each_second_and_nothing_for_what_was_not_measured() {
    let expected = "second,deliveries,acknowledged,refused,acknowledgement_p50_us,acknowledgement_p99_us,server_cpu_percent,server_rss_bytes\n\
                    0,24000,990,0,1000,1990,25.0,10485760\n\
                    1,0,0,0,,1990,,\n";
    assert_eq!(csv::written(&broken()), expected);
}
