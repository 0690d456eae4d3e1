//! A small web address of a worker, where one is wanted: `/metrics`, `/healthz` and `/readyz`. Nothing here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What the handlers stand on.
#[derive(Debug, Clone)]
pub(crate) struct HttpState {
    pub(crate) metrics: Arc<Metrics>,
    /// The worker drains.
    pub(crate) drain: CancellationToken,
}

/// Serves until `stop` is cancelled.
pub(crate) async fn serve_http(listener: TcpListener, state: HttpState, stop: CancellationToken) {
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "nothing is here; see /metrics, /healthz and /readyz\n"))
        .with_state(state);
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the worker's web address broke; the worker goes on without");
    }
}

async fn ready(State(state): State<HttpState>) -> Response {
    let refuse = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match (state.drain.is_cancelled(), state.metrics.connected.get()) {
        (true, _) => refuse("the worker drains\n"),
        (false, 1) => "ready\n".into_response(),
        (false, _) => refuse("the master is not connected\n"),
    }
}

async fn metrics(State(state): State<HttpState>) -> Response {
    match state.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, hearth_metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
