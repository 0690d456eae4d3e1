//! The end of jobs, and the history of ended ones: as many as are kept, the oldest forgotten first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hearth_common::{FailureCause, JobDetails, JobId, JobState, JobStatus};

use super::clients::KeyOwner;
use super::{Owner, wall_ms};
use crate::jobs::Job;
use crate::recovery::SettledCommit;
use crate::store::record::KeyRecord;
use crate::store::{Committed, StoreError, Write, record};

/// How long an idempotency key is known at least, from its submission, whatever history keeps.
const KEYS_MS: u64 = 24 * 3600 * 1000;
/// Keys of forgotten jobs that are kept at most; beyond it, the oldest go early.
const KEYS_MAX: usize = 1_000_000;

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
    ended_ids: BTreeSet<JobId>,
    /// Jobs whose end is not stored yet.
    ending: BTreeSet<JobId>,
    keys: BTreeMap<JobId, String>,
    /// Keys of jobs that are forgotten, with the time until which they are known; oldest first.
    orphans: VecDeque<(u64, String)>,
}

impl History {
    pub(super) const fn new(kept_max: usize) -> Self {
        Self {
            kept_max,
            ended: VecDeque::new(),
            ended_ids: BTreeSet::new(),
            ending: BTreeSet::new(),
            keys: BTreeMap::new(),
            orphans: VecDeque::new(),
        }
    }

    pub(super) fn note_key(&mut self, job: JobId, key: Option<String>) {
        if let Some(key) = key {
            self.keys.insert(job, key);
        }
    }

    pub(super) fn forget_key(&mut self, job: JobId) -> Option<String> {
        self.keys.remove(&job)
    }

    fn contains(&self, job: JobId) -> bool {
        self.ended_ids.contains(&job) || self.ending.contains(&job)
    }

    /// The job that is too old for its details, if the last one that ended made it so.
    fn without_details(&self) -> Option<JobId> {
        let place = self.ended.len().checked_sub(DETAILS_KEPT_MAX + 1)?;
        self.ended.get(place).copied()
    }

    /// Adds an ended job, and gives those that are too old now.
    fn push(&mut self, job: JobId) -> Vec<JobId> {
        self.ended.push_back(job);
        self.ended_ids.insert(job);
        self.ending.remove(&job);
        let surplus = self.ended.len().saturating_sub(self.kept_max);
        let too_old: Vec<JobId> = self.ended.drain(..surplus).collect();
        for job in &too_old {
            self.ended_ids.remove(job);
        }
        too_old
    }

    fn pop_expired(&mut self, now_ms: u64) -> Option<String> {
        let is_over = self.orphans.len() > KEYS_MAX || self.orphans.front()?.0 <= now_ms;
        if is_over { self.orphans.pop_front().map(|(_, key)| key) } else { None }
    }
}

