//! Writes one shuffle output: rows are gathered by shuffle partition in memory and written as frames, partition by partition.
//!
//! Incoming batches are kept whole, with the partition of each row, until enough rows are there; then each partition's rows
//! are gathered in one copy. A small output is thus one run per partition, a large one some runs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use hearth_common::{AttemptId, FailureCause};
use hearth_plan::cause_of;
use hearth_plan::frame::frame_header;

use super::compact::{compact, compact_sparse, row_bytes};
use super::frame::{encode, write_options};
use super::index::{Extent, ShuffleIndex};
use super::partition::Partitioner;
use super::store::ShuffleStore;

/// Rows of a frame; what readers get as one batch.
const FRAME_ROWS_MAX: usize = 8192;
/// Uncompressed size that a frame aims at where its rows are wide, in bytes.
const FRAME_BYTES_TARGET: usize = 4 << 20;
/// Rows are held back until there are this many bytes of them per shuffle partition, ...
const BUFFER_BYTES_PER_PARTITION: usize = 1 << 20;
/// ... but never more than this.
const BUFFER_BYTES_MAX: usize = 32 << 20;
/// Nor more batches than this, however small they are.
const BUFFER_BATCHES_MAX: usize = 1024;
/// Largest payload that is written; a batch beyond it is cut in two.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// What is written, and for whom.
#[derive(Debug)]
pub(crate) struct ShuffleSpec {
    pub(crate) attempt: AttemptId,
    pub(crate) hash_exprs: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) partitions: u32,
}

/// Writes one shuffle output. Dropped before [`ShuffleWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct ShuffleWriter {
    attempt: AttemptId,
    store: Arc<ShuffleStore>,
    partitioner: Partitioner,
    pending: Vec<(RecordBatch, Vec<u32>)>,
    pending_bytes: usize,
    pending_bytes_max: usize,
    reservation: MemoryReservation,
    frames: FrameFile,
}

impl ShuffleWriter {
    pub(crate) fn create(
        store: Arc<ShuffleStore>,
        spec: ShuffleSpec,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self, FailureCause> {
        let partitioner = Partitioner::new(spec.hash_exprs, spec.partitions);
        let wanted = BUFFER_BYTES_PER_PARTITION.saturating_mul(partitioner.partitions() as usize);
        let frames = FrameFile::create(&store, spec.attempt, partitioner.partitions())?;
        Ok(Self {
            attempt: spec.attempt,
            store,
            partitioner,
            pending: Vec::new(),
            pending_bytes: 0,
            pending_bytes_max: wanted.min(BUFFER_BYTES_MAX),
            reservation: MemoryConsumer::new("shuffle output").register(pool),
            frames,
        })
    }

    /// Takes rows.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), FailureCause> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = compact_sparse(batch).map_err(arrow_cause)?;
        let partitions = self.partitioner.assign(&batch).map_err(|error| cause_of(&error))?;
        let bytes = row_bytes(&batch);
        if self.reservation.try_grow(bytes).is_err() {
            // No memory left to hold rows back: what is held goes out, and this batch with it.
            self.pending.push((batch, partitions));
            return self.flush();
        }
        self.pending.push((batch, partitions));
        self.pending_bytes += bytes;
        if self.pending_bytes >= self.pending_bytes_max || self.pending.len() >= BUFFER_BATCHES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a frame without rows, so that a result without rows still tells its columns.
    pub(crate) fn write_schema(&mut self, schema: &SchemaRef) -> Result<(), FailureCause> {
        self.frames.write(0, &RecordBatch::new_empty(SchemaRef::clone(schema)))
    }

    /// Bytes in the file so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.frames.offset
    }

    /// Completes the output. Answers with the bytes of each shuffle partition.
    pub(crate) fn finish(mut self) -> Result<Vec<u64>, FailureCause> {
        self.flush()?;
        let partition_bytes = self.frames.index.partitions.iter().map(super::index::PartitionEntry::bytes).collect();
        self.frames.complete(&self.store.path(self.attempt))?;
        self.store.add(self.attempt);
        Ok(partition_bytes)
    }

    fn flush(&mut self) -> Result<(), FailureCause> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if pending.is_empty() {
            return Ok(());
        }
        if self.partitioner.partitions() == 1 {
            self.write_single(&pending)?;
        } else {
            self.write_partitioned(&pending)?;
        }
        drop(pending);
        self.reservation.free();
        Ok(())
    }

    fn write_single(&mut self, pending: &[(RecordBatch, Vec<u32>)]) -> Result<(), FailureCause> {
        let Some((first, _)) = pending.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), pending.iter().map(|(batch, _)| batch)).map_err(arrow_cause)?;
        let rows_max = frame_rows(row_bytes(&rows), rows.num_rows());
        let mut at = 0;
        while at < rows.num_rows() {
            let count = rows_max.min(rows.num_rows() - at);
            self.frames.write(0, &rows.slice(at, count))?;
            at += count;
        }
        Ok(())
    }

    fn write_partitioned(&mut self, pending: &[(RecordBatch, Vec<u32>)]) -> Result<(), FailureCause> {
        let places = places_by_partition(pending, self.partitioner.partitions() as usize);
        let batches: Vec<&RecordBatch> = pending.iter().map(|(batch, _)| batch).collect();
        let (bytes, rows) =
            batches.iter().fold((0, 0), |(bytes, rows), batch| (bytes + row_bytes(batch), rows + batch.num_rows()));
        let rows_max = frame_rows(bytes, rows);
        for (partition, places) in places.iter().enumerate() {
            for places in places.chunks(rows_max) {
                let rows = interleave_record_batch(&batches, places).map_err(arrow_cause)?;
                self.frames.write(partition, &rows)?;
            }
        }
        Ok(())
    }
}

