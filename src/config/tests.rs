//! Precedence, faults all at once, nothing of a secret shown, and the defaults as promised.

use std::ffi::OsString;

use super::meant::Reader;
use super::settings::{Kind, SETTINGS};
use super::*;

const SECRET: &str = "5bd2850fff3ecb11";

fn env(vars: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    vars.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn file(text: &str) -> Sources {
    Sources::new().text("t.toml", text).flag("--secret", "app.secret_keys", Some(SECRET))
}

fn read(text: &str) -> Config {
    file(text).read().unwrap()
}

fn faults(sources: Sources) -> Vec<String> {
    sources.read().err().map_or_else(Vec::new, |faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn defaults_are_the_promised_ones() {
    let config = read("");
    assert_eq!(config.listen, Listen { host: "127.0.0.1".into(), port: 8080 });
    assert_eq!(config.drain.wait, Duration::ZERO);
    assert_eq!((config.internal_listen, config.shards), (None, 0));
    assert_eq!(config.log, Log { level: "info".into(), format: LogFormat::Auto });
    assert_eq!((config.app.sdk_app_id, config.app.keyring.app_id()), (1_400_000_000, 1_400_000_000));
    assert_eq!(config.app.admins, [UserId::parse("administrator").unwrap()]);
    assert_eq!(config.store, Store { path: "tallycast-data".into(), durability: Durability::Sync, cache_bytes: 64 << 20 });
    let no_wait = Duration::ZERO;
    let min_interval = PerType { private: no_wait, public: no_wait, chat_room: no_wait, av_chat_room: no_wait };
    assert_eq!(config.push, Push { min_interval, max_frames_per_second: 0 });
    assert_eq!(config.security.allowed_origins, AllowedOrigins::SameHost);
    let seconds = Duration::from_secs;
    let promised = Limits {
        counter_writes_max: 20,
        counter_reads_max: 20,
        counter_window: seconds(5),
        membership_changes_max: 200,
        connections_max: 0,
        connections_per_user_max: 16,
        connections_per_address_max: 256,
        frames_per_second_max: 100,
        frame_bytes_max: 32 * 1024,
        frame_bytes_max_before_login: 8 * 1024,
        faults_per_minute_max: 20,
        bad_logins_per_minute_max: 1000,
        login_deadline: seconds(10),
        handshake_deadline: seconds(5),
        head_bytes_max: 16 * 1024,
        headers_max: 64,
        ping_every: seconds(25),
        pong_deadline: seconds(10),
        stall_deadline: seconds(10),
        keep_alive: seconds(75),
        replay_window: seconds(120),
        replay_answers_max: 5_000_000,
        groups_per_connection_max: 128,
        groups_owned_max: 100,
        members_per_group_max: 6000,
        counters_per_group_max: 20,
        user_list_max: 100,
        group_idle_after: seconds(300),
    };
    assert_eq!(config.limits, promised);
    assert_eq!(Limits::default(), promised);
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_defaults() {
    let text = "listen = '127.0.0.1:1'\nshards = 1\n[store]\npath = 'file'\n";
    let vars = env(&[("TALLYCAST_STORE__PATH", "variable"), ("TALLYCAST_SHARDS", "2"), ("PATH", "/bin"), ("tallycast_x", "")]);
    let config =
        file(text).flag("--data", "store.path", Some("flag")).environment(vars.clone()).flag("--listen", "listen", None).read().unwrap();
    assert_eq!((config.listen.port, config.shards, config.store.path.to_str()), (1, 2, Some("flag")));
    // The order in which they are laid down does not matter.
    let config = Sources::new()
        .environment(vars)
        .text("t.toml", text)
        .flag("--secret", "app.secret_keys", Some("a secret long enough"))
        .read()
        .unwrap();
    assert_eq!((config.shards, config.store.path.to_str()), (2, Some("variable")));
}

#[test]
fn every_setting_can_be_given_by_file_and_by_environment() {
    for setting in SETTINGS.iter().filter(|s| !s.secret) {
        let value = match (setting.kind, setting.default) {
            (Kind::Duration, "") => "1s",
            (_, default) => default,
        };
        let toml = match setting.kind {
            Kind::Number => value.to_owned(),
            Kind::Text | Kind::Duration => format!("{value:?}"),
            Kind::List => format!("[{}]", if value.is_empty() { String::new() } else { format!("{value:?}") }),
        };
        assert_eq!(faults(file(&format!("{} = {toml}", setting.path))), [""; 0], "{}", setting.path);
        let sources = file("").environment(env(&[(&setting.variable(), value)]));
        assert_eq!(faults(sources), [""; 0], "{}", setting.variable());
    }
}

#[test]
fn the_reader_asks_for_every_setting_of_the_table_once() {
    let mut reader = Reader { sources: &file(""), faults: Vec::new(), asked: Vec::new() };
    assert!(reader.config().is_some());
    let mut asked = reader.asked;
    let mut known: Vec<&str> = SETTINGS.iter().map(|s| s.path).collect();
    asked.sort_unstable();
    known.sort_unstable();
    assert_eq!(asked, known);
}

#[test]
fn lists_come_with_commas_from_the_environment() {
    let vars = [
        ("TALLYCAST_APP__SECRET_KEYS", "the-new-secret-123, the-old-secret-456,"),
        ("TALLYCAST_APP__ADMINS", "a,b c"),
        ("TALLYCAST_SECURITY__ALLOWED_ORIGINS", "https://One.example,http://two.example:8080"),
    ];
    let config = Sources::new().environment(env(&vars)).read().unwrap();
    assert_eq!(config.app.admins.iter().map(UserId::as_str).collect::<Vec<_>>(), ["a", "b c"]);
    let origins = ["https://one.example", "http://two.example:8080"].map(String::from).to_vec();
    assert_eq!(config.security.allowed_origins, AllowedOrigins::List(origins));
    let user = UserId::parse("u").unwrap();
    for secret in ["the-new-secret-123", "the-old-secret-456"] {
        let theirs = Keyring::new(1_400_000_000, vec![crate::auth::Secret::new(secret).unwrap()]).unwrap();
        assert!(config.app.keyring.verify(&user, &theirs.sign(&user, 1, 1), 1).is_ok(), "{secret}");
    }
    assert_eq!(read("security.allowed_origins = ['*']").security.allowed_origins, AllowedOrigins::Any);
    assert_eq!(read("security.allowed_origins = '*'").security.allowed_origins, AllowedOrigins::Any);
    assert!(read("app.admins = []").app.admins.is_empty());
}

#[test]
fn intervals_of_types_fall_back_to_that_of_all() {
    let push = read("[push]\nmin_interval = '100ms'\n[push.min_interval_of]\nAVChatRoom = '1s'\nPublic = 0").push.min_interval;
    let ms = Duration::from_millis;
    assert_eq!(push, PerType { private: ms(100), public: ms(0), chat_room: ms(100), av_chat_room: ms(1000) });
}

#[test]
fn zero_lifts_a_limit_in_any_dress() {
    let limits =
        read("[limits]\nping_every = 0\npong_deadline = '0'\nstall_deadline = '0s'\nframe_bytes_max = 0\nheaders_max = 0x0").limits;
    assert_eq!((limits.ping_every, limits.pong_deadline, limits.stall_deadline), Default::default());
    assert_eq!((limits.frame_bytes_max, limits.headers_max), (0, 0));
}

#[test]
fn all_faults_are_named_at_once_each_with_its_place() {
    let text = "\
listen = 'localhost'
colour = 'red'
[limits]
ping_every = '25x'
ping_evry = '1s'
counter_writes_max = -1
counter_reads_max = '20'
headers_max = 5.0
replay_window = '900ms'
frame_bytes_max = 5
login_deadline = 10
[app]
sdk_app_id = 0
admins = ['ok', ' bad']
[store]
kind = 'redis'
redis_url = 'redis://user:pass@host'
path = ' '
durability = 'fsync'
[push]
min_interval = '2m'
[push.min_interval_of]
Community = '1s'
[log]
level = 'inof'
";
    let vars = env(&[
        ("TALLYCAST_LIMITS__PONG_DEADLINE", "soon"),
        ("TALLYCAST_LIMIT__STALL_DEADLINE", "1s"),
        ("TALLYCAST_LIMITS__CONNECTIONS_MAX", "many"),
        ("TALLYCAST_SECURITY__ALLOWED_ORIGINS", "https://a.example/,*"),
        ("TALLYCAST_WHATEVER", "x"),
    ]);
    let found = faults(Sources::new().text("t.toml", text).environment(vars).flag("--listen", "internal_listen", Some("a:b:80")));
    let expected = [
        "app.secret_keys: no secret is given; name one under [app] in the file, or in TALLYCAST_APP__SECRET_KEYS",
        r#"listen: "localhost" is not an address or a name and a port, such as "127.0.0.1:8080", "localhost:8080" or ":8080" (t.toml, line 1)"#,
        "colour: unknown key (t.toml, line 2)",
        r#"limits.ping_every: "25x" is not a duration such as "25s" (t.toml, line 4)"#,
        "limits.ping_evry: unknown key; did you mean limits.ping_every? (t.toml, line 5)",
        "limits.counter_writes_max: -1 is below 0 (t.toml, line 6)",
        r#"limits.counter_reads_max: "20" is not a whole number such as 20 (t.toml, line 7)"#,
        "limits.headers_max: 5.0 is not a whole number such as 20 (t.toml, line 8)",
        r#"limits.replay_window: "900ms" is too short: at least 1s (t.toml, line 9)"#,
        "limits.frame_bytes_max: 5 is too few: at least 512, or 0 (t.toml, line 10)",
        r#"limits.login_deadline: 10 is not a duration such as "25s" (t.toml, line 11)"#,
        "app.sdk_app_id: it must be the app's id, which is never 0 (t.toml, line 13)",
        r#"app.admins: " bad" is no user: userID must be 1 to 32 printable ASCII characters with no space at either end (t.toml, line 14)"#,
        r#"store.kind: this version keeps its counters in the embedded store; "redis" comes later (t.toml, line 16)"#,
        "store.redis_url: this version keeps its counters in the embedded store; leave it empty (t.toml, line 17)",
        "store.path: it must name a folder (t.toml, line 18)",
        r#"store.durability: "fsync" is not "sync" or "interval" (t.toml, line 19)"#,
        "push.min_interval: it is above 1m, the most there can be (t.toml, line 21)",
        "push.min_interval_of.Community: unknown key (t.toml, line 23)",
        r#"log.level: "inof" is not a level such as "info", nor levels of parts such as "info,tallycast::store=debug"; did you mean info? (t.toml, line 25)"#,
        r#"limits.connections_max: "many" is not a whole number such as 20 (environment, TALLYCAST_LIMITS__CONNECTIONS_MAX)"#,
        r#"limits.pong_deadline: "soon" is not a duration such as "25s" (environment, TALLYCAST_LIMITS__PONG_DEADLINE)"#,
        "unknown variable; did you mean TALLYCAST_LIMITS__STALL_DEADLINE? (environment, TALLYCAST_LIMIT__STALL_DEADLINE)",
        r#"security.allowed_origins: "https://a.example/" is not an origin such as "https://example.com": no path, no slash at the end (environment, TALLYCAST_SECURITY__ALLOWED_ORIGINS)"#,
        "unknown variable (environment, TALLYCAST_WHATEVER)",
        r#"internal_listen: "a:b:80" is not an address or a name and a port, such as "127.0.0.1:8080", "localhost:8080" or ":8080" (flag --listen)"#,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_key_in_the_wrong_place_is_pointed_to_the_right_one() {
    let offer = |text| faults(file(text)).concat();
    assert!(offer("sdk_app_id = 5").contains("did you mean app.sdk_app_id?"));
    assert!(offer("[store]\nping_every = '1s'").contains("did you mean limits.ping_every?"));
    assert!(offer("[limit]\nping_every = '1s'").contains("limit.ping_every: unknown key; did you mean limits.ping_every?"));
    assert!(offer("limits = 5").contains("limits: this is a section: write [limits]"));
    assert!(offer("[[store]]\npath = 'x'").contains("store: this is a section"));
    assert!(offer("[unheard]").contains("unheard: unknown key"));
    assert!(offer("[listen]\nport = 80").contains("listen: a section is not a text"));
    assert!(offer(&format!("{} = 1", "k".repeat(100_000))).len() < 1000);
}

#[test]
fn what_is_not_toml_is_named_with_its_line_and_nothing_that_follows_from_it() {
    let found = faults(Sources::new().text("t.toml", "listen = 127.0.0.1:80\n[app]\nsecret_keys = [\"a\"\nshards = 'x'\n"));
    assert!(found[0].starts_with("not TOML: ") && found[0].ends_with("(t.toml, line 1)"), "{found:#?}");
    assert!(!found.iter().any(|f| f.contains("no secret is given")), "{found:#?}");
    let found = faults(file("shards = 1\nshards = 2\n[limits]\nping_every = 'x'"));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("line 2") && found[1].contains("limits.ping_every"), "{found:#?}");
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_are_left_alone() {
    let vars = env(&[
        ("TALLYCAST_SERVICE_HOST", "10.0.0.1"),
        ("TALLYCAST_SERVICE_PORT", "80"),
        ("TALLYCAST_SERVICE_PORT_HTTP", "80"),
        ("TALLYCAST_PORT", "tcp://10.0.0.1:80"),
        ("TALLYCAST_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(faults(file("").environment(vars)), [""; 0]);
    assert_eq!(faults(file("").environment(env(&[("TALLYCAST_PORTS", "1")]))).len(), 1);
}

#[test]
fn the_senses_of_single_values_are_checked() {
    for bad in [
        "internal_listen = '127.0.0.1:8080'",
        "listen = ''",
        "listen = ':'",
        "listen = 'localhost:'",
        "listen = 'localhost:65536'",
        "listen = '::1:80'",
        "listen = 'http://localhost:80'",
        "drain.wait = 'soon'",
        "shards = 5000",
        "limits.ping_every = '5000d'",
        "limits.counter_writes_max = 5000000000",
        "limits.connections_max = 99999999999999999999999999999999999999999999",
        "push.min_interval_of.Public = '61s'",
        "log.level = ''",
        "log.level = 'info,x=loud'",
        "log.level = 'trace'",
        "log.level = 'warn,tallycast::store=Trace'",
        "log.format = 'xml'",
        "app.admins = [5]",
        "app.admins = ['']",
        "store.kind = 'sqlite'",
        "store.path = \"a\\u0000b\"",
        "security.allowed_origins = ['example.com']",
        "security.allowed_origins = ['https://a.example', '*']",
        "limits.ping_every = ''",
    ] {
        assert_eq!(faults(file(bad)).len(), 1, "{bad}: {:#?}", faults(file(bad)));
    }
    for good in
        ["internal_listen = '127.0.0.1:9090'", "log.level = 'warn,tallycast::store=debug'", "log.level = 'OFF'", "push.min_interval = '1m'"]
    {
        assert_eq!(faults(file(good)), [""; 0], "{good}");
    }
}

#[test]
fn addresses_and_names_are_taken_as_they_are_usually_written() {
    for (text, host, port, shown) in [
        (":8080", "", 8080, ":8080"),
        ("localhost:8080", "localhost", 8080, "localhost:8080"),
        ("Gateway.Example:0", "gateway.example", 0, "gateway.example:0"),
        ("0.0.0.0:80", "0.0.0.0", 80, "0.0.0.0:80"),
        ("[::1]:80", "::1", 80, "[::1]:80"),
    ] {
        let listen = read(&format!("listen = '{text}'")).listen;
        assert_eq!(listen, Listen { host: host.into(), port }, "{text}");
        assert_eq!(listen.to_string(), shown);
    }
}

#[test]
fn an_app_without_a_secret_is_refused() {
    for text in ["", "app.secret_keys = []", "app.secret_keys = ['', '']", "app.secret_keys = ''"] {
        let found = faults(Sources::new().text("t.toml", text));
        assert!(found.len() == 1 && found[0].contains("no secret is given"), "{found:#?}");
    }
}

#[test]
fn a_secret_that_can_be_guessed_is_refused() {
    for (bad, why) in [("12345", "fewer than 16"), ("fifteen-letters", "fewer than 16"), ("put a long random text here", "of an example")] {
        let found = faults(Sources::new().text("t.toml", &format!("app.secret_keys = ['{bad}', '{SECRET}']")));
        assert!(found.len() == 1 && found[0].contains(why) && found[0].contains("openssl rand") && !found[0].contains(bad), "{found:#?}");
    }
    assert_eq!(faults(Sources::new().text("t.toml", "app.secret_keys = ['sixteen-letters!', '']")), [""; 0]);
}

#[test]
fn secrets_are_never_shown() {
    let config = read("");
    assert!(!format!("{config:?}{config:#?}").contains(SECRET));
    let print = file("app.admins = []").print();
    assert!(!print.contains(SECRET) && print.contains("# secret_keys: 1 given, not shown"), "{print}");
    for text in [
        "[app]\nsecret_keys = [\"5bd2850fff3ecb11\", 5]",
        "[app]\nsecret_keys = 5bd2850fff3ecb11",
        "[app]\nsecret_keys = ['5bd2850fff3ecb11",
        "[app]\nsecret_keys = [5bd2850fff3ecb11]\nx = 'y'",
        "[app]\nsecret_keys = [' 5bd2850fff3ecb11']",
        "[app]\nsecret_keys = 'a' '5bd2850fff3ecb11'",
        "[app]\nsecret_keys = { a = '5bd2850fff3ecb11' }",
        "[app]\nsecret_key = '5bd2850fff3ecb11'",
        "[app]\nsecret_keys = ['x']\nsecret_keys = ['5bd2850fff3ecb11']",
        "[app]\nsecret_keys = \"5bd2850fff3ecb11\\q\"",
        "[store]\nredis_url = '5bd2850fff3ecb11'",
    ] {
        let sources = Sources::new().text("t.toml", text).environment(env(&[("TALLYCAST_SECRET", SECRET)]));
        let shown = format!("{} {}", sources.print(), sources.read().unwrap_err());
        assert!(!shown.contains(SECRET) && !shown.contains("5bd2850fff"), "{text}: {shown}");
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let sources = file("shards = 2\n[push.min_interval_of]\nPublic = '1s'\n[store]\npath = \"a\\\"b\"")
        .environment(env(&[("TALLYCAST_LIMITS__PING_EVERY", "0")]));
    let print = sources.print();
    assert!(print.contains("shards = 2  # t.toml, line 1\n"), "{print}");
    assert!(print.contains("ping_every = \"0\"  # environment, TALLYCAST_LIMITS__PING_EVERY\n"), "{print}");
    let (first, again) = (sources.read().unwrap(), read(&print));
    assert_eq!((first.listen, first.shards, first.log, first.store), (again.listen, again.shards, again.log, again.store));
    assert_eq!((first.push, first.limits, first.security), (again.push, again.limits, again.security));
    // A printed configuration has no secret, so nobody can take it for a whole one.
    assert!(faults(Sources::new().text("printed", &print)).concat().contains("no secret is given"));
}

#[test]
fn the_example_is_the_template_and_holds_the_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tallycast.example.toml");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, template()).unwrap();
    }
    let example = std::fs::read_to_string(path).unwrap();
    assert_eq!(example, template(), "tallycast.example.toml is behind the settings; BLESS=1 cargo test writes it anew");
    let without_origins = |print: String| print.lines().map(|l| l.split("  # ").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(without_origins(Sources::new().text("e", &example).print()), without_origins(Sources::new().print()));
    assert_eq!(faults(Sources::new().text("e", &example)).len(), 1, "only the secret is left to give");
}
