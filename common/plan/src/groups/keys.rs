//! Columns of text as keys: their views, the bytes of their strings, and hashes of both.

use datafusion::arrow::array::{Array, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer};

/// Longest string that a view holds itself.
const INLINE_MAX: u32 = 12;
/// Stands for NULL: no string is that long.
pub(super) const NULL: u128 = u32::MAX as u128;
const WORD: usize = size_of::<u64>();

/// Columns of text whose rows are the keys.
pub(super) struct Keys<'a> {
    columns: Vec<KeyColumn<'a>>,
    rows: usize,
}

/// One of them.
pub(super) struct KeyColumn<'a> {
    views: &'a [u128],
    buffers: &'a [Buffer],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(columns: &[&'a StringViewArray]) -> Self {
        let rows = columns.first().map_or(0, |column| column.len());
        let column = |array: &'a StringViewArray| KeyColumn {
            views: array.views(),
            buffers: array.data_buffers(),
            nulls: array.nulls().filter(|nulls| nulls.null_count() > 0),
        };
        Self { columns: columns.iter().copied().map(column).collect(), rows }
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// The hash of all keys of a row.
    pub(super) fn hash(&self, row: usize, seed: u64) -> u64 {
        self.columns.iter().fold(seed, |hash, column| {
            let view = column.view(row);
            hash_key(hash, view, || words_of(column.text(view)))
        })
    }

    pub(super) fn columns(&self) -> &[KeyColumn<'a>] {
        &self.columns
    }
}

impl<'a> KeyColumn<'a> {
    #[inline]
    pub(super) fn view(&self, row: usize) -> u128 {
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => NULL,
            Some(_) | None => self.views[row],
        }
    }

    /// The bytes of a string that its view does not hold.
    #[inline]
    pub(super) fn text(&self, view: u128) -> &'a [u8] {
        let (buffer, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
        &self.buffers[buffer][offset..offset + length(view) as usize]
    }
}

/// Bytes of the string of a view.
#[inline]
pub(super) const fn length(view: u128) -> u32 {
    view as u32
}

/// The view holds its string, or there is none.
#[inline]
pub(super) const fn is_whole(view: u128) -> bool {
    length(view) <= INLINE_MAX || view == NULL
}

/// Words that the string of a view takes up.
#[inline]
pub(super) const fn words(view: u128) -> usize {
    (length(view) as usize).div_ceil(WORD)
}

/// The bytes of a string that a view does not hold, as words; the last one is filled up with zeros.
#[inline]
pub(super) fn words_of(text: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = text.as_chunks::<WORD>();
    // Such a string is longer than a word, so the last one can be cut out of its last bytes.
    let last = text.last_chunk::<WORD>().filter(|_| !rest.is_empty());
    let last = last.map(|last| u64::from_le_bytes(*last) >> (8 * (WORD - rest.len())));
    words.iter().copied().map(u64::from_le_bytes).chain(last)
}

/// Mixes a key into a hash. `text` gives the words of a string that its view does not hold.
#[inline]
pub(super) fn hash_key<W: Iterator<Item = u64>>(hash: u64, view: u128, text: impl FnOnce() -> W) -> u64 {
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
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}
