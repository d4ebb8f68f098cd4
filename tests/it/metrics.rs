//! `/metrics` as Prometheus reads it: its two formats, what its own checker says, and the page that explains each figure.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use tokio::time::Instant;

use crate::raw::{RawClient, Reply};
use crate::rest_vendor::root;
use crate::server::{PATIENCE, Server, Setup};
use crate::usersig::unix_now;

async fn scrape(server: &Server, accept: &str) -> Reply {
    let mut client = RawClient::tcp(server.addr()).await;
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n{accept}Connection: close\r\n\r\n", server.addr());
    client.send(request.as_bytes()).await;
    client.reply().await
}

/// A server that has something to tell.
async fn busy() -> Server {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    ann.increase(&room, "like", 1).await.ok();
    ann.increase(&room, "", 1).await.refused(10004);
    let mut backend = server.backend().await;
    backend.call("account_check", json!({"CheckItem": [{"UserID": "ann"}]})).await;
    server.connect().await.login_with("ann", "nonsense").await.refused(70003);
    server
}

#[tokio::test]
async fn classic_text_is_for_everybody_and_openmetrics_for_those_who_ask() {
    let server = Server::start().await;
    for accept in ["", "*/*", "text/plain", "text/plain;version=0.0.4;q=1,*/*;q=0.1"] {
        let reply = scrape(&server, accept).await;
        assert_eq!(reply.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"), "{accept}");
        assert!(!reply.body.contains("# EOF"), "{accept}");
        assert!(reply.body.contains("# TYPE tallycast_pushes_sent_total counter\n"), "{accept}: {}", reply.body);
    }
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for accept in [prometheus, "application/openmetrics-text"] {
        let reply = scrape(&server, accept).await;
        assert_eq!(reply.header("Content-Type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), "{accept}");
        assert!(reply.body.ends_with("# EOF\n"), "{accept}");
        assert!(reply.body.contains("# TYPE tallycast_pushes_sent counter\n"), "{accept}: {}", reply.body);
    }
}

/// A quantile lies between two buckets; where the last one has a finite bound Prometheus can tell none.
#[tokio::test]
async fn every_histogram_ends_without_a_bound() {
    let server = busy().await;
    for accept in ["text/plain", "application/openmetrics-text"] {
        let text = scrape(&server, accept).await.body;
        let names = |suffix: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
            let found = lines.filter(|(series, _)| series.split('{').next().is_some_and(|name| name.ends_with(suffix)));
            found.map(|(series, value)| (series.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let unbound: Vec<_> = names("_seconds_bucket").into_iter().filter(|(series, _)| series.contains("le=\"+Inf\"")).collect();
        let counts = names("_seconds_count");
        assert!(counts.len() >= 3, "{text}");
        assert_eq!(unbound.len(), counts.len(), "{text}");
        for ((bucket, all), (series, count)) in unbound.iter().zip(&counts) {
            assert_eq!(all, count, "{bucket} and {series}");
        }
    }
}

#[tokio::test]
async fn prometheus_has_nothing_to_say_against_it() {
    let text = scrape(&busy().await, "text/plain").await.body;
    let promtool = root().join("target/promtool");
    assert!(promtool.exists(), "{} is missing: run `make test`, which fetches it", promtool.display());
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("promtool can be started");
    check.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
    let output = check.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

/// A family of metrics: its name, its type, and the labels of its samples.
type Family = (String, String, BTreeSet<String>);

/// What is said to be there.
fn documented() -> Vec<Family> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).expect("the page");
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `process_") || line.starts_with("| `tallycast_"));
    let family = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && cells[4].ends_with('.'), "a name, a type, labels and a sentence: {line}");
        (code(cells[1]).remove(0), cells[2].to_owned(), code(cells[3]).into_iter().collect())
    };
    rows.map(family).collect()
}

/// What is there. Families without a sample have no labels to show.
fn exported(text: &str) -> Vec<(Family, bool)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let family = |(name, kind): (&str, &str)| {
        let of_it = |line: &&str| {
            let series = line.split(['{', ' ']).next().unwrap_or_default();
            series == name
                || (kind == "histogram" && series.strip_prefix(name).is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest)))
        };
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).filter(of_it).collect();
        let labels = samples.iter().filter_map(|line| line.split_once('{')?.1.split_once('}'));
        let names = labels.flat_map(|(labels, _)| labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
        let names = names.filter(|label| kind != "histogram" || label != "le").collect();
        ((name.to_owned(), kind.to_owned(), names), !samples.is_empty())
    };
    types.map(family).collect()
}

