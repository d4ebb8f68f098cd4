//! A report's seconds as CSV, one row each, for a spreadsheet or a plot of one's own. Empty: not measured.

use std::fmt::Write as _;

use super::{Report, Second};

const HEAD: &str =
    "second,deliveries,acknowledged,refused,acknowledgement_p50_us,acknowledgement_p99_us,server_cpu_percent,server_rss_bytes";

/// All seconds, with a row of names above them.
pub fn written(report: &Report) -> String {
    let mut text = format!("{HEAD}\n");
    for second in &report.seconds {
        let Second { at_s, deliveries, acknowledged, refused, .. } = second;
        let rest = [
            second.acknowledgement_p50_us.map(|micros| micros.to_string()),
            second.acknowledgement_p99_us.map(|micros| micros.to_string()),
            second.server_cpu_percent.map(|percent| format!("{percent:.1}")),
            second.server_rss_bytes.map(|bytes| bytes.to_string()),
        ];
        let rest = rest.map(Option::unwrap_or_default).join(",");
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{at_s},{deliveries},{acknowledged},{refused},{rest}");
    }
    text
}
