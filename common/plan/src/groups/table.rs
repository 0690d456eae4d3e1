//! A hash table of text keys and row counts. Its keys are views, so that it can hand them out as columns without copying them.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::error::ArrowError;

/// Longest string that a view holds itself.
const INLINE_MAX: u32 = 12;
/// Stands for NULL: no string is that long.
const NULL: u128 = u32::MAX as u128;
const SLOTS_MIN: usize = 1 << 10;
/// Offsets of a view have 32 bits; long before that the groups are better handed on.
const RECORD_BYTES_MAX: usize = 1 << 30;
const WORD: usize = size_of::<u64>();
/// Rows whose memory is asked for together, so that one does not wait for the next.
const WARM_ROWS: usize = 32;

/// Groups of rows with the same keys, and how many rows each has, counted in one or more ways.
pub(super) struct GroupTable {
    keys: usize,
    counts: usize,
    seed: u64,
    /// Upper half of the hash, and one more than the position of the group's record; 0 where the slot is free. A power of two, at
    /// most half of them taken.
    slots: Vec<u64>,
    /// For each group its counts, the two words of each key's view, and the bytes of those keys that their views do not hold,
    /// filled up with zeros. So what is looked at together lies together, and the views point into this very memory.
    records: Vec<u64>,
    /// Where each record begins.
    starts: Vec<u32>,
    hashes: Vec<u64>,
}

/// Columns of text whose rows are the keys.
pub(super) struct Keys<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

struct Column<'a> {
    views: &'a [u128],
    buffers: &'a [Buffer],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(columns: &[&'a StringViewArray]) -> Self {
        let rows = columns.first().map_or(0, |column| column.len());
        let column = |array: &'a StringViewArray| Column {
            views: array.views(),
            buffers: array.data_buffers(),
            nulls: array.nulls().filter(|nulls| nulls.null_count() > 0),
        };
        Self { columns: columns.iter().copied().map(column).collect(), rows }
    }
}

impl<'a> Column<'a> {
    #[inline]
    fn view(&self, row: usize) -> u128 {
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => NULL,
            Some(_) | None => self.views[row],
        }
    }

    /// The bytes of a string that its view does not hold.
    #[inline]
    fn text(&self, view: u128) -> &'a [u8] {
        let (buffer, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
        &self.buffers[buffer][offset..offset + length(view) as usize]
    }
}

impl GroupTable {
    pub(super) fn new(keys: usize, counts: usize) -> Self {
        Self {
            keys,
            counts,
            // Keys come from files that anybody may write: a fixed seed would let them all collide.
            seed: RandomState::new().hash_one(0_u64),
            slots: vec![0; SLOTS_MIN],
            records: Vec::new(),
            starts: Vec::new(),
            hashes: Vec::new(),
        }
    }

    pub(super) const fn groups(&self) -> usize {
        self.starts.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.records.len() * WORD > RECORD_BYTES_MAX
    }

    /// Memory it holds.
    pub(super) fn bytes(&self) -> usize {
        let words = self.slots.capacity() + self.records.capacity() + self.hashes.capacity();
        words * WORD + self.starts.capacity() * size_of::<u32>()
    }

    /// Counts rows: `counted` says for each count which rows it counts, all of them where it is `None`.
    pub(super) fn add(&mut self, keys: &Keys<'_>, counted: &[Option<&NullBuffer>]) {
        self.hash(keys);
        for first in (0..keys.rows).step_by(WARM_ROWS) {
            let rows = first..(first + WARM_ROWS).min(keys.rows);
            self.warm(rows.clone());
            for row in rows {
                if (self.groups() + 1) * 2 > self.slots.len() {
                    self.grow();
                }
                let record = self.find(keys, row);
                for (count, counted) in self.records[record..record + self.counts].iter_mut().zip(counted) {
                    *count += u64::from(counted.is_none_or(|valid| valid.is_valid(row)));
                }
            }
        }
    }

    /// Reads what the rows will be compared with, for nothing but to have it near.
    #[inline]
    fn warm(&self, rows: Range<usize>) {
        let mask = self.slots.len() - 1;
        let mut found = [0; WARM_ROWS];
        for (found, hash) in found.iter_mut().zip(&self.hashes[rows]) {
            *found = self.slots[*hash as usize & mask];
        }
        let record = |found: &u64| self.records.get((found & !TAG) as usize + self.counts).copied().unwrap_or_default();
        std::hint::black_box(found.iter().map(record).fold(0, |all, word| all ^ word));
    }

