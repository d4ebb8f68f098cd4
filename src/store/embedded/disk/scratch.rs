//! A folder that is looked at as if it were opened, and in which nothing changes: what is written stays in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Lock};

/// What is written is kept by so many bytes.
const PIECE_BYTES: usize = 4096;

/// The folder. A clone sees the same changes.
#[derive(Clone)]
pub(in crate::store::embedded) struct Scratch {
    names: Arc<Mutex<BTreeMap<String, Arc<ScratchFile>>>>,
}

impl Scratch {
    /// The files that are in the folder now.
    pub(in crate::store::embedded) fn of(path: &Path) -> io::Result<Self> {
        let mut names = BTreeMap::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let file = ScratchFile { base: Some(entry.path()), state: Mutex::default() };
                names.insert(entry.file_name().to_string_lossy().into_owned(), Arc::new(file));
            }
        }
        Ok(Self { names: Arc::new(Mutex::new(names)) })
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ScratchFile>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for Scratch {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut names = self.names();
        if let Some(file) = names.get(name) {
            // Whether it can be read at all is to be known now.
            drop(file.state()?);
            return Ok(file.clone());
        }
        if !create {
            return Err(ErrorKind::NotFound.into());
        }
        let file = Arc::new(ScratchFile { base: None, state: Mutex::default() });
        names.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.names();
        let file = names.remove(from).ok_or(ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.names().remove(name).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names().keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn home(&self) -> io::Result<String> {
        Ok(String::new())
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        Ok(Some(Box::new(())))
    }
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// Of the file below, as much as still shows.
    base_length: u64,
    length: u64,
    written: BTreeMap<u64, Box<[u8; PIECE_BYTES]>>,
    opened: bool,
}

#[derive(Debug)]
struct ScratchFile {
    base: Option<PathBuf>,
    state: Mutex<State>,
}

impl ScratchFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.opened {
            if let Some(path) = &self.base {
                let file = File::open(path)?;
                state.base_length = file.metadata()?.len();
                state.length = state.base_length;
                state.file = Some(file);
            }
            state.opened = true;
        }
        Ok(state)
    }
}

impl State {
    /// Reads bytes that lie in one piece, whatever the file's length.
    fn read_piece(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (piece, within) = (offset / PIECE_BYTES as u64, (offset % PIECE_BYTES as u64) as usize);
        if let Some(bytes) = self.written.get(&piece) {
            out.copy_from_slice(&bytes[within..within + out.len()]);
            return Ok(());
        }
        out.fill(0);
        let below = self.base_length.saturating_sub(offset).min(out.len() as u64) as usize;
        match &self.file {
            Some(file) if below > 0 => file.read_exact_at(&mut out[..below], offset),
            _ => Ok(()),
        }
    }
}

/// The range, cut where pieces meet.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let next = (PIECE_BYTES - (at % PIECE_BYTES as u64) as usize).min(length - done);
        let range = done..done + next;
        done += next;
        (next > 0).then_some((at, range))
    })
}

impl DiskFile for ScratchFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.length)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        if offset + buffer.len() as u64 > state.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        pieces(offset, buffer.len()).try_for_each(|(at, range)| state.read_piece(at, &mut buffer[range]))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        for (at, range) in pieces(offset, bytes.len()) {
            let piece = at / PIECE_BYTES as u64;
            let mut content = Box::new([0; PIECE_BYTES]);
            state.read_piece(piece * PIECE_BYTES as u64, &mut content[..])?;
            let within = (at % PIECE_BYTES as u64) as usize;
            content[within..within + range.len()].copy_from_slice(&bytes[range]);
            state.written.insert(piece, content);
        }
        state.length = state.length.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if length < state.length {
            // What was cut off must not show again where the file grows later.
            let cut = length.div_ceil(PIECE_BYTES as u64);
            state.written.retain(|piece, _| *piece < cut);
            let within = (length % PIECE_BYTES as u64) as usize;
            if let Some(last) = state.written.get_mut(&(length / PIECE_BYTES as u64)).filter(|_| within > 0) {
                last[within..].fill(0);
            }
            state.base_length = state.base_length.min(length);
        }
        state.length = length;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain file, with random reads and writes; the folder itself stays as it was.
    #[test]
    fn a_scratch_file_behaves_like_a_file_and_changes_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let before: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(20_000).collect();
        std::fs::write(folder.path().join("a"), &before).unwrap();
        let scratch = Scratch::of(folder.path()).unwrap();
        let file = scratch.open("a", false).unwrap();
        let mut model = before.clone();
        for _ in 0..2_000 {
            let (at, length) = (random.usize(..30_000), random.usize(1..9_000));
            match random.u8(..10) {
                0 => {
                    file.set_len(at as u64).unwrap();
                    model.resize(at, 0);
                }
                1..5 => {
                    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
                    file.write_at(at as u64, &bytes).unwrap();
                    model.resize(model.len().max(at + length), 0);
                    model[at..at + length].copy_from_slice(&bytes);
                }
                _ => {
                    let mut read = vec![1; length];
                    let done = file.read_at(at as u64, &mut read);
                    match model.get(at..at + length) {
                        Some(bytes) => assert_eq!((done.is_ok(), &read[..]), (true, bytes)),
                        None => assert_eq!(done.unwrap_err().kind(), ErrorKind::UnexpectedEof),
                    }
                }
            }
            assert_eq!(file.len().unwrap(), model.len() as u64);
        }
        scratch.rename("a", "b").unwrap();
        scratch.open("c", true).unwrap().write_at(3, b"x").unwrap();
        assert_eq!(scratch.list().unwrap(), ["b", "c"]);
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