/// For each shuffle partition its rows, as (batch, row).
fn places_by_partition(pending: &[(RecordBatch, Vec<u32>)], partitions: usize) -> Vec<Vec<(usize, usize)>> {
    let mut counts = vec![0_usize; partitions];
    for partition in pending.iter().flat_map(|(_, partitions)| partitions) {
        counts[*partition as usize] += 1;
    }
    let mut places: Vec<Vec<(usize, usize)>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (batch, (_, partitions)) in pending.iter().enumerate() {
        for (row, partition) in partitions.iter().enumerate() {
            places[*partition as usize].push((batch, row));
        }
    }
    places
}

/// How many rows of that width make a frame.
fn frame_rows(bytes: usize, rows: usize) -> usize {
    let row_width = (bytes / rows.max(1)).max(1);
    (FRAME_BYTES_TARGET / row_width).clamp(1, FRAME_ROWS_MAX)
}

fn arrow_cause(error: ArrowError) -> FailureCause {
    cause_of(&DataFusionError::from(error))
}

/// The file under its temporary name. Removed on drop unless it was completed.
#[derive(Debug)]
struct FrameFile {
    file: BufWriter<File>,
    path: PathBuf,
    offset: u64,
    index: ShuffleIndex,
    options: IpcWriteOptions,
    payload: Vec<u8>,
    completed: bool,
}

impl FrameFile {
    fn create(store: &ShuffleStore, attempt: AttemptId, partitions: u32) -> Result<Self, FailureCause> {
        let path = store.path(attempt).with_extension("unfinished");
        let directory = path.parent().unwrap_or(store.directory());
        let file = fs::create_dir_all(directory)
            .and_then(|()| File::create(&path))
            .map_err(|error| write_cause(&path, &error))?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            path,
            offset: 0,
            index: ShuffleIndex::new(partitions),
            options: write_options().map_err(arrow_cause)?,
            payload: Vec::new(),
            completed: false,
        })
    }

    /// Writes rows of one partition, as one frame unless they are too large for one.
    fn write(&mut self, partition: usize, rows: &RecordBatch) -> Result<(), FailureCause> {
        self.payload.clear();
        let rows = compact(rows).map_err(arrow_cause)?;
        encode(&rows, &self.options, &mut self.payload).map_err(arrow_cause)?;
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return self.write_halves(partition, &rows);
        }
        let header = frame_header(&self.payload).map_err(|error| FailureCause::internal(error.to_string()))?;
        let written = self.file.write_all(&header).and_then(|()| self.file.write_all(&self.payload));
        written.map_err(|error| write_cause(&self.path, &error))?;
        let bytes = (header.len() + self.payload.len()) as u64;
        let extent = Extent { offset: self.offset, bytes };
        self.offset += bytes;
        if let Some(entry) = self.index.partitions.get_mut(partition) {
            entry.add(rows.num_rows() as u64, extent);
        }
        Ok(())
    }

    fn write_halves(&mut self, partition: usize, rows: &RecordBatch) -> Result<(), FailureCause> {
        let half = rows.num_rows() / 2;
        if half == 0 {
            let (found, max) = (self.payload.len() >> 20, PAYLOAD_BYTES_MAX >> 20);
            let message = format!("a row of {found}MiB is too large to be sent between stages; at most {max}MiB");
            return Err(FailureCause::task(message));
        }
        self.write(partition, &rows.slice(0, half))?;
        self.write(partition, &rows.slice(half, rows.num_rows() - half))
    }

    fn complete(&mut self, path: &Path) -> Result<(), FailureCause> {
        let written = self.index.write(&mut self.file).and_then(|()| self.file.flush());
        let renamed = written.and_then(|()| fs::rename(&self.path, path));
        renamed.map_err(|error| write_cause(path, &error))?;
        self.completed = true;
        Ok(())
    }
}

impl Drop for FrameFile {
    fn drop(&mut self) {
        if !self.completed
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove an unfinished shuffle output");
        }
    }
}

fn write_cause(path: &Path, error: &io::Error) -> FailureCause {
    let message = format!("cannot write {}: {error}", path.display());
    let kind = error.kind();
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        let directory = path.parent().unwrap_or(path).display().to_string();
        return FailureCause::DiskFull { directory, message };
    }
    FailureCause::Storage { message }
}
