//! What outlives the master: accepted jobs, commit intents and final states, in one crash-safe file of the state directory.
//!
//! Everything is written here before it is acted on. One thread owns the file and writes whatever waits in one transaction,
//! so a thousand submissions cost a few syncs. It must not decide anything, and nothing reads it but the start of a master.

mod file;
mod record;

use std::path::Path;

use hearth_common::{JobId, JobStatus};
use tokio::sync::{mpsc, oneshot};

use crate::commit::CommitIntent;
use file::{StoreFile, Table, Write};
pub(crate) use record::{AcceptedJob, Committed, StoredJob};

/// Requests that wait for the writing thread at most; a sender beyond it waits.
const REQUESTS_MAX: usize = 4096;
/// Requests in one transaction at most.
const BATCH_MAX: usize = 1024;

/// Why the store did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file is in use.
    #[error("open {0}: another process uses it")]
    InUse(String),
    /// The file was written by something else.
    #[error(
        "open {path}: it has format {found}, this master reads {expected}; use another --state-dir or the matching version"
    )]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// The one we know.
        expected: u64,
    },
    /// A record is damaged.
    #[error("read {what} of job {job} from the store: {problem}")]
    Damaged {
        /// The kind of record.
        what: &'static str,
        /// Its job.
        job: String,
        /// What does not fit.
        problem: String,
    },
    /// The disk or the file is in trouble.
    #[error("{action} the store: {message}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What went wrong.
        message: String,
    },
    /// The writing thread has ended.
    #[error("write to the store: it is closed")]
    Closed,
}

/// The way to the writing thread. Every method returns when its records are on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Write { writes: Vec<Write>, done: oneshot::Sender<Result<(), StoreError>> },
    Close { done: oneshot::Sender<()> },
}

impl Store {
    /// Opens or makes the file, and reads what it holds, oldest job first. Blocks.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<StoredJob>), StoreError> {
        let file = StoreFile::open(path)?;
        let jobs = record::load(&file)?;
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        std::thread::Builder::new()
            .name("hearth-store".to_owned())
            .spawn(move || write_requests(file, receiver))
            .map_err(|error| StoreError::Io { action: "start the thread of", message: error.to_string() })?;
        Ok((Self { requests }, jobs))
    }

    /// Records a job before its submission is answered.
    pub(crate) async fn accept(&self, job: &AcceptedJob) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Jobs, job.id, job)?]).await
    }

    /// Records which files a commit will make visible, before the first one is moved.
    pub(crate) async fn record_intent(&self, intent: &CommitIntent) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Intents, intent.job, intent)?]).await
    }

    /// Forgets an intent whose commit gave up, with nothing visible.
    pub(crate) async fn withdraw_intent(&self, job: JobId) -> Result<(), StoreError> {
        self.write(vec![record::remove(Table::Intents, job)]).await
    }

    /// Records that a job's output is visible, or its result stored.
    pub(crate) async fn record_committed(&self, job: JobId, committed: &Committed) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Committed, job, committed)?, record::remove(Table::Intents, job)]).await
    }

    /// Records the final state of a job.
    pub(crate) async fn record_end(&self, status: &JobStatus) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Ended, status.id, status)?]).await
    }

    /// Removes everything about jobs that history no longer keeps.
    pub(crate) async fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        let writes = jobs.iter().flat_map(|job| Table::ALL.map(|table| record::remove(table, *job))).collect();
        self.write(writes).await
    }

    /// Ends the writing thread after what was asked before; the file can then be opened again.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.requests.send(Request::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.requests.send(Request::Write { writes, done }).await.map_err(|_| StoreError::Closed)?;
        written.await.map_err(|_| StoreError::Closed)?
    }
}

fn write_requests(file: StoreFile, mut requests: mpsc::Receiver<Request>) {
    let mut closing = None;
    while closing.is_none()
        && let Some(first) = requests.blocking_recv()
    {
        let (mut writes, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Write { writes: more, done } => {
                    writes.extend(more);
                    waiting.push(done);
                }
                Request::Close { done } => closing = Some(done),
            }
            let goes_on = closing.is_none() && waiting.len() < BATCH_MAX;
            next = if goes_on { requests.try_recv().ok() } else { None };
        }
        let outcome = file.write(&writes);
        if let Err(error) = &outcome {
            tracing::error!(%error, "could not write to the store");
        }
        for done in waiting {
            // The asker may have given up; what it asked for is written all the same.
            let _ = done.send(outcome.clone());
        }
    }
    drop(file);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

#[cfg(test)]
mod tests;
