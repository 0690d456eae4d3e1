//! Scans chunks of any size, one after the other, and carries the state between them.

use crate::block::{Block, resolve, resolve_rare};
use crate::index::Index;
use crate::masks::{BLOCK, Marks, Masks, RareMarks, RareMasks};
use crate::simd;
use crate::state::{Dialect, State, Step};

/// How blocks are read. All give the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The fastest that this processor has.
    Best,
    /// 64-bit words.
    Words,
    /// Byte by byte: the definition.
    Steps,
}

/// Follows the structure of a file.
#[derive(Debug, Clone)]
pub struct Scanner {
    dialect: Dialect,
    kernel: Kernel,
    state: State,
}

impl Scanner {
    /// A scanner that begins in `state`; [`State::RecordStart`] at the beginning of a file.
    #[must_use]
    pub const fn new(dialect: Dialect, state: State) -> Self {
        Self::with_kernel(dialect, state, Kernel::Best)
    }

    /// The same, with the kernel to use.
    #[must_use]
    pub const fn with_kernel(dialect: Dialect, state: State, kernel: Kernel) -> Self {
        Self { dialect, kernel, state }
    }

    /// What the bytes so far amount to.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Scans `chunk`, which follows the bytes scanned before, and fills `index` with what it finds.
    ///
    /// Only the first 4 GiB less one byte of a chunk are looked at.
    pub fn scan(&mut self, chunk: &[u8], index: &mut Index) {
        let chunk = &chunk[..chunk.len().min(u32::MAX as usize - 1)];
        index.reset(chunk.len());
        let mut pass = Pass { dialect: &self.dialect, state: self.state, base: 0, index };
        let quote = self.dialect.quote.unwrap_or(b'\n');
        let marks = Marks { delimiter: self.dialect.delimiter, quote, has_quote: self.dialect.quote.is_some() };
        let (blocks, rest) = chunk.as_chunks::<BLOCK>();
        match (self.kernel, RareMarks::of(&self.dialect)) {
            (Kernel::Steps, _) => blocks.iter().for_each(|block| pass.step(block)),
            (Kernel::Best, rare) if simd::scan(&mut pass, (marks, rare), blocks) => {}
            (Kernel::Best | Kernel::Words, None) => blocks.iter().for_each(|block| pass.take(block, marks.find(block))),
            (Kernel::Best | Kernel::Words, Some(rare)) => {
                blocks.iter().for_each(|block| pass.take_rare(block, marks.find(block), rare.find(block)));
            }
        }
        pass.step(rest);
        self.state = pass.state;
    }
}

/// One walk over a chunk.
pub(crate) struct Pass<'a> {
    dialect: &'a Dialect,
    state: State,
    /// Position of the next byte.
    base: u32,
    index: &'a mut Index,
}

impl Pass<'_> {
    /// Takes a block by its masks.
    #[inline(always)]
    pub(crate) fn take(&mut self, block: &[u8; BLOCK], masks: Masks) {
        self.enter(block, masks, resolve(masks, self.state));
    }

    /// The same for a dialect with escapes or comments.
    #[inline(always)]
    pub(crate) fn take_rare(&mut self, block: &[u8; BLOCK], masks: Masks, rare: RareMasks) {
        self.enter(block, masks, resolve_rare(masks, rare, self.state));
    }

    #[inline(always)]
    fn enter(&mut self, block: &[u8; BLOCK], masks: Masks, found: Option<Block>) {
        let Some(found) = found else {
            self.step(block);
            return;
        };
        self.index.push_block(self.base, found.separators, found.ends);
        self.index.count_line_feeds(masks.line_feed.count_ones());
        self.state = found.next;
        self.base += BLOCK as u32;
    }

    /// Takes bytes one by one.
    fn step(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let (next, step, problem) = self.state.step(*byte, self.dialect);
            match step {
                Step::Inside => {}
                Step::Field => self.index.push_field(self.base),
                Step::Record => self.index.push_record(self.base),
            }
            if let Some(kind) = problem {
                self.index.push_problem(self.base, kind);
            }
            self.index.count_line_feeds(u32::from(*byte == b'\n'));
            self.state = next;
            self.base += 1;
        }
    }
}
