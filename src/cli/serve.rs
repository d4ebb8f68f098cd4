//! `tallycast serve`: reads the configuration, sets up the log and runs the gateway until a signal ends it.

use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, log};
use crate::config::{Config, Sources};
use crate::rest::assets;
use crate::server::Server;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// Where to listen, in place of `listen`
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The folder of the store, in place of `store.path`
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// What to log, in place of `log.level`
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

impl Args {
    /// The flags over the environment over the file, as they are now: read again at every reload.
    fn sources(&self) -> Sources {
        let sources = self.file.sources().flag("--listen", "listen", self.listen.as_deref());
        sources.flag("--data", "store.path", self.data.as_deref()).flag("--log", "log.level", self.log.as_deref())
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let config = args.sources().read()?;
    let level = log::start(&config.log)?;
    serve(&config, assets::sdk(), |_| Ok(()), || Ok(args.sources().read()?), &level)
}

/// How long a fatal fault waits before the process ends, so that the answers that tell of it can leave.
const FATAL_GRACE: Duration = Duration::from_millis(200);

/// Runs a gateway until SIGTERM or SIGINT. `begun` is called when it listens, `reload` reads the configuration anew.
pub(super) fn serve(
    config: &Config,
    site: Router,
    begun: impl FnOnce(&Server) -> anyhow::Result<()>,
    reload: impl Fn() -> anyhow::Result<Config>,
    level: &log::LogLevel,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let _inside = runtime.enter();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hup = signal(SignalKind::hangup())?;
    let (fatal, mut failed) = tokio::sync::mpsc::channel::<String>(1);
    let server = Server::start(config, site, Box::new(move |why| drop(fatal.try_send(why))))?;
    begun(&server)?;
    let ended: anyhow::Result<&str> = runtime.block_on(async {
        loop {
            tokio::select! {
                _ = term.recv() => return Ok("SIGTERM"),
                _ = int.recv() => return Ok("SIGINT"),
                _ = hup.recv() => reread(&server, &reload, level),
                Some(why) = failed.recv() => {
                    tokio::time::sleep(FATAL_GRACE).await;
                    anyhow::bail!("the store cannot go on: {why}");
                }
            }
        }
    });
    let signal = ended?;
    tracing::info!(signal, "stopping: answering what was accepted; a second signal ends it at once");
    let stopped = std::thread::spawn(move || server.stop());
    runtime.block_on(async {
        let done = async {
            while !stopped.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = done => {}
            _ = term.recv() => cut_short(),
            _ = int.recv() => cut_short(),
        }
    });
    stopped.join().map_err(|_| anyhow::anyhow!("the end went wrong"))?
}

/// A second signal: whoever sends it does not want to wait. What was answered is on disk.
fn cut_short() -> ! {
    tracing::warn!("a second signal: ended at once");
    std::process::exit(1)
}

/// SIGHUP: secrets and log level are put in force; whatever else has changed waits for the next start.
fn reread(server: &Server, reload: &impl Fn() -> anyhow::Result<Config>, level: &log::LogLevel) {
    match reload() {
        Ok(config) => {
            server.keys.set(config.app.keyring);
            server.audit.reopen();
            match level.set(&config.log.level) {
                Ok(()) => tracing::info!("secrets and log level were read again"),
                Err(e) => tracing::error!("secrets were read again, the log level was not: {e:#}"),
            }
        }
        Err(e) => tracing::error!("nothing was read again: {e:#}"),
    }
}
