//! The end of jobs, and the history of ended ones: as many as are kept, the oldest forgotten first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hearth_common::{FailureCause, JobId, JobState, JobStatus};

use super::clients::KeyOwner;
use super::{Owner, wall_ms};

/// Ended jobs whose details are kept in memory.
const DETAILS_KEPT_MAX: usize = 1000;

/// A job that ended before this master started.
#[derive(Debug)]
pub(crate) struct KeptJob {
    pub status: JobStatus,
    pub key: Option<String>,
    /// Hash of its spec.
    pub hash: u128,
}

/// Which ended jobs are kept, and the keys of all jobs.
#[derive(Debug)]
pub(super) struct History {
    kept_max: usize,
    /// Oldest end first.
    ended: VecDeque<JobId>,
    keys: BTreeMap<JobId, String>,
}

impl History {
    pub(super) const fn new(kept_max: usize) -> Self {
        Self { kept_max, ended: VecDeque::new(), keys: BTreeMap::new() }
    }

    pub(super) fn note_key(&mut self, job: JobId, key: Option<String>) {
        if let Some(key) = key {
            self.keys.insert(job, key);
        }
    }

    pub(super) fn forget_key(&mut self, job: JobId) -> Option<String> {
        self.keys.remove(&job)
    }

    /// The job that is too old for its details, if the last one that ended made it so.
    fn without_details(&self) -> Option<JobId> {
        let place = self.ended.len().checked_sub(DETAILS_KEPT_MAX + 1)?;
        self.ended.get(place).copied()
    }

    /// Adds an ended job, and gives those that are too old now.
    fn push(&mut self, job: JobId) -> Vec<JobId> {
        self.ended.push_back(job);
        let surplus = self.ended.len().saturating_sub(self.kept_max);
        self.ended.drain(..surplus).collect()
    }
}

impl Owner {
    /// The scheduler is done with a job.
    pub(crate) fn end_job(&mut self, id: JobId, failure: Option<FailureCause>) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let mut status = self.publisher.last_status(id).map_or_else(|| job.initial_status(), |last| (**last).clone());
        let mut attempts = job.attempts;
        attempts.failed += u64::from(self.failing == Some(id));
        self.metrics.count_attempts(status.attempts, attempts);
        status.attempts = attempts;
        status.state = match &failure {
            None => JobState::Done,
            Some(FailureCause::Cancelled) => JobState::Cancelled,
            Some(_) => JobState::Failed,
        };
        status.failure = failure.filter(|cause| *cause != FailureCause::Cancelled).map(|cause| job.describe(cause));
        status.waiting_for = None;
        status.finished_ms = Some(wall_ms());
        status.started_ms = job.started_ms;
        status.metrics = job.figures.total();
        status.output = job.output();
        status.inputs.clone_from(&job.inputs);
        status.has_result = job.committed == Some(crate::store::Committed::Result);
        for stage in &mut status.stages {
            stage.tasks_running = 0;
            stage.metrics = job.figures.stage(stage.id);
        }
        match &status.failure {
            Some(cause) => tracing::warn!(job = %id, cause = cause.name(), text = %cause, "job failed"),
            None => tracing::info!(job = %id, state = status.state.name(), "job ended"),
        }
        self.metrics.count_end(status.state);
        let details = job.close(status.state, status.failure.as_ref(), wall_ms());
        status.details = Some(Box::new(details));
        self.services.record_end(status.clone());
        self.keep(status);
    }

    /// A job that ended before this master started.
    pub(super) fn remember(&mut self, kept: KeptJob) {
        let job = kept.status.id;
        if let Some(key) = &kept.key {
            self.submissions.keys.insert(key.clone(), KeyOwner { job, hash: kept.hash });
        }
        self.history.note_key(job, kept.key);
        self.keep(kept.status);
    }

    fn keep(&mut self, status: JobStatus) {
        let too_old = self.history.push(status.id);
        if let Some(job) = self.history.without_details() {
            self.publisher.drop_details(job);
        }
        self.publisher.end(Arc::new(status));
        if too_old.is_empty() {
            return;
        }
        for key in too_old.iter().filter_map(|job| self.history.forget_key(*job)) {
            self.submissions.keys.remove(&key);
        }
        self.publisher.forget(&too_old);
        self.services.forget(too_old);
    }
}
