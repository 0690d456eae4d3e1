//! How long the finished attempts of a stage took, well enough for their median. Counts per quarter of an octave, so that
//! neither memory nor the time of an entry grows with the stage.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Counts, by class of duration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Durations {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Durations {
    pub(crate) fn enter(&mut self, ms: u64) {
        *self.counts.entry(class_of(ms)).or_default() += 1;
        self.total += 1;
    }

    /// Half of them took no longer; up to a quarter more than the true median.
    pub(crate) fn median(&self) -> Option<Duration> {
        let mut seen = 0;
        let class = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen * 2 >= self.total
        });
        class.map(|(class, _)| Duration::from_millis(longest_of(*class)))
    }
}

/// Durations below 8 ms stand for themselves; above, each doubling has four classes.
const fn class_of(ms: u64) -> u64 {
    let octave = shift_of(ms);
    octave * 4 + (ms >> octave)
}

const fn shift_of(ms: u64) -> u64 {
    (61 - (ms | 4).leading_zeros()) as u64
}

/// The longest duration of a class, in milliseconds.
const fn longest_of(class: u64) -> u64 {
    if class < 8 {
        return class;
    }
    let octave = class / 4 - 1;
    ((class % 4 + 5) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_narrow_and_in_order() {
        for ms in 0..100_000 {
            let (class, longest) = (class_of(ms), longest_of(class_of(ms)));
            assert!(longest >= ms && longest * 4 <= ms * 5, "{ms} ms is in class {class} up to {longest} ms");
            assert_eq!(class_of(longest), class);
            assert_eq!(class_of(longest + 1), class + 1);
        }
    }

    #[test]
    fn the_median_is_found() {
        let mut durations = Durations::default();
        assert_eq!(durations.median(), None);
        for ms in [7, 1, 6, 2, 5, 1_000_000] {
            durations.enter(ms);
        }
        assert_eq!(durations.median(), Some(Duration::from_millis(5)));
    }
}
