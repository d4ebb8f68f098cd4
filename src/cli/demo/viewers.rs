//! Simulated viewers: clients like any other, over real sockets, who join a room, like what they see, and come back when they
//! are thrown out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{SIG_SECONDS, unix_seconds};
use crate::auth::Keyring;
use crate::domain::name::UserId;

/// Rooms that anybody may join.
const ROOMS: [&str; 3] = ["live-stage", "game-lounge", "vote-plaza"];

/// Lets so many viewers come, for as long as the demo runs.
pub(super) fn come(address: SocketAddr, keyring: Arc<Keyring>, count: u16) {
    for number in 0..count {
        let keyring = keyring.clone();
        tokio::spawn(async move {
            loop {
                if let Err(e) = stay(address, &keyring, number).await {
                    tracing::debug!("a simulated viewer left: {e:#}");
                }
                tokio::time::sleep(millis(500, 3000)).await;
            }
        });
    }
}

async fn stay(address: SocketAddr, keyring: &Keyring, number: u16) -> anyhow::Result<()> {
    let user = UserId::parse(&format!("sim-{number}"))?;
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = client_async(format!("ws://{address}/ws"), stream).await?;
    let sig = keyring.sign(&user, unix_seconds(), SIG_SECONDS);
    let room = ROOMS[usize::from(number) % ROOMS.len()];
    ask(&mut socket, json!({"id": 1, "cmd": "login", "userID": user.as_str(), "userSig": sig})).await?;
    ask(&mut socket, json!({"id": 2, "cmd": "joinGroup", "groupID": room})).await?;
    loop {
        let pause = tokio::time::sleep(millis(400, 3000));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                heard = socket.next() => drop(heard.context("the gateway closed")??),
            }
        }
        let (key, value) = if fastrand::u8(..) < 24 { ("gift", 10) } else { ("like", 1) };
        let tap = json!({"id": 3, "cmd": "increaseGroupCounter", "groupID": room, "key": key, "value": value});
        socket.send(Message::text(tap.to_string())).await?;
    }
}

/// Sends a request and waits for its answer, which must be a good one.
async fn ask(socket: &mut WebSocketStream<TcpStream>, request: Value) -> anyhow::Result<()> {
    socket.send(Message::text(request.to_string())).await?;
    loop {
        let Message::Text(text) = socket.next().await.context("the gateway closed")?? else { continue };
        let answer: Value = serde_json::from_str(&text)?;
        if answer["id"] == request["id"] {
            if answer["code"] != 0 {
                bail!("{text}");
            }
            return Ok(());
        }
    }
}

fn millis(from: u64, to: u64) -> Duration {
    Duration::from_millis(fastrand::u64(from..to))
}
