//! The gateway as a value: built from the ground up, drained from the top down. One thread and one single-threaded runtime
//! for each shard.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, watch};

use crate::auth::Keys;
use crate::config::{AllowedOrigins, Config, Durability};
use crate::control::Control;
use crate::domain::throttle::Window;
use crate::gateway::accept::Http;
use crate::gateway::{self, Addresses, Door, Gate, Origins};
use crate::group;
use crate::group::node::Node;
use crate::group::shard::Shard;
use crate::rest;
use crate::rest::Routes;
use crate::rest::api::Rest;
use crate::rest::audit::Audit;
use crate::store::{self, Store};
use crate::users::Users;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8192;
/// Descriptors kept back for the store, for plain HTTP and for the system.
const DESCRIPTORS_KEPT: usize = 128;
/// A call over plain HTTP that has not come in, or is not taken, this long after the beginning of a drain is given up.
const CALLS_DEADLINE: Duration = Duration::from_secs(3);
/// A drain that takes longer than this is cut short.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A running gateway.
pub struct Server {
    /// What its shards share.
    pub node: Arc<Node>,
    /// What its doors share.
    pub gate: Arc<Gate>,
    /// Secrets in force.
    pub keys: Arc<Keys>,
    /// Where changes by admins are written down.
    pub audit: Audit,
    /// Where it listens.
    pub address: SocketAddr,
    control: Option<Control>,
    stop: watch::Sender<bool>,
    shards: Vec<JoinHandle<()>>,
    began: Instant,
}

impl Server {
    /// Opens the store, binds the addresses and begins to serve. `site` is served beside the gateway's own paths; `on_fatal`
    /// is called once if the store cannot go on.
    pub fn start(config: &Config, site: Router, on_fatal: store::OnFatal) -> anyhow::Result<Self> {
        let shards = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            shards => shards,
        };
        let descriptors = raise_descriptors();
        let listeners = listen(config.listen, shards).with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listeners[0].local_addr().context("cannot tell the address")?;
        let internal = match config.internal_listen {
            None => None,
            Some(at) => Some(listen(at, 1).with_context(|| format!("cannot listen on {at}"))?.remove(0)),
        };
        let opening = Instant::now();
        let store = Store::open(&store_options(config), on_fatal)?;
        let opened_in = opening.elapsed();
        let control = Control::open(&config.store.path, store.clone());
        let control = control.inspect_err(|error| tracing::warn!("no backup can be taken while the gateway runs: {error}")).ok();
        let users = Users::new(config.app.admins.clone(), config.limits.connections_per_user_max);
        let node = Arc::new(Node::new(store, users, group_limits(config), shards));
        let limits = &config.limits;
        let addresses = Addresses::new(limits.connections_per_address_max, limits.bad_logins_per_minute_max);
        let keys = Arc::new(Keys::new(config.app.keyring.clone()));
        let gate = Gate::new(gateway_limits(config, descriptors), origins(config), addresses, keys.clone());
        let gate = Arc::new(gate);
        let (stop, stopped) = watch::channel(false);
        let drained = Arc::new(Barrier::new(shards));

