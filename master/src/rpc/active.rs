//! Every answer of the active master carries its epoch, and a master that is not active any more answers nothing else.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use hearth_proto::convert::{EPOCH_KEY, NotActive};
use tonic::Status;

use crate::tenure::{Record, Tenure};

/// Lets a call through while this master is the active one.
pub(super) async fn answer_as_active(State(tenure): State<Tenure>, request: Request, next: Next) -> Response {
    if let Err(error) = tenure.confirm().await {
        let successor = tokio::task::spawn_blocking(move || tenure.successor()).await;
        return refused(successor.ok().flatten().as_ref(), &error.to_string());
    }
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(tenure.epoch().to_string()) {
        response.headers_mut().insert(HeaderName::from_static(EPOCH_KEY), value);
    }
    response
}

/// The answer to any call of a master that is not active.
pub(crate) fn refused(active: Option<&Record>, message: &str) -> Response {
    let told =
        NotActive { active: active.map(|active| active.reached.rpc.clone()), epoch: active.map(|active| active.epoch) };
    let status: Status = told.into_status(message);
    status.into_http::<Body>()
}
