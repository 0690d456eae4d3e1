//! The service that workers dial: checks the hello, then carries messages between the stream and the event loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use hearth_common::{AttemptId, ENGINE_VERSION, Epoch, FailureCause, PROTOCOL, WorkerId};
use hearth_proto::convert::control::{CONTROL_MESSAGE_BYTES_MAX, Hello, MasterMessage, WorkerMessage};
use hearth_proto::wire;
use hearth_proto::wire::control_service_server::ControlService;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::AnswerStream;
use crate::input::{Input, LoopHandle};
use crate::metrics::{Metrics, Stale};
use crate::workers::{OUTBOX_MAX, Outgoing, WorkerLink};

/// Longest wait for the first message of a connection.
const HELLO_MAX: Duration = Duration::from_secs(10);

/// What the control service stands on.
#[derive(Debug)]
pub(crate) struct ControlRpc {
    handle: LoopHandle,
    stop: CancellationToken,
    terms: Terms,
    metrics: Arc<Metrics>,
    connections: AtomicU64,
}

/// What a worker is told in the welcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub heartbeat_interval: Duration,
    pub lease: Duration,
    pub epoch: Epoch,
}

/// One connection, before and after its hello.
struct Connection {
    number: u64,
    handle: LoopHandle,
    stop: CancellationToken,
    terms: Terms,
    metrics: Arc<Metrics>,
    messages: Streaming<wire::FromWorker>,
}

impl ControlRpc {
    pub(crate) fn new(handle: LoopHandle, stop: CancellationToken, (terms, metrics): (Terms, Arc<Metrics>)) -> Self {
        Self { handle, stop, terms, metrics, connections: AtomicU64::new(0) }
    }
}

#[tonic::async_trait]
impl ControlService for ControlRpc {
    type AttachStream = AnswerStream<wire::FromMaster>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let connection = Connection {
            number: self.connections.fetch_add(1, Ordering::Relaxed),
            handle: self.handle.clone(),
            stop: self.stop.clone(),
            terms: self.terms,
            metrics: Arc::clone(&self.metrics),
            messages: request.into_inner(),
        };
        let (outbox, sent) = mpsc::channel(OUTBOX_MAX);
        tokio::spawn(connection.run(outbox));
        let handle = self.handle.clone();
        let answers = ReceiverStream::new(sent).filter_map(move |outgoing| {
            let handle = handle.clone();
            async move { to_wire(outgoing, &handle).await.map(Ok) }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Connection {
    async fn run(mut self, outbox: mpsc::Sender<Outgoing>) {
        let hello = match self.read_hello().await {
            Ok(hello) => hello,
            Err(refusal) => {
                tracing::warn!(reason = %refusal.reason.escape_debug(), "refused a worker");
                let Refusal { reason, retry } = refusal;
                let _ = outbox.send(Outgoing::Message(MasterMessage::Refused { reason, retry })).await;
                return;
            }
        };
        let Terms { heartbeat_interval, lease, epoch } = self.terms;
        let welcome = Outgoing::Message(MasterMessage::Welcome { heartbeat_interval, lease, epoch });
        if outbox.send(welcome).await.is_err() {
            return;
        }
        let (worker, connection, closed) = (hello.worker, self.number, CancellationToken::new());
        // From here on only the event loop can send: when it drops the link, the stream ends.
        let link = WorkerLink { connection, outbox, closed: closed.clone() };
        if self.handle.send(Input::WorkerConnected { hello: Box::new(hello), link }).await.is_err() {
            return;
        }
        self.read_messages(worker, &closed).await;
        let _ = self.handle.send(Input::WorkerDisconnected { worker, connection }).await;
    }

    async fn read_hello(&mut self) -> Result<Hello, Refusal> {
        let first = tokio::time::timeout(HELLO_MAX, self.messages.message()).await;
        let first = match first {
            Ok(Ok(Some(first))) => first,
            Ok(Ok(None)) => return Err(Refusal::again("the stream ended before a hello")),
            Ok(Err(status)) => return Err(Refusal::again(status.message())),
            Err(_) => return Err(Refusal::again("no hello came in time")),
        };
        // Numbers first: a worker of another version may well send a hello that this one cannot read whole.
        if let Some(wire::from_worker::Message::Hello(hello)) = &first.message {
            check_version(hello.protocol, &hello.engine_version)?;
        }
        match WorkerMessage::try_from(first) {
            Ok(WorkerMessage::Hello(hello)) => match hello.epoch {
                Some(seen) if self.terms.epoch.is_older_than(seen) => {
                    self.metrics.count_stale(Stale::Epoch);
                    Err(Refusal::again(format!(
                        "this worker has a newer master, of epoch {}, and this one is of epoch {}",
                        seen.number, self.terms.epoch.number
                    )))
                }
                Some(_) | None => Ok(hello),
            },
            Ok(_) => Err(Refusal::never("the first message is not a hello")),
            Err(error) => Err(Refusal::never(error)),
        }
    }

    /// Reads until the stream ends, the worker falls silent for a lease, the event loop closes the link, or the master stops.
    async fn read_messages(&mut self, worker: WorkerId, closed: &CancellationToken) {
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(self.terms.lease, self.messages.message()) => message,
                () = closed.cancelled() => return,
                () = self.stop.cancelled() => return,
            };
            let message = match message {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return,
                Ok(Err(status)) => {
                    tracing::info!(%worker, reason = %status.message().escape_debug(), "worker's stream broke");
                    return;
                }
                Err(_) => {
                    tracing::warn!(%worker, "worker was silent for a whole lease");
                    return;
                }
            };
            match WorkerMessage::try_from(message) {
                Ok(message) => {
                    let said = Input::WorkerSaid { worker, connection: self.number, message: Box::new(message) };
                    if self.handle.send(said).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%worker, %error, "worker sent a message that makes no sense");
                    return;
                }
            }
        }
    }
}

