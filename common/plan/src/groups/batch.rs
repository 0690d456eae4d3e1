//! The groups of a table as columns. Strings are views into the memory of its records.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::error::ArrowError;

use super::keys::{NULL, is_whole};
use super::records::{Records, read_counter, read_key};
use super::table::Layout;

/// Columns that are being filled.
pub(super) struct Batch {
    keys: Vec<Vec<u128>>,
    counts: Vec<Vec<i64>>,
    /// Block of the first record.
    first_block: usize,
    last_block: usize,
}

impl Batch {
    /// All groups of `records`, at most `rows_max` in a batch.
    pub(super) fn all(
        records: Records,
        (keys, layout): (usize, &Layout),
        rows_max: usize,
    ) -> Result<Vec<Vec<ArrayRef>>, ArrowError> {
        let mut batches = Vec::new();
        let (blocks, places) = records.into_buffers();
        let mut batch = Self::new(keys, layout.counters);
        let mut views = vec![0; keys];
        for (block, first) in places {
            let record = &blocks[block].typed_data::<u64>()[first..];
            read_majors(layout, (record, block), first, &mut views);
            for combination in 0..layout.minors.combinations() {
                let counter = combination * layout.counters;
                if read_counter(record, counter) == 0 {
                    continue;
                }
                if batch.rows() == rows_max {
                    let full = std::mem::replace(&mut batch, Self::new(keys, layout.counters));
                    batches.push(full.finish(&blocks)?);
                }
                if batch.rows() == 0 {
                    batch.first_block = block;
                }
                batch.last_block = block;
                layout.minors.read(combination, &mut views);
                batch.add(&views, (record, counter));
            }
        }
        if batch.rows() > 0 {
            batches.push(batch.finish(&blocks)?);
        }
        Ok(batches)
    }

    fn new(keys: usize, counters: usize) -> Self {
        Self { keys: vec![Vec::new(); keys], counts: vec![Vec::new(); counters], first_block: 0, last_block: 0 }
    }

    fn rows(&self) -> usize {
        self.counts.first().map_or(0, Vec::len)
    }

    fn add(&mut self, views: &[u128], (record, counter): (&[u64], usize)) {
        let first_block = (self.first_block as u128) << 64;
        for (key, view) in self.keys.iter_mut().zip(views) {
            key.push(if is_whole(*view) { *view } else { view - first_block });
        }
        for (number, counts) in self.counts.iter_mut().enumerate() {
            counts.push(i64::from(read_counter(record, counter + number)));
        }
    }

    fn finish(self, blocks: &[Buffer]) -> Result<Vec<ArrayRef>, ArrowError> {
        let blocks: Arc<[Buffer]> = blocks[self.first_block..=self.last_block].into();
        let keys = self.keys.into_iter().map(|views| text_column(views, Arc::clone(&blocks)));
        let counts = self.counts.into_iter().map(|counts| Ok(Arc::new(Int64Array::from(counts)) as ArrayRef));
        keys.chain(counts).collect()
    }
}

/// Reads the keys of a record that are not minor as views into its block.
fn read_majors(layout: &Layout, (record, block): (&[u64], usize), first: usize, views: &mut [u128]) {
    let mut at = layout.head();
    for key in &layout.majors {
        let (view, string) = read_key(&record[at..]);
        let offset = (first + at + 1) * size_of::<u64>();
        views[*key] = if is_whole(view) { view } else { view | (block as u128) << 64 | (offset as u128) << 96 };
        at += 1 + string.len();
    }
}

fn text_column(mut views: Vec<u128>, blocks: Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
    let nulls = views.contains(&NULL).then(|| views.iter().map(|view| *view != NULL).collect::<NullBuffer>());
    views.iter_mut().filter(|view| **view == NULL).for_each(|view| *view = 0);
    Ok(Arc::new(StringViewArray::try_new(ScalarBuffer::from(views), blocks, nulls)?))
}
