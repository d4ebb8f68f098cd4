//! What tests/fuzz may reach of the journal and the table, and nobody else: no program is built with the feature `fuzzing`.

use super::block::{self, Change, HEADER_BYTES, Header, Kind, Sealer};
use super::identity::StoreId;
use super::rows::{self, Meta};
use crate::domain::group::Group;
use crate::domain::member::Member;
use crate::domain::name::{GroupId, UserId};
use crate::domain::record::{Effect, Entry};
use crate::store::{Lsn, Relation};

/// The entries of a block's payload.
pub fn entries(payload: &[u8]) -> Vec<Result<Entry, String>> {
    block::entries(payload).collect()
}

/// What merging reads of an entry: a group's change, or a user who was seen.
pub type Merged = Result<(GroupId, Option<Effect>), UserId>;

/// What merging reads of the same entries.
pub fn changes(payload: &[u8]) -> Vec<Result<Merged, String>> {
    let change = |change| match change {
        Change::Command(change) => Ok((change.group, change.effect)),
        Change::Account(user) => Err(user),
    };
    block::entries(payload).map(|entry| entry.map(change)).collect()
}

/// Blocks of one segment of a store.
#[derive(Clone, Copy)]
pub struct Blocks(Sealer);

impl Blocks {
    /// `store` is the store's secret number.
    pub fn of(store: [u8; 16], segment: u64) -> Self {
        Self(Sealer::new(StoreId::from_bytes(store), segment))
    }

    /// A block that stands at `offset`.
    pub fn seal(self, offset: u64, lsn: Lsn, payload: &[u8]) -> Vec<u8> {
        let mut buffer = [&[0; HEADER_BYTES], payload].concat();
        self.0.seal(&mut buffer, offset, Header { lsn, synced: lsn - 1, written: 1, kind: Kind::Records });
        buffer
    }

    /// The whole block at the beginning of bytes that stand at `offset`: its number, its payload, its length.
    pub fn parse(self, bytes: &[u8], offset: u64) -> Option<(Lsn, &[u8], usize)> {
        self.0.parse(bytes, offset).map(|block| (block.header.lsn, block.payload, block.bytes))
    }

    /// The places of all headers in bytes that stand at `offset`.
    pub fn headers(self, bytes: &[u8], offset: u64) -> Vec<u64> {
        self.0.headers(bytes, offset).map(|(place, _)| place).collect()
    }
}

/// What the table's rows hold.
#[derive(Debug, PartialEq)]
pub enum Row {
    /// Of a group.
    Group(Box<Group>),
    /// Of a member.
    Member(Member),
    /// Of a user and a group.
    Relation(Relation),
    /// What the store knows of itself.
    State(Vec<u8>),
}

/// Reads bytes under a true checksum as the row of a kind, and the same row once more as it would be written.
pub fn row(kind: u8, id: &GroupId, body: &[u8]) -> Result<(Row, Row), String> {
    let key = id.as_str().as_bytes();
    let sealed = rows::seal(if kind == 3 { b"state" } else { key }, body.to_vec());
    Ok(match kind {
        0 => {
            let group = rows::decode_group(id, &sealed)?;
            let again = rows::decode_group(id, &rows::encode_group(id, &group))?;
            (Row::Group(group), Row::Group(again))
        }
        1 => {
            let member = rows::decode_member(key, &sealed)?;
            let again = rows::decode_member(key, &rows::encode_member(key, &member))?;
            (Row::Member(member), Row::Member(again))
        }
        2 => {
            let relation = rows::decode_relation(key, &sealed)?;
            let again = rows::decode_relation(key, &rows::encode_relation(key, relation))?;
            (Row::Relation(relation), Row::Relation(again))
        }
        _ => {
            let meta = Meta::decode(&sealed)?;
            (Row::State(meta.encode()), Row::State(Meta::decode(&meta.encode())?.encode()))
        }
    })
}

/// The second name of a key that begins with `first`.
pub fn second(key: &[u8], first: &GroupId) -> Result<UserId, String> {
    rows::second(key, first.as_str(), rows::user)
}
