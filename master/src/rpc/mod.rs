//! The gRPC services of the master: they validate, ask the event loop, and read snapshots. They decide nothing.

mod control;
mod job_service;
pub(crate) mod read_log;
mod result_stream;
mod submit;
mod watch_job;

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use hearth_proto::convert::ConvertError;
use hearth_proto::convert::control::CONTROL_MESSAGE_BYTES_MAX;
use hearth_proto::wire::control_service_server::ControlServiceServer;
use hearth_proto::wire::job_service_server::JobServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::input::Stopping;
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
    control: ControlRpc,
    jobs: JobRpc,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let request_bytes_max = jobs.request_bytes_max();
    let control = ControlServiceServer::new(control)
        .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
    let jobs = JobServiceServer::new(jobs).max_decoding_message_size(request_bytes_max);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .add_service(control)
        .add_service(jobs)
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
