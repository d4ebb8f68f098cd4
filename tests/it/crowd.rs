//! A crowd of strangers who want nothing but to be in the way: the program lives, those who are in are served all the while,
//! and others are again when the crowd has left.

use std::net::SocketAddr;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::client::Client;
use crate::raw::{RawClient, upgrade_head};
use crate::server::{PATIENCE, Server, Setup};

/// So many more than fit.
const STRANGERS: usize = 450;
const DESCRIPTORS: u32 = 400;

/// Comes again and again, says its words, and stays for as long as it is let.
async fn stranger(addr: SocketAddr, words: String) {
    loop {
        let Ok(mut stream) = TcpStream::connect(addr).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.write_all(words.as_bytes()).await;
        let mut answer = [0; 1024];
        while matches!(stream.read(&mut answer).await, Ok(n) if n > 0) {}
        // Told to go, it takes its time: the other side has to linger.
        sleep(Duration::from_millis(200)).await;
    }
}

fn crowd(addr: SocketAddr, words: &str) -> JoinSet<()> {
    (0..STRANGERS).map(|_| stranger(addr, words.to_owned())).collect()
}

/// A number of the metrics.
async fn metric(addr: SocketAddr, name: &str) -> u64 {
    let reply = RawClient::http(addr, "/metrics").await;
    assert_eq!(reply.status, 200, "the metrics are there for whoever runs it: {}", reply.head);
    let line = reply.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {}", reply.body))
}

/// A server that has room for fewer than want to come: itself, its public address and its internal one.
async fn few_descriptors() -> (Server, SocketAddr, SocketAddr) {
    let setup = Setup::new().unthrottled().set("shards", 2).set("internal_listen", "127.0.0.1:0").descriptors(DESCRIPTORS);
    let mut server = setup.limit("handshake_deadline", "1m").limit("login_deadline", "1m").start().await;
    let addresses = server.addresses(2).await;
    match RawClient::http(addresses[0], "/readyz").await.status {
        200 => (server, addresses[1], addresses[0]),
        _ => (server, addresses[0], addresses[1]),
    }
}

/// Writes while the crowd is at the door, until the journal was merged a few times; then the crowd leaves.
async fn a_member_among(words: &str) {
    let (mut server, addr, internal) = few_descriptors().await;
    let mut ann = Client::connect(addr).await;
    ann.login("ann").await.ok();
    let room = ann.create("ChatRoom").await;
    let strangers = crowd(addr, words);
    let (mut writes, begun, merges) = (0, Instant::now(), metric(internal, "tallycast_store_merges_total").await);
    loop {
        for _ in 0..20 {
            writes += 1;
            assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], writes);
        }
        assert_eq!(RawClient::http(internal, "/readyz").await.status, 200);
        if metric(internal, "tallycast_store_merges_total").await >= merges + 3 {
            break;
        }
        assert!(begun.elapsed() < 4 * PATIENCE, "the journal is never merged");
        sleep(Duration::from_millis(20)).await;
    }
    drop(strangers);
    let begun = Instant::now();
    let mut ben = loop {
        match Client::try_connect(addr).await {
            Ok(client) => break client,
            Err(fault) => assert!(begun.elapsed() < PATIENCE, "nobody is let in after the crowd has left: {fault}"),
        }
        sleep(Duration::from_millis(20)).await;
    };
    ben.login("ben").await.ok();
    ben.join(&room).await.ok();
    assert_eq!(ben.counters(&room).await["like"], writes);
    server.restart("KILL").await;
    let addresses = server.addresses(2).await;
    let mut found = 0;
    for addr in addresses {
        // The internal address speaks no WebSocket.
        if let Ok(mut ann) = Client::try_connect(addr).await {
            ann.login("ann").await.ok();
            assert_eq!(ann.counters(&room).await["like"], writes, "what was answered is kept");
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_crowd_that_says_nothing_ends_nothing() {
    a_member_among("").await;
}

#[tokio::test]
async fn a_crowd_that_is_told_to_come_back_ends_nothing() {
    a_member_among(&upgrade_head(([127, 0, 0, 1], 1).into(), "")).await;
}

#[derive(Debug, PartialEq)]
enum Became {
    Served,
    Told,
    Closed,
}

/// Says nothing, and tells what becomes of it.
async fn silent(addr: SocketAddr) -> (Became, Option<TcpStream>) {
    let mut answer = Vec::new();
    // It may be closed before its side knows that it was accepted.
    let Ok(mut stream) = TcpStream::connect(addr).await else { return (Became::Closed, None) };
    match tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await {
        Err(_) => (Became::Served, Some(stream)),
        Ok(_) if answer.is_empty() => (Became::Closed, None),
        Ok(_) => {
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: "), "{answer}");
            (Became::Told, Some(stream))
        }
    }
}

#[tokio::test]
async fn those_for_whom_there_is_no_place_are_told_so_and_above_that_closed_at_once() {
    let (_server, addr, _) = few_descriptors().await;
    let all: JoinSet<_> = (0..STRANGERS).map(|_| silent(addr)).collect();
    let all = all.join_all().await;
    let count = |what: Became| all.iter().filter(|(became, _)| *became == what).count();
    let (served, told, closed) = (count(Became::Served), count(Became::Told), count(Became::Closed));
    assert!(served > 100 && told > 0 && closed > 0, "{served} served, {told} told, {closed} closed");
    assert!(told < served / 2, "{served} served, {told} told, {closed} closed");
}

/// With the limit put down while it runs, nothing can be accepted any more; that passes, and is no reason to fill the log.
#[tokio::test]
async fn without_a_descriptor_it_waits_and_says_so_once_a_second_at_most() {
    let server = Setup::new().set("shards", 2).start().await;
    let mut ann = server.user("ann").await;
    let limit = |soft: &str| {
        let set = Command::new("prlimit").args(["--pid", &server.id().to_string(), &format!("--nofile={soft}:")]).status();
        assert!(set.expect("prlimit can be run").success());
    };
    let before = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("it runs");
    let soft = before.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next().map(str::to_owned));
    limit("8");
    let begun = Instant::now();
    let strangers = crowd(server.addr(), "");
    let lines = || server.log().lines().filter(|line| line.contains("accept")).count();
    while lines() < 2 {
        ann.ask(serde_json::json!({"cmd": "ping"})).await.ok();
        assert!(begun.elapsed() < PATIENCE, "it does not say that it cannot accept: {}", server.log());
        sleep(Duration::from_millis(10)).await;
    }
    let (lines, seconds) = (lines(), begun.elapsed().as_secs_f64());
    assert!(lines as f64 <= seconds + 1.0, "{lines} lines in {seconds} s");
    drop(strangers);
    limit(&soft.expect("a limit"));
    Client::connect(server.addr()).await.login("ben").await.ok();
}
