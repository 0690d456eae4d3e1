//! What is wrong with a line, and how people are told.

use std::fmt;

use hearth_common::{FailureCause, Place};
use hearth_csv::{RejectedRecord, show};

use super::lines::{LINE_BYTES_MAX, Line};
use super::object::Malformed;

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is not one object.
    Malformed(Malformed),
    /// It is longer than records may be.
    TooLong,
    /// It holds a byte that is not UTF-8.
    Encoding { byte: u8 },
    /// It names the column twice.
    Twice,
    /// The column's value, as it stands in the line, is not of its type.
    Value { text: Vec<u8>, expected: String },
    /// What the decoder says of a line that has nothing else against it.
    Undecodable(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TooLong => write!(f, "the record is longer than {LINE_BYTES_MAX} bytes: a line end may be missing"),
            Self::Encoding { byte } => write!(f, "byte 0x{byte:02x} is not UTF-8, as JSON has to be"),
            Self::Twice => f.write_str("the record names the column twice"),
            Self::Value { text, expected } => write!(
                f,
                "{} is not of type {expected}; declare the column in the input's schema if its type was inferred",
                show(text)
            ),
            Self::Undecodable(message) => f.write_str(message),
        }
    }
}

/// What is wrong, and with which column, if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) column: Option<String>,
}

impl Problem {
    pub(super) const fn of_record(reason: Reason) -> Self {
        Self { reason, column: None }
    }
}

/// A line that cannot be read.
#[derive(Debug)]
pub(super) struct BadLine {
    pub(super) line: Line,
    pub(super) problem: Problem,
}

impl BadLine {
    /// As a record that is put aside; `first_line` is the number of the split's first line.
    pub(super) fn into_rejected(self, first_line: u64) -> RejectedRecord {
        let Problem { reason, column } = self.problem;
        let Line { bytes, byte, number, .. } = self.line;
        RejectedRecord { byte, line: first_line + number, column, reason: reason.to_string(), raw: bytes.into() }
    }

    /// As the cause of a failed attempt. Where a piece of a file begins at an unknown line, the place has none.
    pub(super) fn into_cause(self, file: &str, first_line: Option<u64>) -> FailureCause {
        let rejected = self.into_rejected(first_line.unwrap_or(1));
        FailureCause::Task {
            message: format!("cannot read a JSON record: {}", rejected.describe()),
            place: Some(Place {
                file: file.to_owned(),
                line: first_line.map(|_| rejected.line),
                byte: Some(rejected.byte),
                column: rejected.column,
            }),
        }
    }
}
