//! The language of the dialogues: a person with a WebSocket who asks, is answered, and hears pushes.
//! Every client watches one promise all the time: for each key, versions only grow, and lie above the snapshot of a join.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::PATIENCE;
use crate::usersig::sign;

/// What the other side sent next.
#[derive(Debug)]
pub enum Heard {
    Text(String),
    Close(u16, String),
    Gone(String),
}

pub struct Client {
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
    answers: VecDeque<Value>,
    events: VecDeque<Value>,
    seen: Seen,
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).await.unwrap_or_else(|fault| panic!("no handshake: {fault}"))
    }

    pub async fn try_connect(addr: SocketAddr) -> Result<Self, String> {
        let whole = async {
            let stream = TcpStream::connect(addr).await.map_err(|fault| fault.to_string())?;
            stream.set_nodelay(true).map_err(|fault| fault.to_string())?;
            client_async(format!("ws://{addr}/ws"), stream).await.map_err(|fault| fault.to_string())
        };
        let (socket, _) = timeout(PATIENCE, whole).await.map_err(|_| "no handshake in time".to_owned())??;
        Ok(Self { socket, last_id: 0, answers: VecDeque::new(), events: VecDeque::new(), seen: Seen::default() })
    }

    // ---- asking ----

    /// Sends the request under a fresh id and waits for its answer; pushes that come meanwhile are kept for later.
    pub async fn ask(&mut self, request: Value) -> Answer {
        let id = self.send(request).await;
        self.answer(id).await
    }

    /// Sends without waiting; the id fetches the answer later.
    pub async fn send(&mut self, mut request: Value) -> u64 {
        self.last_id += 1;
        request["id"] = json!(self.last_id);
        self.say(&request.to_string()).await;
        self.last_id
    }

    /// Sends the text as it stands.
    pub async fn say(&mut self, text: &str) {
        if let Err(fault) = self.try_say(text).await {
            panic!("could not send {text}: {fault}");
        }
    }

    pub async fn try_say(&mut self, text: &str) -> Result<(), String> {
        let sent = timeout(PATIENCE, self.socket.send(Message::text(text))).await;
        sent.map_err(|_| "the pipe is full".to_owned())?.map_err(|fault| fault.to_string())
    }

    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.expect("the frame can be sent");
    }

    pub async fn answer(&mut self, id: u64) -> Answer {
        let id = json!(id);
        if let Some(at) = self.answers.iter().position(|answer| answer["id"] == id) {
            return Answer(self.answers.remove(at).expect("it was just found"));
        }
        loop {
            let frame = self.frame().await;
            if frame.get("event").is_some() {
                self.events.push_back(frame);
            } else if frame["id"] == id {
                return Answer(frame);
            } else {
                self.answers.push_back(frame);
            }
        }
    }

    /// The answer to a raw text, whatever its id: there must be no other question open.
    pub async fn reply(&mut self, text: &str) -> Answer {
        assert!(self.answers.is_empty(), "an answer is left over: {:?}", self.answers);
        self.say(text).await;
        loop {
            let frame = self.frame().await;
            if frame.get("event").is_none() {
                return Answer(frame);
            }
            self.events.push_back(frame);
        }
    }

    // ---- hearing ----

    /// The next frame of any kind in the order of its coming; nothing may be waiting in the queues.
    pub async fn frame(&mut self) -> Value {
        match self.hear().await {
            Heard::Text(text) => serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")),
            end => panic!("waited for a frame, got {end:?}"),
        }
    }

    pub async fn hear(&mut self) -> Heard {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes in time");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(text.as_str()).unwrap_or(Value::Null);
                    self.seen.watch(&frame);
                    return Heard::Text(text.as_str().to_owned());
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Close(frame.code.into(), frame.reason.as_str().to_owned());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("the server sent {other:?}"),
                Some(Err(fault)) => return Heard::Gone(fault.to_string()),
                None => return Heard::Gone("end of the stream".to_owned()),
            }
        }
    }

    pub async fn event(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let frame = self.frame().await;
        assert!(frame.get("event").is_some(), "waited for an event, got the answer {frame}");
        frame
    }

    /// The next event must be this one; its data is returned.
    pub async fn expect_event(&mut self, name: &str) -> Value {
        let event = self.event().await;
        assert_eq!(event["event"], name, "{event}");
        event["data"].clone()
    }

    /// The next event must be the push of exactly this value; its version is returned.
    pub async fn expect_push(&mut self, group: &str, key: &str, value: i64) -> u64 {
        let data = self.expect_event("GROUP_COUNTER_UPDATED").await;
        let version = data["version"].as_u64().unwrap_or_else(|| panic!("no version: {data}"));
        assert_eq!(data, json!({"groupID": group, "key": key, "value": value, "version": version}));
        version
    }

    /// Reads pushes until the key has this value, for rooms so busy that values may be skipped.
    pub async fn await_value(&mut self, group: &str, key: &str, value: i64) {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.frame().await,
            };
            if event.get("event").is_none() {
                self.answers.push_back(event);
                continue;
            }
            let data = &event["data"];
            if data["groupID"] == group && data["key"] == key && data["value"] == value {
                return;
            }
        }
    }

    /// Proves by the round trip of a ping that nothing has been pushed up to now.
    pub async fn no_push_until_ping(&mut self) {
        self.ask(json!({"cmd": "ping"})).await.ok();
        assert!(self.events.is_empty(), "there should be no push: {:?}", self.events);
    }

    /// Whatever still comes, the connection ends with this code; the reason is returned.
    pub async fn expect_close(&mut self, code: u16) -> String {
        loop {
            match self.hear().await {
                Heard::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
                    if frame.get("event").is_some() { &mut self.events } else { &mut self.answers }.push_back(frame);
                }
                Heard::Close(seen, reason) => {
                    assert_eq!(seen, code, "closed for another reason: {reason}");
                    return reason;
                }
                Heard::Gone(fault) => panic!("no close frame, waited for {code}: {fault}"),
            }
        }
    }

    /// The answers that nobody has fetched by their id.
    pub fn unfetched(&mut self) -> Vec<Value> {
        self.answers.drain(..).collect()
    }

    pub fn pushed(&mut self) -> Vec<Value> {
        self.events.drain(..).collect()
    }

    pub async fn login(&mut self, user: &str) -> Answer {
        self.login_with(user, &sign(user)).await
    }

    pub async fn login_with(&mut self, user: &str, sig: &str) -> Answer {
        self.ask(json!({"cmd": "login", "userID": user, "userSig": sig})).await
    }

    /// Says goodbye and waits for the other side to agree, so that the server knows it has gone.
    pub async fn leave(mut self) {
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = timeout(PATIENCE, self.socket.next()).await.expect("the close is answered") {}
    }
}