    /// The record of a row's group; a new one where there is none.
    #[inline]
    fn find(&mut self, keys: &Keys<'_>, row: usize) -> usize {
        let hash = self.hashes[row];
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                self.slots[slot] = tag(hash) | (self.records.len() as u64 + 1);
                return self.add_group(keys, row);
            }
            if found & TAG == tag(hash) {
                let record = (found & !TAG) as usize - 1;
                if self.is_equal(record, keys, row) {
                    return record;
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline]
    fn is_equal(&self, record: usize, keys: &Keys<'_>, row: usize) -> bool {
        let known = &self.records[record + self.counts..][..self.keys * 2];
        known.as_chunks::<2>().0.iter().zip(&keys.columns).all(|([low, high], column)| {
            let view = column.view(row);
            // Length and first bytes; a view that holds its string is the string.
            if *low != view as u64 {
                return false;
            }
            if is_whole(view) {
                return *high == (view >> 64) as u64;
            }
            let start = (*high >> 32) as usize / WORD;
            words_of(column.text(view)).eq(self.records[start..].iter().copied().take(words(view)))
        })
    }

    fn add_group(&mut self, keys: &Keys<'_>, row: usize) -> usize {
        let record = self.records.len();
        self.starts.push(u32::try_from(record).unwrap_or(u32::MAX));
        self.records.resize(record + self.counts, 0);
        let mut text_start = record + self.counts + self.keys * 2;
        for column in &keys.columns {
            let view = column.view(row);
            let high = if is_whole(view) {
                (view >> 64) as u64
            } else {
                let start = (text_start * WORD) as u64;
                text_start += words(view);
                start << 32
            };
            self.records.extend([view as u64, high]);
        }
        for column in &keys.columns {
            let view = column.view(row);
            if !is_whole(view) {
                self.records.extend(words_of(column.text(view)));
            }
        }
        record
    }

    /// Doubles the slots. Groups are found again by hashing their keys.
    #[cold]
    fn grow(&mut self) {
        let slots = self.slots.len() * 2;
        let mut next = vec![0_u64; slots];
        for start in &self.starts {
            let record = *start as usize;
            let keys = self.records[record + self.counts..][..self.keys * 2].as_chunks::<2>().0;
            let hash = keys.iter().fold(self.seed, |hash, [low, high]| {
                let view = u128::from(*low) | u128::from(*high) << 64;
                let text = self.records[(*high >> 32) as usize / WORD..].iter().copied();
                hash_key(hash, view, || text.take(words(view)))
            });
            let mut slot = hash as usize & (slots - 1);
            while next[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            next[slot] = tag(hash) | (record as u64 + 1);
        }
        self.slots = next;
    }

    fn hash(&mut self, keys: &Keys<'_>) {
        self.hashes.clear();
        self.hashes.resize(keys.rows, self.seed);
        for column in &keys.columns {
            for (row, hash) in self.hashes.iter_mut().enumerate() {
                let view = column.view(row);
                *hash = hash_key(*hash, view, || words_of(column.text(view)));
            }
        }
    }

    /// Hands out all groups, at most `rows_max` in a batch of columns, and begins anew.
    pub(super) fn take(&mut self, rows_max: usize) -> Result<Vec<Vec<ArrayRef>>, ArrowError> {
        let records = std::mem::take(&mut self.records);
        let starts = std::mem::take(&mut self.starts);
        self.slots = vec![0; SLOTS_MIN];
        let memory = Buffer::from(records);
        let records: &[u64] = memory.typed_data();
        let batch = |starts: &[u32]| {
            let word = |number: usize| starts.iter().map(move |start| records[*start as usize + number]);
            let keys = (0..self.keys).map(|key| {
                let (low, high) = (word(self.counts + key * 2), word(self.counts + key * 2 + 1));
                text_column(
                    low.zip(high).map(|(low, high)| u128::from(low) | u128::from(high) << 64).collect(),
                    &memory,
                )
            });
            let counts = (0..self.counts).map(|count| {
                let counts = word(count).map(|count| i64::try_from(count).unwrap_or(i64::MAX));
                Ok(Arc::new(counts.collect::<Int64Array>()) as ArrayRef)
            });
            keys.chain(counts).collect::<Result<Vec<ArrayRef>, ArrowError>>()
        };
        starts.chunks(rows_max.max(1)).map(batch).collect()
    }
}

const TAG: u64 = 0xffff_ffff_0000_0000;

const fn tag(hash: u64) -> u64 {
    hash & TAG
}

#[inline]
const fn length(view: u128) -> u32 {
    view as u32
}

/// The view holds its string, or there is none.
#[inline]
const fn is_whole(view: u128) -> bool {
    length(view) <= INLINE_MAX || view == NULL
}

/// Words that the string of a view takes up.
#[inline]
const fn words(view: u128) -> usize {
    (length(view) as usize).div_ceil(WORD)
}

/// The bytes of a string as words in memory order, the last one filled up with zeros.
#[inline]
fn words_of(text: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = text.as_chunks::<WORD>();
    let last = (!rest.is_empty()).then(|| {
        let mut word = [0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        word
    });
    words.iter().copied().chain(last).map(u64::from_ne_bytes)
}

fn text_column(mut views: Vec<u128>, memory: &Buffer) -> Result<ArrayRef, ArrowError> {
    let nulls = views.contains(&NULL).then(|| views.iter().map(|view| *view != NULL).collect::<NullBuffer>());
    views.iter_mut().filter(|view| **view == NULL).for_each(|view| *view = 0);
    Ok(Arc::new(StringViewArray::try_new(ScalarBuffer::from(views), vec![memory.clone()], nulls)?))
}

/// Mixes a key into a hash. `text` gives the bytes of a view that does not hold its string.
#[inline]
fn hash_key<W: Iterator<Item = u64>>(hash: u64, view: u128, text: impl FnOnce() -> W) -> u64 {
    const LOW: u64 = 0x9e37_79b9_7f4a_7c15;
    const HIGH: u64 = 0xbf58_476d_1ce4_e5b9;
    if is_whole(view) {
        return fold(hash ^ view as u64, HIGH ^ (view >> 64) as u64 ^ hash.rotate_left(32));
    }
    let mixed = text().fold(hash ^ u64::from(length(view)), |hash, word| fold(hash ^ word, LOW));
    fold(mixed, HIGH)
}

/// Both halves of the product of two words, mixed.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<String>, Option<String>);

    fn counted(rows: &[Row], batch_rows: usize) -> BTreeMap<Row, (i64, i64)> {
        let mut table = GroupTable::new(2, 2);
        for rows in rows.chunks(batch_rows) {
            let a: StringViewArray = rows.iter().map(|row| row.0.as_deref()).collect();
            let b: StringViewArray = rows.iter().map(|row| row.1.as_deref()).collect();
            table.add(&Keys::new(&[&a, &b]), &[None, b.nulls()]);
        }
        let mut found = BTreeMap::new();
        for columns in table.take(7).unwrap() {
            let text = |column: usize, row: usize| {
                let array = columns[column].as_any().downcast_ref::<StringViewArray>().unwrap();
                array.is_valid(row).then(|| array.value(row).to_owned())
            };
            let count =
                |column: usize, row: usize| columns[column].as_any().downcast_ref::<Int64Array>().unwrap().value(row);
            for row in 0..columns[0].len() {
                let before = found.insert((text(0, row), text(1, row)), (count(2, row), count(3, row)));
                assert_eq!(before, None, "a group came twice");
            }
        }
        assert_eq!(table.groups(), 0);
        found
    }

    fn texts() -> impl Strategy<Value = Option<String>> {
        prop::option::weighted(
            0.9,
            prop_oneof![
                "[ab]{0,3}",
                "[ab]{11,14}",
                "a common beginning, [ab]{0,3}",
                Just("a common beginning, and the same length".to_owned()),
            ],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn groups_are_those_of_a_map(rows in vec((texts(), texts()), 0..300), batch_rows in 1..100_usize) {
            let mut expected: BTreeMap<Row, (i64, i64)> = BTreeMap::new();
            for row in &rows {
                let counts = expected.entry(row.clone()).or_default();
                counts.0 += 1;
                counts.1 += i64::from(row.1.is_some());
            }
            prop_assert_eq!(counted(&rows, batch_rows), expected);
        }
    }

    #[test]
    fn it_grows() {
        let rows: Vec<Row> = (0..20_000).map(|n| (Some(format!("user number {}", n % 5000)), None)).collect();
        let found = counted(&rows, 1000);
        assert_eq!(found.len(), 5000);
        assert!(found.values().all(|counts| *counts == (4, 0)));
    }
}
