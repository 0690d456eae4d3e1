//! The log of a job: what master and workers told of it, page by page.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hearth_common::{JobId, stage_and_partition};
use hearth_proto::convert::ReadLog;
use serde::Deserialize;

use super::{QueryOf, job_id, page_size, query_of, unknown_worker, worker_id};
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{LogsJson, RecentJson};
use crate::job_logs::LogError;
use crate::rpc::read_log::{read_log, unknown};

/// Lines of a page where no number is given.
const PAGE_SIZE: u32 = 200;

/// Which lines.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct LogsQuery {
    /// `next_cursor` of the answer before.
    cursor: u64,
    page_size: Option<u32>,
    /// `STAGE.PARTITION`
    task: Option<String>,
    worker: Option<String>,
}

pub(in crate::http) async fn list_lines(
    State(state): State<HttpState>,
    Path(job): Path<String>,
    query: QueryOf<LogsQuery>,
) -> Result<Json<LogsJson>, Problem> {
    let query = query_of(query)?;
    let job = job_id(&job)?;
    let page = read_log(&state.handle, read_of(job, query)?).await.map_err(problem)?;
    Ok(Json(page.ok_or_else(|| Problem::not_found(unknown(job)))?.into()))
}

/// How many lines.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct RecentQuery {
    page_size: Option<u32>,
}

/// The last lines that a worker told, also one that is gone.
pub(in crate::http) async fn list_recent(
    State(state): State<HttpState>,
    Path(worker): Path<String>,
    query: QueryOf<RecentQuery>,
) -> Result<Json<RecentJson>, Problem> {
    let query = query_of(query)?;
    let worker = worker_id(&worker)?;
    if state.handle.snapshot().worker(worker).is_none() {
        return Err(unknown_worker(worker));
    }
    let lines_max = page_size(query.page_size, PAGE_SIZE, ReadLog::PAGE_SIZE_MAX);
    let lines = state.handle.logs.read_recent(worker, lines_max).await.map_err(problem)?;
    Ok(Json(lines.into()))
}

fn read_of(job: JobId, query: LogsQuery) -> Result<ReadLog, Problem> {
    let misnamed = || Problem::bad_request("task must be STAGE.PARTITION, such as 0.3");
    let task = query.task.map(|task| stage_and_partition(&task).ok_or_else(misnamed)).transpose()?;
    let worker = query.worker.as_deref().map(worker_id).transpose()?;
    let page_size = page_size(query.page_size, PAGE_SIZE, ReadLog::PAGE_SIZE_MAX) as u32;
    Ok(ReadLog { cursor: query.cursor, page_size, task, worker, ..ReadLog::of(job) })
}

fn problem(error: LogError) -> Problem {
    let status = match &error {
        LogError::Cursor(_) => StatusCode::BAD_REQUEST,
        LogError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        LogError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error)
}
