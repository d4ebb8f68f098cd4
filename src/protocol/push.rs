//! What the server says without being asked: whole WebSocket frames, encoded once and shared by all who get them.

use bytes::Bytes;

use super::answer::{put, put_number, put_text};
use super::frame;
use crate::domain::name::{CounterKey, GroupId};

/// A counter's newest value; `None` tells that it was deleted.
pub fn counter_updated(group: &GroupId, key: &CounterKey, value: Option<i64>, version: u64) -> Bytes {
    let mut json = Vec::with_capacity(160);
    put(&mut json, b"{\"event\":\"GROUP_COUNTER_UPDATED\",\"data\":{\"groupID\":");
    put_text(&mut json, group.as_str());
    put(&mut json, b",\"key\":");
    put_text(&mut json, key.as_str());
    put(&mut json, b",\"value\":");
    put_number(&mut json, value.unwrap_or(0));
    if value.is_none() {
        put(&mut json, b",\"deleted\":true");
    }
    put(&mut json, b",\"version\":");
    put_number(&mut json, version);
    put(&mut json, b"}}");
    framed(&json)
}

/// Why somebody is thrown out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KickedOut {
    /// His UserSig ran out.
    SigExpired,
    /// An app admin said so.
    ByAdmin,
}

/// The connection is about to be closed.
pub fn kicked_out(why: KickedOut) -> Bytes {
    framed(match why {
        KickedOut::SigExpired => b"{\"event\":\"KICKED_OUT\",\"data\":{\"type\":\"userSigExpired\"}}",
        KickedOut::ByAdmin => b"{\"event\":\"KICKED_OUT\",\"data\":{\"type\":\"REST_API_Kick\"}}",
    })
}

/// The group is no more.
pub fn group_dismissed(group: &GroupId) -> Bytes {
    let mut json = b"{\"event\":\"GROUP_DISMISSED\",\"data\":{\"groupID\":".to_vec();
    put_text(&mut json, group.as_str());
    put(&mut json, b"}}");
    framed(&json)
}

/// The connection gets no more pushes of a group, though its user is a member: it is in as many groups as it may be.
pub fn group_unsubscribed(group: &GroupId) -> Bytes {
    let mut json = b"{\"event\":\"GROUP_UNSUBSCRIBED\",\"data\":{\"groupID\":".to_vec();
    put_text(&mut json, group.as_str());
    put(&mut json, b"}}");
    framed(&json)
}

/// The user was made a member, or is one no more: by somebody else, or by another connection of theirs.
pub fn membership_changed(group: &GroupId, added: bool) -> Bytes {
    let mut json = b"{\"event\":\"GROUP_MEMBERSHIP_CHANGED\",\"data\":{\"groupID\":".to_vec();
    put_text(&mut json, group.as_str());
    put(&mut json, if added { b",\"status\":\"added\"}}" } else { b",\"status\":\"removed\"}}" });
    framed(&json)
}

fn framed(json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len() + 4);
    frame::put_text(&mut frame, json);
    frame.into()
}
