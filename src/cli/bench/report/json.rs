//! A report as JSON: all that was measured, and what follows from it. Only what was measured is read again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::figures::{Figure, SINGLE};
use super::{Conservation, Report, Verdict};

/// Names the form of the file; another number means that names in it have changed.
const FORMAT: &str = "tallycast-bench-1";

#[derive(Serialize)]
struct Written<'r> {
    format: &'static str,
    #[serde(flatten)]
    report: &'r Report,
    verdict: Option<Verdict>,
    figures: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    format: String,
    #[serde(flatten)]
    report: serde_json::Value,
}

/// Why a file is not taken for a report.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("not a JSON report of `tallycast bench`: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("not a JSON report of this version of `tallycast bench`: \"format\" is \"{0}\", not \"{FORMAT}\"")]
    OtherFormat(String),
}

/// The report as one line of JSON, without a line's end.
pub fn written(report: &Report) -> String {
    let figures = SINGLE.iter().filter_map(|figure| {
        let value = Figure::Single(figure).value(report)?;
        Some((format!("{}{}", figure.name, figure.unit.suffix()), (value * 1e3).round() / 1e3))
    });
    let verdict = report.conservation.as_ref().map(Conservation::verdict);
    let written = Written { format: FORMAT, report, verdict, figures: figures.collect() };
    serde_json::to_string(&written).expect("a report has no maps with odd keys and no number that is not finite")
}

/// Reads what [`written`] wrote.
///
/// # Errors
/// Not JSON, no report, or one of another form.
pub fn read(text: &str) -> Result<Report, Fault> {
    let read: Read = serde_json::from_str(text)?;
    if read.format != FORMAT {
        return Err(Fault::OtherFormat(read.format));
    }
    Ok(serde_json::from_value(read.report)?)
}
