//! What is read: the table, with what the overlay knows beyond it, on a few threads of their own.
//!
//! Nothing here waits for the journal. The queue is bounded by its callers: each has few questions under way at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use redb::ReadTransaction;

use super::behind::Behind;
use super::belonging::{self, Known};
use super::overlay::Overlay;
use super::query::{self, Stretch, Wanted};
use super::replays::Replays;
use super::table::{self, Table, TableError};
use super::troubles::{Troubles, Who};
use crate::domain::UnixMillis;
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::store::{Done, LoadError, Loaded, Lsn, Page, Relation, TroubleKind};

/// While the merger opens the table again after a full disk, readers try so often …
const TRIES: usize = 5;
/// … with such a pause.
const PAUSE: Duration = Duration::from_millis(10);

/// A question: gets what it needs to be answered, or the reason why it cannot be.
type Question = Box<dyn FnOnce(Result<&Reading, LoadError>) + Send>;

#[derive(Default)]
struct Questions {
    waiting: VecDeque<Question>,
    closed: bool,
}

/// All that can be read.
pub(super) struct Reading {
    pub(super) table: Table,
    overlay: Mutex<Overlay>,
    /// What a start could not merge, until it is merged.
    behind: Mutex<Option<Arc<Behind>>>,
    replays: Mutex<Replays>,
    troubles: Arc<Troubles>,
    questions: Mutex<Questions>,
    arrived: Condvar,
}

impl Reading {
    /// Reads from such a table, which may lack something.
    pub(super) fn new(table: Table, replays: Replays, troubles: Arc<Troubles>, waiting: Option<(Behind, Overlay)>) -> Self {
        let (behind, overlay) = waiting.map_or((None, Overlay::default()), |(behind, overlay)| (Some(Arc::new(behind)), overlay));
        Self {
            table,
            overlay: Mutex::new(overlay),
            behind: Mutex::new(behind),
            replays: Mutex::new(replays),
            troubles,
            questions: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// The table has everything up to here: what else is known of that is forgotten.
    pub(super) fn merged(&self, merged: Lsn) {
        self.overlay().prune(merged);
        held(&self.behind).take_if(|behind| behind.is_in(merged));
    }

    /// What is committed and not merged.
    pub(super) fn overlay(&self) -> MutexGuard<'_, Overlay> {
        held(&self.overlay)
    }

    /// Operations from before the start.
    pub(super) fn replays(&self) -> MutexGuard<'_, Replays> {
        held(&self.replays)
    }

    /// Asks for a group. Time and window are those of the moment it is handed out.
    pub(super) fn load(&self, group: GroupId, now: impl Fn() -> (UnixMillis, Duration) + Send + 'static, done: Done<Loaded, LoadError>) {
        self.ask(done, move |reading| {
            // Taken before the look: what is dropped meanwhile is in the table that is looked at.
            let behind = held(&reading.behind).clone();
            let state = match behind {
                None => reading.look(|view| query::load(view, &group))?,
                Some(behind) => {
                    let (state, merged) = reading.look(|view| Ok((query::load(view, &group)?, table::meta_of(view)?.merged.lsn)))?;
                    behind.lay_over(&group, merged, state)
                }
            };
            let (now, window) = now();
            Ok(Loaded { group: state, replays: reading.replays().take(&group, now, window) })
        });
    }

    /// Asks what a user is to which groups.
    pub(super) fn relations(&self, user: UserId, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.ask(done, move |reading| {
            let add = |known: Known, overlay: &Overlay, _| {
                let mut relations = known.relations;
                overlay.lay_over(&user, &mut relations);
                relations.into_iter().collect()
            };
            reading.look_with_overlay(|view| belonging::first(view, &user, usize::MAX), add)
        });
    }

    /// Asks where a user is a member, own groups first.
    pub(super) fn seats(&self, user: UserId, max: usize, done: Done<Vec<(GroupId, Relation)>, LoadError>) {
        self.ask(done, move |reading| {
            let add = |Known { mut relations, horizon }: Known, overlay: &Overlay, _| {
                overlay.lay_over(&user, &mut relations);
                let mut seats: Vec<_> = relations.into_iter().filter(|(_, relation)| relation.member).collect();
                seats.sort_by_key(|(_, relation)| relation.rank());
                // What was not read comes behind the horizon: it does not matter where there is enough before.
                let enough = horizon.is_none_or(|(rank, group)| {
                    let before = |(id, relation): &&(GroupId, Relation)| (relation.rank(), id) <= (rank, &group);
                    seats.iter().take(max).filter(before).count() == max
                });
                seats.truncate(max);
                enough.then_some(seats)
            };
            let mut rows_max = max.saturating_add(1);
            loop {
                if let Some(seats) = reading.look_with_overlay(|view| belonging::first(view, &user, rows_max), add)? {
                    return Ok(seats);
                }
                // Some of them are no seats, or none any more.
                rows_max = rows_max.saturating_mul(4);
            }
        });
    }

