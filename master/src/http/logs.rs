//! `/api/v1/jobs/{job}/logs`: what master and workers told of a job, page by page.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearth_common::{JobId, LogLine, StageId, WorkerId};
use hearth_proto::convert::ReadLog;
use serde::Deserialize;

use super::HttpState;
use super::answers::Problem;
use super::described::described;
use super::json::time;
use crate::job_logs::LogError;
use crate::rpc::read_log::{read_log, unknown};

/// Lines of a page where no number is given.
const PAGE_SIZE: u32 = 200;

/// Which lines.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogsQuery {
    /// `next_cursor` of the answer before.
    cursor: u64,
    page_size: Option<u32>,
    /// `STAGE.PARTITION`
    task: Option<String>,
    worker: Option<String>,
}

described! {
    /// Lines of a job's log, oldest first.
    pub(super) struct LogsJson {
        lines: Vec<LineJson>,
        /// What to pass as `cursor` for what follows.
        next_cursor: u64,
        /// There is more already.
        more: bool,
        /// The job has ended, and these are its last lines.
        complete: bool,
    }
}

described! {
    /// Something that master or worker told of a job.
    struct LineJson {
        at: String,
        /// debug, info, warn or error.
        level: &'static str,
        stage: Option<u32>,
        partition: Option<u32>,
        attempt: Option<u32>,
        /// Who told it; null for the master.
        worker: Option<String>,
        message: String,
        fields: Vec<FieldJson>,
    }
}

described! {
    /// A value that belongs to a line.
    struct FieldJson {
        name: String,
        value: String,
    }
}

pub(super) async fn list_lines(
    State(state): State<HttpState>,
    Path(job): Path<String>,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(Problem::bad_request)?;
    let job: JobId = job.parse().map_err(|error: hearth_common::IdError| Problem::bad_request(error))?;
    let page = read_log(&state.handle, read_of(job, query)?).await.map_err(problem)?;
    let page = page.ok_or_else(|| Problem::not_found(unknown(job)))?;
    let lines = page.lines.into_iter().map(LineJson::from).collect();
    let (next_cursor, more, complete) = (page.next_cursor, page.more, page.complete);
    Ok(Json(LogsJson { lines, next_cursor, more, complete }).into_response())
}

fn read_of(job: JobId, query: LogsQuery) -> Result<ReadLog, Problem> {
    let page_size = query.page_size.filter(|size| *size > 0).unwrap_or(PAGE_SIZE).min(ReadLog::PAGE_SIZE_MAX);
    let task = query.task.as_deref().map(task_named).transpose()?;
    let worker = query.worker.map(|worker| worker.parse::<WorkerId>()).transpose().map_err(Problem::bad_request)?;
    Ok(ReadLog { cursor: query.cursor, page_size, task, worker, ..ReadLog::of(job) })
}

fn task_named(text: &str) -> Result<(StageId, u32), Problem> {
    let parts =
        text.split_once('.').and_then(|(stage, partition)| Some((stage.parse().ok()?, partition.parse().ok()?)));
    let (stage, partition) = parts.ok_or_else(|| Problem::bad_request("task must be STAGE.PARTITION, such as 0.3"))?;
    Ok((StageId(stage), partition))
}

fn problem(error: LogError) -> Problem {
    let status = match &error {
        LogError::Cursor(_) => StatusCode::BAD_REQUEST,
        LogError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        LogError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error)
}

impl From<LogLine> for LineJson {
    fn from(line: LogLine) -> Self {
        let subject = line.subject;
        Self {
            at: time(line.at_ms),
            level: line.level.name(),
            stage: subject.stage.map(|stage| stage.0),
            partition: subject.partition,
            attempt: subject.attempt,
            worker: line.worker.map(|worker| worker.to_string()),
            message: line.message,
            fields: line.fields.into_iter().map(|field| FieldJson { name: field.name, value: field.value }).collect(),
        }
    }
}
