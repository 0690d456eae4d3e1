//! The groups of a table as columns.
//!
//! Strings are copied out of the records, one behind another: they are checked at once then, what comes out holds no more
//! memory than it needs, and that of the records can be used again.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, LargeStringArray, NullBufferBuilder, StringViewArray, UInt32Array,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;

use super::keys::{NULL, is_whole, length};
use super::records::{Record, Records, read_key};
use super::table::Layout;
use crate::text::{append_inline, append_words};

/// Strings of a batch, in bytes, after which no record is begun.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Rows for which there is room from the beginning, at most.
const ROWS_AHEAD_MAX: usize = 1 << 16;

/// All groups that a table had, in batches: the columns of the keys, then those of the counters.
pub(super) struct Groups {
    records: Records,
    layout: Layout,
    keys: usize,
    rows_max: usize,
    /// The next record, and the next of its combinations.
    next: (usize, usize),
    /// Bytes of each key's strings in the batch before.
    text_bytes: Vec<usize>,
}

/// Columns that are being filled.
struct Batch {
    /// Of each key that is not minor, the strings of the records that rows come from.
    majors: Vec<Texts>,
    /// Which of those records each row comes from, and which combination of minor keys it is.
    records: Vec<u32>,
    combinations: Vec<u32>,
    counts: Vec<Vec<i64>>,
}

/// Strings, one behind another.
struct Texts {
    /// Where each begins, and where the last one ends.
    offsets: Vec<i64>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Groups {
    pub(super) fn new(records: Records, (keys, layout): (usize, Layout), rows_max: usize) -> Self {
        let text_bytes = vec![0; layout.majors.len()];
        Self { records, layout, keys, rows_max, next: (0, 0), text_bytes }
    }

    /// The memory that the groups were in.
    pub(super) fn into_records(self) -> Records {
        self.records
    }

    fn fill(&mut self, batch: &mut Batch) {
        let (combinations, counters) = (self.layout.minors.combinations(), self.layout.counters);
        while let Some(record) = self.records.get(self.next.0) {
            // The first counter is one ahead: so it tells whether the group is there.
            let touched = record.touched(combinations, counters) & (u32::MAX << self.next.1);
            let mut left = touched;
            while left != 0 {
                let combination = left.trailing_zeros() as usize;
                if batch.is_full(self.rows_max) {
                    self.next.1 = combination;
                    return;
                }
                if left == touched {
                    batch.begin_record(&self.layout, &record);
                }
                batch.add_row(combination, (&record, combination * counters));
                left &= left - 1;
            }
            self.next = (self.next.0 + 1, 0);
        }
    }

    fn columns(&self, batch: Batch) -> Result<Vec<ArrayRef>, ArrowError> {
        let Batch { majors, records, combinations, counts } = batch;
        let mut columns = vec![None; self.keys];
        // Without minor keys each record is a row.
        let records = (majors.first().map(Texts::len) != Some(records.len())).then(|| UInt32Array::from(records));
        for (key, texts) in self.layout.majors.iter().zip(majors) {
            let texts = texts.finish()?;
            columns[*key] = Some(match &records {
                Some(records) => take(&texts, records, None)?,
                None => Arc::new(texts),
            });
        }
        let combinations = UInt32Array::from(combinations);
        for (key, values) in self.layout.minors.values() {
            columns[key] = Some(take(&whole_column(values)?, &combinations, None)?);
        }
        let counts = counts.into_iter().map(|counts| Arc::new(Int64Array::from(counts)) as ArrayRef);
        Ok(columns.into_iter().flatten().chain(counts).collect())
    }
}

impl Iterator for Groups {
    type Item = Result<Vec<ArrayRef>, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Batch::new(&self.layout, self.rows_max.min(ROWS_AHEAD_MAX), &self.text_bytes);
        self.fill(&mut batch);
        self.text_bytes = batch.majors.iter().map(|texts| texts.bytes.len()).collect();
        (!batch.records.is_empty()).then(|| self.columns(batch))
    }
}

impl Batch {
    fn new(layout: &Layout, rows: usize, text_bytes: &[usize]) -> Self {
        Self {
            majors: text_bytes.iter().map(|bytes| Texts::new(rows, *bytes)).collect(),
            records: Vec::with_capacity(rows),
            combinations: Vec::with_capacity(rows),
            counts: vec![Vec::with_capacity(rows); layout.counters],
        }
    }

    fn is_full(&self, rows_max: usize) -> bool {
        self.records.len() == rows_max || self.majors.iter().any(|texts| texts.bytes.len() >= TEXT_BYTES_MAX)
    }

    fn begin_record(&mut self, layout: &Layout, record: &Record<'_>) {
        let mut at = layout.head();
        for texts in &mut self.majors {
            let (view, words) = read_key(&record.words[at..]);
            at += 1 + words;
            texts.push(view, &record.words[at - words..]);
        }
    }

    fn add_row(&mut self, combination: usize, (record, counter): (&Record<'_>, usize)) {
        let number = self.majors.first().map_or(0, Texts::len) - 1;
        self.records.push(number as u32);
        self.combinations.push(combination as u32);
        for (number, counts) in self.counts.iter_mut().enumerate() {
            let count = record.counter(counter + number) - u64::from(number == 0);
            counts.push(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl Texts {
    fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(bytes + bytes / 8), nulls: NullBufferBuilder::new(rows) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Adds the string of a view; `words` begin with it where the view does not hold it.
    #[inline]
    fn push(&mut self, view: u128, words: &[u64]) {
        self.nulls.append(view != NULL);
        if view == NULL {
            // It has no bytes.
        } else if is_whole(view) {
            append_inline(&mut self.bytes, view);
        } else {
            append_words(&mut self.bytes, words, length(view) as usize);
        }
        self.offsets.push(self.bytes.len() as i64);
    }

    fn finish(mut self) -> Result<StringViewArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let texts = LargeStringArray::try_new(offsets, Buffer::from(self.bytes), self.nulls.finish())?;
        Ok(StringViewArray::from(&texts))
    }
}

/// A column of views that hold their strings.
fn whole_column(mut views: Vec<u128>) -> Result<StringViewArray, ArrowError> {
    let mut nulls = NullBufferBuilder::new(views.len());
    for view in &mut views {
        nulls.append(*view != NULL);
        *view = if *view == NULL { 0 } else { *view };
    }
    StringViewArray::try_new(ScalarBuffer::from(views), [], nulls.finish())
}
