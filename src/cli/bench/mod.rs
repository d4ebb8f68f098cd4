//! `tallycast bench`: the load tool.

pub mod report;

use std::process::ExitCode;

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 fine, 1 could not run, 2 bad usage, 3 a write was lost or counted twice, or the opposite was not shown, \
                        4 a requirement was missed."
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Merge(report::MergeArgs),
}

/// Runs what was asked for, and says with which code the program ends.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let code = match args.what {
        What::Merge(args) => args.run(),
    };
    code.map(ExitCode::from)
}
