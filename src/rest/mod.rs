//! The HTTP door: the vendor's REST calls, health, metrics and files. It tells groups what the socket door tells them, by the
//! same commands.

mod accounts;
mod answer;
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

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use bytes::{Buf, Bytes};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use api::Rest;

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

/// What has an address.
#[derive(Clone)]
pub struct Routes {
    /// `/v4/…`, where it is served.
    pub calls: Option<Arc<Rest>>,
    /// Everything else.
    pub others: Router,
}

impl Routes {
    /// The calls that a path leads to. They are what back ends send all day, so they do not go through a router.
    fn calls_at(&self, path: &str) -> Option<&Arc<Rest>> {
        let calls = path.strip_prefix("/v4").is_some_and(|more| more.is_empty() || more.starts_with('/'));
        self.calls.as_ref().filter(|_| calls)
    }
}

/// The smallest buffer that the HTTP library works with.
const BUFFER_BYTES_MIN: usize = 8192;

/// Serves plain HTTP on a connection of which `early` bytes were read before. Once `stopping` is over, the call under way is
/// answered and the connection closed.
pub async fn serve(
    stream: TcpStream,
    early: Vec<u8>,
    peer: SocketAddr,
    routes: Arc<Routes>,
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
    let service = service_fn(move |request: Request<Incoming>| {
        let routes = routes.clone();
        async move {
            match routes.calls_at(request.uri().path()) {
                Some(calls) => Ok(api::serve(calls, peer, request).await),
                None => TowerToHyperService::new(routes.others.clone()).call(request).await,
            }
        }
    });
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
