//! Key columns with a handful of short values, such as a status. Their values become numbers, so that a table needs one record
//! for all combinations of them.

use super::keys::{KeyColumn, Keys, NULL, is_whole};
use super::short_texts::ShortTexts;

/// Counters in a record at most: what lies in one line of the processor's cache.
const COUNTERS_MAX: usize = 16;
/// Rows by which columns are chosen.
const SAMPLE_ROWS: usize = 1 << 13;
/// Room for values of a column at least.
const VALUES_MIN: usize = 4;

/// The columns that were chosen.
#[derive(Debug, Default)]
pub(super) struct Minors {
    columns: Vec<Minor>,
    /// Combinations of values that there is room for.
    combinations: usize,
}

#[derive(Debug)]
struct Minor {
    key: usize,
    /// Distance between the numbers of combinations that differ by one in this column's value.
    stride: usize,
    values_max: usize,
    values: ShortTexts,
}

impl Minors {
    /// No column: each combination of keys has a record of its own.
    pub(super) const fn none() -> Self {
        Self { columns: Vec::new(), combinations: 1 }
    }

    /// Chooses columns by the first rows, for records that count in `counters` ways. One column at least is left out.
    pub(super) fn choose(keys: &Keys<'_>, counters: usize) -> Self {
        let values_max = COUNTERS_MAX / counters;
        let count = |(key, column): (usize, &KeyColumn<'_>)| Some((few_values(column, keys.rows(), values_max)?, key));
        let mut few: Vec<(usize, usize)> = keys.columns().iter().enumerate().filter_map(count).collect();
        few.sort_unstable();
        few.truncate(keys.columns().len() - 1);
        let mut chosen = Self::none();
        for (values, key) in few {
            // Room for one that the first rows do not show.
            let values_max = (values + 1).next_power_of_two().max(VALUES_MIN);
            let combinations = chosen.combinations * values_max;
            if combinations * counters <= COUNTERS_MAX {
                let (stride, values) = (chosen.combinations, ShortTexts::new(values_max));
                chosen.columns.push(Minor { key, stride, values_max, values });
                chosen.combinations = combinations;
            }
        }
        chosen
    }

    /// Combinations of values that there is room for; their numbers are below.
    pub(super) const fn combinations(&self) -> usize {
        self.combinations
    }

    pub(super) fn has(&self, key: usize) -> bool {
        self.columns.iter().any(|column| column.key == key)
    }

    /// Numbers the combinations of the rows from `first` on. Ends before a row for whose values there is no room.
    pub(super) fn number(&mut self, keys: &Keys<'_>, first: usize, numbers: &mut Vec<u8>) {
        numbers.clear();
        numbers.resize(keys.rows() - first, 0);
        for minor in &mut self.columns {
            let column = &keys.columns()[minor.key];
            for (ahead, number) in numbers.iter_mut().enumerate() {
                let Some(value) = minor.values.number(column.view(first + ahead)) else {
                    numbers.truncate(ahead);
                    break;
                };
                *number += (value * minor.stride) as u8;
            }
        }
    }

    /// The keys that were chosen, each with its view in every combination.
    pub(super) fn values(&self) -> impl Iterator<Item = (usize, Vec<u128>)> {
        self.columns.iter().map(|minor| {
            let value = |combination: usize| combination / minor.stride % minor.values_max;
            let view = |combination: usize| minor.values.views().get(value(combination)).copied().unwrap_or(NULL);
            (minor.key, (0..self.combinations).map(view).collect())
        })
    }
}

/// The number of a column's values, if they are short and fewer than `values_max`.
fn few_values(column: &KeyColumn<'_>, rows: usize, values_max: usize) -> Option<usize> {
    let mut values: Vec<u128> = Vec::new();
    for row in 0..rows.min(SAMPLE_ROWS) {
        let view = column.view(row);
        if !values.contains(&view) {
            values.push(view);
            if !is_whole(view) || values.len() >= values_max {
                return None;
            }
        }
    }
    Some(values.len())
}
