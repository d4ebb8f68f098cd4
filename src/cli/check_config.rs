//! `tallycast check-config`: says all that is wrong with a configuration, and starts nothing.

use std::io::Write as _;

use super::{ConfigFile, say};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// Print the configuration in force as TOML, without secrets
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let sources = args.file.sources();
    sources.read()?;
    for warning in sources.warnings() {
        // Standard error may be closed; the verdict still counts.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let verdict = format!("{}: fine\n", args.file.path.display());
    // As a comment the verdict leaves the printed text a TOML file.
    if args.print { say(&format!("# {verdict}{}", sources.print())) } else { say(&verdict) }
}
