//! The state directory: made when it is missing, and locked, so that two masters never share one.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use hearth_common::JobId;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

const SPOOL: &str = "spool";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made or written.
    #[error("use state directory {path}: {source}; choose a writable one with --state-dir")]
    Unwritable {
        /// The directory.
        path: String,
        /// The file system's answer.
        source: io::Error,
    },
    /// Another master uses it.
    #[error("use state directory {path}: another master uses it; stop that one, or choose another with --state-dir")]
    Locked {
        /// The directory.
        path: String,
    },
}

/// A locked state directory. The lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes and locks the directory. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, StateDirError> {
        let unwritable = |source| StateDirError::Unwritable { path: path.display().to_string(), source };
        for directory in ["results", SPOOL] {
            std::fs::create_dir_all(path.join(directory)).map_err(unwritable)?;
        }
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock")).map_err(unwritable)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                remove_files(&path.join(SPOOL)).map_err(unwritable)?;
                Ok(Self { path: path.to_owned(), _lock: lock })
            }
            Err(Errno::WOULDBLOCK) => Err(StateDirError::Locked { path: path.display().to_string() }),
            Err(error) => Err(unwritable(error.into())),
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("jobs.redb")
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.path.join("results")
    }

    /// What was told of jobs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// For files on their way to or from HDFS. Empty when the master starts.
    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join(SPOOL)
    }
}

fn remove_files(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// The file of a stored result.
pub(crate) fn result_file(results: &Path, job: JobId) -> PathBuf {
    results.join(format!("{job}.arrow"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_master() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = StateDir::open(&path).unwrap();
        assert!(matches!(StateDir::open(&path), Err(StateDirError::Locked { .. })));
        let left = first.spool().join("left");
        std::fs::write(&left, "of a master that was killed").unwrap();
        drop(first);
        StateDir::open(&path).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn says_what_cannot_be_written() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let error = StateDir::open(&root.path().join("file/state")).unwrap_err();
        assert!(error.to_string().ends_with("choose a writable one with --state-dir"), "{error}");
    }
}
