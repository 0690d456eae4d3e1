//! Memory for records of words, in blocks that never move: what is written stays where it is and can be handed out as it is.

use datafusion::arrow::buffer::Buffer;

use super::keys::{is_whole, words};

/// Words of a block; a longer record has a block of its own.
const BLOCK_WORDS: usize = 1 << 17;
const WORD: usize = size_of::<u64>();

/// Records, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Records {
    blocks: Vec<Vec<u64>>,
    starts: Vec<u32>,
}

impl Records {
    pub(super) const fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) const fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Memory it holds.
    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.blocks.iter().map(Vec::capacity).sum();
        words * WORD + self.starts.capacity() * size_of::<u32>()
    }

    /// Where the records begin.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The words from a position to the end of its block.
    #[inline]
    pub(super) fn at(&self, position: u32) -> &[u64] {
        let position = position as usize;
        &self.blocks[position / BLOCK_WORDS][position % BLOCK_WORDS..]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, position: u32) -> &mut [u64] {
        let position = position as usize;
        &mut self.blocks[position / BLOCK_WORDS][position % BLOCK_WORDS..]
    }

    /// Reads the beginning of a record, which takes up a line of the processor's cache as a rule.
    #[inline]
    pub(super) fn touch(&self, position: u32) -> u64 {
        let words = self.at(position);
        words[0] ^ words.get(7).copied().unwrap_or_default()
    }

    /// Begins a record of `words` words, all of which the caller adds to the block it gets.
    pub(super) fn begin(&mut self, words: usize) -> (u32, &mut Vec<u64>) {
        let has_room = self.blocks.last().is_some_and(|block| block.len() + words <= BLOCK_WORDS);
        if !has_room {
            self.blocks.push(Vec::with_capacity(words.max(BLOCK_WORDS)));
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let position = u32::try_from(number * BLOCK_WORDS + block.len()).unwrap_or(u32::MAX);
        self.starts.push(position);
        (position, block)
    }

    /// The blocks as buffers, and for each record its block and its first word there.
    pub(super) fn into_buffers(self) -> (Vec<Buffer>, impl Iterator<Item = (usize, usize)>) {
        let place = |start: u32| (start as usize / BLOCK_WORDS, start as usize % BLOCK_WORDS);
        (self.blocks.into_iter().map(Buffer::from).collect(), self.starts.into_iter().map(place))
    }
}

/// Adds one to a counter of a record, two of which share a word. Gives what it was.
#[inline]
pub(super) fn add_one(record: &mut [u64], counter: usize) -> u32 {
    let before = read_counter(record, counter);
    record[counter / 2] += 1 << (counter % 2 * 32);
    before
}

#[inline]
pub(super) fn read_counter(record: &[u64], counter: usize) -> u32 {
    (record[counter / 2] >> (counter % 2 * 32)) as u32
}

/// The key that begins at the first word: its view, which does not say where the string is, and the words behind the first, those
/// of the string where the view does not hold it.
#[inline]
pub(super) fn read_key(record: &[u64]) -> (u128, &[u64]) {
    let low = u128::from(record[0]);
    if is_whole(low) {
        return (low | u128::from(record[1]) << 64, &record[1..2]);
    }
    (low, &record[1..=words(low)])
}
