//! The one table of settings: name, kind, default and what it means. Everything that knows a setting's name, the
//! template and the printed configuration included, gets it from here.

/// How a setting's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text: `"…"`.
    Text,
    /// A whole number of 0 or more.
    Number,
    /// A duration: `"25s"`, `"2m"`, `"250ms"`; `0` too.
    Duration,
    /// A list of texts; in the environment one text with commas.
    List,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its place in the file, with dots.
    pub path: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// The default as plain text; empty stands for "not set", and for the empty list.
    pub default: &'static str,
    /// Whether its value may be shown to anybody.
    pub secret: bool,
    /// What it means, in whole sentences.
    pub doc: &'static str,
}

impl Setting {
    const fn new(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { path, kind, default, secret: false, doc }
    }

    const fn secret(path: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { path, kind, default: "", secret: true, doc }
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{VARIABLE}{}", self.path.replace('.', "__").to_uppercase())
    }

    /// Its section in the file (empty at the top), and its name there.
    pub fn place(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}

/// What every environment variable of ours begins with.
pub const VARIABLE: &str = "TALLYCAST_";

/// The setting with this path.
pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.path == path)
}

/// Whether some setting is in this section, or in one below it.
pub fn is_section(path: &str) -> bool {
    SETTINGS.iter().any(|s| s.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

use Kind::{Duration, List, Number, Text};

/// Every setting, in the order of the file.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "listen",
        Text,
        "127.0.0.1:8080",
        "Where the socket, REST and the page are served: an address or a name, and a port. \":8080\": on all addresses.",
    ),
    Setting::new("internal_listen", Text, "", "Where /metrics and /readyz move to. Empty: they stay on `listen`."),
    Setting::new("shards", Number, "0", "How many threads serve connections. 0: one for each core."),
    Setting::new(
        "log.level",
        Text,
        "info",
        "What is logged: off, error, warn, info or debug, also for a part (\"info,tallycast::store=debug\").",
    ),
    Setting::new("log.format", Text, "auto", "\"pretty\", \"json\", or \"auto\": pretty on a terminal, JSON lines elsewhere."),
    Setting::new("app.sdk_app_id", Number, "1400000000", "The app's id, as clients name it in sdkappid."),
    Setting::secret(
        "app.secret_keys",
        List,
        "The secrets of UserSigs, their characters as they stand, at least 16 (openssl rand -hex 32 makes one). \
         The first signs, all verify. There is no default.",
    ),
    Setting::new("app.admins", List, "administrator", "Users who may call REST and have an owner's rights in every group."),
    Setting::new("store.kind", Text, "embedded", "Where counters are kept."),
    Setting::new("store.path", Text, "tallycast-data", "The folder of the embedded store."),
    Setting::new(
        "store.durability",
        Text,
        "sync",
        "\"sync\": an answered write survives a power loss. \"interval\": one of the last 100 ms survives only a crash.",
    ),
    Setting::new("store.cache_bytes", Number, "67108864", "Memory for pages of the store, in bytes."),
    Setting::secret("store.redis_url", Text, "Where Redis is, once `kind` may be \"redis\". Empty until then."),
    Setting::new(
        "push.min_interval",
        Duration,
        "0ms",
        "The least time between two pushes of one counter; what comes between is skipped. At most 1m.",
    ),
    Setting::new(
        "push.max_frames_per_second",
        Number,
        "0",
        "Pushes that this node sends in a second to all members together; rooms with news share it. 0: no limit.",
    ),
    Setting::new("push.min_interval_of.Private", Duration, "", "In place of `push.min_interval` for groups of one type."),
    Setting::new("push.min_interval_of.Public", Duration, "", ""),
    Setting::new("push.min_interval_of.ChatRoom", Duration, "", ""),
    Setting::new("push.min_interval_of.AVChatRoom", Duration, "", ""),
    Setting::new("rest.calls_per_second_max", Number, "200", "Calls of each REST API in any second. 0: no limit."),
    Setting::new(
        "rest.audit_path",
        Text,
        "",
        "Where changes by admins are written down, a line each; SIGHUP opens it anew. Empty: audit.log in the store's folder.",
    ),
    Setting::new(
        "limits.counter_writes_max",
        Number,
        "20",
        "Counter writes (set, increase, decrease) by one user, in any `counter_window`.",
    ),
    Setting::new("limits.counter_reads_max", Number, "20", "Counter reads by one user, in any `counter_window`."),
    Setting::new("limits.counter_window", Duration, "5s", "The window of both, and of the next."),
    Setting::new(
        "limits.membership_changes_max",
        Number,
        "200",
        "Memberships changed by one user: joins and quits that are kept, users added or removed, groups made or dissolved.",
    ),
    Setting::new(
        "limits.connections_max",
        Number,
        "0",
        "Connections in all, whatever they speak. 0: as many as the descriptors of the process allow.",
    ),
    Setting::new("limits.connections_per_user_max", Number, "16", "Connections of one user; beyond it the oldest is closed."),
    Setting::new("limits.connections_per_address_max", Number, "256", "Connections from one address (of IPv6, one /64), loopback exempt."),
    Setting::new("limits.frames_per_second_max", Number, "100", "Frames a second from one connection, pings too, over 3 s."),
    Setting::new("limits.frame_bytes_max", Number, "32768", "The longest message of a logged-in client, in bytes."),
    Setting::new("limits.frame_bytes_max_before_login", Number, "8192", "The same before login."),
    Setting::new("limits.faults_per_minute_max", Number, "20", "Malformed frames a minute on one connection before it is closed."),
    Setting::new("limits.bad_logins_per_minute_max", Number, "1000", "Failed logins a minute from one address, loopback exempt."),
    Setting::new("limits.login_deadline", Duration, "10s", "Time to log in after the handshake or a logout."),
    Setting::new("limits.handshake_deadline", Duration, "5s", "Time to send a whole request head."),
    Setting::new("limits.head_bytes_max", Number, "16384", "The longest request head, in bytes."),
    Setting::new("limits.headers_max", Number, "64", "Header lines in a request head."),
    Setting::new("limits.ping_every", Duration, "25s", "How often the server pings. 0: no pings."),
    Setting::new("limits.pong_deadline", Duration, "10s", "Time for the pong, or anything else, to come after a ping."),
    Setting::new(
        "limits.stall_deadline",
        Duration,
        "10s",
        "How long a client may stop reading while something waits for it, on sockets and in HTTP.",
    ),
    Setting::new("limits.keep_alive", Duration, "75s", "How long a plain HTTP connection may be idle between two requests."),
    Setting::new("limits.replay_window", Duration, "2m", "How long answered operation ids are kept, at least. Not below 1s."),
    Setting::new("limits.replay_answers_max", Number, "5000000", "Answered operation ids kept in all."),
    Setting::new("limits.groups_per_connection_max", Number, "128", "Groups on one connection."),
    Setting::new("limits.groups_owned_max", Number, "100", "Groups owned by one user."),
    Setting::new("limits.members_per_group_max", Number, "6000", "Members kept for one group; AVChatRoom has none to keep."),
    Setting::new("limits.counters_per_group_max", Number, "20", "Counters in one group."),
    Setting::new("limits.user_list_max", Number, "100", "Users named in one call."),
    Setting::new("limits.group_idle_after", Duration, "5m", "When a group that nobody uses leaves the memory. 0: never."),
    Setting::new(
        "security.allowed_origins",
        List,
        "",
        "Web origins that may open a socket, such as \"https://example.com\". Empty: the same host only. \"*\": any.",
    ),
    Setting::new(
        "drain.wait",
        Duration,
        "0s",
        "How long everything is served still after SIGTERM, while /readyz says 503, so that a balancer can see it. A second signal ends \
         the wait, and the program.",
    ),
];
