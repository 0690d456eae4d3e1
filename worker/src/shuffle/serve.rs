//! Serves the shuffle outputs on this worker's disk to other workers, and small results to the master.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use hearth_proto::convert::ShuffleFetch;
use hearth_proto::wire;
use hearth_proto::wire::shuffle_service_server::{ShuffleService, ShuffleServiceServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::index::Extent;
use super::store::{ShuffleFile, ShuffleStore};
use crate::metrics::Metrics;

/// Bytes of one message.
pub(super) const CHUNK_BYTES: usize = 512 << 10;
/// Messages of one transfer that wait for the network.
const CHUNKS_AHEAD: usize = 4;
/// A request is a few ids.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A peer that does not answer a ping for this long is gone, and its transfers with it.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Transfers of one connection. A reader has a few sources ahead for each of its attempts' inputs, which is far less.
const TRANSFERS_MAX: u32 = 1024;

/// The store of the life that the worker is in; a worker that was fenced gets another.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentStore(Arc<RwLock<Option<Arc<ShuffleStore>>>>);

impl CurrentStore {
    pub(crate) fn set(&self, store: Option<Arc<ShuffleStore>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn get(&self) -> Option<Arc<ShuffleStore>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until `stop` is cancelled.
pub(crate) async fn serve(
    listener: TcpListener,
    store: CurrentStore,
    (metrics, stop): (Arc<Metrics>, CancellationToken),
) -> Result<(), tonic::transport::Error> {
    let service =
        ShuffleServiceServer::new(ShuffleServer { store, metrics }).max_decoding_message_size(REQUEST_BYTES_MAX);
    Server::builder()
        .max_concurrent_streams(Some(TRANSFERS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop.cancelled_owned())
        .await
}

#[derive(Debug)]
struct ShuffleServer {
    store: CurrentStore,
    metrics: Arc<Metrics>,
}

type Chunk = Result<wire::FetchChunk, Status>;

#[tonic::async_trait]
impl ShuffleService for ShuffleServer {
    type FetchStream = ReceiverStream<Chunk>;

    async fn fetch(&self, request: Request<wire::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let fetch = ShuffleFetch::try_from(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let store = self
            .store
            .get()
            .filter(|store| store.worker() == fetch.worker)
            .ok_or_else(|| Status::not_found(format!("worker {} is not here any more", fetch.worker)))?;
        let (file, extents) = spawn_blocking(move || open(&store, &fetch))
            .await
            .map_err(|error| Status::internal(error.to_string()))??;
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(send(Arc::new(file), extents, (sender, Arc::clone(&self.metrics))));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn open(store: &ShuffleStore, fetch: &ShuffleFetch) -> Result<(ShuffleFile, Vec<Extent>), Status> {
    let problem = |error: &dyn std::fmt::Display| format!("shuffle output of {}: {error}", fetch.attempt);
    let file = store.open(fetch.attempt).map_err(|error| match error.kind() == std::io::ErrorKind::NotFound {
        true => Status::not_found(problem(&error)),
        false => Status::data_loss(problem(&error)),
    })?;
    let extents = file
        .index
        .extents(fetch.partitions.clone())
        .ok_or_else(|| Status::out_of_range(problem(&format!("it has no partitions {:?}", fetch.partitions))))?;
    Ok((file, extents))
}

/// Sends all bytes, never more than a few chunks ahead of the network.
async fn send(file: Arc<ShuffleFile>, extents: Vec<Extent>, (chunks, metrics): (mpsc::Sender<Chunk>, Arc<Metrics>)) {
    let mut total = 0;
    for extent in extents {
        let (mut at, end) = (extent.offset, extent.offset + extent.bytes);
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let chunk = read_chunk(Arc::clone(&file), at, length).await;
            let ok = chunk.is_ok();
            if chunks.send(chunk).await.is_err() || !ok {
                return;
            }
            at += length as u64;
            total += length as u64;
            metrics.shuffle_served_bytes.inc_by(length as u64);
        }
    }
    let last = wire::FetchChunk { data: Bytes::new(), total_bytes: Some(total) };
    // The reader has gone if this fails.
    let _ = chunks.send(Ok(last)).await;
}

async fn read_chunk(file: Arc<ShuffleFile>, at: u64, length: usize) -> Chunk {
    let data = spawn_blocking(move || file.read(at, length))
        .await
        .map_err(|error| Status::internal(error.to_string()))?
        .map_err(|error| Status::data_loss(format!("cannot read the file: {error}")))?;
    Ok(wire::FetchChunk { data: data.into(), total_bytes: None })
}
