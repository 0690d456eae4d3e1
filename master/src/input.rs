//! Everything that reaches the event loop, and the handle by which it gets there.

use std::sync::Arc;

use hearth_common::{AttemptId, FailureCause, JobId, JobSpec, StageId, WorkerId};
use hearth_proto::convert::control::{Hello, WorkerMessage};
use hearth_scheduler::CommitOutcome;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::commit::Staging;
use crate::job_logs::JobLogs;
use crate::planner::PlannedJob;
use crate::recovery::{OpenCommit, SettledCommit};
use crate::snapshot::Snapshot;
use crate::store::{Committed, StoreError, Write};
use crate::workers::WorkerLink;

/// Inputs that wait for the loop at most; a sender beyond it waits.
pub(crate) const INPUTS_MAX: usize = 4096;

/// Something the event loop should take in.
#[derive(Debug)]
pub(crate) enum Input {
    /// A client looks for the job of an idempotency key.
    FindKey { key: String, hash: u128, reply: oneshot::Sender<Option<Result<Submitted, SubmitError>>> },
    /// A client submits a job.
    Submit(Box<Submission>),
    /// The store has, or has not, written a batch of facts.
    Written(Result<(), StoreError>),
    /// The store has, or has not, recorded a submission.
    Stored { job: JobId, outcome: Result<(), StoreError> },
    /// A client wants a job stopped; answered when that shows in the snapshot.
    Cancel { job: JobId, reply: oneshot::Sender<()> },
    /// A client wants a worker to leave; answered when that shows in the snapshot, or with `false` where it is not there.
    Drain { worker: WorkerId, reply: oneshot::Sender<bool> },
    /// Somebody looks at the tasks of a stage.
    ListTasks { query: TaskQuery, reply: oneshot::Sender<Option<TaskPage>> },
    /// The planner is done with a job.
    Planned { job: JobId, planned: Result<Box<Planned>, FailureCause>, staging: Option<Staging> },
    /// Planning or committing a job waits for HDFS, or does not any more.
    WaitsForHdfs { job: JobId, because: Option<String> },
    /// A commit ended.
    CommitEnded(CommitEnd),
    /// A commit that had no end has one, or the store took none.
    CommitSettled(Result<SettledCommit, StoreError>),
    /// A worker said hello, and fits.
    WorkerConnected { hello: Box<Hello>, link: WorkerLink },
    /// A worker said something else.
    WorkerSaid { worker: WorkerId, connection: u64, message: Box<WorkerMessage> },
    /// A connection broke.
    WorkerDisconnected { worker: WorkerId, connection: u64 },
    /// A launch could not be sent, whatever worker it is for.
    LaunchRefused { worker: WorkerId, attempt: AttemptId, cause: FailureCause },
}

/// A job that a client submits. It is validated.
#[derive(Debug)]
pub(crate) struct Submission {
    pub key: Option<String>,
    pub spec: JobSpec,
    /// Hash of the spec.
    pub hash: u128,
    pub reply: oneshot::Sender<Result<Submitted, SubmitError>>,
}

/// A submission that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub job: JobId,
    /// The key was known.
    pub existed: bool,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmitError {
    /// The key belongs to another job.
    #[error("idempotency key was used for another job ({job}); use a new key for every job")]
    KeyTaken {
        /// That job.
        job: JobId,
    },
    /// Too many jobs.
    #[error("{0}")]
    QueueFull(String),
    /// It could not be recorded.
    #[error("could not record the job: {0}")]
    Store(#[from] StoreError),
}

/// A plan, and its record for the store.
#[derive(Debug)]
pub(crate) struct Planned {
    pub job: PlannedJob,
    pub record: Vec<Write>,
}

/// How a commit ended.
#[derive(Debug)]
pub(crate) struct CommitEnd {
    pub job: JobId,
    pub outcome: CommitOutcome,
    /// What became visible.
    pub committed: Option<Committed>,
    /// Staging has to stay: something is visible that should not be, or the store does not know what is.
    pub keeps_staging: bool,
    /// What could not be taken back yet.
    pub open: Option<Box<OpenCommit>>,
}

/// Which tasks somebody looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskQuery {
    pub job: JobId,
    pub stage: StageId,
    /// First partition.
    pub from: u32,
    /// Most tasks in the answer.
    pub size: u32,
}

/// Some tasks of a stage.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskPage {
    pub tasks: Vec<TaskStatus>,
    /// Number of tasks of the stage; 0 before it is known.
    pub total: usize,
    /// First partition of the next page.
    pub next: Option<u32>,
}

/// A task as seen from outside.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskStatus {
    pub partition: u32,
    /// waiting | backing_off | running | unproved | done
    pub state: &'static str,
    /// Attempts launched so far.
    pub attempts: u32,
    /// The attempt that runs or won.
    pub attempt: Option<u32>,
    /// The worker it is on.
    pub worker: Option<WorkerId>,
}

/// The way to the event loop, to what it published last, and to what was told of jobs.
#[derive(Debug, Clone)]
pub(crate) struct LoopHandle {
    pub inputs: mpsc::Sender<Input>,
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The logs of jobs.
    pub logs: JobLogs,
}

/// The event loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("master is stopping")]
pub(crate) struct Stopping;

impl LoopHandle {
    pub(crate) async fn send(&self, input: Input) -> Result<(), Stopping> {
        self.inputs.send(input).await.map_err(|_| Stopping)
    }

    /// Sends an input and waits for its answer.
    pub(crate) async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.send(input(reply)).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// What was published last.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }
}
