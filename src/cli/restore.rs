//! `tallycast restore`: makes a store of a backup.

use std::path::PathBuf;

use super::say;
use crate::store;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder of the new store: empty, or not there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let copied = store::restore(&args.from, &args.to)?;
    let (to, up_to, holds) = (args.to.display(), copied.up_to, super::holds(&copied));
    say(&format!("store in {to}: everything up to record block {up_to}; {holds}. Every group has a new epoch.\n"))
}
