//! The table's rows: whatever stands under a true checksum is read or refused, and what was read is written so that it is read
//! alike.

use tallycast::domain::name::{GroupId, UserId};
use tallycast::store::fuzzing::{row, second};

use crate::bytes::Bytes;

pub fn run(data: &[u8]) {
    let mut input = Bytes::new(data);
    let kind = input.byte() % 5;
    let id = GroupId::parse("a group").expect("a name");
    let body = input.rest();
    if kind < 4 {
        if let Ok((read, again)) = row(kind, &id, body) {
            assert_eq!(read, again);
        }
        return;
    }
    let mut key = [id.as_str().as_bytes(), &[0]].concat();
    key.extend_from_slice(body);
    let name = std::str::from_utf8(body).ok().and_then(|text| UserId::parse(text).ok());
    assert_eq!(second(&key, &id).ok(), name);
}
