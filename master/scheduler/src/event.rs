//! What can happen to the scheduler. Every event carries ids that let a stale one be recognised and dropped.

use std::time::Duration;

use hearth_common::{AttemptId, FailureCause, JobId, JobSettings, LinkScan, Priority, WorkerId};

use crate::{JobGraph, Restored};

/// Milliseconds on the owner's monotonic clock. The scheduler only compares and adds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// The time that much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// What a job may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobLimits {
    /// Attempts of the job that may run at once; `None` for as many as its fair share allows.
    pub slots_max: Option<u32>,
    /// Neighbouring shuffle partitions are merged into one task up to this many bytes.
    pub merge_bytes: u64,
    /// It fails when it is not done so long after its submission, unless its commit has begun. After a restart of the master,
    /// what is left of that time.
    pub deadline: Option<Duration>,
    /// Orders the queue, and weighs its share of the slots.
    pub priority: Priority,
}

impl JobLimits {
    /// The limits among a job's settings.
    #[must_use]
    pub fn of(settings: &JobSettings) -> Self {
        Self {
            slots_max: settings.slots_max,
            merge_bytes: settings.merge_bytes.0,
            deadline: settings.deadline_seconds.map(Duration::from_secs),
            priority: settings.priority,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first event of a scheduler that follows another one: what that left.
    Restored(Box<Restored>),
    /// A job was accepted at the edge. Its id is new.
    JobSubmitted {
        /// The job.
        job: JobId,
        /// What it may use.
        limits: JobLimits,
    },
    /// The planner is done with a job.
    JobPlanned {
        /// The job.
        job: JobId,
        /// Its stages.
        graph: JobGraph,
    },
    /// The planner refused a job.
    PlanFailed {
        /// The job.
        job: JobId,
        /// Why.
        cause: FailureCause,
    },
    /// What was read of a job's inputs is reason enough to fail it, whatever the rest holds.
    InputsRefused {
        /// The job.
        job: JobId,
        /// Why.
        cause: FailureCause,
    },
    /// Somebody wants the job stopped.
    CancelRequested {
        /// The job.
        job: JobId,
    },
    /// A worker said hello: for the first time, or again after its connection broke.
    WorkerConnected {
        /// The worker.
        worker: WorkerId,
        /// Room for attempts.
        slots: u32,
        /// Names and addresses of its host, as inputs may name it. Those of its first hello count.
        names: Vec<String>,
        /// What it runs and holds.
        held: Held,
    },
    /// A worker showed that it lives.
    Heartbeat {
        /// The worker.
        worker: WorkerId,
    },
    /// The connection to a worker broke. It has a short grace to come back before it is lost.
    WorkerDisconnected {
        /// The worker.
        worker: WorkerId,
    },
    /// The worker takes no more attempts.
    WorkerDraining {
        /// The worker.
        worker: WorkerId,
    },
    /// The worker left for good.
    WorkerGone {
        /// The worker.
        worker: WorkerId,
    },
    /// An attempt finished.
    AttemptFinished {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: WorkerId,
        /// What it left behind.
        output: AttemptOutput,
        /// What it found out about the links of its task: all of them, in their order, each with its end.
        scans: Vec<LinkScan>,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: WorkerId,
        /// Why.
        cause: FailureCause,
        /// What it found out about the first links of its task, in their order, each but the last with its end. It failed in
        /// the last one. A guess that fails before it finds a start names the link's first byte.
        scans: Vec<LinkScan>,
    },
    /// The commit of a job ended.
    CommitEnded {
        /// The job.
        job: JobId,
        /// How.
        outcome: CommitOutcome,
    },
    /// Time passed; see `Scheduler::next_deadline`.
    Tick,
}

/// What a worker says it has, when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Attempts that run on it, or whose report was not acknowledged yet (it follows on the same connection).
    pub attempts: Vec<AttemptId>,
    /// Attempts whose shuffle output is on its disk.
    pub shuffle_outputs: Vec<AttemptId>,
}

/// What a finished attempt left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutput {
    /// A shuffle output on the worker's disk; it is lost with the worker.
    Shuffle {
        /// Bytes of each shuffle partition.
        partition_bytes: Vec<u64>,
    },
    /// Files in the job's staging directory; they outlive the worker.
    Files,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The output is visible, or the result is stored.
    Done,
    /// The result could not be fetched from a worker: its task has to run again. Only for [`crate::FinalOutput::Result`].
    LostResult {
        /// The winner that could not be fetched.
        attempt: AttemptId,
        /// The worker it was on.
        worker: WorkerId,
    },
    /// The commit gave up, and nothing became visible.
    Failed {
        /// Why.
        cause: FailureCause,
    },
}
