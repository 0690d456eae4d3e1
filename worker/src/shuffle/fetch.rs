//! Fetches the bytes of shuffle outputs from other workers. Says what is wrong with the transfer; what the bytes mean is its reader's.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_common::{Backoff, OutputLoss};
use hearth_proto::convert::ShuffleFetch;
use hearth_proto::wire;
use hearth_proto::wire::shuffle_service_client::ShuffleServiceClient;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::serve::CHUNK_BYTES;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for the next bytes.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A transfer is tried this often while nothing of it has been used.
const TRIES: u32 = 3;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_millis(500) };
/// Chunks of one transfer that wait for their reader.
const CHUNKS_AHEAD: usize = 4;
/// Connections that are kept; far more than a reader has sources at a time.
const CONNECTIONS_MAX: usize = 1024;
/// A transfer whose reader is busy elsewhere holds this much, and must not hold up the others on its connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// Starts transfers, over one connection per worker.
#[derive(Debug)]
pub(crate) struct Fetcher {
    runtime: Handle,
    connections: Mutex<HashMap<String, Channel>>,
}

/// Why a reader does not get the bytes of an output.
#[derive(Debug)]
pub(super) struct ReadFault {
    pub(super) loss: OutputLoss,
    pub(super) problem: String,
}

impl From<String> for ReadFault {
    fn from(problem: String) -> Self {
        Self { loss: OutputLoss::Gone, problem }
    }
}

/// The bytes of a transfer as they arrive. Dropping it ends the transfer.
#[derive(Debug)]
pub(super) struct Transfer {
    chunks: mpsc::Receiver<Result<Bytes, ReadFault>>,
    task: AbortHandle,
}

impl Transfer {
    /// The next bytes; `None` when all have come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadFault> {
        self.chunks.recv().await.transpose()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fetcher {
    /// Transfers run on `runtime`, wherever they are started.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, connections: Mutex::default() }
    }

    pub(super) fn start(&self, address: &str, fetch: ShuffleFetch) -> Transfer {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let channel = self.connection(address);
        let request = wire::FetchRequest::from(fetch);
        let task = self.runtime.spawn(async move {
            let result = match channel {
                Ok(channel) => transfer(channel, request, &sender).await,
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = result {
                // The reader has gone if this fails, and with it whoever wanted to know.
                let _ = sender.send(Err(fault)).await;
            }
        });
        Transfer { chunks, task: task.abort_handle() }
    }

    fn connection(&self, address: &str) -> Result<Channel, String> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = connections.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let _entered = self.runtime.enter();
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_lazy();
        if connections.len() >= CONNECTIONS_MAX {
            connections.clear();
        }
        connections.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

type Chunks = mpsc::Sender<Result<Bytes, ReadFault>>;

enum TransferError {
    /// Nothing was sent to the reader yet, and another try may help.
    NotStarted(ReadFault),
    Failed(String),
}

async fn transfer(channel: Channel, request: wire::FetchRequest, chunks: &Chunks) -> Result<(), ReadFault> {
    let mut failures = 0;
    loop {
        match try_transfer(channel.clone(), request.clone(), chunks).await {
            Ok(()) => return Ok(()),
            Err(TransferError::Failed(problem)) => return Err(problem.into()),
            Err(TransferError::NotStarted(fault)) => {
                failures += 1;
                if failures >= TRIES {
                    return Err(fault);
                }
                tracing::debug!(problem = fault.problem, failures, "fetching a shuffle output failed, trying again");
                tokio::time::sleep(BACKOFF.delay_after(failures)).await;
            }
        }
    }
}

async fn try_transfer(channel: Channel, request: wire::FetchRequest, chunks: &Chunks) -> Result<(), TransferError> {
    let mut client = ShuffleServiceClient::new(channel).max_decoding_message_size(2 * CHUNK_BYTES);
    let opened = timeout(SILENCE_MAX, client.fetch(request)).await;
    let mut stream = match opened {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(failed(&status, 0)),
        Err(_) => return Err(TransferError::NotStarted(silence().into())),
    };
    let mut received = 0;
    loop {
        let chunk = match timeout(SILENCE_MAX, stream.message()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Err(TransferError::Failed("the stream ended before its last bytes".into())),
            Ok(Err(status)) => return Err(failed(&status, received)),
            Err(_) => return Err(TransferError::Failed(silence())),
        };
        received += chunk.data.len() as u64;
        if !chunk.data.is_empty() && chunks.send(Ok(chunk.data)).await.is_err() {
            return Ok(());
        }
        match chunk.total_bytes {
            None => {}
            Some(total) if total == received => return Ok(()),
            Some(total) => {
                return Err(TransferError::Failed(format!("received {received} bytes of {total}")));
            }
        }
    }
}

fn silence() -> String {
    format!("no bytes came for {} s", SILENCE_MAX.as_secs())
}

fn failed(status: &Status, received: u64) -> TransferError {
    let problem = format!("{}: {}", status.code().description(), status.message());
    let may_pass = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    if !may_pass || received > 0 {
        return TransferError::Failed(problem);
    }
    // A worker that answers says what is wrong with the output. Only what the connection came to on this side has a source.
    let is_answer = status.code() != Code::Unavailable && status.source().is_none();
    let loss = if is_answer { OutputLoss::Gone } else { OutputLoss::Unreached };
    TransferError::NotStarted(ReadFault { loss, problem })
}
