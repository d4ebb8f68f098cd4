//! `tallycast bench`: the load tool. It opens real sockets, writes by a schedule, and proves at the end that every
//! acknowledged write counted once. This file is its command line; it measures nothing.

mod caller;
pub mod client;
mod crew;
mod freshness;
mod live;
mod machine;
mod meeting;
mod own_server;
mod plan;
pub mod report;
mod room;
mod scan;
mod scenario;
mod schedule;
mod settle;
mod site;
mod stop;
mod tally;
mod target;
mod test;
mod usage;

use std::process::ExitCode;

use self::live::Live;
use self::plan::{Part, Plan};
use self::report::Showing;
use self::site::Site;
use self::stop::Stop;
use self::test::Test;

const EXAMPLES: &str = "\
Examples:
  tallycast bench fan-out --members 5000 --rate 20
  tallycast bench storm --members 2000 --rate 2000 --output storm.html
  tallycast bench commands --require 'acknowledgement.p99<20ms'
  tallycast bench fan-out 10.0.0.5:8080 --config tallycast.toml --members 500 --writers 50 --rate 100
  tallycast bench storm 10.0.0.5:8080 --secret @key.txt --sdk-app-id 1400000000 --room hall --part 1/2 --output 1.json

Exit codes: 0 fine, 1 could not run, 2 bad usage, 3 a write was lost or counted twice, or the opposite was not shown, \
4 a requirement was missed.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    FanOut(scenario::FanOut),
    Storm(scenario::Storm),
    Commands(scenario::Commands),
    Idle(scenario::Idle),
    Reconnect(scenario::Reconnect),
    Merge(report::MergeArgs),
}

/// What every test is given.
#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    server: target::GivenServer,
    #[command(flatten)]
    own: own_server::OwnSettings,
    /// How long is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How long it runs before, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    warmup: f64,
    /// How long to wait for everybody to come, and at the end for the last answers and values, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    patience: f64,
    /// Show nothing but the report
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    showing: Showing,
}

/// Up to a day, also in parts of seconds.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, 0 to 86400".to_owned()),
    }
}

/// So many writes a second.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a number of writes a second, 0.001 to 1000000".to_owned()),
    }
}

/// Runs what was asked for, and says with which code the program ends.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let code = match args.what {
        What::FanOut(args) => perform(args.plan(), &args.common),
        What::Storm(args) => perform(args.plan(), &args.common),
        What::Commands(args) => perform(args.plan(), &args.common),
        What::Idle(args) => perform(args.plan(), &args.common),
        What::Reconnect(args) => perform(args.plan(), &args.common),
        What::Merge(args) => args.run(),
    };
    code.map(ExitCode::from)
}

/// Does a test and shows its report.
fn perform(plan: Plan, common: &Common) -> anyhow::Result<u8> {
    let stop = Stop::listen()?;
    machine::make_room_for(plan.layout.members + plan.layout.bystanders)?;
    let Part { number, of } = plan.part;
    let run = format!("bench-{:08x}", fastrand::u32(..));
    let run = if of > 1 { format!("{run}-p{number}") } else { run };
    let live = Live::new(common.quiet);
    let site = Site::find(&common.server, &common.own, |users| users.take(plan.layout.users, &run, number, of))?;
    let report = Test::new(plan, site, &run, live, stop)?.run()?;
    common.showing.show(report)
}
