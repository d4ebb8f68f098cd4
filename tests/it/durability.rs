//! Killed again and again in the middle of its work, the server keeps every acknowledged write, and each exactly once.
//! `TALLYCAST_TEST_SEED` repeats a run's random choices; `TALLYCAST_TEST_ROUNDS` makes it longer.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::client::{Client, Heard};
use crate::commands::{increase, set, under};
use crate::server::{PATIENCE, Server, Setup};
use crate::usersig::sign;

const WRITERS: usize = 20;
const ROOMS: usize = 4;
const OPEN_MAX: usize = 4;

/// What the writers are told: where the server is now, and whether to begin anything new.
#[derive(Clone, Copy)]
struct Now {
    addr: Option<SocketAddr>,
    writing: bool,
}

/// A write under way, as it will be sent until it is answered.
#[derive(Clone)]
struct Operation {
    room: String,
    request: Value,
}

/// One writer's whole story.
struct Writer {
    name: String,
    rooms: Vec<String>,
    random: fastrand::Rng,
    now: watch::Receiver<Now>,
    acknowledged: mpsc::UnboundedSender<()>,
    begun: u64,
    open: BTreeMap<u64, Operation>,
    answered: HashMap<u64, (Operation, Value)>,
    repeats: u64,
}

impl Writer {
    /// Writes until told to end and until nothing is unanswered, over as many connections as it takes.
    async fn run(mut self) -> Self {
        loop {
            let now = *self.now.borrow_and_update();
            if !now.writing && self.open.is_empty() {
                return self;
            }
            if let Some(addr) = now.addr {
                // An error is a connection that broke, as it must when the server is killed.
                let _broken = self.converse(addr).await;
            }
            if self.now.borrow().addr == now.addr && (!self.open.is_empty() || self.now.borrow().writing) {
                let _ = timeout(Duration::from_millis(50), self.now.changed()).await;
            }
        }
    }

    async fn converse(&mut self, addr: SocketAddr) -> Result<(), String> {
        let mut client = Client::try_connect(addr).await?;
        let login = json!({"id": "login", "cmd": "login", "userID": self.name, "userSig": sign(&self.name)});
        client.try_say(&login.to_string()).await?;
        self.next_answer(&mut client).await?;
        for operation in self.open.clone().into_iter() {
            self.send(&mut client, operation.0, &operation.1).await?;
        }
        loop {
            while self.now.borrow().writing && self.open.len() < OPEN_MAX {
                let (id, operation) = self.next_operation();
                self.open.insert(id, operation.clone());
                self.send(&mut client, id, &operation).await?;
            }
            if self.open.is_empty() {
                return Ok(());
            }
            let answer = self.next_answer(&mut client).await?;
            self.note(&mut client, answer).await?;
        }
    }

    fn next_operation(&mut self) -> (u64, Operation) {
        self.begun += 1;
        let room = self.rooms[self.random.usize(..self.rooms.len())].clone();
        let request = match self.random.u8(..4) {
            // Two keys that only ever change together show whether a crash tears a write.
            0 => set(&room, json!({"left": self.begun, "right": self.begun})),
            1 => increase(&room, "all", 1),
            2 => json!({"cmd": "decreaseGroupCounter", "groupID": room, "key": "all", "value": -1}),
            _ => increase(&room, &format!("part-{}", self.random.u8(..5)), 1),
        };
        let request = under(&format!("{}-{}", self.name, self.begun), request);
        (self.begun, Operation { room, request })
    }

    async fn send(&self, client: &mut Client, id: u64, operation: &Operation) -> Result<(), String> {
        let mut request = operation.request.clone();
        request["id"] = json!(id);
        client.try_say(&request.to_string()).await
    }