#[tokio::test]
async fn the_page_explains_each_metric_and_no_other() {
    let text = scrape(&busy().await, "text/plain").await.body;
    let (documented, exported) = (documented(), exported(&text));
    let names = |all: &mut dyn Iterator<Item = &String>| all.cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&mut exported.iter().map(|((name, ..), _)| name)), names(&mut documented.iter().map(|(name, ..)| name)));
    for ((name, kind, labels), has_samples) in &exported {
        let (_, kind_said, labels_said) = documented.iter().find(|(known, ..)| known == name).expect("the names are the same");
        assert_eq!(kind, kind_said, "{name}");
        assert!(!has_samples || labels == labels_said, "{name}: {labels:?}, not {labels_said:?}");
    }
    let without_samples: Vec<_> = exported.iter().filter(|(_, has_samples)| !has_samples).map(|((name, ..), _)| name).collect();
    assert!(without_samples.is_empty(), "a busy server has something to say for {without_samples:?}");
}

#[tokio::test]
async fn answers_are_timed_by_command_and_work_is_counted_by_shard() {
    let server = Setup::new().set("shards", 2).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for _ in 0..5 {
        ann.increase(&room, "like", 1).await.ok();
    }
    let text = scrape(&server, "").await.body;
    let value = |series: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{series} is missing:\n{text}")).parse::<f64>().expect("a number")
    };
    assert_eq!(value("tallycast_answer_seconds_count{cmd=\"increaseGroupCounter\"}"), 5.0);
    assert_eq!(value("tallycast_answer_seconds_count{cmd=\"login\"}"), 1.0);
    assert!(value("tallycast_answer_seconds_sum{cmd=\"increaseGroupCounter\"}") > 0.0, "a write waits for the disk");
    for shard in 0..2 {
        assert!(value(&format!("tallycast_shard_busy_seconds_total{{shard=\"{shard}\"}}")) > 0.0, "{text}");
        assert_eq!(value(&format!("tallycast_mailbox_commands{{shard=\"{shard}\"}}")), 0.0, "everything is answered");
    }
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_cpu_seconds_total") > 0.0);
    assert!(value("process_max_fds") > value("process_open_fds"));
    let now = unix_now() as f64;
    assert!((now - 600.0..=now + 1.0).contains(&value("process_start_time_seconds")), "{text}");
    assert_eq!((value("tallycast_reload_success"), value("tallycast_draining")), (1.0, 0.0));
}

#[tokio::test]
async fn a_reload_that_fails_is_seen() {
    let server = Server::start().await;
    let seen = async |line: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !scrape(&server, "").await.body.lines().any(|known| known == line) {
            assert!(Instant::now() < deadline, "{line} is not seen:\n{}", server.log());
        }
    };
    std::fs::write(server.folder().join("tallycast.toml"), "listen = ").expect("a file");
    server.signal("HUP");
    seen("tallycast_reload_success 0").await;
    server.setup().write(server.folder());
    server.signal("HUP");
    seen("tallycast_reload_success 1").await;
}

#[tokio::test]
async fn refused_calls_and_connections_are_counted_by_reason() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.call("get_group_info", json!({"GroupIdList": ["nowhere"]})).await.ok();
    RawClient::http(server.addr(), "/v4/group_open_http_svc/get_group_info").await;
    let mut raw = RawClient::tcp(server.addr()).await;
    let path = "/v4/group_open_http_svc/destroy_group?sdkappid=1400000000&identifier=administrator&usersig=x&random=1&contenttype=json";
    raw.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).await;
    assert_eq!(raw.reply().await.json()["ErrorCode"], 70003);
    assert_eq!(RawClient::upgrade_with(server.addr(), "Origin: http://evil.example\r\n").await.status, 403);
    let _ann = server.user("ann").await;

    let text = scrape(&server, "").await.body;
    for line in [
        "tallycast_rest_answers_total{command=\"get_group_info\",code=\"0\"} 1",
        "tallycast_rest_answers_total{command=\"none\",code=\"60002\"} 1",
        "tallycast_rest_answers_total{command=\"destroy_group\",code=\"70003\"} 1",
        "tallycast_rest_answer_seconds_count{command=\"get_group_info\"} 1",
        "tallycast_connections_refused_total{reason=\"origin\"} 1",
        "tallycast_connections_refused_total{reason=\"draining\"} 0",
        "tallycast_connections_opened_total 1",
        "tallycast_accept_errors_total 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing:\n{text}");
    }
}

#[tokio::test]
async fn the_page_explains_each_reason_and_each_trouble() {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).expect("the page");
    let text = scrape(&Server::start().await, "").await.body;
    for label in ["{reason=\"", "{trouble=\""] {
        let names: Vec<_> = text.lines().filter_map(|line| line.split_once(label)?.1.split('"').next()).collect();
        assert!(names.len() > 2, "{text}");
        assert!(names.iter().all(|name| page.contains(&format!("`{name}`"))), "{names:?}");
    }
}
