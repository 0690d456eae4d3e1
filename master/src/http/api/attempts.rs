//! The attempts of a job or on a worker: pages of them, how they compare, and when they ran where.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use hearth_common::{AttemptDetails, AttemptOutcome, JobId, StageId, WorkerId};
use serde::Deserialize;

use super::{QueryOf, account_of, page_size, query_of, unknown_worker, worker_id};
use crate::event_loop::wall_ms;
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{AttemptJson, AttemptsJson, BarJson, LaneJson, SpreadsJson, TimelineJson, time};
use crate::ledger::spread_of;
use crate::snapshot::JobAccount;

/// Attempts in an answer, and most of them.
const PAGE_SIZES: (u32, u32) = (50, 500);
/// Most attempts on a timeline.
const BARS_MAX: usize = 2000;
/// Jobs whose attempts on a worker are looked at, newest first.
const JOBS_LOOKED_AT_MAX: usize = 200;

/// What a listing of attempts may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct AttemptsQuery {
    stage: Option<u32>,
    /// One outcome, or several with commas.
    outcome: Option<String>,
    worker: Option<String>,
    order: Order,
    from: usize,
    page_size: Option<u32>,
}

/// How attempts are listed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// What went wrong first, then the slowest.
    #[default]
    Notable,
    /// The last launched first.
    Newest,
    /// By stage, task and number.
    Task,
}

pub(in crate::http) async fn list_attempts(
    State(state): State<HttpState>,
    Path(job): Path<String>,
    query: QueryOf<AttemptsQuery>,
) -> Result<Json<AttemptsJson>, Problem> {
    let query = query_of(query)?;
    let account = account_of(&state, &job)?;
    let wanted = Wanted::of(&query)?;
    let attempts = account.attempts();
    let now_ms = wall_ms();
    let mut found: Vec<&AttemptDetails> = attempts.iter().filter(|attempt| wanted.fits(attempt)).collect();
    match query.order {
        Order::Notable => {
            found.sort_by_key(|attempt| (rank(attempt), Reverse(attempt.duration_ms(now_ms)), attempt.partition));
        }
        Order::Newest => found.sort_by_key(|attempt| Reverse(attempt.launched_ms)),
        Order::Task => found.sort_by_key(|attempt| (attempt.stage, attempt.partition, attempt.attempt)),
    }
    let size = page_size(query.page_size, PAGE_SIZES.0, PAGE_SIZES.1);
    let total = found.len();
    let hosts = account.details().map(|details| details.hosts.clone()).unwrap_or_default();
    let shown = found.into_iter().skip(query.from).take(size);
    let end = query.from.saturating_add(size);
    Ok(Json(AttemptsJson {
        attempts: shown
            .map(|attempt| AttemptJson::new((account.status.id, &account.status.name), attempt, &hosts, now_ms))
            .collect(),
        total,
        next: (end < total).then_some(end),
        left_out: attempts.left_out,
    }))
}

/// What went wrong, what was launched beside another, what runs, the rest.
fn rank(attempt: &AttemptDetails) -> u8 {
    match attempt.outcome {
        AttemptOutcome::Failed | AttemptOutcome::Lost => 0,
        AttemptOutcome::Repeated => 1,
        AttemptOutcome::Running | AttemptOutcome::Done | AttemptOutcome::Cancelled if attempt.second => 1,
        AttemptOutcome::Running => 2,
        AttemptOutcome::Done | AttemptOutcome::Cancelled => 3,
    }
}

/// Which attempts somebody wants to see.
struct Wanted {
    stage: Option<StageId>,
    outcomes: Vec<AttemptOutcome>,
    worker: Option<WorkerId>,
}

impl Wanted {
    fn of(query: &AttemptsQuery) -> Result<Self, Problem> {
        let names = query.outcome.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty());
        let worker = query.worker.as_deref().filter(|worker| !worker.is_empty()).map(worker_id).transpose()?;
        let outcomes = names.map(outcome_named).collect::<Result<_, _>>()?;
        Ok(Self { stage: query.stage.map(StageId), outcomes, worker })
    }

    fn fits(&self, attempt: &AttemptDetails) -> bool {
        self.stage.is_none_or(|stage| attempt.stage == stage)
            && self.worker.is_none_or(|worker| attempt.worker == worker)
            && (self.outcomes.is_empty() || self.outcomes.contains(&attempt.outcome))
    }
}

fn outcome_named(name: &str) -> Result<AttemptOutcome, Problem> {
    AttemptOutcome::ALL.into_iter().find(|outcome| outcome.name() == name).ok_or_else(|| {
        let known = AttemptOutcome::ALL.map(AttemptOutcome::name).join(", ");
        Problem::bad_request(format!("`{name}` is not an outcome; use one of {known}"))
    })
}

