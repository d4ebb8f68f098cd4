//! A proxy between a load test and its server that does one bad thing: it swallows pushes, cuts the connection in place of an
//! answer, loses a write and doubles another, or spells JSON in a way of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What it does to the frames of the server.
#[derive(Clone, Copy)]
pub enum Mischief {
    /// The connection of this number hears no push.
    SwallowPushes(usize),
    /// So many answers to writes, of all connections together, end their connection in place of being told.
    CutAnswers(usize),
    /// In place of so many answers to writes, 10002: the fate of the write is open.
    DoubtAnswers(usize),
    /// One write never reaches the server and is answered all the same, and the next one counts twice.
    LoseOneDoubleOne,
    /// The same JSON in other words: spaces, lines and another order of fields.
    Reformat,
}

/// What all connections share.
#[derive(Default)]
struct Deeds {
    /// Answers to writes that were spoilt.
    spoilt: AtomicUsize,
    /// Writes that were asked for.
    writes: AtomicUsize,
    /// The newest value and version that an answer told.
    newest: Mutex<(i64, u64)>,
    /// The request that was doubled, until its second answer has been swallowed.
    doubled: Mutex<Option<u64>>,
}

/// The writes that are lost and doubled, counted from 0.
const LOST: usize = 5;
const DOUBLED: usize = 6;

/// Starts it in front of the server. It ends with the test's runtime.
pub async fn between(server: SocketAddr, mischief: Mischief) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let deeds = Arc::new(Deeds::default());
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            tokio::spawn(relay(client, upstream, number, mischief, deeds.clone()));
        }
    });
    address
}

async fn relay(client: TcpStream, upstream: TcpStream, number: usize, mischief: Mischief, deeds: Arc<Deeds>) {
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), upstream.into_split());
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let up = tokio::spawn(ask(from_client, to_server, to_client.clone(), mischief, deeds.clone()));
    let mut frames = Frames { stream: from_server, unread: Vec::new() };
    while let Some(bytes) = frames.next().await {
        let Some(bytes) = answered(bytes, number, mischief, &deeds) else { break };
        if to_client.lock().await.write_all(&bytes).await.is_err() {
            break;
        }
    }
    up.abort();
}

/// What becomes of the server's bytes; nothing: the connection ends.
fn answered(bytes: Vec<u8>, number: usize, mischief: Mischief, deeds: &Deeds) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let spoil = |most: usize| is_of_a_write(&text) && deeds.spoilt.fetch_add(1, Ordering::Relaxed) < most;
    Some(match mischief {
        Mischief::SwallowPushes(victim) if victim == number && text.contains("GROUP_COUNTER_UPDATED") => Vec::new(),
        Mischief::CutAnswers(most) if spoil(most) => return None,
        Mischief::DoubtAnswers(most) if spoil(most) => doubtful(&text),
        Mischief::LoseOneDoubleOne if is_of_a_write(&text) => {
            let answer: Value = serde_json::from_slice(payload(&bytes)).expect("an answer is JSON");
            let (id, data) = (answer["id"].as_u64(), &answer["data"]);
            *deeds.newest.lock().unwrap() = (data["value"].as_i64().expect("a value"), data["version"].as_u64().expect("a version"));
            let mut doubled = deeds.doubled.lock().unwrap();
            match *doubled == id && data["replayed"].is_null() && data["value"].as_i64() == Some(DOUBLED as i64 + 1) {
                true => {
                    *doubled = None;
                    Vec::new()
                }
                false => bytes,
            }
        }
        Mischief::Reformat if bytes[0] == 0x81 => {
            let heard: Value = serde_json::from_slice(payload(&bytes)).expect("a text is JSON");
            text_frame(&format!("{heard:#}\n"))
        }
        _ => bytes,
    })
}

/// The client's bytes on their way to the server.
async fn ask(
    from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    mischief: Mischief,
    deeds: Arc<Deeds>,
) {
    let mut frames = Frames { stream: from_client, unread: Vec::new() };
    while let Some(mut bytes) = frames.next().await {
        let request: Value = serde_json::from_slice(&unmasked(&bytes)).unwrap_or_default();
        let is_write = request["key"].as_str().is_some_and(|key| key == "bench-1");
        if matches!(mischief, Mischief::LoseOneDoubleOne) && is_write {
            let id = request["id"].as_u64().expect("a number");
            match deeds.writes.fetch_add(1, Ordering::Relaxed) {
                LOST => {
                    let (value, version) = *deeds.newest.lock().unwrap();
                    let room = &request["groupID"];
                    let told = format!(r#""value":{},"version":{}"#, value + 1, version + 1);
                    let answer = text_frame(&format!(r#"{{"id":{id},"code":0,"data":{{"groupID":{room},"key":"bench-1",{told}}}}}"#));
                    to_client.lock().await.write_all(&answer).await.expect("the client is there");
                    continue;
                }
                DOUBLED => {
                    *deeds.doubled.lock().unwrap() = Some(id);
                    let mut again = request;
                    again["opID"] = json!("twice");
                    bytes.extend(masked(&again.to_string()));
                }
                _ => {}
            }
        }
        if to_server.write_all(&bytes).await.is_err() {
            break;
        }
    }
}

fn is_of_a_write(text: &str) -> bool {
    text.contains("\"key\":") && text.contains("\"code\":0")
}

/// The frame that tells the same request of a failed disk.
fn doubtful(answer: &str) -> Vec<u8> {
    let (_, after) = answer.split_once("\"id\":").expect("an answer has an id");
    let (id, _) = after.split_once(',').expect("more follows");
    text_frame(&format!("{{\"id\":{id},\"code\":10002,\"message\":\"the disk failed\"}}"))
}

fn text_frame(text: &str) -> Vec<u8> {
    [&head(text, 0)[..], text.as_bytes()].concat()
}

/// A client's frame. A mask of zeros is a mask.
fn masked(text: &str) -> Vec<u8> {
    [&head(text, 0x80)[..], &[0; 4], text.as_bytes()].concat()
}

fn head(text: &str, mask: u8) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    if length < 126 { vec![0x81, mask | length as u8] } else { [&[0x81, mask | 126], &length.to_be_bytes()[..]].concat() }
}

/// What a frame of the server holds.
fn payload(frame: &[u8]) -> &[u8] {
    if frame[1] & 0x7f == 126 { &frame[4..] } else { &frame[2..] }
}

/// What a frame of the client holds.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    if frame[0] != 0x81 {
        return Vec::new();
    }
    let (mask, bytes) = payload(frame).split_at(4);
    bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// What one side sends, head of the handshake first, then frame by frame.
struct Frames {
    stream: OwnedReadHalf,
    unread: Vec<u8>,
}

impl Frames {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.whole() {
                return Some(self.unread.drain(..length).collect());
            }
            let mut chunk = [0; 4096];
            let n = self.stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
            self.unread.extend_from_slice(&chunk[..n]);
        }
    }

    fn whole(&self) -> Option<usize> {
        let length = match self.unread.as_slice() {
            [b'H' | b'G', ..] => self.unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4,
            [_, second, a, b, ..] if second & 0x7f == 126 => 4 + mask_bytes(*second) + usize::from(u16::from_be_bytes([*a, *b])),
            [_, second, ..] => 2 + mask_bytes(*second) + usize::from(second & 0x7f),
            _ => return None,
        };
        (self.unread.len() >= length).then_some(length)
    }
}

fn mask_bytes(second: u8) -> usize {
    if second & 0x80 == 0 { 0 } else { 4 }
}
