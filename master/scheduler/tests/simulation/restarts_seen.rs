//! What must hold when a master goes on where another one was killed.

use std::collections::BTreeMap;

use hearth_common::{AttemptId, JobId, TaskId, WorkerId};
use hearth_scheduler::{Held, Winner};

use crate::oracle::{Check, Oracle};
use crate::plan::JobPlan;

/// What is remembered of the last restart.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeenRestart {
    pub(crate) at: u64,
    /// Tasks whose winner is where it should be.
    winners: BTreeMap<TaskId, Winner>,
    /// Workers that have not come back yet.
    away: Vec<WorkerId>,
    /// The worker that comes back by the event at hand.
    returning: Option<WorkerId>,
}

impl Oracle {
    /// The commit is a matter of files, not of memory: what another master made visible is visible.
    pub(crate) fn keep_visible(&mut self, later: &Self) {
        for (job, seen) in &later.jobs {
            if seen.is_visible
                && let Some(known) = self.jobs.get_mut(job)
            {
                known.is_visible = true;
            }
        }
    }

    /// Jobs that were accepted and have not ended.
    pub(crate) fn active_jobs(&self) -> impl Iterator<Item = JobId> {
        let active = self.jobs.iter().filter(|(_, seen)| seen.submitted_at.is_some());
        active.filter(|(_, seen)| !seen.is_refused && seen.ended.is_none()).map(|(job, _)| *job)
    }

    /// A master that starts finds visible outputs of jobs that did not end: they are done.
    pub(crate) fn settle_visible(&mut self) -> Vec<JobId> {
        let mut settled = Vec::new();
        for (job, seen) in &mut self.jobs {
            if seen.is_visible && seen.ended.is_none() {
                seen.ended = Some(None);
                settled.push(*job);
            }
        }
        self.open.retain(|attempt, _| !settled.contains(&attempt.task.job));
        settled
    }

    pub(crate) fn on_restart(
        &mut self,
        now: u64,
        winners: BTreeMap<TaskId, Winner>,
        is_planned: impl Fn(JobId) -> bool,
    ) {
        for (job, seen) in self.jobs.iter_mut().filter(|(_, seen)| seen.ended.is_none()) {
            seen.is_committing = false;
            seen.commits = 0;
            seen.is_planned = is_planned(*job);
        }
        for worker in self.workers.values_mut() {
            worker.forget_connection();
        }
        self.blamed.clear();
        self.cuts.clear();
        self.exclusion_ends.clear();
        self.barred_by_now.clear();
        self.idle_since.clear();
        self.to_exclude = None;
        let away = self.workers.keys().copied().collect();
        self.restart = SeenRestart { at: now, winners, away, returning: None };
    }

    /// A worker says hello.
    pub(crate) fn on_hello(&mut self, worker: WorkerId, held: &Held) {
        let restart = &mut self.restart;
        restart.returning = restart.away.contains(&worker).then_some(worker);
        restart.away.retain(|other| *other != worker);
        // Files in staging are not held by anybody: their jobs are not looked at any further, which costs little.
        self.on_outputs_lost(|winner| winner.worker == worker && !held.shuffle_outputs.contains(&winner.attempt));
    }

    pub(crate) fn on_hello_over(&mut self) {
        self.restart.returning = None;
    }

    /// Some outputs are lost: of these jobs, anything may have to run again.
    pub(crate) fn on_outputs_lost(&mut self, is_lost: impl Fn(&Winner) -> bool) {
        let winners = &mut self.restart.winners;
        let jobs: Vec<JobId> = winners.iter().filter(|(_, won)| is_lost(won)).map(|(task, _)| task.job).collect();
        winners.retain(|task, _| !jobs.contains(&task.job));
    }

    /// A finished task runs again only if its output is lost.
    pub(crate) fn check_restored(&self, attempt: AttemptId) -> Check {
        match self.restart.winners.get(&attempt.task) {
            Some(winner) => Err(format!("attempt {attempt}: launched although {winner:?} won before the restart")),
            None => Ok(()),
        }
    }

    /// An attempt that a worker still runs when it comes back is taken over.
    pub(crate) fn check_taken_over(&self, plan: &JobPlan, attempt: AttemptId, worker: WorkerId) -> Check {
        let is_determinate = plan.graph.stages().iter().all(|stage| stage.determinate);
        if self.restart.returning == Some(worker) && is_determinate && self.open.get(&attempt) == Some(&worker) {
            return Err(format!("attempt {attempt}: cancelled on {worker}, which came back with it after the restart"));
        }
        Ok(())
    }
}
