//! What a client says: a frame becomes a request, step by step, in the order in which faults are told.

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::fields::{self, Fields, bad_name};
use crate::domain::code::{Code, Refusal};
use crate::domain::command::{Mode, Write};
use crate::domain::member::{GroupType, JoinOption, NewGroup};
use crate::domain::name::{CounterKey, GroupId, GroupName, OpId, UserId};

/// A request's id as it was written, JSON and all; `null` where there was none.
pub type Id = SmallVec<[u8; 16]>;

/// The longest id, in bytes. It is held for as long as its request is under way, and goes out again with the answer.
const ID_BYTES_MAX: usize = 128;

/// The id of an answer to a frame that had none.
pub fn null_id() -> Id {
    Id::from_slice(b"null")
}

macro_rules! commands {
    ($($name:ident = $wire:literal),* $(,)?) => {
        /// The commands of the socket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cmd { $(#[doc = concat!("`", $wire, "`")] $name),* }
        impl Cmd {
            /// All commands.
            pub const ALL: &'static [Cmd] = &[$(Cmd::$name),*];
            fn parse(text: &str) -> Option<Self> {
                match text { $($wire => Some(Self::$name),)* _ => None }
            }
            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $wire),* }
            }
        }
    };
}

commands! {
    Login = "login", Logout = "logout", CreateGroup = "createGroup", DismissGroup = "dismissGroup", JoinGroup = "joinGroup",
    QuitGroup = "quitGroup", AddGroupMember = "addGroupMember", DeleteGroupMember = "deleteGroupMember",
    SetGroupCounters = "setGroupCounters", IncreaseGroupCounter = "increaseGroupCounter",
    DecreaseGroupCounter = "decreaseGroupCounter", GetGroupCounters = "getGroupCounters",
    GetGroupOnlineMemberCount = "getGroupOnlineMemberCount", Ping = "ping",
}

/// How many names one frame may hold; 0 = no limit.
#[derive(Debug, Clone, Copy)]
pub struct FieldLimits {
    /// Users to add or to remove.
    pub users_max: usize,
    /// Counters to set or to read.
    pub keys_max: usize,
}

/// A frame whose command is known; its other fields are not looked at yet.
#[derive(Debug)]
pub struct Frame<'a> {
    /// To be returned as it is.
    pub id: Id,
    /// What is asked.
    pub cmd: Cmd,
    fields: Fields<'a>,
}

/// What is asked, complete and checked as far as a frame alone can tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// Who somebody says he is; the sig is not checked yet.
    Login {
        /// The name.
        user: UserId,
        /// The proof.
        sig: String,
    },
    /// Stay, but as nobody.
    Logout,
    /// A new group, with an id of the caller's choice or one of the server's; its owner is who asks.
    CreateGroup(Option<GroupId>, Box<NewGroup>),
    /// The end of a group.
    DismissGroup(GroupId),
    /// Become a member and get pushes.
    JoinGroup(GroupId),
    /// Get a snapshot and pushes of a group in which the user is a member, by no wish of theirs.
    FollowGroup(GroupId),
    /// Leave.
    QuitGroup(GroupId),
    /// Make others members.
    AddGroupMember(GroupId, Vec<UserId>),
    /// Take membership away from others.
    DeleteGroupMember(GroupId, Vec<UserId>),
    /// Change counters.
    Write(GroupId, Write, Option<OpId>),
    /// Read counters.
    Read(GroupId, Vec<CounterKey>),
    /// How many are there.
    OnlineCount(GroupId),
    /// Nothing; for measuring and for proxies.
    Ping,
}

