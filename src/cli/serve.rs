//! `tallycast serve`: reads the configuration, sets up the log and runs the gateway until a signal ends it.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, log};
use crate::config::{Config, Sources};
use crate::rest::assets;
use crate::seldom;
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
    let sources = args.sources();
    let config = sources.read()?;
    let level = log::start(&config.log)?;
    for warning in sources.warnings() {
        tracing::warn!("{warning}");
    }
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
    runtime.spawn(ignore_others());
    let (fatal, mut failed) = tokio::sync::mpsc::channel::<String>(1);
    let server = Server::start(config, site, Arc::new(move |why| drop(fatal.try_send(why))))?;
    begun(&server)?;
    let ended: anyhow::Result<&str> = runtime.block_on(async {
        let wait = config.drain.wait;
        let mut waiting = None;
        loop {
            let over = async {
                match waiting {
                    Some((_, until)) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let signal = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
                () = over => return Ok(waiting.map_or("", |(signal, _)| signal)),
                _ = hup.recv() => {
                    reread(&server, &reload, level);
                    continue;
                }
                Some(why) = failed.recv() => {
                    tokio::time::sleep(FATAL_GRACE).await;
                    anyhow::bail!(why);
                }
            };
            match waiting {
                Some(_) => cut_short(),
                None if wait.is_zero() => return Ok(signal),
                None => {
                    server.announce_end();
                    tracing::info!(
                        signal,
                        wait_ms = wait.as_millis() as u64,
                        "not ready any more; everything is served until the wait is over"
                    );
                    waiting = Some((signal, tokio::time::Instant::now() + wait));
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
            () = done => Ok(()),
            Some(why) = failed.recv() => {
                tokio::time::sleep(FATAL_GRACE).await;
                Err(anyhow::anyhow!(why))
            }
            _ = term.recv() => cut_short(),
            _ = int.recv() => cut_short(),
        }
    })?;
    stopped.join().map_err(|_| anyhow::anyhow!("the end went wrong"))?
}

/// Signals that would end the program, though they mean nothing to it: it lives on, and says so. The last one comes when a file
/// outgrows what the process may write, and a write that fails says it better.
async fn ignore_others() {
    const SIGXFSZ: i32 = 25;
    let kinds =
        [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm(), SignalKind::pipe(), SignalKind::from_raw(SIGXFSZ)];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| Some((kind, signal(kind).ok()?))).collect();
    loop {
        let kind = std::future::poll_fn(|cx| {
            let came = signals.iter_mut().find_map(|(kind, signal)| signal.poll_recv(cx).is_ready().then_some(*kind));
            came.map_or(Poll::Pending, Poll::Ready)
        });
        let number = kind.await.as_raw_value();
        seldom!(warn, ("signal", number as u32), number, "a signal without a meaning here: SIGTERM stops it, SIGHUP reads secrets anew");
    }
}

/// A second signal: whoever sends it does not want to wait. What was answered is on disk.
fn cut_short() -> ! {
    tracing::warn!("a second signal: ended at once");
    std::process::exit(1)
}

/// SIGHUP: secrets and log level are put in force; whatever else has changed waits for the next start.
fn reread(server: &Server, reload: &impl Fn() -> anyhow::Result<Config>, level: &log::LogLevel) {
    server.audit.reopen();
    let done = reload().and_then(|config| {
        level.set(&config.log.level)?;
        server.keys.set(config.app.keyring);
        Ok(())
    });
    server.node.reload.tried(done.is_ok());
    match done {
        Ok(()) => tracing::info!("secrets and log level were read again"),
        Err(e) => tracing::error!("nothing was read again, and what was in force still is: {e:#}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::domain::name::{GroupId, UserId};
    use crate::group::{Ask, Command, Door, Origin};

    #[test]
    fn a_shard_that_panics_ends_the_gateway_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen = '127.0.0.1:0'\nlog.level = 'off'\napp.secret_keys = ['a-secret-of-this-test-alone-0123456789']\nstore.path = '{}'",
            folder.path().display()
        );
        let config = Sources::new().text("test.toml", &text).read().unwrap();
        let level = log::start(&config.log).unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let begun = |server: &Server| {
                let user = server.node.users.visit(&UserId::parse("ann").unwrap());
                let door = Door::Call(None, Box::new(|_| panic!("this is what the test is about")));
                server.node.tell(Command { group: GroupId::parse("room").unwrap(), ask: Ask::Online, user, door, origin: Origin::Backend });
                Ok(())
            };
            let ended = serve(&config, Router::new(), begun, || anyhow::bail!("nothing is to be read anew"), &level);
            let _ = tell.send(ended.map_err(|error| error.to_string()));
        });
        let ended = told.recv_timeout(Duration::from_secs(20)).expect("it ends by itself");
        let words = ended.unwrap_err();
        assert!(words.starts_with("the thread shard-") && words.ends_with(" has panicked"), "{words}");
    }
}
