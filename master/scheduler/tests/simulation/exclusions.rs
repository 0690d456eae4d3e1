//! What must hold of workers on which attempts keep failing.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{AttemptId, FailureCause, JobId, WorkerId, WorkerState};
use hearth_scheduler::{JobView, Launch, Scheduler};

use crate::locality::takes_attempts;
use crate::oracle::{Check, Oracle};

/// The default of `ExclusionPolicy::tasks_per_job_max`.
const TASKS_MAX: usize = 3;

impl Oracle {
    pub(crate) fn on_worker_did_well(&mut self, job: JobId, worker: WorkerId) {
        if let Some(tasks) = self.blamed.get_mut(&(job, worker)) {
            tasks.pop_first();
        }
    }

    pub(crate) fn on_worker_failed(&mut self, attempt: AttemptId, worker: WorkerId, cause: &FailureCause) {
        if matches!(cause.name(), "internal" | "storage" | "disk_full" | "out_of_memory") {
            let (job, task) = (attempt.task.job, attempt.task);
            let tasks = self.blamed.entry((job, worker)).or_default();
            tasks.insert(task);
            self.to_exclude = (tasks.len() >= TASKS_MAX).then_some((job, worker));
        }
    }

    pub(crate) fn is_barred(&self, job: JobId, worker: WorkerId) -> bool {
        self.barred.get(&job).is_some_and(|barred| barred.contains(&worker))
    }

    /// The same, or so by the event at hand.
    pub(crate) fn is_barred_by_now(&self, job: JobId, worker: WorkerId) -> bool {
        self.is_barred(job, worker) || self.barred_by_now.get(&job).is_some_and(|barred| barred.contains(&worker))
    }

    /// An excluded worker gets an attempt only where no other one takes any.
    pub(crate) fn check_exclusion(&self, launch: &Launch) -> Check {
        let job = launch.attempt.task.job;
        // A second attempt does not run beside the first.
        let runs_on = |id| self.open.iter().any(|(open, on)| open.task == launch.attempt.task && *on == id);
        let stage = launch.attempt.task.stage;
        let is_other =
            |id| id != launch.worker && !self.is_barred(job, id) && !runs_on(id) && !self.is_unfit((job, stage), id);
        let mut others = self.workers.iter().filter(|(id, worker)| worker.takes_attempts() && is_other(**id));
        match others.next() {
            Some((other, _)) if self.is_barred(job, launch.worker) && self.is_barred_still(job, launch.worker) => {
                Err(format!("attempt {}: launched on excluded {}, not on {other}", launch.attempt, launch.worker))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The event at hand is not the one that ended the exclusion.
    fn is_barred_still(&self, job: JobId, worker: WorkerId) -> bool {
        self.barred_by_now.get(&job).is_some_and(|barred| barred.contains(&worker))
    }

    pub(crate) fn check_exclusions(&mut self, scheduler: &Scheduler) -> Check {
        self.exclusion_ends = scheduler.workers().filter_map(|w| Some((w.id(), w.exclusion()?.until.0))).collect();
        if let Some((worker, until)) = self.exclusion_ends.iter().find(|(_, until)| **until < self.now) {
            return Err(format!("worker {worker} is excluded at {}, although only until {until}", self.now));
        }
        // An exclusion that ends takes with it what led to it.
        let barred_by_now = &self.barred_by_now;
        let is_over = |job, worker| !barred_by_now.get(job).is_some_and(|barred| barred.contains(worker));
        for (job, worker) in
            self.barred.iter().flat_map(|(job, workers)| workers.iter().map(move |worker| (job, worker)))
        {
            if is_over(job, worker) {
                self.blamed.remove(&(*job, *worker));
            }
        }
        for job in scheduler.jobs() {
            if let Some((worker, _)) = job.excluded().find(|(_, exclusion)| exclusion.until.0 < self.now) {
                return Err(format!("worker {worker} is still excluded from job {}", job.id()));
            }
        }
        let mut alive = scheduler.workers().filter(|w| w.state() == WorkerState::Alive && w.slots() > 0).peekable();
        if alive.peek().is_some() && alive.all(|worker| worker.exclusion().is_some()) {
            return Err("every worker is excluded".to_owned());
        }
        let usable = scheduler.workers().filter(takes_attempts).count();
        let Some((job, worker)) = self.to_exclude.take() else { return Ok(()) };
        let Some(view) = scheduler.job(job) else { return Ok(()) };
        if usable >= 2 && view.excluded().next().is_none() {
            return Err(format!("job {job}: worker {worker} is not excluded, although {TASKS_MAX} tasks failed there"));
        }
        Ok(())
    }
}

/// The workers that each job may not use.
pub(crate) fn barred_workers(scheduler: &Scheduler) -> BTreeMap<JobId, BTreeSet<WorkerId>> {
    let all: BTreeSet<_> = scheduler.workers().filter(|w| w.exclusion().is_some()).map(|w| w.id()).collect();
    let of_job = |job: &JobView<'_>| job.excluded().map(|(worker, _)| worker).chain(all.iter().copied()).collect();
    let barred = scheduler.jobs().map(|job| (job.id(), of_job(&job)));
    barred.filter(|(_, workers): &(_, BTreeSet<_>)| !workers.is_empty()).collect()
}
