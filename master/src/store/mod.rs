//! What outlives the master: accepted jobs, their plans and how far they have come, commit intents and final states, in one
//! crash-safe file of the state directory.
//!
//! Everything is written here before it is acted on. One thread owns the file and writes whatever waits in one transaction,
//! so a thousand submissions cost a few syncs. It must not decide anything, and nothing reads it but the start of a master.

mod file;
mod handover;
mod load;
pub(crate) mod record;

use std::path::Path;

use hearth_common::{JobId, JobStatus};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::commit::CommitIntent;
use crate::tenure::Tenure;
pub(crate) use file::Write;
use file::{StoreFile, Table};
pub(crate) use handover::{forget_before, hand_over, store_file};
pub(crate) use record::{AcceptedJob, Committed, Stored, StoredJob};

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
    #[error(
        "read {what} of {key} from the store: {problem}; put a copy of the state directory back, or use another --state-dir"
    )]
    Damaged {
        /// The kind of record.
        what: &'static str,
        /// What it is about; begins with a job.
        key: String,
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
    /// Another master has taken over, or may have: nothing that was asked for counts.
    #[error("write to the store: {0}")]
    Fenced(String),
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
    /// Opens or makes the file, and reads what it holds, oldest job first. Nothing is told to be written once another master has
    /// taken over. Blocks.
    pub(crate) fn open(path: &Path, tenure: Option<Tenure>) -> Result<(Self, Stored), StoreError> {
        let file = StoreFile::open(path)?;
        let stored = load::load(&file)?;
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        std::thread::Builder::new()
            .name("hearth-store".to_owned())
            .spawn(move || write_requests(file, tenure.as_ref(), receiver))
            .map_err(|error| StoreError::Io { action: "start the thread of", message: error.to_string() })?;
        Ok((Self { requests }, stored))
    }

    /// Records a job before its submission is answered.
    pub(crate) async fn accept(&self, job: &AcceptedJob) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Jobs, job.id.to_string(), job)?]).await
    }

    /// Records which files a commit will make visible, before the first one is moved.
    pub(crate) async fn record_intent(&self, intent: &CommitIntent) -> Result<(), StoreError> {
        self.write(vec![record::put(Table::Intents, intent.job.to_string(), intent)?]).await
    }

    /// Forgets an intent whose commit gave up, with nothing visible.
    pub(crate) async fn withdraw_intent(&self, job: JobId) -> Result<(), StoreError> {
        self.write(vec![record::remove(Table::Intents, job)]).await
    }

    /// Records that a job's output is visible, or its result stored.
    pub(crate) async fn record_committed(&self, job: JobId, committed: &Committed) -> Result<(), StoreError> {
        self.write(vec![
            record::put(Table::Committed, job.to_string(), committed)?,
            record::remove(Table::Intents, job),
        ])
        .await
    }

    /// Records the final state of a job.
    pub(crate) async fn record_end(&self, status: &JobStatus) -> Result<(), StoreError> {
        self.write(record::end(status)?).await
    }

    /// Has several changes written as one, in the order of these calls. Gives the changes back where too much waits already.
    ///
    /// What is given otherwise tells when they are on the disk.
    pub(crate) fn begin_write(&self, writes: Vec<Write>) -> Result<Writing, Vec<Write>> {
        let (done, written) = oneshot::channel();
        match self.requests.try_send(Request::Write { writes, done }) {
            Ok(()) => Ok(Writing(written)),
            Err(TrySendError::Full(Request::Write { writes, .. })) => Err(writes),
            // Then nobody answers, which is told as such.
            Err(TrySendError::Full(Request::Close { .. }) | TrySendError::Closed(_)) => Ok(Writing(written)),
        }
    }

    /// Ends the writing thread after what was asked before; the file can then be opened again.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.requests.send(Request::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }

    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.requests.send(Request::Write { writes, done }).await.map_err(|_| StoreError::Closed)?;
        written.await.map_err(|_| StoreError::Closed)?
    }
}

/// A write that is under way.
#[derive(Debug)]
pub(crate) struct Writing(oneshot::Receiver<Result<(), StoreError>>);

impl Writing {
    /// Waits until it is on the disk.
    pub(crate) async fn written(self) -> Result<(), StoreError> {
        self.0.await.map_err(|_| StoreError::Closed)?
    }
}

fn write_requests(file: StoreFile, tenure: Option<&Tenure>, mut requests: mpsc::Receiver<Request>) {
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
        let outcome = write_fenced(&file, tenure, &writes);
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

/// What is answered after the second look was on the disk before it, so that whoever takes over later finds it there.
fn write_fenced(file: &StoreFile, tenure: Option<&Tenure>, writes: &[Write]) -> Result<(), StoreError> {
    let look = || tenure.map_or(Ok(()), Tenure::check).map_err(|lost| StoreError::Fenced(lost.to_string()));
    look()?;
    file.write(writes)?;
    look()
}

#[cfg(test)]
mod tests;
