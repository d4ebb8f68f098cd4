//! What a client is answered: JSON written straight into the caller's buffer.

use serde::Serialize;

use super::request::Id;
use crate::domain::code::Refusal;
use crate::domain::command::Items;
use crate::domain::group::Listed;
use crate::domain::member::{GroupType, Member, Profile};
use crate::domain::name::{CounterKey, GroupId, UserId};

/// A group as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its id.
    pub id: GroupId,
    /// What it is.
    pub profile: Profile,
    /// How many users are in it.
    pub member_count: usize,
}

/// All counters of a group at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Keys and values.
    pub counters: Items,
    /// The group's version.
    pub version: u64,
    /// The group's epoch.
    pub epoch: String,
}

/// The data of an answer with code 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `{}`
    Empty,
    /// To `login`.
    Login {
        /// Who he is now.
        user: UserId,
        /// Unix seconds at which his UserSig runs out.
        expires_at: u64,
        /// Whether he is an app admin.
        admin: bool,
        /// Whether he was logged in already.
        repeat: bool,
    },
    /// To `createGroup`.
    Created(Box<GroupView>),
    /// To `dismissGroup` and `quitGroup`.
    Group(GroupId),
    /// To `joinGroup`.
    Joined {
        /// Whether he was in already.
        already: bool,
        /// What he is in.
        group: Box<GroupView>,
        /// Where it stands.
        snapshot: Snapshot,
    },
    /// To `addGroupMember` and `deleteGroupMember`.
    Listed(GroupId, Listed),
    /// To `setGroupCounters`.
    Set {
        /// The group.
        group: GroupId,
        /// Keys with their values after it.
        counters: Items,
        /// The group's version after it.
        version: u64,
        /// Whether this repeats an earlier answer.
        replayed: bool,
    },
    /// To `increaseGroupCounter` and `decreaseGroupCounter`.
    Changed {
        /// The group.
        group: GroupId,
        /// The key.
        key: CounterKey,
        /// Its value after it.
        value: i64,
        /// The group's version after it.
        version: u64,
        /// Whether this repeats an earlier answer.
        replayed: bool,
    },
    /// To `getGroupCounters`.
    Counters(GroupId, Snapshot),
    /// To `getGroupOnlineMemberCount`.
    Online(GroupId, usize),
    /// To a back end's write; never on the socket.
    Written {
        /// What its keys held before; nothing for a repeat.
        before: Items,
        /// What they hold after it.
        after: Items,
        /// The group's version after it.
        version: u64,
        /// Whether this repeats an earlier answer.
        replayed: bool,
    },
    /// To a back end's look at a group; never on the socket.
    Inspected(Box<Inspected>),
}

/// What a look at a group shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What it is.
    pub profile: Profile,
    /// How many members it keeps.
    pub kept: usize,
    /// How many users have a connection in it.
    pub online: usize,
    /// The members that were sought.
    pub members: Vec<(UserId, Member)>,
}

impl Inspected {
    /// How many are in it.
    pub fn member_count(&self) -> usize {
        if self.profile.kind == GroupType::AvChatRoom { self.online } else { self.kept }
    }
}

/// Writes the answer to a request.
pub fn put_answer(out: &mut Vec<u8>, id: &Id, answer: &Result<Data, Refusal>) {
    put(out, b"{\"id\":");
    put(out, id);
    match answer {
        Ok(data) => {
            put(out, b",\"code\":0,\"data\":{");
            put_data(out, data);
            put(out, b"}}");
        }
        Err(refusal) => {
            put(out, b",\"code\":");
            put_number(out, refusal.code.number());
            put(out, b",\"message\":");
            put_text(out, &refusal.message);
            if let Some(millis) = refusal.retry_after {
                put(out, b",\"retryAfter\":");
                put_number(out, millis);
            }
            put(out, b"}");
        }
    }
}

