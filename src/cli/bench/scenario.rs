//! The tests that can be chosen: each subcommand's options, and the plan that they come to.

use std::time::Duration;

use super::Common;
use super::crew::Pace;
use super::plan::{Layout, Part, Plan, Times, Upset, Writing};
use super::report::Parameter;
use super::{rate, room, seconds};

/// Clients that are on their way in at once, where the coming is not what is tested.
const AT_ONCE_MAX: usize = 200;

fn many(most: u64) -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::from(1..=most)
}

fn parameters(shown: &[(&str, String)], common: &Common) -> Vec<Parameter> {
    let mut all: Vec<Parameter> = shown.iter().map(|(name, value)| Parameter { name: (*name).to_owned(), value: value.clone() }).collect();
    let mut add = |name: &str, value: String| all.push(Parameter { name: name.to_owned(), value });
    add("seconds", common.seconds.to_string());
    add("warmup", common.warmup.to_string());
    if common.server.address.is_none() {
        add("durability", common.own.durability.clone());
        add("shards", if common.own.shards == 0 { "one for each core".to_owned() } else { common.own.shards.to_string() });
    }
    all
}

/// One room, and perhaps several processes that share it.
#[derive(clap::Args)]
struct Shared {
    /// The id of the room; made for the test, and dissolved after it, where there is none
    #[arg(long, value_name = "ID", value_parser = room)]
    room: Option<String>,
    /// This process is one of several of one test, such as 2/3: give each the same --room. They begin together, and each
    /// checks what all have written; freshness is that of a part's own writes at its own members. `merge` adds them up
    #[arg(long, value_name = "PART", value_parser = Part::parse, requires_all = ["room", "address"])]
    part: Option<Part>,
}

/// N members in a room hear what a few of them write, at a rate
#[derive(clap::Args)]
pub(super) struct FanOut {
    /// Members of the room, each with a connection
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = many(1_000_000))]
    members: usize,
    /// So many of them write
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = many(1_000_000))]
    writers: usize,
    /// Writes a second, all writers together
    #[arg(long, value_name = "RATE", default_value = "20", value_parser = rate)]
    rate: f64,
    /// No rate: the next write leaves when every member holds the last
    #[arg(long, conflicts_with_all = ["rate", "part"])]
    closed: bool,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    pub common: Common,
}

impl FanOut {
    pub(super) fn plan(&self) -> Plan {
        let writers = self.writers.min(self.members);
        let (pace, shown) = match self.closed {
            true => (Pace::Held, "closed loop".to_owned()),
            false => (Pace::Rate(self.rate), self.rate.to_string()),
        };
        let shown = [("members", self.members.to_string()), ("writers", writers.to_string()), ("rate", shown)];
        let layout = self.shared.layout(self.members);
        plan("fan-out", &self.common, &shown, layout, Writing { writers, pace, bystander_rate: 0.0 }, self.shared.part)
    }
}

impl Shared {
    fn layout(&self, members: usize) -> Layout {
        Layout { room: self.room.clone(), rooms: 1, members, bystanders: 0, users: members, at_once_max: AT_ONCE_MAX }
    }
}

fn plan(scenario: &'static str, common: &Common, shown: &[(&str, String)], layout: Layout, writing: Writing, part: Option<Part>) -> Plan {
    let time = |seconds: f64| Duration::from_secs_f64(seconds);
    let times = Times { warm_up: time(common.warmup), measured: time(common.seconds), patience: time(common.patience) };
    let (parameters, part) = (parameters(shown, common), part.unwrap_or(Part::WHOLE));
    Plan { scenario, parameters, layout, writing, event: None, times, part }
}

/// All N members of a room write into it at once, at a rate
#[derive(clap::Args)]
pub(super) struct Storm {
    /// Members of the room, who all write
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = many(1_000_000))]
    members: usize,
    /// Writes a second, all members together
    #[arg(long, value_name = "RATE", default_value = "1000", value_parser = rate)]
    rate: f64,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    pub common: Common,
}

impl Storm {
    pub(super) fn plan(&self) -> Plan {
        let shown = [("members", self.members.to_string()), ("rate", self.rate.to_string())];
        let writing = Writing { writers: self.members, pace: Pace::Rate(self.rate), bystander_rate: 0.0 };
        plan("storm", &self.common, &shown, self.shared.layout(self.members), writing, self.shared.part)
    }
}

