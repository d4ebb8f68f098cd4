//! What admins changed: one JSON object a line, in a file of its own, written by a thread of its own. Never a UserSig.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use serde_json::Value;

/// Lines that may wait for the disk.
const LINES_MAX: usize = 10_000;

enum Line {
    Text(String),
    Reopen,
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
    pub fn write(&self, line: &Value) {
        if let Err(TrySendError::Full(Line::Text(text)) | TrySendError::Disconnected(Line::Text(text))) =
            self.0.try_send(Line::Text(line.to_string()))
        {
            tracing::error!("the audit file cannot be written in time: {text}");
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
    while let Ok(line) = waiting.recv() {
        let done = match line {
            Line::Text(mut text) => {
                text.push('\n');
                file.write_all(text.as_bytes()).map_err(|e| format!("{e}: {}", text.trim_end()))
            }
            Line::Reopen => open(path).map(|fresh| file = fresh).map_err(|e| e.to_string()),
        };
        if let Err(e) = done {
            tracing::error!("the audit file {}: {e}", path.display());
        }
    }
}
