//! `/api/v1/events`: what changes, as server-sent events, made from one snapshot to the next. A page says what it shows, and is
//! told of nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use hearth_common::{JobId, WorkerId};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;

use super::cluster::cluster_of;
use super::workers::{WorkersQuery, check_states, page_of};
use super::{QueryOf, job_id, query_of, worker_id};
use crate::event_loop::wall_ms;
use crate::http::HttpState;
use crate::http::answers::Problem;
use crate::http::json::{ClusterJson, Detail, JobJson, LoadJson, WorkerJson, time};
use crate::ledger::Attempts;
use crate::load::Hour;
use crate::snapshot::{JobAccount, Snapshot};

/// Shortest time between two looks at snapshots.
const EVERY: Duration = Duration::from_millis(200);
/// Longest silence: a page that hears nothing for longer says that it is not live.
const TICK_EVERY: Duration = Duration::from_secs(5);
/// Events that wait for a slow reader.
const EVENTS_AHEAD: usize = 16;
/// Jobs in one event; the page asks for its list again when there are more.
const JOBS_MAX: usize = 100;
/// Most workers of a page that is followed.
const WORKERS_SHOWN_MAX: u32 = 200;

/// What a page shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct EventsQuery {
    /// Tell of all jobs.
    jobs: bool,
    /// Tell of the workers on a page of their list.
    workers: bool,
    workers_state: Option<String>,
    workers_search: String,
    workers_from: usize,
    workers_page_size: Option<u32>,
    /// Tell of one job.
    job: Option<String>,
    /// Tell of one worker.
    worker: Option<String>,
}

/// What a page shows, understood.
struct Topics {
    jobs: bool,
    workers: Option<WorkersQuery>,
    job: Option<JobId>,
    worker: Option<WorkerId>,
}

/// Jobs that changed.
#[derive(Serialize)]
struct JobsEvent {
    jobs: Vec<JobJson>,
    /// More changed than these, or some were forgotten.
    more: bool,
}

/// Workers of the page that changed, and how many there are.
#[derive(Serialize)]
struct WorkersEvent<'a> {
    workers: Vec<&'a WorkerJson>,
    /// The workers of the page, in order.
    order: Vec<String>,
    total: usize,
}

/// Attempts of a job changed.
#[derive(Serialize)]
struct AttemptsEvent {
    changed: usize,
    known: usize,
}

