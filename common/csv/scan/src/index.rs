//! What a scan leaves behind: the positions of separators, and which of them end records.

/// Where the fields and records of a chunk end. Filled by [`crate::Scanner::scan`]; reused from chunk to chunk.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Positions of separators after a first entry that stands for the byte before the chunk. Longer than what is used.
    separators: Vec<u32>,
    used: usize,
    record_ends: Vec<u32>,
    problems: Vec<Problem>,
    line_feeds: u64,
}

/// A byte that breaks the rules. The record that it belongs to cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// Its position in the chunk.
    pub position: u32,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong with a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// It follows a closing quote, and is neither a delimiter nor a line end.
    TextAfterQuote,
    /// It follows a carriage return outside quotes, and is no line feed.
    CarriageReturn,
}

/// Stands for the byte before the chunk: a field begins one after it.
const BEFORE: u32 = u32::MAX;
/// Separators of one block at most.
const BLOCK: usize = 64;

impl Index {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Positions of the separators, in order. The first entry is no separator: adding one to it, wrapping, gives the chunk's
    /// first byte. So field `i` begins one after entry `i` and ends before entry `i + 1`.
    #[must_use]
    pub fn separators(&self) -> &[u32] {
        &self.separators[..self.used]
    }

    /// For every record that ends in the chunk, the number of the entry in [`Index::separators`] that is its line feed. Blank
    /// lines and comments count as records.
    #[must_use]
    pub fn record_ends(&self) -> &[u32] {
        &self.record_ends
    }

    /// Broken rules, by position.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Line feeds in the chunk, within quotes too.
    #[must_use]
    pub const fn line_feeds(&self) -> u64 {
        self.line_feeds
    }

    /// Ends the last record of a file, which has no line feed, as if one stood at `position`.
    pub fn end_record(&mut self, position: u32) {
        self.reserve(BLOCK);
        self.push_record(position);
    }

    /// Forgets everything, and makes room for a chunk of that many bytes.
    pub(crate) fn reset(&mut self, chunk_bytes: usize) {
        self.used = 0;
        self.record_ends.clear();
        self.problems.clear();
        self.line_feeds = 0;
        self.reserve(chunk_bytes + BLOCK + 1);
        self.push(BEFORE);
    }

    fn reserve(&mut self, more: usize) {
        if self.separators.len() < self.used + more {
            self.separators.resize(self.used + more, 0);
        }
    }

    #[inline(always)]
    fn push(&mut self, position: u32) {
        if let Some(slot) = self.separators.get_mut(self.used) {
            *slot = position;
            self.used += 1;
        }
    }

    #[inline(always)]
    pub(crate) fn push_field(&mut self, position: u32) {
        self.push(position);
    }

    #[inline(always)]
    pub(crate) fn push_record(&mut self, position: u32) {
        self.record_ends.push(entry(self.used));
        self.push(position);
    }

    pub(crate) fn push_problem(&mut self, position: u32, kind: ProblemKind) {
        self.problems.push(Problem { position, kind });
    }

    pub(crate) const fn count_line_feeds(&mut self, count: u32) {
        self.line_feeds += count as u64;
    }

    /// Adds the separators of a block that begins at `base`; `ends` are those among them that end a record.
    #[inline(always)]
    pub(crate) fn push_block(&mut self, base: u32, separators: u64, ends: u64) {
        let mut left = ends;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let before = (separators & (bit - 1)).count_ones();
            self.record_ends.push(entry(self.used) + before);
            left ^= bit;
        }
        let window = self.separators.get_mut(self.used..self.used + BLOCK);
        let Some(window) = window.and_then(|window| <&mut [u32; BLOCK]>::try_from(window).ok()) else { return };
        let mut left = separators;
        let mut slot = 0;
        while left != 0 {
            window[slot % BLOCK] = base + left.trailing_zeros();
            left &= left - 1;
            slot += 1;
        }
        self.used += slot;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "chunks are shorter than 4 GiB, and so are lists of their positions"
)]
const fn entry(used: usize) -> u32 {
    used as u32
}
