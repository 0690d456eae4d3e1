//! The life of a job: queued, planned, ended. Jobs have their turn in the order of their submission.

use hearth_common::{FailureCause, JobId};

use crate::effect::{Effect, RejectReason};
use crate::graph::JobGraph;
use crate::job::{CancelWish, Execution, Job, Phase, Progress, count_tasks};
use crate::mutation::Mutation;
use crate::task::TaskState;
use crate::timer::Timer;
use crate::{JobLimits, Scheduler};

impl Scheduler {
    pub(crate) fn on_job_submitted(&mut self, job: JobId, limits: JobLimits) {
        if let Some(reason) = self.refusal(job) {
            self.effects.push(Effect::RejectJob { job, reason });
            return;
        }
        let sequence = self.sequence;
        self.sequence += 1;
        self.jobs.insert(job, Job::new(sequence, limits));
        self.queue.insert(sequence, job);
        self.touch(job);
        self.admit_jobs();
    }

    fn refusal(&self, job: JobId) -> Option<RejectReason> {
        if self.jobs.contains_key(&job) {
            return Some(RejectReason::Duplicate);
        }
        let queued = self.queue.len();
        let is_full = !self.has_turn() && queued >= self.config.queued_jobs_max;
        is_full.then_some(RejectReason::QueueFull { queued })
    }

    fn has_turn(&self) -> bool {
        self.admitted.len() < self.config.running_jobs_max || self.has_mutation(Mutation::AdmitEveryJob)
    }

    fn admit_jobs(&mut self) {
        while self.has_turn()
            && let Some((sequence, id)) = self.queue.pop_first()
        {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.phase = Phase::Planning;
            self.admitted.insert(sequence, id);
            self.touch(id);
            self.effects.push(Effect::Plan { job: id });
        }
    }

    pub(crate) fn on_job_planned(&mut self, id: JobId, graph: &JobGraph) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.phase != Phase::Planning {
            return;
        }
        let (tasks, tasks_max) = (count_tasks(graph), self.config.tasks_per_job_max);
        if tasks > tasks_max {
            let message = format!("job has {tasks} tasks, more than {tasks_max}; raise split_bytes");
            self.end_job(id, Some(FailureCause::task(message)));
            return;
        }
        job.phase = Phase::Executing(Box::new(Execution::new(graph)));
        self.settle_hosts_of(id);
        self.touch(id);
    }

    pub(crate) fn on_plan_failed(&mut self, id: JobId, cause: FailureCause) {
        if self.jobs.get(&id).is_some_and(|job| job.phase == Phase::Planning) {
            self.end_job(id, Some(cause));
        }
    }

    pub(crate) fn on_cancel_requested(&mut self, id: JobId) {
        let is_ignored = self.has_mutation(Mutation::CancelDuringCommit);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let execution = job.execution_mut();
        if let Some(Execution { progress: Progress::Committing { cancel }, .. }) = execution
            && !is_ignored
        {
            // The output may be visible already: the commit decides how the job ends.
            *cancel = CancelWish::Asked;
            return;
        }
        self.end_job(id, Some(FailureCause::Cancelled));
    }

    pub(crate) fn on_no_workers(&mut self, id: JobId) {
        let Some(since) = self.jobs.get(&id).and_then(|job| job.starving_since) else { return };
        let waited_seconds = self.now.0.saturating_sub(since.0) / 1000;
        self.end_job(id, Some(FailureCause::NoWorkers { waited_seconds }));
    }

    /// Ends a job, and forgets it. Its attempts are stopped and its shuffle outputs removed; without a commit, its staging too.
    pub(crate) fn end_job(&mut self, id: JobId, failure: Option<FailureCause>) {
        let was_admitted = self.jobs.get(&id).is_some_and(|job| job.phase != Phase::Queued);
        self.stop_attempts_of(id);
        self.remove_shuffle_of(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        if let Some(demand) = job.demand {
            self.demand.remove(&demand);
        }
        for (at, timer) in Self::locality_deadlines(id, &job) {
            self.timers.unset(at, timer);
        }
        if let Some(at) = job.watch {
            self.timers.unset(at, Timer::Stragglers(id));
        }
        if let Some(since) = job.starving_since {
            self.timers.unset(since.after(self.config.no_worker_timeout), Timer::NoWorkers(id));
        }
        self.queue.remove(&job.sequence);
        self.admitted.remove(&job.sequence);
        if failure.is_some() && was_admitted {
            self.effects.push(Effect::DiscardOutput { job: id });
        }
        self.effects.push(Effect::JobEnded { job: id, failure });
        self.admit_jobs();
    }

    fn stop_attempts_of(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return };
        let running: Vec<_> = execution.running.iter().map(|key| key.in_job(id)).collect();
        let backing_off: Vec<_> = execution.backing_off.iter().map(|key| key.in_job(id)).collect();
        for task in running {
            if !self.has_mutation(Mutation::KeepAttemptsOfEndedJob) {
                self.cancel_attempts_of(task);
            }
            self.set_task(task, TaskState::Waiting);
        }
        for task in backing_off {
            self.set_task(task, TaskState::Waiting);
        }
    }

    fn remove_shuffle_of(&mut self, id: JobId) {
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return };
        for worker in execution.workers.clone() {
            if self.workers.contains(worker) && !self.has_mutation(Mutation::KeepJobShuffle) {
                self.effects.push(Effect::RemoveJobShuffle { worker, job: id });
            }
            self.workers.update(worker, |worker| {
                worker.outputs.remove(&id);
            });
        }
    }
}
