//! The gRPC services of the master: they validate, ask the event loop, and read snapshots. They decide nothing.

mod active;
mod control;
mod job_service;
pub(crate) mod read_log;
mod result_stream;
mod submit;
mod watch_job;

use std::pin::Pin;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use futures::Stream;
use hearth_proto::convert::ConvertError;
use hearth_proto::convert::control::CONTROL_MESSAGE_BYTES_MAX;
use hearth_proto::wire::control_service_server::ControlServiceServer;
use hearth_proto::wire::job_service_server::JobServiceServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::input::Stopping;
use crate::tenure::{Record, Tenure};
pub(crate) use control::{ControlRpc, Terms};
pub(crate) use job_service::JobRpc;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Open calls of one connection at most; more wait.
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
const HEADER_BYTES_MAX: u32 = 16 << 10;
const RESETS_PENDING_MAX: usize = 64;

type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves both services until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    (control, jobs): (ControlRpc, JobRpc),
    tenure: Tenure,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let request_bytes_max = jobs.request_bytes_max;
    let control = ControlServiceServer::new(control)
        .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
    let jobs = JobServiceServer::new(jobs).max_decoding_message_size(request_bytes_max);
    let routes = Routes::new(control).add_service(jobs).into_axum_router();
    serve_routes(listener, routes.layer(from_fn_with_state(tenure, active::answer_as_active)).into(), stop).await
}

/// Refuses every call until it is told to stop, as a master that is not active.
pub(crate) async fn serve_refusals(
    listener: TcpListener,
    active: watch::Receiver<Option<Record>>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let refuse = async move || {
        let active = active.borrow().clone();
        active::refused(active.as_ref(), &standby_text(active.as_ref()))
    };
    serve_routes(listener, axum::Router::new().fallback(refuse).into(), stop).await
}

/// What a standby says of itself.
pub(crate) fn standby_text(active: Option<&Record>) -> String {
    match active {
        Some(active) => format!("this master is a standby; the active one is {}", active.reached.rpc),
        None => "this master is a standby, and waits to see who is active".to_owned(),
    }
}

async fn serve_routes(
    listener: TcpListener,
    routes: Routes,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop.cancelled_owned())
        .await
}

fn invalid(error: ConvertError) -> Status {
    Status::invalid_argument(error.to_string())
}

impl From<Stopping> for Status {
    fn from(stopping: Stopping) -> Self {
        Self::unavailable(format!("the {stopping}; try again when it is back"))
    }
}
