//! What is written down for people as it happens: attempts in the ledgers of their jobs, and the load of workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_common::{AttemptId, AttemptMetrics, JobId, OutputEntry, WorkerId, WorkerState, WorkerStatus};
use hearth_proto::convert::control::ReportOutcome;
use hearth_scheduler::Winner;

use super::{Owner, wall_ms};
use crate::commit::CommitIntent;
use crate::ledger::{End, Flow};
use crate::load::kept::KeptHours;
use crate::load::{Hour, Load, Sample};
use crate::workers::Vitals;

/// Output files that the details of a job name.
const OUTPUT_FILES_MAX: usize = 200;

/// The load of the cluster and of its workers.
#[derive(Debug, Default)]
pub(super) struct Loads {
    cluster: Load,
    workers: BTreeMap<WorkerId, Load>,
}

impl Loads {
    /// Goes on where the charts of the master before end.
    pub(super) fn resumed(kept: KeptHours, now_ms: u64) -> Self {
        let resumed = |samples: Vec<Sample>| Load::resumed(samples, now_ms);
        let workers = kept.workers.into_iter().map(|(worker, samples)| (worker, resumed(samples)));
        Self { cluster: resumed(kept.cluster), workers: workers.collect() }
    }

    /// Attempts on a worker read something.
    pub(super) fn note_flow(&mut self, worker: WorkerId, flow: Flow) {
        self.cluster.note_flow(flow);
        self.workers.entry(worker).or_default().note_flow(flow);
    }

    /// How the workers are now; a sample ends at `sampled_ms`. Workers that are not listed any more are forgotten.
    pub(super) fn note(&mut self, workers: &[WorkerStatus], sampled_ms: Option<u64>) {
        let (mut slots, mut slots_used, mut memory) = (0_u32, 0_u32, 0_u64);
        let mut before = std::mem::take(&mut self.workers);
        for worker in workers {
            let mut load = before.remove(&worker.id).unwrap_or_default();
            if !matches!(worker.state, WorkerState::Lost | WorkerState::Left) {
                load.note_use(worker.slots, worker.slots_used, worker.memory_bytes_used);
                slots = slots.saturating_add(worker.slots);
                slots_used = slots_used.saturating_add(worker.slots_used);
                memory = memory.saturating_add(worker.memory_bytes_used);
            }
            self.workers.insert(worker.id, load);
        }
        self.cluster.note_use(slots, slots_used, memory);
        if let Some(at_ms) = sampled_ms {
            self.cluster.sample(at_ms);
            self.workers.values_mut().for_each(|load| load.sample(at_ms));
        }
    }

    /// The last hour of the cluster, and of each worker.
    pub(super) fn hours(&self) -> (Hour, BTreeMap<WorkerId, Hour>) {
        (self.cluster.hour(), self.workers.iter().map(|(worker, load)| (*worker, load.hour())).collect())
    }
}

impl Owner {
    pub(crate) fn note_launch(&mut self, worker: WorkerId, attempt: AttemptId) {
        let task = attempt.task;
        let stage = self.scheduler.job(task.job).and_then(|job| job.stages().nth(task.stage.0 as usize));
        let runs = stage.and_then(|stage| stage.task(task.partition)).map(|task| {
            let others = task.runs().map(|run| run.attempt).filter(|other| *other != attempt);
            others.collect::<Vec<AttemptId>>()
        });
        let host = self.workers.host(worker);
        if let Some(job) = self.jobs.get_mut(&task.job) {
            job.note_host(worker, host);
            job.ledger.note_launch((attempt, worker), &runs.unwrap_or_default(), wall_ms());
        }
    }

    /// A running attempt ended.
    pub(super) fn note_report(&mut self, on: Winner, metrics: AttemptMetrics, outcome: &ReportOutcome) {
        let Winner { attempt, worker } = on;
        let Some(job) = self.jobs.get_mut(&attempt.task.job) else { return };
        let end = match outcome {
            ReportOutcome::Shuffle { .. } | ReportOutcome::Output { .. } => End::Done,
            ReportOutcome::Failed(cause) => End::Failed(cause),
        };
        let flow = job.ledger.note_progress((attempt, worker), metrics, wall_ms());
        job.ledger.note_end(attempt, end, wall_ms());
        self.loads.note_flow(worker, flow);
    }

    /// Attempts of workers that the scheduler does not know any more are lost.
    pub(super) fn note_gone_workers(&mut self, vitals: &BTreeMap<WorkerId, Vitals>) {
        for worker in self.workers.gone(vitals) {
            let jobs = self.jobs.iter_mut();
            let hit = jobs.filter_map(|(id, job)| job.ledger.note_worker_gone(worker, wall_ms()).then_some(*id));
            let hit: Vec<JobId> = hit.collect();
            hit.into_iter().for_each(|id| self.publisher.mark_changed(id));
        }
    }

    /// The files that a commit will make visible.
    pub(crate) fn note_output_files(&mut self, id: JobId, intent: &CommitIntent) {
        if let Some(job) = self.jobs.get_mut(&id) {
            let files = intent.files.iter().take(OUTPUT_FILES_MAX);
            Arc::make_mut(&mut job.details).output_files = files
                .map(|file| OutputEntry { path: file.target.clone(), rows: file.rows, bytes: file.bytes })
                .collect();
        }
    }
}
