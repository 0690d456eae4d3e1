//! The boundary behind which CSV is read: structure of quotes and records, headers, inference, and the records of a split.
//!
//! Arrow's decoder does the parsing for now. Nothing outside this crate knows how; a record that cannot be read fails
//! the task with its place, and no record is ever dropped, doubled or turned to NULL silently.

mod header;
mod infer;
mod problem;
mod read;
mod structure;

pub use infer::{Inferred, SAMPLE_BYTES_MAX, Sample, infer, supports};
pub use read::{CsvTable, SplitRecords};
