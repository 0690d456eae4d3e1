//! Workers as JSON.

use std::collections::BTreeMap;

use hearth_common::{AttemptId, JobId, WorkerStatus};

use super::time;
use crate::http::described::described;
use crate::snapshot::Snapshot;

/// Steps in which a lease is told where only changes are told: a healthy worker's is always the same.
const LEASE_STEP_MS: u64 = 5000;
/// Jobs that a worker is said to run.
const JOBS_SHOWN_MAX: usize = 4;

described! {
    /// A page of workers.
    pub(in crate::http) struct WorkersJson {
        pub(in crate::http) workers: Vec<WorkerJson>,
        /// Workers that fit the request.
        pub(in crate::http) total: usize,
        /// What to pass as `from` for the next page; null on the last one.
        pub(in crate::http) next: Option<usize>,
    }
}

described! {
    /// A worker.
    #[derive(PartialEq, Eq)]
    pub(in crate::http) struct WorkerJson {
        pub(in crate::http) id: String,
        host: String,
        shuffle_address: String,
        /// alive, disconnected, draining, lost or left.
        state: &'static str,
        slots: u32,
        slots_used: u32,
        memory_bytes_max: u64,
        memory_bytes_used: u64,
        /// What its attempts spilled since the master started.
        spilled_bytes: u64,
        disk_bytes_free: u64,
        version: String,
        registered_at: String,
        /// Time left of its lease.
        lease_ms: u64,
        /// Why and how much longer it gets no attempts.
        excluded: Option<String>,
        /// The first jobs whose attempts it runs.
        jobs: Vec<RunningJobJson>,
    }
}

described! {
    /// A job of which a worker runs attempts.
    #[derive(PartialEq, Eq)]
    struct RunningJobJson {
        id: String,
        name: String,
        /// Attempts that the worker runs, as far as they are told.
        attempts: u64,
    }
}

impl WorkerJson {
    pub(in crate::http) fn new(worker: &WorkerStatus, snapshot: &Snapshot) -> Self {
        let running = snapshot.running.get(&worker.id).map_or(&[][..], Vec::as_slice);
        let total = snapshot.hours.get(&worker.id).map(|hour| hour.total).unwrap_or_default();
        Self {
            id: worker.id.to_string(),
            host: worker.host.clone(),
            shuffle_address: worker.shuffle_address.clone(),
            state: worker.state.name(),
            slots: worker.slots,
            slots_used: worker.slots_used,
            memory_bytes_max: worker.memory_bytes_max,
            memory_bytes_used: worker.memory_bytes_used,
            spilled_bytes: total.spilled_bytes,
            disk_bytes_free: worker.disk_bytes_free,
            version: worker.version.clone(),
            registered_at: time(worker.registered_ms),
            lease_ms: worker.lease_ms,
            excluded: worker.excluded.clone(),
            jobs: jobs_of(running, snapshot),
        }
    }

    /// The same, with a lease that does not change with every heartbeat.
    pub(in crate::http) const fn calm(mut self) -> Self {
        self.lease_ms = self.lease_ms.div_ceil(LEASE_STEP_MS) * LEASE_STEP_MS;
        self
    }
}

fn jobs_of(running: &[AttemptId], snapshot: &Snapshot) -> Vec<RunningJobJson> {
    let mut jobs: BTreeMap<JobId, u64> = BTreeMap::new();
    for attempt in running {
        *jobs.entry(attempt.task.job).or_default() += 1;
    }
    let named = jobs.into_iter().take(JOBS_SHOWN_MAX).map(|(id, attempts)| RunningJobJson {
        id: id.to_string(),
        name: snapshot.job(id).map(|job| job.name.clone()).unwrap_or_default(),
        attempts,
    });
    named.collect()
}
