//! The members of all rooms at work: takes what each hears, keeps the books, and says what is to be said in return. It opens
//! no socket and reads no clock: both come as arguments.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Event, Gone, Outbound};
use super::freshness::Seen;
use super::meeting::Meeting;
use super::report::Span;
use super::room::{Held, Member, Presence, Role, Room, Write, counters_of};
use super::scan::{self, Applied, KEY, Push};
use super::tally::Tally;

/// The id of the last look at a room's counters. Those of writes begin above.
const LOOK: u64 = 2;
const FIRST_WRITE: u64 = 16;
/// As long as that, a write of unknown fate may be sent again: the server remembers it for longer.
const REPEAT_FOR: Duration = Duration::from_secs(60);
const REPEAT_AFTER: Duration = Duration::from_millis(500);

/// When the members write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// So many a second, whatever becomes of them.
    Rate(f64),
    /// Each writer's next when his last is answered.
    Answered,
    /// The next when every member holds the last.
    Held,
}

/// All members and rooms.
pub(super) struct Crew {
    pub rooms: Vec<Room>,
    pub members: Vec<Member>,
    pub tally: Tally,
    pub meeting: Meeting,
    pub wishes: Wishes,
    pub faults: Faults,
    next: u64,
    /// What members are to do later.
    later: Vec<(Instant, usize, Later)>,
}

/// What a member is to do later.
enum Later {
    /// Send a write again: the server could not tell its fate.
    Repeat(u64),
    /// Go on writing after a refusal.
    GoOn,
    /// Ask for the last counters again.
    Look,
}

/// What the test wants of its members at the moment.
pub(super) struct Wishes {
    /// Begins every operation id: unique for this process and run.
    pub run: String,
    pub pace: Pace,
    /// Until when each answer is followed by the next write, at [`Pace::Answered`].
    pub writes_until: Option<Instant>,
    /// What the time from being wanted to being in the room is.
    pub coming: Span,
    /// Connections are to be lost now.
    pub loss: bool,
}

/// What went wrong on the way.
#[derive(Default)]
pub(super) struct Faults {
    /// A member cannot come at all; the first of them.
    pub fatal: Option<Gone>,
    /// The last reason why somebody was not let in.
    pub last: Option<Gone>,
    /// Texts that no version of the protocol explains; the first of them.
    pub strange: Option<String>,
    /// Resyncs and other things that do not happen in calm tests, in words.
    pub notes: Vec<&'static str>,
}

impl Crew {
    pub(super) fn new(rooms: Vec<Room>, members: Vec<Member>, meeting: Meeting, wishes: Wishes) -> Self {
        let (tally, faults) = (Tally::default(), Faults::default());
        Self { rooms, members, tally, meeting, wishes, faults, next: FIRST_WRITE, later: Vec::new() }
    }

    /// Something happened to a member.
    pub(super) fn on(&mut self, at: usize, event: Event<'_>, now: Instant, out: &mut Outbound) {
        match event {
            Event::Text(text) => self.heard(at, text, now, out),
            Event::Here { answer, took } => self.came(at, answer, took, now, out),
            Event::Gone(why) => self.left(at, why, now),
        }
    }

    /// A member writes: an increment by 1 that is due since then.
    pub(super) fn write(&mut self, at: usize, due: Instant, now: Instant, out: &mut Outbound) {
        let write = Write { id: self.next, due };
        self.next += 1;
        self.members[at].under_way.push(write);
        self.rooms[self.members[at].room].books.sent += 1;
        self.tally.sent(due, now);
        self.put_write(at, write.id, out);
    }

