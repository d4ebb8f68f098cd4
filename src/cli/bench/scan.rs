//! Reads the two texts that come by the thousand, a push of the test's own counters and the answer to a write, without a JSON
//! parser. What is spelt otherwise is left to one.

use serde_json::Value;

/// The counters of a test are called this and the number of the part that writes to it.
pub(super) const KEY: &str = "bench-";

/// A push of a counter of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Push {
    /// The part whose counter it is, counted from 1.
    pub part: usize,
    pub value: i64,
    pub version: u64,
}

/// What the pushes of one room begin with, up to the number of the part.
pub(super) fn push_prefix(room: &str) -> Box<[u8]> {
    let room = Value::from(room);
    format!(r#"{{"event":"GROUP_COUNTER_UPDATED","data":{{"groupID":{room},"key":"{KEY}"#).into_bytes().into()
}

/// The push, where it is one of this room and of a counter of the test.
pub(super) fn push(text: &[u8], prefix: &[u8]) -> Option<Push> {
    let (part, text) = number(text.strip_prefix(prefix)?)?;
    let (value, text) = number(text.strip_prefix(b"\",\"value\":")?)?;
    let (version, text) = number(text.strip_prefix(b",\"version\":")?)?;
    let (part, version) = (usize::try_from(part).ok()?, u64::try_from(version).ok()?);
    (text == b"}}").then_some(Push { part, value, version })
}

/// A write that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Applied {
    /// The request's id.
    pub id: u64,
    /// The counter after it.
    pub value: i64,
    /// The group's version that it made.
    pub version: u64,
}

/// What answers to writes in one room go on with behind their id, up to the number of the part.
pub(super) fn answer_prefix(room: &str) -> Box<[u8]> {
    let room = Value::from(room);
    format!(r#","code":0,"data":{{"groupID":{room},"key":"{KEY}"#).into_bytes().into()
}

/// The answer, where it is one to a write that was applied.
pub(super) fn applied(text: &[u8], prefix: &[u8]) -> Option<Applied> {
    let (id, text) = number(text.strip_prefix(b"{\"id\":")?)?;
    let (_, text) = number(text.strip_prefix(prefix)?)?;
    let (value, text) = number(text.strip_prefix(b"\",\"value\":")?)?;
    let (version, text) = number(text.strip_prefix(b",\"version\":")?)?;
    let is_whole = matches!(text, b"}}" | b",\"replayed\":true}}");
    is_whole.then_some(Applied { id: u64::try_from(id).ok()?, value, version: u64::try_from(version).ok()? })
}

/// The same two texts in any other spelling of JSON.
pub(super) fn push_of(heard: &Value, room: &str) -> Option<Push> {
    let data = &heard["data"];
    let is_one = heard["event"] == "GROUP_COUNTER_UPDATED" && data["groupID"] == room;
    let part = data["key"].as_str()?.strip_prefix(KEY)?.parse().ok()?;
    (is_one && data["deleted"] != true).then_some(Push { part, value: data["value"].as_i64()?, version: data["version"].as_u64()? })
}

/// See [`push_of`].
pub(super) fn applied_of(heard: &Value) -> Option<Applied> {
    let data = &heard["data"];
    let is_one = heard["code"] == 0;
    is_one.then_some(Applied { id: heard["id"].as_u64()?, value: data["value"].as_i64()?, version: data["version"].as_u64()? })
}

fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let end = text.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'-')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::{CounterKey, GroupId};
    use crate::protocol::push::counter_updated;

    #[test]
    fn the_gateways_own_pushes_are_read() {
        for name in ["live", "with \" and \\"] {
            let (room, key) = (GroupId::parse(name).unwrap(), CounterKey::parse("bench-12").unwrap());
            let frame = counter_updated(&room, &key, Some(i64::MIN), 42);
            let at = frame.iter().position(|byte| *byte == b'{').unwrap();
            let expected = Push { part: 12, value: i64::MIN, version: 42 };
            assert_eq!(push(&frame[at..], &push_prefix(name)), Some(expected));
            assert_eq!(push(&frame[at..], &push_prefix("another")), None);
            let deleted = counter_updated(&room, &key, None, 42);
            assert_eq!(push(&deleted[at..], &push_prefix(name)), None);
        }
    }

    #[test]
    fn answers_to_writes_are_read_and_refusals_are_not() {
        let expected = Applied { id: 7, value: -10, version: 42 };
        for replayed in ["", r#","replayed":true"#] {
            let room = r#"a,"version":3"#;
            let text = format!(
                r#"{{"id":7,"code":0,"data":{{"groupID":{},"key":"bench-1","value":-10,"version":42{replayed}}}}}"#,
                Value::from(room)
            );
            assert_eq!(applied(text.as_bytes(), &answer_prefix(room)), Some(expected), "{text}");
            assert_eq!(applied(text.as_bytes(), &answer_prefix("another")), None);
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(applied_of(&read), Some(expected));
        }
        let refusal = r#"{"id":7,"code":2996,"message":"x","retryAfter":5}"#;
        assert_eq!(applied(refusal.as_bytes(), &answer_prefix("a")), None);
        assert_eq!(applied_of(&serde_json::from_str(refusal).unwrap()), None);
    }

    #[test]
    fn what_another_server_spells_otherwise_means_the_same() {
        let push = r#"{ "data": {"version": 3, "value": 2, "key": "bench-1", "groupID": "a"}, "event": "GROUP_COUNTER_UPDATED" }"#;
        let heard: Value = serde_json::from_str(push).unwrap();
        assert_eq!(push_of(&heard, "a"), Some(Push { part: 1, value: 2, version: 3 }));
        assert_eq!(push_of(&heard, "b"), None);
        let answer: Value = serde_json::from_str(r#"{"code": 0, "data": {"version": 3, "value": 2}, "id": 9}"#).unwrap();
        assert_eq!((push_of(&answer, "a"), applied_of(&answer)), (None, Some(Applied { id: 9, value: 2, version: 3 })));
    }
}
