//! Measurements of the real program over real sockets: `cargo bench --bench gateway -- durable calm`, or all without a name.
//!
//! The server is the release binary, started for each measurement on a free port in a folder of its own, with throttle and
//! limits off. Figures stand beside their goals; nothing in here fails because a figure is bad.

mod calm;
mod durable;
mod fleet;
mod flood;
mod growth;
mod idle;
mod load;
mod machine;
mod report;
mod rest;
mod restart;
mod server;
mod socket;
mod stalled;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Acknowledged durable writes of 200 connections in 50 groups, per second of server CPU
    Durable,
    /// One durable write at a time beside the disk's own append and sync
    Calm,
    /// Memory of 10,000 subscribed sockets that do nothing
    Idle,
    /// Memory while a peer pings as fast as it can and never reads
    Flood,
    /// A hot room of 100 members, 50 of whom stop reading
    Stalled,
    /// Counter updates over REST beside the smallest answer of the same HTTP library
    Rest,
    /// The start with a million groups on disk, clean and after a kill
    Restart,
    /// Questions about one thing as everything around them grows
    Growth,
}

#[derive(Parser)]
#[command(about = "Measures the gateway over real sockets")]
struct Args {
    /// What to measure; everything when nothing is named
    names: Vec<Name>,
    /// Shorter and coarser
    #[arg(long)]
    quick: bool,
    /// How often a noisy measurement is repeated; medians are told
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For durable: only this many writes under way on each connection
    #[arg(long)]
    window: Option<usize>,
    /// Where data folders are made
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// The program to measure, where it is not the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tallycast"))]
    program: PathBuf,
    /// What cargo adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.bench && args.names.is_empty() {
        println!("to measure, run: cargo bench --bench gateway");
        return Ok(());
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    machine::introduce(&args);
    let names = if args.names.is_empty() { Name::value_variants() } else { &args.names };
    for name in names {
        match name {
            Name::Durable => durable::measure(&args)?,
            Name::Calm => calm::measure(&args)?,
            Name::Idle => idle::measure(&args)?,
            Name::Flood => flood::measure(&args)?,
            Name::Stalled => stalled::measure(&args)?,
            Name::Rest => rest::measure(&args)?,
            Name::Restart => restart::measure(&args)?,
            Name::Growth => growth::measure(&args)?,
        }
    }
    Ok(())
}
