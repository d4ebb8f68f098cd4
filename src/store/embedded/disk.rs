//! The disk as the store needs it: one folder of files that can be written at a place, synced and renamed.
//!
//! A trait, because a second disk exists: the one of the tests, which forgets what was not synced. Nothing here retries.

use std::any::Any;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// An open file. Reads and writes are of all the bytes, or an error.
pub(super) trait DiskFile: Send + Sync + std::fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer; an error where the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all the bytes; after an error some of them may be there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file longer (zeros) or shorter.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Returns when all that was written is safe, the file's length too.
    fn sync(&self) -> io::Result<()>;
}

/// Held for as long as the folder must stay ours.
pub(super) type Lock = Box<dyn Any + Send + Sync>;

/// A folder of files.
pub(super) trait Disk: Send + Sync {
    /// Opens a file for reading and writing; with `create` it is made where it is missing.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, over whatever had it. Open files stay open.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Returns when all names are safe.
    fn sync_dir(&self) -> io::Result<()>;
    /// What tells this folder from a copy of it; it stays as it is for as long as the folder is not copied.
    fn home(&self) -> io::Result<String>;
    /// Takes the folder for this process; `None` where another has it.
    fn lock(&self) -> io::Result<Option<Lock>>;
}

/// Whether an error says that there is no room, which passes, unlike all others.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Writes zeros from `from` up to `to`.
pub(super) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut at = from;
    while at < to {
        let length = (to - at).min(zeros.len() as u64);
        file.write_at(at, &zeros[..length as usize])?;
        at += length;
    }
    Ok(())
}

/// Reads a range of a file.
pub(super) fn read_range(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    file.read_at(from, &mut bytes)?;
    Ok(bytes)
}

/// A folder of the operating system.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing, and its name safe.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned() })
    }
}

impl Disk for Folder {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.path.join(name))?;
        Ok(Arc::new(Plain(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Number and birth of the file `LOCK`: a copy has others, while a folder that is moved on its file system keeps them.
    /// Where births are not known, the last change of the file's own data stands for it: nobody changes this file.
    fn home(&self) -> io::Result<String> {
        let about = std::fs::metadata(self.path.join("LOCK"))?;
        let born = about.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let since = born.map_or_else(|| format!("c{}.{:09}", about.ctime(), about.ctime_nsec()), |born| format!("b{}", born.as_nanos()));
        Ok(format!("{}-{since}", about.ino()))
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.path.join("LOCK"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[derive(Debug)]
struct Plain(File);

impl DiskFile for Plain {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
pub(super) mod memory;
pub(super) mod scratch;
