//! One core's world: its actors, its rooms, its connections' ways out, and the turns in which it works.
//!
//! A turn reads the inbox, lets actors with mail take a batch each, hands all their records to the store in one go, moves
//! the cursors of rooms with news, and sends what was said. Then everybody else on this core has his turn.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::actor::{Actor, MAILBOX_MAX, Moment, Phase};
use super::inbox::{Letter, Mail, News};
use super::node::Node;
use super::outbox::Outboxes;
use super::presence::Remains;
use super::room::Room;
use super::{Ask, Command, Door, Incarnation};
use crate::clock::unix_millis;
use crate::domain::code::{Code, Refusal};
use crate::domain::name::GroupId;
use crate::metrics::ShardMetrics;
use crate::seldom;
use crate::store::{Batch, CommitError, LoadError, Lsn};

/// Groups that one shard loads from the store at the same time.
const LOADING_MAX: usize = 4096;
/// Bytes of records above which a turn's records become more than one batch.
const BATCH_RECORDS_MAX: usize = 4096;
/// Actors looked at in one sweep.
const SWEPT_AT_ONCE: usize = 4096;

pub(super) type ActorRef = Rc<RefCell<Actor>>;
pub(super) type RoomRef = Rc<RefCell<Room>>;

/// One shard. Lives on one thread and never leaves it.
pub struct Shard {
    /// Its number.
    pub index: u16,
    /// What it shares with the others.
    pub node: Arc<Node>,
    /// Ways out of its connections.
    pub outboxes: RefCell<Outboxes>,
    pub(super) rooms: RefCell<HashMap<GroupId, RoomRef>>,
    pub(super) actors: RefCell<HashMap<GroupId, ActorRef>>,
    with_mail: RefCell<VecDeque<ActorRef>>,
    pub(super) with_news: RefCell<VecDeque<RoomRef>>,
    /// Rooms whose group is no more, with the frame that says so.
    pub(super) endings: RefCell<VecDeque<(RoomRef, Bytes)>>,
    /// What is left of groups of this shard that have ended.
    pub(super) remains: RefCell<VecDeque<Remains>>,
    /// Commits under way by their numbers: since when, and whose records are in each.
    open_commits: RefCell<HashMap<u64, (Instant, Vec<ActorRef>)>>,
    commits: Cell<u64>,
    /// When to look at which actor. An entry that is not the actor's `look_at` is out of date.
    looks: RefCell<BinaryHeap<Reverse<(Instant, GroupId)>>>,
    loading: Cell<usize>,
    now: Cell<Instant>,
    /// How often the inbox was read.
    turns: Cell<u64>,
    /// Whoever waits until no command is under way.
    waits_for_calm: Cell<Option<Waker>>,
}

