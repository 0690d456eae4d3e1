//! Making snapshots: only jobs that changed are rebuilt, and not more often than people can see, but an end shows at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_common::{FailureCause, JobId, JobState, JobStatus, StageStatus, WorkerId};
use hearth_scheduler::JobView;
use tokio::sync::watch;

use super::{Owner, wall_ms};
use crate::commit::Staging;
use crate::jobs::{Job, waits_for_hdfs};
use crate::load::SAMPLE_EVERY;
use crate::reconcile::Reconciliation;
use crate::snapshot::{LiveDetails, Snapshot};
use crate::workers::Vitals;

/// Shortest time between two snapshots for changes of jobs.
const JOBS_EVERY: Duration = Duration::from_millis(50);
/// Shortest time between two snapshots for what heartbeats tell.
const HEARTBEATS_EVERY: Duration = Duration::from_millis(500);

/// Attempts of one worker that a snapshot names.
const RUNNING_SHOWN_MAX: usize = 64;

/// The last snapshot, and what is newer than it.
#[derive(Debug)]
pub(super) struct Publisher {
    sender: watch::Sender<Arc<Snapshot>>,
    current: Snapshot,
    changed: BTreeSet<JobId>,
    published: Instant,
    due: Option<Instant>,
    /// When the next sample for the charts ends.
    next_sample: Instant,
}

/// A job that a stop interrupts.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub status: Arc<JobStatus>,
    pub staging: Option<Staging>,
}

impl Publisher {
    pub(super) fn new(sender: watch::Sender<Arc<Snapshot>>) -> Self {
        let (current, changed, now) = (Snapshot::default(), BTreeSet::new(), Instant::now());
        Self { sender, current, changed, published: now, due: None, next_sample: now + SAMPLE_EVERY }
    }

    /// When the next snapshot should be made.
    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn last_status(&self, job: JobId) -> Option<&Arc<JobStatus>> {
        self.current.active.get(&job)
    }

    pub(super) fn mark_changed(&mut self, job: JobId) {
        self.changed.insert(job);
        self.due_at(self.published + JOBS_EVERY);
    }

    pub(super) fn mark_workers(&mut self) {
        self.due_at(self.published + JOBS_EVERY);
    }

    pub(super) fn mark_heartbeat(&mut self) {
        self.due_at(self.published + HEARTBEATS_EVERY);
    }

    /// A job that has only its end before it.
    pub(super) fn show_ending(&mut self, status: JobStatus) {
        self.current.active.insert(status.id, Arc::new(status));
        self.due_at(Instant::now());
    }

    pub(super) fn end(&mut self, status: Arc<JobStatus>) {
        self.changed.remove(&status.id);
        self.current.active.remove(&status.id);
        self.current.live.remove(&status.id);
        Arc::make_mut(&mut self.current.ended).insert(status.id, status);
        self.due_at(Instant::now());
    }

    /// Keeps no more than the status of an ended job.
    pub(super) fn drop_details(&mut self, job: JobId) {
        if let Some(status) = Arc::make_mut(&mut self.current.ended).get_mut(&job) {
            Arc::make_mut(status).details = None;
        }
    }

    pub(super) fn forget(&mut self, jobs: &[JobId]) {
        let ended = Arc::make_mut(&mut self.current.ended);
        for job in jobs {
            ended.remove(job);
            self.current.active.remove(job);
            self.current.live.remove(job);
            self.changed.remove(job);
        }
    }

