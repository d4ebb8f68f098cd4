//! What plain HTTP gets: the bridge from the gateway's door to the routes, which know nothing of each other.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::gateway::Capacity;
use crate::gateway::accept::{Handshake, Http, Rest, accepted, finish};
use crate::metrics::ShardMetrics;
use crate::rest::{self, End, Routes};

/// Connections of the internal address. They have places of their own: whoever runs the gateway can look at it however many
/// strangers are at its public door.
pub(super) const INTERNAL_CONNECTIONS_MAX: usize = 32;

/// What plain HTTP gets, wherever it came in.
#[derive(Clone)]
pub(super) struct Plan {
    pub routes: Arc<Routes>,
    pub limits: rest::Limits,
    pub stopped: watch::Receiver<bool>,
}

/// What plain HTTP gets on one shard.
pub(super) struct Site {
    plan: Plan,
    /// Connections that are served.
    open: Cell<usize>,
    /// Told when the last of them has gone.
    emptied: Notify,
}

impl Site {
    pub fn new(plan: Plan) -> Rc<Self> {
        Rc::new(Self { plan, open: Cell::new(0), emptied: Notify::new() })
    }

    /// Waits until every call is answered.
    pub async fn drain(&self) {
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }

    /// Serves an internal address; all of them have places together.
    pub async fn serve_inside(self: Rc<Self>, listener: TcpListener, capacity: Rc<Capacity>, metrics: &ShardMetrics) {
        loop {
            let (stream, peer) = accepted(&listener, metrics).await;
            let Some(place) = capacity.take() else {
                let _ = stream.set_zero_linger();
                continue;
            };
            let site = self.clone();
            tokio::task::spawn_local(async move {
                let rest = site.serve(stream, Vec::new(), peer, Rc::new(|_| None)).await;
                finish(rest).await;
                drop(place);
            });
        }
    }
}

impl Http for Site {
    async fn serve(&self, stream: TcpStream, early: Vec<u8>, peer: SocketAddr, handshake: Handshake) -> Rest {
        let Plan { routes, limits, mut stopped } = self.plan.clone();
        let stopping = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        self.open.set(self.open.get() + 1);
        let end = rest::serve(stream, early, peer, routes, limits, move |request| handshake(request), stopping).await;
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.emptied.notify_one();
        }
        match end {
            End::Gone => Rest::Nothing,
            End::Late(stream) => Rest::Late(stream),
            End::Unread(stream) => Rest::Unread(stream),
            End::Upgraded(stream, early) => Rest::Socket(stream, early),
        }
    }
}
