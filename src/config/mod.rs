//! The configuration: as typed (`sources`) and as meant (`meant`), with one table of settings (`settings`) behind both.
//!
//! Flags beat environment variables, those beat the TOML file, that beats the defaults. All that is wrong is named in
//! one go, and a secret is never shown.

mod fault;
mod meaning;
mod meant;
mod print;
mod settings;
mod sources;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use fault::{Fault, Faults, Origin};
pub use print::template;
pub use sources::Sources;

use crate::auth::Keyring;
use crate::domain::name::UserId;

/// The configuration, checked. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the socket, REST and the page are served.
    pub listen: Listen,
    /// Where `/metrics` and `/readyz` move to.
    pub internal_listen: Option<Listen>,
    /// Threads that serve connections; 0: one for each core.
    pub shards: usize,
    /// What is logged, and how.
    pub log: Log,
    /// The app whose users come here.
    pub app: App,
    /// Where counters are kept.
    pub store: Store,
    /// What one hot room may cost.
    pub push: Push,
    /// The calls of back ends.
    pub rest: Rest,
    /// Every bound that can be set.
    pub limits: Limits,
    /// Who may connect.
    pub security: Security,
    /// How it ends.
    pub drain: Drain,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// An address or a name; empty: all addresses, of both families where the system has them.
    pub host: String,
    /// The port. 0: one that is free.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long everything is served still after `/readyz` has begun to say that the end is near.
    pub wait: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or directives such as `info,tallycast::store=debug`; known to be well formed.
    pub level: String,
    /// The dress of a line.
    pub format: LogFormat,
}

/// The dress of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The app whose users come here.
#[derive(Debug, Clone)]
pub struct App {
    /// The vendor's `sdkappid`, never 0.
    pub sdk_app_id: u64,
    /// The same id with the secrets.
    pub keyring: Keyring,
    /// Users with an owner's rights everywhere, who may call REST.
    pub admins: Vec<UserId>,
}

/// Where counters are kept: the embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its folder, never empty.
    pub path: PathBuf,
    /// What an answer promises.
    pub durability: Durability,
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
}

/// What the answer to a write promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk and survives a power loss.
    Sync,
    /// It survives a crash of the process; a power loss may take the last 100 ms.
    Interval,
}

impl Durability {
    /// The word for it in a configuration.
    pub fn name(self) -> &'static str {
        meaning::DURABILITIES.iter().find(|(_, meant)| *meant == self).map_or("", |(name, _)| name)
    }
}

/// What one hot room may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The least time between two pushes of one counter, at most a minute. Zero: every write of a calm room is pushed.
    pub min_interval: PerType<Duration>,
    /// Pushes in a second, all members of this node together. 0: no limit.
    pub max_frames_per_second: u64,
}

/// The calls of back ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Calls of each API in any second. 0: no limit.
    pub calls_per_second_max: u32,
    /// The file of changes by admins.
    pub audit_path: PathBuf,
}

/// One value for each type of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerType<T> {
    /// For `Private` (Work).
    pub private: T,
    /// For `Public`.
    pub public: T,
    /// For `ChatRoom` (Meeting).
    pub chat_room: T,
    /// For `AVChatRoom`.
    pub av_chat_room: T,
}

/// Every bound that can be set. 0 means no limit, and no deadline, unless a field says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Writes of counters by one user in any window.
    pub counter_writes_max: u32,
    /// Reads of counters by one user in any window.
    pub counter_reads_max: u32,
    /// The window of both and of the next. 0: none is limited.
    pub counter_window: Duration,
    /// Memberships changed by one user in any window.
    pub membership_changes_max: u32,
    /// Connections in all. 0: as many as the descriptors of the process allow.
    pub connections_max: usize,
    /// Connections of one user.
    pub connections_per_user_max: usize,
    /// Connections from one address, loopback exempt.
    pub connections_per_address_max: usize,
    /// Frames a second from one connection, over 3 s.
    pub frames_per_second_max: u32,
    /// The longest message after login, in bytes. 0 or at least 512.
    pub frame_bytes_max: usize,
    /// The longest message before login, in bytes. 0 or at least 512.
    pub frame_bytes_max_before_login: usize,
    /// Malformed frames a minute on one connection.
    pub faults_per_minute_max: u32,
    /// Failed logins a minute from one address, loopback exempt.
    pub bad_logins_per_minute_max: u32,
    /// Time to log in after the handshake or a logout.
    pub login_deadline: Duration,
    /// Time to send a whole request head.
    pub handshake_deadline: Duration,
    /// The longest request head, in bytes. 0 or at least 512.
    pub head_bytes_max: usize,
    /// Header lines in a request head.
    pub headers_max: usize,
    /// How often the server pings. 0: no pings.
    pub ping_every: Duration,
    /// Time for an answer to a ping. 0: silence never closes a connection.
    pub pong_deadline: Duration,
    /// How long a client may stop reading while something waits for it.
    pub stall_deadline: Duration,
    /// How long a plain HTTP connection may be idle between two requests.
    pub keep_alive: Duration,
    /// How long answered operation ids are kept, at least. Never below a second, never without end.
    pub replay_window: Duration,
    /// Answered operation ids kept in all.
    pub replay_answers_max: usize,
    /// Groups on one connection.
    pub groups_per_connection_max: usize,
    /// Groups owned by one user.
    pub groups_owned_max: usize,
    /// Members kept for one group.
    pub members_per_group_max: usize,
    /// Counters in one group.
    pub counters_per_group_max: usize,
    /// Users named in one call.
    pub user_list_max: usize,
    /// When a group that nobody uses leaves the memory. 0: never.
    pub group_idle_after: Duration,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Which pages of the web may open a socket.
    pub allowed_origins: AllowedOrigins,
}

/// Which pages of the web may open a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Those of the host that the request itself names.
    SameHost,
    /// All.
    Any,
    /// These, in small letters and as browsers write them: `scheme://host` and the port where it is not the scheme's own.
    List(Vec<String>),
}

#[cfg(test)]
mod tests;