    fn put_write(&self, at: usize, id: u64, out: &mut Outbound) {
        let (room, part, run) = (&self.rooms[self.members[at].room].id, self.meeting.part, &self.wishes.run);
        let room = Value::from(&**room);
        let mut text = Vec::with_capacity(192);
        write!(text, r#"{{"id":{id},"cmd":"increaseGroupCounter","groupID":{room},"key":"{KEY}{part}","value":1,"opID":"{run}-{id}"}}"#)
            .expect("writing to memory cannot fail");
        out.say(&text);
    }

    /// A member asks for what the server holds in the end.
    pub(super) fn look(&self, at: usize, out: &mut Outbound) {
        let room = Value::from(&*self.rooms[self.members[at].room].id);
        out.say(format!(r#"{{"id":{LOOK},"cmd":"getGroupCounters","groupID":{room}}}"#).as_bytes());
    }

    /// Members whose time has come to do what was put off.
    pub(super) fn put_off_until(&self, now: Instant) -> Vec<usize> {
        self.later.iter().filter(|(at, ..)| *at <= now).map(|(_, at, _)| *at).collect()
    }

    /// A member does what was put off until now.
    pub(super) fn catch_up(&mut self, at: usize, now: Instant, out: &mut Outbound) {
        let due: Vec<_> = self.later.extract_if(.., |(due, member, _)| *member == at && *due <= now).collect();
        for (_, at, later) in due {
            match later {
                Later::Repeat(id) => self.put_write(at, id, out),
                Later::GoOn => self.follow(at, now, out),
                Later::Look => self.look(at, out),
            }
        }
    }

    /// Whether somebody waits before he goes on.
    pub(super) fn is_put_off(&self) -> bool {
        !self.later.is_empty()
    }

    /// How many writes have no answer yet.
    pub(super) fn under_way(&self) -> usize {
        self.members.iter().map(|member| member.under_way.len()).sum()
    }

    /// How many members are in their rooms.
    pub(super) fn here(&self) -> usize {
        self.members.iter().filter(|member| member.presence == Presence::Here).count()
    }

    fn came(&mut self, at: usize, answer: &[u8], took: Duration, now: Instant, out: &mut Outbound) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let (data, member) = (&answer["data"], &mut self.members[at]);
        let held = counters_of(data, self.meeting.parts);
        let room = &mut self.rooms[member.room];
        if member.presence == Presence::Expected {
            self.tally.counts.connections.held += 1;
            if member.watched.is_some() {
                member.watched = Some(room.freshness.watch(held[0].version));
            }
            room.books.initial.get_or_insert_with(|| held.clone());
        }
        if matches!(room.role, Role::Load) || self.wishes.coming == Span::Connect {
            self.tally.time(self.wishes.coming, took);
        }
        member.presence = Presence::Here;
        self.meeting.read(&data["counters"]);
        // What he wrote before he was lost may have been applied or not: the same operation id makes it count once, for as long
        // as the server remembers it.
        let young = member.under_way.iter().filter(|write| now.saturating_duration_since(write.due) < REPEAT_FOR);
        let open: Vec<u64> = young.map(|write| write.id).collect();
        self.hold_snapshot(at, &held, now);
        for id in &open {
            self.put_write(at, *id, out);
        }
        if open.is_empty() {
            self.follow(at, now, out);
        }
    }

    fn hold_snapshot(&mut self, at: usize, held: &[Held], now: Instant) {
        for (part, held) in held.iter().enumerate() {
            if held.version > self.members[at].held[part].version {
                self.hold(at, Push { part: part + 1, value: held.value, version: held.version }, now);
            }
        }
    }

    fn left(&mut self, at: usize, why: &Gone, now: Instant) {
        let member = &mut self.members[at];
        match member.presence {
            Presence::Here => {
                member.presence = Presence::Lost;
                // He does all that he owes when he is back.
                self.later.retain(|(_, of, _)| *of != at);
                if !self.wishes.loss && self.tally.counts_at(now) {
                    self.tally.counts.connections.lose(why.reason());
                }
            }
            _ if !why.may_return() => *self.tally.counts.connections.refused.entry(why.kind()).or_default() += 1,
            _ => {}
        }
        if !why.may_return() {
            self.faults.fatal.get_or_insert_with(|| why.clone());
        }
        self.faults.last = Some(why.clone());
    }

    fn heard(&mut self, at: usize, text: &[u8], now: Instant, out: &mut Outbound) {
        let room = &self.rooms[self.members[at].room];
        match scan::push(text, &room.push_prefix) {
            Some(push) if (1..=self.meeting.parts).contains(&push.part) => return self.pushed(at, push, now),
            _ => {}
        }
        match scan::applied(text, &room.answer_prefix) {
            Some(applied) if applied.id >= FIRST_WRITE => self.acknowledged(at, applied, now, out),
            _ => self.heard_else(at, text, now, out),
        }
    }

    fn pushed(&mut self, at: usize, push: Push, now: Instant) {
        let (member, held) = (&self.members[at], self.members[at].held[push.part - 1]);
        if push.version <= held.version {
            self.tally.backward += 1;
            return;
        }
        if self.rooms[member.room].role == Role::Load {
            // Each write adds 1, so the step of the value says how many writes this one push tells of.
            let writes = push.value.saturating_sub(held.value).max(1);
            self.tally.delivered(writes.unsigned_abs(), now);
        }
        self.hold(at, push, now);
    }

    /// A member holds a newer value.
    fn hold(&mut self, at: usize, push: Push, now: Instant) {
        let (member, tally) = (&mut self.members[at], &mut self.tally);
        let held = &mut member.held[push.part - 1];
        let before = std::mem::replace(held, Held { value: push.value, version: push.version }).version;
        if push.part != self.meeting.part {
            return;
        }
        let room = &mut self.rooms[member.room];
        room.books.holders += usize::from((before + 1..=push.version).contains(&room.books.newest));
        if let Some(number) = member.watched {
            let role = room.role;
            room.freshness.held(number, push.version, now, |seen| record(tally, role, &seen));
        }
    }

    fn acknowledged(&mut self, at: usize, applied: Applied, now: Instant, out: &mut Outbound) {
        let Applied { id, value, version } = applied;
        let Some(write) = self.take_write(at, id) else { return };
        let (room, tally) = (&mut self.rooms[self.members[at].room], &mut self.tally);
        let initial = room.books.initial.as_ref().map_or_else(Held::default, |initial| initial[self.meeting.part - 1]);
        room.books.acknowledged += 1;
        room.books.ledger.told(initial, Held { value, version }, room.books.sent);
        tally.acknowledged(write.due, now);
        if tally.counts_at(write.due) {
            let role = room.role;
            room.freshness.answered(version, write.due, now, |seen| record(tally, role, &seen));
        }
        if version > room.books.newest {
            room.books.newest = version;
            if self.wishes.pace == Pace::Held {
                let part = self.meeting.part - 1;
                room.books.holders = room.members.iter().filter(|member| self.members[**member].held[part].version >= version).count();
            }
        }
        self.follow(at, now, out);
    }

    /// Where each answer is followed by the next write, that is now.
    fn follow(&mut self, at: usize, now: Instant, out: &mut Outbound) {
        let goes_on = self.wishes.pace == Pace::Answered && self.wishes.writes_until.is_some_and(|until| now < until);
        if goes_on && self.rooms[self.members[at].room].role == Role::Load {
            self.write(at, now, now, out);
        }
    }

    fn take_write(&mut self, at: usize, id: u64) -> Option<Write> {
        let under_way = &mut self.members[at].under_way;
        let place = under_way.iter().position(|write| write.id == id)?;
        Some(under_way.remove(place))
    }

    /// What comes seldom, and what another server spells otherwise.
    fn heard_else(&mut self, at: usize, text: &[u8], now: Instant, out: &mut Outbound) {
        let Ok(heard) = serde_json::from_slice::<Value>(text) else { return self.strange(text) };
        match scan::push_of(&heard, &self.rooms[self.members[at].room].id) {
            Some(push) if (1..=self.meeting.parts).contains(&push.part) => return self.pushed(at, push, now),
            _ => {}
        }
        match (heard["event"].as_str(), heard["id"].as_u64(), heard["code"].as_u64()) {
            (Some(event), ..) => self.told(at, event, &heard["data"], now),
            (_, Some(LOOK), Some(0)) => {
                let room = self.members[at].room;
                self.rooms[room].books.last = Some(counters_of(&heard["data"], self.meeting.parts));
            }
            (_, Some(id), Some(code)) => {
                let wait = heard["retryAfter"].as_u64().map_or(REPEAT_AFTER, Duration::from_millis);
                match id {
                    FIRST_WRITE.. if code == 0 => match scan::applied_of(&heard) {
                        Some(applied) => self.acknowledged(at, applied, now, out),
                        // Without its value and its version nobody can say what it counted.
                        None => self.strange(text),
                    },
                    FIRST_WRITE.. => self.refused(at, id, code, now, wait),
                    LOOK => self.later.push((now + wait, at, Later::Look)),
                    _ => {}
                }
            }
            _ => self.strange(text),
        }
    }

    fn told(&mut self, at: usize, event: &str, data: &Value, now: Instant) {
        match event {
            "GROUP_COUNTER_UPDATED" => self.meeting.read_one(&data["key"], &data["value"]),
            "GROUP_RESYNC" => {
                self.note("a room lost its continuity (GROUP_RESYNC): what was acknowledged before may be gone");
                let held = counters_of(data, self.meeting.parts);
                self.members[at].held.fill(Default::default());
                self.hold_snapshot(at, &held, now);
            }
            "GROUP_DISMISSED" => self.note("a room was dissolved during the test"),
            "KICKED_OUT" => self.note("members were kicked out during the test"),
            _ => {}
        }
    }

    fn refused(&mut self, at: usize, id: u64, code: u64, now: Instant, wait: Duration) {
        let Some(write) = self.take_write(at, id) else { return };
        // 10002 leaves the fate open: it is asked for by the same operation id.
        if code == 10002 && now.saturating_duration_since(write.due) < REPEAT_FOR {
            self.members[at].under_way.push(write);
            self.later.push((now + REPEAT_AFTER, at, Later::Repeat(id)));
            return;
        }
        self.tally.refused(write.due, now, u32::try_from(code).unwrap_or(u32::MAX));
        if !matches!(self.wishes.pace, Pace::Rate(_)) {
            self.later.push((now + wait, at, Later::GoOn));
        }
    }

    fn strange(&mut self, text: &[u8]) {
        self.faults.strange.get_or_insert_with(|| String::from_utf8_lossy(text).chars().take(200).collect());
    }

    fn note(&mut self, note: &'static str) {
        if !self.faults.notes.contains(&note) {
            self.faults.notes.push(note);
        }
    }
}

/// What a watched member has seen, by what his room is there for.
fn record(tally: &mut Tally, role: Role, seen: &Seen) {
    match role {
        Role::Load => {
            tally.time(Span::Push, seen.since_due);
            tally.time(Span::Freshness, seen.since_answer);
        }
        Role::Bystander { load_from } => {
            let calm = load_from.is_none_or(|from| seen.due < from);
            tally.time(if calm { Span::BystanderCalm } else { Span::Bystander }, seen.since_due);
        }
    }
}
