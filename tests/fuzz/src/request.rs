//! The socket's requests: text in, a request or a refusal out.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tallycast::domain::code::{Code, Refusal};
use tallycast::domain::command::{Mode, Write};
use tallycast::domain::member::GroupType;
use tallycast::domain::name::{CounterKey, GroupId, OpId, UserId};
use tallycast::protocol::answer::{Data, put_answer};
use tallycast::protocol::request::{Body, Cmd, FieldLimits, Frame, Id, null_id};

const USERS_MAX: usize = 100;
const KEYS_MAX: usize = 20;
const ID_BYTES_MAX: usize = 128;
const LIMITS: FieldLimits = FieldLimits { users_max: USERS_MAX, keys_max: KEYS_MAX };

/// Fields that mean something to some command.
const KNOWN: [&str; 15] = [
    "id",
    "cmd",
    "groupID",
    "key",
    "value",
    "opID",
    "counters",
    "keyList",
    "userID",
    "userSig",
    "userIDList",
    "type",
    "name",
    "joinOption",
    "asked",
];

/// A JSON object as it stands: every field, in its order, also those that are given twice.
pub struct Object<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((Cow::Owned(name), value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'a> Object<'a> {
    pub fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// Whether one of these fields is given twice.
    pub fn has_twice(&self, known: impl Fn(&str) -> bool) -> bool {
        let mut seen = HashSet::new();
        self.0.iter().any(|(name, _)| known(name) && !seen.insert(name))
    }
}

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let object = serde_json::from_str::<Object>(text).ok();
    let frame = match Frame::read(text) {
        Ok(frame) => frame,
        Err((id, refusal)) => {
            assert!(matches!(refusal.code, Code::BadJson | Code::UnknownCommand | Code::InvalidParameter), "{refusal:?}");
            assert_eq!(object.is_none(), refusal.code == Code::BadJson && refusal.message != "cmd is missing", "{refusal:?}");
            return check_answer(&id, refusal);
        }
    };
    let object = object.expect("what is read as a frame is one JSON object");
    if object.has_twice(|name| KNOWN.contains(&name)) {
        // Which of the two counts does not matter: nothing is done.
        return assert!(frame.body(LIMITS).is_err_and(|refusal| refusal.code == Code::InvalidParameter), "a field given twice");
    }
    let id = object.field("id").map_or_else(null_id, |raw| Id::from_slice(raw.get().as_bytes()));
    assert_eq!(frame.id, id, "an id comes back as it was written");
    let text: String = serde_json::from_slice(&frame.id).unwrap_or_else(|_| String::from_utf8_lossy(&frame.id).into_owned());
    assert!(text.len() <= ID_BYTES_MAX, "an id of {} bytes", text.len());
    let cmd: String = serde_json::from_str(object.field("cmd").expect("a command").get()).expect("a text");
    assert_eq!(cmd, frame.cmd.name());
    match frame.body(LIMITS) {
        Err(refusal) => {
            assert!(
                matches!(refusal.code, Code::InvalidParameter | Code::BadGroupId | Code::NotPermitted | Code::TooManyKeys),
                "{refusal:?}"
            );
            check_answer(&frame.id, refusal);
        }
        Ok(body) => {
            check_names(&body);
            let again = written(frame.cmd, &body);
            let frame = Frame::read(&again).expect("what was understood can be said again");
            assert_eq!(frame.body(LIMITS).expect("and is understood"), body);
        }
    }
}

/// An answer is JSON whatever was asked, and has the question's id.
fn check_answer(id: &Id, refusal: Refusal) {
    let mut json = Vec::new();
    let (code, message) = (refusal.code.number(), refusal.message.clone());
    put_answer(&mut json, id, &Err::<Data, _>(refusal));
    let object: Object = serde_json::from_slice(&json).expect("an answer is JSON");
    assert_eq!(object.field("id").map(|id| id.get().as_bytes()), Some(&id[..]));
    let answer: Value = serde_json::from_slice(&json).unwrap_or_default();
    // A number of any size may be an id, but not every one is a `Value`.
    assert!(answer.is_null() || (answer["code"] == code && answer["message"] == *message && !message.is_empty()), "{answer}");
}

/// Whatever came through has the form that everybody behind relies on.
fn check_names(body: &Body) {
    let group = |id: &GroupId| assert!(GroupId::parse(id.as_str()).is_ok());
    let key = |key: &CounterKey| assert!(CounterKey::parse(key.as_str()).is_ok());
    match body {
        Body::Login { user, .. } => assert!(UserId::parse(user.as_str()).is_ok()),
        Body::CreateGroup(id, new) => {
            assert!(id.as_ref().is_none_or(|id| GroupId::custom(id.as_str()).is_ok()));
            assert!(new.owner.is_none() && new.members.is_empty());
        }
        Body::DismissGroup(id) | Body::JoinGroup(id) | Body::FollowGroup(id) | Body::QuitGroup(id) | Body::OnlineCount(id) => group(id),
        Body::AddGroupMember(id, users) | Body::DeleteGroupMember(id, users) => {
            group(id);
            assert!((1..=USERS_MAX).contains(&users.len()));
            users.iter().for_each(|user| assert!(UserId::parse(user.as_str()).is_ok()));
        }
        Body::Write(id, Write::Change(_, items), operation) => {
            group(id);
            items.iter().for_each(|(name, _)| key(name));
            let different: HashSet<_> = items.iter().map(|(key, _)| key).collect();
            assert!((1..=KEYS_MAX).contains(&items.len()) && different.len() == items.len());
            assert!(operation.as_ref().is_none_or(|operation| OpId::parse(operation.as_str()).is_ok()));
        }
        Body::Write(_, Write::Delete(_), _) => panic!("no socket command deletes"),
        Body::Read(id, keys) => {
            group(id);
            assert!(keys.len() <= KEYS_MAX);
            keys.iter().for_each(key);
        }
        Body::Logout | Body::Ping => {}
    }
}

/// The frame that says this, written anew.
fn written(cmd: Cmd, body: &Body) -> String {
    let mut frame = match body {
        Body::Logout | Body::Ping => json!({}),
        Body::Login { user, sig } => json!({"userID": user.as_str(), "userSig": sig}),
        Body::CreateGroup(id, new) => {
            let option = (new.kind == GroupType::Public).then(|| new.join_option.name());
            json!({"groupID": id.as_ref().map(GroupId::as_str), "type": new.kind.name(), "name": new.name.as_str(), "joinOption": option})
        }
        Body::DismissGroup(id) | Body::JoinGroup(id) | Body::QuitGroup(id) | Body::OnlineCount(id) => json!({"groupID": id.as_str()}),
        Body::FollowGroup(id) => json!({"groupID": id.as_str(), "asked": false}),
        Body::AddGroupMember(id, users) | Body::DeleteGroupMember(id, users) => {
            json!({"groupID": id.as_str(), "userIDList": users.iter().map(UserId::as_str).collect::<Vec<_>>()})
        }
        Body::Write(id, Write::Change(Mode::Set, items), operation) => {
            // Not through a `Value`, whose keys would be sorted.
            let counters: Vec<_> = items.iter().map(|(key, value)| format!("{}:\"{value}\"", json!(key.as_str()))).collect();
            return format!(
                "{{\"cmd\":\"{}\",\"groupID\":{},\"opID\":{},\"counters\":{{{}}}}}",
                cmd.name(),
                json!(id.as_str()),
                json!(operation.as_ref().map(OpId::as_str)),
                counters.join(",")
            );
        }
        Body::Write(id, Write::Change(_, items), operation) => {
            let operation = operation.as_ref().map(OpId::as_str);
            json!({"groupID": id.as_str(), "key": items[0].0.as_str(), "value": items[0].1, "opID": operation})
        }
        Body::Write(..) => json!({}),
        Body::Read(id, keys) => json!({"groupID": id.as_str(), "keyList": keys.iter().map(CounterKey::as_str).collect::<Vec<_>>()}),
    };
    frame["cmd"] = cmd.name().into();
    frame.to_string()
}
