//! `/api/v1`: jobs, their stages and tasks, workers.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use hearth_common::{JobId, JobState, StageId};
use hearth_proto::convert::ListJobs;
use serde::{Deserialize, Serialize};

use super::HttpState;
use super::answers::Problem;
use super::json::{Detail, JobJson, WorkerJson};
use crate::input::{Input, TaskQuery};
use crate::snapshot::Page;

/// Most tasks in an answer.
const TASKS_MAX: u32 = 1000;

/// What a listing may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JobsQuery {
    /// One state, or several with commas.
    state: Option<String>,
    page_size: Option<u32>,
    page_token: Option<String>,
}

#[derive(Serialize)]
struct JobsJson<'a> {
    jobs: Vec<JobJson<'a>>,
    next_page_token: Option<String>,
}

pub(super) async fn list_jobs(
    State(state): State<HttpState>,
    query: Result<Query<JobsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(Problem::bad_request)?;
    let page = page_of(query)?;
    let (jobs, next) = state.handle.snapshot().page(&page);
    let jobs = jobs.iter().map(|job| JobJson::new(job, Detail::Listed)).collect();
    Ok(Json(JobsJson { jobs, next_page_token: next.map(|job| job.to_string()) }).into_response())
}

fn page_of(query: JobsQuery) -> Result<Page, Problem> {
    let names = query.state.iter().flat_map(|states| states.split(',')).filter(|name| !name.is_empty());
    let states = names.map(state_named).collect::<Result<_, _>>()?;
    let before = query.page_token.filter(|token| !token.is_empty()).map(|token| token.parse::<JobId>()).transpose();
    let before = before.map_err(|_| Problem::bad_request("page_token is not from an answer of this master"))?;
    let size = query.page_size.filter(|size| *size > 0).unwrap_or(ListJobs::PAGE_SIZE);
    Ok(Page { states, size: size.min(ListJobs::PAGE_SIZE_MAX) as usize, before })
}

fn state_named(name: &str) -> Result<JobState, Problem> {
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let known = JobState::ALL.map(JobState::name).join(", ");
        Problem::bad_request(format!("`{name}` is not a state; use one of {known}"))
    })
}

pub(super) async fn get_job(State(state): State<HttpState>, Path(job): Path<String>) -> Result<Response, Problem> {
    let id = job_id(&job)?;
    let snapshot = state.handle.snapshot();
    let job = snapshot.job(id).ok_or_else(|| unknown(id))?;
    Ok(Json(JobJson::new(job, Detail::Full)).into_response())
}

/// What a listing of tasks may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TasksQuery {
    /// First partition.
    from: u32,
    page_size: Option<u32>,
}

pub(super) async fn list_tasks(
    State(state): State<HttpState>,
    Path((job, stage)): Path<(String, u32)>,
    query: Result<Query<TasksQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(Problem::bad_request)?;
    let job = job_id(&job)?;
    if state.handle.snapshot().job(job).is_none() {
        return Err(unknown(job));
    }
    let size = query.page_size.filter(|size| *size > 0).unwrap_or(100).min(TASKS_MAX);
    let query = TaskQuery { job, stage: StageId(stage), from: query.from, size };
    let stopping = |error| Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, error);
    let page = state.handle.ask(|reply| Input::ListTasks { query, reply }).await.map_err(stopping)?;
    let missing =
        || Problem::not_found(format!("job {job} has no stage {stage} now; tasks are known while a job runs"));
    Ok(Json(page.ok_or_else(missing)?).into_response())
}

#[derive(Serialize)]
struct WorkersJson<'a> {
    workers: Vec<WorkerJson<'a>>,
}

pub(super) async fn list_workers(State(state): State<HttpState>) -> Response {
    let snapshot = state.handle.snapshot();
    Json(WorkersJson { workers: snapshot.workers.iter().map(WorkerJson::new).collect() }).into_response()
}

fn job_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|error: hearth_common::IdError| Problem::bad_request(error))
}

fn unknown(job: JobId) -> Problem {
    Problem::not_found(format!("no job {job}; it may be too old to be remembered"))
}