    fn due_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Owner {
    /// A job changed in a way that people can see.
    pub(crate) fn note_change(&mut self, id: JobId) {
        if let (Some(job), Some(view)) = (self.jobs.get_mut(&id), self.scheduler.job(id)) {
            job.attempts = view.attempts();
            job.locality = view.locality();
            job.note_state(view.state(), wall_ms());
        }
        self.publisher.mark_changed(id);
    }

    /// Why a job that has only its end before it waits.
    pub(crate) fn show_wait(&mut self, id: JobId, because: Option<&str>) {
        if let Some(status) = self.publisher.current.active.get_mut(&id) {
            Arc::make_mut(status).waiting_for = because.map(waits_for_hdfs);
            self.publisher.due_at(Instant::now());
        }
    }

    /// Brings a job's status up to date now.
    pub(crate) fn refresh(&mut self, id: JobId) {
        let before = self.publisher.last_status(id).map(|last| last.attempts).unwrap_or_default();
        self.show(id);
        let Some(after) = self.publisher.last_status(id).map(|status| status.attempts) else { return };
        self.metrics.count_attempts(before, after);
    }

    /// Shows a job as it is, and counts nothing: those of the master before were counted there.
    pub(super) fn show(&mut self, id: JobId) {
        let (Some(job), Some(view)) = (self.jobs.get(&id), self.scheduler.job(id)) else { return };
        self.publisher.current.active.insert(id, Arc::new(status_of(job, &view)));
        let live = LiveDetails {
            details: Arc::clone(&job.details),
            attempts: job.ledger.attempts(),
            operators: job.operators.stages(),
        };
        self.publisher.current.live.insert(id, live);
    }

    /// Settles what became of the records of a job whose tasks are all done.
    pub(crate) fn reconcile(&mut self, id: JobId) -> Result<Reconciliation, FailureCause> {
        let (Some(job), Some(view)) = (self.jobs.get_mut(&id), self.scheduler.job(id)) else {
            return Ok(Reconciliation::default());
        };
        let settled = job.reconcile(&view)?;
        job.inputs.clone_from(&settled.inputs);
        settled.check_limits(&job.spec)?;
        Ok(settled)
    }

    pub(super) fn publish(&mut self) {
        let vitals = self.vitals();
        self.note_gone_workers(&vitals);
        for id in std::mem::take(&mut self.publisher.changed) {
            self.refresh(id);
        }
        let workers = self.workers.statuses(&vitals);
        let takes_sample = self.publisher.next_sample <= Instant::now();
        if takes_sample {
            self.publisher.next_sample = Instant::now() + SAMPLE_EVERY;
        }
        self.loads.note(&workers, takes_sample.then(wall_ms));
        let current = &mut self.publisher.current;
        current.workers = workers;
        current.running = vitals.into_iter().map(|(worker, vitals)| (worker, vitals.running)).collect();
        (current.hour, current.hours) = self.loads.hours();
        self.publisher.sender.send_replace(Arc::new(self.publisher.current.clone()));
        self.publisher.published = Instant::now();
        self.publisher.due = Some(self.publisher.next_sample);
    }

    fn vitals(&self) -> BTreeMap<WorkerId, Vitals> {
        let now = self.now().0;
        let workers = self.scheduler.workers();
        workers
            .map(|worker| {
                let slots_used = u32::try_from(worker.used()).unwrap_or(u32::MAX);
                let lease_ms = worker.lease_end().0.saturating_sub(now);
                let excluded = worker.exclusion().map(|exclusion| {
                    let seconds = exclusion.until.0.saturating_sub(now) / 1000;
                    format!("no attempts for {seconds} s more; the last one that failed here: {}", exclusion.cause)
                });
                let running = worker.running().take(RUNNING_SHOWN_MAX).collect();
                (worker.id(), Vitals { state: worker.state(), slots_used, lease_ms, excluded, running })
            })
            .collect()
    }

    /// Every job that has not ended, but those that commit: theirs is a matter of the commit.
    pub(super) fn unfinished(mut self) -> Vec<Unfinished> {
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in ids {
            self.refresh(id);
        }
        let Self { jobs, publisher, .. } = self;
        let statuses = publisher.current.active.into_values().filter(|status| status.state != JobState::Committing);
        let unfinished = statuses.map(|status| {
            let output = jobs.get(&status.id).and_then(|job| job.spec.output.as_ref());
            let staging = output.and_then(|output| Staging::of(status.id, &output.path).ok());
            Unfinished { status, staging }
        });
        unfinished.collect()
    }
}

fn status_of(job: &Job, view: &JobView<'_>) -> JobStatus {
    let mut status = job.initial_status();
    status.state = view.state();
    // Whoever waits for slots or workers has nothing that could wait outside, but what was told before may still be there.
    status.waiting_for = view.waiting_for().map(|waiting| waiting.to_string()).or_else(|| job.waiting_for());
    status.attempts = view.attempts();
    status.locality = view.locality();
    if let Some(plan) = &job.plan {
        let stages = view.stages().zip(&plan.stages).map(|(stage, planned)| StageStatus {
            id: stage.id(),
            label: planned.label.clone(),
            tasks: u32::try_from(stage.task_count()).unwrap_or(u32::MAX),
            tasks_done: stage.done(),
            tasks_running: stage.running(),
            metrics: job.figures.stage(stage.id()),
            inputs: stage.inputs().collect(),
        });
        status.stages = stages.collect();
    }
    status
}
