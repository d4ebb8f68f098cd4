//! Where a report goes and how: the options that each subcommand of `tallycast bench` takes for it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::text::Ink;
use super::told::told;
use super::{Report, Requirement, csv, html, json, text};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, in a terminal
    Text,
    /// Everything, for programs and for `merge`
    Json,
    /// A row for each second, for a spreadsheet
    Csv,
    /// A page with charts, complete in one file
    Html,
}

/// Options for showing and judging a report.
#[derive(Debug, Clone, clap::Args)]
pub struct Showing {
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also write the report to a file; its ending says the form: .html, .json, .csv or .txt. May be given several times
    #[arg(long = "output", value_name = "FILE", value_parser = Output::parse)]
    outputs: Vec<Output>,
    /// Exit with 4 unless this holds, such as 'freshness.p99<100ms'; '?<1' lists all figures. May be given several times
    #[arg(long = "require", value_name = "REQUIREMENT")]
    requirements: Vec<Requirement>,
}

/// A file, with the form that its name asks for.
#[derive(Debug, Clone)]
struct Output {
    path: PathBuf,
    format: Format,
}

impl Output {
    fn parse(name: &str) -> Result<Self, String> {
        let path = PathBuf::from(name);
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("html" | "htm") => Format::Html,
            Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some("txt") => Format::Text,
            _ => return Err("the name must end with .html, .json, .csv or .txt".to_owned()),
        };
        Ok(Self { path, format })
    }
}

impl Showing {
    /// Judges the report, writes it wherever it was asked for, and says with which exit code the program should end.
    ///
    /// # Errors
    /// A file or standard output cannot be written. All others are written before that is told.
    pub fn show(&self, mut report: Report) -> anyhow::Result<u8> {
        report.judge(&self.requirements);
        let files = self.outputs.iter().map(|output| write_file(&output.path, &written(&report, output.format, Ink::Plain)));
        let files: Vec<anyhow::Result<()>> = files.collect();
        crate::cli::say(&written(&report, self.format, ink()))?;
        files.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(report.exit_code())
    }
}

fn written(report: &Report, format: Format, ink: Ink) -> String {
    match format {
        Format::Text => text::written(&told(report), ink),
        Format::Json => format!("{}\n", json::written(report)),
        Format::Csv => csv::written(report),
        Format::Html => html::written(report),
    }
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("the report cannot be written to {}", path.display()))
}

/// Colours only on a terminal, and only where nobody has said no.
fn ink() -> Ink {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !std::io::stdout().is_terminal() { Ink::Plain } else { Ink::Coloured }
}