impl<'a> Frame<'a> {
    /// Reads a text frame. Errors, each with the id where one could be read: 60003, 10003, and 10004 for an id of a wrong
    /// kind.
    pub fn read(text: &'a str) -> Result<Self, (Id, Refusal)> {
        let bad_json = |message| (null_id(), Refusal::new(Code::BadJson, message));
        let fields: Fields = serde_json::from_str(text).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => bad_json("a frame must be one JSON object".into()),
            _ => bad_json(format!("a frame must be one JSON object: {e}")),
        })?;
        let id = match id(fields.id) {
            Ok(id) if fields.twice != Some("id") => id,
            _ => return Err((null_id(), Refusal::new(Code::InvalidParameter, "id must be one number or string of at most 128 bytes"))),
        };
        match fields::optional(fields.cmd) {
            None => Err((id, Refusal::new(Code::BadJson, "cmd is missing"))),
            Some(_) if fields.twice == Some("cmd") => Err((id, Refusal::new(Code::InvalidParameter, "cmd is given twice"))),
            Some(cmd) => match fields::text("cmd", Some(cmd)).ok().and_then(|cmd| Cmd::parse(&cmd)) {
                None => Err((id, Refusal::new(Code::UnknownCommand, "cmd names no command"))),
                Some(cmd) => Ok(Self { id, cmd, fields }),
            },
        }
    }

    /// Looks at the command's own fields. Errors: 10004 naming the field, 10015 for a group's id of a wrong form, 10063 for more
    /// keys than a group can hold.
    pub fn body(&self, limits: FieldLimits) -> Result<Body, Refusal> {
        let FieldLimits { users_max, keys_max } = limits;
        let f = &self.fields;
        if let Some(field) = f.twice {
            return Err(Refusal::new(Code::InvalidParameter, format!("{field} is given twice")));
        }
        Ok(match self.cmd {
            Cmd::Ping => Body::Ping,
            Cmd::Logout => Body::Logout,
            Cmd::Login => Body::Login {
                user: UserId::parse(&fields::text("userID", f.user_id)?).map_err(bad_name(Code::InvalidParameter))?,
                sig: fields::text("userSig", f.user_sig)?.into_owned(),
            },
            Cmd::CreateGroup => new_group(f)?,
            Cmd::DismissGroup => Body::DismissGroup(fields::group_id(f.group_id)?),
            Cmd::JoinGroup => {
                let (group, asked) = (fields::group_id(f.group_id)?, fields::flag("asked", f.asked, true)?);
                if asked { Body::JoinGroup(group) } else { Body::FollowGroup(group) }
            }
            Cmd::QuitGroup => Body::QuitGroup(fields::group_id(f.group_id)?),
            Cmd::AddGroupMember => Body::AddGroupMember(fields::group_id(f.group_id)?, fields::users(f.user_id_list, users_max)?),
            Cmd::DeleteGroupMember => Body::DeleteGroupMember(fields::group_id(f.group_id)?, fields::users(f.user_id_list, users_max)?),
            Cmd::SetGroupCounters => {
                let group = fields::group_id(f.group_id)?;
                Body::Write(group, Write::Change(Mode::Set, fields::items("counters", f.counters, keys_max)?), op_id(f.op_id)?)
            }
            Cmd::IncreaseGroupCounter => one(f, Mode::Increase)?,
            Cmd::DecreaseGroupCounter => one(f, Mode::Decrease)?,
            Cmd::GetGroupCounters => {
                let keys = fields::keys("keyList", f.key_list, keys_max)?;
                Body::Read(fields::group_id(f.group_id)?, keys)
            }
            Cmd::GetGroupOnlineMemberCount => Body::OnlineCount(fields::group_id(f.group_id)?),
        })
    }
}

fn id(raw: Option<&RawValue>) -> Result<Id, ()> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(null_id()) };
    // What has as few bytes as it stands has no more once it is read; only escapes make a string shorter.
    let fits = match text.as_bytes() {
        [b'"', inner @ .., b'"'] if inner.len() <= ID_BYTES_MAX && !inner.contains(&b'\\') => true,
        [b'"', ..] => serde_json::from_str::<std::borrow::Cow<str>>(text).is_ok_and(|read| read.len() <= ID_BYTES_MAX),
        [b'-' | b'0'..=b'9', ..] => text.len() <= ID_BYTES_MAX,
        _ => false,
    };
    if fits { Ok(Id::from_slice(text.as_bytes())) } else { Err(()) }
}

