//! What must hold where workers do not reach each other: nobody is sent to read where it was told that it cannot, everybody else
//! is, and no job fails of it or goes on making the same again.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{AttemptId, FailureCause, JobId, OutputLoss, StageId, WorkerId};
use hearth_scheduler::{Cut, Launch, Scheduler};

use crate::oracle::{Check, Oracle};

/// The default of `SchedulerConfig::cut_duration`.
const BELIEVED_MS: u64 = 120_000;
/// Reads of one job that may meet no connection. Each makes a pair of hosts known to all jobs for a while, which is told as often as
/// there are slots, and hosts start new workers.
const UNREACHED_MAX: u32 = 150;

impl Oracle {
    pub(crate) fn on_unreached(&mut self, attempt: AttemptId, reader: WorkerId, cause: &FailureCause) {
        if let FailureCause::LostShuffleOutput { worker: source, loss: OutputLoss::Unreached, .. } = cause {
            *self.unreached.entry(attempt.task.job).or_default() += 1;
            // Any job may make again what is there.
            self.on_outputs_lost(|winner| winner.worker == *source);
            let is_there = self.workers.get(source).is_some_and(|worker| worker.is_connected && !worker.is_silent);
            if is_there && self.workers.contains_key(&reader) {
                self.cuts.insert((reader, *source), self.now + BELIEVED_MS);
            }
        }
    }

    pub(crate) fn check_reach(&self, launch: &Launch) -> Check {
        let read = launch.inputs.iter().flat_map(|input| input.winners.iter());
        let is_cut = |source| self.cuts.get(&(launch.worker, source)).is_some_and(|until| *until > self.now);
        let attempt = launch.attempt;
        match read.map(|winner| winner.worker).find(|source| is_cut(*source)) {
            Some(source) => Err(format!("attempt {attempt}: {} was known not to reach {source}", launch.worker)),
            None => Ok(()),
        }
    }

    /// What is told of a hub is so: one that takes attempts, because of a pair that is known not to reach each other.
    pub(crate) fn check_hub(&self, job: JobId, hub: WorkerId, cut: Cut) -> Check {
        self.ensure_active(job, "a hub was chosen")?;
        let is_told = self.cuts.get(&(cut.reader, cut.source)).is_some_and(|until| *until >= self.now);
        let takes_attempts = self.workers.get(&hub).is_some_and(|worker| worker.takes_attempts());
        if is_told && takes_attempts { Ok(()) } else { Err(format!("job {job}: {hub} is its hub because of {cut:?}")) }
    }

    pub(crate) fn note_unfit(&mut self, scheduler: &Scheduler) {
        self.unfit.clear();
        if self.cuts.is_empty() {
            return;
        }
        for job in scheduler.jobs() {
            let of = |stage| (stage, scheduler.unfit_workers(job.id(), stage).into_iter().collect::<BTreeSet<_>>());
            let unfit: BTreeMap<_, _> =
                job.stages().map(|stage| of(stage.id())).filter(|(_, unfit)| !unfit.is_empty()).collect();
            if !unfit.is_empty() {
                self.unfit.insert(job.id(), unfit);
            }
        }
    }

    /// Tasks of that stage are kept away from a worker that does not reach what they need.
    pub(crate) fn is_unfit(&self, (job, stage): (JobId, StageId), worker: WorkerId) -> bool {
        let unfit = self.unfit.get(&job).and_then(|stages| stages.get(&stage));
        unfit.is_some_and(|unfit| unfit.contains(&worker))
    }

    /// What the scheduler believes was told, and not too long ago; and jobs come to an end of it.
    pub(crate) fn check_cuts(&self, scheduler: &Scheduler) -> Check {
        for (cut, until) in scheduler.cuts() {
            let told = self.cuts.get(&(cut.reader, cut.source));
            if until.0 < self.now || told != Some(&until.0) {
                return Err(format!("{cut:?} is believed until {until:?}, but was told until {told:?}"));
            }
        }
        match self.unreached.iter().find(|(_, count)| **count > UNREACHED_MAX) {
            Some((job, count)) => Err(format!("job {job}: {count} readers reached nobody")),
            None => Ok(()),
        }
    }
}
