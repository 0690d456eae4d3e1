//! One bit per byte of a block: which bytes are marks. With plain 64-bit words, for every processor.

use crate::state::Dialect;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// Where the marks of a block are; bit `i` is byte `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) delimiter: u64,
    pub(crate) quote: u64,
    pub(crate) line_feed: u64,
    pub(crate) carriage_return: u64,
}

/// Where the marks are that most dialects do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RareMasks {
    pub(crate) escape: u64,
    pub(crate) comment: u64,
}

/// The marks that are looked for. Without quotes, `quote` is a line feed and its mask is cleared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) has_quote: bool,
}

impl Marks {
    /// Finds them, eight bytes at a time.
    #[inline(always)]
    pub(crate) fn find(self, block: &[u8; BLOCK]) -> Masks {
        let (words, _) = block.as_chunks::<8>();
        let mut masks = Masks { delimiter: 0, quote: 0, line_feed: 0, carriage_return: 0 };
        for (number, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let shift = number * 8;
            masks.delimiter |= equal_bytes(word, self.delimiter) << shift;
            masks.quote |= equal_bytes(word, self.quote) << shift;
            masks.line_feed |= equal_bytes(word, b'\n') << shift;
            masks.carriage_return |= equal_bytes(word, b'\r') << shift;
        }
        self.without_quotes(masks)
    }

    #[inline(always)]
    pub(crate) const fn without_quotes(self, mut masks: Masks) -> Masks {
        if !self.has_quote {
            masks.quote = 0;
        }
        masks
    }
}

/// The marks that most dialects do not have. Without one of them, it is a line feed and its mask is cleared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RareMarks {
    pub(crate) escape: u8,
    pub(crate) comment: u8,
    has_escape: bool,
    has_comment: bool,
}

impl RareMarks {
    /// `None` for a dialect that has neither.
    pub(crate) fn of(dialect: &Dialect) -> Option<Self> {
        (dialect.escape.is_some() || dialect.comment.is_some()).then(|| Self {
            escape: dialect.escape.unwrap_or(b'\n'),
            comment: dialect.comment.unwrap_or(b'\n'),
            has_escape: dialect.escape.is_some(),
            has_comment: dialect.comment.is_some(),
        })
    }

    /// Finds them, eight bytes at a time.
    #[inline(always)]
    pub(crate) fn find(self, block: &[u8; BLOCK]) -> RareMasks {
        let (words, _) = block.as_chunks::<8>();
        let mut masks = RareMasks { escape: 0, comment: 0 };
        for (number, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            masks.escape |= equal_bytes(word, self.escape) << (number * 8);
            masks.comment |= equal_bytes(word, self.comment) << (number * 8);
        }
        self.without_absent(masks)
    }

    #[inline(always)]
    pub(crate) const fn without_absent(self, mut masks: RareMasks) -> RareMasks {
        if !self.has_escape {
            masks.escape = 0;
        }
        if !self.has_comment {
            masks.comment = 0;
        }
        masks
    }
}

/// Bit `i` of the result: byte `i` of `word` is `byte`.
#[inline(always)]
const fn equal_bytes(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte that is equal becomes zero; the sum sets the high bit of every other one, and carries into none.
    let difference = word ^ (LOW * byte as u64);
    let unequal = ((difference & SEVEN) + SEVEN) | difference;
    let equal = (!unequal >> 7) & LOW;
    // Gathers the lowest bit of every byte in the highest byte.
    equal.wrapping_mul(0x0102_0408_1020_4080) >> 56
}
