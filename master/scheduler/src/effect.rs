//! What the scheduler wants done. Its owner carries effects out in order; a lost effect is healed by leases and reconnects.

use std::ops::Range;
use std::sync::Arc;

use hearth_common::{Absence, AttemptId, FailureCause, JobId, RecordStart, StageId, WorkerId};

use crate::Cut;

/// Something that should be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answer the submission: the job was not taken.
    RejectJob {
        /// The job.
        job: JobId,
        /// Why.
        reason: RejectReason,
    },
    /// Plan the job, off the event loop; answer with `JobPlanned` or `PlanFailed`.
    Plan {
        /// The job.
        job: JobId,
    },
    /// Start an attempt.
    Launch(Launch),
    /// Stop an attempt; no answer is needed.
    CancelAttempt {
        /// The worker it runs on.
        worker: WorkerId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Make the output of these winners visible; answer with `CommitEnded`. Sent once per list of winners.
    Commit {
        /// The job.
        job: JobId,
        /// One per task of the final stage, by partition.
        winners: Vec<Winner>,
    },
    /// The job is over without a commit: remove its staging directory.
    DiscardOutput {
        /// The job.
        job: JobId,
    },
    /// Remove the shuffle output of one attempt.
    RemoveShuffleOutput {
        /// The worker that holds it.
        worker: WorkerId,
        /// The attempt that left it.
        attempt: AttemptId,
    },
    /// The job is over: remove all its shuffle outputs on a worker.
    RemoveJobShuffle {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// Tell a worker that its lease ended: it discards what it has and comes back under a new id.
    FenceWorker {
        /// The worker.
        worker: WorkerId,
    },
    /// Tell a worker that another one, from which attempts on it read or will read, is silent or lost: it waits for it no longer
    /// than it must.
    TellReader {
        /// The worker to tell.
        reader: WorkerId,
        /// The one that is absent.
        source: WorkerId,
        /// How far.
        absence: Absence,
    },
    /// Tell a draining worker that it may leave: nothing runs on it, and nothing on its disk is needed.
    ReleaseWorker {
        /// The worker.
        worker: WorkerId,
    },
    /// Workers do not reach each other, and from now on a job leaves outputs only where one of them reads them all. For people.
    HubChosen {
        /// The job.
        job: JobId,
        /// The worker that reads all.
        hub: WorkerId,
        /// One of those pairs that made it necessary.
        cut: Cut,
    },
    /// Something about the job changed that people can see.
    JobChanged {
        /// The job.
        job: JobId,
    },
    /// The job reached a final state, and nothing more will be said of it.
    JobEnded {
        /// The job.
        job: JobId,
        /// `None`: it is done.
        failure: Option<FailureCause>,
    },
}

/// Why a submission is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// Too many jobs wait already.
    #[error("the queue is full ({queued} jobs wait); try again later")]
    QueueFull {
        /// How many wait.
        queued: usize,
    },
    /// The id was used before.
    #[error("a job with this id exists")]
    Duplicate,
}

/// An attempt to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The worker.
    pub worker: WorkerId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The shuffle partitions that this task reads of its partitioned inputs, where its stage merges them
    /// ([`crate::TaskLayout::Merged`]); `None` for a fixed layout.
    pub merged: Option<Range<u32>>,
    /// The winners of every input stage, by stage. Shared between the launches of a stage.
    pub inputs: Vec<ShuffleInputs>,
    /// Where records start in the task's links, as far as that is known; for the others the attempt guesses.
    pub starts: Vec<KnownStart>,
}

/// Where the first record of a link starts. An attempt that is told this starts there, and counts lines from there; one that
/// guesses counts the lines of the link from its guess, which is line 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownStart {
    /// Number of the link in its stage.
    pub link: u32,
    /// First record start at or after the link's first byte; beyond the link where no record starts in it.
    pub start: RecordStart,
}

/// The winners of one input stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleInputs {
    /// The stage.
    pub stage: StageId,
    /// One per task, by partition.
    pub winners: Arc<[Winner]>,
}

/// The accepted attempt of a task, and the worker it ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winner {
    /// The attempt.
    pub attempt: AttemptId,
    /// The worker.
    pub worker: WorkerId,
}
