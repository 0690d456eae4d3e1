//! The life of a job: queued, planned, ended. Jobs have their turn in the order of their submission, moved by
//! their priority.

use hearth_common::{FailureCause, JobId, Priority};

use crate::effect::{Effect, RejectReason};
use crate::graph::JobGraph;
use crate::job::{EndWish, Execution, Job, Phase, Progress, Turn, count_tasks};
use crate::mutation::Mutation;
use crate::task::TaskState;
use crate::timer::Timer;
use crate::{JobLimits, Millis, Scheduler};

impl Scheduler {
    pub(crate) fn on_job_submitted(&mut self, job: JobId, limits: JobLimits) {
        if let Some(reason) = self.refusal(job) {
            self.effects.push(Effect::RejectJob { job, reason });
            return;
        }
        self.enter_job(job, limits, self.now);
        self.admit_jobs();
    }

    /// Adds a job to the queue that was submitted at that time. Its sequence follows the order of these calls.
    pub(crate) fn enter_job(&mut self, job: JobId, limits: JobLimits, submitted: Millis) {
        let sequence = self.sequence;
        self.sequence += 1;
        let steps = match limits.priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        };
        let steps = if self.has_mutation(Mutation::IgnorePriority) { 0 } else { steps };
        let turn = Turn { rank: submitted.after(self.config.priority_lead * steps), sequence };
        let deadline = limits.deadline.map(|limit| submitted.after(limit));
        deadline.into_iter().for_each(|at| self.timers.set(at, Timer::Deadline(job)));
        self.jobs.insert(job, Job::new(turn, deadline, limits));
        self.queue.insert(turn, job);
        self.touch(job);
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

    pub(crate) fn admit_jobs(&mut self) {
        while self.has_turn()
            && let Some((turn, id)) = self.queue.pop_first()
        {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.phase = Phase::Planning;
            self.admitted.insert(turn.sequence, id);
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
        self.choose_first_hub(id);
        self.touch(id);
    }

    pub(crate) fn on_plan_failed(&mut self, id: JobId, cause: FailureCause) {
        if self.jobs.get(&id).is_some_and(|job| job.phase == Phase::Planning) {
            self.end_job(id, Some(cause));
        }
    }

    /// A job that commits is looked at as a whole by its commit, which may have passed the point of no return.
    pub(crate) fn on_inputs_refused(&mut self, id: JobId, cause: FailureCause) {
        let execution = self.jobs.get_mut(&id).and_then(Job::execution_mut);
        let Some(Execution { progress, .. }) = execution else { return };
        if !matches!(progress, Progress::Committing { .. }) {
            self.end_job(id, Some(cause));
        }
    }

    pub(crate) fn on_cancel_requested(&mut self, id: JobId) {
        let is_ignored = self.has_mutation(Mutation::CancelDuringCommit);
        if !self.jobs.contains_key(&id) || !is_ignored && self.note_wish(id, EndWish::Cancelled) {
            return;
        }
        self.end_job(id, Some(FailureCause::Cancelled));
    }

    /// The time that a job was given is over.
    pub(crate) fn on_deadline(&mut self, id: JobId) {
        let is_ignored = self.has_mutation(Mutation::IgnoreDeadline);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.deadline = None;
        let cause = job.deadline_cause();
        if !is_ignored && !self.note_wish(id, EndWish::DeadlinePassed) {
            self.end_job(id, Some(cause));
        }
    }

    /// The output of a job that commits may be visible already: the commit decides how it ends. `false` for other jobs.
    fn note_wish(&mut self, id: JobId, wanted: EndWish) -> bool {
        let execution = self.jobs.get_mut(&id).and_then(Job::execution_mut);
        let Some(Execution { progress: Progress::Committing { wish }, .. }) = execution else { return false };
        if *wish == EndWish::None {
            *wish = wanted;
        }
        true
    }

    pub(crate) fn on_no_workers(&mut self, id: JobId) {
        let Some(since) = self.jobs.get(&id).and_then(|job| job.starving_since) else { return };
        let waited_seconds = self.now.0.saturating_sub(since.0) / 1000;
        self.end_job(id, Some(FailureCause::NoWorkers { waited_seconds }));
    }

    /// Ends a job, and forgets it. Its attempts are stopped and its shuffle outputs removed; without a commit, its staging too.
    pub(crate) fn end_job(&mut self, id: JobId, failure: Option<FailureCause>) {
        let was_admitted = self.jobs.get(&id).is_some_and(|job| job.phase != Phase::Queued);
        self.unsaved.jobs.insert(id);
        self.stop_attempts_of(id);
        self.remove_shuffle_of(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        if let Some(demand) = job.demand {
            self.demand.remove(&demand);
        }
        for (at, timer) in Self::locality_deadlines(id, &job).chain(Self::exclusion_deadlines(id, &job)) {
            self.timers.unset(at, timer);
        }
        if let Some(at) = job.watch {
            self.timers.unset(at, Timer::Stragglers(id));
        }
        if let Some(since) = job.starving_since {
            self.timers.unset(since.after(self.config.no_worker_timeout), Timer::NoWorkers(id));
        }
        if let Some(at) = job.deadline {
            self.timers.unset(at, Timer::Deadline(id));
        }
        self.queue.remove(&job.turn);
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
