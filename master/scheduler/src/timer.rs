//! What is due when. An index over deadlines that others keep; it decides nothing.

use std::collections::BTreeSet;

use hearth_common::{JobId, StageId, TaskId, WorkerId};

use crate::{Cut, Millis};

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The lease of a worker ends.
    Lease(WorkerId),
    /// Nothing was heard of a worker for so long that it counts as silent.
    Silence(WorkerId),
    /// A worker has been excluded for long enough.
    Exclusion(WorkerId),
    /// A worker has been excluded from a job for long enough.
    JobExclusion(JobId, WorkerId),
    /// A worker is believed for long enough not to read from another one.
    Cut(Cut),
    /// A draining worker has waited long enough for the readers of its outputs.
    Drain(WorkerId),
    /// A task has waited long enough to be tried again.
    Backoff(TaskId),
    /// A job should be done.
    Deadline(JobId),
    /// A job has waited long enough for a worker.
    NoWorkers(JobId),
    /// It is time to look for stragglers in a job.
    Stragglers(JobId),
    /// The tasks of a stage have waited long enough for slots on their hosts.
    Locality(JobId, StageId),
}

/// All deadlines, by time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Millis, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Millis, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(crate) fn unset(&mut self, at: Millis, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Millis) -> Option<(Millis, Timer)> {
        if self.next()? <= now { self.due.pop_first() } else { None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Millis, Timer)> {
        self.due.iter()
    }
}
