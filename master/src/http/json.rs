//! Jobs and workers as JSON. The names are a contract: times end in `_at` (RFC 3339, UTC), durations in `_ms`.

use chrono::{DateTime, SecondsFormat};
use hearth_common::{
    AttemptCounts, AttemptMetrics, FailureCause, InputStatus, JobStatus, LocalityCounts, OutputStatus, Place,
    StageStatus, WorkerStatus,
};
use serde::Serialize;

use crate::event_loop::wall_ms;

/// A job.
#[derive(Serialize)]
pub(super) struct JobJson<'a> {
    id: String,
    name: &'a str,
    state: &'static str,
    waiting_for: Option<&'a str>,
    submitted_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// From its start to its end, or to now.
    duration_ms: Option<u64>,
    failure: Option<FailureJson<'a>>,
    metrics: &'a AttemptMetrics,
    output: Option<&'a OutputStatus>,
    has_result: bool,
    attempts: &'a AttemptCounts,
    locality: &'a LocalityCounts,
    query: &'a str,
    inputs: &'a [InputStatus],
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<&'a [StageStatus]>,
}

/// A failure: its typed cause, and the text for people.
#[derive(Serialize)]
struct FailureJson<'a> {
    cause: &'static str,
    message: String,
    /// Where in the input, when it is known.
    place: Option<&'a Place>,
}

/// Whether a job comes with its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Listed,
    Full,
}

impl<'a> JobJson<'a> {
    pub(super) fn new(job: &'a JobStatus, detail: Detail) -> Self {
        let until = job.finished_ms.unwrap_or_else(wall_ms);
        Self {
            id: job.id.to_string(),
            name: &job.name,
            state: job.state.name(),
            waiting_for: job.waiting_for.as_deref(),
            submitted_at: time(job.submitted_ms),
            started_at: job.started_ms.map(time),
            finished_at: job.finished_ms.map(time),
            duration_ms: job.started_ms.map(|started| until.saturating_sub(started)),
            failure: job.failure.as_ref().map(FailureJson::new),
            metrics: &job.metrics,
            output: job.output.as_ref(),
            has_result: job.has_result,
            attempts: &job.attempts,
            locality: &job.locality,
            query: &job.query,
            inputs: &job.inputs,
            stages: (detail == Detail::Full).then_some(&job.stages),
        }
    }
}

impl<'a> FailureJson<'a> {
    fn new(cause: &'a FailureCause) -> Self {
        let place = if let FailureCause::Task { place, .. } = cause { place.as_ref() } else { None };
        Self { cause: cause.name(), message: cause.to_string(), place }
    }
}

/// A worker.
#[derive(Serialize)]
pub(super) struct WorkerJson<'a> {
    id: String,
    host: &'a str,
    shuffle_address: &'a str,
    state: &'static str,
    slots: u32,
    slots_used: u32,
    memory_bytes_max: u64,
    memory_bytes_used: u64,
    disk_bytes_free: u64,
    version: &'a str,
    registered_at: String,
    lease_ms: u64,
    excluded: Option<&'a str>,
}

impl<'a> WorkerJson<'a> {
    pub(super) fn new(worker: &'a WorkerStatus) -> Self {
        Self {
            id: worker.id.to_string(),
            host: &worker.host,
            shuffle_address: &worker.shuffle_address,
            state: worker.state.name(),
            slots: worker.slots,
            slots_used: worker.slots_used,
            memory_bytes_max: worker.memory_bytes_max,
            memory_bytes_used: worker.memory_bytes_used,
            disk_bytes_free: worker.disk_bytes_free,
            version: &worker.version,
            registered_at: time(worker.registered_ms),
            lease_ms: worker.lease_ms,
            excluded: worker.excluded.as_deref(),
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH);
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_768_471_200_123), "2026-01-15T10:00:00.123Z");
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(u64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
