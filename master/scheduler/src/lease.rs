//! Workers come, are heard of, and are lost: by the end of their lease, or because they leave.

use hearth_common::{Absence, AttemptId, FailureCause, TaskId, WorkerId};

use crate::home::host_names;
use crate::job::Job;
use crate::mutation::Mutation;
use crate::retry::{Verdict, judge_internal, judge_lost_worker};
use crate::task::{TaskKey, TaskState};
use crate::timer::Timer;
use crate::worker::{Connection, Stay, Worker};
use crate::{Effect, Held, Millis, Scheduler};

/// What a worker offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room<'a> {
    pub(crate) slots: u32,
    pub(crate) names: &'a [String],
}

/// How a worker was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Nothing was heard of it for too long: it may have died of what it ran.
    LeaseEnded,
    /// It said so.
    Left,
}

impl Scheduler {
    pub(crate) fn on_worker_connected(&mut self, id: WorkerId, room: Room<'_>, held: &Held) {
        if self.workers.is_lost(id) {
            self.fence(id);
            return;
        }
        if self.workers.contains(id) {
            self.workers.update(id, |worker| worker.slots = room.slots);
        } else {
            let lease_end = self.now.after(self.config.lease);
            self.workers.add(id, Worker::new(room.slots, host_names(room.names), lease_end));
            self.timers.set(lease_end, Timer::Lease(id));
        }
        self.note_sign_of_life(id);
        self.reconcile(id, held);
        self.repeat_release(id);
    }

    pub(crate) fn on_heartbeat(&mut self, id: WorkerId) {
        self.hear_from(id);
    }

    /// Renews the lease of a worker that sent something. `false`, and the worker is fenced, if it is lost or unknown.
    ///
    /// While its connection counts as broken, only a new one helps: what it missed must be found out.
    pub(crate) fn hear_from(&mut self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(id) else {
            self.fence(id);
            return false;
        };
        if worker.connection != Connection::Broken {
            self.note_sign_of_life(id);
        }
        true
    }

    fn note_sign_of_life(&mut self, id: WorkerId) {
        self.workers.update(id, |worker| worker.withdrawn.clear());
        self.set_connection(id, Connection::Intact { silent_at: self.now.after(self.config.silence) });
        self.renew_lease(id, self.now.after(self.config.lease));
    }

    pub(crate) fn on_worker_disconnected(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(id) else { return };
        let lease_end = worker.lease_end.min(self.now.after(self.config.disconnect_grace));
        self.set_connection(id, Connection::Broken);
        self.renew_lease(id, lease_end);
    }

    pub(crate) fn on_worker_gone(&mut self, id: WorkerId) {
        if self.workers.contains(id) {
            self.lose_worker(id, Loss::Left);
        }
    }

    pub(crate) fn on_lease_ended(&mut self, id: WorkerId) {
        if self.workers.contains(id) && !self.has_mutation(Mutation::IgnoreLeaseEnd) {
            self.fence(id);
            self.lose_worker(id, Loss::LeaseEnded);
        }
    }

    fn fence(&mut self, worker: WorkerId) {
        if !self.has_mutation(Mutation::ForgetFence) {
            self.effects.push(Effect::FenceWorker { worker });
        }
    }

    fn renew_lease(&mut self, id: WorkerId, lease_end: Millis) {
        let Some(worker) = self.workers.get(id) else { return };
        self.timers.unset(worker.lease_end, Timer::Lease(id));
        self.timers.set(lease_end, Timer::Lease(id));
        self.workers.update(id, |worker| worker.lease_end = lease_end);
    }

    /// Forgets a worker: what ran on it runs elsewhere, and what it held is lost.
    fn lose_worker(&mut self, id: WorkerId, loss: Loss) {
        self.set_stay(id, Stay::Staying);
        self.set_connection(id, Connection::Broken);
        self.tell_readers(id, Absence::Lost);
        let Some(worker) = self.workers.lose(id) else { return };
        self.unsaved.lost_workers.insert(id);
        self.forget_cuts_of(id);
        self.timers.unset(worker.lease_end, Timer::Lease(id));
        if let Some(exclusion) = worker.reputation.exclusion {
            self.timers.unset(exclusion.until, Timer::Exclusion(id));
        }
        for (job, keys) in worker.outputs {
            for key in keys {
                self.lose_output(key.in_job(job));
            }
        }
        if self.has_mutation(Mutation::ForgetLostAttempts) {
            return;
        }
        for attempt in worker.running {
            self.lose_attempt(attempt, loss);
        }
        if loss == Loss::LeaseEnded {
            worker.withdrawn.into_iter().for_each(|task| self.count_withdrawn(task));
        }
    }

    /// A worker may have died of a task that was given to others since: that counts, and the task's state stays.
    fn count_withdrawn(&mut self, task: TaskId) {
        let execution = self.jobs.get_mut(&task.job).and_then(Job::execution_mut);
        if let Some(stage) = execution.and_then(|execution| execution.stage_mut(task.stage)) {
            stage.note_history(task.partition);
            self.touch(task.job);
        }
        if let Verdict::FailJob(cause) = self.judge_lost_worker(task) {
            self.end_job(task.job, Some(cause));
        }
    }

    fn lose_attempt(&mut self, attempt: AttemptId, loss: Loss) {
        let task = attempt.task;
        let verdict = match loss {
            Loss::Left => Verdict::RetryNow,
            Loss::LeaseEnded => self.judge_lost_worker(task),
        };
        match verdict {
            Verdict::RetryNow | Verdict::RetryAfter(_) => self.set_attempt_lost(attempt),
            Verdict::FailJob(cause) => self.end_job(task.job, Some(cause)),
        }
    }

    fn judge_lost_worker(&mut self, task: TaskId) -> Verdict {
        let is_counted = self.has_mutation(Mutation::CountLostWorkers);
        let retry = &self.config.retry;
        let Some(lost) = self.jobs.get_mut(&task.job).and_then(|job| job.task_mut(TaskKey::of(task))) else {
            return Verdict::RetryNow;
        };
        if is_counted {
            let cause = FailureCause::internal("worker was lost");
            return judge_internal(retry, &mut lost.history, cause);
        }
        judge_lost_worker(retry, &mut lost.history, task)
    }

    /// An attempt that ran is gone with its worker. Its task waits again, unless another attempt of it runs.
    pub(crate) fn set_attempt_lost(&mut self, attempt: AttemptId) {
        if self.leave_to_other(attempt).is_none() {
            self.set_lost(attempt.task);
        } else if let Some(job) = self.jobs.get_mut(&attempt.task.job) {
            job.counts.lost += 1;
        }
    }

    /// What the task had is gone with its worker: it waits again, without blame.
    pub(crate) fn set_lost(&mut self, task: TaskId) {
        if let Some(job) = self.jobs.get_mut(&task.job) {
            job.counts.lost += 1;
        }
        self.set_task(task, TaskState::Waiting);
    }
}
