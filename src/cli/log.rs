//! The log: lines on standard error, for people on a terminal and as JSON elsewhere. It never ends the program: a line
//! that cannot be written is lost.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// Changes what is logged while the program runs.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Logs by these directives (as in `log.level`) from now on. Fails, and changes nothing, when they are malformed.
    pub fn set(&self, directives: &str) -> anyhow::Result<()> {
        self.0.reload(filter(directives)?).context("the log is gone")
    }
}

/// Sends the log of the whole process to standard error. Fails when that was done before.
pub fn start(log: &Log) -> anyhow::Result<LogLevel> {
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let (subscriber, level) = subscriber(log, terminal, colour, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).context("the log was set up twice")?;
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !tell(&panic.to_string()) {
            otherwise(panic)
        }
    }));
    Ok(level)
}

/// Writes an error as a line of the log. False: there is no log, or it is off.
pub fn tell(error: &str) -> bool {
    let listening = tracing::enabled!(tracing::Level::ERROR);
    tracing::error!("{error}");
    listening
}

fn subscriber<W>(log: &Log, terminal: bool, colour: bool, writer: W) -> anyhow::Result<(impl Subscriber + Send + Sync, LogLevel)>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(&log.level)?);
    // Errors of writing are swallowed: reporting them on the same closed standard error would panic.
    let lines = fmt::layer().with_writer(writer).with_ansi(colour).log_internal_errors(false);
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    // Events lie flat in their object, so that `"message":"listening on http://…"` can be searched for as it is.
    let lines =
        if pretty { lines.boxed() } else { lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed() };
    Ok((Registry::default().with(filter).with(lines), LogLevel(handle)))
}

fn filter(directives: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(directives).with_context(|| format!("{directives:?} says nothing about a log"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, terminal: bool, colour: bool, during: impl FnOnce(&LogLevel)) -> String {
        let written = Written::default();
        let (log, writer) = (Log { level: "info".into(), format }, written.clone());
        let (subscriber, level) = subscriber(&log, terminal, colour, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || during(&level));
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    fn hello(_: &LogLevel) {
        tracing::info!(shards = 2, "listening on http://127.0.0.1:8080");
    }

    #[test]
    fn lines_are_json_away_from_a_terminal_and_can_be_searched() {
        let line = logged(LogFormat::Auto, false, false, hello);
        assert!(line.contains("\"message\":\"listening on http://127.0.0.1:8080\""), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((object["level"].as_str(), object["shards"].as_u64()), (Some("INFO"), Some(2)));
    }

    #[test]
    fn lines_are_for_people_on_a_terminal_or_when_asked_for() {
        for (format, terminal) in [(LogFormat::Auto, true), (LogFormat::Pretty, false)] {
            let line = logged(format, terminal, false, hello);
            assert!(line.contains("listening on http://127.0.0.1:8080 shards=2") && !line.contains('\u{1b}'), "{line}");
        }
        assert!(logged(LogFormat::Auto, true, true, hello).contains('\u{1b}'));
        assert!(logged(LogFormat::Json, true, false, hello).starts_with('{'));
    }

    #[test]
    fn the_level_can_be_changed_while_it_runs() {
        let lines = logged(LogFormat::Pretty, false, false, |level| {
            tracing::debug!("one");
            level.set("debug").unwrap();
            tracing::debug!("two");
            assert!(level.set("x=loud").is_err());
            tracing::debug!("three");
            level.set("off").unwrap();
            tracing::error!("four");
        });
        let seen = ["one", "two", "three", "four"].map(|word| lines.contains(word));
        assert_eq!(seen, [false, true, true, false], "{lines}");
    }
}
