//! Reads the two texts that come by the thousand, a push of the test's own counters and the answer to a write, without a JSON
//! parser. What has another shape is left to one.

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
    let room = serde_json::Value::from(room);
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

/// The id and the version, where it is the answer to a write that was applied.
pub(super) fn applied(text: &[u8]) -> Option<(u64, u64)> {
    let (id, text) = number(text.strip_prefix(b"{\"id\":")?)?;
    let text = text.strip_prefix(b",\"code\":0,\"data\":{")?;
    // The names before it come with their quotes escaped, so the last of this look is the field.
    let field = b",\"version\":";
    let at = text.windows(field.len()).rposition(|window| window == field)?;
    let (version, _) = number(&text[at + field.len()..])?;
    Some((u64::try_from(id).ok()?, u64::try_from(version).ok()?))
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
        let answer = br#"{"id":7,"code":0,"data":{"groupID":"a,\"version\":3","key":"k","value":10,"version":42,"replayed":true}}"#;
        assert_eq!(applied(answer), Some((7, 42)));
        assert_eq!(applied(br#"{"id":7,"code":2996,"message":"x","retryAfter":5}"#), None);
    }
}
