//! One test from the first connection to the last write: lets the members come, lets them write, and upsets them where the plan
//! says so. What the figures mean is decided in the books; whether they add up, in `settle`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};

use super::client::{Approach, Fleet, Guest};
use super::crew::{Crew, Pace, Wishes};
use super::layout::{lay_out, room_ids};
use super::live::Live;
use super::meeting::{Meeting, Stage};
use super::plan::Plan;
use super::report::{Report, Run, Span, Usage};
use super::room::{Member, Presence};
use super::schedule::Schedule;
use super::site::Site;
use super::stop::Stop;
use super::tally::Window;
use super::usage::Meter;

/// Time for writes that were due and could not leave in time.
const BACKLOG_MAX: Duration = Duration::from_secs(5);
/// From when all are there to the first write.
const LEAD: Duration = Duration::from_millis(100);
/// What one connection may take where many come.
const CONNECT_MAX: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
/// Time for the other parts to come, and then to end.
const PARTS_WAIT_MAX: Duration = Duration::from_secs(300);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    Done,
    Late,
    Stopped,
}

/// A test under way.
pub(super) struct Test {
    pub plan: Plan,
    pub site: Site,
    pub fleet: Fleet,
    pub crew: Crew,
    schedules: Vec<Schedule>,
    pub clock: Clock,
    pub live: Live,
}

/// What happens by time.
pub(super) struct Clock {
    pub stop: Stop,
    pub meter: Meter,
    /// The next second of the measurement ends then; `None` while nothing is measured.
    second_ends: Option<Instant>,
    started_at: SystemTime,
}

impl Test {
    /// Everything made ready, nobody connected. `run` is in the names of all that is made.
    pub(super) fn new(plan: Plan, mut site: Site, run: &str, live: Live, stop: Stop) -> anyhow::Result<Self> {
        let ids = room_ids(&plan, run);
        site.make_rooms(&ids)?;
        let (rooms, members) = lay_out(&plan, &ids);
        let guest = |(at, member): (usize, &Member)| {
            let user = &site.users[at % site.users.len()];
            Guest { user: user.id.clone(), sig: user.sig.clone(), room: ids[member.room].clone() }
        };
        let guests = members.iter().enumerate().map(guest).collect();
        let approach = Approach {
            address: site.target.address,
            host: site.target.host.clone(),
            path: site.target.path.clone(),
            source: (fastrand::u8(1..=250), fastrand::u8(1..=250)),
            at_once_max: plan.layout.at_once_max,
        };
        let fleet = Fleet::new(approach, guests)?;
        let wishes = Wishes { run: run.to_owned(), pace: plan.writing.pace, writes_until: None, coming: Span::Connect, loss: false };
        let crew = Crew::new(rooms, members, Meeting::new(plan.part.number, plan.part.of), wishes);
        let clock = Clock { stop, meter: Meter::new(site.process), second_ends: None, started_at: SystemTime::now() };
        Ok(Self { plan, site, fleet, crew, schedules: Vec::new(), clock, live })
    }

    /// Does all of it.
    pub(super) fn run(mut self) -> anyhow::Result<Report> {
        let mut report = Report { run: self.introduce(), ..Report::default() };
        let begun = self.arrive()? && self.meet(Stage::Ready)?;
        if begun {
            report.usage = self.measure()?;
            report.run.duration_s = self.crew.tally.window.map_or(0.0, |window| window.length().as_secs_f64());
            report.outcome.interrupted = self.clock.stop.is_asked();
            self.clock.stop.grant();
            report.conservation = Some(self.settle()?);
            report.outcome.interrupted |= self.clock.stop.is_asked();
        } else {
            report.outcome.interrupted = true;
            report.usage = self.clock.meter.end();
        }
        report.run.started_at_unix_ms = self.clock.started_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        self.tell(&mut report);
        let Self { site, live, fleet, .. } = self;
        drop((live, fleet));
        if let Err(fault) = site.leave() {
            report.outcome.warnings.push(format!("{fault:#}"));
        }
        Ok(report)
    }

