//! The spans of an ended job, of what is kept of it: the job, the states it went through, its stages, and its attempts below them.
//!
//! The trace id is the job's id, so that whoever knows a job finds its trace; ids of spans follow from what they are about, so that a
//! span that is sent twice is the same one.

use std::collections::BTreeMap;

use hearth_common::{
    AttemptDetails, AttemptMetrics, AttemptOutcome, ENGINE_VERSION, JobDetails, JobId, JobState, JobStatus, StageId,
    StageStatus,
};
use xxhash_rust::xxh3::xxh3_64;

use super::otlp::{
    ExportRequest, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span, SpanKind, Status, StatusCode,
};

/// Longest text of an attribute, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// What is sent about some jobs.
pub(super) fn request_of(jobs: &[std::sync::Arc<JobStatus>], master: &str) -> ExportRequest {
    let attributes = vec![
        KeyValue::text("service.name", "hearth"),
        KeyValue::text("service.version", ENGINE_VERSION),
        KeyValue::text("service.instance.id", master),
    ];
    let scope = Scope { name: "hearth-master".to_owned(), version: ENGINE_VERSION.to_owned() };
    let spans = jobs.iter().flat_map(|job| spans_of(job)).collect();
    ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
        }],
    }
}

/// Parents before their children.
fn spans_of(job: &JobStatus) -> Vec<Span> {
    let nothing = JobDetails::default();
    let details = job.details.as_deref().unwrap_or(&nothing);
    let mut spans = vec![job_span(job, details)];
    for (at, pair) in details.states.windows(2).enumerate() {
        let [state, next] = pair else { continue };
        let id = span_id(job.id, &format!("state {at}"));
        let times = (state.since_ms, next.since_ms);
        spans.push(span(job.id, (id, Some(root_id(job.id))), state.state.name().to_owned(), times));
    }
    let mut stages: BTreeMap<StageId, Vec<&AttemptDetails>> = BTreeMap::new();
    for attempt in &details.attempts {
        stages.entry(attempt.stage).or_default().push(attempt);
    }
    for (stage, attempts) in &stages {
        spans.push(stage_span(job, details, (*stage, attempts)));
        spans.extend(attempts.iter().map(|attempt| attempt_span(job, details, attempt)));
    }
    spans
}

fn job_span(job: &JobStatus, details: &JobDetails) -> Span {
    let times = (job.submitted_ms, job.finished_ms.unwrap_or(job.submitted_ms));
    let mut span = span(job.id, (root_id(job.id), None), "job".to_owned(), times);
    span.attributes = vec![
        KeyValue::text("hearth.job.id", job.id.to_string()),
        KeyValue::text("hearth.job.name", cut(&job.name)),
        KeyValue::text("hearth.outcome", job.state.name()),
        KeyValue::number("hearth.attempts.launched", job.attempts.launched),
        KeyValue::number("hearth.attempts.left_out", details.attempts_left_out),
    ];
    span.attributes.extend(figures(&job.metrics));
    if let Some(output) = &job.output {
        span.attributes.push(KeyValue::text("hearth.output.path", cut(&output.path)));
        span.attributes.push(KeyValue::number("hearth.output.rows", output.rows));
    }
    span.status = match (&job.failure, job.state) {
        (Some(cause), _) => {
            span.attributes.push(KeyValue::text("error.type", cause.name()));
            Some(error(&cause.to_string()))
        }
        (None, JobState::Done) => Some(Status { message: String::new(), code: StatusCode::Ok.into() }),
        (
            None,
            JobState::Queued
            | JobState::Planning
            | JobState::Running
            | JobState::Committing
            | JobState::Failed
            | JobState::Cancelled,
        ) => None,
    };
    span
}

