//! Memory for records of words, in blocks that never move and that the records of the next groups can have.
//!
//! A record begins with counters, four in a word: most groups are small, and there are many of them. What a counter of 16 bits
//! cannot hold is kept beside the records.

use std::collections::HashMap;

use super::keys::{is_whole, words};

/// Words of the first block, and of the largest: each is twice as large as the one before. A longer record has a block of its own.
const FIRST_BLOCK_WORDS: usize = 1 << 11;
const BLOCK_WORDS: usize = 1 << 17;
const WORD: usize = size_of::<u64>();
const COUNTER_BITS: usize = 16;
/// Counters in a word.
pub(super) const COUNTERS: usize = u64::BITS as usize / COUNTER_BITS;
/// The bits of a counter, and the uppermost one, which stays set when it carries.
const LOW: u64 = u16::MAX as u64;
const HALF: u64 = 1 << 15;
/// The lowest bit of each counter of a word.
const ONES: u64 = u64::MAX / LOW;

/// Records, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Records {
    blocks: Vec<Vec<u64>>,
    starts: Vec<u32>,
    carried: Carried,
    /// Blocks that others have had, the next one last.
    spare: Vec<Vec<u64>>,
}

/// By record and counter.
type Carried = HashMap<(u32, usize), u64>;

impl Records {
    /// None, in the memory that these needed.
    pub(super) fn emptied(self) -> Self {
        let Self { blocks: mut spare, mut starts, .. } = self;
        starts.clear();
        spare.reverse();
        spare.iter_mut().for_each(Vec::clear);
        Self { starts, spare, ..Self::default() }
    }

    pub(super) const fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) const fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Memory it holds.
    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.blocks.iter().chain(&self.spare).map(Vec::capacity).sum();
        let carried = self.carried.capacity() * size_of::<((u32, usize), u64)>();
        words * WORD + self.starts.capacity() * size_of::<u32>() + carried
    }

    /// The words from a position to the end of its block.
    #[inline]
    pub(super) fn at(&self, position: u32) -> &[u64] {
        let (block, word) = place(position);
        &self.blocks[block][word..]
    }

    /// Reads the beginning of a record, which takes up a line of the processor's cache as a rule.
    #[inline]
    pub(super) fn touch(&self, position: u32) -> u64 {
        let words = self.at(position);
        words[0] ^ words.get(7).copied().unwrap_or_default()
    }

    /// Begins a record of `words` words, all of which the caller adds to the block it gets.
    pub(super) fn begin(&mut self, words: usize) -> (u32, &mut Vec<u64>) {
        let fits = |block: &Vec<u64>| block.len() + words <= block.capacity().min(BLOCK_WORDS);
        if !self.blocks.last().is_some_and(fits) {
            self.add_block(words);
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let position = u32::try_from(number * BLOCK_WORDS + block.len()).unwrap_or(u32::MAX);
        self.starts.push(position);
        (position, block)
    }

    fn add_block(&mut self, words_min: usize) {
        let words = words_min.max((FIRST_BLOCK_WORDS << self.blocks.len().min(16)).min(BLOCK_WORDS));
        let kept = self.spare.pop().filter(|block| block.capacity() >= words);
        self.blocks.push(kept.unwrap_or_else(|| Vec::with_capacity(words)));
    }

    /// Adds to a counter. Gives its bits before: none are set only where nothing was added, which holds for what is carried too.
    #[inline]
    pub(super) fn count(&mut self, (record, counter): (u32, usize), amount: u64) -> u16 {
        let (block, start) = place(record);
        let word = &mut self.blocks[block][start + counter / COUNTERS];
        let shift = counter % COUNTERS * COUNTER_BITS;
        let before = *word >> shift & LOW;
        let sum = before.saturating_add(amount);
        let kept = if sum > LOW { HALF | (sum % HALF) } else { sum };
        *word = *word & !(LOW << shift) | kept << shift;
        if sum > LOW {
            let carried = self.carried.entry((record, counter)).or_default();
            *carried = carried.saturating_add(sum - kept);
        }
        before as u16
    }

    /// One of them, in the order in which they were added.
    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<Record<'_>> {
        let position = *self.starts.get(number)?;
        Some(Record { words: self.at(position), position, carried: &self.carried })
    }
}

