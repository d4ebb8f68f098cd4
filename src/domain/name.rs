//! Names that have passed their check: whoever holds one need not look at it again.
//!
//! All are shared text: a clone costs one reference count.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is wrong with a text that wanted to be a name. The message names the rule, not the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "Box<str>")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as a name, or says which rule it breaks.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> Result<(), BadName> = $check;
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<Box<str>> for $name {
            type Error = BadName;
            fn try_from(text: Box<str>) -> Result<Self, BadName> {
                Self::parse(&text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name!(
    /// A group's id: 1 to 48 bytes of printable ASCII (Tencent Cloud Chat, "Group system").
    GroupId,
    |t| match t.len() {
        1..=48 if is_printable(t) => Ok(()),
        _ => Err(BadName("groupID must be 1 to 48 printable ASCII characters")),
    }
);

name!(
    /// A user's id: 1 to 32 bytes of printable ASCII, no space at either end.
    UserId,
    |t| match t.len() {
        1..=32 if is_printable(t) && !t.starts_with(' ') && !t.ends_with(' ') => Ok(()),
        _ => Err(BadName("userID must be 1 to 32 printable ASCII characters with no space at either end")),
    }
);

name!(
    /// A counter's key: 1 to 128 bytes of UTF-8 without control characters.
    CounterKey,
    |t| match t.len() {
        1..=128 if !t.contains(char::is_control) => Ok(()),
        _ => Err(BadName("key must be 1 to 128 bytes of UTF-8 without control characters")),
    }
);

name!(
    /// The name that a caller gives a write, so that sending it again is safe: 1 to 64 bytes of printable ASCII.
    OpId,
    |t| match t.len() {
        1..=64 if is_printable(t) => Ok(()),
        _ => Err(BadName("opID must be 1 to 64 printable ASCII characters")),
    }
);

name!(
    /// A group's display name: 1 to 100 bytes of UTF-8 without control characters.
    GroupName,
    |t| match t.len() {
        1..=100 if !t.contains(char::is_control) => Ok(()),
        _ => Err(BadName("name must be 1 to 100 bytes of UTF-8 without control characters")),
    }
);

/// Ids that begin like this are the server's own.
pub const SERVER_MADE: &str = "@TGS#";

impl GroupId {
    /// An id that a caller chose: it must not look like one of the server's own.
    pub fn custom(text: &str) -> Result<Self, BadName> {
        if text.starts_with(SERVER_MADE) {
            return Err(BadName("groupID must not begin with @TGS#: such ids are made by the server"));
        }
        Self::parse(text)
    }

    /// An id made by the server from 64 random bits.
    pub fn server_made(random: u64) -> Self {
        Self(format!("{SERVER_MADE}{random:016X}").into())
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_of_bytes_and_both_ends_are_in() {
        assert!(GroupId::parse(&"g".repeat(48)).is_ok());
        assert!(GroupId::parse(&"g".repeat(49)).is_err());
        assert!(UserId::parse(&"u".repeat(32)).is_ok());
        assert!(UserId::parse(&"u".repeat(33)).is_err());
        assert!(CounterKey::parse(&"é".repeat(64)).is_ok());
        assert!(CounterKey::parse(&"é".repeat(65)).is_err());
        assert!(OpId::parse(&"o".repeat(64)).is_ok());
        assert!(OpId::parse(&"o".repeat(65)).is_err());
        for empty in [GroupId::parse("").is_err(), UserId::parse("").is_err(), CounterKey::parse("").is_err(), OpId::parse("").is_err()] {
            assert!(empty);
        }
    }

    #[test]
    fn characters_outside_the_rule_are_refused() {
        assert!(UserId::parse("user with space~!").is_ok());
        assert!(UserId::parse(" a").is_err());
        assert!(UserId::parse("a ").is_err());
        assert!(UserId::parse("a\nb").is_err());
        assert!(UserId::parse("用户").is_err());
        assert!(GroupId::parse(" x ").is_ok());
        assert!(GroupId::parse("a\u{7f}").is_err());
        assert!(CounterKey::parse("点赞 👍").is_ok());
        assert!(CounterKey::parse("a\tb").is_err());
    }

    #[test]
    fn only_the_server_makes_ids_with_its_prefix() {
        assert!(GroupId::custom("@TGS#1").is_err());
        assert!(GroupId::custom("live").is_ok());
        assert!(GroupId::parse(GroupId::server_made(7).as_str()).is_ok());
    }
}
