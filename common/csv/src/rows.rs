//! The rows of a batch that is being filled: what a run of records adds to each column, and which of them the filters leave out.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use hearth_common::FailureCause;

use crate::column::{Column, ColumnSpec, column};
use crate::filter::Test;
use crate::header::Layout;
use crate::read::CsvTable;
use crate::run::Run;

/// One row in so many is few: their texts are copied, and the bytes of the others can go.
const FEW: usize = 4;
/// Times the records of a batch that are looked at for one batch.
const ROUNDS_MAX: usize = 16;
/// Bytes that a batch holds before it stops waiting for more rows.
const HELD_BYTES_MAX: usize = 8 << 20;
/// Bytes that a batch holds before it ends, however few its records are: texts are views into what was read, and hold all of it.
/// Only records of more than 4 KiB on average end their batches so.
pub(crate) const FULL_BYTES: usize = 32 << 20;

/// Which records of a run are kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// For each record.
    pub(crate) mask: Vec<bool>,
    /// Their numbers in the run.
    pub(crate) rows: Vec<usize>,
}

impl Kept {
    /// So many of its neighbours are kept that texts can stay where they are.
    pub(crate) fn is_dense(&self) -> bool {
        self.rows.len() * FEW >= self.mask.len()
    }
}

/// A field that is not of its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BadField {
    /// Number of its record in the run.
    pub(crate) record: usize,
    /// Position of its column in the table.
    pub(crate) column: usize,
}

/// A column that is read.
struct Reading {
    /// Its position in the table.
    number: usize,
    is_tested: bool,
    column: Box<dyn Column>,
}

/// Collects the rows of one batch after the other.
pub(crate) struct Rows {
    /// Of the batches.
    schema: SchemaRef,
    /// The columns of the batches.
    outputs: Vec<Reading>,
    /// Columns that are only tested.
    tested: Vec<Reading>,
    has_filters: bool,
    /// Rows in `outputs`.
    len: usize,
    /// Of them those that are rejects, in their order.
    rejected: Vec<usize>,
    kept: Kept,
    bad: Vec<usize>,
    /// Filled so often without getting many rows.
    rounds: usize,
    held_bytes: usize,
    holds_segment: bool,
}