fn put_data(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::Empty | Data::Written { .. } | Data::Inspected(_) => {}
        Data::Login { user, expires_at, admin, repeat } => {
            put(out, b"\"userID\":");
            put_text(out, user.as_str());
            put(out, b",\"expiresAt\":");
            put_number(out, *expires_at);
            put(out, if *admin { b",\"admin\":true" } else { b",\"admin\":false" });
            if *repeat {
                put(out, b",\"repeatLogin\":true");
            }
        }
        Data::Created(view) => put_view(out, view),
        Data::Group(group) => put_group(out, group),
        Data::Joined { already, group, snapshot } => {
            put(out, if *already { b"\"status\":\"AlreadyInGroup\"," } else { b"\"status\":\"JoinedSuccess\"," });
            put_view(out, group);
            put(out, b",");
            put_snapshot(out, snapshot);
        }
        Data::Listed(group, listed) => {
            put_group(out, group);
            for (name, users) in [
                (b",\"successUserIDList\":".as_slice(), &listed.success),
                (b",\"existedUserIDList\":", &listed.existed),
                (b",\"failureUserIDList\":", &listed.failure),
            ] {
                put(out, name);
                put_list(out, users);
            }
        }
        Data::Set { group, counters, version, replayed } => {
            put_group(out, group);
            put(out, b",\"counters\":");
            put_counters(out, counters);
            put_version(out, *version, *replayed);
        }
        Data::Changed { group, key, value, version, replayed } => {
            put_group(out, group);
            put(out, b",\"key\":");
            put_text(out, key.as_str());
            put(out, b",\"value\":");
            put_number(out, *value);
            put_version(out, *version, *replayed);
        }
        Data::Counters(group, snapshot) => {
            put_group(out, group);
            put(out, b",");
            put_snapshot(out, snapshot);
        }
        Data::Online(group, count) => {
            put_group(out, group);
            put(out, b",\"memberCount\":");
            put_number(out, *count);
        }
    }
}

fn put_view(out: &mut Vec<u8>, view: &GroupView) {
    let profile = &view.profile;
    put(out, b"\"group\":{");
    put_group(out, &view.id);
    for (name, value) in
        [(",\"type\":", profile.kind.name()), (",\"name\":", profile.name.as_str()), (",\"joinOption\":", profile.join_option.name())]
    {
        put(out, name.as_bytes());
        put_text(out, value);
    }
    put(out, b",\"ownerID\":");
    match &profile.owner {
        Some(owner) => put_text(out, owner.as_str()),
        None => put(out, b"null"),
    }
    put(out, b",\"createTime\":");
    put_number(out, profile.created_at);
    put(out, b",\"memberCount\":");
    put_number(out, view.member_count);
    put(out, b"}");
}

fn put_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) {
    put(out, b"\"counters\":");
    put_counters(out, &snapshot.counters);
    put(out, b",\"version\":");
    put_number(out, snapshot.version);
    put(out, b",\"epoch\":");
    put_text(out, &snapshot.epoch);
}

fn put_group(out: &mut Vec<u8>, group: &GroupId) {
    put(out, b"\"groupID\":");
    put_text(out, group.as_str());
}

fn put_counters(out: &mut Vec<u8>, counters: &Items) {
    put(out, b"{");
    for (i, (key, value)) in counters.iter().enumerate() {
        if i > 0 {
            put(out, b",");
        }
        put_text(out, key.as_str());
        put(out, b":");
        put_number(out, *value);
    }
    put(out, b"}");
}

fn put_version(out: &mut Vec<u8>, version: u64, replayed: bool) {
    put(out, b",\"version\":");
    put_number(out, version);
    if replayed {
        put(out, b",\"replayed\":true");
    }
}

fn put_list(out: &mut Vec<u8>, users: &[UserId]) {
    put(out, b"[");
    for (i, user) in users.iter().enumerate() {
        if i > 0 {
            put(out, b",");
        }
        put_text(out, user.as_str());
    }
    put(out, b"]");
}

pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

pub(super) fn put_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    put(out, itoa::Buffer::new().format(number).as_bytes());
}

/// Writes a JSON string, escaped where it must be.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    text.serialize(&mut serde_json::Serializer::new(out)).expect("writing to memory cannot fail");
}