/// Many small rooms in which everybody writes
#[derive(clap::Args)]
pub(super) struct Commands {
    /// Rooms
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = many(100_000))]
    rooms: usize,
    /// Members of each room
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = many(1000))]
    members: usize,
    /// Writes a second, all members together. Without it, each writes his next when his last is answered
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// What the rooms' ids begin with
    #[arg(long, value_name = "ID", value_parser = room)]
    room: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

impl Commands {
    pub(super) fn plan(&self) -> Plan {
        let (members, rooms) = (self.rooms * self.members, self.rooms);
        let (pace, shown) = match self.rate {
            Some(rate) => (Pace::Rate(rate), rate.to_string()),
            None => (Pace::Answered, "closed loop".to_owned()),
        };
        let shown = [("rooms", rooms.to_string()), ("members of each", self.members.to_string()), ("rate", shown)];
        let layout = Layout { room: self.room.clone(), rooms, members, bystanders: 0, users: members, at_once_max: AT_ONCE_MAX };
        plan("commands", &self.common, &shown, layout, Writing { writers: members, pace, bystander_rate: 0.0 }, None)
    }
}

/// Members who do nothing: the server's memory for each connection
#[derive(clap::Args)]
pub(super) struct Idle {
    /// Connections in all
    #[arg(long, value_name = "COUNT", default_value = "5000", value_parser = many(1_000_000))]
    members: usize,
    /// Rooms that they are in, each in one
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = many(100_000))]
    rooms: usize,
    /// Users that they are; a user for each connection unless given
    #[arg(long, value_name = "COUNT", value_parser = many(1_000_000))]
    users: Option<usize>,
    #[command(flatten)]
    pub common: Common,
}

impl Idle {
    pub(super) fn plan(&self) -> Plan {
        let users = self.users.unwrap_or(self.members).min(self.members);
        let rooms = self.rooms.min(self.members);
        let shown = [("members", self.members.to_string()), ("rooms", rooms.to_string()), ("users", users.to_string())];
        let layout = Layout { room: None, rooms, members: self.members, bystanders: 0, users, at_once_max: AT_ONCE_MAX };
        let writing = Writing { writers: 0, pace: Pace::Rate(1.0), bystander_rate: 0.0 };
        plan("idle", &self.common, &shown, layout, writing, None)
    }
}

/// All clients lose their connection in one moment and come back at once
#[derive(clap::Args)]
pub(super) struct Reconnect {
    /// Members who are cut
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = many(1_000_000))]
    members: usize,
    /// Rooms that they are in, each in one
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = many(100_000))]
    rooms: usize,
    /// Within this time they come back, each at a moment of his own, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    jitter: f64,
    /// How long all is calm before, in seconds; from the beginning of the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    calm: f64,
    /// Members of a room that is left alone, in which they write: what the others' return does to them
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = many(1000))]
    bystanders: usize,
    /// Writes a second in the bystanders' room
    #[arg(long, value_name = "RATE", default_value = "20", value_parser = rate)]
    rate: f64,
    /// In place of the cut, kill the server and start it again. Bystanders lose it too
    #[arg(long, conflicts_with_all = ["address", "jitter"])]
    restart: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Reconnect {
    pub(super) fn plan(&self) -> Plan {
        let rooms = self.rooms.min(self.members);
        let (calm, jitter) = (Duration::from_secs_f64(self.calm), Duration::from_secs_f64(self.jitter));
        let event = if self.restart { Upset::Restart { calm } } else { Upset::Cut { calm, jitter } };
        let shown = [
            ("members", self.members.to_string()),
            ("rooms", rooms.to_string()),
            ("lost by", if self.restart { "a kill of the server".to_owned() } else { "a cut of all connections".to_owned() }),
            ("jitter", self.jitter.to_string()),
            ("calm", self.calm.to_string()),
            ("bystanders", self.bystanders.to_string()),
            ("bystanders' rate", self.rate.to_string()),
        ];
        let users = self.members + self.bystanders;
        let layout = Layout { room: None, rooms, members: self.members, bystanders: self.bystanders, users, at_once_max: AT_ONCE_MAX };
        let writing = Writing { writers: 0, pace: Pace::Rate(1.0), bystander_rate: self.rate };
        Plan { event: Some(event), ..plan("reconnect", &self.common, &shown, layout, writing, None) }
    }
}
