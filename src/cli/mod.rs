//! The command line: what can be asked for, and which exit code comes of it. The only place where errors become text
//! on standard error; it knows no rule of the gateway.

mod backup;
pub mod bench;
mod check_config;
mod demo;
pub mod log;
mod repair;
mod restore;
mod serve;
mod temporary;
mod usersig;
mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Faults, Sources};
use crate::store::{Copied, UpkeepError};

/// A self-hosted realtime gateway for group counters.
#[derive(Parser)]
#[command(name = "tallycast", version, after_help = "Exit codes: 0 fine, 1 failed while running, 2 bad usage or configuration.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it: everything on one loopback address, with a page and simulated viewers.
    Demo(demo::Args),
    /// Run the gateway.
    Serve(serve::Args),
    /// Print a UserSig for a user.
    Usersig(usersig::Args),
    /// Say all that is wrong with a configuration.
    CheckConfig(check_config::Args),
    /// Make a consistent copy of the store, of a running gateway too.
    Backup(backup::Args),
    /// Make a store of a backup, with new epochs.
    Restore(restore::Args),
    /// Read all of a store that is not in use, or of a backup, and name what is damaged.
    Verify(verify::Args),
    /// Save what can be read of a damaged store, and say what is lost.
    Repair(repair::Args),
    /// Put a gateway under load, and see what it did.
    Bench(Box<bench::Args>),
}

/// The file that most commands read.
#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration, a TOML file. Variables that begin with TALLYCAST_ beat it
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

impl ConfigFile {
    /// The file under the environment.
    fn sources(&self) -> Sources {
        Sources::new().file(&self.path).environment(std::env::vars_os())
    }
}

/// Runs the program with the process's own arguments. Exit code 2: bad usage or configuration; 1: it failed while
/// running; 0: fine.
pub fn main() -> ExitCode {
    // Bad usage ends the process here with 2, --help and --version with 0.
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(args).map(|()| ExitCode::SUCCESS),
        Command::Serve(args) => serve::run(args).map(|()| ExitCode::SUCCESS),
        Command::Usersig(args) => usersig::run(args).map(|()| ExitCode::SUCCESS),
        Command::CheckConfig(args) => check_config::run(args).map(|()| ExitCode::SUCCESS),
        Command::Backup(args) => backup::run(args).map(|()| ExitCode::SUCCESS),
        Command::Restore(args) => restore::run(args).map(|()| ExitCode::SUCCESS),
        Command::Verify(args) => verify::run(&args),
        Command::Repair(args) => repair::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(*args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            if !log::tell(&format!("{error:#}")) {
                // Standard error may be closed; there is nobody left to tell then.
                let _ = writeln!(std::io::stderr(), "tallycast: {error:#}");
            }
            let unfit = matches!(error.downcast_ref(), Some(UpkeepError::Unfit(_)));
            if unfit || error.is::<Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Writes the command's result on standard output. Unlike `println!` it does not panic when nobody reads.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output cannot be written")
}

/// What a copy holds, in words.
fn holds(copied: &Copied) -> String {
    format!("{} groups, {} members, {} accounts", copied.groups, copied.members, copied.accounts)
}
