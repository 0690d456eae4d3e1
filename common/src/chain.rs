//! Chains of input splits: how a file is cut where nobody has looked for record starts yet, and proved right afterwards.
//!
//! A link is one input split of a file that was cut into several. Its reader guesses where its first record starts, and
//! reports where it started and where its last record ended; it is right when its start is the end of the link before it.

use serde::{Deserialize, Serialize};

/// Where a record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordStart {
    /// Byte offset in the file.
    pub byte: u64,
    /// Physical line, from 1.
    pub line: u64,
}

/// What an attempt found out about one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkScan {
    /// Number of the link in its stage.
    pub link: u32,
    /// The records that the attempt read.
    pub read: LinkSpan,
    /// The records that it would have read, had the link begun inside quotes; only from an attempt that guessed.
    pub quoted: Option<LinkSpan>,
}

/// The records that start in a link, under one assumption about its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSpan {
    /// First record start at or after the link's first byte.
    pub start: u64,
    /// Where they end; `None` where the attempt failed before.
    pub end: Option<LinkEnd>,
}

/// Where the records of a link end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEnd {
    /// First record start at or after the link's end.
    pub byte: u64,
    /// Physical lines from the span's start to here.
    pub lines: u64,
}
