//! Stragglers: an attempt that runs far longer than others of its stage gets a second one on another worker.
//!
//! The first that ends well wins, and the other is stopped; only one output is ever used, so that this holds for indeterminate
//! stages too. Second attempts take slots that nobody else wants, and few of them. Looked for from time to time, when
//! slots are left over, from the oldest attempt of each stage on.

use std::time::Duration;

use hearth_common::{AttemptId, JobId, TaskId, WorkerId};

use crate::home::Patience;
use crate::job::{Execution, Job, Progress};
use crate::mutation::Mutation;
use crate::run::{Run, Runs};
use crate::stage::Stage;
use crate::task::{Task, TaskKey, TaskState};
use crate::timer::Timer;
use crate::worker::Worker;
use crate::{Effect, Millis, Scheduler};

/// Slow attempts per stage that are looked at in one round.
const STRAGGLERS_TRIED_MAX: usize = 8;

impl Scheduler {
    /// Notes whether there may be stragglers in a job, and when to look for them.
    pub(crate) fn settle_watch(&mut self, id: JobId) {
        let next = self.jobs.get(&id).and_then(Job::execution).and_then(|execution| self.next_watch(execution));
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let watch = next.map(|next| job.watch.map_or(next, |before| before.min(next)));
        let before = std::mem::replace(&mut job.watch, watch);
        if before != watch {
            before.into_iter().for_each(|at| self.timers.unset(at, Timer::Stragglers(id)));
            watch.into_iter().for_each(|at| self.timers.set(at, Timer::Stragglers(id)));
        }
    }

    /// Soon where it is known how long what runs should take, and else when the oldest attempt has run for very long.
    fn next_watch(&self, execution: &Execution) -> Option<Millis> {
        let policy = &self.config.stragglers;
        let soon = self.now.after(policy.interval);
        let of_stage = |stage: &Stage| {
            let (since, _) = stage.lone_runs().next()?;
            let is_known = stage.durations().median().is_some();
            Some(if is_known { soon } else { since.after(policy.lonely_runtime_min).after(policy.interval).max(soon) })
        };
        let stages = execution.stages().iter().filter(|_| execution.progress == Progress::Running);
        stages.filter_map(of_stage).min()
    }

