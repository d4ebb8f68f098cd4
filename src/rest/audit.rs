//! What admins changed: one JSON object a line, in a file of its own, written by a thread of its own. Never a UserSig.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde::Serialize;

use crate::domain::UnixMillis;

/// Lines that may wait for the disk.
const LINES_MAX: usize = 10_000;

/// How long lines are gathered before they are written: one wake-up and one write for all that came meanwhile.
const GATHER_FOR: Duration = Duration::from_millis(5);

/// One line.
#[derive(Serialize)]
pub struct Change<'a, B, A> {
    /// When, in milliseconds since the Unix epoch.
    pub time: UnixMillis,
    /// Who.
    pub admin: &'a str,
    /// From where.
    pub from: SocketAddr,
    /// By which call.
    pub command: &'static str,
    /// In which group, where it was in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a str>,
    /// What was there before.
    pub before: B,
    /// What is there after it.
    pub after: A,
}

enum Line {
    Text(String),
    Reopen,
    Flush(SyncSender<()>),
}

/// The way to the file.
#[derive(Clone)]
pub struct Audit(SyncSender<Line>);

impl Audit {
    /// Opens the file, to add to it. Errors: those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let (lines, waiting) = sync_channel(LINES_MAX);
        let path = path.to_owned();
        std::thread::Builder::new().name("audit".into()).spawn(move || write_all(file, &path, &waiting))?;
        Ok(Self(lines))
    }

    /// Writes a line down. Where the disk is too slow for too long a line goes to the log instead.
    pub fn write(&self, change: &Change<'_, impl Serialize, impl Serialize>) {
        let line = serde_json::to_string(change).expect("no change has a map whose keys are no texts");
        if let Err(TrySendError::Full(Line::Text(text)) | TrySendError::Disconnected(Line::Text(text))) = self.0.try_send(Line::Text(line))
        {
            tracing::error!("the audit file cannot be written in time: {text}");
        }
    }

    /// Waits until everything that came before is in the file.
    pub fn flush(&self) {
        let (tell, told) = sync_channel(1);
        if self.0.send(Line::Flush(tell)).is_ok() {
            // Whoever writes has ended where nothing comes, and then there is nothing to wait for.
            let _ = told.recv();
        }
    }

    /// Opens the file anew, after somebody has moved it away.
    pub fn reopen(&self) {
        // Whoever finds the queue full sends the signal again.
        let _ = self.0.try_send(Line::Reopen);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(mut file: File, path: &Path, waiting: &Receiver<Line>) {
    let complain = |e: String| tracing::error!("the audit file {}: {e}", path.display());
    while let Ok(first) = waiting.recv() {
        if matches!(first, Line::Text(_)) {
            std::thread::sleep(GATHER_FOR);
        }
        let mut lines = String::new();
        for line in std::iter::once(first).chain(waiting.try_iter().take(LINES_MAX)) {
            if let Line::Text(text) = line {
                lines.push_str(&text);
                lines.push('\n');
                continue;
            }
            write(&mut file, &mut lines).unwrap_or_else(complain);
            match line {
                Line::Reopen => open(path).map(|fresh| file = fresh).unwrap_or_else(|e| complain(e.to_string())),
                Line::Flush(tell) => drop(tell.send(())),
                Line::Text(_) => {}
            }
        }
        write(&mut file, &mut lines).unwrap_or_else(complain);
    }
}

/// Writes lines as one; where that fails they are in the words, so that they are not lost.
fn write(file: &mut File, lines: &mut String) -> Result<(), String> {
    let lines = std::mem::take(lines);
    file.write_all(lines.as_bytes()).map_err(|e| format!("{e}: {}", lines.trim_end()))
}
