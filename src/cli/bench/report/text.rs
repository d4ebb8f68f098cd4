//! A report for the terminal: aligned, 80 columns wide where names and reasons allow, with colours only when asked for.

use std::fmt::Write as _;

use super::told::{Finding, Group, LatencyRow, QUANTILES, Told};
use super::{Required, Verdict};

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Coloured,
}

impl Ink {
    fn dye(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn bold(self, text: &str) -> String {
        self.dye("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.dye("2", text)
    }

    fn good(self, text: &str) -> String {
        self.dye("1;32", text)
    }

    fn bad(self, text: &str) -> String {
        self.dye("1;31", text)
    }

    fn wary(self, text: &str) -> String {
        self.dye("33", text)
    }
}

/// The whole report, with a line's end.
pub fn written(told: &Told, ink: Ink) -> String {
    let mut text = format!("\n{}\n", ink.bold(&format!("tallycast bench {}", without_controls(&told.scenario))));
    let widest = told.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &told.facts {
        let name = ink.faint(&format!("{:<widest$}", without_controls(name)));
        // Writing into a string cannot fail, here and below.
        let _ = writeln!(text, "  {name}  {}", without_controls(value));
    }
    write_latencies(&mut text, &told.latencies, ink);
    for group in &told.groups {
        write_group(&mut text, group, ink);
    }
    if !told.warnings.is_empty() {
        let _ = writeln!(text, "\n{}", ink.wary("Warnings"));
        for warning in &told.warnings {
            let _ = writeln!(text, "  ! {}", wrapped(&without_controls(warning), "    "));
        }
    }
    // Last, where a terminal shows it when the command has ended.
    if let Some(finding) = &told.finding {
        write_finding(&mut text, finding, ink);
    }
    write_requirements(&mut text, &told.requirements, ink);
    text
}

fn write_finding(text: &mut String, finding: &Finding, ink: Ink) {
    let headline = match finding.verdict {
        Verdict::Kept => ink.good(&format!("✓ {}", finding.headline)),
        Verdict::Broken => ink.bad(&format!("✗ {}", finding.headline)),
        Verdict::Unproven => ink.wary(&format!("? {}", finding.headline)),
    };
    let _ = writeln!(text, "\n{headline}\n  {}", finding.sentence);
    for detail in &finding.details {
        let _ = writeln!(text, "  {}", wrapped(&without_controls(detail), "  "));
    }
}

fn write_latencies(text: &mut String, rows: &[LatencyRow], ink: Ink) {
    if rows.is_empty() {
        return;
    }
    let names: String = QUANTILES.iter().map(|(name, _)| format!("{name:>10}")).collect();
    let _ = writeln!(text, "\n{}{}", ink.bold(&format!("{:<16}", "Latency")), ink.faint(&format!("{names}{:>12}", "times")));
    for row in rows {
        let cells: String = row.quantiles.iter().map(|cell| format!("{cell:>10}")).collect();
        let _ = writeln!(text, "{:<16}{cells}{:>12}", format!("  {}", row.span.name()), row.count);
    }
}

fn write_group(text: &mut String, group: &Group, ink: Ink) {
    let _ = writeln!(text, "\n{}", ink.bold(group.title));
    for line in &group.lines {
        let figure = format!("  {:<18}{:>16}", line.label, line.value);
        let note = if line.note.is_empty() { String::new() } else { format!("   {}", without_controls(&line.note)) };
        let _ = writeln!(text, "{figure}{}", ink.faint(&note));
    }
}

fn write_requirements(text: &mut String, requirements: &[Required], ink: Ink) {
    if requirements.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", ink.bold("Requirements"));
    for required in requirements {
        let figure = required.figure.as_deref().unwrap_or("not measured in this run");
        let mark = if required.met { ink.good("✓ met   ") } else { ink.bad("✗ missed") };
        let _ = writeln!(text, "  {mark}  {:<34} {figure}", without_controls(&required.text));
    }
}

/// Breaks a text into lines of at most 76 signs, all but the first behind `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 76 - indent.len() {
            lines.push('\n');
            lines.push_str(indent);
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines
}

/// What came from outside may not move the cursor or colour the terminal.
fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "?")
}
