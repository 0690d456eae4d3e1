//! What port 8080 shows: pages, `/api/v1`, `/json/`, `/metrics` and health. All of it is read from the snapshot; only two
//! requests of the API change something.

mod answers;
mod api;
mod assets;
mod described;
mod json;
mod openapi;
mod spark;
mod standby;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hearth_common::JobId;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::event_loop::wall_ms;
use crate::input::LoopHandle;
use crate::metrics::Metrics;
use crate::tenure::Tenure;
use answers::Problem;
pub(crate) use standby::serve_standby;

/// Pages that follow events at the same time.
const FOLLOWERS_MAX: usize = 256;

/// What the handlers stand on.
#[derive(Debug, Clone)]
pub(crate) struct HttpState {
    handle: LoopHandle,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    rpc: SocketAddr,
    http: SocketAddr,
    lease_ms: u64,
    started_ms: u64,
    /// What pages of this master send with a request that changes something.
    token: Arc<str>,
    followers: Arc<Semaphore>,
}

/// Where a master listens, and how long it believes in a silent worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub rpc: SocketAddr,
    pub http: SocketAddr,
    pub lease: Duration,
}

impl HttpState {
    pub(crate) fn new(
        handle: LoopHandle,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
        Addresses { rpc, http, lease }: Addresses,
    ) -> Self {
        // Ids have more than 70 bits that nobody can guess.
        let token = format!("{}-{}", JobId::generate(), JobId::generate()).into();
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Self { handle, metrics, stop, rpc, http, lease_ms, started_ms: wall_ms(), token, followers }
    }

    /// Where workers and clients connect.
    fn master(&self) -> String {
        format!("hearth://{}", self.rpc)
    }

    fn web_url(&self) -> String {
        format!("http://{}", self.http)
    }
}

/// Serves until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    state: HttpState,
    tenure: Tenure,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = routes(state).layer(middleware::from_fn_with_state(tenure, standby::answer_as_active));
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(state: HttpState) -> Router {
    Router::new()
        .route("/", get(assets::cluster_page))
        .route("/jobs/{job}", get(assets::job_page))
        .route("/workers/{worker}", get(assets::worker_page))
        .route("/ui/{file}", get(assets::file))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/json", get(spark::master))
        .route("/json/", get(spark::master))
        .route("/workers/{worker}/json", get(spark::worker))
        .route("/workers/{worker}/json/", get(spark::worker))
        .nest("/api/v1", api_routes())
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "nothing is here; see / and /api/v1/openapi.json"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that; see /api/v1/openapi.json")
        })
        .layer(middleware::from_fn(secure))
        .with_state(state)
}

/// What is here is in the OpenAPI document, and the other way round: a test compares them.
fn api_routes() -> Router<HttpState> {
    Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/events", get(api::events::follow))
        .route("/token", get(api::actions::get_token))
        .route("/cluster", get(api::cluster::get_cluster))
        .route("/cluster/load", get(api::cluster::get_load))
        .route("/jobs", get(api::jobs::list_jobs))
        .route("/jobs/{job}", get(api::jobs::get_job))
        .route("/jobs/{job}/plan", get(api::jobs::get_plan))
        .route("/jobs/{job}/operators", get(api::jobs::get_operators))
        .route("/jobs/{job}/attempts", get(api::attempts::list_attempts))
        .route("/jobs/{job}/spreads", get(api::attempts::get_spreads))
        .route("/jobs/{job}/timeline", get(api::attempts::get_timeline))
        .route("/jobs/{job}/stages/{stage}/tasks", get(api::jobs::list_tasks))
        .route("/jobs/{job}/logs", get(api::logs::list_lines))
        .route("/jobs/{job}/cancel", post(api::actions::cancel_job))
        .route("/workers", get(api::workers::list_workers))
        .route("/workers/{worker}", get(api::workers::get_worker))
        .route("/workers/{worker}/load", get(api::workers::get_load))
        .route("/workers/{worker}/attempts", get(api::attempts::list_on_worker))
        .route("/workers/{worker}/logs", get(api::logs::list_recent))
        .route("/workers/{worker}/drain", post(api::actions::drain_worker))
}

async fn ready(State(state): State<HttpState>) -> Response {
    if state.stop.is_cancelled() {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the master stops").into_response()
    } else {
        "ready\n".into_response()
    }
}

async fn metrics(State(state): State<HttpState>) -> Response {
    match state.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, hearth_metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

/// Headers of every answer: scripts and styles of this master alone and none in the page, no text that becomes markup, no
/// frames, no guessing of types, no caching of what changes.
async fn secure(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                 trusted-types 'none'",
            ),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = next.run(request).await;
    response.headers_mut().extend(HEADERS);
    response
}
