//! Attempts end: their reports are checked against what is known, and stale ones have no consequence.

use hearth_common::{AttemptId, FailureCause, LinkScan, TaskId, WorkerId};

use crate::claim::Ending;
use crate::event::AttemptOutput;
use crate::job::Execution;
use crate::mutation::Mutation;
use crate::retry::{Failure, Verdict, judge_failure, judge_internal};
use crate::scan::{Extent, ScanFault};
use crate::task::{TaskKey, TaskState};
use crate::worker::Stay;
use crate::{Effect, Millis, Scheduler, Winner};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The attempt that runs.
    Current,
    /// The attempt that won: the report was heard before.
    Winner,
    /// An attempt that waits for its proof: the report was heard before.
    Unproved,
    /// An attempt that nobody waits for.
    Stale,
    /// An attempt of a job that has ended.
    Ended,
}

/// The end of an attempt, and what it found out about the links of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) attempt: AttemptId,
    pub(crate) worker: WorkerId,
    pub(crate) scans: Vec<LinkScan>,
}

impl Scheduler {
    pub(crate) fn on_attempt_finished(&mut self, report: Report, output: AttemptOutput) {
        let (attempt, worker) = (report.attempt, report.worker);
        if !self.hear_from(worker) {
            return;
        }
        match self.standing_of(attempt, worker) {
            Standing::Current => self.accept_finished(&report, output),
            Standing::Winner => self.recount_finished(attempt.task),
            Standing::Unproved => {}
            Standing::Stale if self.has_mutation(Mutation::AcceptStaleFinish) => self.accept_finished(&report, output),
            Standing::Stale => self.effects.push(Effect::RemoveShuffleOutput { worker, attempt }),
            Standing::Ended => self.remove_late_output(attempt, worker),
        }
    }

    pub(crate) fn on_attempt_failed(&mut self, report: Report, cause: FailureCause) {
        if !self.hear_from(report.worker) {
            return;
        }
        match self.standing_of(report.attempt, report.worker) {
            Standing::Current => self.accept_failed(&report, cause),
            Standing::Winner | Standing::Unproved | Standing::Stale | Standing::Ended => {}
        }
    }

    fn standing_of(&self, attempt: AttemptId, worker: WorkerId) -> Standing {
        if !self.jobs.contains_key(&attempt.task.job) {
            return Standing::Ended;
        }
        match self.find_task(attempt.task) {
            Some(task) if task.is_running(attempt, worker) => Standing::Current,
            Some(task) if task.is_winner(attempt, worker) => Standing::Winner,
            Some(task) if task.is_unproved(attempt, worker) => Standing::Unproved,
            Some(_) | None => Standing::Stale,
        }
    }

    fn accept_finished(&mut self, report: &Report, output: AttemptOutput) {
        self.forgive_lost_workers(report.attempt.task);
        if let Err(cause) = self.check_finished(report, &output) {
            self.conclude_failed(Winner { attempt: report.attempt, worker: report.worker }, cause);
            return;
        }
        let partition_bytes = match output {
            AttemptOutput::Shuffle { partition_bytes } => partition_bytes,
            AttemptOutput::Files => Vec::new(),
        };
        self.conclude(report, Ending::Finished { partition_bytes });
    }

    fn accept_failed(&mut self, report: &Report, cause: FailureCause) {
        // One that was not begun, or had not read what it needs, had no time to kill its worker.
        if !matches!(cause, FailureCause::LostShuffleOutput { .. } | FailureCause::WorkerDrains) {
            self.forgive_lost_workers(report.attempt.task);
        }
        if let Err(fault) = self.check_scans(report, Extent::Part) {
            let cause = FailureCause::internal(format!("{fault}, when it failed: {cause}"));
            self.conclude_failed(Winner { attempt: report.attempt, worker: report.worker }, cause);
            return;
        }
        let cause = self.check_lost_output(report.attempt.task, cause);
        let link = report.scans.last().map(|scan| scan.link);
        self.conclude(report, Ending::Failed { cause, link });
    }

