//! The state directory: made when it is missing, and had by one master at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_common::JobId;

use crate::results::remove_unfinished;
use crate::store::{forget_before, hand_over, store_file};
use crate::tenure::{Candidate, Outlook, Reached, Tenure, Waiting};

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
    /// A standby does not make it.
    #[error(
        "use state directory {path}: it is not there; mount the file system that both masters share, or make the directory once, \
         before the first of them is started with --standby"
    )]
    Missing {
        /// The directory.
        path: String,
    },
    /// Another master uses it.
    #[error(
        "use state directory {path}: another master uses it; stop that one, wait for its end with --standby, or choose another \
         with --state-dir"
    )]
    Locked {
        /// The directory.
        path: String,
    },
}

/// The state directory of the active master. It stays so until another one takes over.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
    tenure: Tenure,
}

impl StateDir {
    /// Makes the directory, and becomes its active master, waiting where only time can tell that the one before is dead. Blocks.
    pub(crate) fn open(path: &Path, reached: Reached, silence_max: Duration) -> Result<Self, StateDirError> {
        let mut candidate = Self::candidate(path, reached, silence_max)?;
        let mut has_told = false;
        loop {
            match Self::look(&mut candidate)? {
                Found::Active(state_dir) => return Ok(state_dir),
                Found::Waits(Waiting { lives: true, .. }) => {
                    return Err(StateDirError::Locked { path: path.display().to_string() });
                }
                Found::Waits(Waiting { active, lives: false }) => {
                    if !std::mem::replace(&mut has_told, true) {
                        let host = active.map(|active| active.host);
                        tracing::info!(?host, wait = ?silence_max, "the master before told no end; waiting to see whether it lives");
                    }
                }
            }
            std::thread::sleep(Candidate::pause());
        }
    }

    /// A standby of a directory that is there: an empty one in its place, because a file system is not mounted, would have a second
    /// active master.
    pub(crate) fn standby(path: &Path, reached: Reached, silence_max: Duration) -> Result<Candidate, StateDirError> {
        if !path.is_dir() {
            return Err(StateDirError::Missing { path: path.display().to_string() });
        }
        Self::candidate(path, reached, silence_max)
    }

    /// One that wants to be the active master of a directory, which is made.
    fn candidate(path: &Path, reached: Reached, silence_max: Duration) -> Result<Candidate, StateDirError> {
        let unwritable = unwritable(path);
        std::fs::create_dir_all(path.join("results")).map_err(unwritable)?;
        Candidate::new(path, reached, silence_max).map_err(unwritable)
    }

    /// Becomes the active master where that may be. Blocks.
    pub(crate) fn look(candidate: &mut Candidate) -> Result<Found, StateDirError> {
        let path = candidate.state_dir().to_owned();
        let unwritable = unwritable(&path);
        let (tenure, handover) = match candidate.look().map_err(unwritable)? {
            Outlook::Active(tenure, handover) => (tenure, handover),
            Outlook::Waits(waiting) => return Ok(Found::Waits(waiting)),
        };
        let number = tenure.epoch().number;
        hand_over(&path, number, handover).map_err(unwritable)?;
        let state_dir = Self { path: path.clone(), tenure };
        remove_all_but(&path.join(SPOOL), &state_dir.spool()).map_err(unwritable)?;
        std::fs::create_dir_all(state_dir.spool()).map_err(unwritable)?;
        remove_unfinished(&state_dir.results()).map_err(unwritable)?;
        Ok(Found::Active(state_dir))
    }

    /// The right to act on it.
    pub(crate) const fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_file(&self.path, self.tenure.epoch().number)
    }

    /// The store was read, and has all that those before had. Blocks.
    pub(crate) fn forget_earlier(&self) {
        let number = self.tenure.epoch().number;
        if let Err(error) = forget_before(&self.path, number).and_then(|()| self.tenure.forget_earlier()) {
            tracing::warn!(%error, "could not remove what masters before have left; the next start will");
        }
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.path.join("results")
    }

    /// What was told of jobs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What charts show of the last hour.
    pub(crate) fn charts(&self) -> PathBuf {
        self.path.join("charts")
    }

    /// For files on their way to or from HDFS, of this master alone.
    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join(SPOOL).join(self.tenure.epoch().number.to_string())
    }
}

/// What a failed step on the directory comes to.
fn unwritable(path: &Path) -> impl Fn(io::Error) -> StateDirError + Copy {
    move |source| StateDirError::Unwritable { path: path.display().to_string(), source }
}

/// What a look at a state directory told.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is this master's now.
    Active(StateDir),
    /// It is another one's, or may be.
    Waits(Waiting),
}

fn remove_all_but(directory: &Path, kept: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            _ if path == kept => {}
            true => std::fs::remove_dir_all(path)?,
            false => std::fs::remove_file(path)?,
        }
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

    fn open(path: &Path) -> Result<StateDir, StateDirError> {
        let reached = Reached { rpc: "node1:7077".to_owned(), http: "node1:8080".to_owned() };
        StateDir::open(path, reached, Duration::from_secs(10))
    }

    #[test]
    fn a_directory_has_one_master() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = open(&path).unwrap();
        assert!(matches!(open(&path), Err(StateDirError::Locked { .. })));
        let left = first.spool().join("left");
        std::fs::write(&left, "of a master that was killed").unwrap();
        first.tenure().end();
        let second = open(&path).unwrap();
        assert!(!left.exists() && second.spool().is_dir());
        assert_eq!(second.tenure().epoch().number, 2);
    }

    #[test]
    fn a_standby_makes_no_directory() {
        let root = tempfile::tempdir().unwrap();
        let reached = Reached { rpc: "node1:7077".to_owned(), http: "node1:8080".to_owned() };
        let path = root.path().join("state");
        let standby = || StateDir::standby(&path, reached.clone(), Duration::from_secs(10));
        assert!(matches!(standby(), Err(StateDirError::Missing { .. })));
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(StateDir::look(&mut standby().unwrap()), Ok(Found::Active(_))));
    }

    #[test]
    fn says_what_cannot_be_written() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let error = open(&root.path().join("file/state")).unwrap_err();
        assert!(error.to_string().ends_with("choose a writable one with --state-dir"), "{error}");
    }
}
