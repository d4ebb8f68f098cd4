//! What is counted. Each shard has cells of its own, so that counting costs one plain store; they are added up when somebody
//! asks. No user or group name is ever a label.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;

use crate::clock::unix_millis;
use crate::domain::code::Code;
use crate::protocol::request::Cmd;

/// Upper bounds of the latency histograms' buckets, in microseconds.
pub const BOUNDS_MICROS: [u64; 14] = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400];

/// A count that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it. Only the thread that owns the cell may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level that one thread moves and others read.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// Moves it. Only the thread that owns the cell may call this.
    pub fn add(&self, by: i64) {
        self.set(self.get() + by);
    }

    /// Puts it somewhere. Only the thread that owns the cell may call this.
    pub fn set(&self, to: i64) {
        self.0.store(to, Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [Count; BOUNDS_MICROS.len() + 1],
    sum_micros: Count,
}

impl Latency {
    /// Takes one measurement.
    pub fn record(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        self.buckets[BOUNDS_MICROS.partition_point(|bound| *bound < micros)].add(1);
        self.sum_micros.add(micros);
    }

    /// Counts of each bucket, the last one without an upper bound.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::get)
    }

    /// The sum of all measurements, in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros.get()
    }
}

/// Answers by command and code: one cell each, most of them never used.
#[derive(Debug)]
pub struct Answers(Vec<Count>);

impl Default for Answers {
    fn default() -> Self {
        Self((0..(Cmd::ALL.len() + 1) * Code::ALL.len()).map(|_| Count::default()).collect())
    }
}

impl Answers {
    /// Counts an answer; without a command for frames that named none.
    pub fn add(&self, cmd: Option<Cmd>, code: Code) {
        let row = cmd.map_or(Cmd::ALL.len(), |cmd| cmd as usize);
        let column = Code::ALL.iter().position(|c| *c == code).unwrap_or(0);
        self.0[row * Code::ALL.len() + column].add(1);
    }

    /// All cells that were ever used.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Cmd>, Code, u64)> {
        let cell = |(i, count): (usize, &Count)| (Cmd::ALL.get(i / Code::ALL.len()).copied(), Code::ALL[i % Code::ALL.len()], count.get());
        self.0.iter().enumerate().map(cell).filter(|(_, _, count)| *count > 0)
    }
}

/// What became of the last attempt to read the configuration again.
#[derive(Debug)]
pub struct Reload {
    succeeded_at: AtomicU64,
    has_failed: AtomicBool,
}

impl Default for Reload {
    /// The start has read it.
    fn default() -> Self {
        Self { succeeded_at: AtomicU64::new(unix_seconds()), has_failed: AtomicBool::new(false) }
    }
}

impl Reload {
    /// An attempt was made.
    pub fn tried(&self, success: bool) {
        self.has_failed.store(!success, Relaxed);
        if success {
            self.succeeded_at.store(unix_seconds(), Relaxed);
        }
    }

    /// Whether the last attempt was in vain, so that what is in force is not what is written.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Relaxed)
    }

    /// Unix seconds of the last attempt that was not.
    pub fn succeeded_at(&self) -> u64 {
        self.succeeded_at.load(Relaxed)
    }
}

fn unix_seconds() -> u64 {
    unix_millis() / 1000
}

/// One shard's cells, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardMetrics {
    /// Open WebSocket connections.
    pub connections: AtomicI64,
    /// Groups in memory.
    pub groups: AtomicI64,
    /// Answers given.
    pub answers: Answers,
    /// From reading a request to its answer, by command.
    pub answer_times: [Latency; Cmd::ALL.len()],
    /// Commands that wait in the mailboxes of groups.
    pub mail: Level,
    /// Connections whose pipe is full.
    pub stalled: Level,
    /// What the shard's runtime tells of itself, once it runs.
    pub runtime: OnceLock<RuntimeMetrics>,
    /// From taking a batch to its commit.
    pub commit: Latency,
    /// From a commit to the moment when the cursor has been at every member of the shard.
    pub push: Latency,
    /// Frames sent to members.
    pub pushes_sent: Count,
    /// Pushes never sent because a newer value of the same key took their place.
    pub pushes_conflated: Count,
    /// Bytes taken by the kernel.
    pub bytes_sent: Count,
    /// Bytes read.
    pub bytes_received: Count,
    /// WebSocket connections opened.
    pub opened: Count,
    /// Attempts to accept a connection that failed.
    pub accept_errors: Count,
    /// Connections that were refused before they were a WebSocket; in the order of `Refused::ALL`.
    pub refused: [Count; Refused::ALL.len()],
    /// Connections closed by the server, by close code; in the order of `CLOSE_CODES`.
    pub closes: [Count; CLOSE_CODES.len()],
}

macro_rules! refused {
    ($($(#[$doc:meta])* $name:ident = $label:literal),* $(,)?) => {
        /// Why a connection never became a WebSocket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refused { $($(#[$doc])* $name),* }
        impl Refused {
            /// Every reason.
            pub const ALL: &'static [Refused] = &[$(Refused::$name),*];
            /// The reason as a label.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

refused! {
    /// The process has as many connections as it can hold; closed without a word.
    Ceiling = "ceiling",
    /// `limits.connections_max`.
    Full = "connections_max",
    /// `limits.connections_per_address_max`.
    Address = "connections_per_address_max",
    /// The server is stopping.
    Draining = "draining",
    /// A page of this origin may not connect: `security.allowed_origins`.
    Origin = "origin",
    /// No WebSocket handshake as RFC 6455 wants it, though it came to its address.
    Handshake = "handshake",
    /// The request head was not complete in time.
    HeadLate = "head_late",
    /// The request head was too large.
    HeadTooLarge = "head_too_large",
    /// What came was no HTTP/1 request.
    HeadMalformed = "head_malformed",
}

/// Close codes that are counted.
pub const CLOSE_CODES: [u16; 14] = [1002, 1003, 1007, 1009, 1012, 1013, 4000, 4001, 4004, 4010, 4500, 4501, 4503, 4504];

impl ShardMetrics {
    /// For how long the shard's thread has not waited, since it began.
    pub fn busy(&self) -> Duration {
        self.runtime.get().map_or(Duration::ZERO, |runtime| runtime.worker_total_busy_duration(0))
    }

    /// Counts a connection that was refused before it was a WebSocket.
    pub fn refused(&self, why: Refused) {
        self.refused[why as usize].add(1);
    }

    /// Counts a close.
    pub fn closed(&self, code: u16) {
        if let Some(at) = CLOSE_CODES.iter().position(|c| *c == code) {
            self.closes[at].add(1);
        }
    }
}
