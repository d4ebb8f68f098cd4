//! `tallycast bench`: the load tool. It opens real sockets, writes by a schedule, and proves at the end that every
//! acknowledged write counted once. This file is its command line; it measures nothing.

mod caller;
pub mod client;
mod crew;
mod freshness;
mod layout;
mod ledger;
mod live;
mod machine;
mod meeting;
mod own_server;
mod plan;
mod report;
mod room;
mod scan;
mod scenario;
mod schedule;
mod settle;
mod site;
mod stop;
mod tally;
mod target;
mod tell;
mod test;
mod upset;
mod usage;

use std::process::ExitCode;

use self::live::Live;
use self::plan::{Part, Plan};
use self::report::Showing;
use self::site::Site;
use self::stop::Stop;
use self::test::Test;
use crate::domain::name::GroupId;

const EXAMPLES: &str = "\
Examples:
  A room of 5,000 that hears 20 writes a second, on a server of its own:
    tallycast bench fan-out --members 5000 --rate 20
  Everybody writes at once; the report as a page with charts:
    tallycast bench storm --members 2000 --rate 2000 --output storm.html
  In CI, with a limit that must hold:
    tallycast bench commands --require 'acknowledgement.p99<20ms'
  A server that runs already, within its throttle of 20 writes in 5 s by one user:
    tallycast bench fan-out 10.0.0.5:8080 --config tallycast.toml \\
      --members 500 --writers 50 --rate 100
  Two processes (or machines) as one test:
    tallycast bench storm 10.0.0.5:8080 --secret @key.txt --sdk-app-id 1400000000 \\
      --room hall --part 1/2 --output 1.json
    … the same with --part 2/2 and 2.json; then: tallycast bench merge 1.json 2.json

Exit codes:
  0  fine
  1  it could not run
  2  bad usage
  3  an acknowledged write was lost, counted twice or not told to a member; or the opposite
     could not be shown
  4  a requirement was missed";

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
#[command(next_help_heading = "The run")]
struct Common {
    /// How long is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = length)]
    seconds: f64,
    /// How long it runs before, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    warmup: f64,
    /// How long to wait for everybody to come, and at the end for the last answers and values, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    patience: f64,
    #[command(flatten)]
    server: target::GivenServer,
    #[command(flatten)]
    own: own_server::OwnSettings,
    #[command(flatten, next_help_heading = "The report")]
    showing: Showing,
    /// Show nothing while it runs
    #[arg(long)]
    quiet: bool,
}

/// Up to a day, also in parts of seconds.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, 0 to 86400".to_owned()),
    }
}

/// As long as that, and not nothing.
fn length(text: &str) -> Result<f64, String> {
    seconds(text).and_then(|length| if length >= 0.1 { Ok(length) } else { Err("a number of seconds, 0.1 to 86400".to_owned()) })
}

/// So many writes a second.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a number of writes a second, 0.001 to 1000000".to_owned()),
    }
}

/// A room's id that leaves space for what several rooms' ids end with.
fn room(text: &str) -> Result<String, String> {
    const BYTES_MAX: usize = 36;
    match GroupId::custom(text) {
        Err(fault) => Err(fault.to_string()),
        Ok(_) if text.len() > BYTES_MAX => Err(format!("at most {BYTES_MAX} characters, for the rooms' numbers follow")),
        Ok(_) => Ok(text.to_owned()),
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
