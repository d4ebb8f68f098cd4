//! Ctrl-C and SIGTERM. The first ends the measurement, and the report is of what was seen until then; the second ends the
//! waiting that follows, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// How often the user has asked for the end.
pub(super) struct Stop {
    asked: Arc<AtomicU32>,
    granted: u32,
}

impl Stop {
    /// Listens from now on.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicU32::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("signals cannot be heard")?;
        let inside = runtime.enter();
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(inside);
        let count = asked.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        Ok(Self { asked, granted: 0 })
    }

    /// Whether the end is asked for, and was not granted yet.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > self.granted
    }

    /// What is going on has been ended; what follows goes on until the next signal.
    pub(super) fn grant(&mut self) {
        self.granted = self.asked.load(Ordering::Relaxed);
    }
}
