//! The gateway's door for its operator: a socket in the data folder, by which `tallycast backup` gets a copy of the store.
//!
//! Whoever may use the folder may use it; the network never sees it. One copy is made at a time, on a thread of its own.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::seldom;
use crate::store::Store;

/// The socket's name in the folder.
const NAME: &str = "control.sock";
/// The address of a socket may have so many bytes, on any system.
const ADDRESS_BYTES_MAX: usize = 100;
/// What can be asked for.
const BACKUP: &[u8; 8] = b"backup1\n";
/// A client that asks for nothing, or takes nothing, for so long is given up.
const STALL_DEADLINE: Duration = Duration::from_secs(20);
/// A gateway that tells nothing for so long is given up. It may have to finish a merge first.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// Whom no descriptor can be had for is let in so much later.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The open door.
pub struct Control {
    folder: PathBuf,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    /// Who is served now.
    client: Mutex<Option<UnixStream>>,
}

impl Control {
    /// Opens it in the folder of a store that is open: a socket that is there already was left by a process that is gone.
    pub fn open(folder: &Path, store: Store) -> io::Result<Self> {
        let (address, _kept) = address_in(folder)?;
        match std::fs::remove_file(&address) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&address)?;
        std::fs::set_permissions(&address, Permissions::from_mode(0o600))?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let serve = move || {
            while !theirs.stopped.load(Ordering::Acquire) {
                let accepted = listener.accept().and_then(|(stream, _)| Ok((stream.try_clone()?, stream)));
                let stream = match accepted {
                    Ok((handle, stream)) => {
                        *theirs.client() = Some(handle);
                        stream
                    }
                    Err(error) => {
                        seldom!(warn, ("control", 0), %error, "nobody can be let in who asks for a backup");
                        std::thread::sleep(ACCEPT_AGAIN_AFTER);
                        continue;
                    }
                };
                // Whoever closes finds either the client or the one that it sends to wake this.
                if theirs.stopped.load(Ordering::Acquire) {
                    return;
                }
                // The client learns of a failure where it can; here it is for the log.
                if let Err(error) = serve(&store, stream) {
                    tracing::warn!("a backup was broken off: {error}");
                }
                *theirs.client() = None;
            }
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(serve)?;
        Ok(Self { folder: folder.to_owned(), shared, thread })
    }

    /// Closes it; a copy that is under way is broken off.
    pub fn close(self) {
        self.shared.stopped.store(true, Ordering::Release);
        if let Some(client) = &*self.shared.client() {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        if let Ok((address, _kept)) = address_in(&self.folder) {
            // Wakes the thread, which then sees that it is over. Where nobody can connect, it ends with the process.
            if UnixStream::connect(&address).is_ok() {
                let _ = self.thread.join();
            }
            let _ = std::fs::remove_file(&address);
        }
    }
}

impl Shared {
    fn client(&self) -> std::sync::MutexGuard<'_, Option<UnixStream>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(store: &Store, mut stream: UnixStream) -> Result<(), String> {
    let words = |error: io::Error| error.to_string();
    stream.set_read_timeout(Some(STALL_DEADLINE)).map_err(words)?;
    stream.set_write_timeout(Some(STALL_DEADLINE)).map_err(words)?;
    let mut asked = [0; BACKUP.len()];
    stream.read_exact(&mut asked).map_err(words)?;
    if asked != *BACKUP {
        return Err("something unknown was asked for".to_owned());
    }
    store.tell(&mut stream).map_err(|error| error.to_string())?;
    tracing::info!("a backup was taken");
    Ok(())
}

/// Asks the gateway that has the folder for a copy of its store; `None` where there is none.
pub fn ask_for_copy(folder: &Path) -> io::Result<Option<impl Read>> {
    let connected = address_in(folder).and_then(|(address, _kept)| UnixStream::connect(address));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.write_all(BACKUP)?;
    Ok(Some(io::BufReader::with_capacity(1 << 20, stream)))
}

/// Where the socket is. A long way to it goes by a folder that is open, for as long as that is kept.
fn address_in(folder: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let direct = folder.join(NAME);
    if direct.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok((direct, None));
    }
    let open = File::open(folder)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd())), Some(open)))
}
