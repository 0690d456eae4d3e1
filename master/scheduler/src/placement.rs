//! Gives free slots to waiting tasks: fair between jobs, in order of stages within a job, on the emptiest worker.

use std::cmp::Reverse;

use hearth_common::{AttemptId, JobId, TaskId, WorkerId};

use crate::effect::{Effect, Launch};
use crate::job::{Demand, Job, Progress};
use crate::mutation::Mutation;
use crate::run::{Run, Runs};
use crate::stage::Stage;
use crate::task::{TaskKey, TaskState};
use crate::timer::Timer;
use crate::{Millis, Scheduler, ShuffleInputs};

/// Tasks that avoid some worker and are looked at per stage and slot. The next ones wait until one of these is placed.
const PICKY_TASKS_TRIED_MAX: usize = 8;

impl Scheduler {
    /// Launches attempts until no slot is free or no job wants one.
    pub(crate) fn dispatch(&mut self) {
        let mut without_place = Vec::new();
        while self.workers.has_free_slot()
            && let Some(neediest) = self.demand.first().copied()
        {
            match self.choose(neediest.job) {
                Some((task, worker)) => self.launch(task, worker),
                // It may have stopped attempts, and others want their slots.
                None if self.open_path(neediest.job) => self.demand.extend(without_place.drain(..)),
                None => {
                    self.begin_locality_wait(neediest.job);
                    self.demand.remove(&neediest);
                    without_place.push(neediest);
                }
            }
        }
        self.demand.extend(without_place);
    }

    /// The task of the job that runs next, and where.
    fn choose(&self, id: JobId) -> Option<(TaskId, WorkerId)> {
        let execution = self.jobs.get(&id).and_then(Job::execution)?;
        let barred = self.barred(id);
        let (partition, stage, worker) = execution.ready_stages().find_map(|stage| {
            let no = [&barred[..], &self.unfit(id, stage, &barred)].concat();
            let (partition, worker) = self.choose_in(stage, &no)?;
            Some((partition, stage.id, worker))
        })?;
        Some((TaskKey { stage, partition }.in_job(id), worker))
    }

    fn choose_in(&self, stage: &Stage, barred: &[WorkerId]) -> Option<(u32, WorkerId)> {
        let place = |partition| Some((partition, self.place((stage, partition), barred)?));
        if let Some(picky) = stage.picky().take(PICKY_TASKS_TRIED_MAX).find_map(place) {
            return Some(picky);
        }
        let local = self.choose_local(stage, barred);
        let anywhere = stage.next_ready(self.config.mutation);
        match (local, anywhere) {
            (Some(((urgency, partition), worker)), anywhere) if anywhere.is_none_or(|(other, _)| urgency <= other) => {
                Some((partition, worker))
            }
            (_, Some((_, partition))) => place(partition),
            (_, None) => None,
        }
    }

    /// The worker on which the task runs best, if one has a free slot.
    fn place(&self, (stage, partition): (&Stage, u32), barred: &[WorkerId]) -> Option<WorkerId> {
        let avoid = &stage.task(partition)?.history.avoid;
        let no = [avoid, barred].concat();
        self.find_home(stage, partition, &no).or_else(|| self.workers.pick(avoid, barred))
    }

    /// Launches an attempt: the only one, or a second one beside another.
    pub(crate) fn launch(&mut self, task: TaskId, worker: WorkerId) {
        let key = TaskKey::of(task);
        self.count_locality(task, worker);
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        job.counts.launched += 1;
        let Some(counted) = job.task_mut(key) else { return };
        let attempt = counted.attempts;
        let run = Run { attempt, worker, since: self.now };
        let runs = match counted.state() {
            TaskState::Running(first) if self.config.mutation == Some(Mutation::LaunchSecondBesideFirst) => {
                first.iter().next().map(|first| Runs::Two { first, second: run })
            }
            TaskState::Running(first) => first.with_second(run),
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Unproved { .. } | TaskState::Done { .. } => {
                Some(Runs::One(run))
            }
        };
        let Some(runs) = runs else { return };
        counted.attempts += 1;
        if runs.second().is_some() {
            counted.seconds += 1;
            job.counts.second += 1;
        }
        let Some(execution) = job.execution_mut() else { return };
        execution.workers.insert(worker);
        let Some(stage) = execution.stage_mut(task.stage) else { return };
        stage.note_version(true, stage.has_lost_version);
        let merged = stage.group(task.partition);
        let mut starts = stage.chains.tell_starts(task.partition, attempt);
        if self.config.mutation == Some(Mutation::ForgetKnownStarts) {
            starts.clear();
        }
        self.tell_of_silence(task, worker);
        let inputs = self.shuffle_inputs(task);
        self.set_task(task, TaskState::Running(runs));
        self.unsettled.remove(&task.job);
        self.settle_demand(task.job);
        self.settle_watch(task.job);
        let attempt = AttemptId { task, attempt };
        self.effects.push(Effect::Launch(Launch { worker, attempt, merged, inputs, starts }));
    }

    fn shuffle_inputs(&mut self, task: TaskId) -> Vec<ShuffleInputs> {
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(Job::execution_mut) else { return Vec::new() };
        let mut inputs: Vec<_> =
            execution.stage(task.stage).into_iter().flat_map(|stage| &stage.inputs).map(|input| input.stage).collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs.into_iter().filter_map(|id| Some(execution.stage_mut(id)?.shuffle_inputs(task.job))).collect()
    }

    /// Brings the job's place among those that want a slot up to date, and its deadline for a worker.
    pub(crate) fn settle_demand(&mut self, id: JobId) {
        let is_without_workers = self.workers.usable() == 0;
        let timeout = self.config.no_worker_timeout;
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let ready = job.execution().filter(|execution| execution.progress == Progress::Running);
        let has_ready_tasks = ready.is_some_and(|execution| execution.has_ready_tasks());
        let running = ready.map_or(0, |_| job.slots_held());
        let wants_slot = has_ready_tasks && running < job.slots_max();
        let share = ready.map_or(0, |_| job.share());
        let demand = wants_slot.then_some(Demand { share, sequence: job.sequence, job: id });
        let demand_before = std::mem::replace(&mut job.demand, demand);
        let starving_since =
            if has_ready_tasks && is_without_workers { job.starving_since.or(Some(now)) } else { None };
        let starving_before = std::mem::replace(&mut job.starving_since, starving_since);
        if demand != demand_before {
            demand_before.map(|before| self.demand.remove(&before));
            self.demand.extend(demand);
        }
        if starving_since != starving_before {
            let deadline = |since: Millis| since.after(timeout);
            let timer = Timer::NoWorkers(id);
            starving_before.map(deadline).into_iter().for_each(|at| self.timers.unset(at, timer));
            starving_since.map(deadline).into_iter().for_each(|at| self.timers.set(at, timer));
        }
    }

    /// Compares the list of jobs that want a slot with a recount; for tests.
    pub(crate) fn check_demand(&self) -> Result<(), String> {
        let mut wanting: Vec<_> = self.jobs.values().filter_map(|job| job.demand).collect();
        wanting.sort_unstable_by_key(|demand| (demand.share, Reverse(demand.job)));
        let listed = wanting.iter().filter(|demand| self.demand.contains(demand)).count();
        if listed == wanting.len() && listed == self.demand.len() {
            return Ok(());
        }
        Err(format!("jobs want slots: {wanting:?}, but listed are {:?}", self.demand))
    }
}
