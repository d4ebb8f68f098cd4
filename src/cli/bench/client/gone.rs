//! Why a connection ended or never came about, in words for people, and whether to try again.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// The longest time away between two tries.
const PAUSE_MILLIS_MAX: u64 = 5000;

/// Why a connection is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// No connection: refused, unreachable, no port or descriptor left.
    Unreachable(String),
    /// The answer to the upgrade was another than 101: the HTTP status, and the beginning of what came.
    NotUpgraded(u16, String),
    /// What answered is no WebSocket server.
    NoWebSocket(&'static str),
    /// `login` or `joinGroup` was refused: the command, the code, the server's words.
    Refused(&'static str, i64, String),
    /// The server closed it: the code, and the reason.
    Closed(u16, String),
    /// The stream broke or ended without a close frame.
    Broken(String),
    /// It took too long to come in.
    TooSlow,
}

impl Gone {
    /// The server's refusal of a command.
    pub fn refused(command: &'static str, answer: &Value) -> Self {
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        Self::Refused(command, answer["code"].as_i64().unwrap_or(-1), message)
    }

    /// The close frame's payload, read.
    pub fn closed(payload: &[u8]) -> Self {
        match payload {
            [a, b, reason @ ..] => Self::Closed(u16::from_be_bytes([*a, *b]), String::from_utf8_lossy(reason).into_owned()),
            _ => Self::Closed(1005, String::new()),
        }
    }

    /// Whether coming back may help.
    pub fn may_return(&self) -> bool {
        match self {
            Self::NotUpgraded(status, _) => matches!(status, 408 | 429 | 500..),
            Self::NoWebSocket(_) => false,
            Self::Refused(_, code, _) => matches!(code, 2996 | 10002 | 10006 | 70050),
            Self::Closed(code, _) => !matches!(code, 1002 | 1003 | 1007 | 1009 | 4500..=4999),
            Self::Unreachable(_) | Self::Broken(_) | Self::TooSlow => true,
        }
    }

    /// How long to stay away before the `attempt`th try, counted from 0: twice as long each time, with a random part so that
    /// not all come in the same instant.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        if let Self::Closed(1012, reason) = self
            && let Some(pause) = told_pause(reason)
        {
            return pause;
        }
        let least = if matches!(self, Self::Closed(4010, _)) { 2000 } else { 50 };
        let millis: u64 = (least << attempt.min(6)).min(PAUSE_MILLIS_MAX);
        Duration::from_millis(millis / 2 + fastrand::u64(..=millis / 2))
    }

    /// The same with the server's own words, where it closed the connection.
    pub fn reason(&self) -> String {
        match self {
            Self::Closed(_, words) if !words.is_empty() => format!("{} ({words})", self.kind()),
            _ => self.kind(),
        }
    }

    /// What sort of end this is, in few words: for counting.
    pub fn kind(&self) -> String {
        match self {
            Self::Unreachable(why) => why.clone(),
            Self::NotUpgraded(status, _) => format!("HTTP {status}"),
            Self::NoWebSocket(why) => (*why).to_owned(),
            Self::Refused(command, code, _) => format!("{command} answered {code}"),
            Self::Closed(code, _) => format!("closed with {code}"),
            Self::Broken(why) => why.clone(),
            Self::TooSlow => "too slow".to_owned(),
        }
    }
}

/// When to come back, by a server that stops: `{"after":ms,"spread":ms}`.
fn told_pause(reason: &str) -> Option<Duration> {
    let told: Value = serde_json::from_str(reason).ok()?;
    let (after, spread) = (told["after"].as_u64()?, told["spread"].as_u64()?);
    Some(Duration::from_millis(after.saturating_add(fastrand::u64(..=spread)).min(PAUSE_MILLIS_MAX)))
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the address cannot be reached: {why}"),
            Self::NotUpgraded(403, _) => write!(f, "the server answered 403: this origin may not connect (security.allowed_origins)"),
            Self::NotUpgraded(503, words) => {
                write!(f, "the server answered 503: it has too many connections (limits.connections_max and the like), or stops; {words}")
            }
            Self::NotUpgraded(404, _) => write!(f, "the server answered 404: there is no socket at this path; Tallycast's is /ws"),
            Self::NotUpgraded(status, words) => write!(f, "the server answered HTTP {status} in place of an upgrade: {words}"),
            Self::NoWebSocket(why) => write!(f, "what answers there is no WebSocket server: {why}"),
            Self::Refused("login", 70009, words) => {
                write!(f, "login was refused with 70009 ({words}): the secret is not one of this server's app.secret_keys")
            }
            Self::Refused("login", 70014, words) => {
                write!(f, "login was refused with 70014 ({words}): --sdk-app-id is not this server's app.sdk_app_id")
            }
            Self::Refused(command, code, words) => write!(f, "{command} was refused with {code}: {words}"),
            Self::Closed(code, words) => write!(f, "the server closed the connection with {code} {words}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::TooSlow => write!(f, "the server did not answer in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_say_who_comes_back() {
        for (code, comes) in [
            (1000, true),
            (1009, false),
            (1012, true),
            (1013, true),
            (4000, true),
            (4010, true),
            (4499, true),
            (4500, false),
            (4504, false),
        ] {
            assert_eq!(Gone::Closed(code, String::new()).may_return(), comes, "{code}");
        }
        assert!(Gone::NotUpgraded(503, String::new()).may_return() && !Gone::NotUpgraded(403, String::new()).may_return());
        assert!(Gone::Refused("login", 10006, String::new()).may_return() && !Gone::Refused("login", 70009, String::new()).may_return());
    }

    #[test]
    fn pauses_grow_to_a_limit_and_a_stopping_server_is_heeded() {
        let millis = |gone: &Gone, attempt| gone.pause(attempt).as_millis();
        for attempt in [0, 3, 40, u32::MAX] {
            let least = 50_u128 << attempt.min(6);
            assert!((least.min(5000) / 2..=least.min(5000)).contains(&millis(&Gone::TooSlow, attempt)), "{attempt}");
        }
        assert!(millis(&Gone::Closed(4010, String::new()), 0) >= 1000);
        let told = |reason: &str| millis(&Gone::Closed(1012, reason.to_owned()), 0);
        assert!((300..=400).contains(&told(r#"{"after":300,"spread":100}"#)) && told(r#"{"after":99999999,"spread":0}"#) == 5000);
        assert!(told("soon") <= 50 && told(r#"{"after":-1,"spread":0}"#) <= 50);
    }
}