    /// Enters a failure that counts, and draws its consequences.
    pub(crate) fn conclude_failed(&mut self, failed: Winner, cause: FailureCause) {
        let task = failed.attempt.task;
        self.blame_worker(failed, &cause);
        if cause == FailureCause::WorkerDrains {
            // It said so before, but that may have been lost with a connection.
            self.on_worker_draining(failed.worker);
        }
        match self.judge_failed(task, failed.worker, cause.clone()) {
            Verdict::FailJob(cause) => {
                self.leave_failed(failed.attempt, TaskState::Waiting);
                self.end_job(task.job, Some(cause));
            }
            Verdict::RetryAfter(wait) => {
                self.leave_failed(failed.attempt, TaskState::BackingOff { until: self.now.after(wait) });
            }
            Verdict::RetryNow => {
                self.leave_failed(failed.attempt, TaskState::Waiting);
                self.on_unreadable_output((task.job, failed.worker), cause);
            }
        }
    }

    /// Changes the state of a task whose attempt failed, unless another attempt of it runs.
    fn leave_failed(&mut self, failed: AttemptId, next: TaskState) {
        if self.leave_to_other(failed).is_none() {
            self.set_task(failed.task, next);
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
        let is_worker_leaving = self.workers.get(worker).is_some_and(|worker| worker.stay != Stay::Staying);
        let barred = self.barred(task.job);
        let is_reader_blamed = self.has_mutation(Mutation::BlameReader);
        let Some(job) = self.jobs.get_mut(&task.job) else { return Verdict::RetryNow };
        match cause.is_loss() && self.config.mutation != Some(Mutation::CountBlameless) {
            true => job.counts.lost += 1,
            false => job.counts.failed += 1,
        }
        let Some(failed) = job.task_mut(TaskKey::of(task)) else { return Verdict::RetryNow };
        let mut tried = failed.history.avoid.clone();
        tried.extend(barred);
        tried.push(worker);
        tried.sort_unstable();
        tried.dedup();
        let has_untried_worker = self.workers.has_untried(&tried);
        if is_reader_blamed && matches!(cause, FailureCause::LostShuffleOutput { .. }) {
            return judge_internal(&self.config.retry, &mut failed.history, cause);
        }
        let failure = Failure { cause, worker, is_worker_leaving, has_untried_worker };
        judge_failure(&self.config.retry, &mut failed.history, failure)
    }

    /// The task was reported on: the workers that it lost before were not lost in a row.
    fn forgive_lost_workers(&mut self, task: TaskId) {
        if !self.has_mutation(Mutation::NeverForgiveLostWorkers)
            && let Some(reported) = self.jobs.get_mut(&task.job).and_then(|job| job.task_mut(TaskKey::of(task)))
        {
            reported.history.lost_workers_in_a_row = 0;
        }
    }

    fn check_finished(&self, report: &Report, output: &AttemptOutput) -> Result<(), FailureCause> {
        let execution = self.jobs.get(&report.attempt.task.job).and_then(|job| job.execution());
        if !execution.is_some_and(|execution| is_expected(execution, report.attempt.task, output)) {
            let message = format!("attempt {} left an output its stage does not have", report.attempt);
            return Err(FailureCause::internal(message));
        }
        self.check_scans(report, Extent::Whole).map_err(|fault| FailureCause::internal(fault.to_string()))
    }

    fn check_scans(&self, report: &Report, extent: Extent) -> Result<(), ScanFault> {
        let task = report.attempt.task;
        let execution = self.jobs.get(&task.job).and_then(|job| job.execution());
        let Some(stage) = execution.and_then(|execution| execution.stage(task.stage)) else { return Ok(()) };
        stage.chains.check_scans((task.partition, report.attempt.attempt), &report.scans, extent)
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
