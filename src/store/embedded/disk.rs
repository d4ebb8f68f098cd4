//! The disk as the store needs it: one folder of files that can be written at a place, synced and renamed.
//!
//! A trait, because a second disk exists: the one of the tests, which forgets what was not synced. Nothing here retries.

use std::any::Any;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Makes sure of room for so many bytes, without writing them; where the disk cannot tell, nothing is made sure of.
    fn reserve(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
    /// Whether the file still has a name. One that has none is gone when it is closed.
    fn has_name(&self) -> io::Result<bool> {
        Ok(true)
    }
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
    /// The bytes that are free; `None` where that cannot be told.
    fn room(&self) -> Option<u64> {
        None
    }
}

/// Whether an error says that there is no room, which passes, unlike all others.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether an error says that no file can be opened for want of descriptors, which passes, too.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.raw_os_error().map(Errno::from_raw).is_some_and(|errno| matches!(errno, Errno::EMFILE | Errno::ENFILE))
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

/// How many descriptors are kept for the moment when there are no others.
const SPARE_DESCRIPTORS: usize = 2;

/// A folder of the operating system.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folder itself, open so that nothing needs a descriptor to make its names safe.
    folder: File,
    /// Given up one by one where a file must be opened and no descriptor is left.
    spare: Mutex<Vec<File>>,
}

impl Folder {
    /// Makes the folder where it is missing, and its name safe. Who the members of groups are is nobody else's business.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            close_to_strangers(path)?;
        } else {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        let folder = Self { path: path.to_owned(), folder: File::open(path)?, spare: Mutex::default() };
        folder.keep_spare();
        Ok(folder)
    }

    fn keep_spare(&self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        while spare.len() < SPARE_DESCRIPTORS
            && let Ok(another) = self.folder.try_clone()
        {
            spare.push(another);
        }
    }
}

/// What the folder's owner may do, and nobody else.
const FOLDER_MODE: u32 = 0o700;
/// The same for a file.
const FILE_MODE: u32 = 0o600;

/// A folder that everybody can read was made without a thought of them. One that a group can read was made so on purpose.
fn close_to_strangers(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)) {
        Ok(()) => tracing::warn!("the data folder {} was open to every user of this machine: it is mode 0700 now", path.display()),
        Err(e) => tracing::warn!("the data folder {} is open to every user of this machine, and stays so: {e}", path.display()),
    }
    Ok(())
}

impl Disk for Folder {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false).mode(FILE_MODE);
        let path = self.path.join(name);
        let file = match options.open(&path) {
            Err(error) if is_out_of_descriptors(&error) => {
                drop(self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(error)?);
                options.open(&path)?
            }
            opened => {
                self.keep_spare();
                opened?
            }
        };
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
        self.folder.sync_all()
    }

    fn room(&self) -> Option<u64> {
        let room = nix::sys::statvfs::fstatvfs(&self.folder).ok()?;
        Some((room.blocks_available() as u64).saturating_mul(room.fragment_size() as u64))
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
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(self.path.join("LOCK"))?;
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

    #[cfg(target_os = "linux")]
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        use nix::errno::Errno;
        use nix::fcntl::{FallocateFlags, fallocate};
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes.cast_signed()) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINTR) | Ok(()) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn has_name(&self) -> io::Result<bool> {
        self.0.metadata().map(|metadata| metadata.nlink() > 0)
    }
}

#[cfg(test)]
pub(super) mod memory;
pub(super) mod scratch;