impl Rows {
    /// For a file whose fields stand so.
    ///
    /// # Errors
    /// A projection or a filter that does not fit the table.
    pub(crate) fn new(table: &CsvTable, layout: &Layout) -> Result<Self, FailureCause> {
        let all = || (0..table.schema.fields().len()).collect();
        let projection: Vec<usize> = table.projection.clone().unwrap_or_else(all);
        let schema = table.schema.project(&projection).map_err(|error| FailureCause::internal(error.to_string()))?;
        let reading = |number: usize| {
            let tests: Vec<Test> = table
                .filters
                .iter()
                .filter(|filter| filter.column == number)
                .map(|filter| filter.test.clone())
                .collect();
            let field = layout.field_of.get(number).copied().flatten();
            let spec = ColumnSpec { data_type: table.schema.field(number).data_type(), field, tests: &tests };
            let column = column(spec, (&table.options, table.batch_rows))?;
            Ok::<_, FailureCause>(Reading { number, is_tested: !tests.is_empty(), column })
        };
        let mut tested: Vec<usize> = table.filters.iter().map(|filter| filter.column).collect();
        tested.retain(|number| !projection.contains(number));
        tested.sort_unstable();
        tested.dedup();
        if let Some(unknown) = tested.last().filter(|number| **number >= table.schema.fields().len()) {
            return Err(FailureCause::internal(format!("a filter on column {unknown}, which the table does not have")));
        }
        Ok(Self {
            schema: Arc::new(schema),
            outputs: projection.into_iter().map(reading).collect::<Result<_, _>>()?,
            tested: tested.into_iter().map(reading).collect::<Result<_, _>>()?,
            has_filters: !table.filters.is_empty(),
            len: 0,
            rejected: Vec::new(),
            kept: Kept::default(),
            bad: Vec::new(),
            rounds: 0,
            held_bytes: 0,
            holds_segment: false,
        })
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// What follows stands in other bytes.
    pub(crate) fn begin_segment(&mut self) {
        self.holds_segment = false;
        self.outputs.iter_mut().for_each(|reading| reading.column.begin_segment());
    }

    /// As many records as make a batch were looked at: whether their rows are so few that more should join them. With a limit
    /// none that were found wait.
    pub(crate) fn wait_for_more(&mut self, batch_rows: usize, limit: Option<usize>) -> bool {
        self.rounds += 1;
        let are_few = if limit.is_some() { self.len == 0 } else { self.len * FEW <= batch_rows };
        self.has_filters && are_few && self.rounds < ROUNDS_MAX && self.held_bytes < HELD_BYTES_MAX
    }

    /// A batch must not hold more: the next record belongs to the next one.
    pub(crate) const fn is_heavy(&self) -> bool {
        self.held_bytes >= FULL_BYTES
    }

    /// Adds the records of a run that pass the filters, and tells how many did not. Of each record that is not of its columns' types
    /// the first column of the table is told, in the order of records; such a record is neither a row nor left out by filters.
    pub(crate) fn add(&mut self, run: Run<'_>, buffer: &Buffer, bad: &mut Vec<BadField>) -> usize {
        if self.has_filters {
            return self.add_filtered(run, buffer, bad);
        }
        for reading in &mut self.outputs {
            reading.column.add(run, buffer, &mut self.bad);
            bad.extend(self.bad.drain(..).map(|record| BadField { record, column: reading.number }));
        }
        self.hold_segment(buffer);
        if !bad.is_empty() {
            keep_first(bad);
            self.rejected.extend(bad.iter().map(|bad| self.len + bad.record));
        }
        self.len += run.records;
        0
    }

    fn add_filtered(&mut self, run: Run<'_>, buffer: &Buffer, bad: &mut Vec<BadField>) -> usize {
        self.kept.mask.clear();
        self.kept.mask.resize(run.records, true);
        for reading in self.tested.iter().chain(&self.outputs).filter(|reading| reading.is_tested) {
            reading.column.narrow(run, &mut self.kept.mask, &mut self.bad);
            bad.extend(self.bad.drain(..).map(|record| BadField { record, column: reading.number }));
        }
        self.kept.rows.clear();
        let kept = self.kept.mask.iter().enumerate().filter_map(|(record, is_kept)| is_kept.then_some(record));
        self.kept.rows.extend(kept);
        for reading in &mut self.outputs {
            reading.column.add_kept((run, &self.kept), buffer, &mut self.bad);
            bad.extend(self.bad.drain(..).map(|record| BadField { record, column: reading.number }));
        }
        self.hold(run, buffer);
        keep_first(bad);
        let mut left_out = run.records - self.kept.rows.len();
        for bad in bad {
            match self.kept.rows.binary_search(&bad.record) {
                Ok(row) => self.rejected.push(self.len + row),
                Err(_) => left_out -= 1,
            }
        }
        self.len += self.kept.rows.len();
        left_out
    }

    /// Counts the bytes that the batch holds for the rows that a run gave.
    fn hold(&mut self, run: Run<'_>, buffer: &Buffer) {
        let kept = self.kept.rows.len();
        if kept == 0 {
            return;
        }
        if self.kept.is_dense() {
            self.hold_segment(buffer);
        } else {
            self.held_bytes += run.length() / run.records.max(1) * kept;
        }
    }

    /// Counts the bytes of the segment at hand, once for each batch.
    fn hold_segment(&mut self, buffer: &Buffer) {
        if !std::mem::replace(&mut self.holds_segment, true) {
            self.held_bytes += buffer.len();
        }
    }

    /// The rows so far, without the rejects among them; begins anew.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, FailureCause> {
        let columns: Vec<ArrayRef> = self.outputs.iter_mut().map(|reading| reading.column.finish()).collect();
        let rows = std::mem::take(&mut self.len);
        (self.rounds, self.held_bytes, self.holds_segment) = (0, 0, false);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        let batch = match batch {
            Ok(batch) if !self.rejected.is_empty() => {
                let mut is_kept = vec![true; rows];
                self.rejected.drain(..).for_each(|row| is_kept[row] = false);
                filter_record_batch(&batch, &BooleanArray::from(is_kept))
            }
            batch => batch,
        };
        batch.map_err(|error| FailureCause::internal(error.to_string()))
    }
}

/// Of each record its first column, in the order of records.
fn keep_first(bad: &mut Vec<BadField>) {
    bad.sort_unstable();
    bad.dedup_by_key(|bad| bad.record);
}
