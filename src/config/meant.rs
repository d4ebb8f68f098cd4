//! The configuration as meant: each value read from the sources, its sense checked, every fault gathered.
//! It reads no file and no environment.

use std::time::Duration;

use super::fault::{Fault, Faults, Origin};
use super::meaning::{DURABILITIES, FORMATS, at_most, choice, duration, level, listen, number, origin, secret};
use super::print::default_of;
use super::settings::{Setting, find};
use super::sources::{Sources, Text, Value, quoted};
use super::{AllowedOrigins, App, Config, Drain, Limits, Log, PerType, Push, Rest, Security, Store};
use crate::auth::{Keyring, Secret};
use crate::domain::name::UserId;

/// A login with its UserSig needs about so many bytes.
const FRAME_BYTES_MIN: usize = 512;
const SHARDS_MAX: usize = 1024;
const INTERVAL_MAX: Duration = Duration::from_secs(60);
const REPLAY_WINDOW_MIN: Duration = Duration::from_secs(1);

impl Sources {
    /// The configuration, or everything that is wrong with it.
    pub fn read(&self) -> Result<Config, Faults> {
        let mut reader = Reader { sources: self, faults: self.faults.clone(), asked: Vec::new() };
        match reader.config() {
            Some(config) if reader.faults.is_empty() => Ok(config),
            _ => Err(Faults::new(reader.faults)),
        }
    }
}

impl Default for Limits {
    /// The limits of a configuration that says nothing of them.
    fn default() -> Self {
        Reader { sources: &Sources::new(), faults: Vec::new(), asked: Vec::new() }.limits()
    }
}

pub(super) struct Reader<'a> {
    pub sources: &'a Sources,
    pub faults: Vec<Fault>,
    pub asked: Vec<&'static str>,
}

