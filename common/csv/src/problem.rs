//! What is wrong with a record, where, and how people are told.

use std::fmt;

use hearth_common::{FailureCause, Place};
use hearth_scan::ProblemKind;

/// Bytes of a record or a value that a message shows.
const SHOWN_BYTES_MAX: usize = 200;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// More or fewer fields than its file has columns.
    Fields { found: usize, expected: usize },
    /// A quoted field goes on after its closing quote.
    TextAfterQuote,
    /// A carriage return stands alone outside quotes.
    CarriageReturn,
    /// The file ends inside a quoted field.
    UnclosedQuote,
    /// It is longer than allowed.
    TooLong { bytes_max: u64 },
    /// It holds a byte that is not UTF-8.
    Encoding { byte: u8 },
    /// A field is not of its column's type.
    Value { text: String, expected: String },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { found, expected } => {
                let fields = if *found == 1 { "field" } else { "fields" };
                write!(f, "the record has {found} {fields}, expected {expected}")
            }
            Self::TextAfterQuote => f.write_str(
                "text follows the closing quote of a field; double the quotes inside it, or set the option quote or escape",
            ),
            Self::CarriageReturn => {
                f.write_str("a carriage return stands alone outside quotes; lines end with LF or CRLF")
            }
            Self::UnclosedQuote => f.write_str("a quoted field has no closing quote"),
            Self::TooLong { bytes_max } => {
                write!(
                    f,
                    "the record is longer than {bytes_max} bytes: a closing quote may be missing; else raise max_record_bytes"
                )
            }
            Self::Encoding { byte } => write!(
                f,
                "byte 0x{byte:02x} is not UTF-8; set encoding = \"latin-1\" if the file is written in ISO 8859-1"
            ),
            Self::Value { text, expected } => write!(
                f,
                "{} is not of type {expected}; declare the column in the input's schema if its type was inferred",
                show(text.as_bytes())
            ),
        }
    }
}

impl From<ProblemKind> for Reason {
    fn from(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::TextAfterQuote => Self::TextAfterQuote,
            ProblemKind::CarriageReturn => Self::CarriageReturn,
        }
    }
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRecord {
    pub(crate) reason: Reason,
    /// Offset in the file of its first byte.
    pub(crate) byte: u64,
    /// Line feeds before it, from the start of the split's first record.
    pub(crate) lines: u64,
    pub(crate) column: Option<String>,
    /// As it stands in the file.
    pub(crate) raw: Vec<u8>,
}

/// A record that cannot be read, or trouble that has nothing to do with one.
#[derive(Debug)]
pub(crate) enum Located {
    Record(Box<BadRecord>),
    Other(FailureCause),
}

impl Located {
    pub(crate) fn new(reason: Reason, raw: &[u8], (byte, lines): (u64, u64)) -> Self {
        Self::Record(Box::new(BadRecord { reason, byte, lines, column: None, raw: raw.to_vec() }))
    }

    /// As the cause of a failed attempt; `line` is that of the split's first record.
    pub(crate) fn into_cause(self, file: &str, line: u64) -> FailureCause {
        match self {
            Self::Record(record) => record.into_cause(file, line),
            Self::Other(cause) => cause,
        }
    }
}

impl From<FailureCause> for Located {
    fn from(cause: FailureCause) -> Self {
        Self::Other(cause)
    }
}

/// A record that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Offset in the file of its first byte.
    pub byte: u64,
    /// Its line: in the file where the start of its split was known, else from the split's first record, which is on line 1.
    pub line: u64,
    /// The column whose value is not of its type.
    pub column: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// As it stands in the file, without its line end.
    pub raw: Vec<u8>,
}

impl RejectedRecord {
    /// What is wrong with it, and its beginning.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}; the record is {}", self.reason, show(&self.raw))
    }
}

impl BadRecord {
    /// As a record that is put aside; `line` is that of the split's first record.
    pub(crate) fn into_rejected(self, line: u64) -> RejectedRecord {
        let reason = self.reason.to_string();
        RejectedRecord { byte: self.byte, line: line + self.lines, column: self.column, reason, raw: self.raw }
    }

    fn into_cause(self, file: &str, line: u64) -> FailureCause {
        let shown = show(&self.raw);
        FailureCause::Task {
            message: format!("cannot read a CSV record: {}; the record is {shown}", self.reason),
            place: Some(Place {
                file: file.to_owned(),
                line: Some(line + self.lines),
                byte: Some(self.byte),
                column: self.column,
            }),
        }
    }
}

/// A record or a value in quotes, cut where it gets long.
#[must_use]
pub fn show(raw: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&raw[..raw.len().min(SHOWN_BYTES_MAX)]).into_owned();
    let more = if raw.len() > SHOWN_BYTES_MAX {
        format!(" and {} more bytes", raw.len() - SHOWN_BYTES_MAX)
    } else {
        String::new()
    };
    format!("`{}`{more}", shown.escape_debug())
}

/// A failure of a whole file.
pub(crate) fn of_file(file: &str, message: impl Into<String>) -> FailureCause {
    FailureCause::Task { message: message.into(), place: Some(Place { file: file.to_owned(), ..Place::default() }) }
}
