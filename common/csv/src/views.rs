//! Text columns as views into the bytes that were read.
//!
//! The only place that skips a check: arrow would look at every string for UTF-8 again, which the segments have been.
#![expect(unsafe_code, reason = "views are made of bytes that were checked as a whole")]

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringViewArray};
use arrow::buffer::{Buffer, ScalarBuffer};

/// Longest string that a view holds itself.
const INLINE_MAX: usize = 12;

/// Collects strings.
pub(crate) struct Views {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    buffers: Vec<Buffer>,
    /// Number of the buffer of the segment at hand.
    current: Option<u32>,
    /// Strings that do not stand in a segment as they are, and the number of their buffer.
    own: Vec<u8>,
    own_buffer: Option<u32>,
}

impl Views {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            views: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
            buffers: Vec::new(),
            current: None,
            own: Vec::new(),
            own_buffer: None,
        }
    }

    /// What follows stands in other bytes.
    pub(crate) fn begin_segment(&mut self) {
        self.current = None;
    }

    pub(crate) fn push_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    /// Adds a string that stands at `start` of `segment`, which is UTF-8.
    #[inline]
    pub(crate) fn push_at(&mut self, segment: &[u8], (start, length): (usize, usize), buffer: &Buffer) {
        let view = if length <= INLINE_MAX {
            inline(segment, start, length)
        } else {
            let number = match self.current {
                Some(number) => number,
                None => self.add_buffer(buffer),
            };
            reference(&segment[start..start + length], number, start)
        };
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// The same, so that nothing holds the segment.
    #[inline]
    pub(crate) fn push_copy(&mut self, segment: &[u8], (start, length): (usize, usize)) {
        if length > INLINE_MAX {
            self.push_owned(&segment[start..start + length]);
            return;
        }
        self.views.push(inline(segment, start, length));
        self.nulls.append_non_null();
    }

    /// Adds a string that stands nowhere; it is UTF-8.
    pub(crate) fn push_owned(&mut self, text: &[u8]) {
        let view = if text.len() <= INLINE_MAX {
            inline(text, 0, text.len())
        } else {
            let number = *self.own_buffer.get_or_insert_with(|| {
                self.buffers.push(Buffer::from(Vec::<u8>::new()));
                number(self.buffers.len() - 1)
            });
            let start = self.own.len();
            self.own.extend_from_slice(text);
            reference(text, number, start)
        };
        self.views.push(view);
        self.nulls.append_non_null();
    }

    #[cold]
    fn add_buffer(&mut self, buffer: &Buffer) -> u32 {
        self.buffers.push(buffer.clone());
        let number = number(self.buffers.len() - 1);
        self.current = Some(number);
        number
    }

    pub(crate) fn finish(&mut self, rows: usize) -> ArrayRef {
        if let Some(number) = self.own_buffer.take() {
            self.buffers[number as usize] = Buffer::from(std::mem::take(&mut self.own));
        }
        self.current = None;
        let views = ScalarBuffer::from(std::mem::replace(&mut self.views, Vec::with_capacity(rows)));
        let buffers: Arc<[Buffer]> = std::mem::take(&mut self.buffers).into();
        let nulls = self.nulls.finish();
        if cfg!(debug_assertions) {
            return Arc::new(StringViewArray::new(views, buffers, nulls));
        }
        // SAFETY: every view was made by `inline` or `reference`, from bytes that lie in their buffer and are UTF-8: segments are
        // checked as a whole and cut at ASCII separators only, own strings are decoded from such bytes. Every test, built with
        // debug assertions, takes the branch above, which checks all of it.
        Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a batch has far fewer buffers than 2^32")]
const fn number(index: usize) -> u32 {
    index as u32
}

/// A view that holds its string.
#[inline]
fn inline(bytes: &[u8], start: usize, length: usize) -> u128 {
    let word = match bytes.get(start..start + 16).and_then(|word| <[u8; 16]>::try_from(word).ok()) {
        Some(word) => u128::from_le_bytes(word),
        None => load_short(&bytes[start..start + length]),
    };
    let mask = (1u128 << (length * 8)) - 1;
    (word & mask) << 32 | length as u128
}

/// At most 15 bytes, as the lowest ones of a word.
#[cold]
fn load_short(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte))
}

/// A view of a string that is longer than [`INLINE_MAX`].
#[inline]
fn reference(text: &[u8], buffer: u32, offset: usize) -> u128 {
    let prefix = text.first_chunk::<4>().map_or(0, |prefix| u32::from_le_bytes(*prefix));
    text.len() as u128 | u128::from(prefix) << 32 | u128::from(buffer) << 64 | (offset as u128) << 96
}
