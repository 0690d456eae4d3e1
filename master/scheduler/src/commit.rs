//! How a commit ended, and what follows: the job is done, has failed, or computes a lost result again.

use hearth_common::{FailureCause, JobId, OutputLoss, TaskId};

use crate::event::CommitOutcome;
use crate::graph::FinalOutput;
use crate::job::{EndWish, Job, Progress};
use crate::mutation::Mutation;
use crate::retry::{Verdict, judge_unreadable};
use crate::task::{TaskKey, TaskState};
use crate::{Scheduler, Winner};

impl Scheduler {
    pub(crate) fn on_commit_ended(&mut self, id: JobId, outcome: CommitOutcome) {
        let Some(execution) = self.jobs.get(&id).and_then(Job::execution) else { return };
        let Progress::Committing { wish } = execution.progress else { return };
        let final_output = execution.final_output;
        match (outcome, final_output, wish) {
            (CommitOutcome::Done, _, _) => self.end_job(id, None),
            (CommitOutcome::Failed { cause }, _, _) => self.end_job(id, Some(cause)),
            (CommitOutcome::LostResult { .. }, FinalOutput::Files, _) => {
                let cause = FailureCause::internal("commit of files reported a lost result");
                self.end_job(id, Some(cause));
            }
            // Said of an earlier commit: the one at hand does not have this result among its winners.
            (CommitOutcome::LostResult { attempt, worker }, FinalOutput::Result, _)
                if !self.is_final_winner(Winner { attempt, worker }) => {}
            (CommitOutcome::LostResult { .. }, FinalOutput::Result, EndWish::Cancelled) => {
                self.end_job(id, Some(FailureCause::Cancelled));
            }
            (CommitOutcome::LostResult { .. }, FinalOutput::Result, EndWish::DeadlinePassed) => {
                let cause = self.jobs.get(&id).map(Job::deadline_cause);
                self.end_job(id, cause);
            }
            (CommitOutcome::LostResult { attempt, worker }, FinalOutput::Result, EndWish::None) => {
                self.on_lost_result(Winner { attempt, worker });
            }
        }
    }

    fn is_final_winner(&self, Winner { attempt, worker }: Winner) -> bool {
        let execution = self.jobs.get(&attempt.task.job).and_then(Job::execution);
        execution.is_some_and(|execution| execution.is_final(attempt.task.stage))
            && self.find_task(attempt.task).is_some_and(|task| task.is_winner(attempt, worker))
    }

    fn on_lost_result(&mut self, lost: Winner) {
        let task = lost.attempt.task;
        let cause = FailureCause::LostShuffleOutput {
            stage: task.stage,
            partition: task.partition,
            attempt: lost.attempt.attempt,
            worker: lost.worker,
            loss: OutputLoss::Gone,
            message: "result could not be fetched".to_owned(),
        };
        let retry = self.config.retry.clone();
        let is_kept = self.has_mutation(Mutation::CommitLostResult);
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(reported) = job.task_mut(TaskKey::of(task)) else { return };
        reported.history.avoid(lost.worker);
        if let Verdict::FailJob(cause) = judge_unreadable(&retry, &mut reported.history, cause) {
            self.end_job(task.job, Some(cause));
            return;
        }
        if let Some(execution) = job.execution_mut() {
            execution.progress = Progress::Running;
            execution.is_stale = true;
        }
        self.touch(task.job);
        if is_kept {
            return;
        }
        self.set_lost(task);
        self.lose_results_of_lost_workers(task.job);
    }

    /// Results whose workers were lost while the commit ran: it was to tell whether it had fetched them.
    fn lose_results_of_lost_workers(&mut self, id: JobId) {
        let Some(stage) = self.jobs.get(&id).and_then(Job::execution).and_then(|execution| execution.final_stage())
        else {
            return;
        };
        let is_gone = |state: TaskState| match state {
            TaskState::Done { worker, .. } => !self.workers.contains(worker),
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Running(_) | TaskState::Unproved { .. } => {
                false
            }
        };
        let stage_id = stage.id;
        let gone: Vec<TaskId> = (0..)
            .zip(stage.tasks())
            .filter(|(_, task)| is_gone(task.state()))
            .map(|(partition, _)| TaskKey { stage: stage_id, partition }.in_job(id))
            .collect();
        for task in gone {
            self.set_lost(task);
        }
    }
}
