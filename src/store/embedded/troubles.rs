//! Which troubles are present: noted by whoever meets one, ended by the same one when its work succeeds again.
//!
//! The log hears of the beginning and the end of each, never of every attempt.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disk::{is_full, is_out_of_descriptors};
use crate::store::Clock;
use crate::store::trouble::{Trouble, TroubleKind};

/// Who meets troubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The committer, at the journal.
    Writing,
    /// The thread that makes segments.
    Preparing,
    /// The merger, at the table.
    Merging,
    /// Whoever reads the table.
    Reading,
}

/// The troubles of a store.
pub(super) struct Troubles {
    clock: Clock,
    any: AtomicBool,
    present: Mutex<Vec<(Who, Trouble)>>,
}

/// What kind of trouble an error is that passes by itself; `None`: it does not pass.
pub(super) fn passing(error: &io::Error) -> Option<TroubleKind> {
    if is_full(error) {
        Some(TroubleKind::DiskFull)
    } else if is_out_of_descriptors(error) {
        Some(TroubleKind::NoDescriptors)
    } else {
        None
    }
}

impl Troubles {
    /// None so far.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, any: AtomicBool::new(false), present: Mutex::default() }
    }

    /// Somebody has met one; what else the same one had met is over.
    pub(super) fn begin(&self, who: Who, kind: TroubleKind, words: &str) {
        let mut present = self.present();
        self.end_where(&mut present, |whose, trouble| whose == who && trouble.kind != kind);
        if present.iter().any(|(whose, _)| *whose == who) {
            return;
        }
        let known = present.iter().find(|(_, trouble)| trouble.kind == kind).map(|(_, trouble)| trouble.clone());
        let trouble = known.unwrap_or_else(|| {
            let trouble = Trouble { kind, since: (self.clock)(), words: words.to_owned() };
            tracing::error!(trouble = kind.name(), "{trouble}");
            trouble
        });
        present.push((who, trouble));
        self.any.store(true, Ordering::Release);
    }

    /// Somebody's work has succeeded: whatever troubles they had met are over. Costs next to nothing where there are none.
    pub(super) fn end(&self, who: Who) {
        if self.any.load(Ordering::Acquire) {
            let mut present = self.present();
            self.end_where(&mut present, |whose, _| whose == who);
            self.any.store(!present.is_empty(), Ordering::Release);
        }
    }

    fn end_where(&self, present: &mut Vec<(Who, Trouble)>, ends: impl Fn(Who, &Trouble) -> bool) {
        let over: Vec<_> = present.extract_if(.., |(whose, trouble)| ends(*whose, trouble)).collect();
        for (_, trouble) in over {
            if !present.iter().any(|(_, other)| other.kind == trouble.kind) {
                let seconds = (self.clock)().saturating_sub(trouble.since) / 1000;
                tracing::info!(trouble = trouble.kind.name(), seconds, "it has passed: {}", trouble.words);
            }
        }
    }

    /// Those that are present, each kind once.
    pub(super) fn all(&self) -> Vec<Trouble> {
        let present = self.present();
        let of = |kind| present.iter().find(|(_, trouble)| trouble.kind == kind).map(|(_, trouble)| trouble.clone());
        TroubleKind::ALL.into_iter().filter_map(of).collect()
    }

    fn present(&self) -> MutexGuard<'_, Vec<(Who, Trouble)>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_trouble_lasts_until_all_who_met_it_have_succeeded() {
        let troubles = Troubles::new(Arc::new(|| 7));
        let names = || troubles.all().iter().map(|trouble| trouble.kind.name()).collect::<Vec<_>>();
        troubles.begin(Who::Merging, TroubleKind::DiskFull, "no space");
        troubles.begin(Who::Preparing, TroubleKind::DiskFull, "no space either");
        troubles.end(Who::Merging);
        assert_eq!(names(), ["disk_full"]);
        troubles.begin(Who::Merging, TroubleKind::DiskFull, "no space");
        troubles.begin(Who::Preparing, TroubleKind::NoDescriptors, "too many");
        assert_eq!(names(), ["disk_full", "no_descriptors"]);
        troubles.end(Who::Merging);
        assert_eq!(names(), ["no_descriptors"], "what the preparer had met before is over");
        troubles.end(Who::Writing);
        troubles.end(Who::Preparing);
        assert_eq!(names(), [""; 0]);
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let of = |number| passing(&io::Error::from_raw_os_error(number)).map(TroubleKind::name);
        use nix::errno::Errno;
        let passing = [Errno::ENOSPC, Errno::EDQUOT, Errno::EMFILE, Errno::ENFILE].map(|errno| of(errno as i32));
        assert_eq!(passing, [Some("disk_full"), Some("disk_full"), Some("no_descriptors"), Some("no_descriptors")]);
        assert_eq!([Errno::EIO, Errno::EACCES, Errno::EROFS].map(|errno| of(errno as i32)), [None; 3]);
    }
}
