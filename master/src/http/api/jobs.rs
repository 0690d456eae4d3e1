//! Jobs: lists, one of them, its plan, its tasks.

use axum::Json;
use axum::extract::{Path, State};
use hearth_common::{JobId, JobState, StageId};
use hearth_proto::convert::ListJobs;
use serde::Deserialize;

use super::{QueryOf, account_of, job_id, page_size, query_of, stopping};
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{Detail, JobJson, JobsJson, OperatorsJson, PlanJson, TasksJson};
use crate::input::{Input, TaskQuery};
use crate::snapshot::{JobAccount, Page};

/// Most tasks in an answer.
const TASKS_MAX: u32 = 1000;
/// Longest text that is searched for, in bytes.
const SEARCH_BYTES_MAX: usize = 256;

/// What a listing may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct JobsQuery {
    /// One state, or several with commas.
    state: Option<String>,
    search: String,
    page_size: Option<u32>,
    page_token: Option<String>,
}

pub(in crate::http) async fn list_jobs(
    State(state): State<HttpState>,
    query: QueryOf<JobsQuery>,
) -> Result<Json<JobsJson>, Problem> {
    let page = page_of(query_of(query)?)?;
    let (jobs, next) = state.handle.snapshot().page(&page);
    let listed = |status| JobJson::new(&JobAccount { status, live: None }, Detail::Listed);
    Ok(Json(JobsJson {
        jobs: jobs.into_iter().map(listed).collect(),
        next_page_token: next.map(|job| job.to_string()),
    }))
}

fn page_of(query: JobsQuery) -> Result<Page, Problem> {
    if query.search.len() > SEARCH_BYTES_MAX {
        return Err(Problem::bad_request(format!("search is longer than {SEARCH_BYTES_MAX} bytes")));
    }
    let names = query.state.iter().flat_map(|states| states.split(',')).filter(|name| !name.is_empty());
    let states = names.map(state_named).collect::<Result<_, _>>()?;
    let before = query.page_token.filter(|token| !token.is_empty()).map(|token| token.parse::<JobId>()).transpose();
    let before = before.map_err(|_| Problem::bad_request("page_token is not from an answer of this master"))?;
    let size = page_size(query.page_size, ListJobs::PAGE_SIZE, ListJobs::PAGE_SIZE_MAX);
    Ok(Page { states, size, before, search: query.search.trim().to_owned() })
}

fn state_named(name: &str) -> Result<JobState, Problem> {
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let known = JobState::ALL.map(JobState::name).join(", ");
        Problem::bad_request(format!("`{name}` is not a state; use one of {known}"))
    })
}

pub(in crate::http) async fn get_job(
    State(state): State<HttpState>,
    Path(job): Path<String>,
) -> Result<Json<JobJson>, Problem> {
    Ok(Json(JobJson::new(&account_of(&state, &job)?, Detail::Full)))
}

pub(in crate::http) async fn get_plan(
    State(state): State<HttpState>,
    Path(job): Path<String>,
) -> Result<Json<PlanJson>, Problem> {
    let account = account_of(&state, &job)?;
    let missing = || Problem::not_found("the plan of this job is not kept any more");
    Ok(Json(PlanJson::new(account.details().ok_or_else(missing)?)))
}

pub(in crate::http) async fn get_operators(
    State(state): State<HttpState>,
    Path(job): Path<String>,
) -> Result<Json<OperatorsJson>, Problem> {
    Ok(Json(OperatorsJson::new(&account_of(&state, &job)?)))
}

/// What a listing of tasks may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct TasksQuery {
    /// First partition.
    from: u32,
    page_size: Option<u32>,
}

pub(in crate::http) async fn list_tasks(
    State(state): State<HttpState>,
    Path((job, stage)): Path<(String, u32)>,
    query: QueryOf<TasksQuery>,
) -> Result<Json<TasksJson>, Problem> {
    let query = query_of(query)?;
    account_of(&state, &job)?;
    let job = job_id(&job)?;
    let size = u32::try_from(page_size(query.page_size, 100, TASKS_MAX)).unwrap_or(TASKS_MAX);
    let query = TaskQuery { job, stage: StageId(stage), from: query.from, size };
    let page = state.handle.ask(|reply| Input::ListTasks { query, reply }).await.map_err(stopping)?;
    let missing =
        || Problem::not_found(format!("job {job} has no stage {stage} now; tasks are known while a job runs"));
    Ok(Json(page.ok_or_else(missing)?.into()))
}
