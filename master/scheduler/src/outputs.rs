//! Shuffle outputs get lost: who runs again, and what may be kept. Nothing runs again before somebody needs it.
//!
//! An output that was lost makes its task wait; whether it runs follows from what the job still needs (`settle`). Where a
//! stage is indeterminate, the task's next output differs from the lost one. Everything computed from the lost one must
//! then go before the task runs again, so that all that survives derives from one version.

use hearth_common::{AttemptId, FailureCause, JobId, OutputLoss, StageId, TaskId, WorkerId};

use crate::job::{Execution, Job, Progress};
use crate::mutation::Mutation;
use crate::retry::{Verdict, judge_unreadable};
use crate::stage::Stage;
use crate::task::{Task, TaskKey, TaskState};
use crate::{Cut, Effect, Scheduler, Winner};

impl Scheduler {
    /// The winner of a task, or an attempt that might have won, has lost its shuffle output.
    pub(crate) fn lose_output(&mut self, task: TaskId) {
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(Job::execution_mut) else { return };
        if execution.is_final(task.stage) && execution.progress != Progress::Running {
            // The commit tells whether it has fetched this result.
            return;
        }
        note_lost_version(execution, task.stage);
        self.set_lost(task);
    }

    /// A reader could not read an output. If others cannot either and that output still counts, its task runs again, elsewhere
    /// if possible.
    pub(crate) fn on_unreadable_output(&mut self, (job, reader): (JobId, WorkerId), cause: FailureCause) {
        let FailureCause::LostShuffleOutput { stage, partition, attempt, worker, loss, .. } = cause else { return };
        let is_cut = loss == OutputLoss::Unreached && self.note_cut(Cut { reader, source: worker });
        if is_cut || self.has_mutation(Mutation::KeepUnreadableOutput) {
            return;
        }
        if loss == OutputLoss::Unreached
            && self.silent.contains(&worker)
            && !self.has_mutation(Mutation::LoseOneOfSilent)
        {
            return self.lose_outputs_in(job, worker);
        }
        let task = TaskKey { stage, partition }.in_job(job);
        let Some(producer) = self.jobs.get_mut(&job).and_then(|job| job.task_mut(TaskKey::of(task))) else { return };
        if !producer.is_winner(AttemptId { task, attempt }, worker) {
            return;
        }
        producer.history.avoid(worker);
        if self.is_absent(worker) {
            // Neither a peer reaches it nor has it come back: it gets as long as one whose connection breaks now.
            self.on_worker_disconnected(worker);
            if loss == OutputLoss::Unreached {
                return self.lose_output(task);
            }
        }
        let Some(producer) = self.jobs.get_mut(&job).and_then(|job| job.task_mut(TaskKey::of(task))) else { return };
        match judge_unreadable(&self.config.retry, &mut producer.history, cause) {
            Verdict::FailJob(cause) => self.end_job(job, Some(cause)),
            Verdict::RetryNow | Verdict::RetryAfter(_) => self.lose_output(task),
        }
    }

    /// Neither the master nor a reader hears anything of that worker: what the job has there is made again at once, all of it, and
    /// not piece by piece as readers meet it. The worker keeps what it runs: it may only be slow to answer.
    fn lose_outputs_in(&mut self, job: JobId, worker: WorkerId) {
        let keys = self.workers.get(worker).and_then(|worker| worker.outputs.get(&job)).cloned().unwrap_or_default();
        for task in keys.into_iter().map(|key| key.in_job(job)) {
            // Its guess may have been wrong: it goes when the worker is heard again, as any other that is not proved.
            if let Some(TaskState::Unproved { .. }) = self.find_task(task).map(Task::state) {
                self.remove_output_of(task);
            }
            self.lose_output(task);
        }
    }

    /// Drops everything that was computed from an indeterminate stage, however far.
    pub(crate) fn invalidate_readers(&mut self, job: JobId, of: StageId) {
        let Some(execution) = self.jobs.get_mut(&job).and_then(Job::execution_mut) else { return };
        let mut readers = execution.readers(of);
        if let Some(stage) = execution.stage_mut(of) {
            stage.note_version(stage.has_begun, false);
            if self.config.mutation == Some(Mutation::KeepIndirectReaders) {
                readers.retain(|reader| stage.consumers.contains(reader));
            }
        }
        if self.has_mutation(Mutation::KeepReaders) {
            return;
        }
        for stage in readers {
            self.invalidate_stage(job, stage);
        }
    }

    fn invalidate_stage(&mut self, job: JobId, id: StageId) {
        let Some(execution) = self.jobs.get_mut(&job).and_then(Job::execution_mut) else { return };
        if self.config.mutation == Some(Mutation::KeepFinalWinners) && execution.is_final(id) {
            return;
        }
        let Some(stage) = execution.stage_mut(id) else { return };
        stage.note_version(false, false);
        for (task, state) in begun_tasks(job, stage) {
            match state {
                TaskState::Running(_) if self.has_mutation(Mutation::KeepRunningReaders) => continue,
                TaskState::Unproved { .. } if self.has_mutation(Mutation::KeepUnprovedReaders) => continue,
                TaskState::Running(_) => self.cancel_attempts_of(task),
                TaskState::Unproved { .. } | TaskState::Done { .. } => self.remove_output_of(task),
                TaskState::Waiting | TaskState::BackingOff { .. } => {}
            }
            self.set_lost(task);
        }
    }

    /// Removes the shuffle output of a task, if it left one and its worker can be told. Its state is left to the caller.
    fn remove_output_of(&mut self, task: TaskId) {
        let execution = self.jobs.get(&task.job).and_then(Job::execution);
        if let Some(Winner { attempt, worker }) = execution.and_then(|execution| execution.find_output(task))
            && self.workers.contains(worker)
        {
            self.effects.push(Effect::RemoveShuffleOutput { worker, attempt });
        }
    }
}

fn note_lost_version(execution: &mut Execution, id: StageId) {
    let Some(stage) = execution.stage(id) else { return };
    let has_begun = |reader: &StageId| execution.stage(*reader).is_some_and(|reader| reader.has_begun);
    let is_lost = !stage.is_determinate && stage.consumers.iter().any(has_begun);
    if let Some(stage) = execution.stage_mut(id) {
        stage.note_version(stage.has_begun, stage.has_lost_version || is_lost);
    }
}

fn begun_tasks(job: JobId, stage: &Stage) -> Vec<(TaskId, TaskState)> {
    let id = stage.id;
    let is_begun = |state: &TaskState| {
        matches!(state, TaskState::Running(_) | TaskState::Unproved { .. } | TaskState::Done { .. })
    };
    (0..)
        .zip(stage.tasks())
        .map(|(partition, task)| (TaskKey { stage: id, partition }.in_job(job), task.state()))
        .filter(|(_, state)| is_begun(state))
        .collect()
}
