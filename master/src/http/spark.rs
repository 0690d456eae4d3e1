//! `/json/` in the shape of Spark's standalone master, and of its workers, so that scripts that watch those go on working. What
//! Hearth does not have is there with an empty value: scripts look for the names.

use axum::Json;
use axum::extract::{Path, State};
use hearth_common::{AttemptId, JobState, JobStatus, WorkerId, WorkerState, WorkerStatus};
use serde_json::{Value, json};

use super::HttpState;
use super::answers::Problem;
use super::json::moment;
use crate::event_loop::wall_ms;
use crate::snapshot::{Page, Snapshot};

/// Ended jobs in an answer.
const COMPLETED_MAX: usize = 200;
const MIB: u64 = 1 << 20;

pub(super) async fn master(State(state): State<HttpState>) -> Json<Value> {
    let snapshot = state.handle.snapshot();
    let totals = snapshot.totals();
    let workers = snapshot.workers.iter().map(|worker| worker_of(worker, &state));
    let alive = snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Alive).count();
    let ended = [JobState::Done, JobState::Failed, JobState::Cancelled].to_vec();
    let (completed, _) = snapshot.page(&Page { states: ended, size: COMPLETED_MAX, ..Page::default() });
    Json(json!({
        "url": format!("spark://{}", state.rpc),
        "workers": workers.collect::<Vec<Value>>(),
        "aliveworkers": alive,
        "cores": totals.slots,
        "coresused": totals.slots_used,
        "memory": totals.memory_bytes_max / MIB,
        "memoryused": totals.memory_bytes_used / MIB,
        "resources": [{}],
        "resourcesused": [{}],
        "activeapps": snapshot.active.values().map(|job| app_of(job)).collect::<Vec<Value>>(),
        "completedapps": completed.iter().map(|job| app_of(job)).collect::<Vec<Value>>(),
        "activedrivers": [],
        "completeddrivers": [],
        "status": "ALIVE",
    }))
}

pub(super) async fn worker(State(state): State<HttpState>, Path(worker): Path<String>) -> Result<Json<Value>, Problem> {
    let id: WorkerId = worker.parse().map_err(|error: hearth_common::IdError| Problem::bad_request(error))?;
    let snapshot = state.handle.snapshot();
    let missing = || Problem::not_found(format!("no worker {id}"));
    let worker = snapshot.worker(id).ok_or_else(missing)?;
    let running = snapshot.running.get(&id).map_or(&[][..], Vec::as_slice);
    Ok(Json(json!({
        "id": worker.id.to_string(),
        "masterurl": format!("spark://{}", state.rpc),
        "masterwebuiurl": state.web_url(),
        "cores": worker.slots,
        "coresused": worker.slots_used,
        "memory": worker.memory_bytes_max / MIB,
        "memoryused": worker.memory_bytes_used / MIB,
        "resources": {},
        "resourcesused": {},
        "executors": running.iter().map(|attempt| attempt_of(*attempt, worker, &snapshot)).collect::<Vec<Value>>(),
        "finishedexecutors": [],
    })))
}

fn worker_of(worker: &WorkerStatus, state: &HttpState) -> Value {
    let address = worker.shuffle_address.rsplit_once(':');
    let port = address.and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or_default();
    json!({
        "id": worker.id.to_string(),
        "host": worker.host,
        "port": port,
        "webuiaddress": format!("{}/workers/{}", state.web_url(), worker.id),
        "cores": worker.slots,
        "coresused": worker.slots_used,
        "coresfree": worker.slots.saturating_sub(worker.slots_used),
        "memory": worker.memory_bytes_max / MIB,
        "memoryused": worker.memory_bytes_used / MIB,
        "memoryfree": worker.memory_bytes_max.saturating_sub(worker.memory_bytes_used) / MIB,
        "resources": {},
        "resourcesused": {},
        "resourcesfree": {},
        "state": worker_state(worker.state),
        "lastheartbeat": last_heartbeat(worker, state),
    })
}

/// The lease counts from the last sign of life.
fn last_heartbeat(worker: &WorkerStatus, state: &HttpState) -> u64 {
    wall_ms().saturating_sub(state.lease_ms.saturating_sub(worker.lease_ms))
}

const fn worker_state(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Alive => "ALIVE",
        WorkerState::Disconnected => "UNKNOWN",
        WorkerState::Draining => "DECOMMISSIONED",
        WorkerState::Lost | WorkerState::Left => "DEAD",
    }
}

fn app_of(job: &JobStatus) -> Value {
    let started = job.started_ms.unwrap_or(job.submitted_ms);
    let running: u32 = job.stages.iter().map(|stage| stage.tasks_running).fold(0, u32::saturating_add);
    json!({
        "id": job.id.to_string(),
        "starttime": started,
        "name": job.name,
        "cores": running,
        "user": "",
        "memoryperexecutor": 0,
        "memoryperslave": 0,
        "resourcesperexecutor": [],
        "resourcesperslave": [],
        "submitdate": date(job.submitted_ms),
        "state": job_state(job.state),
        "duration": job.finished_ms.unwrap_or_else(wall_ms).saturating_sub(started),
    })
}

const fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "WAITING",
        JobState::Planning | JobState::Running | JobState::Committing => "RUNNING",
        JobState::Done => "FINISHED",
        JobState::Failed => "FAILED",
        JobState::Cancelled => "KILLED",
    }
}

/// As Java writes dates: `Fri Nov 20 13:58:19 UTC 2026`.
fn date(ms: u64) -> String {
    moment(ms).format("%a %b %d %H:%M:%S UTC %Y").to_string()
}

fn attempt_of(attempt: AttemptId, worker: &WorkerStatus, snapshot: &Snapshot) -> Value {
    let memory = worker.memory_bytes_max / u64::from(worker.slots.max(1)) / MIB;
    let job = snapshot.job(attempt.task.job);
    json!({
        "id": attempt.task.partition,
        "memory": memory,
        "resources": {},
        "appid": attempt.task.job.to_string(),
        "appdesc": {
            "name": job.map(|job| job.name.as_str()).unwrap_or_default(),
            "cores": 1,
            "memoryperexecutor": memory,
            "resourcesperexecutor": [],
            "memoryperslave": memory,
            "resourcesperslave": [],
            "user": "",
            "command": format!("attempt {attempt}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_spark_writes_them() {
        assert_eq!(date(1_795_183_099_148), "Fri Nov 20 13:58:19 UTC 2026");
    }
}
