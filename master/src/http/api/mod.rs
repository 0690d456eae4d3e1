//! `/api/v1`: what the pages and scripts of operators ask. All of it is read from the snapshot; only the two requests in
//! `actions` change something.

pub(super) mod actions;
pub(super) mod attempts;
pub(super) mod cluster;
pub(super) mod events;
pub(super) mod jobs;
pub(super) mod logs;
pub(super) mod workers;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use hearth_common::{IdError, JobId, WorkerId};

use super::HttpState;
use super::answers::Problem;
use crate::input::Stopping;
use crate::snapshot::JobAccount;

/// The query of a request, or why it is none.
pub(super) type QueryOf<T> = Result<Query<T>, QueryRejection>;

fn query_of<T>(query: QueryOf<T>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(Problem::bad_request)
}

/// The size of a page: what was asked for, within limits.
fn page_size(asked: Option<u32>, usual: u32, max: u32) -> usize {
    asked.filter(|size| *size > 0).unwrap_or(usual).min(max) as usize
}

fn job_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|error: IdError| Problem::bad_request(error))
}

fn worker_id(text: &str) -> Result<WorkerId, Problem> {
    text.parse().map_err(|error: IdError| Problem::bad_request(error))
}

fn account_of(state: &HttpState, job: &str) -> Result<JobAccount, Problem> {
    let id = job_id(job)?;
    let missing = || Problem::not_found(format!("no job {id}; it may be too old to be remembered"));
    state.handle.snapshot().account(id).ok_or_else(missing)
}

fn unknown_worker(id: WorkerId) -> Problem {
    Problem::not_found(format!("no worker {id}; it may have left long ago"))
}

fn stopping(error: Stopping) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
}
