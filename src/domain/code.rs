//! Every number that a caller can get as an answer, once, with the words that go with it.
//!
//! Source of the numbers and meanings: Tencent Cloud Chat, "Error Codes" and "Updating Group Counters"; 2996 is the
//! Web SDK's, from its group counter guide.

/// An answer's `code` (socket) or `ErrorCode` (REST).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// More than the allowed counter calls in the window.
    TooFrequent = 2996,
    /// A command before login.
    NotLoggedIn = 6014,
    /// The disk or the engine failed under the call; a write's fate is open.
    Internal = 10002,
    /// No such command.
    UnknownCommand = 10003,
    /// A field is missing, of a wrong type, or breaks a rule of counters.
    InvalidParameter = 10004,
    /// More accounts in one call than allowed.
    TooManyAccounts = 10005,
    /// This node has no room for the call at the moment; nothing of it was applied.
    Overloaded = 10006,
    /// Not allowed: the group's type, the caller's role, or not a member.
    NotPermitted = 10007,
    /// The owner may not leave.
    OwnerCannotQuit = 10009,
    /// The group does not exist or was dissolved.
    NoSuchGroup = 10010,
    /// The group cannot take more members.
    GroupFull = 10014,
    /// The group's id has a wrong form.
    BadGroupId = 10015,
    /// The answer would be larger than 1 MiB.
    AnswerTooLarge = 10018,
    /// The account does not exist.
    NoSuchAccount = 10019,
    /// The id is taken by somebody else's group.
    GroupIdTaken = 10021,
    /// The id is taken by a group of the caller's own.
    GroupIdTakenByOwn = 10025,
    /// The user owns as many groups as he may.
    TooManyGroupsOwned = 10036,
    /// The connection is in as many groups as it may be.
    TooManyGroups = 10037,
    /// The write would bring the group above its number of keys.
    TooManyKeys = 10063,
    /// The HTTP request's method or address has a wrong form.
    BadRequest = 60002,
    /// Not JSON, not an object, or no `cmd`.
    BadJson = 60003,
    /// More calls of one API in a second than allowed.
    TooManyCalls = 60007,
    /// No such service or command.
    NoSuchApi = 60009,
    /// Only app admins may call REST.
    NotAdmin = 60010,
    /// `sdkappid` is missing or no number.
    NoAppId = 60012,
    /// Another parameter of the address is missing or wrong.
    BadUrlParameter = 60025,
    /// The UserSig has expired.
    SigExpired = 70001,
    /// The UserSig is empty.
    SigEmpty = 70002,
    /// The UserSig cannot be decoded, or names a user in a wrong form.
    SigUndecodable = 70003,
    /// The UserSig was not made with a secret of this app.
    SigMismatch = 70009,
    /// The UserSig is another user's.
    SigOtherUser = 70013,
    /// The UserSig is another app's.
    SigOtherApp = 70014,
    /// The app's id is not this server's.
    NoSuchApp = 70020,
    /// Too many failed logins from one address.
    TooManyBadLogins = 70050,
    /// The account does not exist (account calls).
    NotImported = 70107,
    /// A parameter of an account call is wrong.
    BadAccountParameter = 70402,
    /// The body is larger than 1 MiB.
    BodyTooLarge = 80002,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Every code, for tables made at start.
    pub const ALL: [Code; 38] = [
        Code::Ok,
        Code::TooFrequent,
        Code::NotLoggedIn,
        Code::Internal,
        Code::UnknownCommand,
        Code::InvalidParameter,
        Code::TooManyAccounts,
        Code::Overloaded,
        Code::NotPermitted,
        Code::OwnerCannotQuit,
        Code::NoSuchGroup,
        Code::GroupFull,
        Code::BadGroupId,
        Code::AnswerTooLarge,
        Code::NoSuchAccount,
        Code::GroupIdTaken,
        Code::GroupIdTakenByOwn,
        Code::TooManyGroupsOwned,
        Code::TooManyGroups,
        Code::TooManyKeys,
        Code::BadRequest,
        Code::BadJson,
        Code::TooManyCalls,
        Code::NoSuchApi,
        Code::NotAdmin,
        Code::NoAppId,
        Code::BadUrlParameter,
        Code::SigExpired,
        Code::SigEmpty,
        Code::SigUndecodable,
        Code::SigMismatch,
        Code::SigOtherUser,
        Code::SigOtherApp,
        Code::NoSuchApp,
        Code::TooManyBadLogins,
        Code::NotImported,
        Code::BadAccountParameter,
        Code::BodyTooLarge,
    ];
}

/// A refusal: the code, what its sender can change, and how long to wait where waiting helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The number.
    pub code: Code,
    /// Plain words that tell the sender what to change.
    pub message: std::borrow::Cow<'static, str>,
    /// Milliseconds after which the same call would pass.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with fixed words.
    pub fn new(code: Code, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same, with the milliseconds after which it would pass.
    pub fn after(mut self, millis: u64) -> Self {
        self.retry_after = Some(millis);
        self
    }
}
