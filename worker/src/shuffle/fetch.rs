//! Fetches the bytes of shuffle outputs from other workers. Says what is wrong with the transfer; what the bytes mean is its reader's.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_common::{Absence, Backoff, OutputLoss, WorkerId};
use hearth_proto::convert::ShuffleFetch;
use hearth_proto::wire;
use hearth_proto::wire::shuffle_service_client::ShuffleServiceClient;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::absent::Absences;
use super::serve::CHUNK_BYTES;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The end of a stream comes right behind its last bytes.
const END_WAIT: Duration = Duration::from_millis(500);
/// How long a worker that was silent is probed only.
const DOUBT: Duration = Duration::from_secs(120);
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

/// How long bytes are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Of a worker that has answered so far.
    pub(super) silence_max: Duration,
    /// Of one that was silent lately: time for an answer, and little beside the first wait. So one that holds many outputs and
    /// hangs costs one long wait, not one for each of them.
    pub(super) probe_max: Duration,
    /// Of one that is lost, as the master told: what is on its way may arrive, nothing more.
    pub(super) lost_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Both together are less than a lease: a worker that is lost holds up those that read from it little longer than it takes to
        // lose it, and their slots are wanted for its work.
        Self {
            silence_max: Duration::from_secs(6),
            probe_max: Duration::from_secs(2),
            lost_max: Duration::from_millis(500),
        }
    }
}

/// Starts transfers, over one connection per worker.
#[derive(Debug)]
pub(crate) struct Fetcher {
    peers: Arc<Peers>,
}

/// The workers that are read from.
#[derive(Debug)]
struct Peers {
    runtime: Handle,
    patience: Patience,
    known: Mutex<HashMap<String, Peer>>,
    absences: Absences,
}

#[derive(Debug, Default)]
struct Peer {
    channel: Option<Channel>,
    /// When it last said nothing for too long, and nothing since.
    silent_at: Option<Instant>,
}

/// Why a reader does not get the bytes of an output.
#[derive(Debug)]
pub(super) struct ReadFault {
    pub(super) loss: OutputLoss,
    /// Nobody said anything for too long.
    is_silence: bool,
    pub(super) problem: String,
}

impl From<String> for ReadFault {
    fn from(problem: String) -> Self {
        Self { loss: OutputLoss::Gone, is_silence: false, problem }
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
        Self::with_patience(runtime, Patience::default())
    }

    pub(super) fn with_patience(runtime: Handle, patience: Patience) -> Self {
        Self { peers: Arc::new(Peers { runtime, patience, known: Mutex::default(), absences: Absences::default() }) }
    }

    /// The master hears nothing of that worker, or gave it up: transfers from it wait no longer than is due.
    pub(crate) fn note_absence(&self, worker: WorkerId, absence: Absence) {
        self.peers.absences.note(worker, absence);
    }

    pub(super) fn start(&self, address: &str, fetch: ShuffleFetch) -> Transfer {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let source = Source {
            peers: Arc::clone(&self.peers),
            address: address.to_owned(),
            worker: fetch.worker,
            request: wire::FetchRequest::from(fetch),
        };
        let task = self.peers.runtime.spawn(async move {
            if let Err(fault) = source.transfer(&sender).await {
                // The reader has gone if this fails, and with it whoever wanted to know.
                let _ = sender.send(Err(fault)).await;
            }
        });
        Transfer { chunks, task: task.abort_handle() }
    }
}

impl Peers {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Peer>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to a worker, and how long to wait for what it says.
    fn connection(&self, address: &str) -> Result<(Channel, Duration), String> {
        let mut known = self.known();
        if known.len() >= CONNECTIONS_MAX && !known.contains_key(address) {
            known.clear();
        }
        let peer = known.entry(address.to_owned()).or_default();
        let is_doubted = peer.silent_at.is_some_and(|at| at.elapsed() < DOUBT);
        let patience = if is_doubted { self.patience.probe_max } else { self.patience.silence_max };
        if let Some(channel) = &peer.channel {
            return Ok((channel.clone(), patience));
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
        peer.channel = Some(channel.clone());
        Ok((channel, patience))
    }

    /// The worker said nothing for too long: the next try is short, and over another connection.
    fn note_silence(&self, address: &str) {
        tracing::warn!(address, "a worker with shuffle outputs does not answer");
        self.known().insert(address.to_owned(), Peer { channel: None, silent_at: Some(Instant::now()) });
    }

    fn note_answer(&self, address: &str) {
        if let Some(peer) = self.known().get_mut(address) {
            peer.silent_at = None;
        }
    }
}

type Chunks = mpsc::Sender<Result<Bytes, ReadFault>>;

enum TransferError {
    /// Nothing was sent to the reader yet, and another try may help.
    NotStarted(ReadFault),
    Failed(ReadFault),
}

impl TransferError {
    fn of(problem: String) -> Self {
        Self::Failed(problem.into())
    }
}

/// Why a wait ended without an answer.
#[derive(Debug, Clone, Copy)]
enum Unanswered {
    /// It took too long.
    For(Duration),
    /// The master knows that the worker is absent.
    Absent(Absence),
}

/// What is read, and from whom.
struct Source {
    peers: Arc<Peers>,
    address: String,
    worker: WorkerId,
    request: wire::FetchRequest,
}

impl Source {
    async fn transfer(&self, chunks: &Chunks) -> Result<(), ReadFault> {
        let mut failures = 0;
        loop {
            let (channel, patience) = self.peers.connection(&self.address)?;
            match self.try_transfer((channel, patience), chunks).await {
                Ok(()) => return Ok(()),
                Err(TransferError::Failed(fault)) => return Err(fault),
                Err(TransferError::NotStarted(fault)) => {
                    failures += 1;
                    if failures >= TRIES || fault.is_silence && patience == self.peers.patience.probe_max {
                        return Err(fault);
                    }
                    let problem = fault.problem;
                    tracing::debug!(problem, failures, "fetching a shuffle output failed, trying again");
                    tokio::time::sleep(BACKOFF.delay_after(failures)).await;
                }
            }
        }
    }

