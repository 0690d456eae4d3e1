//! Attempts end: their reports are checked against what is known, and stale ones have no consequence.

use hearth_common::{AttemptId, FailureCause, TaskId, WorkerId};

use crate::event::AttemptOutput;
use crate::job::Execution;
use crate::mutation::Mutation;
use crate::retry::{Failure, Verdict, judge_failure, judge_internal};
use crate::task::{TaskKey, TaskState};
use crate::worker::Stay;
use crate::{Effect, Millis, Scheduler};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The attempt that runs.
    Current,
    /// The attempt that won: the report was heard before.
    Winner,
    /// An attempt that nobody waits for.
    Stale,
    /// An attempt of a job that has ended.
    Ended,
}

impl Scheduler {
    pub(crate) fn on_attempt_finished(&mut self, attempt: AttemptId, worker: WorkerId, output: AttemptOutput) {
        if !self.hear_from(worker) {
            return;
        }
        match self.standing_of(attempt, worker) {
            Standing::Current => self.accept_finished(attempt, worker, output),
            Standing::Winner => self.recount_finished(attempt.task),
            Standing::Stale if self.has_mutation(Mutation::AcceptStaleFinish) => {
                self.accept_finished(attempt, worker, output);
            }
            Standing::Stale => self.effects.push(Effect::RemoveShuffleOutput { worker, attempt }),
            Standing::Ended => self.remove_late_output(attempt, worker),
        }
    }

    pub(crate) fn on_attempt_failed(&mut self, attempt: AttemptId, worker: WorkerId, cause: FailureCause) {
        if !self.hear_from(worker) {
            return;
        }
        match self.standing_of(attempt, worker) {
            Standing::Current => self.accept_failed(attempt, worker, cause),
            Standing::Winner | Standing::Stale | Standing::Ended => {}
        }
    }

    fn standing_of(&self, attempt: AttemptId, worker: WorkerId) -> Standing {
        if !self.jobs.contains_key(&attempt.task.job) {
            return Standing::Ended;
        }
        match self.find_task(attempt.task) {
            Some(task) if task.is_running(attempt, worker) => Standing::Current,
            Some(task) if task.is_winner(attempt, worker) => Standing::Winner,
            Some(_) | None => Standing::Stale,
        }
    }

    fn accept_finished(&mut self, attempt: AttemptId, worker: WorkerId, output: AttemptOutput) {
        let task = attempt.task;
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(|job| job.execution_mut()) else { return };
        if !is_expected(execution, task, &output) {
            let cause = FailureCause::internal(format!("attempt {attempt} left an output its stage does not have"));
            self.accept_failed(attempt, worker, cause);
            return;
        }
        let Some(stage) = execution.stage_mut(task.stage) else { return };
        let Some(finished) = stage.task_mut(task.partition) else { return };
        finished.history.lost_workers_in_a_row = 0;
        // A task that runs again leaves about the same bytes: they count once, as an estimate is all that merging needs.
        let is_counted = finished.had_winner;
        if let (false, AttemptOutput::Shuffle { partition_bytes }) = (is_counted, &output) {
            stage.add_bytes(partition_bytes);
        }
        self.set_task(task, TaskState::Done { attempt: attempt.attempt, worker });
    }

    fn accept_failed(&mut self, attempt: AttemptId, worker: WorkerId, cause: FailureCause) {
        let task = attempt.task;
        let cause = self.check_lost_output(task, cause);
        match self.judge_failed(task, worker, cause.clone()) {
            Verdict::FailJob(cause) => {
                self.set_task(task, TaskState::Waiting);
                self.end_job(task.job, Some(cause));
            }
            Verdict::RetryAfter(wait) => self.set_task(task, TaskState::BackingOff { until: self.now.after(wait) }),
            Verdict::RetryNow => {
                self.set_task(task, TaskState::Waiting);
                self.on_unreadable_output(task.job, cause);
            }
        }
    }

    /// A task has waited long enough after a failure.
    pub(crate) fn on_backoff_ended(&mut self, task: TaskId, until: Millis) {
        let is_due = self.find_task(task).is_some_and(|task| task.state() == TaskState::BackingOff { until });
        if is_due && !self.has_mutation(Mutation::ForgetBackoff) {
            self.set_task(task, TaskState::Waiting);
        }
    }

    fn judge_failed(&mut self, task: TaskId, worker: WorkerId, cause: FailureCause) -> Verdict {
        let is_worker_leaving = self.workers.get(worker).is_some_and(|worker| worker.stay == Stay::Draining);
        let is_forgiven = !self.has_mutation(Mutation::NeverForgiveLostWorkers);
        let is_reader_blamed = self.has_mutation(Mutation::BlameReader);
        let Some(job) = self.jobs.get_mut(&task.job) else { return Verdict::RetryNow };
        job.counts.failed += 1;
        let Some(failed) = job.task_mut(TaskKey::of(task)) else { return Verdict::RetryNow };
        if is_forgiven {
            failed.history.lost_workers_in_a_row = 0;
        }
        let mut tried = failed.history.avoid.clone();
        if !tried.contains(&worker) {
            tried.push(worker);
        }
        let has_untried_worker = self.workers.has_untried(&tried);
        if is_reader_blamed && matches!(cause, FailureCause::LostShuffleOutput { .. }) {
            return judge_internal(&self.config.retry, &mut failed.history, cause);
        }
        let failure = Failure { cause, worker, is_worker_leaving, has_untried_worker };
        judge_failure(&self.config.retry, &mut failed.history, failure)
    }

    /// A worker that names an output which the task does not read is not to be believed.
    fn check_lost_output(&self, task: TaskId, cause: FailureCause) -> FailureCause {
        let FailureCause::LostShuffleOutput { stage, partition, .. } = &cause else { return cause };
        let execution = self.jobs.get(&task.job).and_then(|job| job.execution());
        let is_read = execution.is_some_and(|execution| {
            let reads = execution.stage(task.stage).is_some_and(|s| s.inputs.iter().any(|input| input.stage == *stage));
            reads && execution.stage(*stage).is_some_and(|producer| producer.task(*partition).is_some())
        });
        if is_read { cause } else { FailureCause::internal(format!("attempt misses what it does not read: {cause}")) }
    }

    fn recount_finished(&mut self, task: TaskId) {
        if self.has_mutation(Mutation::CountFinishTwice)
            && let Some(execution) = self.jobs.get_mut(&task.job).and_then(|job| job.execution_mut())
            && let Some(stage) = execution.stage_mut(task.stage)
        {
            stage.count_finish_twice();
            self.touch(task.job);
        }
    }

    fn remove_late_output(&mut self, attempt: AttemptId, worker: WorkerId) {
        if !self.has_mutation(Mutation::KeepLateOutputs) {
            self.effects.push(Effect::RemoveJobShuffle { worker, job: attempt.task.job });
        }
    }
}

fn is_expected(execution: &Execution, task: TaskId, output: &AttemptOutput) -> bool {
    let leaves_shuffle_output = execution.leaves_shuffle_output(task.stage);
    match output {
        AttemptOutput::Files => !leaves_shuffle_output,
        AttemptOutput::Shuffle { partition_bytes } => {
            let partitions = execution.stage(task.stage).map_or(0, |stage| stage.shuffle_partitions as usize);
            leaves_shuffle_output && partition_bytes.len() == partitions
        }
    }
}
