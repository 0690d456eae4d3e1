//! The definition: which byte ends a field or a record. Everything faster is tested against it.

use crate::ProblemKind;

/// The bytes with a meaning. All differ, and none is a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields; `None` where quotes are plain text.
    pub quote: Option<u8>,
    /// In a quoted field: the byte after it is plain text.
    pub escape: Option<u8>,
    /// A line that begins with it is no record.
    pub comment: Option<u8>,
    /// Spaces and tabs may stand between a closing quote and the end of its field.
    pub trim: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, comment: None, trim: false }
    }
}

/// What the bytes before the next one amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// A record begins.
    RecordStart,
    /// A field begins, not the first of its record.
    FieldStart,
    /// In an unquoted field; a quote is text there.
    Unquoted,
    /// In a quoted field.
    Quoted,
    /// In a quoted field, after the escape byte.
    Escaped,
    /// After a quote in a quoted field: its end, or the first half of a doubled quote.
    Closed,
    /// After blanks behind a closing quote, where they are forgiven.
    AfterQuote,
    /// After a carriage return outside quotes: the first half of a line end.
    CarriageReturn,
    /// In a comment.
    Comment,
}

/// What a byte does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It belongs to a field, a comment or a line end.
    Inside,
    /// It is a delimiter.
    Field,
    /// It is the line feed that ends a record, a comment or a blank line.
    Record,
}

impl State {
    /// Takes one byte: what it does, what comes after it, and what is wrong with it.
    #[must_use]
    pub const fn step(self, byte: u8, dialect: &Dialect) -> (Self, Step, Option<ProblemKind>) {
        match self {
            Self::Quoted if is(byte, dialect.escape) => (Self::Escaped, Step::Inside, None),
            Self::Quoted if is(byte, dialect.quote) => (Self::Closed, Step::Inside, None),
            Self::Closed if is(byte, dialect.quote) => (Self::Quoted, Step::Inside, None),
            Self::Quoted | Self::Escaped => (Self::Quoted, Step::Inside, None),
            Self::Comment if byte != b'\n' => (Self::Comment, Step::Inside, None),
            Self::RecordStart if is(byte, dialect.comment) => (Self::Comment, Step::Inside, None),
            Self::RecordStart | Self::FieldStart if is(byte, dialect.quote) => (Self::Quoted, Step::Inside, None),
            Self::Closed | Self::AfterQuote if dialect.trim && is_blank(byte) && byte != dialect.delimiter => {
                (Self::AfterQuote, Step::Inside, None)
            }
            Self::Closed | Self::AfterQuote => {
                let (next, step) = plain(byte, dialect);
                let problem = if matches!(next, Self::Unquoted) { Some(ProblemKind::TextAfterQuote) } else { None };
                (next, step, problem)
            }
            Self::CarriageReturn => {
                let (next, step) = plain(byte, dialect);
                let problem = if byte == b'\n' { None } else { Some(ProblemKind::CarriageReturn) };
                (next, step, problem)
            }
            Self::RecordStart | Self::FieldStart | Self::Unquoted | Self::Comment => {
                let (next, step) = plain(byte, dialect);
                (next, step, None)
            }
        }
    }

    /// Inside a quoted field whose closing quote has not come.
    #[must_use]
    pub const fn is_in_quotes(self) -> bool {
        matches!(self, Self::Quoted | Self::Escaped)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is(byte: u8, mark: Option<u8>) -> bool {
    match mark {
        Some(mark) => byte == mark,
        None => false,
    }
}

/// A byte outside quotes.
const fn plain(byte: u8, dialect: &Dialect) -> (State, Step) {
    match byte {
        b'\n' => (State::RecordStart, Step::Record),
        b'\r' => (State::CarriageReturn, Step::Inside),
        _ if byte == dialect.delimiter => (State::FieldStart, Step::Field),
        _ => (State::Unquoted, Step::Inside),
    }
}
