//! The directory of one life of a worker, locked for as long as it lives. Directories of dead lives are removed at the next start.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hearth_common::WorkerId;
use rustix::fs::{FlockOperation, flock};

/// How long another worker may hold the root's lock while it starts.
const ROOT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error("start the worker: {0}")]
    Config(String),
    /// The work directory cannot be used.
    #[error("use the work directory {}: {reason}; choose another with --work-dir", path.display())]
    WorkDir {
        /// The directory, or what is in it.
        path: PathBuf,
        /// What the file system said.
        reason: String,
    },
    /// The shuffle service, or the web address, cannot listen.
    #[error("listen on {address} for {purpose}: {reason}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What for.
        purpose: &'static str,
        /// What the system said.
        reason: io::Error,
    },
    /// Threads or memory could not be set up.
    #[error("start the worker: {0}")]
    Runtime(String),
}

/// The directory of one life: `<root>/<worker id>/`, with `shuffle/`, `spill/`, `spool/` and a lock file in it.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes the directory, after the directories of dead lives are gone. Blocks.
    pub(crate) fn create(root: &Path, worker: WorkerId) -> Result<Self, StartError> {
        let path = root.join(worker.to_string());
        create(root, &path).map_err(|error| StartError::WorkDir { path: root.to_owned(), reason: error.to_string() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn shuffle(&self) -> PathBuf {
        self.path.join("shuffle")
    }

    pub(crate) fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }

    /// For output on its way to HDFS.
    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the work directory; the next start will");
        }
    }
}

fn create(root: &Path, path: &Path) -> io::Result<WorkDir> {
    fs::create_dir_all(root)?;
    // The root's lock keeps a starting worker's new directory from being taken for a dead one before it is locked.
    let _root_lock = lock_root(root)?;
    remove_dead(root)?;
    for directory in ["shuffle", "spill", "spool"] {
        fs::create_dir_all(path.join(directory))?;
    }
    let lock = try_lock(path)?.ok_or_else(|| io::Error::other("its lock is taken"))?;
    Ok(WorkDir { path: path.to_owned(), _lock: lock })
}

fn lock_root(root: &Path) -> io::Result<File> {
    let deadline = Instant::now() + ROOT_LOCK_TIMEOUT;
    loop {
        if let Some(lock) = try_lock(root)? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("another worker has been starting in it for too long"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn try_lock(directory: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(directory.join(".lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Only directories that are named by a worker id and whose lock is free: nothing else is ours.
fn remove_dead(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let is_life = entry.file_name().to_str().is_some_and(|name| name.parse::<WorkerId>().is_ok());
        if !is_life || !entry.file_type()?.is_dir() {
            continue;
        }
        match try_lock(&entry.path()) {
            Ok(None) => {}
            Ok(Some(_lock)) => {
                tracing::info!(path = %entry.path().display(), "removing the directory of a dead worker");
                if let Err(error) = fs::remove_dir_all(entry.path()) {
                    tracing::warn!(path = %entry.path().display(), %error, "could not remove it");
                }
            }
            Err(error) => tracing::warn!(path = %entry.path().display(), %error, "could not look at its lock"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_lives_are_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join(WorkerId::from_u128(1).to_string());
        fs::create_dir_all(dead.join("shuffle/job")).unwrap();
        fs::create_dir_all(root.path().join("mine")).unwrap();
        let alive = WorkDir::create(root.path(), WorkerId::from_u128(2)).unwrap();
        assert!(!dead.exists());
        let other = WorkDir::create(root.path(), WorkerId::from_u128(3)).unwrap();
        assert!(alive.shuffle().is_dir() && other.spill().is_dir(), "a living worker keeps its directory");
        assert!(root.path().join("mine").is_dir(), "somebody else's directory stays");
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }

    #[test]
    fn says_why_a_directory_cannot_be_used() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = WorkDir::create(&file, WorkerId::from_u128(1)).unwrap_err().to_string();
        assert!(error.contains("use the work directory") && error.contains("--work-dir"), "{error}");
    }
}