    pub(crate) fn on_watch_ended(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.watch = None;
            self.due_watches.insert(id);
        }
    }

    /// Launches second attempts in the jobs that are due, with the slots that are left.
    pub(crate) fn dispatch_seconds(&mut self) {
        while let Some(id) = self.due_watches.pop_first() {
            while self.has_room_for_second(id)
                && let Some((task, worker)) = self.find_straggler(id)
            {
                self.launch(task, worker);
            }
            self.settle_watch(id);
        }
    }

    fn has_room_for_second(&self, id: JobId) -> bool {
        let policy = &self.config.stragglers;
        let seconds_max = (self.workers.slots() * u64::from(policy.slots_percent_max) / 100).max(1);
        let is_bounded = !self.has_mutation(Mutation::LaunchManySeconds);
        let is_wanted_by_others = self.is_slot_wanted_soon() && !self.has_mutation(Mutation::LaunchSecondsFirst);
        let has_room = self.jobs.get(&id).is_some_and(|job| job.slots_held() < job.slots_max());
        has_room
            && !is_wanted_by_others
            && (self.seconds < seconds_max || !is_bounded)
            && self.workers.has_free_slot()
            && !self.has_mutation(Mutation::IgnoreStragglers)
    }

    /// A free slot is one that no waiting task takes, now that all had their choice. Those that only wait for their hosts may
    /// take it soon; those that avoid its worker do not, and may even wait for the slot of the slow attempt.
    fn is_slot_wanted_soon(&self) -> bool {
        let waits =
            |stage: &Stage| matches!(stage.homes.patience, Patience::Until(_)) && !stage.homes.waiting().is_empty();
        self.demand.iter().any(|demand| {
            let execution = self.jobs.get(&demand.job).and_then(Job::execution);
            execution.is_some_and(|execution| execution.ready_stages().any(waits))
        })
    }

    fn find_straggler(&self, id: JobId) -> Option<(TaskId, WorkerId)> {
        let execution = self.jobs.get(&id).and_then(Job::execution)?;
        let barred = self.barred(id);
        execution.stages().iter().filter(|stage| stage.is_open).find_map(|stage| {
            let limit = self.patience_with(stage);
            let unfit = self.unfit(id, stage, &barred);
            let slow = stage.lone_runs().take_while(|(since, _)| since.after(limit) < self.now);
            slow.take(STRAGGLERS_TRIED_MAX).find_map(|(_, partition)| {
                let worker = self.place_second(stage.task(partition)?, (&barred, &unfit))?;
                Some((TaskKey { stage: stage.id, partition }.in_job(id), worker))
            })
        })
    }

    /// How long an attempt of the stage may run before it is slow.
    fn patience_with(&self, stage: &Stage) -> Duration {
        let policy = &self.config.stragglers;
        // Unproved attempts have ended as well, and may wait for the very one that is slow.
        let ended = u64::from(stage.done()) + u64::from(stage.unproved());
        let is_known = ended * 100 >= stage.tasks().len() as u64 * u64::from(policy.done_percent_min);
        match stage.durations().median().filter(|_| is_known) {
            Some(median) => (median * policy.slowness_percent / 100).max(policy.runtime_min),
            None => policy.lonely_runtime_min,
        }
    }

    fn place_second(&self, task: &Task, (barred, unfit): (&[WorkerId], &[WorkerId])) -> Option<WorkerId> {
        let TaskState::Running(Runs::One(first)) = task.state() else { return None };
        // A task that loses its workers may be poison: it must not take down more of them than that is known of.
        let lost = task.history.lost_workers_in_a_row + 2;
        if lost > self.config.retry.lost_workers_in_a_row_max
            || task.seconds >= self.config.stragglers.seconds_per_task_max
        {
            return None;
        }
        if self.has_mutation(Mutation::LaunchSecondBesideFirst) {
            return self.workers.free().next().map(|(_, id)| *id);
        }
        // Better on a doubtful worker than nowhere.
        let avoid = &task.history.avoid[..];
        let choices = [[avoid, barred], [&[], barred], [&[], &[]]].map(|[avoid, barred]| {
            let mut no = [avoid, barred, unfit, &[first.worker]].concat();
            no.sort_unstable();
            no.dedup();
            no
        });
        let no = choices.into_iter().find(|no| self.workers.has_untried(no))?;
        self.workers.free().map(|(_, id)| *id).find(|id| !no.contains(id))
    }

    /// An attempt ended without a result, or is lost. Of two, the other one goes on, and its run is given.
    pub(crate) fn leave_to_other(&mut self, ended: AttemptId) -> Option<Run> {
        let TaskState::Running(runs) = self.find_task(ended.task)?.state() else { return None };
        let other = runs.other_than(ended.attempt)?;
        if self.has_mutation(Mutation::ForgetSecond) {
            return None;
        }
        self.set_task(ended.task, TaskState::Running(Runs::One(other)));
        Some(other)
    }

    /// An attempt ended, and the task needs no other one.
    pub(crate) fn cancel_others(&mut self, ended: AttemptId) {
        let Some(TaskState::Running(runs)) = self.find_task(ended.task).map(Task::state) else { return };
        let is_second = runs.second().is_some_and(|second| second.attempt == ended.attempt);
        if let Some(job) = self.jobs.get_mut(&ended.task.job).filter(|_| is_second) {
            job.counts.second_won += 1;
        }
        if let Some(other) = runs.other_than(ended.attempt)
            && !self.has_mutation(Mutation::KeepLoser)
        {
            self.cancel(AttemptId { attempt: other.attempt, ..ended }, other.worker);
        }
    }

    /// Stops an attempt, as far as its worker can be told. The state of its task is left to the caller.
    pub(crate) fn cancel(&mut self, attempt: AttemptId, worker: WorkerId) {
        let Some(is_heard) = self.workers.get(worker).map(Worker::is_heard) else { return };
        if !is_heard {
            self.workers.update(worker, |worker| {
                worker.withdrawn.insert(attempt.task);
            });
        }
        self.effects.push(Effect::CancelAttempt { worker, attempt });
    }
}
