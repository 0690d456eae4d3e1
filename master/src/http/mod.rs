//! What port 8080 shows: a page, `/api/v1`, `/metrics` and health. All of it is read from the snapshot; nothing changes state.

mod answers;
mod api;
mod json;
mod logs;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::input::LoopHandle;
use crate::metrics::Metrics;
use answers::Problem;

/// What the handlers stand on.
#[derive(Debug, Clone)]
pub(crate) struct HttpState {
    handle: LoopHandle,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    rpc: SocketAddr,
}

impl HttpState {
    pub(crate) const fn new(
        handle: LoopHandle,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
        rpc: SocketAddr,
    ) -> Self {
        Self { handle, metrics, stop, rpc }
    }
}

/// Serves until it is told to stop.
pub(crate) async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, routes(state)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(state: HttpState) -> Router {
    Router::new()
        .route("/", get(page::overview))
        .route("/style.css", get(page::style))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/jobs", get(api::list_jobs))
        .route("/api/v1/jobs/{job}", get(api::get_job))
        .route("/api/v1/jobs/{job}/stages/{stage}/tasks", get(api::list_tasks))
        .route("/api/v1/jobs/{job}/logs", get(logs::list_lines))
        .route("/api/v1/workers", get(api::list_workers))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "nothing is here; see / and /api/v1/jobs"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address only answers GET; change things with the `hearth` command",
            )
        })
        .layer(middleware::from_fn(secure))
        .with_state(state)
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

/// Headers of every answer: no scripts, no frames, no guessing of types, no caching of what changes.
async fn secure(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
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