    async fn next_answer(&self, client: &mut Client) -> Result<Value, String> {
        loop {
            match client.hear().await {
                Heard::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).map_err(|_| text)?;
                    if frame.get("event").is_none() {
                        return Ok(frame);
                    }
                }
                end => return Err(format!("{end:?}")),
            }
        }
    }

    async fn note(&mut self, client: &mut Client, answer: Value) -> Result<(), String> {
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("whose answer is this: {answer}"));
        if answer["code"] == 10002 {
            // The one answer that leaves a write's fate open: it is sent again under the same name.
            let operation = self.open[&id].clone();
            return self.send(client, id, &operation).await;
        }
        assert_eq!(answer["code"], 0, "{answer}");
        let mut data = answer["data"].clone();
        let replayed = data.as_object_mut().and_then(|data| data.remove("replayed")) == Some(json!(true));
        if let Some((_, first)) = self.answered.get(&id) {
            assert!(replayed && *first == data, "a repeat got {data} after {first}");
            self.repeats += 1;
            return Ok(());
        }
        let operation = self.open.remove(&id).unwrap_or_else(|| panic!("nobody asked: {answer}"));
        self.answered.insert(id, (operation.clone(), data));
        let _ = self.acknowledged.send(());
        if self.random.u8(..10) == 0 {
            self.send(client, id, &operation).await?;
        }
        Ok(())
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn every_acknowledged_write_is_there_exactly_once_after_many_kills() {
    let seed = setting("TALLYCAST_TEST_SEED", fastrand::u64(..));
    let rounds = setting("TALLYCAST_TEST_ROUNDS", 20);
    println!("TALLYCAST_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Setup::new().unthrottled().start().await;
    let mut owner = server.user("owner").await;
    let names: Vec<String> = (0..WRITERS).map(|n| format!("writer-{n}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rooms = Vec::new();
    for n in 0..ROOMS {
        let room = owner.create(["ChatRoom", "Public"][n % 2]).await;
        owner.add(&room, &members).await.ok();
        rooms.push(room);
    }

    let (tell, now) = watch::channel(Now { addr: Some(server.addr()), writing: true });
    let (acknowledged, mut progress) = mpsc::unbounded_channel();
    let writers: Vec<JoinHandle<Writer>> = names
        .iter()
        .map(|name| Writer {
            name: name.clone(),
            rooms: rooms.clone(),
            random: random.fork(),
            now: now.clone(),
            acknowledged: acknowledged.clone(),
            begun: 0,
            open: BTreeMap::new(),
            answered: HashMap::new(),
            repeats: 0,
        })
        .map(|writer| tokio::spawn(writer.run()))
        .collect();

    for round in 1..=rounds {
        // Only a server at work is worth killing: first some writes of this round are seen through.
        while progress.try_recv().is_ok() {}
        for _ in 0..WRITERS {
            let seen = timeout(PATIENCE, progress.recv()).await;
            assert!(matches!(seen, Ok(Some(()))), "no write comes through in round {round}, seed {seed}:\n{}", server.log());
        }
        sleep(Duration::from_micros(random.u64(..250_000))).await;
        server.restart("KILL").await;
        tell.send_replace(Now { addr: Some(server.addr()), writing: round < rounds });
    }

    let mut histories = Vec::new();
    for writer in writers {
        histories.push(timeout(PATIENCE, writer).await.expect("every write is answered in the end").expect("no writer fails"));
    }
    let repeats: u64 = histories.iter().map(|writer| writer.repeats).sum();
    assert!(repeats > 0, "no repeat was tried, seed {seed}");
    for room in &rooms {
        let counters = owner_view(&server, room).await;
        compare(room, &histories, &counters, seed);
    }
}

async fn owner_view(server: &Server, room: &str) -> Value {
    server.user("owner").await.get(room).await.ok()
}

/// The group must be what its acknowledged operations make it, applied once each in the order of their versions.
fn compare(room: &str, histories: &[Writer], data: &Value, seed: u64) {
    let mut by_version: BTreeMap<u64, (&Operation, &Value)> = BTreeMap::new();
    for (operation, answer) in histories.iter().flat_map(|writer| writer.answered.values()) {
        if operation.room == room {
            let version = answer["version"].as_u64().expect("a version");
            let other = by_version.insert(version, (operation, answer));
            assert!(other.is_none(), "version {version} was given twice, seed {seed}: {other:?} and {answer}");
        }
    }
    assert!(by_version.len() > 20, "too few writes to prove anything, seed {seed}");
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for (at, (version, (operation, answer))) in by_version.iter().enumerate() {
        assert_eq!(*version, at as u64 + 1, "a version is missing, seed {seed}");
        if let Some(counters) = operation.request["counters"].as_object() {
            for (key, value) in counters {
                expected.insert(key.clone(), value.as_i64().expect("an integer"));
            }
        } else {
            let value = expected.entry(operation.request["key"].as_str().expect("a key").to_owned()).or_default();
            *value += 1;
            assert_eq!(answer["value"], *value, "version {version} of {room}, seed {seed}");
        }
    }
    assert_eq!(data["counters"], json!(expected), "seed {seed}");
    assert_eq!(data["version"], by_version.len() as u64, "seed {seed}");
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.request)
    }
}
