//! What a failed attempt means for its task: run again, wait first, or fail the job. Decides by the typed cause alone.

use std::time::Duration;

use hearth_common::{FailureCause, TaskId, WorkerId};

use crate::config::RetryPolicy;
use crate::task::History;

/// What to do about a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Run the task again as soon as a slot is free.
    RetryNow,
    /// Run it again after this time.
    RetryAfter(Duration),
    /// The job cannot succeed.
    FailJob(FailureCause),
}

/// A failed attempt and what surrounds it.
pub(crate) struct Failure {
    pub(crate) cause: FailureCause,
    /// Where it failed.
    pub(crate) worker: WorkerId,
    /// That worker is leaving, and stops what it runs.
    pub(crate) is_worker_leaving: bool,
    /// Another worker takes attempts on which this task has not failed yet.
    pub(crate) has_untried_worker: bool,
}

/// Enters a failure that a worker reported into the task's history, and decides.
pub(crate) fn judge_failure(policy: &RetryPolicy, history: &mut History, failure: Failure) -> Verdict {
    let Failure { cause, worker, is_worker_leaving, has_untried_worker } = failure;
    match cause {
        FailureCause::Task { .. } => Verdict::FailJob(cause),
        FailureCause::Storage { .. } => judge_storage(policy, history, cause),
        FailureCause::OutOfMemory { .. } | FailureCause::DiskFull { .. } => {
            history.avoid(worker);
            judge_exhausted(policy, history, (cause, has_untried_worker))
        }
        // The reader is not blamed; `outputs` deals with the producer.
        FailureCause::LostShuffleOutput { .. } | FailureCause::WorkerDrains => Verdict::RetryNow,
        FailureCause::Cancelled if is_worker_leaving => Verdict::RetryNow,
        // A worker does not report the last five of a wanted attempt: that is a fault of ours as well.
        FailureCause::Internal { .. }
        | FailureCause::Cancelled
        | FailureCause::WorkerLost { .. }
        | FailureCause::Poison { .. }
        | FailureCause::NoWorkers { .. }
        | FailureCause::DeadlinePassed { .. } => {
            history.avoid(worker);
            judge_internal(policy, history, cause)
        }
    }
}

/// Enters the loss of a worker under the task, and decides.
pub(crate) fn judge_lost_worker(policy: &RetryPolicy, history: &mut History, task: TaskId) -> Verdict {
    history.lost_workers_in_a_row += 1;
    if history.lost_workers_in_a_row < policy.lost_workers_in_a_row_max {
        return Verdict::RetryNow;
    }
    Verdict::FailJob(FailureCause::Poison {
        stage: task.stage,
        partition: task.partition,
        workers: history.lost_workers_in_a_row,
        input: String::new(),
    })
}

/// Enters that the output of the task could not be read, and decides.
pub(crate) fn judge_unreadable(policy: &RetryPolicy, history: &mut History, cause: FailureCause) -> Verdict {
    history.unreadable_outputs += 1;
    if history.unreadable_outputs < policy.unreadable_outputs_max { Verdict::RetryNow } else { Verdict::FailJob(cause) }
}

pub(crate) fn judge_internal(policy: &RetryPolicy, history: &mut History, cause: FailureCause) -> Verdict {
    history.internal_failures += 1;
    if history.internal_failures < policy.internal_failures_max { Verdict::RetryNow } else { Verdict::FailJob(cause) }
}

fn judge_storage(policy: &RetryPolicy, history: &mut History, cause: FailureCause) -> Verdict {
    history.storage_failures += 1;
    if history.storage_failures < policy.storage_failures_max {
        Verdict::RetryAfter(policy.storage_backoff.delay_after(history.storage_failures))
    } else {
        Verdict::FailJob(cause)
    }
}

fn judge_exhausted(policy: &RetryPolicy, history: &mut History, (cause, untried): (FailureCause, bool)) -> Verdict {
    history.exhausted_workers += 1;
    if untried && history.exhausted_workers < policy.exhausted_workers_max {
        return Verdict::RetryNow;
    }
    history.exhausted_waits += 1;
    if history.exhausted_waits <= policy.exhausted_waits_max {
        Verdict::RetryAfter(policy.exhausted_backoff.delay_after(history.exhausted_waits))
    } else {
        Verdict::FailJob(cause)
    }
}
