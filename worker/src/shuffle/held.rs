//! Rows on their way into frames where a column has a type that cannot be appended value by value: batches are held back whole,
//! with the shuffle partition of each row, until enough rows are there; then each partition's rows are gathered in one copy.

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use hearth_common::FailureCause;

use super::compact::row_bytes;
use super::frame_file::arrow_cause;

/// Batches that are held at most, however small they are.
const BATCHES_MAX: usize = 1024;

/// The batches.
#[derive(Debug, Default)]
pub(super) struct Held {
    batches: Vec<RecordBatch>,
    partitions: Vec<Vec<u32>>,
    bytes: usize,
}

impl Held {
    pub(super) fn append(&mut self, batch: RecordBatch, partitions: Vec<u32>) {
        self.bytes += row_bytes(&batch);
        self.batches.push(batch);
        self.partitions.push(partitions);
    }

    /// Bytes of their rows.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn is_full(&self) -> bool {
        self.batches.len() >= BATCHES_MAX
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Hands the rows of each of `partitions` to `write`, at most `rows_max` at a time.
    pub(super) fn gather(
        &self,
        partitions: usize,
        rows_max: usize,
        mut write: impl FnMut(usize, &RecordBatch) -> Result<(), FailureCause>,
    ) -> Result<(), FailureCause> {
        let Some(first) = self.batches.first() else { return Ok(()) };
        if partitions == 1 {
            let rows = concat_batches(&first.schema(), &self.batches).map_err(arrow_cause)?;
            let mut starts = (0..rows.num_rows()).step_by(rows_max);
            return starts.try_for_each(|at| write(0, &rows.slice(at, rows_max.min(rows.num_rows() - at))));
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        for (partition, places) in self.places(partitions).iter().enumerate() {
            for places in places.chunks(rows_max) {
                write(partition, &interleave_record_batch(&batches, places).map_err(arrow_cause)?)?;
            }
        }
        Ok(())
    }

    /// For each shuffle partition its rows, as (batch, row).
    fn places(&self, partitions: usize) -> Vec<Vec<(usize, usize)>> {
        let mut places = vec![Vec::new(); partitions];
        for (batch, partitions) in self.partitions.iter().enumerate() {
            for (row, partition) in partitions.iter().enumerate() {
                places[*partition as usize].push((batch, row));
            }
        }
        places
    }
}
