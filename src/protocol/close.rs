//! Why the server ends a connection. One table: 4000 to 4499 mean come back (after a pause for 4010), 4500 to 4999 do not
//! come back by yourself; the others are RFC 6455's.

use std::borrow::Cow;

/// A close code with the words that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The number on the wire.
    pub code: u16,
    /// Plain words, or the JSON hint of a draining server.
    pub reason: Cow<'static, str>,
}

impl Close {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// The peer asked for it.
    pub const NORMAL: Close = Close::new(1000, "");
    /// The peer broke the WebSocket protocol.
    pub const PROTOCOL: Close = Close::new(1002, "protocol error");
    /// Only text frames are spoken here.
    pub const BINARY: Close = Close::new(1003, "send text frames: one JSON object each");
    /// The text was not UTF-8.
    pub const NOT_UTF8: Close = Close::new(1007, "text frames must be UTF-8");
    /// A frame, a message or a row of fragments above the limit.
    pub const TOO_BIG: Close = Close::new(1009, "the message is too big");
    /// No room on this node at the moment.
    pub const OVERLOAD: Close = Close::new(1013, "this server is overloaded: try again later");
    /// The peer does not read.
    pub const STALLED: Close = Close::new(4000, "you do not read what is sent to you");
    /// Nothing was heard in time.
    pub const SILENT: Close = Close::new(4001, "nothing was heard from you in time");
    /// No login in time.
    pub const NO_LOGIN: Close = Close::new(4004, "log in within the login deadline");
    /// Too many faults in a minute.
    pub const TOO_MANY_FAULTS: Close = Close::new(4010, "too many faulty frames: pause before you come back");
    /// Too many frames a second.
    pub const TOO_MANY_FRAMES: Close = Close::new(4010, "too many frames: pause before you come back");
    /// Too many failed logins from this address.
    pub const TOO_MANY_BAD_LOGINS: Close = Close::new(4010, "too many failed logins from your address: pause before you come back");
    /// The UserSig was not accepted.
    pub const BAD_LOGIN: Close = Close::new(4500, "the UserSig was not accepted");
    /// The UserSig ran out.
    pub const SIG_EXPIRED: Close = Close::new(4501, "the UserSig has expired");
    /// The same user opened more connections than he may have.
    pub const REPLACED: Close = Close::new(4503, "this user opened more connections than allowed: the oldest was closed");
    /// An app admin said so.
    pub const KICKED: Close = Close::new(4504, "kicked by an administrator");

    /// The server is stopping: come back after `after` milliseconds, spread over `spread` more.
    pub fn stopping(after: u64, spread: u64) -> Self {
        Self { code: 1012, reason: Cow::Owned(format!("{{\"after\":{after},\"spread\":{spread}}}")) }
    }
}
