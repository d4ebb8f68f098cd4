//! A proxy between a load test and its server that does one bad thing: it swallows pushes, or cuts the connection in place of an
//! answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
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
}

/// Starts it in front of the server. It ends with the test's runtime.
pub async fn between(server: SocketAddr, mischief: Mischief) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let cut = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            tokio::spawn(relay(client, upstream, number, mischief, cut.clone()));
        }
    });
    address
}

async fn relay(client: TcpStream, upstream: TcpStream, number: usize, mischief: Mischief, cut: Arc<AtomicUsize>) {
    let ((mut from_client, mut to_client), (from_server, mut to_server)) = (client.into_split(), upstream.into_split());
    let up = tokio::spawn(async move { drop(tokio::io::copy(&mut from_client, &mut to_server).await) });
    let mut frames = Frames { stream: from_server, unread: Vec::new() };
    while let Some(bytes) = frames.next().await {
        let text = String::from_utf8_lossy(&bytes);
        let spoil = match mischief {
            Mischief::SwallowPushes(victim) if victim == number && text.contains("GROUP_COUNTER_UPDATED") => continue,
            Mischief::SwallowPushes(_) => false,
            Mischief::CutAnswers(most) | Mischief::DoubtAnswers(most) => is_of_a_write(&text) && cut.fetch_add(1, Ordering::Relaxed) < most,
        };
        let bytes = match mischief {
            Mischief::DoubtAnswers(_) if spoil => doubtful(&text),
            _ if spoil => break,
            _ => bytes,
        };
        if to_client.write_all(&bytes).await.is_err() {
            break;
        }
    }
    up.abort();
}

fn is_of_a_write(text: &str) -> bool {
    text.contains("\"key\":") && text.contains("\"code\":0")
}

/// The frame that tells the same request of a failed disk.
fn doubtful(answer: &str) -> Vec<u8> {
    let (_, after) = answer.split_once("\"id\":").expect("an answer has an id");
    let (id, _) = after.split_once(',').expect("more follows");
    let text = format!("{{\"id\":{id},\"code\":10002,\"message\":\"the disk failed\"}}");
    [&[0x81, u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat()
}

/// What the server sends, head of the handshake first, then frame by frame.
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
            [b'H', ..] => self.unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4,
            [_, 126, a, b, ..] => 4 + usize::from(u16::from_be_bytes([*a, *b])),
            [_, length, ..] => 2 + usize::from(*length),
            _ => return None,
        };
        (self.unread.len() >= length).then_some(length)
    }
}
