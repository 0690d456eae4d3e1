//! Workers: lists, one of them, its last hour.

use axum::Json;
use axum::extract::{Path, State};
use hearth_common::{WorkerState, WorkerStatus};
use serde::Deserialize;

use super::{QueryOf, page_size, query_of, unknown_worker, worker_id};
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{LoadJson, WorkerJson, WorkersJson};
use crate::snapshot::Snapshot;

/// Most workers in an answer.
const WORKERS_MAX: u32 = 1000;

/// What a listing of workers may ask for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct WorkersQuery {
    /// One state, or several with commas.
    pub(super) state: Option<String>,
    /// Only workers in whose host, address or id this occurs.
    pub(super) search: String,
    pub(super) from: usize,
    pub(super) page_size: Option<u32>,
}

pub(in crate::http) async fn list_workers(
    State(state): State<HttpState>,
    query: QueryOf<WorkersQuery>,
) -> Result<Json<WorkersJson>, Problem> {
    let query = query_of(query)?;
    check_states(&query)?;
    Ok(Json(page_of(&state.handle.snapshot(), &query)))
}

/// One page. Workers that are here come first, by host; then those that are gone.
pub(super) fn page_of(snapshot: &Snapshot, query: &WorkersQuery) -> WorkersJson {
    let mut found: Vec<&WorkerStatus> = snapshot.workers.iter().filter(|worker| fits(worker, query)).collect();
    found.sort_by_key(|worker| (is_gone(worker), &worker.host, worker.registered_ms, worker.id));
    let size = page_size(query.page_size, WORKERS_MAX, WORKERS_MAX);
    let (total, end) = (found.len(), query.from.saturating_add(size));
    let shown = found.into_iter().skip(query.from).take(size);
    WorkersJson {
        workers: shown.map(|worker| WorkerJson::new(worker, snapshot)).collect(),
        total,
        next: (end < total).then_some(end),
    }
}

fn states_of(query: &WorkersQuery) -> impl Iterator<Item = &str> {
    query.state.iter().flat_map(|states| states.split(',')).filter(|name| !name.is_empty())
}

pub(super) fn check_states(query: &WorkersQuery) -> Result<(), Problem> {
    use WorkerState::{Alive, Disconnected, Draining, Left, Lost};
    let known = [Alive, Disconnected, Draining, Lost, Left].map(WorkerState::name);
    match states_of(query).find(|name| !known.contains(name)) {
        Some(name) => Err(Problem::bad_request(format!("`{name}` is not a state; use one of {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn fits(worker: &WorkerStatus, query: &WorkersQuery) -> bool {
    let wanted = query.search.trim().to_lowercase();
    let finds = |text: &str| text.to_lowercase().contains(&wanted);
    let has_state = states_of(query).next().is_none() || states_of(query).any(|name| name == worker.state.name());
    let is_found = wanted.is_empty() || finds(&worker.host) || finds(&worker.shuffle_address);
    has_state && (is_found || worker.id.to_string().starts_with(&wanted))
}

const fn is_gone(worker: &WorkerStatus) -> bool {
    matches!(worker.state, WorkerState::Lost | WorkerState::Left)
}

pub(in crate::http) async fn get_worker(
    State(state): State<HttpState>,
    Path(worker): Path<String>,
) -> Result<Json<WorkerJson>, Problem> {
    let id = worker_id(&worker)?;
    let snapshot = state.handle.snapshot();
    let worker = snapshot.worker(id).ok_or_else(|| unknown_worker(id))?;
    Ok(Json(WorkerJson::new(worker, &snapshot)))
}

pub(in crate::http) async fn get_load(
    State(state): State<HttpState>,
    Path(worker): Path<String>,
) -> Result<Json<LoadJson>, Problem> {
    let id = worker_id(&worker)?;
    let snapshot = state.handle.snapshot();
    let hour = snapshot.hours.get(&id).ok_or_else(|| unknown_worker(id))?;
    Ok(Json(LoadJson::new(hour)))
}
