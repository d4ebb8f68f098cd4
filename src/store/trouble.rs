//! What keeps a store from doing all that it should, while it lasts: for metrics, readiness and the log.

use std::fmt;

use crate::domain::UnixMillis;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TroubleKind {
    /// The disk has no room. Writes are refused once what was prepared is used up; reads go on.
    DiskFull,
    /// The process or the machine has no descriptors left, and the store needs one.
    NoDescriptors,
    /// A part of the store is not what was written. What is on it is refused; it does not pass.
    Damaged,
    /// The next segment of the journal cannot be made for another reason. Writes go on until the present one is full.
    SegmentFailing,
}

impl TroubleKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::DiskFull, Self::NoDescriptors, Self::Damaged, Self::SegmentFailing];

    /// A name for metrics and machines, which never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::NoDescriptors => "no_descriptors",
            Self::Damaged => "damaged",
            Self::SegmentFailing => "segment_failing",
        }
    }
}

/// A trouble that is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is.
    pub kind: TroubleKind,
    /// Since when.
    pub since: UnixMillis,
    /// What was met first, in the words of the operating system.
    pub words: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            TroubleKind::DiskFull => "the store's disk is full: free some space; until then writes are refused and reads go on",
            TroubleKind::NoDescriptors => "the store gets no descriptor: raise the limit of open files, or close connections",
            TroubleKind::Damaged => "the store is damaged: what is there is refused; stop, look with `tallycast verify`, restore a backup",
            TroubleKind::SegmentFailing => "the next segment of the journal cannot be made: look at the store's folder",
        };
        write!(f, "{what} ({})", self.words)
    }
}
