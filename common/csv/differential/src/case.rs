//! Cases from bytes: the first few choose how the rest is read.

use hearth_scan::{Dialect, State};

/// Bytes of a case that are looked at; more would make it slow, not different.
const BYTES_MAX: usize = 4096;

/// The choices that begin a case, and its text.
pub(crate) struct Choices<'a> {
    choices: [u8; 4],
    pub(crate) text: &'a [u8],
}

impl<'a> Choices<'a> {
    /// `None` where there are too few bytes.
    pub(crate) fn new(input: &'a [u8]) -> Option<Self> {
        let (choices, text) = input.split_first_chunk()?;
        Some(Self { choices: *choices, text: &text[..text.len().min(BYTES_MAX)] })
    }

    pub(crate) const fn byte(&self, number: usize) -> u8 {
        self.choices[number]
    }

    /// Whether a bit of a choice is set.
    pub(crate) const fn has(&self, number: usize, bit: u8) -> bool {
        self.choices[number] & 1 << bit != 0
    }

    /// How records are written, from the first choice.
    pub(crate) fn dialect(&self) -> Dialect {
        let quote = [Some(b'"'), Some(b'"'), Some(b'\''), None][usize::from(self.byte(0) >> 2 & 3)];
        Dialect {
            delimiter: b",;\t|"[usize::from(self.byte(0) & 3)],
            quote,
            escape: (quote.is_some() && self.has(0, 4)).then_some(b'\\'),
            comment: self.has(0, 5).then_some(b'#'),
            trim: self.has(0, 6),
        }
    }

    /// What stands before the text, from the second choice.
    pub(crate) fn state(&self) -> State {
        const STATES: [State; 9] = [
            State::RecordStart,
            State::FieldStart,
            State::Unquoted,
            State::Quoted,
            State::Escaped,
            State::Closed,
            State::AfterQuote,
            State::CarriageReturn,
            State::Comment,
        ];
        STATES[usize::from(self.byte(1)) % STATES.len()]
    }

    /// A position in the text, or its end; the same part of it whatever its length.
    pub(crate) fn position(&self, number: usize) -> usize {
        usize::from(self.byte(number)) * (self.text.len() + 1) / 256
    }
}
