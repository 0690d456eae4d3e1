//! The groups of a table as columns. Strings are views into the memory of its records.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::error::ArrowError;

use super::keys::{NULL, is_whole};
use super::records::{FinishedRecords, Record, read_key};
use super::table::Layout;

/// All groups that a table had, in batches: the columns of the keys, then those of the counters.
pub(super) struct Groups {
    records: FinishedRecords,
    layout: Layout,
    keys: usize,
    /// For each combination of minor keys their views, with those keys.
    minors: Vec<Vec<(usize, u128)>>,
    rows_max: usize,
    /// The next record, and the next of its combinations.
    next: (usize, usize),
}

/// Columns that are being filled.
struct Batch {
    keys: Vec<Vec<u128>>,
    counts: Vec<Vec<i64>>,
    /// Blocks that the records are in.
    blocks: Option<(usize, usize)>,
}

impl Groups {
    pub(super) fn new(records: FinishedRecords, (keys, layout): (usize, Layout), rows_max: usize) -> Self {
        let minors = (0..layout.minors.combinations()).map(|combination| layout.minors.views(combination)).collect();
        Self { records, layout, keys, minors, rows_max, next: (0, 0) }
    }

    fn fill(&mut self, batch: &mut Batch) {
        let mut views = vec![0; self.keys];
        while let Some(record) = self.records.get(self.next.0) {
            read_majors(&self.layout, &record, &mut views);
            for (combination, minors) in self.minors.iter().enumerate().skip(self.next.1) {
                let counter = combination * self.layout.counters;
                // The first counter is one ahead: so it tells whether the group is there.
                if record.is_untouched(counter) {
                    continue;
                }
                if batch.rows() == self.rows_max {
                    self.next.1 = combination;
                    return;
                }
                minors.iter().for_each(|(key, view)| views[*key] = *view);
                batch.add(&views, (&record, counter));
            }
            self.next = (self.next.0 + 1, 0);
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Vec<ArrayRef>, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Batch {
            keys: vec![Vec::with_capacity(self.rows_max.min(1 << 16)); self.keys],
            counts: vec![Vec::with_capacity(self.rows_max.min(1 << 16)); self.layout.counters],
            blocks: None,
        };
        self.fill(&mut batch);
        (batch.rows() > 0).then(|| batch.finish(&self.records.blocks))
    }
}

impl Batch {
    fn rows(&self) -> usize {
        self.counts.first().map_or(0, Vec::len)
    }

    fn add(&mut self, views: &[u128], (record, counter): (&Record<'_>, usize)) {
        let (first, last) = self.blocks.get_or_insert((record.block, record.block));
        *last = record.block;
        let before = (*first as u128) << 64;
        for (key, view) in self.keys.iter_mut().zip(views) {
            key.push(if is_whole(*view) { *view } else { view - before });
        }
        for (number, counts) in self.counts.iter_mut().enumerate() {
            let count = record.counter(counter + number) - u64::from(number == 0);
            counts.push(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn finish(self, blocks: &[Buffer]) -> Result<Vec<ArrayRef>, ArrowError> {
        let blocks: Arc<[Buffer]> = self.blocks.map_or([].as_slice(), |(first, last)| &blocks[first..=last]).into();
        let keys = self.keys.into_iter().map(|views| text_column(views, Arc::clone(&blocks)));
        let counts = self.counts.into_iter().map(|counts| Ok(Arc::new(Int64Array::from(counts)) as ArrayRef));
        keys.chain(counts).collect()
    }
}

/// Reads the keys of a record that are not minor as views into its block.
fn read_majors(layout: &Layout, record: &Record<'_>, views: &mut [u128]) {
    let mut at = layout.head();
    for key in &layout.majors {
        let (view, string) = read_key(&record.words[at..]);
        let offset = (record.first + at + 1) * size_of::<u64>();
        views[*key] = if is_whole(view) { view } else { view | (record.block as u128) << 64 | (offset as u128) << 96 };
        at += 1 + string.len();
    }
}

fn text_column(mut views: Vec<u128>, blocks: Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
    let nulls = views.contains(&NULL).then(|| views.iter().map(|view| *view != NULL).collect::<NullBuffer>());
    views.iter_mut().filter(|view| **view == NULL).for_each(|view| *view = 0);
    Ok(Arc::new(StringViewArray::try_new(ScalarBuffer::from(views), blocks, nulls)?))
}
