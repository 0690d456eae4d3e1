//! The shuffle outputs of one life of a worker, on its disk. File names are made of parsed ids, never of text from outside.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearth_common::{AttemptId, JobId, WorkerId};
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};

use super::index::ShuffleIndex;

/// The shuffle outputs that one life of a worker holds.
#[derive(Debug)]
pub(crate) struct ShuffleStore {
    worker: WorkerId,
    directory: PathBuf,
    held: Mutex<BTreeSet<AttemptId>>,
}

/// A finished output, open for reading.
#[derive(Debug)]
pub(super) struct ShuffleFile {
    pub(super) file: File,
    pub(super) index: ShuffleIndex,
}

impl ShuffleFile {
    /// So many bytes from a place, in memory that nobody had to fill before.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            if retry_on_intr(|| pread(&self.file, spare_capacity(&mut bytes), at))? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer"));
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl ShuffleStore {
    pub(crate) fn new(worker: WorkerId, directory: PathBuf) -> Self {
        Self { worker, directory, held: Mutex::default() }
    }

    pub(crate) fn worker(&self) -> WorkerId {
        self.worker
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The outputs that are held, in order.
    pub(crate) fn held(&self) -> Vec<AttemptId> {
        self.lock().iter().copied().collect()
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<AttemptId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, attempt: AttemptId) -> PathBuf {
        let task = attempt.task;
        let name = format!("{}-{}-{}.shuffle", task.stage, task.partition, attempt.attempt);
        self.job_directory(task.job).join(name)
    }

    fn job_directory(&self, job: JobId) -> PathBuf {
        self.directory.join(job.to_string())
    }

    /// From now on the attempt's output can be read.
    pub(super) fn add(&self, attempt: AttemptId) {
        self.lock().insert(attempt);
    }

    /// Opens an output; an error of kind `NotFound` if it is not held.
    pub(super) fn open(&self, attempt: AttemptId) -> io::Result<ShuffleFile> {
        if !self.lock().contains(&attempt) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the worker does not hold it"));
        }
        let file = File::open(self.path(attempt))?;
        let index = ShuffleIndex::read(&file)?;
        Ok(ShuffleFile { file, index })
    }

    /// Forgets the output of one attempt. Its file is left to [`Forgotten::remove`].
    pub(crate) fn forget(&self, attempt: AttemptId) -> Option<Forgotten> {
        self.lock().remove(&attempt).then(|| Forgotten { path: self.path(attempt), is_directory: false })
    }

    /// Forgets the outputs of a job.
    pub(crate) fn forget_job(&self, job: JobId) -> Forgotten {
        self.lock().retain(|attempt| attempt.task.job != job);
        Forgotten { path: self.job_directory(job), is_directory: true }
    }
}

/// What is not held any more, but still on the disk.
#[derive(Debug)]
pub(crate) struct Forgotten {
    path: PathBuf,
    is_directory: bool,
}

impl Forgotten {
    /// Removes it from the disk. Blocks.
    pub(crate) fn remove(self) {
        let removed = if self.is_directory { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
        note_failure(&self.path, removed);
    }
}

fn note_failure(path: &Path, result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "could not remove a shuffle output");
    }
}
