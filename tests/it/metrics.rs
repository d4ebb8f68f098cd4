//! `/metrics` as Prometheus reads it: its two formats, what its own checker says, and the page that explains each figure.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::raw::{RawClient, Reply};
use crate::rest_vendor::root;
use crate::server::Server;

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
    backend.call("account_check", serde_json::json!({"CheckItem": [{"UserID": "ann"}]})).await;
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