fn one(f: &Fields<'_>, mode: Mode) -> Result<Body, Refusal> {
    let group = fields::group_id(f.group_id)?;
    let key = CounterKey::parse(&fields::text("key", f.key)?).map_err(bad_name(Code::InvalidParameter))?;
    Ok(Body::Write(group, Write::one(mode, key, fields::integer("value", f.value)?), op_id(f.op_id)?))
}

fn op_id(raw: Option<&RawValue>) -> Result<Option<OpId>, Refusal> {
    match fields::optional(raw) {
        None => Ok(None),
        raw => OpId::parse(&fields::text("opID", raw)?).map(Some).map_err(bad_name(Code::InvalidParameter)),
    }
}

fn new_group(f: &Fields<'_>) -> Result<Body, Refusal> {
    let kind = fields::text("type", f.kind)?;
    let kind = match GroupType::parse(&kind) {
        Some(kind) => kind,
        None if kind == "Community" => {
            return Err(Refusal::new(Code::NotPermitted, "Community groups are not supported: they have no counters"));
        }
        None => return Err(Refusal::new(Code::InvalidParameter, "type must be Private, Public, ChatRoom or AVChatRoom")),
    };
    let name = GroupName::parse(&fields::text("name", f.name)?).map_err(bad_name(Code::InvalidParameter))?;
    let id = match fields::optional(f.group_id) {
        None => None,
        raw => Some(GroupId::custom(&fields::text("groupID", raw)?).map_err(bad_name(Code::BadGroupId))?),
    };
    let asked = match fields::optional(f.join_option) {
        None => None,
        raw => {
            let asked = JoinOption::parse(&fields::text("joinOption", raw)?);
            let rule = "joinOption must be FreeAccess, NeedPermission or DisableApply";
            Some(asked.ok_or_else(|| Refusal::new(Code::InvalidParameter, rule))?)
        }
    };
    let join_option = JoinOption::of(kind, asked);
    let new = NewGroup { kind, name, join_option, owner: None, members: Vec::new(), details: Default::default() };
    Ok(Body::CreateGroup(id, Box::new(new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(id: &str) -> Result<String, (String, Code)> {
        let text = |id: Id| String::from_utf8_lossy(&id).into_owned();
        match Frame::read(&format!(r#"{{"cmd":"ping","id":{id}}}"#)) {
            Ok(frame) => Ok(text(frame.id)),
            Err((id, refusal)) => Err((text(id), refusal.code)),
        }
    }

    #[test]
    fn an_id_has_at_most_128_bytes() {
        let refused = Err(("null".to_owned(), Code::InvalidParameter));
        let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
        assert_eq!(id_of(&string(128)), Ok(string(128)));
        assert_eq!(id_of(&string(129)), refused);
        // 128 bytes once they are read, however they are written.
        let escaped = |bytes: usize| format!("\"{}\"", "\\u0041".repeat(bytes));
        assert_eq!(id_of(&escaped(128)), Ok(escaped(128)));
        assert_eq!(id_of(&escaped(129)), refused);
        assert_eq!(id_of(&format!("\"{}\"", "ü".repeat(64))), Ok(format!("\"{}\"", "ü".repeat(64))));
        assert_eq!(id_of(&format!("\"{}x\"", "ü".repeat(64))), refused);
        assert_eq!(id_of(&"1".repeat(128)), Ok("1".repeat(128)));
        assert_eq!(id_of(&"1".repeat(129)), refused);
        assert_eq!(id_of("\"\\ud800\""), refused, "half a character is no text");
        for wrong in ["true", "[1]", "{}"] {
            assert_eq!(id_of(wrong), refused);
        }
        assert_eq!(id_of("null"), Ok("null".to_owned()));
    }
}
