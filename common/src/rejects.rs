//! Rejects: input records that could not be read. How many a job bears, and what is told of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Place;

const MILLION: u32 = 1_000_000;

/// Most rejects of an input; one more fails the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectLimit {
    /// That many.
    Records(u64),
    /// That share of the records that are read, in millionths; at most a million.
    Millionths(u32),
}

/// Text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of records such as 1000, or a share of them such as \"0.5%\"")]
pub struct RejectLimitError(String);

impl RejectLimit {
    /// The limit where none is given.
    pub const DEFAULT: Self = Self::Records(1000);

    /// Whether `rejected` of `records` are too many.
    #[must_use]
    pub fn is_exceeded(self, records: u64, rejected: u64) -> bool {
        match self {
            Self::Records(max) => rejected > max,
            Self::Millionths(max) => u128::from(rejected) * u128::from(MILLION) > u128::from(records) * u128::from(max),
        }
    }

    /// A limit that can be kept.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Records(_) => true,
            Self::Millionths(max) => max <= MILLION,
        }
    }

    /// A share of records as people write it, without the sign: at most four digits behind the point.
    fn millionths_of(percent: &str) -> Option<u32> {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || fraction.len() > 4 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let millionths = format!("{whole}{fraction:0<4}").parse().ok()?;
        (millionths <= MILLION).then_some(millionths)
    }
}

impl FromStr for RejectLimit {
    type Err = RejectLimitError;

    fn from_str(text: &str) -> Result<Self, RejectLimitError> {
        let limit = match text.trim().strip_suffix('%') {
            Some(percent) => Self::millionths_of(percent.trim_end()).map(Self::Millionths),
            None => text.trim().parse().ok().map(Self::Records),
        };
        limit.ok_or_else(|| RejectLimitError(text.to_owned()))
    }
}

impl fmt::Display for RejectLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(max) => write!(f, "{max}"),
            Self::Millionths(max) => {
                let text = format!("{}.{:04}", max / 10_000, max % 10_000);
                write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Where it is.
    pub place: Place,
    /// Why it could not be read, and its beginning.
    pub reason: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.reason, self.place)
    }
}

/// What became of the records of one input: `records = used + rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InputRecords {
    /// Name of the input.
    pub input: String,
    /// Records that were read.
    pub records: u64,
    /// Of those, the rows that the query was given.
    pub used: u64,
    /// Of those, the rejects.
    pub rejected: u64,
}

/// What one attempt tells of the records that it read. It counts only if the attempt wins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptRecords {
    /// By input.
    pub inputs: Vec<InputRecords>,
    /// The first of its rejects, at most [`AttemptRecords::FIRST_MAX`].
    pub first: Vec<FoundReject>,
    /// All of its rejects; `None` without any, and for a job without an output.
    pub file: Option<RejectsFile>,
}

impl AttemptRecords {
    /// Rejects that are told one by one, of an attempt and of a job.
    pub const FIRST_MAX: usize = 3;
}

/// A reject as its attempt found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReject {
    /// Name of its input.
    pub input: String,
    /// The link whose first line is its line 1, where the start of that link was guessed.
    pub link: Option<u32>,
    /// The record.
    pub reject: Reject,
}

/// The rejects of one attempt, in the job's staging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectsFile {
    /// Name below the job's `attempts/` directory; a single path component.
    pub staged: String,
    /// Number of rejects in it.
    pub rows: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_counts_or_shares() {
        for (text, limit, shown) in [
            ("0", RejectLimit::Records(0), "0"),
            (" 1000 ", RejectLimit::Records(1000), "1000"),
            ("1%", RejectLimit::Millionths(10_000), "1%"),
            ("0.25 %", RejectLimit::Millionths(2500), "0.25%"),
            ("0.0001%", RejectLimit::Millionths(1), "0.0001%"),
            ("100%", RejectLimit::Millionths(1_000_000), "100%"),
        ] {
            assert_eq!(text.parse(), Ok(limit), "{text}");
            assert_eq!(limit.to_string(), shown);
        }
        for text in ["", "%", "-1", "1.5", "101%", "1e2%", ".5%", "0.00001%", "many", "1000%", "+1%"] {
            assert!(text.parse::<RejectLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_exceeded_by_one_more() {
        assert!(!RejectLimit::Records(3).is_exceeded(10, 3));
        assert!(RejectLimit::Records(3).is_exceeded(10, 4));
        assert!(!RejectLimit::Millionths(10_000).is_exceeded(1000, 10));
        assert!(RejectLimit::Millionths(10_000).is_exceeded(1000, 11));
        assert!(!RejectLimit::Millionths(0).is_exceeded(0, 0));
        assert!(!RejectLimit::Millionths(1_000_000).is_exceeded(u64::MAX, u64::MAX));
    }
}
