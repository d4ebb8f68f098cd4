//! The program as its operator sees it: configuration, exit codes, health, metrics, the other commands.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Duration, Instant};

use crate::raw::{RawClient, TEXT, frame};
use crate::server::{PATIENCE, Process, SECRET, Server, Setup, tallycast};
use crate::usersig::Sig;

/// Runs the program to its end with a configuration file.
fn run(words: &[&str], file: &Path, more: &[&str]) -> Output {
    let file = ["--config", file.to_str().expect("UTF-8")];
    tallycast(&[words, &file, more].concat()).output().expect("the program can be started")
}

/// What it said, and that it gave the exit code.
#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[tokio::test]
async fn health_and_readiness() {
    let server = Server::start().await;
    assert_eq!(RawClient::http(server.addr(), "/healthz").await.status, 200);
    let ready = RawClient::http(server.addr(), "/readyz").await;
    assert_eq!((ready.status, ready.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(ready.json(), json!({"ready": true}));
}

#[tokio::test]
async fn an_audit_that_cannot_be_written_is_counted_and_does_not_flood_the_log() {
    let server = Setup::new().set("rest.audit_path", "/dev/full").set("rest.calls_per_second_max", 0).start().await;
    let mut backend = server.backend().await;
    for n in 0..50 {
        backend.call("create_group", json!({"Type": "Public", "Name": "room", "GroupId": format!("room-{n}")})).await.ok();
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = RawClient::http(server.addr(), "/metrics").await.body;
        if metrics.lines().any(|line| line == "tallycast_audit_lost_lines_total 50") {
            break;
        }
        assert!(Instant::now() < deadline, "{metrics}");
    }
    let log = server.log();
    assert!(log.lines().filter(|line| line.contains("/dev/full")).count() < 25, "{log}");
    assert!(log.contains("/dev/full") && !log.contains("room-"), "{log}");
}

#[tokio::test]
async fn the_sdk_is_served_to_pages_from_anywhere_and_the_demo_is_not() {
    let server = Server::start().await;
    let module = RawClient::http(server.addr(), "/sdk/index.js").await;
    assert_eq!(module.status, 200);
    assert!(module.head.to_lowercase().contains("access-control-allow-origin: *"), "{}", module.head);
    for missing in ["/", "/index.html", "/sdk/none.js", "/sdk/../index.html", "/demo/session?userID=ann"] {
        assert_eq!(RawClient::http(server.addr(), missing).await.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn metrics_have_names_and_never_users_or_groups() {
    let server = Server::start().await;
    let mut ann = server.user("ann-of-the-metrics").await;
    ann.create_as("ChatRoom", "room-of-the-metrics").await.ok();
    ann.increase("room-of-the-metrics", "key-of-the-metrics", 1).await.ok();
    ann.increase("room-of-the-metrics", "", 1).await.refused(10004);

    let reply = RawClient::http(server.addr(), "/metrics").await;
    assert_eq!(reply.status, 200);
    let kind = reply.header("Content-Type").unwrap_or_default();
    assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    let samples: Vec<&str> = reply.body.lines().filter(|line| line.contains("tallycast_") && !line.starts_with('#')).collect();
    assert!(samples.len() >= 5, "too little to watch a server by:\n{}", reply.body);
    assert!(reply.body.contains("# TYPE tallycast_") && reply.body.contains("# HELP tallycast_"), "{}", reply.body);
    for line in &samples {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "no number: {line}");
    }
    assert!(samples.iter().any(|line| line.contains("connections") && line.ends_with(" 1")), "one is connected");
    for name in ["ann-of", "room-of", "key-of", "127.0.0.1"] {
        assert!(!reply.body.contains(name), "{name} is in the metrics");
    }
}

#[tokio::test]
async fn an_internal_address_takes_the_metrics_away_from_the_public_one() {
    let mut server = Setup::new().set("internal_listen", "127.0.0.1:0").start().await;
    let addresses = server.addresses(2).await;
    let mut found = Vec::new();
    for address in &addresses {
        let metrics = RawClient::http(*address, "/metrics").await.status;
        let ready = RawClient::http(*address, "/readyz").await.status;
        found.push((metrics, ready));
    }
    found.sort_unstable();
    assert_eq!(found, [(200, 200), (404, 404)]);
}

#[tokio::test]
async fn a_second_program_on_the_same_data_refuses_to_start() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut second = Process::spawn(server.setup(), server.folder());
    let status = second.exit().await;
    assert!(matches!(status.code(), Some(1 | 2)), "{status}: {}", second.log());
    let log = second.log().to_lowercase();
    assert!(["in use", "locked", "another", "already"].iter().any(|word| log.contains(word)), "not clear: {log}");
    assert!(log.contains("data"), "it does not say which folder: {log}");
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 1, "the first goes on");
}

#[test]
fn without_a_secret_it_refuses_to_start() {
    let dir = TempDir::new().expect("a folder");
    for setup in [
        Setup::new().without("app", "secret_keys"),
        Setup::new().set("app.secret_keys", Vec::<String>::new()),
        Setup::new().set("app.secret_keys", vec![""]),
    ] {
        let file = setup.write(dir.path());
        for command in ["serve", "check-config"] {
            let text = said(&run(&[command], &file, &[]), 2);
            assert!(text.contains("secret_keys"), "{command} does not say what is missing: {text}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_named_in_one_go() {
    let dir = TempDir::new().expect("a folder");
    let file = Setup::new()
        .set("lisen", "127.0.0.1:0")
        .set("app.secret_key", "x")
        .set("push.min_intervall", "1s")
        .set("store.durability", "sometimes")
        .limit("login_dedline", "1s")
        .limit("counter_window", "five seconds")
        .limit("counter_writes_max", -1)
        .write(dir.path());
    for command in ["serve", "check-config"] {
        let text = said(&run(&[command], &file, &[]), 2);
        for name in ["lisen", "secret_key", "min_intervall", "durability", "login_dedline", "counter_window", "counter_writes_max"] {
            assert!(text.contains(name), "{command} does not name {name}: {text}");
        }
        assert!(!text.contains(SECRET), "a secret is not for the screen: {text}");
    }
}

#[test]
fn check_config_is_content_with_a_good_file() {
    let dir = TempDir::new().expect("a folder");
    let file = Setup::new().write(dir.path());
    said(&run(&["check-config"], &file, &[]), 0);
    assert!(!dir.path().join("data").exists(), "a check leaves nothing behind");

    std::fs::write(&file, "listen = ").expect("a file");
    said(&run(&["check-config"], &file, &[]), 2);
    let text = said(&run(&["check-config"], &dir.path().join("missing.toml"), &[]), 2);
    assert!(text.contains("missing.toml"), "{text}");
}

#[test]
fn bad_usage_is_exit_code_2() {
    for words in [&["sreve"][..], &["serve", "--no-such-flag"], &["serve"], &[]] {
        let output = tallycast(words).current_dir(std::env::temp_dir()).output().expect("it starts");
        said(&output, 2);
    }
}

#[tokio::test]
async fn the_usersig_command_signs_what_the_server_believes() {
    let server = Setup::new().set("app.secret_keys", vec!["the first one, long enough", SECRET]).start().await;
    let file = server.folder().join("tallycast.toml");
    let output = run(&["usersig"], &file, &["--user", "ann", "--expire", "1000"]);
    said(&output, 0);
    let sig = String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned();
    assert!(!sig.is_empty() && sig.chars().all(|c| c.is_ascii_alphanumeric() || "*-_".contains(c)), "{sig}");
    let now = crate::usersig::unix_now();
    let data = server.connect().await.login_with("ann", &sig).await.ok();
    let expires = data["expiresAt"].as_u64().expect("Unix seconds");
    assert!((now + 990..=now + 1000).contains(&expires), "{data}");
    server.connect().await.login_with("ben", &sig).await.refused(70013);

    let only_first = Setup::new().set("app.secret_keys", vec!["the first one, long enough"]).start().await;
    only_first.connect().await.login_with("ann", &sig).await.ok();
    for name in ["", "a\nb", " ann", "用户一", &"u".repeat(33)] {
        let refused = run(&["usersig"], &file, &["--user", name]);
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{name:?}: {:?}", refused.status);
        assert!(refused.stdout.is_empty(), "{name:?}");
    }
}

#[tokio::test]
async fn the_environment_beats_the_file() {
    let server = Setup::new()
        .limit("login_deadline", "60s")
        .env("TALLYCAST_LIMITS__LOGIN_DEADLINE", "300ms")
        .env("TALLYCAST_APP__SDK_APP_ID", "88888888")
        .start()
        .await;
    server.connect().await.expect_close(4004).await;
    server.connect().await.login("ann").await.refused(70014);
    server.connect().await.login_with("ann", &Sig::of("ann").app(88_888_888).encode()).await.ok();
}

#[tokio::test]
async fn the_store_may_be_flushed_by_the_clock() {
    let mut server = Setup::new().set("store.durability", "interval").start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for n in 1..=20 {
        assert_eq!(ann.increase(&room, "like", 1).await.ok()["version"], n);
    }
    let epoch = ann.get(&room).await.ok()["epoch"].clone();
    server.restart("KILL").await;
    let data = server.user("ann").await.get(&room).await.ok();
    assert_eq!((&data["counters"], &data["version"]), (&json!({"like": 20}), &json!(20)));
    assert_eq!(data["epoch"], epoch, "a kill loses nothing");
}

#[tokio::test]
async fn it_ends_soon_when_nobody_is_there() {
    let mut server = Server::start().await;
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3).min(PATIENCE), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn groups_that_do_not_exist_are_forgotten_at_once() {
    let server = Setup::new().unthrottled().start().await;
    let mut raw = RawClient::user(server.addr(), "ann").await;
    for round in 0..200 {
        let mut bytes = Vec::new();
        for n in 0..60 {
            let request = json!({"id": 1, "cmd": "getGroupCounters", "groupID": format!("no-{round}-{n}")});
            bytes.extend(frame(true, TEXT, request.to_string().as_bytes()));
        }
        raw.send(&bytes).await;
        for _ in 0..60 {
            assert_eq!(raw.next_answer().await["code"], 10010);
        }
    }
    let metrics = RawClient::http(server.addr(), "/metrics").await.body;
    let line = metrics.lines().find(|line| line.starts_with("tallycast_groups ")).expect("a metric");
    assert_eq!(line, "tallycast_groups 0", "nothing is kept of what is not there");
}

#[tokio::test]
async fn it_listens_on_names_and_on_all_addresses() {
    let mut server = Setup::new().set("listen", "localhost:0").set("internal_listen", "localhost:0").start().await;
    for at in server.addresses(2).await {
        assert!(at.ip().is_loopback(), "{at}");
        assert_eq!(RawClient::http(at, "/healthz").await.status, 200, "{at}");
    }
    let server = Setup::new().set("listen", ":0").start().await;
    let port = server.addr().port();
    let mut families = vec![std::net::IpAddr::from([127, 0, 0, 1])];
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        families.push("::1".parse().expect("an address"));
    }
    for ip in families {
        assert_eq!(RawClient::http((ip, port).into(), "/healthz").await.status, 200, "{ip}");
    }
    let dir = TempDir::new().expect("a folder");
    let setup = Setup::new().set("listen", "no-such-host.invalid:80");
    let mut process = Process::spawn(&setup, dir.path());
    assert_eq!(process.exit().await.code(), Some(1));
    assert!(process.log().contains("no-such-host.invalid"), "{}", process.log());
}

#[tokio::test]
async fn signals_without_a_meaning_end_nothing() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    for signal in ["USR1", "USR2", "ALRM", "PIPE", "XFSZ", "USR1"] {
        server.signal(signal);
        ann.ask(json!({"cmd": "ping"})).await.ok();
    }
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("a signal without a meaning here") {
        assert!(Instant::now() < deadline, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ann.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn data_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let mut server = Server::start().await;
    let folder = server.folder().join("data");
    let mut backend = server.backend().await;
    backend.call("create_group", json!({"Type": "Public", "Name": "room"})).await.ok();
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    server.signal("TERM");
    server.exit().await;
    for (before, after, warned) in [(0o755, 0o700, true), (0o750, 0o750, false)] {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(before)).expect("our own folder");
        server.again().await;
        assert_eq!(mode(&folder), after);
        assert_eq!(server.log().contains("open to every user"), warned, "{}", server.log());
        server.signal("TERM");
        server.exit().await;
    }
}
