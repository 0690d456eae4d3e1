//! A hash table of text keys and row counts.
//!
//! Keys with a handful of short values have no part in the hash: a record holds counts for all their combinations. What is looked
//! at together lies together, in one or two lines of the processor's cache.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use datafusion::arrow::buffer::NullBuffer;

use super::batch::Groups;
use super::keys::{Keys, hash_key, is_whole, words, words_of};
use super::minor::Minors;
use super::records::{COUNTERS, Records};

const SLOTS_MIN: usize = 1 << 10;
/// Slots that the next groups find at most, when those before needed as many: they tend to be about as many again.
const SLOTS_KEPT_MAX: usize = 1 << 19;
/// Blocks of records beyond which groups are better handed on.
const BLOCKS_MAX: usize = 1 << 10;
/// Rows whose memory is asked for together, so that one does not wait for the next.
const WARM_ROWS: usize = 32;
/// Choices of minor keys that may turn out to be wrong, until none are chosen.
const WRONG_CHOICES_MAX: usize = 3;

/// How much a row adds to a counter.
#[derive(Clone, Copy)]
pub(super) enum Amounts<'a> {
    One,
    /// One, where it is valid.
    Valid(&'a NullBuffer),
    /// What earlier counting came to.
    Counted(&'a [i64]),
}

impl Amounts<'_> {
    #[inline]
    pub(super) fn of(&self, row: usize) -> u64 {
        match self {
            Self::One => 1,
            Self::Valid(valid) => u64::from(valid.is_valid(row)),
            Self::Counted(counts) => u64::try_from(counts[row]).unwrap_or_default(),
        }
    }
}

/// Groups of rows with the same keys, and how many rows each has, counted in one or more ways.
pub(super) struct GroupTable {
    keys: usize,
    counters: usize,
    seed: u64,
    /// Chosen by the first rows.
    layout: Option<Layout>,
    wrong_choices: usize,
    /// Upper half of the hash, and one more than the position of the record; 0 where the slot is free. A power of two, at most half
    /// of them taken. A record's slot is told by the uppermost bits, so that what a slot holds is enough to move it.
    slots: Vec<u64>,
    records: Records,
    groups: usize,
    hashes: Vec<u64>,
    combinations: Vec<u8>,
}

/// What a record is made of.
pub(super) struct Layout {
    pub(super) minors: Minors,
    /// The keys that are not minor, which records are found by.
    pub(super) majors: Vec<usize>,
    /// Counters of a combination of minor keys.
    pub(super) counters: usize,
}

/// How rows went into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    All,
    /// The groups have to be taken before this row and those behind it can be added.
    Before(usize),
}

impl GroupTable {
    /// A table that counts in `counters` ways, at least one.
    pub(super) fn new(keys: usize, counters: usize) -> Self {
        Self {
            keys,
            counters,
            // Keys come from files that anybody may write: a fixed seed would let them all collide.
            seed: RandomState::new().hash_one(0_u64),
            layout: None,
            wrong_choices: 0,
            slots: vec![0; SLOTS_MIN],
            records: Records::default(),
            groups: 0,
            hashes: Vec::new(),
            combinations: Vec::new(),
        }
    }

    pub(super) const fn groups(&self) -> usize {
        self.groups
    }

    pub(super) const fn is_full(&self) -> bool {
        self.records.blocks() > BLOCKS_MAX
    }

    /// Memory it holds.
    pub(super) fn bytes(&self) -> usize {
        (self.slots.capacity() + self.hashes.capacity()) * size_of::<u64>() + self.records.bytes()
    }

