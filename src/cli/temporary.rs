//! A folder for one run of a command, for this user alone, that goes away with the command.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Removed when dropped.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// Makes a folder of a fresh name in `parent`, or among the system's temporary files.
    pub(super) fn make(what: &str, parent: Option<&Path>) -> anyhow::Result<Self> {
        let name = format!("tallycast-{what}-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = parent.map_or_else(std::env::temp_dir, Path::to_owned).join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed lies among temporary files, and nothing is lost by it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