/// Why a worker is not let in.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reason: String,
    retry: bool,
}

impl Refusal {
    fn again(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), retry: true }
    }

    fn never(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), retry: false }
    }
}

fn check_version(protocol: u32, engine_version: &str) -> Result<(), Refusal> {
    if protocol == PROTOCOL && engine_version == ENGINE_VERSION {
        return Ok(());
    }
    let engine_version = engine_version.escape_debug();
    Err(Refusal::never(format!(
        "this worker is hearth {engine_version} (protocol {protocol}), the master is hearth {ENGINE_VERSION} (protocol \
         {PROTOCOL}); run the same version of hearth on every node"
    )))
}

async fn to_wire(outgoing: Outgoing, handle: &LoopHandle) -> Option<wire::FromMaster> {
    let parts = match outgoing {
        Outgoing::Message(message) => return Some(message.into()),
        Outgoing::Launch(parts) => parts,
    };
    let (worker, attempt) = (parts.worker, parts.attempt);
    let message = wire::FromMaster::from(MasterMessage::Launch(parts.compose()));
    let bytes = message.encoded_len();
    if bytes <= CONTROL_MESSAGE_BYTES_MAX {
        return Some(message);
    }
    let cause = too_large(attempt, bytes);
    let _ = handle.send(Input::LaunchRefused { worker, attempt, cause }).await;
    None
}

fn too_large(attempt: AttemptId, bytes: usize) -> FailureCause {
    FailureCause::task(format!(
        "stage {}, task {}: its launch has {bytes} bytes, at most {CONTROL_MESSAGE_BYTES_MAX} can be sent; lower \
         shuffle_partitions, raise split_bytes, or simplify the query",
        attempt.task.stage, attempt.task.partition
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_version_is_let_in() {
        assert_eq!(check_version(PROTOCOL, ENGINE_VERSION), Ok(()));
        for (protocol, version) in [(PROTOCOL + 1, ENGINE_VERSION), (PROTOCOL, "0.0.9"), (0, "")] {
            let Refusal { reason, retry } = check_version(protocol, version).unwrap_err();
            assert!(!retry, "another version does not get better by waiting");
            let needed = [ENGINE_VERSION, version, "run the same version of hearth on every node"];
            assert!(needed.iter().all(|part| reason.contains(part)), "{reason}");
        }
    }
}
