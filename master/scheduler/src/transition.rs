//! The one function that changes the state of a task, and every counter and index with it.

use hearth_common::{AttemptId, TaskId};

use crate::Scheduler;
use crate::mutation::Mutation;
use crate::run::Run;
use crate::task::{Task, TaskKey, TaskState};
use crate::timer::Timer;

impl Scheduler {
    /// Changes the state of a task. Whether a change is right is the caller's business.
    pub(crate) fn set_task(&mut self, task: TaskId, next: TaskState) {
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(|job| job.execution_mut()) else { return };
        let Some(stage) = execution.stage_mut(task.stage) else { return };
        let was_complete = stage.is_complete();
        let Some(before) = stage.replace(task.partition, next) else { return };
        execution.is_stale |= stage.is_complete() != was_complete;
        execution.list_ready(task.stage);
        self.leave_state(task, before);
        self.enter_state(task, next);
        self.touch(task.job);
    }

    fn leave_state(&mut self, task: TaskId, state: TaskState) {
        let key = TaskKey::of(task);
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(|job| job.execution_mut()) else { return };
        match state {
            TaskState::Waiting => {}
            TaskState::BackingOff { until } => {
                execution.backing_off.remove(&key);
                self.timers.unset(until, Timer::Backoff(task));
            }
            TaskState::Running(runs) => {
                execution.running.remove(&key);
                self.seconds -= u64::from(execution.doubled.remove(&key));
                for Run { attempt, worker, .. } in runs.iter() {
                    self.workers.update(worker, |worker| {
                        worker.running.remove(&AttemptId { task, attempt });
                    });
                }
            }
            TaskState::Unproved { worker, .. } | TaskState::Done { worker, .. } => {
                self.workers.update(worker, |worker| {
                    if let Some(outputs) = worker.outputs.get_mut(&task.job) {
                        outputs.remove(&key);
                        if outputs.is_empty() {
                            worker.outputs.remove(&task.job);
                        }
                    }
                })
            }
        }
    }

    fn enter_state(&mut self, task: TaskId, state: TaskState) {
        let key = TaskKey::of(task);
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(|job| job.execution_mut()) else { return };
        match state {
            TaskState::Waiting => {}
            TaskState::BackingOff { until } => {
                execution.backing_off.insert(key);
                self.timers.set(until, Timer::Backoff(task));
            }
            TaskState::Running(runs) => {
                execution.running.insert(key);
                if runs.second().is_some() {
                    execution.doubled.insert(key);
                    self.seconds += 1;
                }
                for Run { attempt, worker, .. } in runs.iter() {
                    self.workers.update(worker, |worker| {
                        worker.running.insert(AttemptId { task, attempt });
                    });
                }
            }
            TaskState::Unproved { .. } if self.config.mutation == Some(Mutation::ForgetUnprovedOfLostWorker) => {}
            TaskState::Unproved { .. } | TaskState::Done { .. } => {
                if let Some(output) = execution.find_output(task) {
                    self.workers.update(output.worker, |worker| {
                        worker.outputs.entry(task.job).or_default().insert(key);
                    });
                }
            }
        }
    }

    /// Stops what runs of a task, as far as workers can be told. Its state is left to the caller.
    pub(crate) fn cancel_attempts_of(&mut self, task: TaskId) {
        let Some(TaskState::Running(runs)) = self.find_task(task).map(Task::state) else { return };
        for Run { attempt, worker, .. } in runs.iter() {
            self.cancel(AttemptId { task, attempt }, worker);
        }
    }

    pub(crate) fn find_task(&self, task: TaskId) -> Option<&Task> {
        self.jobs.get(&task.job)?.task(TaskKey::of(task))
    }
}