pub(in crate::http) async fn get_spreads(
    State(state): State<HttpState>,
    Path(job): Path<String>,
) -> Result<Json<SpreadsJson>, Problem> {
    let account = account_of(&state, &job)?;
    let spreads = match (&account.live, account.details()) {
        (None, Some(details)) => details.stages.clone(),
        (Some(_), _) | (None, None) => spread_of(account.attempts().iter()),
    };
    Ok(Json(SpreadsJson::new(&spreads)))
}

pub(in crate::http) async fn get_timeline(
    State(state): State<HttpState>,
    Path(job): Path<String>,
) -> Result<Json<TimelineJson>, Problem> {
    Ok(Json(timeline(&account_of(&state, &job)?, wall_ms())))
}

/// Of too many attempts, those that went wrong and the longest are shown.
fn timeline(account: &JobAccount, now_ms: u64) -> TimelineJson {
    let attempts = account.attempts();
    let mut shown: Vec<&AttemptDetails> = attempts.iter().collect();
    let all = shown.len();
    if all > BARS_MAX {
        shown.sort_by_key(|attempt| (rank(attempt), Reverse(attempt.duration_ms(now_ms))));
        shown.truncate(BARS_MAX);
    }
    shown.sort_by_key(|attempt| (attempt.launched_ms, attempt.stage, attempt.partition));
    let first = attempts.iter().map(|attempt| attempt.launched_ms).min();
    let from_ms = first.or(account.status.started_ms).unwrap_or(account.status.submitted_ms);
    let last = attempts.iter().map(|attempt| attempt.ended_ms.unwrap_or(now_ms)).max().unwrap_or(from_ms);
    let mut lanes: BTreeMap<(Option<&String>, WorkerId), Vec<BarJson>> = BTreeMap::new();
    let hosts = account.details().map(|details| &details.hosts);
    for attempt in &shown {
        let host = hosts.and_then(|hosts| hosts.get(&attempt.worker));
        lanes.entry((host, attempt.worker)).or_default().push(BarJson::new(attempt, from_ms));
    }
    let lane = |((host, worker), bars): ((Option<&String>, WorkerId), Vec<BarJson>)| LaneJson {
        worker: worker.to_string(),
        host: host.cloned(),
        bars,
    };
    TimelineJson {
        from_at: time(from_ms),
        length_ms: last.saturating_sub(from_ms),
        left_out: attempts.left_out + (all - shown.len()) as u64,
        lanes: lanes.into_iter().map(lane).collect(),
    }
}

/// The attempts on a worker, of the newest jobs: those that run first, then the last launched.
pub(in crate::http) async fn list_on_worker(
    State(state): State<HttpState>,
    Path(worker): Path<String>,
    query: QueryOf<AttemptsQuery>,
) -> Result<Json<AttemptsJson>, Problem> {
    let mut query = query_of(query)?;
    let id = worker_id(&worker)?;
    query.worker = Some(worker);
    let wanted = Wanted::of(&query)?;
    let snapshot = state.handle.snapshot();
    let status = snapshot.worker(id).ok_or_else(|| unknown_worker(id))?;
    let now_ms = wall_ms();
    let mut found: Vec<(JobId, AttemptDetails)> = Vec::new();
    let jobs = snapshot.active.keys().rev().chain(snapshot.ended.keys().rev()).take(JOBS_LOOKED_AT_MAX);
    for account in jobs.filter_map(|job| snapshot.account(*job)) {
        let attempts = account.attempts();
        let fitting = attempts.iter().filter(|attempt| wanted.fits(attempt)).cloned();
        found.extend(fitting.map(|attempt| (account.status.id, attempt)));
    }
    found.sort_by_key(|(_, attempt)| (attempt.outcome != AttemptOutcome::Running, Reverse(attempt.launched_ms)));
    let size = page_size(query.page_size, PAGE_SIZES.0, PAGE_SIZES.1);
    let (total, end) = (found.len(), query.from.saturating_add(size));
    let hosts = BTreeMap::from([(id, status.host.clone())]);
    let shown = found.iter().skip(query.from).take(size);
    let name_of = |job: JobId| snapshot.job(job).map(|job| job.name.as_str()).unwrap_or_default();
    Ok(Json(AttemptsJson {
        attempts: shown
            .map(|(job, attempt)| AttemptJson::new((*job, name_of(*job)), attempt, &hosts, now_ms))
            .collect(),
        total,
        next: (end < total).then_some(end),
        left_out: 0,
    }))
}
