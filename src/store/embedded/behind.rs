//! What a start could not merge for want of space: the effects that the table lacks, laid over every group that is loaded.
//!
//! Only records from before the start are here. What is committed later is known to its groups, as always.

use std::collections::HashMap;

use crate::domain::group::{self, Group};
use crate::domain::name::GroupId;
use crate::domain::record::Effect;
use crate::store::Lsn;

/// Effects that are in the journal alone, in its order.
#[derive(Debug, Default)]
pub(super) struct Behind {
    groups: HashMap<GroupId, Vec<(Lsn, Effect)>>,
    end: Lsn,
}

impl Behind {
    /// Adds the next one.
    pub(super) fn add(&mut self, lsn: Lsn, group: GroupId, effect: Effect) {
        self.groups.entry(group).or_default().push((lsn, effect));
        self.end = lsn;
    }

    /// The group as it is, when the table has everything up to `merged`.
    pub(super) fn lay_over(&self, id: &GroupId, merged: Lsn, mut state: Option<Box<Group>>) -> Option<Box<Group>> {
        for (_, effect) in self.groups.get(id).into_iter().flatten().filter(|(lsn, _)| *lsn > merged) {
            group::apply(&mut state, effect);
        }
        state
    }

    /// Whether the table has all of it, when it has everything up to `merged`.
    pub(super) fn is_in(&self, merged: Lsn) -> bool {
        self.end <= merged
    }
}
