//! `tallycast verify`: reads all of a store or a backup, and names what is damaged.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::say;
use crate::store;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder of a store that is not in use, or of a backup
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let verified = store::verify(&args.path)?;
    let path = args.path.display();
    if verified.findings.is_empty() {
        let (holds, up_to, records) = (super::holds(&verified.read), verified.read.up_to, verified.records);
        say(&format!("{path}: sound up to record block {up_to}; {holds}, {records} records in the journal\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("{path}: damaged\n");
    for finding in &verified.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", finding.place, finding.what);
    }
    text.push_str("Restore a backup, or save what can be read with `tallycast repair`.\n");
    say(&text)?;
    Ok(ExitCode::FAILURE)
}