    fn introduce(&self) -> Run {
        Run {
            scenario: self.plan.scenario.to_owned(),
            parameters: self.plan.parameters.clone(),
            target: self.site.target.shown(),
            own_server: self.site.own.is_some(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: 1,
            ..Run::default()
        }
    }

    /// Lets all members come; false when the user has had enough.
    fn arrive(&mut self) -> anyhow::Result<bool> {
        let (count, now) = (self.crew.members.len(), Instant::now());
        self.live.begin("connecting", count);
        (0..count).for_each(|member| self.fleet.come(member, now));
        let deadline = self.patience_ends() + CONNECT_MAX * u32::try_from(count).unwrap_or(u32::MAX);
        let pumped = self.pump(deadline, |test| test.crew.faults.fatal.is_some() || test.all_here())?;
        if let Some(fatal) = &self.crew.faults.fatal {
            bail!("{}: {fatal}", self.site.target.shown());
        }
        let here = self.crew.here();
        let why = self.crew.faults.last.as_ref().map_or_else(|| "no reason was seen".to_owned(), ToString::to_string);
        ensure!(pumped == Pumped::Stopped || here > 0, "{}: nobody could connect: {why}", self.site.target.shown());
        if here < count && pumped == Pumped::Late {
            *self.crew.tally.counts.connections.refused.entry(why).or_default() += (count - here) as u64;
        }
        Ok(pumped != Pumped::Stopped)
    }

    /// Waits for the other parts of the test; false when the user has had enough.
    pub(super) fn meet(&mut self, stage: Stage) -> anyhow::Result<bool> {
        if self.crew.meeting.parts == 1 || self.clock.stop.is_asked() {
            return Ok(!self.clock.stop.is_asked());
        }
        let room = self.crew.rooms[0].id.clone();
        ensure!(
            stage != Stage::Ready || !self.crew.meeting.is_used_up(),
            "the room {room} has seen a test of several parts before: choose another --room for this one"
        );
        let text = self.crew.meeting.tell(stage, &room, &self.crew.wishes.run);
        let speaker = self.speaker(0).context("nobody is in the room who could tell the other parts")?;
        self.live.begin("other parts", self.crew.members.len());
        self.fleet.say(speaker, |out| out.say(text.as_bytes()));
        let pumped = self.pump(Instant::now() + PARTS_WAIT_MAX, move |test| test.crew.meeting.all(stage))?;
        ensure!(
            pumped != Pumped::Late,
            "only {} of {} parts came in 5 minutes: start each with its own --part, and the same --room",
            self.crew.meeting.count(stage),
            self.crew.meeting.parts
        );
        Ok(pumped == Pumped::Done)
    }

    /// Until when to wait for what should come soon.
    pub(super) fn patience_ends(&self) -> Instant {
        Instant::now() + self.plan.times.patience
    }

    pub(super) fn all_here(&self) -> bool {
        self.crew.here() == self.crew.members.len()
    }

    /// A member who is in his room.
    pub(super) fn speaker(&self, room: usize) -> Option<usize> {
        self.crew.rooms[room].members.iter().copied().find(|member| self.crew.members[*member].presence == Presence::Here)
    }

    /// The warm-up, the measurement, and what is to happen in it.
    fn measure(&mut self) -> anyhow::Result<Usage> {
        let start = Instant::now() + LEAD;
        let from = start + self.plan.times.warm_up;
        let until = from + self.plan.times.measured;
        self.crew.tally.window = Some(Window { from, until });
        self.live.begin("warm-up", self.crew.members.len());
        self.schedule(start, until);
        self.pump(start, |_| false)?;
        self.begin_loops(until);
        if self.pump(from, |_| false)? != Pumped::Stopped {
            self.live.begin("measuring", self.plan.times.measured.as_secs() as usize);
            self.clock.meter.begin();
            self.clock.started_at = SystemTime::now();
            self.clock.second_ends = Some(from + SECOND);
            if let Some(upset) = self.plan.event {
                self.upset(upset, from)?;
            }
            self.pump(until, |_| false)?;
        }
        let (now, usage) = (Instant::now(), self.clock.meter.end());
        self.crew.tally.window = Some(Window { from: from.min(now), until: until.min(now) });
        (self.crew.wishes.writes_until, self.clock.second_ends) = (None, None);
        // What was due in time may still leave, and counts as late as it is.
        self.pump(until + BACKLOG_MAX, |test| test.schedules.iter().all(Schedule::is_over))?;
        let unsent: u64 = self.schedules.iter().map(|schedule| schedule.unsent(now)).sum();
        self.crew.tally.counts.writes.unsent = unsent;
        self.schedules.clear();
        Ok(usage)
    }

    /// What is written at a rate.
    fn schedule(&mut self, start: Instant, until: Instant) {
        let (layout, writing) = (&self.plan.layout, &self.plan.writing);
        if let (1.., Pace::Rate(per_second)) = (writing.writers, writing.pace) {
            self.schedules.push(Schedule::new((0..writing.writers).collect(), per_second, start, until));
        }
        if layout.bystanders > 0 {
            let bystanders = (layout.members..layout.members + layout.bystanders).collect();
            self.schedules.push(Schedule::new(bystanders, writing.bystander_rate, start, until));
        }
    }

    /// The first writes of closed loops. All others follow from answers and pushes.
    fn begin_loops(&mut self, until: Instant) {
        self.crew.wishes.writes_until = Some(until);
        let first = match self.plan.writing.pace {
            Pace::Rate(_) => 0,
            Pace::Answered => self.plan.writing.writers,
            Pace::Held => 1,
        };
        (0..first).for_each(|member| self.write_now(member));
    }

    pub(super) fn write_now(&mut self, member: usize) {
        let (now, crew) = (Instant::now(), &mut self.crew);
        if crew.members[member].can_write() {
            self.fleet.say(member, |out| crew.write(member, now, now, out));
        }
    }

    /// Lets everything happen until it is `done`, or late, or the user has had enough.
    pub(super) fn pump(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> anyhow::Result<Pumped> {
        loop {
            let now = Instant::now();
            self.tick(now)?;
            if done(self) {
                return Ok(Pumped::Done);
            }
            if self.clock.stop.is_asked() {
                return Ok(Pumped::Stopped);
            }
            if now >= until {
                return Ok(Pumped::Late);
            }
            let wake = self.act(now).map_or(until, |wake| wake.min(until));
            let wake = self.clock.second_ends.map_or(wake, |ends| wake.min(ends));
            let crew = &mut self.crew;
            self.fleet.turn(Some(wake), |member, event, now, out| crew.on(member, event, now, out))?;
        }
    }

    /// What members do of their own accord; says when the next of it is due.
    fn act(&mut self, now: Instant) -> Option<Instant> {
        let Self { fleet, crew, .. } = self;
        for member in crew.put_off_until(now) {
            fleet.say(member, |out| crew.catch_up(member, now, out));
        }
        if crew.wishes.pace == Pace::Held && crew.wishes.writes_until.is_some_and(|until| now < until) {
            self.write_when_held(now);
        }
        let Self { schedules, fleet, crew, .. } = self;
        schedules.iter_mut().filter_map(|schedule| schedule.send(fleet, crew)).min()
    }

    /// The next writer writes as soon as all hold the last write.
    fn write_when_held(&mut self, now: Instant) {
        let (room, crew) = (&self.crew.rooms[0], &self.crew);
        let here = room.members.iter().filter(|member| crew.members[**member].presence == Presence::Here).count();
        if crew.is_put_off() || (room.books.newest > 0 && room.books.holders < here) {
            return;
        }
        let writers = self.plan.writing.writers.max(1);
        let writer = room.books.acknowledged as usize % writers;
        if crew.members[..writers].iter().all(|member| member.under_way.is_empty()) && crew.members[writer].can_write() {
            let crew = &mut self.crew;
            self.fleet.say(writer, |out| crew.write(writer, now, now, out));
        }
    }

    fn tick(&mut self, now: Instant) -> anyhow::Result<()> {
        match self.clock.second_ends {
            Some(ends) if now >= ends => {
                self.clock.second_ends = Some(ends + SECOND);
                let (cpu, rss) = self.clock.meter.second();
                self.live.second(self.crew.tally.end_second(cpu, rss));
                self.live.step(self.crew.tally.seconds.len());
                if let Some(status) = self.site.own.as_mut().and_then(super::own_server::OwnServer::has_ended) {
                    bail!("the server ended during the test with {status}: its own words are above");
                }
            }
            Some(_) => {}
            None => self.live.step(self.crew.here()),
        }
        Ok(())
    }
}
