//! The cluster as a whole, and its last hour.

use axum::Json;
use axum::extract::State;

use crate::http::HttpState;
use crate::http::json::{ClusterJson, LoadJson};
use crate::snapshot::Snapshot;

pub(in crate::http) async fn get_cluster(State(state): State<HttpState>) -> Json<ClusterJson> {
    Json(cluster_of(&state, &state.handle.snapshot()))
}

pub(super) fn cluster_of(state: &HttpState, snapshot: &Snapshot) -> ClusterJson {
    ClusterJson::new(&snapshot.totals(), &snapshot.hour, &state.master(), state.started_ms)
}

pub(in crate::http) async fn get_load(State(state): State<HttpState>) -> Json<LoadJson> {
    Json(LoadJson::new(&state.handle.snapshot().hour))
}
