//! Writes one shuffle output: rows are gathered by shuffle partition in memory and written as frames.
//!
//! A small output is one run of frames per partition, a large one some runs.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use hearth_common::{AttemptId, FailureCause};
use hearth_plan::cause_of;

use super::compact::{compact_sparse, row_bytes};
use super::frame_file::{FRAME_BYTES_TARGET, FRAME_ROWS_MAX, FrameFile, arrow_cause, frame_rows};
use super::held::Held;
use super::partition::Partitioner;
use super::scatter::Scatter;
use super::store::ShuffleStore;

/// Rows are held back until there are this many bytes of them per shuffle partition, ...
const BUFFER_BYTES_PER_PARTITION: usize = 1 << 20;
/// ... but never more than this.
const BUFFER_BYTES_MAX: usize = 32 << 20;
/// Memory for rows that stays when all of them go out, unless there is too little for others.
const KEPT_BYTES_MAX: usize = 2 * BUFFER_BYTES_MAX;
/// A batch of more bytes is taken in in pieces.
const BATCH_BYTES_MAX: usize = 64 << 20;

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
    /// Chosen by the first batch.
    rows: Option<Rows>,
    reservation: MemoryReservation,
    frames: FrameFile,
}

/// Rows that are in no frame yet.
#[derive(Debug)]
enum Rows {
    Scattered(Scatter),
    Held(Held),
}

impl ShuffleWriter {
    pub(crate) fn create(
        store: Arc<ShuffleStore>,
        spec: ShuffleSpec,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self, FailureCause> {
        let partitioner = Partitioner::new(spec.hash_exprs, spec.partitions);
        let frames = FrameFile::create(&store, spec.attempt, partitioner.partitions())?;
        let reservation = MemoryConsumer::new("shuffle output").register(pool);
        Ok(Self { attempt: spec.attempt, store, partitioner, rows: None, reservation, frames })
    }

    /// Takes rows.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), FailureCause> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.num_rows() > 1 && is_large(batch) {
            let half = batch.num_rows() / 2;
            self.push(&batch.slice(0, half))?;
            return self.push(&batch.slice(half, batch.num_rows() - half));
        }
        let partitions = self.partitioner.assign(batch).map_err(|error| cause_of(&error))?;
        let count = self.partitioner.partitions() as usize;
        let rows = self.rows.get_or_insert_with(|| match Scatter::new(&batch.schema(), count) {
            Some(scatter) => Rows::Scattered(scatter),
            None => Rows::Held(Held::default()),
        });
        match rows {
            Rows::Scattered(scatter) => {
                scatter.append(batch, &partitions).map_err(arrow_cause)?;
                self.write_full_frames()
            }
            Rows::Held(held) => {
                held.append(compact_sparse(batch).map_err(arrow_cause)?, partitions);
                let bytes_max = BUFFER_BYTES_PER_PARTITION.saturating_mul(count).min(BUFFER_BYTES_MAX);
                // Without memory to hold rows back, what is held goes out.
                let fits = self.reservation.try_resize(held.bytes()).is_ok();
                if !fits || held.bytes() >= bytes_max || held.is_full() { self.write_all() } else { Ok(()) }
            }
        }
    }

    /// Writes a frame without rows, so that a result without rows still tells its columns.
    pub(crate) fn write_schema(&mut self, schema: &SchemaRef) -> Result<(), FailureCause> {
        self.frames.write(0, &RecordBatch::new_empty(SchemaRef::clone(schema)))
    }

    /// Bytes in the file so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.frames.bytes()
    }

    /// Completes the output. Answers with the bytes of each shuffle partition.
    pub(crate) fn finish(mut self) -> Result<Vec<u64>, FailureCause> {
        self.write_all()?;
        let partition_bytes = self.frames.complete(&self.store.path(self.attempt))?;
        self.store.add(self.attempt);
        Ok(partition_bytes)
    }

    /// Writes the partitions that have enough rows for a frame.
    fn write_full_frames(&mut self) -> Result<(), FailureCause> {
        let Some(Rows::Scattered(scatter)) = &mut self.rows else { return Ok(()) };
        let mut bytes_held = 0;
        for partition in 0..scatter.rows().len() {
            let bytes = scatter.bytes(partition);
            if scatter.rows()[partition] >= FRAME_ROWS_MAX || bytes >= FRAME_BYTES_TARGET {
                write_partition(scatter, &mut self.frames, partition)?;
            } else {
                bytes_held += bytes;
            }
        }
        let fits = self.reservation.try_resize(scatter.capacity()).is_ok();
        if fits && bytes_held < BUFFER_BYTES_MAX {
            return Ok(());
        }
        if !fits || scatter.capacity() > KEPT_BYTES_MAX {
            return self.write_all();
        }
        // As many rows will come again: they find their memory where it is.
        write_partitions(scatter, &mut self.frames)
    }

    /// Writes all rows, and gives back the memory they took up.
    fn write_all(&mut self) -> Result<(), FailureCause> {
        match self.rows.take() {
            None => {}
            Some(Rows::Scattered(mut scatter)) => write_partitions(&mut scatter, &mut self.frames)?,
            Some(Rows::Held(held)) => {
                let rows_max = frame_rows(held.bytes(), held.rows());
                let count = self.partitioner.partitions() as usize;
                held.gather(count, rows_max, |partition, rows| self.frames.write(partition, rows))?;
            }
        }
        self.reservation.free();
        Ok(())
    }
}

/// Writes all rows.
fn write_partitions(scatter: &mut Scatter, frames: &mut FrameFile) -> Result<(), FailureCause> {
    (0..scatter.rows().len()).try_for_each(|partition| write_partition(scatter, frames, partition))
}

/// Writes the rows of a partition in frames of about the same size.
fn write_partition(scatter: &mut Scatter, frames: &mut FrameFile, partition: usize) -> Result<(), FailureCause> {
    let (count, bytes) = (scatter.rows()[partition], scatter.bytes(partition));
    if count == 0 {
        return Ok(());
    }
    let rows = scatter.take(partition).map_err(arrow_cause)?;
    let rows_max = frame_rows(bytes, count);
    // A few more in one are better than a few in a frame of their own.
    let rows_each = count.div_ceil(count.div_ceil(rows_max + rows_max / 4));
    for at in (0..count).step_by(rows_each) {
        frames.write(partition, &rows.slice(at, rows_each.min(count - at)))?;
    }
    drop(rows);
    scatter.take_back();
    Ok(())
}

/// A batch of more bytes than are taken in at a time.
fn is_large(batch: &RecordBatch) -> bool {
    // The first is cheap to find out, and more than the second where memory is shared.
    batch.columns().iter().map(|column| column.get_array_memory_size()).sum::<usize>() > BATCH_BYTES_MAX
        && row_bytes(batch) > BATCH_BYTES_MAX
}
