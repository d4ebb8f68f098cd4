//! The first request head of a connection: one deadline over all of it, and limits on its size before any of it is believed.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Limits;
use super::handshake::Rejection;
use super::turnstile::Turnstile;

/// What is read before it is known what is wanted.
pub struct Head {
    /// All bytes read so far.
    pub bytes: Vec<u8>,
    /// How many of them are the head.
    pub len: usize,
}

/// Why there is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// The peer went away.
    Gone,
    /// It took too long.
    Late,
    /// Too many bytes or too many header lines.
    TooLarge,
    /// No HTTP/1 request.
    Malformed,
}

/// How long a connection that was told its end may take to go.
pub const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are still read from it meanwhile. A body that was too large ends before, or does so on purpose.
const LINGER_BYTES_MAX: usize = 8 << 20;

/// Headers that a parser is given room for when their number has no limit.
const HEADERS_WITHOUT_LIMIT: usize = 256;

/// Reads until the head is complete. What is waited for at the turnstile does not count.
pub async fn read(stream: &mut TcpStream, limits: &Limits, turnstile: &Turnstile) -> Result<Head, HeadFault> {
    let (began, deadline) = (Instant::now(), limits.handshake_deadline);
    let deadline = (!deadline.is_zero()).then_some(deadline);
    in_time(deadline, stream.readable()).await?.map_err(|_| HeadFault::Gone)?;
    let left = deadline.map(|deadline| deadline.saturating_sub(began.elapsed()));
    turnstile.pass().await;
    in_time(left, read_all(stream, limits)).await?
}

async fn in_time<T>(deadline: Option<Duration>, task: impl Future<Output = T>) -> Result<T, HeadFault> {
    match deadline {
        None => Ok(task.await),
        Some(deadline) => tokio::time::timeout(deadline, task).await.map_err(|_| HeadFault::Late),
    }
}

async fn read_all(stream: &mut TcpStream, limits: &Limits) -> Result<Head, HeadFault> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let room = match limits.head_bytes_max {
            0 => usize::MAX,
            max => max.saturating_sub(bytes.len()),
        };
        if room == 0 {
            return Err(HeadFault::TooLarge);
        }
        match (&mut *stream).take(room as u64).read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err(HeadFault::Gone),
            Ok(_) => {}
        }
        if let Some(len) = complete(&bytes, limits.headers_max)? {
            return Ok(Head { bytes, len });
        }
    }
}

fn complete(bytes: &[u8], headers_max: usize) -> Result<Option<usize>, HeadFault> {
    let room = if headers_max == 0 { HEADERS_WITHOUT_LIMIT } else { headers_max };
    let mut headers = vec![httparse::EMPTY_HEADER; room];
    match httparse::Request::new(&mut headers).parse(bytes) {
        Ok(httparse::Status::Complete(len)) => Ok(Some(len)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(HeadFault::TooLarge),
        Err(_) => Err(HeadFault::Malformed),
    }
}

/// Answers with a bare HTTP response and ends the connection.
pub async fn refuse(mut stream: TcpStream, rejection: Rejection) {
    let Rejection { status, header, text, .. } = rejection;
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let extra = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let len = text.len() + 1;
    let response = format!(
        "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\n{extra}\r\n{text}\n"
    );
    if matches!(tokio::time::timeout(LINGER, stream.write_all(response.as_bytes())).await, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Ends a connection that was told all it will be told. Closing with unread bytes would reset it and could take the answer
/// with it, so what still comes is read and dropped, for a while.
pub async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let (mut rest, mut dropped) = (vec![0; 16 * 1024], 0);
        while let Ok(n) = stream.read(&mut rest).await {
            dropped += n;
            if n == 0 || dropped > LINGER_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
