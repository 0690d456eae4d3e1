//! Exclusion: a worker on which attempts keep failing gets no more of that job for a while, and where several jobs exclude
//! it, of none.
//!
//! Only failures count that can be the worker's fault, one per task, and a success makes up for one. Where most workers fail, it
//! is not theirs. Exclusion is never total: where no other worker takes attempts, an excluded one does, so that the job goes on
//! or fails of its true cause.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{FailureCause, JobId, WorkerId};

use crate::job::Job;
use crate::mutation::Mutation;
use crate::task::TaskKey;
use crate::timer::Timer;
use crate::{Millis, Scheduler, Winner};

/// What a job holds against a worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blame {
    /// Tasks that failed there, and were not made up for.
    tasks: BTreeSet<TaskKey>,
}

/// The workers that a job blames, and those it excluded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Exclusions {
    blamed: BTreeMap<WorkerId, Blame>,
    excluded: BTreeMap<WorkerId, Exclusion>,
}

/// Why a worker gets no attempts for a while, of one job or of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Until then.
    pub until: Millis,
    /// The last failure on it.
    pub cause: FailureCause,
}

/// What all jobs together hold against a worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reputation {
    /// Jobs that excluded it since it was last excluded from everything.
    jobs: BTreeSet<JobId>,
    pub(crate) exclusion: Option<Exclusion>,
}

impl Exclusions {
    pub(crate) fn contains(&self, worker: WorkerId) -> bool {
        self.excluded.contains_key(&worker)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Exclusion)> {
        self.excluded.iter().map(|(worker, exclusion)| (*worker, exclusion))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.excluded.is_empty()
    }

    fn forgive_one(&mut self, worker: WorkerId) {
        if let Some(blame) = self.blamed.get_mut(&worker) {
            blame.tasks.pop_first();
            if blame.tasks.is_empty() {
                self.blamed.remove(&worker);
            }
        }
    }

    /// Gives how many tasks failed on the worker.
    fn blame(&mut self, worker: WorkerId, task: TaskKey) -> usize {
        let blame = self.blamed.entry(worker).or_default();
        blame.tasks.insert(task);
        blame.tasks.len()
    }
}

/// The failure may be owed to the worker: another one may do better.
const fn is_workers_fault(cause: &FailureCause) -> bool {
    match cause {
        FailureCause::OutOfMemory { .. }
        | FailureCause::DiskFull { .. }
        | FailureCause::Storage { .. }
        | FailureCause::Internal { .. } => true,
        FailureCause::Task { .. }
        | FailureCause::LostShuffleOutput { .. }
        | FailureCause::WorkerLost { .. }
        | FailureCause::Poison { .. }
        | FailureCause::NoWorkers { .. }
        | FailureCause::DeadlinePassed { .. }
        | FailureCause::Cancelled
        | FailureCause::WorkerDrains => false,
    }
}