impl Shard {
    /// A shard of a node, without anything in it.
    pub fn new(index: u16, node: Arc<Node>) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            index,
            node,
            outboxes: RefCell::default(),
            rooms: RefCell::default(),
            actors: RefCell::default(),
            with_mail: RefCell::default(),
            with_news: RefCell::default(),
            endings: RefCell::default(),
            remains: RefCell::default(),
            open_commits: RefCell::default(),
            commits: Cell::new(0),
            looks: RefCell::default(),
            loading: Cell::new(0),
            now: Cell::new(now),
            turns: Cell::new(0),
            waits_for_calm: Cell::new(None),
        })
    }

    /// Works for ever, a turn at a time.
    pub async fn run(self: Rc<Self>) {
        let mut mail = Mail::default();
        loop {
            match self.turn(&mut mail) {
                Some(due) if due <= self.now.get() => tokio::task::yield_now().await,
                Some(due) => drop(tokio::time::timeout_at(due.into(), self.inbox().rung()).await),
                None => self.inbox().rung().await,
            }
        }
    }

    /// The time, as of this turn and what it has done so far.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// This shard's cells.
    pub fn metrics(&self) -> &ShardMetrics {
        &self.node.metrics[self.index as usize]
    }

    /// Asks for a turn.
    pub fn ring(&self) {
        self.inbox().ring();
    }

    /// Waits until every letter that lies in the inbox now has been read.
    pub async fn read_up(&self) {
        let turns = self.turns.get();
        while self.inbox().has_letters() && self.turns.get() == turns {
            tokio::task::yield_now().await;
        }
    }

    /// Tells a group something. Never waits.
    pub fn tell(&self, command: Command) {
        let home = self.node.home_of(&command.group);
        // Nobody may pass what was said to this shard before: a subscription that came with a login on another shard, for one.
        if home == self.index as usize && !self.inbox().has_letters() {
            self.take_command(command);
            self.ring();
        } else {
            self.node.inboxes[home].put(Letter::Command(command));
        }
    }

    /// Sends what is left for a connection; if all of it went, brings it up to date in its rooms. False: still full.
    pub fn drain(&self, slot: u32) -> bool {
        let now = Instant::now();
        if !self.outboxes.borrow_mut().drain(slot, now) {
            return false;
        }
        self.catch_up(slot, now);
        true
    }

    /// Everything this shard can do now. Comes back with the time at which it has more to do by itself.
    fn turn(&self, mail: &mut Mail) -> Option<Instant> {
        self.now.set(Instant::now());
        self.inbox().take(mail);
        for letter in mail.letters.drain(..) {
            self.read(letter);
        }
        for (group, News { incarnation, updates }) in mail.news.drain() {
            self.publish_here(&Incarnation { group, number: incarnation }, &updates, 0);
        }
        self.turns.set(self.turns.get().wrapping_add(1));
        self.let_actors_work();
        if self.has_crowd_ahead() {
            self.outboxes.borrow_mut().flush(self.now());
        }
        let due = self.move_cursors();
        let more = self.empty_ended_rooms() | self.forget_remains();
        let due = if more { Some(self.now()) } else { due };
        self.outboxes.borrow_mut().flush(self.now());
        self.count_sent();
        if let Some(waiting) = self.waits_for_calm.take() {
            waiting.wake();
        }
        due
    }

    /// Says what has left, and how many connections take nothing.
    fn count_sent(&self) {
        let mut outboxes = self.outboxes.borrow_mut();
        self.metrics().bytes_sent.add(std::mem::take(&mut outboxes.bytes_sent));
        self.metrics().stalled.set(outboxes.blocked.len() as i64);
    }

    fn read(&self, letter: Letter) {
        match letter {
            Letter::Command(command) => self.take_command(command),
            Letter::Detach(of, connection, seating) => {
                if let Some(actor) = self.actors.borrow().get(&of.group) {
                    let mut guest = actor.borrow_mut();
                    guest.give_back(of.number, connection, seating);
                    self.look_again(&mut guest);
                }
            }
            Letter::Tell(connection, frame, answers, seating) => self.tell_connection(connection, &frame, answers, seating),
            Letter::Close(connection, frame, close) => self.close_connection(connection, &frame, close),
            Letter::Dissolved(of, frame) => self.end_room(&of, frame),
            Letter::Loaded(group, loaded) => {
                self.loading.set(self.loading.get() - 1);
                let Some(actor) = self.actors.borrow().get(&group).cloned() else { return };
                match loaded {
                    Ok(loaded) => {
                        actor.borrow_mut().load(loaded, &self.node.prints);
                        self.count_replays(&mut actor.borrow_mut());
                        self.enqueue(&actor);
                    }
                    Err(e) => {
                        seldom!(error, ("group", 0), %group, "cannot load a group: {e}");
                        self.forget(&group);
                        let refusal = match e {
                            LoadError::Damaged(_) => Refusal::new(
                                Code::Internal,
                                "the group cannot be read: the server's store is damaged, and its operator told",
                            ),
                            _ => Refusal::new(Code::Internal, "the group cannot be read at the moment: try again").after(1000),
                        };
                        let mail = std::mem::take(&mut actor.borrow_mut().mailbox);
                        self.metrics().mail.add(-(mail.len() as i64));
                        for command in mail {
                            self.refuse(&group, command.door, refusal.clone());
                        }
                    }
                }
            }
            Letter::Committed(number, result) => self.settle(number, result),
        }
    }

    fn take_command(&self, command: Command) {
        let known = self.actors.borrow().get(&command.group).cloned();
        // Nobody would ask again for a subscription that comes with a login; connections and their groups bound its number.
        let refusable = !matches!(command.ask, Ask::Attach);
        let actor = match known {
            Some(actor) => actor,
            None if refusable && self.loading.get() >= LOADING_MAX => {
                let refusal = Refusal::new(Code::Overloaded, "too many groups are being loaded: try again later").after(1000);
                return self.refuse(&command.group, command.door, refusal);
            }
            None => self.wake(&command.group),
        };
        let mut guest = actor.borrow_mut();
        if refusable && guest.mailbox.len() >= MAILBOX_MAX {
            drop(guest);
            let refusal = Refusal::new(Code::Overloaded, "too many commands wait for this group: try again later").after(1000);
            return self.refuse(&command.group, command.door, refusal);
        }
        guest.last_used = Some(self.now());
        guest.mailbox.push_back(command);
        self.metrics().mail.add(1);
        drop(guest);
        self.enqueue(&actor);
    }

    /// Makes an actor and asks the store for its group.
    fn wake(&self, group: &GroupId) -> ActorRef {
        let actor = Rc::new(RefCell::new(Actor::new(group.clone(), self.node.inboxes.len())));
        self.actors.borrow_mut().insert(group.clone(), actor.clone());
        self.loading.set(self.loading.get() + 1);
        self.metrics().groups.fetch_add(1, Ordering::Relaxed);
        let (node, index, name) = (self.node.clone(), self.index as usize, group.clone());
        self.node.store.load(group.clone(), Box::new(move |loaded| node.inboxes[index].put(Letter::Loaded(name, loaded))));
        actor
    }

    /// Puts an actor with mail into the list of those who may work, once.
    fn enqueue(&self, actor: &ActorRef) {
        let mut guest = actor.borrow_mut();
        if guest.phase == Phase::Ready && !guest.mailbox.is_empty() && !guest.queued {
            guest.queued = true;
            self.with_mail.borrow_mut().push_back(actor.clone());
        }
    }

    fn let_actors_work(&self) {
        let (mut batch, mut open) = (Batch::default(), Vec::new());
        loop {
            let Some(actor) = self.with_mail.borrow_mut().pop_front() else { break };
            let at = self.moment();
            let mut guest = actor.borrow_mut();
            guest.queued = false;
            let waited = guest.mailbox.len() as i64;
            let steps = guest.take_batch(at, |record, kind| batch.push_of(record, kind));
            self.metrics().mail.add(guest.mailbox.len() as i64 - waited);
            self.now.set(Instant::now());
            self.perform(&mut guest, steps);
            self.look_after(&mut guest);
            let committing = guest.phase == Phase::Committing;
            drop(guest);
            if committing {
                open.push(actor);
            } else {
                self.enqueue(&actor);
            }
            if batch.len() >= BATCH_RECORDS_MAX {
                self.commit(std::mem::take(&mut batch), std::mem::take(&mut open));
            }
        }
        if !batch.is_empty() {
            self.commit(batch, open);
        }
    }

    /// Forgets the actor of a group that is not there at once: whoever asks for names at random must not fill the memory.
    /// The sweep looks after all others.
    fn look_after(&self, actor: &mut Actor) {
        if actor.group().is_none() && actor.look_at.is_none() && actor.may_sleep(self.now(), self.node.store.merged(), &self.node.limits) {
            self.forget(&actor.id);
        } else {
            self.look_again(actor);
        }
    }

    /// Sees to it that the sweep looks at an actor when time changes something about it. To be called whenever it has worked, or
    /// lost a seat.
    fn look_again(&self, actor: &mut Actor) {
        let due = actor.next_look(self.now(), self.node.store.now(), &self.node.limits);
        if let Some(due) = due.filter(|due| actor.look_at.is_none_or(|known| *due < known)) {
            actor.look_at = Some(due);
            self.looks.borrow_mut().push(Reverse((due, actor.id.clone())));
        }
    }

    fn commit(&self, batch: Batch, actors: Vec<ActorRef>) {
        let (node, index, number) = (self.node.clone(), self.index as usize, self.commits.get());
        self.commits.set(number + 1);
        self.open_commits.borrow_mut().insert(number, (Instant::now(), actors));
        self.node.store.commit(batch, Box::new(move |result| node.inboxes[index].put(Letter::Committed(number, result))));
    }

    /// A commit is through: its answers, then its pushes.
    fn settle(&self, number: u64, result: Result<Lsn, CommitError>) {
        let Some((began, actors)) = self.open_commits.borrow_mut().remove(&number) else { return };
        self.now.set(Instant::now());
        self.metrics().commit.record(self.now().saturating_duration_since(began));
        for actor in actors {
            let mut guest = actor.borrow_mut();
            match &result {
                Ok(lsn) => {
                    guest.last_lsn = *lsn;
                    let (steps, changes, writes) = guest.committed();
                    self.count_replays(&mut guest);
                    self.perform(&mut guest, steps);
                    self.publish(&guest, &changes, writes);
                }
                Err(e) => {
                    let refusal = Refusal::new(Code::Internal, format!("{e}: send it again with the same opID")).after(1000);
                    let waited = guest.mailbox.len() as i64;
                    let steps = guest.failed(&refusal);
                    self.metrics().mail.add(guest.mailbox.len() as i64 - waited);
                    self.perform(&mut guest, steps);
                }
            }
            self.look_again(&mut guest);
            drop(guest);
            self.enqueue(&actor);
        }
    }

    /// Brings the node's count of remembered answers up to date.
    fn count_replays(&self, actor: &mut Actor) {
        let now = actor.replays.len();
        let before = std::mem::replace(&mut actor.replays_counted, now);
        // Two steps, so that other shards never see the count below nothing.
        self.node.replays.fetch_add(now, Ordering::Relaxed);
        self.node.replays.fetch_sub(before, Ordering::Relaxed);
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            micros: self.node.micros(self.now()),
            unix: unix_millis(),
            stamp: self.node.store.now(),
            limits: &self.node.limits,
            prints: &self.node.prints,
            generation: self.node.store.generation(),
            replays_left: self.node.has_room_for_replays(),
            random: fastrand::u32(..),
        }
    }

    fn refuse(&self, group: &GroupId, door: Door, refusal: Refusal) {
        let seating = door.no_seat(group);
        self.answer(door, Err(refusal), seating);
    }

    /// Lets unused actors sleep, forgets answers whose window is over, and counts what was sent. Costs nothing for all others. To be called a few times
    /// a second.
    pub fn sweep(&self, now: Instant) {
        self.now.set(now);
        // Connections take what they are owed from their own tasks, and on a calm shard no turn follows.
        self.count_sent();
        let merged = self.node.store.merged();
        let horizon = self.node.store.now().saturating_sub(self.node.limits.replay_millis);
        for group in self.due() {
            let Some(actor) = self.actors.borrow().get(&group).cloned() else { continue };
            let mut guest = actor.borrow_mut();
            guest.look_at = None;
            if guest.phase != Phase::Committing {
                guest.replays.forget_before(horizon);
                self.count_replays(&mut guest);
            }
            if guest.may_sleep(self.now(), merged, &self.node.limits) {
                self.forget(&group);
            } else {
                self.look_again(&mut guest);
            }
        }
    }

    /// The groups that the sweep has to look at now.
    fn due(&self) -> Vec<GroupId> {
        let (mut looks, actors, mut due) = (self.looks.borrow_mut(), self.actors.borrow(), Vec::new());
        while due.len() < SWEPT_AT_ONCE
            && let Some(first) = looks.peek_mut()
            && first.0.0 <= self.now()
        {
            let Reverse((at, group)) = PeekMut::pop(first);
            if actors.get(&group).is_some_and(|actor| actor.borrow().look_at == Some(at)) {
                due.push(group);
            }
        }
        due
    }

    fn forget(&self, group: &GroupId) {
        self.actors.borrow_mut().remove(group);
        self.metrics().groups.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no command is under way here: nothing is being committed or loaded, and no mailbox holds anything.
    pub fn is_calm(&self) -> bool {
        let idle = self.open_commits.borrow().is_empty() && self.with_mail.borrow().is_empty() && self.loading.get() == 0;
        idle && !self.inbox().has_letters()
    }

    /// Waits until no command is under way here.
    pub fn calm(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| match self.is_calm() {
            true => Poll::Ready(()),
            false => {
                self.waits_for_calm.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
    }

    fn inbox(&self) -> &super::inbox::Inbox {
        &self.node.inboxes[self.index as usize]
    }
}

#[cfg(test)]
mod tests;