pub(in crate::http) async fn follow(
    State(state): State<HttpState>,
    query: QueryOf<EventsQuery>,
) -> Result<Response, Problem> {
    let topics = topics_of(query_of(query)?)?;
    let Ok(permit) = Arc::clone(&state.followers).try_acquire_owned() else {
        let text = "too many pages are open; close some, or read /api/v1/jobs now and then";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let (events, received) = mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(async move {
        let stop = state.stop.clone();
        let follower = Follower::new(state, topics, permit);
        stop.run_until_cancelled(follower.run(events)).await;
    });
    let mut response = Sse::new(ReceiverStream::new(received)).into_response();
    // Proxies must not keep events back.
    response
        .headers_mut()
        .insert(header::HeaderName::from_static("x-accel-buffering"), header::HeaderValue::from_static("no"));
    Ok(response)
}

fn topics_of(query: EventsQuery) -> Result<Topics, Problem> {
    let workers = query.workers.then(|| WorkersQuery {
        state: query.workers_state,
        search: query.workers_search,
        from: query.workers_from,
        page_size: Some(query.workers_page_size.unwrap_or(WORKERS_SHOWN_MAX).min(WORKERS_SHOWN_MAX)),
    });
    workers.as_ref().map(check_states).transpose()?;
    let job = query.job.as_deref().map(job_id).transpose()?;
    let worker = query.worker.as_deref().map(worker_id).transpose()?;
    Ok(Topics { jobs: query.jobs, workers, job, worker })
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// The reader has left.
struct Left;

/// One page that is told what changes.
struct Follower {
    state: HttpState,
    topics: Topics,
    told: Told,
    _permit: OwnedSemaphorePermit,
}

/// What the page knows.
struct Told {
    snapshot: Arc<Snapshot>,
    cluster: Option<ClusterJson>,
    workers: Vec<WorkerJson>,
    workers_total: usize,
    worker: Option<WorkerJson>,
    job: Option<JobAccount>,
    attempts: Attempts,
    is_first: bool,
    ticked: Instant,
}

impl Follower {
    fn new(state: HttpState, topics: Topics, permit: OwnedSemaphorePermit) -> Self {
        let told = Told {
            snapshot: Arc::default(),
            cluster: None,
            workers: Vec::new(),
            workers_total: 0,
            worker: None,
            job: None,
            attempts: Attempts::default(),
            is_first: true,
            ticked: Instant::now(),
        };
        Self { state, topics, told, _permit: permit }
    }

    async fn run(mut self, events: Sender) {
        let mut snapshots = self.state.handle.snapshot.clone();
        loop {
            let next = Instant::now() + EVERY;
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            if self.tell(&events, snapshot).await.is_err() {
                return;
            }
            sleep_until(next).await;
            // Without a change, the next look only ticks.
            if let Ok(Err(_)) = timeout_at(self.told.ticked + TICK_EVERY, snapshots.changed()).await {
                return;
            }
        }
    }

    async fn tell(&mut self, events: &Sender, snapshot: Arc<Snapshot>) -> Result<(), Left> {
        self.tell_cluster(events, &snapshot).await?;
        if self.topics.jobs {
            self.tell_jobs(events, &snapshot).await?;
        }
        self.tell_workers(events, &snapshot).await?;
        self.tell_job(events, &snapshot).await?;
        self.tell_worker(events, &snapshot).await?;
        self.tell_load(events, &snapshot).await?;
        if self.told.ticked.elapsed() >= TICK_EVERY {
            self.told.ticked = Instant::now();
            send(events, "tick", &time(wall_ms())).await?;
        }
        self.told.snapshot = snapshot;
        self.told.is_first = false;
        Ok(())
    }

    async fn tell_cluster(&mut self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let cluster = cluster_of(&self.state, snapshot);
        if self.told.cluster.as_ref() != Some(&cluster) {
            send(events, "cluster", &cluster).await?;
            self.told.cluster = Some(cluster);
        }
        Ok(())
    }

    /// The page has asked for its list itself: what is told is what changes from then on, and what runs.
    async fn tell_jobs(&self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let before = &self.told.snapshot;
        let is_new = |job: &JobId, status: &Arc<_>| before.job(*job).is_none_or(|old| !Arc::ptr_eq(old, status));
        let mut changed: Vec<_> = snapshot.active.iter().filter(|(job, status)| is_new(job, status)).collect();
        let mut more = false;
        if !self.told.is_first && !Arc::ptr_eq(&before.ended, &snapshot.ended) {
            changed.extend(snapshot.ended.iter().filter(|(job, status)| is_new(job, status)));
            more = before.ended.keys().next() != snapshot.ended.keys().next();
        }
        more |= changed.len() > JOBS_MAX;
        if changed.is_empty() && !more {
            return Ok(());
        }
        let job = |status: &Arc<_>| JobJson::new(&JobAccount { status: Arc::clone(status), live: None }, Detail::Event);
        let jobs = changed.into_iter().take(JOBS_MAX).map(|(_, status)| job(status)).collect();
        send(events, "jobs", &JobsEvent { jobs, more }).await
    }

    async fn tell_workers(&mut self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let Some(query) = &self.topics.workers else { return Ok(()) };
        let page = page_of(snapshot, query);
        let workers: Vec<WorkerJson> = page.workers.into_iter().map(WorkerJson::calm).collect();
        let is_new = |worker: &&WorkerJson| !self.told.workers.contains(worker);
        let changed: Vec<&WorkerJson> = workers.iter().filter(is_new).collect();
        let ids = |workers: &[WorkerJson]| workers.iter().map(|worker| worker.id.clone()).collect::<Vec<_>>();
        let order = ids(&workers);
        let is_same_list = order == ids(&self.told.workers) && page.total == self.told.workers_total;
        if self.told.is_first || !changed.is_empty() || !is_same_list {
            send(events, "workers", &WorkersEvent { workers: changed, order, total: page.total }).await?;
        }
        (self.told.workers, self.told.workers_total) = (workers, page.total);
        Ok(())
    }

    async fn tell_job(&mut self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let Some(account) = self.topics.job.and_then(|id| snapshot.account(id)) else { return Ok(()) };
        let is_same = self.told.job.as_ref().is_some_and(|old| Arc::ptr_eq(&old.status, &account.status));
        if is_same {
            return Ok(());
        }
        send(events, "job", &JobJson::new(&account, Detail::FullEvent)).await?;
        let attempts = account.attempts();
        let changed = attempts.changed_since(&self.told.attempts).count();
        if changed > 0 || account.status.state.is_final() {
            send(events, "attempts", &AttemptsEvent { changed, known: attempts.len() }).await?;
        }
        (self.told.job, self.told.attempts) = (Some(account), attempts);
        Ok(())
    }

    async fn tell_worker(&mut self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let worker = self.topics.worker.and_then(|id| snapshot.worker(id));
        let Some(worker) = worker.map(|worker| WorkerJson::new(worker, snapshot).calm()) else { return Ok(()) };
        if self.told.worker.as_ref() != Some(&worker) {
            send(events, "worker", &worker).await?;
            self.told.worker = Some(worker);
        }
        Ok(())
    }

    /// The newest sample of what the page draws.
    async fn tell_load(&self, events: &Sender, snapshot: &Snapshot) -> Result<(), Left> {
        let of = |snapshot: &Snapshot| match self.topics.worker {
            Some(worker) => snapshot.hours.get(&worker).cloned().unwrap_or_default(),
            None => snapshot.hour.clone(),
        };
        let now = of(snapshot);
        if self.told.is_first || Arc::ptr_eq(&now.samples, &of(&self.told.snapshot).samples) {
            return Ok(());
        }
        let last = now.samples.iter().last().copied().into_iter().collect();
        send(events, "load", &LoadJson::new(&Hour { samples: Arc::new(last), total: now.total })).await
    }
}

async fn send(events: &Sender, name: &'static str, data: &impl Serialize) -> Result<(), Left> {
    let Ok(text) = serde_json::to_string(data) else { return Ok(()) };
    events.send(Ok(Event::default().event(name).data(text))).await.map_err(|_| Left)
}