    async fn try_transfer(
        &self,
        (channel, patience): (Channel, Duration),
        chunks: &Chunks,
    ) -> Result<(), TransferError> {
        let mut client = ShuffleServiceClient::new(channel).max_decoding_message_size(2 * CHUNK_BYTES);
        let mut stream = match self.wait_for(client.fetch(self.request.clone()), patience).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(failed(&status, 0)),
            Err(unanswered) => return Err(self.end_of(unanswered, 0)),
        };
        let mut received = 0;
        loop {
            let chunk = match self.wait_for(stream.message(), patience).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Err(TransferError::of("the stream ended before its last bytes".into())),
                Ok(Err(status)) => return Err(failed(&status, received)),
                Err(unanswered) => return Err(self.end_of(unanswered, received)),
            };
            self.peers.note_answer(&self.address);
            received += chunk.data.len() as u64;
            if !chunk.data.is_empty() && chunks.send(Ok(chunk.data)).await.is_err() {
                return Ok(());
            }
            match chunk.total_bytes {
                None => {}
                Some(total) if total == received => {
                    // To its very end, which tells nothing new: a connection breaks when some more than 1,000 of its streams were
                    // dropped before.
                    drop(timeout(END_WAIT, stream.message()).await);
                    return Ok(());
                }
                Some(total) => return Err(TransferError::of(format!("received {received} bytes of {total}"))),
            }
        }
    }

    /// Waits for an answer as long as is due.
    async fn wait_for<T>(&self, answer: impl Future<Output = T>, patience: Duration) -> Result<T, Unanswered> {
        let given_up = self.peers.absences.given_up(self.worker, tokio::time::Instant::now(), self.peers.patience);
        tokio::select! {
            answer = timeout(patience, answer) => answer.map_err(|_| Unanswered::For(patience)),
            absence = given_up => Err(Unanswered::Absent(absence)),
        }
    }

    /// Nothing came for so long: whoever is there does not serve what it holds, not even if its connection stands.
    fn end_of(&self, unanswered: Unanswered, received: u64) -> TransferError {
        let fault = |problem: String| ReadFault { loss: OutputLoss::Unreached, is_silence: true, problem };
        match unanswered {
            Unanswered::For(waited) => {
                self.peers.note_silence(&self.address);
                let fault = fault(format!("no bytes came for {} s", waited.as_secs()));
                if received == 0 { TransferError::NotStarted(fault) } else { TransferError::Failed(fault) }
            }
            Unanswered::Absent(Absence::Silent) => {
                self.peers.note_silence(&self.address);
                TransferError::Failed(fault("no bytes came, and the master hears nothing of it".to_owned()))
            }
            Unanswered::Absent(Absence::Lost) => {
                // Another life of it may be there soon, at the same address.
                drop(self.peers.known().remove(&self.address));
                TransferError::Failed(fault("the master gave it up".to_owned()))
            }
        }
    }
}

fn failed(status: &Status, received: u64) -> TransferError {
    let problem = format!("{}: {}", status.code().description(), status.message());
    let may_pass = matches!(
        status.code(),
        // The last is how a connection breaks that had too many dropped streams.
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::ResourceExhausted
    );
    if !may_pass || received > 0 {
        return TransferError::of(problem);
    }
    // A worker that answers says what is wrong with the output. Only what the connection came to on this side has a source.
    let is_answer = status.code() != Code::Unavailable && status.source().is_none();
    let loss = if is_answer { OutputLoss::Gone } else { OutputLoss::Unreached };
    TransferError::NotStarted(ReadFault { loss, is_silence: false, problem })
}
