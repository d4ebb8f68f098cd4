//! The gateway as a value: built from the ground up, drained from the top down. One thread and one single-threaded runtime
//! for each shard.

mod listen;
mod panics;
mod site;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use crate::auth::Keys;
use crate::config::{AllowedOrigins, Config, Durability};
use crate::control::Control;
use crate::domain::throttle::Window;
use crate::gateway::{self, Addresses, Capacity, Door, Gate, Origins};
use crate::group;
use crate::group::node::Node;
use crate::group::shard::Shard;
use crate::rest;
use crate::rest::Routes;
use crate::rest::api::Rest;
use crate::rest::audit::Audit;
use crate::store::{self, Store};
use crate::users::{Users, Windows};
use listen::listen;
use panics::{OnFatal, vital, watch_over};
use site::{INTERNAL_CONNECTIONS_MAX, Plan, Site};

/// Descriptors kept back for the store, the log and the system …
const DESCRIPTORS_KEPT: usize = 128;
/// … and for each shard's runtime and listeners.
const DESCRIPTORS_KEPT_A_SHARD: usize = 8;
/// With fewer places for connections it makes no sense to start.
const CONNECTIONS_MIN: usize = 16;
/// Of all places, one in so many is for connections that are told that there is none for them …
const REFUSALS_SHARE: usize = 8;
/// … but never more of them than this.
const REFUSALS_MAX: usize = 256;
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
    /// Where it listens, the first address of all.
    pub address: SocketAddr,
    control: Option<Control>,
    stop: watch::Sender<bool>,
    shards: Vec<JoinHandle<()>>,
    began: Instant,
}

impl Server {
    /// Opens the store, binds the addresses and begins to serve. `site` is served beside the gateway's own paths; `on_fatal`
    /// is called if the store or a shard cannot go on: the program must end then.
    pub fn start(config: &Config, site: Router, on_fatal: OnFatal) -> anyhow::Result<Self> {
        let shards = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            shards => shards,
        };
        let places = places(raise_descriptors(), shards)?;
        let listeners = listen(&config.listen, shards)?;
        let addresses = addresses(&listeners[0])?;
        let mut internal = match &config.internal_listen {
            None => Vec::new(),
            Some(at) => listen(at, 1)?.remove(0),
        };
        let opening = Instant::now();
        let of_store = on_fatal.clone();
        let store = Store::open(&store_options(config), Box::new(move |why| of_store(format!("the store cannot go on: {why}"))))?;
        let opened_in = opening.elapsed();
        let control = Control::open(&config.store.path, store.clone());
        let control = control.inspect_err(|error| tracing::warn!("no backup can be taken while the gateway runs: {error}")).ok();
        let users = Users::new(config.app.admins.clone(), config.limits.connections_per_user_max);
        let node = Arc::new(Node::new(store, users, group_limits(config), shards));
        let limits = &config.limits;
        let strangers = Addresses::new(limits.connections_per_address_max, limits.bad_logins_per_minute_max);
        let keys = Arc::new(Keys::new(config.app.keyring.clone()));
        let gate = Gate::new(gateway_limits(config, places), origins(config), strangers, keys.clone());
        let gate = Arc::new(gate);
        let (stop, stopped) = watch::channel(false);
        let drained = Arc::new(Barrier::new(shards));

        let audit = Audit::open(&config.rest.audit_path).with_context(|| format!("cannot open {}", config.rest.audit_path.display()))?;
        let ops = rest::ops::internal(node.clone(), audit.clone());
        let calls = Rest::new(node.clone(), keys.clone(), audit.clone(), config.rest.calls_per_second_max);
        let mut site = rest::ops::health().merge(site);
        let inside = match internal.is_empty() {
            false => rest::ops::health().merge(ops),
            true => {
                site = site.merge(ops);
                Router::new()
            }
        };
        let routes = Arc::new(Routes { calls: Some(Arc::new(calls)), others: site });
        let http = Plan { routes, limits: http_limits(config), stopped: stopped.clone() };
        tell_start(config, &node, &gate, opened_in);
        for address in self::addresses(&internal)? {
            tracing::info!("metrics and readiness: listening on http://{address}");
        }
        for address in &addresses {
            tracing::info!("listening on http://{address}");
        }
        let threads = listeners.into_iter().enumerate().map(|(index, listeners)| {
            let routes = Arc::new(Routes { calls: None, others: inside.clone() });
            let inside = (std::mem::take(&mut internal), Plan { routes, ..http.clone() });
            let (node, gate, http, drained) = (node.clone(), gate.clone(), http.clone(), drained.clone());
            let parts = Parts { index: index as u16, listeners, node, gate, http, inside, drained };
            let (stopped, on_fatal) = (stopped.clone(), on_fatal.clone());
            watch_over(format!("shard-{index}"), on_fatal, move || parts.run(stopped)).context("cannot start a thread")
        });
        let shards = threads.collect::<anyhow::Result<_>>()?;
        let address = addresses[0];
        Ok(Self { node, gate, keys, audit, address, control, stop, shards, began: opening })
    }

    /// Says to whoever asks that clients should be sent elsewhere. Everything is served still.
    pub fn announce_end(&self) {
        self.node.draining.store(true, Ordering::Relaxed);
    }

    /// Answers what was accepted, tells every client to come back later, and closes the store. Blocks until then.
    pub fn stop(self) -> anyhow::Result<()> {
        let (stopping, connections) = (Instant::now(), self.gate.served.taken());
        self.announce_end();
        self.node.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        let sound = self.shards.into_iter().map(JoinHandle::join).fold(true, |sound, ended| sound & ended.is_ok());
        self.audit.flush();
        if let Some(control) = self.control {
            control.close();
        }
        self.node.store.clone().close().context("the store did not end cleanly")?;
        anyhow::ensure!(sound, "a shard has panicked");
        tracing::info!(
            connections_closed = connections.saturating_sub(self.gate.served.taken()),
            drained_in_ms = stopping.elapsed().as_millis() as u64,
            uptime_s = self.began.elapsed().as_secs(),
            "stopped"
        );
        Ok(())
    }
}

