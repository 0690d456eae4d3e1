//! Results of jobs without an output: fetched from the worker that has them, stored as frames, read back for clients.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hearth_common::{AttemptId, FailureCause, WorkerId};
use hearth_plan::frame::{FrameError, FrameSplitter, decode_payload};
use hearth_proto::wire;
use hearth_proto::wire::shuffle_service_client::ShuffleServiceClient;
use tonic::transport::Endpoint;

use crate::tenure::Tenure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of the worker while it sends.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// Frames have headers and a schema each: what a worker may send beyond the rows' own limit.
const OVERHEAD_BYTES: u64 = 4 << 20;

/// Which result, where it is, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct ResultOrder {
    /// The winner.
    pub attempt: AttemptId,
    /// The worker it ran on.
    pub worker: WorkerId,
    /// `host:port` of that worker's shuffle service.
    pub address: String,
    /// Limit of the result, in bytes.
    pub bytes_max: u64,
    /// Where it is stored.
    pub file: PathBuf,
}

/// Extension of what is not whole yet.
const UNFINISHED: &str = "new";

/// Why a result was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultError {
    /// The worker does not give it, or not as it was written: its task has to run again.
    #[error("fetch the result from {address}: {problem}")]
    Lost {
        /// The worker's address.
        address: String,
        /// What happened.
        problem: String,
    },
    /// Nothing that another try would mend.
    #[error(transparent)]
    Failed(#[from] FailureCause),
}

/// Fetches a result, verifies every frame, and stores it.
pub(crate) async fn fetch_and_store(order: ResultOrder, tenure: Tenure) -> Result<(), ResultError> {
    let frames = fetch(&order).await?;
    let file = order.file.clone();
    let stored = tokio::task::spawn_blocking(move || store(&file, &frames, &tenure)).await;
    let failed =
        |error: String| FailureCause::internal(format!("store the result in {}: {error}", order.file.display()));
    match stored {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string()).into()),
        Err(error) => Err(failed(error.to_string()).into()),
    }
}

async fn fetch(order: &ResultOrder) -> Result<Vec<u8>, ResultError> {
    let lost = |problem: String| ResultError::Lost { address: order.address.clone(), problem };
    let endpoint = Endpoint::from_shared(format!("http://{}", order.address))
        .map_err(|error| lost(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT);
    let channel = endpoint.connect().await.map_err(|error| lost(chain(&error)))?;
    let mut client = ShuffleServiceClient::new(channel).max_decoding_message_size(CHUNK_BYTES_MAX);
    let request = wire::FetchRequest {
        attempt: Some(order.attempt.into()),
        worker_id: order.worker.to_string(),
        first: 0,
        end: 1,
    };
    let answer = tokio::time::timeout(CHUNK_TIMEOUT, client.fetch(request)).await;
    let mut chunks = answer
        .map_err(|_| lost("no answer in time".to_owned()))?
        .map_err(|status| lost(status.message().to_owned()))?
        .into_inner();
    let (mut bytes, mut splitter) = (Vec::new(), FrameSplitter::default());
    loop {
        let chunk = tokio::time::timeout(CHUNK_TIMEOUT, chunks.message()).await;
        let chunk = chunk
            .map_err(|_| lost("it stopped sending".to_owned()))?
            .map_err(|status| lost(status.message().to_owned()))?
            .ok_or_else(|| lost("the stream was cut".to_owned()))?;
        splitter.push(&chunk.data);
        while splitter.next_payload().map_err(|error| lost(error.to_string()))?.is_some() {}
        bytes.extend_from_slice(&chunk.data);
        if bytes.len() as u64 > order.bytes_max.saturating_add(OVERHEAD_BYTES) {
            return Err(too_large(order.bytes_max).into());
        }
        match chunk.total_bytes {
            Some(total) if total == bytes.len() as u64 => break,
            Some(total) => return Err(lost(format!("it sent {} of {total} bytes", bytes.len()))),
            None => {}
        }
    }
    splitter.finish().map_err(|error| lost(error.to_string()))?;
    Ok(bytes)
}

fn too_large(bytes_max: u64) -> FailureCause {
    FailureCause::task(format!(
        "the result is larger than {bytes_max} bytes; write it to an output, add a LIMIT, or raise result_bytes_max"
    ))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Written beside its name first, under one that no other master uses, so that a file under the name is always whole; and not put
/// in the place of what a master has stored that took over.
fn store(file: &Path, frames: &[u8], tenure: &Tenure) -> io::Result<()> {
    let unfinished = file.with_extension(format!("{}.{UNFINISHED}", tenure.epoch().number));
    let mut writer = std::fs::File::create(&unfinished)?;
    writer.write_all(frames)?;
    writer.sync_all()?;
    tenure.check().map_err(io::Error::other)?;
    std::fs::rename(&unfinished, file)?;
    match file.parent() {
        Some(directory) => std::fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Why a stored result cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not there.
    #[error("read the stored result: {0}")]
    Io(#[from] io::Error),
    /// It is not what was stored.
    #[error("read the stored result: {0}")]
    Frame(#[from] FrameError),
    /// It has no schema, so it has no frames.
    #[error("read the stored result: it is empty")]
    Empty,
}

/// The rows of a stored result. Blocks.
pub(crate) fn read(file: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), ReadError> {
    let mut splitter = FrameSplitter::default();
    splitter.push(&std::fs::read(file)?);
    let (mut schema, mut batches) = (None, Vec::new());
    while let Some(payload) = splitter.next_payload()? {
        let (found, rows) = decode_payload(payload)?;
        schema.get_or_insert(found);
        batches.extend(rows);
    }
    splitter.finish()?;
    Ok((schema.ok_or(ReadError::Empty)?, batches))
}

/// Removes what masters before have not finished. Blocks.
pub(crate) fn remove_unfinished(results: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(results)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes stored results of jobs that are forgotten. Blocks.
pub(crate) fn remove(files: &[PathBuf]) {
    for file in files {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), %error, "could not remove a stored result");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
