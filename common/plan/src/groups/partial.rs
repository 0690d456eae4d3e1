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
use super::keys::Keys;
use super::table::{Added, GroupTable};

/// Whether grouping pays is looked at every time so many rows have come. Fewer would say little: of the first 100,000 rows
/// of 600,000 equally frequent groups, nine of ten are new.
pub(crate) const PROBE_ROWS: usize = 1_000_000;
/// New groups per hundred rows beyond which it does not pay.
const PROBE_PERCENT: usize = 95;
/// When so many rows have brought new groups in more than so many per hundred, the rest of the first million is looked at without
/// the trouble of grouping it.
const DOUBT_ROWS: usize = 1 << 17;
const DOUBT_PERCENT: usize = 99;
/// One of so many keys is watched then.
const WATCHED: u64 = 16;

/// The partial counts of `input`.
pub(super) fn stream(
    input: SendableRecordBatchStream,
    work: Work,
    memory: MemoryReservation,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&work.schema);
    let counting = Counting::new(work, memory);
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

/// What becomes of rows.
#[derive(Debug)]
enum Mode {
    /// They are grouped.
    Groups,
    /// They are handed through, until it is known whether grouping would pay.
    Doubts(Sample),
    /// They are handed through: nearly every row is a group of its own.
    HandsThrough,
}

/// Rows since grouping was last looked at, and the new groups among them.
#[derive(Debug, Default)]
struct Window {
    rows: usize,
    new_groups: usize,
    /// A first look was taken: there is no doubt any more.
    has_looked: bool,
}

/// The rows of some keys, none of which is grouped.
#[derive(Debug, Default)]
struct Sample {
    rows: usize,
    /// Of the rows whose keys are watched: half a MiB at most, but for the last batch.
    hashes: Vec<u64>,
}

impl Window {
    /// Takes in the figures of a batch. Gives what else to do with those that come; `None` to go on.
    fn judge(&mut self, rows: usize, new_groups: usize) -> Option<Mode> {
        self.rows += rows;
        self.new_groups += new_groups;
        let has_beyond = |percent: usize| self.new_groups * 100 > self.rows * percent;
        let next = if self.rows >= PROBE_ROWS {
            has_beyond(PROBE_PERCENT).then_some(Mode::HandsThrough)
        } else if !self.has_looked && self.rows >= DOUBT_ROWS && has_beyond(DOUBT_PERCENT) {
            Some(Mode::Doubts(Sample::default()))
        } else {
            return None;
        };
        *self = Self { has_looked: true, ..Self::default() };
        next
    }
}

impl Sample {
    /// Takes in the keys of a batch. Gives what to do with the rows that come after it; `None` to go on.
    fn judge(&mut self, keys: &Keys<'_>) -> Option<Mode> {
        self.rows += keys.rows();
        self.hashes.extend((0..keys.rows()).map(|row| keys.hash(row, 0)).filter(|hash| hash % WATCHED == 0));
        if self.rows < PROBE_ROWS - DOUBT_ROWS {
            return None;
        }
        let rows = self.hashes.len();
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let is_hopeless = self.hashes.len() * 100 > rows * PROBE_PERCENT;
        Some(if is_hopeless { Mode::HandsThrough } else { Mode::Groups })
    }
}

/// The work on one partition.
struct Counting {
    work: Work,
    table: GroupTable,
    memory: MemoryReservation,
    mode: Mode,
    window: Window,
}

impl Counting {
    fn new(work: Work, memory: MemoryReservation) -> Self {
        Self { table: work.table(), work, memory, mode: Mode::Groups, window: Window::default() }
    }

    /// Takes in the rows of a batch. Gives what is handed on.
    fn take_in(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        match &mut self.mode {
            Mode::Groups => return self.group(batch),
            Mode::Doubts(sample) => {
                if let Some(mode) = sample.judge(&self.work.keys(batch)) {
                    self.mode = mode;
                }
            }
            Mode::HandsThrough => {}
        }
        Ok(vec![self.hand_through(batch)?])
    }

    /// Counts the rows of a batch. Gives what has to be handed out because there is no room for it, or no use.
    fn group(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
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
        let next = self.window.judge(batch.num_rows(), new_groups);
        if next.is_some() || self.table.is_full() || self.memory.try_resize(self.table.bytes()).is_err() {
            handed_out.extend(self.hand_out()?);
        }
        if let Some(mode) = next {
            self.mode = mode;
        }
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
            let counts: Vec<i64> = (0..batch.num_rows()).map(count).collect();
            Arc::new(Int64Array::from(counts)) as ArrayRef
        });
        self.work.batch(keys.chain(counts).collect())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, StringViewArray};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

    use super::super::Counted;
    use super::*;
    use crate::measured::OperatorFigures;

    const BATCH_ROWS: usize = 50_000;

    /// The rows that come out, when batches of the keys with these numbers go in.
    fn rows_out(batches: impl Iterator<Item = usize>) -> usize {
        let schema =
            Schema::new(vec![Field::new("key", DataType::Utf8View, true), Field::new("n", DataType::Int64, false)]);
        let work = Work {
            keys: vec![0],
            counted: vec![Counted::Rows],
            schema: Arc::new(schema),
            batch_rows: 8192,
            figures: OperatorFigures::new(&ExecutionPlanMetricsSet::new(), 0),
        };
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut counting = Counting::new(work, MemoryConsumer::new("test").register(&pool));
        let input_schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Utf8View, true)]));
        let (mut rows, mut counted, mut given) = (0, 0, 0);
        let mut add = |batches: Vec<RecordBatch>| {
            rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            let counts = batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().iter());
            counted += counts.sum::<i64>();
        };
        for first in batches {
            let keys = (first..first + BATCH_ROWS).map(|key| Some(format!("a key of number {key}")));
            let keys: ArrayRef = Arc::new(keys.collect::<StringViewArray>());
            let batch = RecordBatch::try_new(Arc::clone(&input_schema), vec![keys]).unwrap();
            given += batch.num_rows() as i64;
            add(counting.take_in(&batch).unwrap());
        }
        add(counting.hand_out().unwrap());
        assert_eq!(counted, given);
        rows
    }

    #[test]
    fn rows_that_are_all_new_are_handed_through() {
        let batches = || (0..40).map(|batch| batch * BATCH_ROWS);
        assert_eq!(rows_out(batches()), 40 * BATCH_ROWS);
        // Then even those that are not.
        assert_eq!(rows_out(batches().chain([0; 20])), 60 * BATCH_ROWS);
    }

    /// A list of all keys, and over again: what comes first says nothing of what follows.
    #[test]
    fn keys_that_come_again_late_are_grouped() {
        let keys = 8;
        let rows = rows_out((0..60).map(|batch| batch % keys * BATCH_ROWS));
        // The first three batches made it doubt, until a million rows had come.
        assert_eq!(rows, (21 + keys) * BATCH_ROWS);
    }

    #[test]
    fn keys_that_come_again_soon_are_grouped_from_the_beginning() {
        assert_eq!(rows_out((0..60).map(|batch| batch / 2 % 5 * BATCH_ROWS)), 5 * BATCH_ROWS);
    }
}