impl Reader<'_> {
    /// Nothing only when a fault was gathered.
    pub fn config(&mut self) -> Option<Config> {
        let listen = self.value("listen", self::listen);
        let internal_listen = self.value("internal_listen", |t| if t.is_empty() { Ok(None) } else { self::listen(t).map(Some) });
        if internal_listen.as_ref() == Some(&listen) && listen.port != 0 {
            self.fault("internal_listen", "it is the same address as `listen`; leave it empty to serve both there".into());
        }
        let shards = self.value("shards", |t| at_most(number(t)?, SHARDS_MAX, SHARDS_MAX));
        let log = Log { level: self.value("log.level", level), format: self.value("log.format", |t| choice(t, &FORMATS)) };
        let app = self.app();
        let store = self.store();
        let push = self.push();
        let rest = Rest {
            calls_per_second_max: self.value("rest.calls_per_second_max", number),
            audit_path: self.value("rest.audit_path", |t| Ok(if t.is_empty() { store.path.join("audit.log") } else { t.into() })),
        };
        let limits = self.limits();
        let security = Security { allowed_origins: self.origins() };
        let drain = Drain { wait: self.value("drain.wait", duration) };
        Some(Config { listen, internal_listen, shards, log, app: app?, store, push, rest, limits, security, drain })
    }

    fn app(&mut self) -> Option<App> {
        let sdk_app_id = self.value("app.sdk_app_id", |t| match number(t)? {
            0 => Err("it must be the app's id, which is never 0".to_owned()),
            id => Ok(id),
        });
        let secrets = self.list("app.secret_keys", secret);
        let secrets: Vec<Secret> = secrets.into_iter().flatten().collect();
        if secrets.is_empty() && !self.sources.torn && !self.faults.iter().any(|f| f.path == "app.secret_keys") {
            let variable = find("app.secret_keys").map(Setting::variable).unwrap_or_default();
            self.fault("app.secret_keys", format!("no secret is given; name one under [app] in the file, or in {variable}"));
        }
        let admins = self.list("app.admins", |t| UserId::parse(t).map_err(|e| format!("{} is no user: {e}", quoted(t))));
        let keyring = Keyring::new(sdk_app_id, secrets).ok()?;
        Some(App { sdk_app_id, keyring, admins })
    }

    fn store(&mut self) -> Store {
        self.value("store.kind", |t| match t {
            "embedded" => Ok(()),
            "redis" => Err("this version keeps its counters in the embedded store; \"redis\" comes later".to_owned()),
            _ => choice(t, &[("embedded", ())]),
        });
        self.value("store.redis_url", |t| match t {
            "" => Ok(()),
            _ => Err("this version keeps its counters in the embedded store; leave it empty".to_owned()),
        });
        Store {
            path: self.value("store.path", |t| match t.trim() {
                "" => Err("it must name a folder".to_owned()),
                _ if t.contains('\0') => Err("a path cannot hold a zero byte".to_owned()),
                _ => Ok(t.into()),
            }),
            durability: self.value("store.durability", |t| choice(t, &DURABILITIES)),
            cache_bytes: self.value("store.cache_bytes", number),
        }
    }

    fn push(&mut self) -> Push {
        let interval = |t: &str| at_most(duration(t)?, INTERVAL_MAX, "1m");
        let all = self.value("push.min_interval", interval);
        let mut of = |path| self.value(path, |t| if t.is_empty() { Ok(all) } else { interval(t) });
        let min_interval = PerType {
            private: of("push.min_interval_of.Private"),
            public: of("push.min_interval_of.Public"),
            chat_room: of("push.min_interval_of.ChatRoom"),
            av_chat_room: of("push.min_interval_of.AVChatRoom"),
        };
        Push { min_interval, max_frames_per_second: self.value("push.max_frames_per_second", number) }
    }

    fn limits(&mut self) -> Limits {
        let bytes = |t: &str| match number(t)? {
            n if (1..FRAME_BYTES_MIN).contains(&n) => Err(format!("{n} is too few: at least {FRAME_BYTES_MIN}, or 0")),
            n => Ok(n),
        };
        Limits {
            counter_writes_max: self.value("limits.counter_writes_max", number),
            counter_reads_max: self.value("limits.counter_reads_max", number),
            counter_window: self.value("limits.counter_window", duration),
            membership_changes_max: self.value("limits.membership_changes_max", number),
            connections_max: self.value("limits.connections_max", number),
            connections_per_user_max: self.value("limits.connections_per_user_max", number),
            connections_per_address_max: self.value("limits.connections_per_address_max", number),
            frames_per_second_max: self.value("limits.frames_per_second_max", number),
            frame_bytes_max: self.value("limits.frame_bytes_max", bytes),
            frame_bytes_max_before_login: self.value("limits.frame_bytes_max_before_login", bytes),
            faults_per_minute_max: self.value("limits.faults_per_minute_max", number),
            bad_logins_per_minute_max: self.value("limits.bad_logins_per_minute_max", number),
            login_deadline: self.value("limits.login_deadline", duration),
            handshake_deadline: self.value("limits.handshake_deadline", duration),
            head_bytes_max: self.value("limits.head_bytes_max", bytes),
            headers_max: self.value("limits.headers_max", number),
            ping_every: self.value("limits.ping_every", duration),
            pong_deadline: self.value("limits.pong_deadline", duration),
            stall_deadline: self.value("limits.stall_deadline", duration),
            keep_alive: self.value("limits.keep_alive", duration),
            replay_window: self.value("limits.replay_window", |t| match duration(t)? {
                window if window < REPLAY_WINDOW_MIN => Err(format!("{} is too short: at least 1s", quoted(t))),
                window => Ok(window),
            }),
            replay_answers_max: self.value("limits.replay_answers_max", number),
            groups_per_connection_max: self.value("limits.groups_per_connection_max", number),
            groups_owned_max: self.value("limits.groups_owned_max", number),
            members_per_group_max: self.value("limits.members_per_group_max", number),
            counters_per_group_max: self.value("limits.counters_per_group_max", number),
            user_list_max: self.value("limits.user_list_max", number),
            group_idle_after: self.value("limits.group_idle_after", duration),
        }
    }

    fn origins(&mut self) -> AllowedOrigins {
        let origins = self.list("security.allowed_origins", origin);
        match origins.as_slice() {
            [] => AllowedOrigins::SameHost,
            [only] if only == "*" => AllowedOrigins::Any,
            many => {
                if many.iter().any(|o| o == "*") {
                    self.fault("security.allowed_origins", "\"*\" allows any origin, so it must stand alone".into());
                }
                AllowedOrigins::List(origins)
            }
        }
    }

    /// The meaning of one setting. A value without a meaning is a fault, and the default's takes its place.
    fn value<T>(&mut self, path: &'static str, meaning: impl Fn(&str) -> Result<T, String>) -> T {
        let setting = self.ask(path);
        let given = self.sources.given(setting).and_then(|g| if let Value::One(text) = &g.value { Some(text) } else { None });
        match given.map(|text| meaning(text)) {
            Some(Ok(meant)) => meant,
            Some(Err(message)) => {
                self.fault(path, message);
                default(setting, meaning)
            }
            None => default(setting, meaning),
        }
    }

    /// The meanings of the items of a list; each item without one is a fault, and is left out.
    fn list<T>(&mut self, path: &'static str, meaning: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let setting = self.ask(path);
        let items: Vec<Text> = match self.sources.given(setting).map_or_else(|| default_of(setting), |g| g.value.clone()) {
            Value::Many(items) => items,
            Value::One(item) => vec![item],
        };
        let mut meant = Vec::with_capacity(items.len());
        for item in &items {
            match meaning(item) {
                Ok(item) => meant.push(item),
                Err(message) => self.fault(path, message),
            }
        }
        meant
    }

    fn ask(&mut self, path: &'static str) -> &'static Setting {
        self.asked.push(path);
        find(path).expect("every path asked for is in the table: a test asks for all")
    }

    fn fault(&mut self, path: &'static str, message: String) {
        let given = find(path).and_then(|setting| self.sources.given(setting));
        self.faults.push(Fault { path: path.into(), message, origin: given.map_or(Origin::Default, |g| g.origin.clone()) });
    }
}

fn default<T>(setting: &Setting, meaning: impl Fn(&str) -> Result<T, String>) -> T {
    meaning(setting.default).expect("every default has a meaning: a test reads them all")
}
