//! Reads shuffle outputs for one attempt: from this worker's disk, or from other workers, some sources ahead of the rows.
//!
//! Whatever is wrong with a source is the loss of that source, told as such: its producer runs again, the reader is not blamed.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use hearth_common::{AttemptId, FailureCause, JobId, ShuffleInput, ShuffleSource, StageId, TaskId};
use hearth_plan::ShuffleReader;
use hearth_plan::frame::{FRAME_HEADER_BYTES, FrameSplitter};
use hearth_proto::convert::ShuffleFetch;
use xxhash_rust::xxh3::xxh3_64;

use super::fetch::{Fetcher, ReadFault, Transfer};
use super::frame::decode;
use super::index::Extent;
use super::store::{ShuffleFile, ShuffleStore};
use crate::progress::ReadCounters;

/// Sources that are opened before their rows are asked for, so that waiting for one does not hold up the next.
const SOURCES_AHEAD: usize = 4;

/// Reads the shuffle inputs of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptReader {
    pub(crate) job: JobId,
    pub(crate) store: Arc<ShuffleStore>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) counters: Arc<ReadCounters>,
}

impl ShuffleReader for AttemptReader {
    fn read(&self, input: &ShuffleInput, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
        let reading = Reading {
            reader: self.clone(),
            stage: input.stage,
            partitions: input.first..input.end,
            schema: SchemaRef::clone(&schema),
            sources: input.sources.clone().into(),
            open: VecDeque::new(),
            batches: VecDeque::new(),
        };
        let batches = futures::stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.next().await.map_err(|cause| DataFusionError::External(Box::new(cause)))?;
            Ok(batch.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// One shuffle input on its way.
struct Reading {
    reader: AttemptReader,
    stage: StageId,
    partitions: Range<u32>,
    schema: SchemaRef,
    sources: VecDeque<ShuffleSource>,
    open: VecDeque<(ShuffleSource, OpenSource)>,
    batches: VecDeque<RecordBatch>,
}

enum OpenSource {
    /// On this worker's disk; not opened before its turn.
    Waiting,
    Local(LocalFrames),
    Remote(RemoteFrames),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, FailureCause> {
        loop {
            if let Some(batch) = self.batches.pop_front() {
                self.reader.counters.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                return Ok(Some(batch));
            }
            self.open_ahead();
            let Some((source, open)) = self.open.front_mut() else { return Ok(None) };
            let lost = |fault: ReadFault| lost_output(self.stage, source, fault);
            if matches!(open, OpenSource::Waiting) {
                let attempt = attempt_of(self.reader.job, self.stage, source);
                let file = self.reader.store.open(attempt).map_err(|error| lost(error.to_string().into()))?;
                let frames = LocalFrames::new(file, self.partitions.clone());
                *open = OpenSource::Local(frames.map_err(|problem| lost(problem.into()))?);
            }
            // A source on the disk never waits: let others on this thread have their turn.
            tokio::task::consume_budget().await;
            match open.next_payload(&self.reader.counters).await.map_err(lost)? {
                Some(payload) => {
                    self.batches =
                        decode(payload, &self.schema).map_err(|error| lost(error.to_string().into()))?.into();
                }
                None => drop(self.open.pop_front()),
            }
        }
    }

    fn open_ahead(&mut self) {
        while self.open.len() < SOURCES_AHEAD {
            let Some(source) = self.sources.pop_front() else { return };
            let open = if source.worker == self.reader.store.worker() {
                OpenSource::Waiting
            } else {
                let attempt = attempt_of(self.reader.job, self.stage, &source);
                let fetch = ShuffleFetch { attempt, worker: source.worker, partitions: self.partitions.clone() };
                let transfer = self.reader.fetcher.start(&source.address, fetch);
                OpenSource::Remote(RemoteFrames { transfer, splitter: FrameSplitter::default() })
            };
            self.open.push_back((source, open));
        }
    }
}

impl OpenSource {
    async fn next_payload(&mut self, counters: &ReadCounters) -> Result<Option<Buffer>, ReadFault> {
        match self {
            Self::Waiting => Ok(None),
            Self::Local(frames) => {
                let payload = frames.next_payload().map_err(|error| error.to_string())?;
                let bytes = payload.as_ref().map_or(0, |payload| (payload.len() + FRAME_HEADER_BYTES) as u64);
                counters.local_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(payload)
            }
            Self::Remote(frames) => frames.next_payload(counters).await,
        }
    }
}

fn attempt_of(job: JobId, stage: StageId, source: &ShuffleSource) -> AttemptId {
    AttemptId { task: TaskId { job, stage, partition: source.partition }, attempt: source.attempt }
}

fn lost_output(stage: StageId, source: &ShuffleSource, fault: ReadFault) -> FailureCause {
    let ShuffleSource { partition, attempt, worker, .. } = *source;
    let ReadFault { loss, problem: message, .. } = fault;
    FailureCause::LostShuffleOutput { stage, partition, attempt, worker, loss, message }
}

/// Frames of a file on this worker's disk.
pub(super) struct LocalFrames {
    file: ShuffleFile,
    extents: VecDeque<Extent>,
}

impl LocalFrames {
    pub(super) fn new(file: ShuffleFile, partitions: Range<u32>) -> Result<Self, String> {
        let extents = file.index.extents(partitions.clone());
        let extents = extents.ok_or_else(|| format!("it has no partitions {partitions:?}"))?;
        Ok(Self { file, extents: extents.into() })
    }

    /// The next payload, verified.
    pub(super) fn next_payload(&mut self) -> io::Result<Option<Buffer>> {
        let Some(extent) = self.extents.front_mut() else { return Ok(None) };
        let damaged =
            |problem: &str| io::Error::new(io::ErrorKind::InvalidData, format!("the file is damaged: {problem}"));
        let mut header = [0; FRAME_HEADER_BYTES];
        self.file.file.read_exact_at(&mut header, extent.offset)?;
        let (length, checksum) = parse_header(&header);
        let frame_bytes = FRAME_HEADER_BYTES as u64 + length as u64;
        if frame_bytes > extent.bytes {
            return Err(damaged("a frame is longer than its run"));
        }
        let payload = self.file.read(extent.offset + FRAME_HEADER_BYTES as u64, length)?;
        if xxh3_64(&payload) != checksum {
            return Err(damaged("a frame has another checksum than it had"));
        }
        extent.offset += frame_bytes;
        extent.bytes -= frame_bytes;
        if extent.bytes == 0 {
            self.extents.pop_front();
        }
        Ok(Some(Buffer::from_vec(payload)))
    }
}

fn parse_header(header: &[u8; FRAME_HEADER_BYTES]) -> (usize, u64) {
    let (mut length, mut checksum) = ([0; 4], [0; 8]);
    length.copy_from_slice(&header[..4]);
    checksum.copy_from_slice(&header[4..]);
    (u32::from_le_bytes(length) as usize, u64::from_le_bytes(checksum))
}

/// Frames that come over the network.
struct RemoteFrames {
    transfer: Transfer,
    splitter: FrameSplitter,
}

impl RemoteFrames {
    async fn next_payload(&mut self, counters: &ReadCounters) -> Result<Option<Buffer>, ReadFault> {
        loop {
            if let Some(payload) = self.splitter.next_payload().map_err(|error| error.to_string())? {
                return Ok(Some(Buffer::from(payload)));
            }
            let Some(chunk) = self.transfer.next().await? else {
                let rest = std::mem::take(&mut self.splitter);
                return rest.finish().map(|()| None).map_err(|error| error.to_string().into());
            };
            counters.remote_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.splitter.push(&chunk);
        }
    }
}
