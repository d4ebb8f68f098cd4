//! Requirements such as `freshness.p99<100ms`: read, and judged on a report. What was not measured is a requirement missed:
//! a test that has looked at nothing must not pass.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::str::FromStr;

use super::figures::{Figure, SINGLE, STATISTICS, Single, Unit};
use super::{Report, Required, Span};

/// A figure and what it must not pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    text: String,
    figure: Figure,
    operator: Operator,
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// As they are written; those of two signs first, so that none is taken for its own beginning.
const OPERATORS: [(&str, Operator); 4] =
    [("<=", Operator::AtMost), (">=", Operator::AtLeast), ("<", Operator::Less), (">", Operator::More)];

/// The units that a threshold may have, with what they come to in the figure's own.
fn units(unit: Unit) -> &'static [(&'static str, f64)] {
    match unit {
        Unit::Micros => &[("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 60e6)],
        Unit::Bytes => &[("B", 1.0), ("kB", 1e3), ("KiB", 1024.0), ("MB", 1e6), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)],
        Unit::Percent => &[("%", 1.0)],
        Unit::Plain => &[("", 1.0)],
    }
}

/// The same in words, such as ` with one of us, ms`.
fn in_words(unit: Unit) -> String {
    let names: Vec<_> = units(unit).iter().map(|(name, _)| *name).collect();
    match names.as_slice() {
        [""] => " without a unit".to_owned(),
        [one] => format!(" with {one}"),
        several => format!(" with one of {}", several.join(", ")),
    }
}

/// What is wrong with a requirement, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no comparison in it: write a figure, one of < <= > >=, and a threshold, such as 'freshness.p99<100ms'")]
    WithoutComparison,
    #[error("there is no figure \"{name}\".\n{}", figures())]
    UnknownFigure { name: String },
    #[error("\"{threshold}\" is no threshold for {figure}: write a number{}", in_words(*.unit))]
    BadThreshold { threshold: String, figure: String, unit: Unit },
}

impl FromStr for Requirement {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let at = text.find(['<', '>']).ok_or(Fault::WithoutComparison)?;
        let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| text[at..].starts_with(sign)).ok_or(Fault::WithoutComparison)?;
        let (name, threshold) = (text[..at].trim(), text[at + sign.len()..].trim());
        let figure = Figure::named(name).ok_or_else(|| Fault::UnknownFigure { name: name.to_owned() })?;
        let bound = bound(name, figure.unit(), threshold)?;
        Ok(Self { text: text.trim().to_owned(), figure, operator, bound })
    }
}

/// Reads a threshold, in the unit of the figure.
fn bound(figure: &str, unit: Unit, threshold: &str) -> Result<f64, Fault> {
    let digits = threshold.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(threshold.len());
    let (number, written) = (threshold[..digits].parse::<f64>().ok(), threshold[digits..].trim());
    let factor = units(unit).iter().find(|(name, _)| *name == written).map(|(_, factor)| *factor);
    let bound = number.zip(factor).map(|(number, factor)| number * factor).filter(|bound| bound.is_finite());
    bound.ok_or_else(|| Fault::BadThreshold { threshold: threshold.to_owned(), figure: figure.to_owned(), unit })
}

impl Requirement {
    /// Judges a report.
    pub fn judge(&self, report: &Report) -> Required {
        let value = self.figure.value(report);
        let order = value.and_then(|value| value.partial_cmp(&self.bound));
        let met = order.is_some_and(|order| match self.operator {
            Operator::Less => order == Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
            Operator::More => order == Ordering::Greater,
            Operator::AtLeast => order != Ordering::Less,
        });
        Required { text: self.text.clone(), figure: value.map(|value| self.figure.unit().say(value)), met }
    }
}

/// All figures that can be required, for `--help` and for who asks for another.
pub fn figures() -> String {
    let times: Vec<_> = STATISTICS.iter().map(|(name, _)| *name).filter(|name| *name != "count").collect();
    let spans: Vec<_> = Span::ALL.iter().map(|span| span.name()).collect();
    let mut text = format!(
        "Figures that can be required:\n  {}\n    .{}{}; .count is how many were timed\n",
        spans.join(" "),
        times.join(" ."),
        in_words(Unit::Micros),
    );
    for Single { name, unit, what, .. } in &SINGLE {
        let unit = if *unit == Unit::Plain { String::new() } else { format!(";{}", in_words(*unit)) };
        let _ = writeln!(text, "  {name:<26} {what}{unit}");
    }
    text
}