/// From the launch of its first attempt to the end of its last one.
fn stage_span(job: &JobStatus, details: &JobDetails, (stage, attempts): (StageId, &[&AttemptDetails])) -> Span {
    let known = details.stages.iter().find(|spread| spread.stage == stage);
    let first = attempts.iter().map(|attempt| attempt.launched_ms).min();
    let last = attempts.iter().filter_map(|attempt| attempt.ended_ms).max();
    let start_ms = known.map(|known| known.started_ms).or(first).unwrap_or(job.submitted_ms);
    let end_ms = known.and_then(|known| known.ended_ms).or(last).unwrap_or(start_ms);
    let ids = (stage_id(job.id, stage), Some(root_id(job.id)));
    let mut span = span(job.id, ids, format!("stage {stage}"), (start_ms, end_ms));
    span.attributes.push(KeyValue::number("hearth.stage", u64::from(stage.0)));
    if let Some(StageStatus { label, tasks, tasks_done, metrics, .. }) =
        job.stages.iter().find(|known| known.id == stage)
    {
        span.attributes.push(KeyValue::text("hearth.stage.label", cut(label)));
        span.attributes.push(KeyValue::number("hearth.stage.tasks", u64::from(*tasks)));
        span.attributes.push(KeyValue::number("hearth.stage.tasks_done", u64::from(*tasks_done)));
        span.attributes.extend(figures(metrics));
    }
    span
}

fn attempt_span(job: &JobStatus, details: &JobDetails, attempt: &AttemptDetails) -> Span {
    let AttemptDetails { stage, partition, attempt: number, worker, .. } = attempt;
    let id = span_id(job.id, &format!("attempt {stage} {partition} {number}"));
    let times = (attempt.launched_ms, attempt.ended_ms.unwrap_or(attempt.launched_ms));
    let mut span = span(job.id, (id, Some(stage_id(job.id, *stage))), format!("stage {stage} attempt"), times);
    span.attributes = vec![
        KeyValue::number("hearth.stage", u64::from(stage.0)),
        KeyValue::number("hearth.partition", u64::from(*partition)),
        KeyValue::number("hearth.attempt", u64::from(*number)),
        KeyValue::text("hearth.outcome", attempt.outcome.name()),
        KeyValue::bool("hearth.second", attempt.second),
        KeyValue::text("hearth.worker.id", worker.to_string()),
    ];
    if let Some(host) = details.hosts.get(worker) {
        span.attributes.push(KeyValue::text("hearth.worker.host", cut(host)));
    }
    span.attributes.extend(figures(&attempt.metrics));
    if let Some((cause, text)) = &attempt.failure {
        span.attributes.push(KeyValue::text("error.type", cause.clone()));
        span.status = Some(error(text));
    } else if attempt.outcome == AttemptOutcome::Lost {
        span.attributes.push(KeyValue::text("error.type", "worker_lost"));
        span.status = Some(error("lost with its worker"));
    }
    span
}

fn figures(metrics: &AttemptMetrics) -> [KeyValue; 6] {
    let AttemptMetrics { input_rows, input_bytes, shuffle_read_rows, output_rows, output_bytes, spilled_bytes, .. } =
        metrics;
    let shuffled = metrics.shuffle_local_bytes.saturating_add(metrics.shuffle_remote_bytes);
    [
        KeyValue::number("hearth.read.rows", input_rows.saturating_add(*shuffle_read_rows)),
        KeyValue::number("hearth.read.input_bytes", *input_bytes),
        KeyValue::number("hearth.read.shuffle_bytes", shuffled),
        KeyValue::number("hearth.written.rows", *output_rows),
        KeyValue::number("hearth.written.bytes", *output_bytes),
        KeyValue::number("hearth.spilled_bytes", *spilled_bytes),
    ]
}

fn span(job: JobId, (id, parent): ([u8; 8], Option<[u8; 8]>), name: String, times_ms: (u64, u64)) -> Span {
    let (start, end) = times_ms;
    Span {
        trace_id: job.as_bytes().to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name,
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(end.max(start)),
        attributes: Vec::new(),
        status: None,
    }
}

const fn nanos(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

fn root_id(job: JobId) -> [u8; 8] {
    span_id(job, "job")
}

fn stage_id(job: JobId, stage: StageId) -> [u8; 8] {
    span_id(job, &format!("stage {stage}"))
}

/// Never all zero, which would be no id.
fn span_id(job: JobId, about: &str) -> [u8; 8] {
    xxh3_64(format!("{job} {about}").as_bytes()).max(1).to_be_bytes()
}

fn error(message: &str) -> Status {
    Status { message: cut(message), code: StatusCode::Error.into() }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
