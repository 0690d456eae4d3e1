//! What must hold of attempts that are launched beside slow ones.

use std::collections::BTreeMap;

use hearth_common::JobId;
use hearth_scheduler::{Launch, Scheduler};

use crate::locality::fresh_tasks;
use crate::oracle::{Check, Oracle};
use crate::plan::JobPlan;

/// The default of `StragglerPolicy::runtime_min`.
const RUNTIME_MIN_MS: u64 = 3_000;

impl Oracle {
    /// At most one other attempt of the task runs, for some time, elsewhere; and there are few such pairs.
    pub(crate) fn check_second(&mut self, launch: &Launch) -> Check {
        let attempt = launch.attempt;
        let others: Vec<_> = self.open.iter().filter(|(open, _)| open.task == attempt.task).collect();
        let Some((other, worker)) = others.first().map(|(other, worker)| (**other, **worker)) else { return Ok(()) };
        let runs_for = self.now - self.launched_at.get(&other).copied().unwrap_or(self.now);
        if others.len() > 1 || worker == launch.worker || runs_for < RUNTIME_MIN_MS {
            return Err(format!("attempt {attempt}: launched while {others:?} runs, for {runs_for} ms"));
        }
        self.seconds += 1;
        self.has_new_second = true;
        let slots: usize =
            self.workers.values().filter(|worker| worker.takes_attempts()).map(|worker| worker.slots).sum();
        let mut tasks: Vec<_> = self.open.keys().map(|open| open.task).chain([attempt.task]).collect();
        let attempts = tasks.len();
        tasks.dedup();
        tasks.sort_unstable();
        tasks.dedup();
        let pairs = attempts - tasks.len();
        if pairs > (slots / 10).max(1) {
            return Err(format!("attempt {attempt}: launched beside {other}, with {pairs} pairs on {slots} slots"));
        }
        Ok(())
    }

    /// Nothing waits for a slot when one is taken by a second attempt.
    pub(crate) fn check_waiting(&mut self, scheduler: &Scheduler, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        if !std::mem::take(&mut self.has_new_second) {
            return Ok(());
        }
        for job in scheduler.jobs() {
            if job.excluded().next().is_some() || self.unfit.contains_key(&job.id()) {
                // Its tasks may leave the slots of those workers to others.
                continue;
            }
            let slots_max = plans[&job.id()].limits.slots_max.map_or(usize::MAX, |max| max as usize);
            if job.running() < slots_max
                && let Some((stage, task)) = fresh_tasks(&job).first()
            {
                let partition = task.partition();
                return Err(format!("task {partition} of stage {stage} waits while another one gets two slots"));
            }
        }
        Ok(())
    }
}