impl Owner {
    /// The scheduler is done with a job: its end is stored, and then seen.
    pub(crate) fn end_job(&mut self, id: JobId, failure: Option<FailureCause>) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        let shown = self.publisher.last_status(id).map(|last| last.attempts).unwrap_or_default();
        job.attempts.failed += u64::from(self.failing == Some(id));
        self.metrics.count_attempts(shown, job.attempts);
        let now_ms = wall_ms();
        let status = JobStatus { finished_ms: Some(now_ms), ..self.final_status(&job, failure) };
        match &status.failure {
            Some(cause) => tracing::warn!(job = %id, cause = cause.name(), text = %cause, "job failed"),
            None => tracing::info!(job = %id, state = status.state.name(), "job ended"),
        }
        self.metrics.count_end(status.state);
        self.metrics.observe_job(Duration::from_millis(now_ms.saturating_sub(status.submitted_ms)));
        self.narrate_end(&status);
        let details = job.close(status.state, status.failure.as_ref(), now_ms);
        self.history.ending.insert(id);
        self.hold_end(JobStatus { details: Some(Box::new(details)), ..status });
    }

    /// A job that ended before this master started, but for its commit, which is being settled.
    pub(super) fn begin_end(&mut self, status: JobStatus) {
        self.history.ending.insert(status.id);
        self.publisher.show_ending(status);
    }

    /// A commit that was begun has an end, and with it its job, if that had none. What is to be stored of it is.
    pub(super) fn on_commit_settled(&mut self, outcome: Result<SettledCommit, StoreError>) {
        let SettledCommit { job, ended } = match outcome {
            Ok(settled) => settled,
            Err(error) => return self.on_store_broken(&error),
        };
        self.start_next_commit(job);
        if let Some(status) = ended.map(Arc::<JobStatus>::from) {
            self.metrics.count_end(status.state);
            self.narrate_end(&status);
            self.services.traces.tell(&status);
            self.keep(status);
        }
    }

    /// Records how a job ends if the commit that is about to begin gets through: its master may not live to see it.
    pub(crate) fn record_closing(&mut self, id: JobId) {
        if let Some((job, view)) = self.jobs.get_mut(&id).zip(self.scheduler.job(id)) {
            job.note_state(view.state(), wall_ms());
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let operators = job.operators.to_kept();
        let details = Some(Box::new(JobDetails { operators, ..JobDetails::clone(&job.details) }));
        let closing = record::closing(&JobStatus { details, ..self.final_status(job, None) });
        self.record(closing.map(Some));
    }

    fn final_status(&self, job: &Job, failure: Option<FailureCause>) -> JobStatus {
        let mut status =
            self.publisher.last_status(job.id).map_or_else(|| job.initial_status(), |last| (**last).clone());
        status.attempts = job.attempts;
        status.state = match &failure {
            None => JobState::Done,
            Some(FailureCause::Cancelled) => JobState::Cancelled,
            Some(_) => JobState::Failed,
        };
        status.failure = failure.filter(|cause| *cause != FailureCause::Cancelled).map(|cause| job.describe(cause));
        status.waiting_for = None;
        status.started_ms = job.started_ms;
        status.metrics = job.figures.total();
        status.output = job.output();
        status.inputs.clone_from(&job.inputs);
        status.has_result = job.committed == Some(Committed::Result);
        for stage in &mut status.stages {
            stage.tasks_running = 0;
            stage.metrics = job.figures.stage(stage.id);
        }
        status
    }

    /// The job ended, and is kept or about to be.
    pub(super) fn has_ended(&self, job: JobId) -> bool {
        self.history.contains(job)
    }

    /// A job that ended before this master started.
    pub(super) fn remember(&mut self, kept: KeptJob) {
        let KeptJob { status, key, hash } = kept;
        if let Some(key) = &key {
            let owner = KeyOwner { job: status.id, hash, submitted_ms: status.submitted_ms };
            self.submissions.keys.insert(key.clone(), owner);
        }
        self.history.note_key(status.id, key);
        self.keep(Arc::new(status));
    }

    /// The key of a job that history had forgotten when this master started.
    pub(super) fn remember_key(&mut self, key: String, record: KeyRecord) {
        let KeyRecord { job, hash, submitted_ms } = record;
        self.history.orphans.push_back((submitted_ms.saturating_add(KEYS_MS), key.clone()));
        self.submissions.keys.entry(key).or_insert(KeyOwner { job, hash, submitted_ms });
    }

    /// An ended job is seen as such, and the oldest ones are forgotten.
    pub(super) fn keep(&mut self, status: Arc<JobStatus>) {
        let too_old = self.history.push(status.id);
        if let Some(job) = self.history.without_details() {
            self.publisher.drop_details(job);
        }
        self.publisher.end(status);
        let now_ms = wall_ms();
        let mut writes = record::forget(&too_old);
        for key in too_old.iter().filter_map(|job| self.history.forget_key(*job)).collect::<Vec<_>>() {
            writes.extend(self.keep_key(key, now_ms));
        }
        while let Some(key) = self.history.pop_expired(now_ms) {
            self.submissions.keys.remove(&key);
            writes.push(record::drop_key(key));
        }
        if !writes.is_empty() {
            self.publisher.forget(&too_old);
            self.services.forget(too_old, writes);
        }
    }

    /// The job of a key is forgotten, but not the key, if it is young.
    fn keep_key(&mut self, key: String, now_ms: u64) -> Option<Write> {
        let owner = *self.submissions.keys.get(&key)?;
        let until = owner.submitted_ms.saturating_add(KEYS_MS);
        if until <= now_ms {
            self.submissions.keys.remove(&key);
            return None;
        }
        let KeyOwner { job, hash, submitted_ms } = owner;
        let write = record::key(key.clone(), &KeyRecord { job, hash, submitted_ms });
        self.history.orphans.push_back((until, key));
        write.inspect_err(|error| tracing::error!(%error, "could not keep an idempotency key")).ok()
    }
}
