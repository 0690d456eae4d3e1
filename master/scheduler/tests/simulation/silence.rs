//! What must hold of workers of which nothing is heard: they get nothing, their readers are told, and what was missed twice is
//! read from them no more.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{Absence, AttemptId, FailureCause, JobId, OutputLoss, TaskId, WorkerId};
use hearth_scheduler::{Event, Launch, Scheduler};

use crate::oracle::{Check, Oracle, SeenWorker};

/// The default of `SchedulerConfig::silence`.
const SILENCE_MS: u64 = 5_000;

/// What is remembered.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeenSilence {
    /// The workers that attempts read from.
    reads: BTreeMap<AttemptId, BTreeSet<WorkerId>>,
    /// Workers of which neither the master nor a reader of that job heard anything.
    missed: BTreeSet<(JobId, WorkerId)>,
    /// Workers that were lost,
    lost: BTreeSet<WorkerId>,
    /// and those that the event at hand made silent, or lost,
    absent: BTreeMap<WorkerId, Absence>,
    /// and who was told by it: the reader, and of whom.
    told: BTreeSet<(WorkerId, WorkerId, Absence)>,
    /// Tasks that were taken from workers of which nothing was heard, and nothing was since.
    withdrawn: BTreeMap<WorkerId, BTreeSet<TaskId>>,
    /// Failures of attempts of a job that count.
    failed: BTreeMap<JobId, u64>,
    /// How often something was missed twice.
    pub(crate) missed_count: u64,
}

impl SeenSilence {
    pub(crate) fn note_told(&mut self, reader: WorkerId, source: WorkerId, absence: Absence) {
        self.told.insert((reader, source, absence));
    }

    /// An attempt is cancelled there.
    pub(crate) fn note_withdrawn(&mut self, seen: Option<&SeenWorker>, (worker, task): (WorkerId, TaskId)) {
        if seen.is_some_and(|seen| !seen.is_connected || seen.is_silent) {
            self.withdrawn.entry(worker).or_default().insert(task);
        }
    }

    /// That worker is lost: it may have died of these.
    pub(crate) fn take_withdrawn(&mut self, worker: WorkerId) -> BTreeSet<TaskId> {
        self.withdrawn.remove(&worker).unwrap_or_default()
    }

    pub(crate) fn note_lost(&mut self, worker: WorkerId) {
        if self.lost.insert(worker) {
            self.absent.insert(worker, Absence::Lost);
        }
    }
}

impl Oracle {
    pub(crate) fn note_silence(&mut self, event: &Event) {
        self.silence.told.clear();
        self.silence.absent.clear();
        match event {
            Event::WorkerConnected { worker, .. }
            | Event::Heartbeat { worker }
            | Event::WorkerDraining { worker }
            | Event::AttemptFinished { worker, .. } => {
                self.note_heard(*worker, matches!(event, Event::WorkerConnected { .. }))
            }
            Event::AttemptFailed { attempt, worker, cause, .. } => {
                self.note_heard(*worker, false);
                if self.open.get(attempt) == Some(worker) {
                    self.note_missed(attempt.task.job, cause);
                }
            }
            Event::Tick => {
                for (id, worker) in &mut self.workers {
                    if worker.is_connected && !worker.is_silent && worker.heard_at + SILENCE_MS <= self.now {
                        worker.is_silent = true;
                        self.silence.absent.insert(*id, Absence::Silent);
                    }
                }
            }
            Event::WorkerDisconnected { worker } => {
                self.workers.entry(*worker).or_default().is_silent = false;
                self.silence.missed.retain(|(_, missed)| missed != worker);
            }
            Event::Restored(_) => {
                self.silence.missed.clear();
                self.silence.withdrawn.clear();
            }
            Event::JobSubmitted { .. }
            | Event::JobPlanned { .. }
            | Event::PlanFailed { .. }
            | Event::InputsRefused { .. }
            | Event::CancelRequested { .. }
            | Event::WorkerGone { .. }
            | Event::CommitEnded { .. } => {}
        }
    }

    fn note_heard(&mut self, id: WorkerId, is_hello: bool) {
        let now = self.now;
        if let Some(worker) = self.workers.get_mut(&id).filter(|worker| is_hello || worker.is_connected) {
            worker.heard_at = now;
            worker.is_silent = false;
            self.silence.withdrawn.remove(&id);
            self.silence.missed.retain(|(_, missed)| *missed != id);
        } else if is_hello {
            self.workers.entry(id).or_default().heard_at = now;
        }
    }

    fn note_missed(&mut self, job: JobId, cause: &FailureCause) {
        if *cause != FailureCause::WorkerDrains {
            *self.silence.failed.entry(job).or_default() += 1;
        }
        if let FailureCause::LostShuffleOutput { worker: source, loss: OutputLoss::Unreached, .. } = cause
            && self.workers.get(source).is_some_and(|source| source.is_silent)
        {
            self.silence.missed.insert((job, *source));
            self.silence.missed_count += 1;
        }
    }

    /// Nobody is sent to read what two have missed, and whoever reads from a silent worker is told before.
    pub(crate) fn check_silence(&mut self, launch: &Launch) -> Check {
        let (attempt, reader) = (launch.attempt, launch.worker);
        let sources: BTreeSet<_> =
            launch.inputs.iter().flat_map(|it| it.winners.iter().map(|won| won.worker)).collect();
        for source in &sources {
            if self.silence.missed.contains(&(attempt.task.job, *source)) {
                return Err(format!("attempt {attempt}: reads from {source}, of which nobody hears anything"));
            }
            let is_silent = self.workers.get(source).is_some_and(|source| source.is_silent);
            if is_silent && !self.silence.told.contains(&(reader, *source, Absence::Silent)) {
                return Err(format!("attempt {attempt}: reads from silent {source}, and {reader} is not told"));
            }
        }
        self.silence.reads.insert(attempt, sources);
        Ok(())
    }

    /// Who reads from a worker that the event at hand made silent or lost is told so; and what is nobody's fault is not counted.
    pub(crate) fn check_told(&mut self, scheduler: &Scheduler) -> Check {
        for (source, absence) in &self.silence.absent {
            for (attempt, reader) in self.open.iter().filter(|(_, reader)| *reader != source) {
                let is_read = self.silence.reads.get(attempt).is_some_and(|sources| sources.contains(source));
                // What one read that an earlier master launched may have been made again since, and nobody knows where it was.
                let is_known = self.launched_at.get(attempt).is_some_and(|at| *at >= self.restart.at);
                if is_read && is_known && !self.silence.told.contains(&(*reader, *source, *absence)) {
                    return Err(format!("attempt {attempt} reads from {source}, and {reader} is not told of its end"));
                }
            }
        }
        for job in scheduler.jobs() {
            let (counted, seen) =
                (job.attempts().failed, self.silence.failed.get(&job.id()).copied().unwrap_or_default());
            if counted > seen {
                return Err(format!("job {}: {counted} failures are counted, and {seen} were told", job.id()));
            }
        }
        Ok(())
    }
}
