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
mod intake;
mod members;
pub mod ops;
mod wire;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service, service_fn};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::TcpStream;

use api::Rest;
use wire::{Notes, Overdue, Wire};

/// Limits of plain HTTP connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for a whole request head. Zero: no limit.
    pub head_deadline: Duration,
    /// How long a connection may be idle between two requests. Zero: no limit.
    pub keep_alive: Duration,
    /// How long a client may take nothing of an answer. Zero: no limit.
    pub stall_deadline: Duration,
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

/// Further away than any deadline.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
/// The smallest buffer that the HTTP library works with.
const BUFFER_BYTES_MIN: usize = 8192;

/// Bytes of answers that the kernel holds in advance, beyond those that are on their way. With megabytes of them nobody could tell
/// slow readers, who would seem to take nothing for minutes, from those who take nothing.
const UNSENT_BYTES_MAX: u32 = 16 * 1024;

/// What is left of a connection.
pub enum End {
    /// Nothing that anybody has to see to.
    Gone,
    /// The next request head did not come in time.
    Late(TcpStream),
    /// The last answer was given before everything was read.
    Unread(TcpStream),
    /// The client was told that it speaks WebSocket from now on; these bytes came after that request.
    Upgraded(TcpStream, Vec<u8>),
}

/// Serves plain HTTP on a connection of which `early` bytes were read before. `handshake` answers requests that want a WebSocket.
/// Once `stopping` is over, the call under way is answered and the connection closed.
pub async fn serve(
    stream: TcpStream,
    early: Vec<u8>,
    peer: SocketAddr,
    routes: Arc<Routes>,
    limits: Limits,
    handshake: impl Fn(&Request<Incoming>) -> Option<Response<String>> + 'static,
    stopping: impl Future<Output = ()>,
) -> End {
    let mut builder = http1::Builder::new();
    // Its own deadline would be one for a head and for a connection that nobody uses.
    builder.timer(TokioTimer::new()).header_read_timeout(None);
    if limits.headers_max > 0 {
        builder.max_headers(limits.headers_max);
    }
    builder.max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN));
    // Where it cannot be set, the peer has gone: reading will tell.
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    let notes = Notes::new();
    let wire = TokioIo::new(Wire::new(stream, early, notes.clone()));
    let left = Rc::new(Left::default());
    let site = Rc::new(Site { routes, peer, handshake, left: left.clone(), notes: notes.clone() });
    let service = service_fn(move |request: Request<Incoming>| {
        let site = site.clone();
        // The library wants a future that can be moved, or it would not give the connection back.
        Box::pin(async move { site.answer(request).await })
    });
    let mut connection = builder.serve_connection(wire, service);
    match watched(&mut connection, &notes, &limits, stopping).await {
        Err(Overdue::Head) => return End::Late(connection.into_parts().io.into_inner().into_parts(&[]).0),
        Err(overdue) => tracing::debug!(%peer, ?overdue, "an HTTP connection is closed"),
        Ok(ended) => {
            if let Err(e) = &ended {
                tracing::debug!(%peer, "an HTTP connection ended: {e}");
            }
            let parts = connection.into_parts();
            let (stream, unread) = parts.io.into_inner().into_parts(&parts.read_buf);
            if left.upgraded.get() && ended.is_ok() {
                return End::Upgraded(stream, unread);
            }
            // Further requests may wait where the connection was to be closed after the last one.
            if left.body.get() || !unread.is_empty() || matches!(stream.try_read(&mut [0]), Ok(1..)) {
                return End::Unread(stream);
            }
        }
    }
    End::Gone
}

/// Serves a connection until it is done, or until something takes too long.
async fn watched<S, F>(
    connection: &mut http1::Connection<TokioIo<Wire>, S>,
    notes: &Notes,
    limits: &Limits,
    stopping: impl Future<Output = ()>,
) -> Result<hyper::Result<()>, Overdue>
where
    S: HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future = F> + Unpin,
    F: Future<Output = Result<Response<axum::body::Body>, Infallible>> + Unpin,
{
    let (mut stopping, mut stopped) = (pin!(stopping), false);
    let mut armed = Instant::now() + FAR;
    let mut timer = pin!(tokio::time::sleep_until(armed.into()));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(Ok(ended));
            }
            if stopped || stopping.as_mut().poll(cx).is_pending() {
                break;
            }
            stopped = true;
            notes.stop();
            Pin::new(&mut *connection).graceful_shutdown();
        }
        loop {
            let Some((at, overdue)) = notes.next_deadline(limits) else { return Poll::Pending };
            // A later deadline is looked at when the earlier one comes: calls that follow each other move no timer.
            if at < armed {
                armed = at;
                timer.as_mut().reset(armed.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= at {
                return Poll::Ready(Err(overdue));
            }
            armed = at;
            timer.as_mut().reset(armed.into());
        }
    })
    .await
}

/// What the answers of one connection leave behind.
#[derive(Default)]
struct Left {
    /// A WebSocket was agreed on.
    upgraded: Cell<bool>,
    /// The last request had a body that may not have been read.
    body: Cell<bool>,
}

/// What one connection's requests lead to.
struct Site<H> {
    routes: Arc<Routes>,
    peer: SocketAddr,
    handshake: H,
    left: Rc<Left>,
    notes: Rc<Notes>,
}

impl<H: Fn(&Request<Incoming>) -> Option<Response<String>>> Site<H> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<axum::body::Body>, Infallible> {
        let _call = self.notes.call();
        let has_body = !request.body().is_end_stream();
        if let Some(response) = (self.handshake)(&request) {
            self.left.upgraded.set(response.status() == StatusCode::SWITCHING_PROTOCOLS);
            self.left.body.set(has_body);
            return Ok(response.map(axum::body::Body::from));
        }
        let (whole, response) = match self.routes.calls_at(request.uri().path()) {
            Some(calls) => {
                let response = api::serve(calls, self.peer, request).await;
                (!response.headers().contains_key(header::CONNECTION), Ok(response))
            }
            None => (!has_body, TowerToHyperService::new(self.routes.others.clone()).call(request).await),
        };
        self.left.body.set(!whole);
        response
    }
}
