//! What must hold of tasks that prefer hosts, found out from launches and from the cluster alone.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{JobId, StageId, TaskId, WorkerState};
use hearth_scheduler::{JobView, Launch, Scheduler, StageView, TaskStanding, TaskView, Waiting, WorkerView};

use crate::oracle::{Check, Oracle, SeenWorker};
use crate::plan::JobPlan;

/// The default of `SchedulerConfig::locality_wait`.
const WAIT_MS: u64 = 3_000;

impl JobPlan {
    /// The hosts that a task prefers: those with at least half of what the best one has.
    fn homes(&self, stage: StageId, partition: u32) -> Vec<&str> {
        let homes = self.stage(stage).homes.get(partition as usize).map_or(&[][..], Vec::as_slice);
        let best = homes.iter().map(|home| home.bytes).max().unwrap_or_default();
        homes.iter().filter(|home| home.bytes >= best / 2).map(|home| home.host.as_str()).collect()
    }
}

fn is_on(worker: &SeenWorker, homes: &[&str]) -> bool {
    worker.names.iter().any(|name| homes.contains(&name.as_str()))
}

impl Oracle {
    /// A first attempt goes to one of its hosts, unless none has a free slot, and either none has a worker or it has waited.
    pub(crate) fn check_locality(&self, plan: &JobPlan, launch: &Launch) -> Check {
        let attempt = launch.attempt;
        let homes = plan.homes(attempt.task.stage, attempt.task.partition);
        let is_home = self.workers.get(&launch.worker).is_some_and(|worker| is_on(worker, &homes));
        if homes.is_empty() || is_home || attempt.attempt > 0 {
            return Ok(());
        }
        let used = |id| self.open.values().filter(|on| **on == id).count();
        let TaskId { job, stage, .. } = attempt.task;
        let is_welcome = |id| !self.is_barred_by_now(job, id) && !self.is_unfit((job, stage), id);
        let workers = self.workers.iter().filter(|(id, worker)| worker.takes_attempts() && is_welcome(**id));
        let mut at_home = workers.filter(|(_, worker)| is_on(worker, &homes));
        if let Some((id, _)) = at_home.clone().find(|(id, worker)| used(**id) < worker.slots) {
            return Err(format!("attempt {attempt}: launched on {} although {id} is at its host", launch.worker));
        }
        let planned_at = self.jobs.get(&attempt.task.job).and_then(|seen| seen.planned_at).unwrap_or_default();
        if at_home.next().is_some() && self.now < planned_at + WAIT_MS {
            return Err(format!("attempt {attempt}: launched on {} without a wait for its hosts", launch.worker));
        }
        Ok(())
    }

    /// A job that could run a task on a free slot does so: at once, or after the wait for its hosts.
    pub(crate) fn check_idle(&mut self, scheduler: &Scheduler, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        let is_free = |worker: &WorkerView<'_>| takes_attempts(worker) && worker.used() < worker.slots() as usize;
        for job in scheduler.jobs() {
            let excluded: BTreeSet<_> = job.excluded().map(|(worker, _)| worker).collect();
            let has_room = |stage: StageId| {
                let may_run = |id| !excluded.contains(&id) && !self.is_unfit((job.id(), stage), id);
                scheduler.workers().any(|worker| is_free(&worker) && may_run(worker.id()))
            };
            let fresh: Vec<_> = fresh_tasks(&job).into_iter().filter(|(stage, _)| has_room(*stage)).collect();
            if job.waiting_for() != Some(Waiting::Slots) || fresh.is_empty() {
                self.idle_since.remove(&job.id());
                continue;
            }
            let plan = &plans[&job.id()];
            let Some((stage, task)) = fresh.first() else { continue };
            let since = *self.idle_since.entry(job.id()).or_insert(self.now);
            if self.now > since + WAIT_MS {
                return Err(format!(
                    "job {}: task {} of stage {stage} waits although slots are free",
                    job.id(),
                    task.partition()
                ));
            }
            let may_wait = |stage: StageId, partition: u32| {
                let homes = plan.homes(stage, partition);
                let there =
                    scheduler.workers().filter(|worker| takes_attempts(worker) && !excluded.contains(&worker.id()));
                there.into_iter().any(|worker| self.workers.get(&worker.id()).is_some_and(|seen| is_on(seen, &homes)))
            };
            if let Some((stage, task)) = fresh.iter().find(|(stage, task)| !may_wait(*stage, task.partition())) {
                let partition = task.partition();
                return Err(format!("job {}: task {partition} of stage {stage} waits for nobody", job.id()));
            }
        }
        Ok(())
    }
}

/// The tasks of a job that could run but were never launched, so that they avoid no worker.
pub(crate) fn fresh_tasks<'a>(job: &JobView<'a>) -> Vec<(StageId, TaskView<'a>)> {
    let stages: Vec<_> = job.stages().collect();
    let open = stages.iter().filter(|stage| is_open(stage, &stages));
    open.flat_map(|stage| stage.tasks().filter(is_fresh).map(|task| (stage.id(), task))).collect()
}

/// It takes attempts, now or when a slot is free.
pub(crate) fn takes_attempts(worker: &WorkerView<'_>) -> bool {
    worker.state() == WorkerState::Alive && worker.slots() > 0 && worker.exclusion().is_none()
}

/// Never launched.
fn is_fresh(task: &TaskView<'_>) -> bool {
    task.attempts() == 0 && task.standing() == TaskStanding::Waiting
}

fn is_open(stage: &StageView<'_>, stages: &[StageView<'_>]) -> bool {
    let is_complete = |stage: &StageView<'_>| stage.task_count() > 0 && stage.done() as usize == stage.task_count();
    stage.inputs().all(|input| stages.get(input.0 as usize).is_some_and(is_complete))
}
