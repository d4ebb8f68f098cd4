//! What can happen to files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;

/// What every segment begins with.
const LABEL_BYTES: usize = 64;

/// How near the damage has come to the end of what was written.
#[derive(Default, Clone, Copy)]
pub struct Touched {
    /// Wrong bits in the newest segment of the journal.
    pub newest: usize,
    /// Several bytes at its end are others, or a file is another: more than one block may be gone without a trace.
    pub tail: bool,
}

impl Touched {
    pub fn and(self, other: Self) -> Self {
        Self { newest: self.newest + other.newest, tail: self.tail || other.tail }
    }
}

/// The folder's files, and which of them is the newest segment with blocks.
pub struct Files {
    folder: PathBuf,
    newest: Option<PathBuf>,
}

impl Files {
    pub fn of(folder: &Path) -> Self {
        let has_blocks = |path: &&PathBuf| is_segment(path) && fs::read(path).is_ok_and(|bytes| used(&bytes) > LABEL_BYTES);
        Self { folder: folder.to_owned(), newest: paths(folder).iter().rev().find(has_blocks).cloned() }
    }

    /// Hurts one of them, as the input wants.
    pub fn hurt(&self, input: &mut Bytes<'_>) -> Touched {
        let files = paths(&self.folder);
        if files.is_empty() {
            return Touched::default();
        }
        let (what, at) = (input.byte() % 16, usize::from(input.byte()) % files.len());
        hurt(&files, at, self.newest.as_ref() == Some(&files[at]), what, input)
    }
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "LOCK"));
    files.sort();
    files
}

fn hurt(files: &[PathBuf], at: usize, is_newest: bool, what: u8, input: &mut Bytes<'_>) -> Touched {
    let file = &files[at];
    let mut bytes = fs::read(file).expect("a file");
    let end = used(&bytes);
    // Most of a file is zeros, where nothing can be hurt; and what lies there may be looked at, too.
    let place = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % (end + 64).min(bytes.len()).max(1);
    let mut touched = Touched { newest: usize::from(is_newest), tail: false };
    match what {
        0..10 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << (input.byte() % 8);
            }
        }
        10..12 => {
            let length = usize::from(input.byte()).min(bytes.len() - place.min(bytes.len()));
            let other = &files[usize::from(input.byte()) % files.len()];
            let from = if what == 10 { vec![0; place + length] } else { fs::read(other).expect("a file") };
            let from = from.get(place..place + length).unwrap_or_default();
            bytes[place..place + from.len()].copy_from_slice(from);
            touched.tail = is_newest && place + length + 512 > end;
        }
        12 => {
            let text = input.short();
            let length = text.len().min(bytes.len() - place.min(bytes.len()));
            bytes[place..place + length].copy_from_slice(&text[..length]);
            touched.tail = is_newest && place + length + 512 > end;
        }
        13 => bytes.truncate(place),
        14 => bytes.extend_from_slice(input.short()),
        _ => {
            let other = &files[usize::from(input.byte()) % files.len()];
            if other == file {
                fs::remove_file(file).expect("a file");
                return touched;
            }
            let theirs = fs::read(other).expect("a file");
            fs::write(other, &bytes).expect("a file");
            bytes = theirs;
        }
    }
    fs::write(file, bytes).expect("a file");
    touched
}

fn is_segment(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("journal-"))
}

/// Bytes up to the last that is not 0.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}
