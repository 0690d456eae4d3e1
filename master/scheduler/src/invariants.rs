//! Recounts everything and compares. Far too slow for every event of a real master; for tests alone.

use std::collections::BTreeSet;

use hearth_common::{AttemptId, JobId, TaskId, WorkerId};

use crate::Scheduler;
use crate::job::{Job, Phase};
use crate::run::{Run, Runs};
use crate::task::{TaskKey, TaskState};
use crate::timer::Timer;
use crate::worker::{Connection, Stay, Worker};

impl Scheduler {
    /// Compares every counter and index with a recount.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    #[doc(hidden)]
    pub fn check_invariants(&self) -> Result<(), String> {
        self.workers.check()?;
        self.check_demand()?;
        self.check_admission()?;
        for (id, job) in &self.jobs {
            if let Some(execution) = job.execution() {
                execution.check().map_err(|problem| format!("job {id}: {problem}"))?;
            }
            self.check_tasks(*id, job)?;
            self.check_homes(job).map_err(|problem| format!("job {id}: {problem}"))?;
        }
        for (id, worker) in self.workers.iter() {
            self.check_worker(id, worker)?;
        }
        let doubled = self.jobs.values().filter_map(Job::execution).map(|execution| execution.doubled.len() as u64);
        if doubled.sum::<u64>() != self.seconds {
            return Err(format!("{} second attempts are counted", self.seconds));
        }
        let silent =
            self.workers.iter().filter(|(_, worker)| worker.connection == Connection::Silent).map(|(id, _)| id);
        if !silent.eq(self.silent.iter().copied()) {
            return Err(format!("silent are not {:?}", self.silent));
        }
        let drains = |worker: &Worker| matches!(worker.stay, Stay::Draining { .. });
        let draining = self.workers.iter().filter(|(_, worker)| drains(worker)).map(|(id, _)| id);
        if !draining.eq(self.draining.iter().copied()) {
            return Err(format!("draining are not {:?}", self.draining));
        }
        self.check_timers()
    }

    fn check_admission(&self) -> Result<(), String> {
        let is_queued = |job: &Job| job.phase == Phase::Queued;
        let queued = self.jobs.values().filter(|job| is_queued(job)).count();
        let is_indexed = |(id, job): (&JobId, &Job)| {
            let queued = self.queue.get(&job.turn);
            let index = if is_queued(job) { queued } else { self.admitted.get(&job.sequence) };
            index == Some(id)
        };
        let (in_queue, admitted) = (self.queue.len(), self.admitted.len());
        if queued != in_queue || in_queue + admitted != self.jobs.len() || !self.jobs.iter().all(is_indexed) {
            return Err(format!("{queued} of {} jobs wait, indexed are {in_queue} and {admitted}", self.jobs.len()));
        }
        if admitted > self.config.running_jobs_max {
            return Err(format!("{admitted} jobs were admitted, more than {}", self.config.running_jobs_max));
        }
        if in_queue > 0 && admitted < self.config.running_jobs_max {
            return Err(format!("{in_queue} jobs wait for a turn that they could have"));
        }
        Ok(())
    }

    fn check_tasks(&self, id: JobId, job: &Job) -> Result<(), String> {
        let Some(execution) = job.execution() else { return Ok(()) };
        let (mut running, mut doubled, mut backing_off) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for stage in execution.stages() {
            for (partition, task) in (0..).zip(stage.tasks()) {
                let key = TaskKey { stage: stage.id, partition };
                let problem = match task.state() {
                    TaskState::Waiting => None,
                    TaskState::BackingOff { .. } => {
                        backing_off.insert(key);
                        None
                    }
                    TaskState::Running(runs) => {
                        running.insert(key);
                        doubled.extend(runs.second().map(|_| key));
                        self.find_unindexed_run(key.in_job(id), runs)
                    }
                    TaskState::Unproved { .. } | TaskState::Done { .. } => self.find_unindexed(key.in_job(id)),
                };
                problem.map_or(Ok(()), Err)?;
            }
        }
        if running != execution.running || doubled != execution.doubled || backing_off != execution.backing_off {
            return Err(format!("job {id}: {running:?} run and {backing_off:?} back off, but others are indexed"));
        }
        Ok(())
    }

