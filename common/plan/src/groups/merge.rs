//! Counting as a final aggregate: adds up partial counts, so that every group comes out once.
//!
//! Without room for more, all groups are put on disk, in parts by their keys; each part is then a smaller piece of the same work.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};

use super::Work;
use super::batch::Groups;
use super::keys::Keys;
use super::table::{Added, GroupTable};

/// Parts that groups are put on disk in.
const PARTS: usize = 16;
/// How often parts are divided into parts again; a group that does not fit after that never will.
const DEPTH_MAX: u32 = 6;
/// Batches of groups that are divided at a time.
const BATCHES_AT_ONCE: usize = 64;

/// The groups of `inputs`, whose rows are partial counts. No group is in two of them.
pub(super) fn stream(
    inputs: Vec<SendableRecordBatchStream>,
    work: Work,
    (memory, spills): (MemoryReservation, SpillManager),
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&work.schema);
    let sources = inputs.into_iter().rev().map(|input| Source { rows: Rows::Input(input), depth: 0 }).collect();
    let merging = Merging { table: work.table(), work, memory, spills, sources, groups: None, parts: Vec::new() };
    let batches =
        stream::try_unfold(
            merging,
            |mut merging| async move { Ok(merging.next().await?.map(|batch| (batch, merging))) },
        );
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// Rows whose groups are no other source's.
struct Source {
    rows: Rows,
    /// How often its rows were divided into parts.
    depth: u32,
}

enum Rows {
    Input(SendableRecordBatchStream),
    Files(Vec<Arc<dyn SpillFile>>),
}

/// The work on one partition.
struct Merging {
    work: Work,
    table: GroupTable,
    memory: MemoryReservation,
    spills: SpillManager,
    sources: Vec<Source>,
    /// Finished groups, to be handed out.
    groups: Option<Groups>,
    /// The files of each part of the source at hand, once there was no room for its groups.
    parts: Vec<Vec<Arc<dyn SpillFile>>>,
}

impl Merging {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(groups) = &mut self.groups {
                let _timer = self.work.figures.compute.timer();
                if let Some(columns) = groups.next() {
                    return self.work.batch(columns?).map(Some);
                }
            }
            if let Some(groups) = self.groups.take() {
                // The next source has about as many.
                self.table.reuse(groups);
                self.memory.try_resize(self.table.bytes())?;
            }
            let Some(source) = self.sources.pop() else { return Ok(None) };
            self.merge(source).await?;
        }
    }

    /// Brings the groups of a source together, or into parts that are sources again.
    async fn merge(&mut self, source: Source) -> Result<()> {
        match source.rows {
            Rows::Input(rows) => self.take_in_all(rows, source.depth).await?,
            Rows::Files(files) => {
                for file in files {
                    let rows = self.spills.read_spill_as_stream(file, None)?;
                    self.take_in_all(rows, source.depth).await?;
                }
            }
        }
        let compute = self.work.figures.compute.clone();
        let _timer = compute.timer();
        if self.parts.is_empty() {
            self.groups = self.table.take(self.work.batch_rows);
            return Ok(());
        }
        self.put_on_disk(source.depth)?;
        let parts = std::mem::take(&mut self.parts).into_iter().filter(|files| !files.is_empty());
        self.sources.extend(parts.map(|files| Source { rows: Rows::Files(files), depth: source.depth + 1 }));
        Ok(())
    }

    async fn take_in_all(&mut self, mut rows: SendableRecordBatchStream, depth: u32) -> Result<()> {
        while let Some(batch) = rows.try_next().await? {
            let compute = self.work.figures.compute.clone();
            let _timer = compute.timer();
            self.take_in(&batch)?;
            self.work.figures.memory.set_max(self.table.bytes());
            let grown = self.memory.try_resize(self.table.bytes());
            if grown.is_err() && depth >= DEPTH_MAX {
                return grown;
            }
            if grown.is_err() || self.table.is_full() {
                self.put_on_disk(depth)?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, batch: &RecordBatch) -> Result<()> {
        let (keys, amounts) = (self.work.keys(batch), self.work.amounts(batch));
        let mut first = 0;
        while let Added::Before(row) = self.table.add(&keys, &amounts, first) {
            first = row;
            // What there is moves to a table of another layout.
            for columns in self.table.take(self.work.batch_rows).into_iter().flatten() {
                self.take_in(&self.partial_counts(columns?)?)?;
            }
        }
        Ok(())
    }

    /// Columns of the table as rows of the input.
    fn partial_counts(&self, mut columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        let schema = self.spills.schema();
        columns.truncate(schema.fields().len());
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }

    /// Puts all groups on disk.
    fn put_on_disk(&mut self, depth: u32) -> Result<()> {
        self.parts.resize_with(PARTS, Vec::new);
        let mut groups = self.table.take(self.work.batch_rows).into_iter().flatten().peekable();
        while groups.peek().is_some() {
            let mut batches = vec![Vec::new(); PARTS];
            for columns in groups.by_ref().take(BATCHES_AT_ONCE) {
                let batch = self.partial_counts(columns?)?;
                let rows = divide(&self.work.keys(&batch), depth);
                for (batches, rows) in batches.iter_mut().zip(rows) {
                    batches.push(take_record_batch(&batch, &UInt32Array::from(rows))?);
                }
            }
            for (files, batches) in self.parts.iter_mut().zip(batches) {
                files.extend(self.spills.spill_record_batch_and_finish(&batches, "groups")?);
            }
        }
        self.memory.free();
        Ok(())
    }
}

/// The rows of each part.
fn divide(keys: &Keys<'_>, depth: u32) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); PARTS];
    for row in 0..keys.rows() {
        let part = keys.hash(row, u64::from(depth) + 1) >> 32;
        parts[part as usize % PARTS].push(row as u32);
    }
    parts
}