struct Parts {
    index: u16,
    listeners: Vec<TcpListener>,
    node: Arc<Node>,
    gate: Arc<Gate>,
    http: Plan,
    inside: (Vec<TcpListener>, Plan),
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
            let mut tasks = JoinSet::new();
            tasks.spawn_local(door.clone().keep_time());
            let ours = |listener| tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
            let http = Site::new(self.http);
            let accept = |listener| tasks.spawn_local(door.clone().accept(ours(listener), http.clone()));
            let accepting: Vec<_> = self.listeners.into_iter().map(accept).collect();
            let (listeners, plan) = self.inside;
            let inside = Site::new(plan);
            let places = Rc::new(Capacity::new(INTERNAL_CONNECTIONS_MAX));
            for listener in listeners {
                let (inside, places, shard) = (inside.clone(), places.clone(), shard.clone());
                tasks.spawn_local(async move { inside.serve_inside(ours(listener), places, shard.metrics()).await });
            }
            let serving = async {
                let _ = stopped.wait_for(|stopped| *stopped).await;
                accepting.iter().for_each(tokio::task::AbortHandle::abort);
                if tokio::time::timeout(DRAIN_DEADLINE, drain(&shard, &door, &http, &self.drained)).await.is_err() {
                    tracing::warn!("some connections did not end in time");
                }
            };
            // The shard's turns do not queue behind its connections: of a crowd that is ready, a few dozen are served between two.
            tokio::select! {
                biased;
                () = shard.clone().run() => {}
                () = vital(tasks) => {}
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
    shard.calm().await;
}

fn addresses(listeners: &[TcpListener]) -> anyhow::Result<Vec<SocketAddr>> {
    listeners.iter().map(|listener| listener.local_addr().context("cannot tell the address")).collect()
}

/// Raises the limit of open descriptors as far as this user may, and says where it is.
fn raise_descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    usize::try_from(if raised { hard } else { soft }).unwrap_or(usize::MAX)
}

/// Places for connections.
#[derive(Clone, Copy)]
struct Places {
    served: usize,
    refused: usize,
}

/// How many connections the descriptors of the process allow, what the store needs kept back.
fn places(descriptors: usize, shards: usize) -> anyhow::Result<Places> {
    let kept = DESCRIPTORS_KEPT + DESCRIPTORS_KEPT_A_SHARD * shards + INTERNAL_CONNECTIONS_MAX;
    let all = descriptors.saturating_sub(kept);
    let least = CONNECTIONS_MIN + kept;
    anyhow::ensure!(all >= CONNECTIONS_MIN, "only {descriptors} files may be open at once (ulimit -n): at least {least} are needed");
    let refused = (all / REFUSALS_SHARE).clamp(1, REFUSALS_MAX);
    Ok(Places { served: all - refused, refused })
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
        windows: Windows {
            writes: window(limits.counter_writes_max),
            reads: window(limits.counter_reads_max),
            memberships: window(limits.membership_changes_max),
        },
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

fn gateway_limits(config: &Config, places: Places) -> gateway::Limits {
    let limits = &config.limits;
    gateway::Limits {
        connections_max: if limits.connections_max == 0 { places.served } else { limits.connections_max.min(places.served) },
        refusals_max: places.refused,
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
    rest::Limits {
        head_deadline: limits.handshake_deadline,
        keep_alive: limits.keep_alive,
        stall_deadline: limits.stall_deadline,
        head_bytes_max: limits.head_bytes_max,
        headers_max: limits.headers_max,
    }
}

fn origins(config: &Config) -> Origins {
    match &config.security.allowed_origins {
        AllowedOrigins::SameHost => Origins::SameHost,
        AllowedOrigins::Any => Origins::Any,
        AllowedOrigins::List(list) => Origins::List(list.clone()),
    }
}