        let audit = Audit::open(&config.rest.audit_path).with_context(|| format!("cannot open {}", config.rest.audit_path.display()))?;
        let ops = rest::ops::internal(node.clone(), audit.clone());
        let calls = Rest::new(node.clone(), keys.clone(), audit.clone(), config.rest.calls_per_second_max);
        let mut site = rest::ops::health().merge(site);
        let inside = match &internal {
            Some(_) => rest::ops::health().merge(ops),
            None => {
                site = site.merge(ops);
                Router::new()
            }
        };
        let routes = Arc::new(Routes { calls: Some(Arc::new(calls)), others: site });
        let http = Site { routes, limits: http_limits(config), stopped: stopped.clone(), open: Cell::new(0) };
        tell_start(config, &node, &gate, opened_in);
        if let Some(listener) = &internal {
            tracing::info!("metrics and readiness: listening on http://{}", listener.local_addr().context("cannot tell the address")?);
        }
        tracing::info!("listening on http://{address}");
        let mut internal = internal;
        let threads = listeners.into_iter().enumerate().map(|(index, listener)| {
            let inside = internal
                .take()
                .map(|listener| (listener, Site { routes: Arc::new(Routes { calls: None, others: inside.clone() }), ..http.clone() }));
            let (node, gate, http, drained) = (node.clone(), gate.clone(), http.clone(), drained.clone());
            let parts = Parts { index: index as u16, listener, node, gate, http, inside, drained };
            let stopped = stopped.clone();
            let name = format!("shard-{index}");
            std::thread::Builder::new().name(name).spawn(move || parts.run(stopped)).context("cannot start a thread")
        });
        let shards = threads.collect::<anyhow::Result<_>>()?;
        Ok(Self { node, gate, keys, audit, address, control, stop, shards, began: opening })
    }

    /// Answers what was accepted, tells every client to come back later, and closes the store. Blocks until then.
    pub fn stop(self) -> anyhow::Result<()> {
        let (stopping, connections) = (Instant::now(), self.gate.connections.load(Ordering::Relaxed));
        self.node.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        for shard in self.shards {
            if shard.join().is_err() {
                tracing::error!("a shard had panicked");
            }
        }
        self.audit.flush();
        self.control.map(Control::close);
        self.node.store.clone().close().context("the store did not end cleanly")?;
        tracing::info!(
            connections_closed = connections.saturating_sub(self.gate.connections.load(Ordering::Relaxed)),
            drained_in_ms = stopping.elapsed().as_millis() as u64,
            uptime_s = self.began.elapsed().as_secs(),
            "stopped"
        );
        Ok(())
    }
}

struct Parts {
    index: u16,
    listener: TcpListener,
    node: Arc<Node>,
    gate: Arc<Gate>,
    http: Site,
    inside: Option<(TcpListener, Site)>,
    /// Met by every shard when its connections are gone.
    drained: Arc<Barrier>,
}

impl Parts {
    fn run(self, mut stopped: watch::Receiver<bool>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs descriptors, which were kept back");
        // Nobody else runs this shard, so nothing is there yet.
        let _ = self.node.metrics[self.index as usize].runtime.set(runtime.metrics());
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let shard = Shard::new(self.index, self.node);
            let door = Door::new(shard.clone(), self.gate);
            tokio::task::spawn_local(door.clone().keep_time());
            let listener = tokio::net::TcpListener::from_std(self.listener).expect("the listener is non-blocking");
            let http = Rc::new(self.http);
            let accepting = tokio::task::spawn_local(door.clone().accept(listener, http.clone()));
            if let Some((listener, site)) = self.inside {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
                tokio::task::spawn_local(serve_inside(listener, site));
            }
            let serving = async {
                let _ = stopped.wait_for(|stopped| *stopped).await;
                accepting.abort();
                if tokio::time::timeout(DRAIN_DEADLINE, drain(&shard, &door, &http, &self.drained)).await.is_err() {
                    tracing::warn!("some connections did not end in time");
                }
            };
            // The shard's turns do not queue behind its connections: of a crowd that is ready, a few dozen are served between two.
            tokio::select! {
                biased;
                () = shard.clone().run() => {}
                () = serving => {}
            }
        });
    }
}

