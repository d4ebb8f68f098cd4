//! The HTTP door: the vendor's REST calls, health, metrics and files. It tells groups what the socket door tells them, by the
//! same commands.

mod accounts;
pub mod api;
pub mod assets;
pub mod audit;
mod body;
mod caller;
mod counters;
mod export;
mod groups;
mod members;
pub mod ops;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use bytes::{Buf, Bytes};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Limits of plain HTTP connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for a whole request head; also how long a kept-alive connection may be idle. Zero: no limit.
    pub head_deadline: Duration,
    /// The longest request head, in bytes.
    pub head_bytes_max: usize,
    /// Header lines in a request head.
    pub headers_max: usize,
}

/// The smallest buffer that the HTTP library works with.
const BUFFER_BYTES_MIN: usize = 8192;

/// Serves plain HTTP on a connection of which `early` bytes were read before. Once `stopping` is over, the call under way is
/// answered and the connection closed.
pub async fn serve(
    stream: TcpStream,
    early: Vec<u8>,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    stopping: impl Future<Output = ()>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    if !limits.head_deadline.is_zero() {
        builder.header_read_timeout(limits.head_deadline);
    }
    if limits.headers_max > 0 {
        builder.max_headers(limits.headers_max);
    }
    builder.max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN));
    let stream = TokioIo::new(Rewound { early: early.into(), stream });
    let service = TowerToHyperService::new(router.layer(axum::Extension(api::Peer(peer))));
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%peer, "an HTTP connection ended: {e}");
    }
}

/// A connection whose first bytes were read already.
struct Rewound {
    early: Bytes,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let n = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..n]);
        self.early.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
