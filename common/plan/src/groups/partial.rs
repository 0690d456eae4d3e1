//! Counting as a partial aggregate: a group may come out several times.
//!
//! Memory is bounded by handing out what there is, and where nearly every row is a group of its own the rows are handed through.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

use super::Work;
use super::table::{Added, GroupTable};

/// Whether grouping pays is looked at every time so many rows have come. Fewer would say little: of the first 100,000 rows
/// of 600,000 equally frequent groups, nine of ten are new.
pub(crate) const PROBE_ROWS: usize = 1_000_000;
/// New groups per hundred rows beyond which it does not pay.
const PROBE_PERCENT: usize = 95;

/// The partial counts of `input`.
pub(super) fn stream(
    input: SendableRecordBatchStream,
    work: Work,
    memory: MemoryReservation,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&work.schema);
    let counting = Counting { table: work.table(), work, memory, window: Window::default(), hands_through: false };
    let batches = stream::try_unfold((input, Some(counting)), |(mut input, counting)| async move {
        let Some(mut counting) = counting else { return Ok(None) };
        let batch = input.try_next().await?;
        let compute = counting.work.figures.compute.clone();
        let _timer = compute.timer();
        let next = match batch {
            Some(batch) => (counting.take_in(&batch)?, (input, Some(counting))),
            None => (counting.hand_out()?, (input, None)),
        };
        Ok::<_, DataFusionError>(Some(next))
    });
    let batches = batches.map_ok(|batches| stream::iter(batches).map(Ok::<_, DataFusionError>)).try_flatten();
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// Rows since grouping was last looked at, and the new groups among them.
#[derive(Debug, Default)]
struct Window {
    rows: usize,
    new_groups: usize,
}

impl Window {
    /// Takes in the figures of a batch. True at the end of a window in which nearly every row was a new group.
    fn is_hopeless(&mut self, rows: usize, new_groups: usize) -> bool {
        self.rows += rows;
        self.new_groups += new_groups;
        if self.rows < PROBE_ROWS {
            return false;
        }
        let Self { rows, new_groups } = std::mem::take(self);
        new_groups * 100 > rows * PROBE_PERCENT
    }
}

/// The work on one partition.
struct Counting {
    work: Work,
    table: GroupTable,
    memory: MemoryReservation,
    window: Window,
    /// Nearly every row is a group of its own.
    hands_through: bool,
}

impl Counting {
    /// Counts the rows of a batch. Gives what has to be handed out because there is no room for it.
    fn take_in(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        if self.hands_through {
            return Ok(vec![self.hand_through(batch)?]);
        }
        let (keys, amounts) = (self.work.keys(batch), self.work.amounts(batch));
        let (mut handed_out, mut new_groups, mut first) = (Vec::new(), 0, 0);
        loop {
            let before = self.table.groups();
            let added = self.table.add(&keys, &amounts, first);
            new_groups += self.table.groups() - before;
            match added {
                Added::All => break,
                Added::Before(row) => first = row,
            }
            handed_out.extend(self.hand_out()?);
        }
        self.work.figures.memory.set_max(self.table.bytes());
        let is_hopeless = self.window.is_hopeless(batch.num_rows(), new_groups);
        if is_hopeless || self.table.is_full() || self.memory.try_resize(self.table.bytes()).is_err() {
            handed_out.extend(self.hand_out()?);
        }
        self.hands_through = is_hopeless;
        Ok(handed_out)
    }

    /// All groups so far.
    fn hand_out(&mut self) -> Result<Vec<RecordBatch>> {
        let groups = self.table.take(self.work.batch_rows);
        self.memory.free();
        groups.into_iter().flatten().map(|columns| self.work.batch(columns?)).collect()
    }

    /// The rows of a batch as groups of one row each.
    fn hand_through(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let keys = self.work.keys.iter().map(|column| Arc::clone(batch.column(*column)));
        let counts = self.work.counted.iter().map(|counted| {
            let amounts = counted.amounts(batch);
            let count = |row: usize| i64::try_from(amounts.of(row)).unwrap_or(i64::MAX);
            Arc::new((0..batch.num_rows()).map(count).collect::<Int64Array>()) as ArrayRef
        });
        self.work.batch(keys.chain(counts).collect())
    }
}