/// Waits until every call and every connection has ended.
async fn drain(shard: &Shard, door: &Door, http: &Site, drained: &Barrier) {
    let calls = tokio::time::timeout(CALLS_DEADLINE, http.drain());
    let _ = tokio::join!(door.drain(), calls);
    // Connections of other shards may still wait for groups that are at home here.
    drained.wait().await;
    while !shard.is_calm() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn serve_inside(listener: tokio::net::TcpListener, site: Site) {
    let site = Rc::new(site);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let site = site.clone();
                tokio::task::spawn_local(async move { site.serve(stream, Vec::new(), peer).await });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What plain HTTP gets on one shard.
#[derive(Clone)]
struct Site {
    routes: Arc<Routes>,
    limits: rest::Limits,
    stopped: watch::Receiver<bool>,
    /// Connections that are served.
    open: Cell<usize>,
}

impl Site {
    /// Waits until every call is answered.
    async fn drain(&self) {
        while self.open.get() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Http for Site {
    async fn serve(&self, stream: TcpStream, early: Vec<u8>, peer: SocketAddr) {
        let mut stopped = self.stopped.clone();
        let stopping = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        self.open.set(self.open.get() + 1);
        rest::serve(stream, early, peer, self.routes.clone(), self.limits, stopping).await;
        self.open.set(self.open.get() - 1);
    }
}

/// Raises the limit of open descriptors as far as this user may, and says where it is.
fn raise_descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    usize::try_from(if raised { hard } else { soft }).unwrap_or(usize::MAX)
}

/// One listener for each shard, on one port. Sharing a port is asked for only after nobody else was found on it: the kernel
/// would share it with any other program of this user.
fn listen(address: SocketAddr, shards: usize) -> io::Result<Vec<TcpListener>> {
    let bind = |address: SocketAddr, shared: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.bind(&address.into())?;
        Ok::<_, io::Error>(socket)
    };
    let begin = |socket: Socket| {
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok::<TcpListener, io::Error>(socket.into())
    };
    let first = bind(address, false)?;
    if shards == 1 {
        return Ok(vec![begin(first)?]);
    }
    let probe = begin(first)?;
    let address = probe.local_addr()?;
    drop(probe);
    (0..shards).map(|_| begin(bind(address, true)?)).collect()
}

/// The first line of a run: what is needed to understand all that follow.
fn tell_start(config: &Config, node: &Node, gate: &Gate, opened_in: Duration) {
    let stats = node.store.stats();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        version,
        shards = node.metrics.len(),
        durability = config.store.durability.name(),
        folder = %config.store.path.display(),
        opened_in_ms = opened_in.as_millis() as u64,
        journal_bytes = stats.journal.bytes,
        table_bytes = stats.table.bytes,
        remembered_answers = stats.replays,
        generation = node.store.generation(),
        connections_max = gate.limits.connections_max,
        "tallycast {version} starts"
    );
}

fn store_options(config: &Config) -> store::Options {
    let durability = match config.store.durability {
        Durability::Sync => store::Durability::Sync,
        Durability::Interval => store::Durability::Interval,
    };
    store::Options {
        durability,
        cache_bytes: config.store.cache_bytes,
        replay_window: config.limits.replay_window,
        ..store::Options::new(&config.store.path)
    }
}

fn group_limits(config: &Config) -> group::Limits {
    let limits = &config.limits;
    let millis = limits.counter_window.as_millis() as u64;
    // A window of no length limits nothing.
    let window = |calls_max| Window { calls_max: if millis == 0 { 0 } else { calls_max }, millis };
    let interval = &config.push.min_interval;
    let forever = |d: Duration| if d.is_zero() { Duration::MAX } else { d };
    group::Limits {
        writes: window(limits.counter_writes_max),
        reads: window(limits.counter_reads_max),
        replay_millis: limits.replay_window.as_millis() as u64,
        replay_answers_max: limits.replay_answers_max,
        keys_max: limits.counters_per_group_max,
        members_max: limits.members_per_group_max,
        groups_per_connection_max: limits.groups_per_connection_max,
        idle_after: forever(limits.group_idle_after),
        push_min_interval: [interval.private, interval.public, interval.chat_room, interval.av_chat_room],
        push_frames_per_second: config.push.max_frames_per_second,
    }
}

fn gateway_limits(config: &Config, descriptors: usize) -> gateway::Limits {
    let limits = &config.limits;
    let most = descriptors.saturating_sub(DESCRIPTORS_KEPT).max(1);
    gateway::Limits {
        connections_max: if limits.connections_max == 0 { most } else { limits.connections_max.min(most) },
        frames_per_second_max: limits.frames_per_second_max,
        frame_bytes_max: limits.frame_bytes_max,
        frame_bytes_max_before_login: limits.frame_bytes_max_before_login,
        faults_per_minute_max: limits.faults_per_minute_max,
        login_deadline: limits.login_deadline,
        handshake_deadline: limits.handshake_deadline,
        head_bytes_max: limits.head_bytes_max,
        headers_max: limits.headers_max,
        ping_every: limits.ping_every,
        pong_deadline: limits.pong_deadline,
        stall_deadline: limits.stall_deadline,
        groups_owned_max: limits.groups_owned_max,
        groups_per_connection_max: limits.groups_per_connection_max,
        user_list_max: limits.user_list_max,
    }
}

fn http_limits(config: &Config) -> rest::Limits {
    let limits = &config.limits;
    rest::Limits { head_deadline: limits.handshake_deadline, head_bytes_max: limits.head_bytes_max, headers_max: limits.headers_max }
}

fn origins(config: &Config) -> Origins {
    match &config.security.allowed_origins {
        AllowedOrigins::SameHost => Origins::SameHost,
        AllowedOrigins::Any => Origins::Any,
        AllowedOrigins::List(list) => Origins::List(list.clone()),
    }
}
