//! `tallycast backup`: a consistent copy of a store, of a running gateway too.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{ConfigFile, say};
use crate::control;
use crate::store::{self, Copied};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder of the backup: empty, or not there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let folder = args.file.sources().read()?.store.path;
    let asked = control::ask_for_copy(&folder);
    let asked = asked.with_context(|| format!("the gateway on {} cannot be asked for a copy", folder.display()))?;
    let (copied, how) = match asked {
        Some(mut copy) => (store::receive_backup(&folder, &mut copy, &args.to)?, "while the gateway runs"),
        None => (store::backup_at_rest(&folder, &args.to)?, "at rest"),
    };
    let Copied { up_to, .. } = copied;
    let holds = super::holds(&copied);
    say(&format!("backup of {} in {}, {how}: everything up to record block {up_to}; {holds}\n", folder.display(), args.to.display()))
}