impl Scheduler {
    /// An attempt failed there.
    pub(crate) fn blame_worker(&mut self, failed: Winner, cause: &FailureCause) {
        let Winner { attempt, worker } = failed;
        if !is_workers_fault(cause) || !self.workers.contains(worker) {
            return;
        }
        let max = self.config.exclusion.tasks_per_job_max as usize;
        let id = attempt.task.job;
        let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) else { return };
        if max == 0 || execution.exclusions.contains(worker) {
            return;
        }
        let blamed = execution.exclusions.blame(worker, TaskKey::of(attempt.task));
        if blamed >= max && self.may_exclude(id) && !self.has_mutation(Mutation::ForgetBlame) {
            self.exclude_from_job(id, worker, cause);
        }
    }

    /// Where most workers fail, it is not their fault: no job excludes more than half of them.
    fn may_exclude(&self, id: JobId) -> bool {
        (self.barred(id).len() + 1) * 2 <= self.workers.usable()
    }

    /// An attempt ended well there.
    pub(crate) fn forgive_worker(&mut self, job: JobId, worker: WorkerId) {
        if let Some(execution) = self.jobs.get_mut(&job).and_then(Job::execution_mut) {
            execution.exclusions.forgive_one(worker);
        }
        if self.workers.get(worker).is_some_and(|worker| !worker.reputation.jobs.is_empty()) {
            self.workers.update(worker, |worker| {
                worker.reputation.jobs.pop_first();
            });
        }
    }

    fn exclude_from_job(&mut self, id: JobId, worker: WorkerId, cause: &FailureCause) {
        let until = self.now.after(self.config.exclusion.duration);
        if let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) {
            execution.exclusions.excluded.insert(worker, Exclusion { until, cause: cause.clone() });
        }
        self.timers.set(until, Timer::JobExclusion(id, worker));
        self.settle_hosts_of_worker(id, worker);
        let max = self.config.exclusion.jobs_max as usize;
        let mut jobs = 0;
        self.workers.update(worker, |worker| {
            if worker.reputation.jobs.len() < max {
                worker.reputation.jobs.insert(id);
            }
            jobs = worker.reputation.jobs.len();
        });
        if jobs >= max {
            self.exclude_from_all(worker, cause);
        }
    }

    fn exclude_from_all(&mut self, id: WorkerId, cause: &FailureCause) {
        let until = self.now.after(self.config.exclusion.duration);
        let excluded = self.workers.iter().filter(|(_, worker)| worker.excluded_until().is_some()).count();
        let is_too_many = (excluded + 1) * 2 > self.workers.usable() + excluded;
        let is_excluded = self.workers.get(id).is_none_or(|worker| worker.reputation.exclusion.is_some());
        if is_excluded || (is_too_many && !self.has_mutation(Mutation::ExcludeLastWorker)) {
            return;
        }
        self.timers.set(until, Timer::Exclusion(id));
        let exclusion = Exclusion { until, cause: cause.clone() };
        self.workers
            .update(id, |worker| worker.reputation = Reputation { jobs: BTreeSet::new(), exclusion: Some(exclusion) });
    }

    pub(crate) fn on_exclusion_ended(&mut self, id: WorkerId) {
        if self.has_mutation(Mutation::ExcludeForever) {
            return;
        }
        self.workers.update(id, |worker| worker.reputation.exclusion = None);
    }

    pub(crate) fn on_job_exclusion_ended(&mut self, id: JobId, worker: WorkerId) {
        if self.has_mutation(Mutation::ExcludeForever) {
            return;
        }
        if let Some(execution) = self.jobs.get_mut(&id).and_then(Job::execution_mut) {
            execution.exclusions.excluded.remove(&worker);
            execution.exclusions.blamed.remove(&worker);
        }
        self.settle_hosts_of_worker(id, worker);
    }

    /// When the exclusions of a job end.
    pub(crate) fn exclusion_deadlines(id: JobId, job: &Job) -> impl Iterator<Item = (Millis, Timer)> {
        let excluded = job.execution().into_iter().flat_map(|execution| execution.exclusions.iter());
        excluded.map(move |(worker, exclusion)| (exclusion.until, Timer::JobExclusion(id, worker)))
    }

    /// Where no other worker takes attempts, those do that are excluded.
    pub(crate) fn settle_exclusions(&mut self) {
        if self.workers.usable() > 0 || self.has_mutation(Mutation::ExcludeLastWorker) {
            return;
        }
        let excluded: Vec<_> =
            self.workers.iter().filter_map(|(id, worker)| Some((id, worker.excluded_until()?))).collect();
        for (id, until) in excluded {
            self.timers.unset(until, Timer::Exclusion(id));
            self.workers.update(id, |worker| worker.reputation.exclusion = None);
        }
    }

    /// The workers that a job has excluded, unless all that take attempts are among them.
    pub(crate) fn barred(&self, id: JobId) -> Vec<WorkerId> {
        let execution =
            self.jobs.get(&id).and_then(Job::execution).filter(|execution| !execution.exclusions.is_empty());
        let Some(execution) = execution.filter(|_| !self.has_mutation(Mutation::LaunchOnExcluded)) else {
            return Vec::new();
        };
        let excluded = execution.exclusions.iter().map(|(worker, _)| worker);
        let barred: Vec<_> = excluded.filter(|worker| self.workers.is_usable(*worker)).collect();
        if barred.len() < self.workers.usable() { barred } else { Vec::new() }
    }
}
