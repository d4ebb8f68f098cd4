//! The end of a test: waits for what is under way, and then compares what was acknowledged with the final counter and with the
//! last value of every single member. It only compares; a difference is told, never explained away.

use super::crew::Crew;
use super::meeting::Stage;
use super::report::{Conservation, CounterCheck, Difference};
use super::room::{Presence, Room};
use super::test::Test;

impl Test {
    /// Lets everything come to rest, and judges.
    pub(super) fn settle(&mut self) -> anyhow::Result<Conservation> {
        self.live.begin("settling", self.crew.members.len());
        let mut unfinished = None;
        if self.plan.writing.writers == 0 {
            // Nothing was written so far: a last write shows that everybody is still reached.
            let proofs: Vec<usize> = (0..self.crew.rooms.len()).filter_map(|room| self.speaker(room)).collect();
            proofs.into_iter().for_each(|member| self.write_now(member));
        }
        self.pump(self.patience_ends(), |test| test.crew.under_way() == 0)?;
        self.pump(self.patience_ends(), |test| everybody_holds_what_was_answered(&test.crew))?;
        if let Err(fault) = self.meet(Stage::Done) {
            unfinished = Some(format!("{fault:#}"));
        }
        self.look()?;
        self.pump(self.patience_ends(), |test| everybody_holds_the_last(&test.crew))?;
        if unfinished.is_none() && self.meet(Stage::Compared).is_err() {
            unfinished = Some("the other parts did not compare their values in time".to_owned());
        }
        self.crew.tally.counts.writes.unknown_fate = self.unknown_in_window();
        if self.clock.stop.is_asked() {
            // What was not waited for cannot be held against anybody.
            let unfinished = Some("it was ended before everything had come to rest".to_owned());
            return Ok(Conservation { unfinished, ..Conservation::default() });
        }
        Ok(self.judge(unfinished))
    }

    /// Asks the server for all counters.
    fn look(&mut self) -> anyhow::Result<()> {
        for room in 0..self.crew.rooms.len() {
            let Some(member) = self.speaker(room) else { continue };
            let crew = &self.crew;
            self.fleet.say(member, |out| crew.look(member, out));
        }
        let asked = |crew: &Crew, room: &Room| room.members.iter().any(|member| crew.members[*member].presence == Presence::Here);
        let answered = |test: &Test| test.crew.rooms.iter().all(|room| room.books.last.is_some() || !asked(&test.crew, room));
        self.pump(self.patience_ends(), answered).map(drop)
    }

    fn unknown_in_window(&self) -> u64 {
        let open = self.crew.members.iter().flat_map(|member| &member.under_way);
        open.filter(|write| self.crew.tally.counts_at(write.due)).count() as u64
    }

    fn judge(&self, unfinished: Option<String>) -> Conservation {
        let mut conservation = Conservation { unfinished, ..Conservation::default() };
        let (mut lost, mut unread) = (0, 0);
        let mut sum = CounterCheck { name: format!("{}/all rooms", self.crew.wishes.run), ..CounterCheck::default() };
        for room in &self.crew.rooms {
            let Some(check) = self.check(room) else {
                unread += usize::from(room.books.initial.is_some());
                continue;
            };
            let is_right = check.contradictions == 0 && (check.acknowledged..=check.acknowledged + check.unknown).contains(&check.value);
            // A room that is wrong is named; what is right is added up.
            if self.crew.rooms.len() == 1 || (!is_right && conservation.counters.len() < Conservation::EXAMPLES_MAX) {
                conservation.counters.push(check);
            } else {
                sum.acknowledged += check.acknowledged;
                sum.unknown += check.unknown;
                sum.value += check.value;
                sum.contradictions += check.contradictions;
            }
            lost += self.compare(room, &mut conservation);
        }
        if self.crew.rooms.len() > 1 {
            conservation.counters.push(sum);
        }
        let mut open = Vec::new();
        if lost > 0 {
            open.push(format!("{lost} members were not connected at the end"));
        }
        if unread > 0 {
            open.push(format!("the final counters of {unread} rooms could not be read"));
        }
        if conservation.unfinished.is_none() && !open.is_empty() {
            conservation.unfinished = Some(open.join("; "));
        }
        conservation
    }

    /// What this process wrote in a room, and what the server says.
    fn check(&self, room: &Room) -> Option<CounterCheck> {
        let part = self.crew.meeting.part;
        let (initial, last) = (room.books.initial.as_ref()?[part - 1], room.books.last.as_ref()?[part - 1]);
        let unknown: usize = room.members.iter().map(|member| self.crew.members[*member].under_way.len()).sum();
        Some(CounterCheck {
            name: format!("{}/{}/part-{part}", self.crew.wishes.run, room.id),
            acknowledged: room.books.acknowledged,
            unknown: unknown as i64,
            value: last.value.wrapping_sub(initial.value),
            contradictions: room.books.ledger.contradictions(initial, last),
        })
    }

    /// Compares every member's last value with the server's; says how many were not there to be asked.
    fn compare(&self, room: &Room, found: &mut Conservation) -> u64 {
        let Some(last) = &room.books.last else { return 0 };
        let mut lost = 0;
        for at in &room.members {
            let member = &self.crew.members[*at];
            match member.presence {
                Presence::Expected => continue,
                Presence::Lost => {
                    lost += 1;
                    continue;
                }
                Presence::Here => found.members_checked += 1,
            }
            let wrong = member.held.iter().zip(last).position(|(held, last)| held.value != last.value);
            let Some(part) = wrong else { continue };
            found.members_differing += 1;
            if found.examples.len() < Conservation::EXAMPLES_MAX {
                found.examples.push(Difference {
                    member: format!("{} (connection {at})", self.site.users[at % self.site.users.len()].id),
                    counter: format!("{}/bench-{}", room.id, part + 1),
                    held: Some(member.held[part].value),
                    expected: last[part].value,
                });
            }
        }
        lost
    }
}

fn everybody_holds_what_was_answered(crew: &Crew) -> bool {
    let part = crew.meeting.part - 1;
    crew.rooms.iter().all(|room| present(crew, room).all(|member| crew.members[member].held[part].version >= room.books.newest))
}

fn everybody_holds_the_last(crew: &Crew) -> bool {
    crew.rooms.iter().all(|room| match &room.books.last {
        Some(last) => {
            present(crew, room).all(|member| crew.members[member].held.iter().zip(last).all(|(held, last)| held.value == last.value))
        }
        None => true,
    })
}

fn present<'a>(crew: &'a Crew, room: &'a Room) -> impl Iterator<Item = usize> + 'a {
    room.members.iter().copied().filter(|member| crew.members[*member].presence == Presence::Here)
}