/// An answer, to be judged by what the dialogue expects of it.
#[derive(Debug, Clone)]
pub struct Answer(pub Value);

impl Answer {
    /// The data of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.0["code"], 0, "{}", self.0);
        assert!(self.0["data"].is_object(), "an answer carries data: {}", self.0);
        self.0["data"].clone()
    }

    /// The whole answer of a refusal, which says why.
    #[track_caller]
    pub fn refused(self, code: i64) -> Value {
        assert_eq!(self.0["code"], code, "{}", self.0);
        assert!(self.0["message"].as_str().is_some_and(|text| !text.is_empty()), "no message: {}", self.0);
        assert!(self.0.get("data").is_none(), "a refusal has no data: {}", self.0);
        self.0
    }

    /// A refusal with 10004 that names the field at fault.
    #[track_caller]
    pub fn names(self, field: &str) {
        let answer = self.refused(10004);
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(message.contains(field), "the field {field} is not named: {message}");
    }
}

/// What a connection has been told so far of each group's versions.
#[derive(Default)]
struct Seen {
    floor: HashMap<String, u64>,
    newest: HashMap<(String, String), u64>,
    epochs: HashMap<String, String>,
}

impl Seen {
    fn watch(&mut self, frame: &Value) {
        let data = &frame["data"];
        let group = data["groupID"].as_str().or(data["group"]["groupID"].as_str()).unwrap_or_default().to_owned();
        match frame["event"].as_str() {
            Some("GROUP_COUNTER_UPDATED") => {
                let version = data["version"].as_u64().unwrap_or_else(|| panic!("no version: {frame}"));
                let floor = self.floor.get(&group).copied().unwrap_or(0);
                assert!(version > floor, "a push not above the snapshot's version {floor}: {frame}");
                let key = data["key"].as_str().unwrap_or_else(|| panic!("no key: {frame}")).to_owned();
                let before = self.newest.insert((group, key), version).unwrap_or(0);
                assert!(version > before, "version {before} was followed by {frame}");
            }
            Some("GROUP_DISMISSED" | "GROUP_RESYNC") => self.forget(&group),
            // Whoever is out does not hear of the group's end.
            Some("GROUP_MEMBERSHIP_CHANGED") if data["status"] == "removed" => self.forget(&group),
            None if data["status"].is_string() => {
                // Somebody who was out did not hear that the group ended; what he joins now is another one.
                let epoch = data["epoch"].as_str().unwrap_or_default().to_owned();
                if self.epochs.insert(group.clone(), epoch.clone()).is_some_and(|before| before != epoch) {
                    self.forget(&group);
                }
                self.floor.insert(group, data["version"].as_u64().unwrap_or_default());
            }
            // A group that its owner dismissed begins again at version 0; only creating it anew shows that.
            None if data["group"].is_object() => self.forget(&group),
            _ => {}
        }
    }

    fn forget(&mut self, group: &str) {
        self.floor.remove(group);
        self.newest.retain(|(of, _), _| of != group);
    }
}