/// One record.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// Its words, and what follows.
    pub(super) words: &'a [u64],
    position: u32,
    carried: &'a Carried,
}

impl Record<'_> {
    /// Which of the first so many counters, of those so far apart, anything was ever added to: a bit for each.
    #[inline]
    pub(super) fn touched(&self, count: usize, distance: usize) -> u32 {
        if distance == 1 {
            let words = self.words[..count.div_ceil(COUNTERS)].iter().enumerate();
            return words.fold(0, |touched, (number, word)| touched | touched_of(*word) << (number * COUNTERS));
        }
        (0..count).fold(0, |touched, number| touched | u32::from(self.low(number * distance) != 0) << number)
    }

    /// What a counter came to.
    #[inline]
    pub(super) fn counter(&self, counter: usize) -> u64 {
        if self.carried.is_empty() {
            self.low(counter)
        } else {
            self.low(counter).saturating_add(self.carried(counter))
        }
    }

    #[inline]
    fn low(&self, counter: usize) -> u64 {
        self.words[counter / COUNTERS] >> (counter % COUNTERS * COUNTER_BITS) & LOW
    }

    #[cold]
    fn carried(&self, counter: usize) -> u64 {
        self.carried.get(&(self.position, counter)).copied().unwrap_or_default()
    }
}

/// A bit for each counter of a word that is not 0.
#[inline]
const fn touched_of(word: u64) -> u32 {
    const UPPERMOST: u64 = ONES * HALF;
    // The uppermost bit of each counter that has one.
    let has_bits = (word & !UPPERMOST).wrapping_add(!UPPERMOST) | word;
    // Brings those four bits together.
    const TOGETHER: u64 = 1 << 60 | 1 << 45 | 1 << 30 | 1 << 15;
    ((has_bits >> (COUNTER_BITS - 1) & ONES).wrapping_mul(TOGETHER) >> 60) as u32
}

/// The block of a position, and the word there.
#[inline]
const fn place(position: u32) -> (usize, usize) {
    (position as usize / BLOCK_WORDS, position as usize % BLOCK_WORDS)
}

/// The key that begins at the first word: its view, which does not say where the string is, and the number of words behind the
/// first, which are those of the string where the view does not hold it.
#[inline]
pub(super) fn read_key(record: &[u64]) -> (u128, usize) {
    let low = u128::from(record[0]);
    if is_whole(low) {
        return (low | u128::from(record[1]) << 64, 1);
    }
    (low, words(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counters_hold_any_sum(
            amounts in prop::collection::vec((0..7_usize, prop_oneof![0..4_u64, Just(1 << 16), 0..1_u64 << 20, 0..1_u64 << 40]), 1..60),
        ) {
            let mut records = Records::default();
            let (first, block) = records.begin(2);
            block.extend([0, 0]);
            let (second, block) = records.begin(2);
            block.extend([0, 0]);
            let mut expected = [0_u64; 7];
            for (counter, amount) in amounts {
                let before = records.count((second, counter), amount);
                prop_assert_eq!(before == 0, expected[counter] == 0);
                expected[counter] += amount;
                records.count((first, counter), 1);
            }
            let record = records.get(1).unwrap();
            prop_assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|counter| record.counter(counter)), expected);
            for distance in 1..4 {
                let of = expected.iter().step_by(distance).enumerate();
                let touched = of.map(|(counter, sum)| u32::from(*sum > 0) << counter).sum::<u32>();
                prop_assert_eq!(record.touched(7_usize.div_ceil(distance), distance), touched);
            }
        }
    }

    #[test]
    fn any_bit_of_a_counter_is_seen() {
        let values = [0, 1, 0x7fff, 0x8000, 0xffff];
        let of = |places: [usize; COUNTERS]| {
            let word = (0..).zip(places).map(|(counter, place)| values[place] << (counter * COUNTER_BITS)).sum();
            let expected: u32 = (0..).zip(places).map(|(counter, place)| u32::from(values[place] > 0) << counter).sum();
            assert_eq!(touched_of(word), expected, "{word:016x}");
        };
        for place in 0..values.len().pow(4) {
            of([place % 5, place / 5 % 5, place / 25 % 5, place / 125]);
        }
    }
}