    /// Counts the rows from `first` on. There are amounts for each counter.
    pub(super) fn add(&mut self, keys: &Keys<'_>, amounts: &[Amounts<'_>], first: usize) -> Added {
        let mut layout = self.layout.take().unwrap_or_else(|| self.choose(keys));
        let mut combinations = std::mem::take(&mut self.combinations);
        layout.minors.number(keys, first, &mut combinations);
        let end = first + combinations.len();
        self.hash(keys, &layout, first..end);
        for start in (first..end).step_by(WARM_ROWS) {
            let rows = start..(start + WARM_ROWS).min(end);
            self.warm(rows.start - first..rows.end - first);
            for row in rows {
                if (self.records.len() + 1) * 2 > self.slots.len() {
                    self.grow();
                }
                let record = self.find(keys, &layout, (row, self.hashes[row - first]));
                let counter = usize::from(combinations[row - first]) * self.counters;
                self.count((record, counter), amounts, row);
            }
        }
        self.layout = Some(layout);
        self.combinations = combinations;
        if end == keys.rows() {
            return Added::All;
        }
        self.wrong_choices += 1;
        Added::Before(end)
    }

    fn choose(&mut self, keys: &Keys<'_>) -> Layout {
        let minors =
            if self.wrong_choices < WRONG_CHOICES_MAX { Minors::choose(keys, self.counters) } else { Minors::none() };
        let majors = (0..self.keys).filter(|key| !minors.has(*key)).collect();
        Layout { minors, majors, counters: self.counters }
    }

    #[inline]
    fn count(&mut self, (record, counter): (u32, usize), amounts: &[Amounts<'_>], row: usize) {
        for (number, amounts) in amounts.iter().enumerate() {
            let before = self.records.count((record, counter + number), amounts.of(row));
            // A group's first counter is one ahead, so that it is there when nothing was counted yet.
            if number == 0 && before == 0 {
                self.records.count((record, counter), 1);
                self.groups += 1;
            }
        }
    }

    /// Reads what the rows will be compared with, for nothing but to have it near.
    #[inline]
    fn warm(&self, rows: Range<usize>) {
        let shift = shift(&self.slots);
        let mut found = [0; WARM_ROWS];
        for (found, hash) in found.iter_mut().zip(&self.hashes[rows]) {
            *found = self.slots[(*hash >> shift) as usize];
        }
        let near = |found: &u64| position(*found).map_or(0, |position| self.records.touch(position));
        std::hint::black_box(found.iter().map(near).fold(0, |all, word| all ^ word));
    }

    /// The record of a row; a new one where there is none.
    #[inline]
    fn find(&mut self, keys: &Keys<'_>, layout: &Layout, (row, hash): (usize, u64)) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = (hash >> shift(&self.slots)) as usize;
        loop {
            let found = self.slots[slot];
            let Some(position) = position(found) else {
                let position = self.add_record(keys, layout, row);
                self.slots[slot] = taken(hash, position);
                return position;
            };
            if found & TAG == hash & TAG && self.is_equal(position, (keys, layout), row) {
                return position;
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline]
    fn is_equal(&self, record: u32, (keys, layout): (&Keys<'_>, &Layout), row: usize) -> bool {
        let mut known = &self.records.at(record)[layout.head()..];
        for key in &layout.majors {
            let column = &keys.columns()[*key];
            let view = column.view(row);
            // Length and first bytes; a view that holds its string is the string.
            if known[0] != view as u64 {
                return false;
            }
            let length = if is_whole(view) {
                if known[1] != (view >> 64) as u64 {
                    return false;
                }
                1
            } else {
                let length = words(view);
                if !words_of(column.text(view)).zip(&known[1..=length]).all(|(word, known)| word == *known) {
                    return false;
                }
                length
            };
            known = &known[1 + length..];
        }
        true
    }

    fn add_record(&mut self, keys: &Keys<'_>, layout: &Layout, row: usize) -> u32 {
        let head = layout.head();
        let columns = || layout.majors.iter().map(|key| &keys.columns()[*key]);
        let length = |view| if is_whole(view) { 2 } else { 1 + words(view) };
        let needed = head + columns().map(|column| length(column.view(row))).sum::<usize>();
        let (position, record) = self.records.begin(needed);
        record.extend(std::iter::repeat_n(0, head));
        for column in columns() {
            let view = column.view(row);
            record.push(view as u64);
            if is_whole(view) {
                record.push((view >> 64) as u64);
            } else {
                record.extend(words_of(column.text(view)));
            }
        }
        position
    }

    /// Doubles the slots.
    #[cold]
    fn grow(&mut self) {
        let slots = self.slots.len() * 2;
        let mut next = vec![0_u64; slots];
        let shift = shift(&next);
        for taken in self.slots.iter().filter(|slot| **slot != 0) {
            let mut slot = (taken >> shift) as usize;
            while next[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            next[slot] = *taken;
        }
        self.slots = next;
    }

    /// Frees all slots. Their memory stays if as many would be needed again and that is not much.
    fn clear_slots(&mut self) {
        let needed = ((self.records.len() + 1) * 2).next_power_of_two().clamp(SLOTS_MIN, SLOTS_KEPT_MAX);
        if needed == self.slots.len() {
            self.slots.fill(0);
        } else {
            self.slots = vec![0; needed];
        }
    }

    fn hash(&mut self, keys: &Keys<'_>, layout: &Layout, rows: Range<usize>) {
        self.hashes.clear();
        self.hashes.resize(rows.len(), self.seed);
        for key in &layout.majors {
            let column = &keys.columns()[*key];
            for (row, hash) in rows.clone().zip(self.hashes.iter_mut()) {
                let view = column.view(row);
                *hash = hash_key(*hash, view, || words_of(column.text(view)));
            }
        }
    }

    /// Hands out all groups, at most `rows_max` in a batch, and begins anew.
    pub(super) fn take(&mut self, rows_max: usize) -> Option<Groups> {
        self.clear_slots();
        self.groups = 0;
        let records = std::mem::take(&mut self.records);
        Some(Groups::new(records, (self.keys, self.layout.take()?), rows_max.max(1)))
    }

    /// Takes back the memory of groups that were taken, for those to come.
    pub(super) fn reuse(&mut self, taken: Groups) {
        if self.records.len() == 0 {
            self.records = taken.into_records().emptied();
        }
    }
}

impl Layout {
    /// Words of a record's counters.
    #[inline]
    pub(super) const fn head(&self) -> usize {
        (self.minors.combinations() * self.counters).div_ceil(COUNTERS)
    }
}

const TAG: u64 = 0xffff_ffff_0000_0000;

/// The bits of a hash that do not tell the slot, of which there are at most 2^32.
#[inline]
const fn shift(slots: &[u64]) -> u32 {
    slots.len().leading_zeros() + 1
}

/// A slot that a record has taken.
#[inline]
const fn taken(hash: u64, position: u32) -> u64 {
    hash & TAG | (position as u64 + 1)
}

/// The record of a slot; `None` for a free one.
#[inline]
const fn position(slot: u64) -> Option<u32> {
    (slot as u32).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    type Row = (Option<String>, Option<String>);

    fn counted(rows: &[Row], batch_rows: usize) -> BTreeMap<Row, (i64, i64)> {
        let mut table = GroupTable::new(2, 2);
        let mut batches = Vec::new();
        for rows in rows.chunks(batch_rows) {
            let a: StringViewArray = rows.iter().map(|row| row.0.as_deref()).collect();
            let b: StringViewArray = rows.iter().map(|row| row.1.as_deref()).collect();
            let mut first = 0;
            let amounts = [Amounts::One, b.nulls().map_or(Amounts::One, Amounts::Valid)];
            while let Added::Before(row) = table.add(&Keys::new(&[&a, &b]), &amounts, first) {
                batches.extend(take_all(&mut table));
                first = row;
            }
        }
        let groups = table.groups();
        let last = take_all(&mut table);
        assert_eq!(last.iter().map(|columns| columns[0].len()).sum::<usize>(), groups);
        batches.extend(last);
        let mut found = BTreeMap::new();
        for columns in batches {
            let text = |column: usize, row: usize| {
                let array = columns[column].as_string_view();
                array.is_valid(row).then(|| array.value(row).to_owned())
            };
            let count = |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
            for row in 0..columns[0].len() {
                let counts: &mut (i64, i64) = found.entry((text(0, row), text(1, row))).or_default();
                *counts = (counts.0 + count(2, row), counts.1 + count(3, row));
            }
        }
        assert_eq!(table.groups(), 0);
        found
    }

    /// All groups of a table, which has their memory for others then.
    fn take_all(table: &mut GroupTable) -> Vec<Vec<ArrayRef>> {
        let Some(mut groups) = table.take(7) else { return Vec::new() };
        let batches = groups.by_ref().map(Result::unwrap).collect();
        table.reuse(groups);
        batches
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

    /// Few values at first, then more.
    fn growing(rows: usize, values: usize) -> Vec<Row> {
        let row = |row: usize| (Some(format!("user number {}", row % 37)), Some(format!("{}", row * values / rows)));
        (0..rows).map(row).collect()
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
    fn keys_with_more_and_more_values_are_no_longer_minor() {
        for values in [1, 3, 15, 16, 17, 300] {
            let rows = growing(9000, values);
            let mut expected: BTreeMap<Row, (i64, i64)> = BTreeMap::new();
            for row in &rows {
                let counts = expected.entry(row.clone()).or_default();
                *counts = (counts.0 + 1, counts.1 + 1);
            }
            assert_eq!(counted(&rows, 512), expected, "{values} values");
        }
    }

    #[test]
    fn strings_longer_than_a_block() {
        let long = |last: char| Some("x".repeat(1 << 20) + &last.to_string());
        let rows = [(long('a'), None), (None, long('b')), (long('c'), None), (long('a'), None), (None, None)];
        let found = counted(&rows, 2);
        assert_eq!(found.len(), 4);
        assert_eq!(found[&rows[0]], (2, 0));
    }

    #[test]
    fn it_grows() {
        let rows: Vec<Row> = (0..20_000).map(|n| (Some(format!("user number {}", n % 5000)), None)).collect();
        let found = counted(&rows, 1000);
        assert_eq!(found.len(), 5000);
        assert!(found.values().all(|counts| *counts == (4, 0)));
    }

    /// Adds as many groups, and takes them.
    fn pass(table: &mut GroupTable, groups: usize) {
        let texts: StringViewArray = (0..groups).map(|n| Some(format!("user number {n}"))).collect();
        assert_eq!(table.add(&Keys::new(&[&texts]), &[Amounts::One], 0), Added::All);
        assert_eq!(take_all(table).iter().map(|columns| columns[0].len()).sum::<usize>(), groups);
    }

    #[test]
    fn the_next_groups_have_the_memory_of_those_before() {
        let mut table = GroupTable::new(1, 1);
        pass(&mut table, 100_000);
        let bytes = table.bytes();
        assert!(bytes > 4_000_000, "{bytes}");
        pass(&mut table, 100_000);
        assert_eq!(table.bytes(), bytes);
        // What fewer do not need is given back.
        pass(&mut table, 60_000);
        assert!(table.bytes() < bytes);
    }

    #[test]
    fn batches_of_long_strings_have_fewer_rows() {
        for (bytes, expected) in [(2_000_000, [5, 3].as_slice()), (5_000_000, &[1; 8])] {
            // Four strings, each with two values of a minor key.
            let texts: StringViewArray = (0..8).map(|n| Some((n % 4).to_string().repeat(bytes))).collect();
            let minor: StringViewArray = (0..8).map(|n| Some(if n < 4 { "a" } else { "b" })).collect();
            let mut table = GroupTable::new(2, 1);
            assert_eq!(table.add(&Keys::new(&[&texts, &minor]), &[Amounts::One], 0), Added::All);
            let rows: Vec<usize> =
                table.take(100).into_iter().flatten().map(|columns| columns.unwrap()[0].len()).collect();
            assert_eq!(rows, expected, "{bytes} bytes");
        }
    }

    #[test]
    fn its_slots_follow_what_was_needed() {
        let mut table = GroupTable::new(1, 1);
        for (groups, slots) in
            [(5000, 1 << 14), (5000, 1 << 14), (10, SLOTS_MIN), (300_000, SLOTS_KEPT_MAX), (0, SLOTS_MIN)]
        {
            pass(&mut table, groups);
            assert_eq!(table.slots.len(), slots, "{groups} groups");
            assert!(table.slots.iter().all(|slot| *slot == 0));
        }
    }
}
