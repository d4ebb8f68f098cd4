//! What is asked of the table, and how the overlay is laid over it. Reads alone.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, Value};

use super::kinds;
use super::overlay::Overlay;
use super::rows::{self, ACCOUNTS, GROUPS, MEMBERS};
use super::table::TableError;
use crate::domain::group::Group;
use crate::domain::member::GroupType;
use crate::domain::name::{GroupId, UserId};
use crate::store::{Lsn, Page};

/// Rows that one page of a list looks at, at most.
const LIST_SCAN_MAX: usize = 50_000;
/// Groups on one page, at most.
const LIST_MAX: usize = 10_000;

/// A group with its members.
pub(super) fn load(view: &ReadTransaction, id: &GroupId) -> Result<Option<Box<Group>>, TableError> {
    let groups = view.open_table(GROUPS)?;
    let Some(row) = groups.get(id.as_str())? else { return Ok(None) };
    let mut group = rows::decode_group(id, row.value()).map_err(TableError::Damaged)?;
    let (from, to) = rows::pairs_of(id.as_str());
    for entry in view.open_table(MEMBERS)?.range(from.as_slice()..to.as_slice())? {
        let (key, row) = entry?;
        let user = rows::second(key.value(), id.as_str(), rows::user).map_err(TableError::Damaged)?;
        group.members.insert(user, rows::decode_member(key.value(), row.value()).map_err(TableError::Damaged)?);
    }
    Ok(Some(group))
}

/// Of which types groups are, as far as the table knows.
pub(super) fn kinds(view: &ReadTransaction, groups: &[GroupId]) -> Result<Vec<Option<GroupType>>, TableError> {
    let table = view.open_table(GROUPS)?;
    let kind = |group: &GroupId| Ok(table.get(group.as_str())?.and_then(|row| rows::kind_of(row.value())));
    groups.iter().map(kind).collect()
}

/// Whether the table knows an account.
pub(super) fn has_account(view: &ReadTransaction, user: &UserId) -> Result<bool, TableError> {
    Ok(view.open_table(ACCOUNTS)?.get(user.as_str())?.is_some())
}

/// What is asked of a list.
pub(super) struct Wanted {
    pub(super) after: Option<GroupId>,
    pub(super) kind: Option<GroupType>,
    pub(super) limit: usize,
}

impl Wanted {
    fn limit(&self) -> usize {
        self.limit.clamp(1, LIST_MAX)
    }

    fn wants(&self, kind: GroupType) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// A stretch of the table's groups.
pub(super) struct Stretch {
    found: BTreeMap<GroupId, ()>,
    /// Beyond this the table was not looked at; `None`: it was looked at up to its end.
    horizon: Option<GroupId>,
    total: u64,
}

/// Groups of the table; one more than asked for, to see whether there are more.
pub(super) fn list(view: &ReadTransaction, wanted: &Wanted) -> Result<Stretch, TableError> {
    let groups = view.open_table(GROUPS)?;
    let Some(kind) = wanted.kind else { return stretch(&groups, wanted, groups.len()?, |_| true) };
    match kinds::count(view, kind)? {
        Some(total) => stretch(&view.open_table(kinds::table_of(kind))?, wanted, total, |()| true),
        None => {
            let is_wanted = |row: &[u8]| rows::kind_of(row) == Some(kind);
            let mut total = 0;
            for entry in groups.iter()? {
                total += u64::from(is_wanted(entry?.1.value()));
            }
            stretch(&groups, wanted, total, is_wanted)
        }
    }
}

fn stretch<V: Value + 'static>(
    groups: &impl ReadableTable<&'static str, V>,
    wanted: &Wanted,
    total: u64,
    is_wanted: impl Fn(V::SelfType<'_>) -> bool,
) -> Result<Stretch, TableError> {
    let after = wanted.after.as_ref().map_or("", |after| after.as_str());
    let mut stretch = Stretch { found: BTreeMap::new(), horizon: None, total };
    for (scanned, entry) in groups.range::<&str>((Bound::Excluded(after), Bound::Unbounded))?.enumerate() {
        let (key, row) = entry?;
        let id = rows::group(key.value()).ok_or_else(|| TableError::Damaged("the id of a group is no name".to_owned()))?;
        let enough = scanned == LIST_SCAN_MAX || stretch.found.len() == wanted.limit();
        if is_wanted(row.value()) {
            stretch.found.insert(id.clone(), ());
        }
        if enough {
            stretch.horizon = Some(id);
            break;
        }
    }
    Ok(stretch)
}

impl Stretch {
    /// Lays what is not merged over it; the table had everything up to `merged`.
    pub(super) fn page(self, overlay: &Overlay, wanted: &Wanted, merged: Lsn) -> Page {
        let Self { mut found, mut horizon, total } = self;
        for (looked_at, (id, state)) in overlay.groups_after(wanted.after.as_ref()).enumerate() {
            if horizon.as_ref().is_some_and(|horizon| id > horizon) {
                break;
            }
            match state.filter(|kind| wanted.wants(*kind)) {
                Some(_) => found.insert(id.clone(), ()),
                None => found.remove(id),
            };
            if looked_at == LIST_SCAN_MAX {
                found.retain(|found, ()| found <= id);
                horizon = Some(id.clone());
                break;
            }
        }
        let more = found.len() > wanted.limit();
        let groups: Vec<GroupId> = found.into_keys().take(wanted.limit()).collect();
        let next = if more { groups.last().cloned() } else { horizon };
        Page { groups, next, total: total.saturating_add_signed(overlay.balance(merged, wanted.kind)) }
    }
}
