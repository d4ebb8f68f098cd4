//! `tallycast usersig`: prints a UserSig and nothing else, so that a script can take it as it is.

use super::{ConfigFile, say};
use crate::clock::unix_millis;
use crate::domain::name::UserId;

/// The vendor's advice is at most 50 years.
const EXPIRE_SECONDS_MAX: u64 = 50 * 366 * 24 * 3600;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// The user it is for
    #[arg(long, value_name = "ID", value_parser = UserId::parse)]
    user: UserId,
    /// How long it is good, in seconds (180 days unless given)
    #[arg(long, value_name = "SECONDS", default_value_t = 15_552_000, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(1..=EXPIRE_SECONDS_MAX))]
    expire: u64,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let config = args.file.sources().read()?;
    say(&format!("{}\n", config.app.keyring.sign(&args.user, unix_millis() / 1000, args.expire)))
}
