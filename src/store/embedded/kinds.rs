//! The groups of each type, in tables of their own beside that of all groups, so that a list of one type and their number cost
//! what they show. They hold nothing that the table of groups does not: where they are missing or incomplete, as in a folder
//! of an earlier program, they are made of it at the start, and until then that table is read in their place.

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError as OpenError, WriteTransaction};

use super::rows::{self, GROUPS, Meta};
use super::table::{Table, TableError};
use crate::domain::member::GroupType;
use crate::domain::name::GroupId;

/// Group → nothing: it is of this type.
pub(super) fn table_of(kind: GroupType) -> TableDefinition<'static, &'static str, ()> {
    TableDefinition::new(match kind {
        GroupType::Private => "groups of type Private",
        GroupType::Public => "groups of type Public",
        GroupType::ChatRoom => "groups of type ChatRoom",
        GroupType::AvChatRoom => "groups of type AVChatRoom",
    })
}

/// How many groups of a type there are; `None` where these tables do not know all groups.
pub(super) fn count(view: &ReadTransaction, kind: GroupType) -> Result<Option<u64>, TableError> {
    let (mut known, mut wanted) = (0, 0);
    for each in GroupType::ALL {
        let count = match view.open_table(table_of(each)) {
            Ok(table) => table.len()?,
            Err(OpenError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        known += count;
        wanted = if each == kind { count } else { wanted };
    }
    // None of them is in two tables, and none is there that is no group.
    Ok((known == view.open_table(GROUPS)?.len()?).then_some(wanted))
}

/// Makes the tables where they do not know all groups. Nothing is changed where they do.
pub(super) fn complete(table: &Table, meta: &Meta) -> Result<(), TableError> {
    if count(&table.begin_read()?, GroupType::Private)?.is_some() {
        return Ok(());
    }
    table.write(|transaction| {
        for kind in GroupType::ALL {
            transaction.delete_table(table_of(kind))?;
            let mut of_kind = transaction.open_table(table_of(kind))?;
            for entry in transaction.open_table(GROUPS)?.iter()? {
                let (key, row) = entry?;
                if rows::kind_of(row.value()) == Some(kind) {
                    of_kind.insert(key.value(), ())?;
                }
            }
        }
        Ok(((), meta.clone()))
    })
}

/// A group is of another type than before, or of none.
pub(super) fn change(
    transaction: &WriteTransaction,
    id: &GroupId,
    before: Option<GroupType>,
    after: Option<GroupType>,
) -> Result<(), TableError> {
    if before == after {
        return Ok(());
    }
    if let Some(before) = before {
        transaction.open_table(table_of(before))?.remove(id.as_str())?;
    }
    if let Some(after) = after {
        transaction.open_table(table_of(after))?.insert(id.as_str(), ())?;
    }
    Ok(())
}