    fn find_unindexed_run(&self, task: TaskId, runs: Runs) -> Option<String> {
        let is_indexed = |run: &Run| {
            let attempt = AttemptId { task, attempt: run.attempt };
            self.workers.get(run.worker).is_some_and(|worker| worker.running.contains(&attempt))
        };
        let run = runs.iter().find(|run| !is_indexed(run))?;
        Some(format!("{run:?} of {task:?} is not indexed on its worker"))
    }

    fn find_unindexed(&self, task: TaskId) -> Option<String> {
        let execution = self.jobs.get(&task.job)?.execution()?;
        let may_be_gone = execution.is_final(task.stage) && execution.progress != crate::job::Progress::Running;
        let id = execution.find_output(task).filter(|_| !may_be_gone)?.worker;
        let outputs = self.workers.get(id).and_then(|worker| worker.outputs.get(&task.job));
        let is_indexed = outputs.is_some_and(|outputs| outputs.contains(&TaskKey::of(task)));
        (!is_indexed).then(|| format!("the output of {task:?} is not indexed on {id}"))
    }

    fn check_worker(&self, id: WorkerId, worker: &Worker) -> Result<(), String> {
        for attempt in &worker.running {
            if !self.find_task(attempt.task).is_some_and(|task| task.is_running(*attempt, id)) {
                return Err(format!("worker {id} runs {attempt}, but its task does not know it"));
            }
        }
        let outputs = worker.outputs.iter().flat_map(|(job, keys)| keys.iter().map(|key| key.in_job(*job)));
        for task in outputs {
            let execution = self.jobs.get(&task.job).and_then(Job::execution);
            let output = execution.and_then(|execution| execution.find_output(task));
            if output.is_none_or(|output| output.worker != id) {
                return Err(format!("worker {id} holds an output of {task:?}, which is not wanted"));
            }
        }
        Ok(())
    }

    fn check_timers(&self) -> Result<(), String> {
        let mut expected = BTreeSet::new();
        expected.extend(self.workers.iter().map(|(id, worker)| (worker.lease_end, Timer::Lease(id))));
        let silence = |(id, worker): (WorkerId, &Worker)| Some((worker.connection.deadline()?, Timer::Silence(id)));
        expected.extend(self.workers.iter().filter_map(silence));
        let exclusion = |worker: &Worker| worker.reputation.exclusion.as_ref().map(|exclusion| exclusion.until);
        expected
            .extend(self.workers.iter().filter_map(|(id, worker)| Some((exclusion(worker)?, Timer::Exclusion(id)))));
        expected
            .extend(self.workers.iter().filter_map(|(id, worker)| Some((worker.stay.deadline()?, Timer::Drain(id)))));
        expected.extend(self.cuts.iter().map(|(cut, until)| (*until, Timer::Cut(*cut))));
        for (id, job) in &self.jobs {
            expected.extend(job.deadline.map(|at| (at, Timer::Deadline(*id))));
            expected.extend(job.watch.map(|at| (at, Timer::Stragglers(*id))));
            expected.extend(Self::locality_deadlines(*id, job));
            expected.extend(Self::exclusion_deadlines(*id, job));
            let deadline = job.starving_since.map(|since| since.after(self.config.no_worker_timeout));
            expected.extend(deadline.map(|at| (at, Timer::NoWorkers(*id))));
            let backing_off = job.execution().into_iter().flat_map(|execution| &execution.backing_off);
            for task in backing_off.map(|key| key.in_job(*id)) {
                if let Some(TaskState::BackingOff { until }) = self.find_task(task).map(crate::task::Task::state) {
                    expected.insert((until, Timer::Backoff(task)));
                }
            }
        }
        let timers: BTreeSet<_> = self.timers.iter().copied().collect();
        if timers == expected { Ok(()) } else { Err(format!("expected timers {expected:?}, found {timers:?}")) }
    }
}
