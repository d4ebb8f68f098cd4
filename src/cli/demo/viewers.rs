//! Simulated viewers: clients like any other, over real sockets, who join a room, like what they see, and come back when they
//! are thrown out.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::SIG_SECONDS;
use crate::auth::Keyring;
use crate::clock::unix_millis;
use crate::domain::name::UserId;

/// Rooms that anybody may join.
const ROOMS: [&str; 3] = ["live-stage", "game-lounge", "vote-plaza"];
const CALM: Range<u64> = 400..3000;
/// A viewer has little to read at a time, and there may be a thousand of them.
const READ_BYTES: usize = 4096;

/// One simulated viewer.
pub(super) struct Viewer {
    pub(super) address: SocketAddr,
    pub(super) keyring: Arc<Keyring>,
    pub(super) name: String,
    pub(super) room: String,
    /// Milliseconds between two taps. From 260 on they keep within the throttle.
    pub(super) pause: Range<u64>,
}

/// Lets so many viewers come, for as long as the demo runs.
pub(super) fn come(address: SocketAddr, keyring: &Arc<Keyring>, count: u16) {
    for number in 0..count {
        let room = ROOMS[usize::from(number) % ROOMS.len()].to_owned();
        let viewer = Viewer { address, keyring: keyring.clone(), name: format!("sim-{number}"), room, pause: CALM };
        tokio::spawn(viewer.remain());
    }
}

impl Viewer {
    /// Stays in the room, and comes back whenever the connection is lost. Never ends.
    pub(super) async fn remain(self) {
        for failures in 1u32.. {
            if let Err(e) = self.visit().await {
                tracing::debug!("a simulated viewer left: {e:#}");
            }
            // A room that lets nobody in is not to be knocked at by a thousand viewers every second.
            tokio::time::sleep(millis(500..3000) * failures.min(10)).await;
        }
    }

    async fn visit(&self) -> anyhow::Result<()> {
        let user = UserId::parse(&self.name)?;
        let stream = TcpStream::connect(self.address).await?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        let (mut socket, _) = client_async_with_config(format!("ws://{}/ws", self.address), stream, Some(config)).await?;
        let sig = self.keyring.sign(&user, unix_millis() / 1000, SIG_SECONDS);
        ask(&mut socket, json!({"id": 1, "cmd": "login", "userID": user.as_str(), "userSig": sig})).await?;
        ask(&mut socket, json!({"id": 2, "cmd": "joinGroup", "groupID": self.room})).await?;
        loop {
            let pause = tokio::time::sleep(millis(self.pause.clone()));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    heard = socket.next() => drop(heard.context("the gateway closed")??),
                }
            }
            let tap = json!({"id": 3, "cmd": "increaseGroupCounter", "groupID": self.room, "key": fancy(), "value": 1});
            socket.send(Message::text(tap.to_string())).await?;
        }
    }
}

/// What a viewer taps: nearly always the heart, sometimes a gift, and the grander the gift the seldomer.
fn fancy() -> &'static str {
    match fastrand::u8(..100) {
        0..90 => "like",
        90..96 => "rose",
        96..99 => "crown",
        _ => "rocket",
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

fn millis(range: Range<u64>) -> Duration {
    Duration::from_millis(fastrand::u64(range))
}
