//! What admins changed: one JSON object a line, in a file of its own, written by a thread of its own. Never a UserSig.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;

use crate::domain::UnixMillis;
use crate::seldom;

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
pub struct Audit {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Opens the file, to add to it. Errors: those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let (lines, waiting) = sync_channel(LINES_MAX);
        let audit = Self { lines, lost: Arc::default() };
        let writer = Writer { file, path: path.to_owned(), lost: audit.lost.clone() };
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.write_all(&waiting))?;
        Ok(audit)
    }

    /// Writes a line down. Where the disk is too slow for too long the line is lost, and counted.
    pub fn write(&self, change: &Change<'_, impl Serialize, impl Serialize>) {
        let line = serde_json::to_string(change).expect("no change has a map whose keys are no texts");
        if self.lines.try_send(Line::Text(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            seldom!(error, ("audit is full", 0), "a line of the audit is lost: the disk is too slow for what admins change");
        }
    }

    /// Lines that never came into the file.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything that came before is in the file.
    pub fn flush(&self) {
        let (tell, told) = sync_channel(1);
        if self.lines.send(Line::Flush(tell)).is_ok() {
            // Whoever writes has ended where nothing comes, and then there is nothing to wait for.
            let _ = told.recv();
        }
    }

    /// Opens the file anew, after somebody has moved it away.
    pub fn reopen(&self) {
        // Whoever finds the queue full sends the signal again.
        let _ = self.lines.try_send(Line::Reopen);
    }
}

fn open(path: &Path) -> io::Result<File> {
    // It names users and groups: for whoever runs the gateway, and nobody else.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

struct Writer {
    file: File,
    path: PathBuf,
    lost: Arc<AtomicU64>,
}

impl Writer {
    fn write_all(mut self, waiting: &Receiver<Line>) {
        while let Ok(first) = waiting.recv() {
            if matches!(first, Line::Text(_)) {
                std::thread::sleep(GATHER_FOR);
            }
            let mut lines = Vec::new();
            for line in std::iter::once(first).chain(waiting.try_iter().take(LINES_MAX)) {
                match line {
                    Line::Text(text) => lines.push(text),
                    Line::Reopen => {
                        self.write(&mut lines);
                        match open(&self.path) {
                            Ok(fresh) => self.file = fresh,
                            Err(e) => tracing::error!("the audit file {} cannot be opened anew: {e}", self.path.display()),
                        }
                    }
                    Line::Flush(tell) => {
                        self.write(&mut lines);
                        // Whoever waited may be gone.
                        let _ = tell.send(());
                    }
                }
            }
            self.write(&mut lines);
        }
    }

    /// Writes lines as one, all or none; lines that cannot be written are lost, and counted.
    fn write(&mut self, lines: &mut Vec<String>) {
        let lines = std::mem::take(lines);
        if lines.is_empty() {
            return;
        }
        let before = self.file.metadata().map(|metadata| metadata.len());
        let mut text = lines.join("\n");
        text.push('\n');
        if let Err(e) = self.file.write_all(text.as_bytes()) {
            // What is there of the first ones would run into the next. A pipe or a device has no length, and nothing to cut.
            if let Ok(before) = before {
                let _ = self.file.set_len(before);
            }
            self.lost.fetch_add(lines.len() as u64, Ordering::Relaxed);
            let (path, lines) = (self.path.display(), lines.len());
            seldom!(error, ("audit", 0), lines, "lines of the audit are lost: {path} cannot be written: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(group: &str) -> Change<'_, (), ()> {
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        Change { time: 0, admin: "admin", from, command: "destroy_group", group: Some(group), before: (), after: () }
    }

    #[test]
    fn what_waits_for_the_disk_is_bounded_and_what_is_lost_is_counted() {
        let (lines, waiting) = sync_channel(2);
        let audit = Audit { lines, lost: Arc::default() };
        (0..5).for_each(|_| audit.write(&change("a")));
        assert_eq!((audit.lost(), waiting.try_iter().count()), (3, 2));
        drop(waiting);
        audit.write(&change("a"));
        assert_eq!(audit.lost(), 4);
    }

    #[test]
    fn lines_for_a_full_disk_are_counted() {
        let audit = Audit::open(Path::new("/dev/full")).unwrap();
        (0..5).for_each(|_| audit.write(&change("a")));
        audit.flush();
        assert_eq!(audit.lost(), 5);
    }

    #[test]
    fn lines_are_in_the_file_once_it_is_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::open(&path).unwrap();
        ["a", "b"].iter().for_each(|group| audit.write(&change(group)));
        audit.flush();
        let moved = folder.path().join("old.log");
        std::fs::rename(&path, &moved).unwrap();
        audit.reopen();
        audit.write(&change("c"));
        audit.flush();
        let groups = |path| std::fs::read_to_string(path).unwrap().lines().map(|line| line.contains("\"group\":\"a\"")).collect::<Vec<_>>();
        assert_eq!((groups(&moved), groups(&path), audit.lost()), (vec![true, false], vec![false], 0));
    }
}