    /// Asks how many groups a user owns.
    pub(super) fn owned(&self, user: UserId, done: Done<usize, LoadError>) {
        self.ask(done, move |reading| {
            let add = |mut known, overlay: &Overlay, _| {
                overlay.lay_over(&user, &mut known);
                known.values().filter(|relation| relation.owner).count()
            };
            reading.look_with_overlay(|view| belonging::owned(view, &user), add)
        });
    }

    /// Asks of which types groups are.
    pub(super) fn kinds(&self, groups: Vec<GroupId>, done: Done<Vec<Option<GroupType>>, LoadError>) {
        self.ask(done, move |reading| {
            let add = |known: Vec<_>, overlay: &Overlay, _| {
                let newest = |(group, kind)| overlay.kind_of(group).unwrap_or(kind);
                groups.iter().zip(known).map(newest).collect()
            };
            reading.look_with_overlay(|view| query::kinds(view, &groups), add)
        });
    }

    /// Asks whether a user has an account.
    pub(super) fn has_account(&self, user: UserId, done: Done<bool, LoadError>) {
        self.ask(done, move |reading| {
            let add = |known, overlay: &Overlay, _| known || overlay.has_account(&user);
            reading.look_with_overlay(|view| query::has_account(view, &user), add)
        });
    }

    /// Asks for a page of all groups.
    pub(super) fn list(&self, wanted: Wanted, done: Done<Page, LoadError>) {
        self.ask(done, move |reading| {
            let add = |stretch: Stretch, overlay: &Overlay, merged| stretch.page(overlay, &wanted, merged);
            reading.look_with_overlay(|view| query::list(view, &wanted), add)
        });
    }

    /// Answers questions until `close`; the life of a reading thread.
    pub(super) fn run(&self) {
        loop {
            let mut questions = held(&self.questions);
            let question = loop {
                match questions.waiting.pop_front() {
                    Some(question) => break question,
                    None if questions.closed => return,
                    None => questions = self.arrived.wait(questions).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(questions);
            question(Ok(self));
        }
    }

    /// Takes no more questions; those that wait are answered.
    pub(super) fn close(&self) {
        held(&self.questions).closed = true;
        self.arrived.notify_all();
    }

    fn ask<T: Send + 'static>(&self, done: Done<T, LoadError>, answer: impl Fn(&Self) -> Result<T, LoadError> + Send + 'static) {
        // Damage that nobody has seen yet may make redb panic; the thread must live on.
        let guarded = move |reading: &Self| catch_unwind(AssertUnwindSafe(|| answer(reading))).unwrap_or_else(|_| Err(unreadable()));
        let question: Question = Box::new(move |reading| done(reading.and_then(guarded)));
        let mut questions = held(&self.questions);
        if questions.closed {
            drop(questions);
            return question(Err(LoadError::Closed));
        }
        questions.waiting.push_back(question);
        drop(questions);
        self.arrived.notify_one();
    }

    fn look<T>(&self, look: impl Fn(&ReadTransaction) -> Result<T, TableError>) -> Result<T, LoadError> {
        let mut tries = 1;
        loop {
            let error = match self.table.begin_read().and_then(|view| look(&view)) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if error.is_damage() {
                self.met_damage(&error.to_string());
                return Err(LoadError::Damaged(error.to_string()));
            }
            if tries == TRIES {
                return Err(LoadError::Unavailable(error.to_string()));
            }
            // Another reader's damage is no reason to wait; the merger is at work after a full disk.
            if error != TableError::Spoilt || self.table.mend().is_err() {
                sleep(PAUSE);
            }
            tries += 1;
        }
    }

    /// Somebody has met damage in the table: tells of it, and makes the table fit to be read again.
    pub(super) fn met_damage(&self, words: &str) {
        self.troubles.begin(Who::Reading, TroubleKind::Damaged, words);
        // Whoever asks next must not suffer for it. Where this fails, they find out why.
        let _ = self.table.mend();
    }

    /// Looks at the table and adds what is not in it yet. The overlay is not held while the disk is read: where something
    /// was merged and pruned between the two, the look is taken again.
    fn look_with_overlay<F, T>(
        &self,
        look: impl Fn(&ReadTransaction) -> Result<F, TableError>,
        add: impl Fn(F, &Overlay, Lsn) -> T,
    ) -> Result<T, LoadError> {
        for _ in 0..TRIES {
            let (found, merged) = self.look(|view| Ok((look(view)?, table::meta_of(view)?.merged.lsn)))?;
            let overlay = self.overlay();
            if overlay.pruned() <= merged {
                return Ok(add(found, &overlay, merged));
            }
        }
        let overlay = self.overlay();
        let (found, merged) = self.look(|view| Ok((look(view)?, table::meta_of(view)?.merged.lsn)))?;
        Ok(add(found, &overlay, merged))
    }
}

fn unreadable() -> LoadError {
    LoadError::Damaged("the table cannot be read".to_owned())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
