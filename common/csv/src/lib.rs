//! CSV input: the records of a split as record batches, and what its file is made of.
//!
//! A split guesses where its first record starts, and reports what it took for granted ([`SplitRecords::scan`]), so that a chain
//! of splits can be proved right. No record is dropped, doubled or turned to NULL silently: what cannot be read fails the task
//! with its place, or is put aside with it. Knows no wire format and no plan.

mod column;
mod dialect;
mod field;
mod filter;
mod header;
mod infer;
mod link;
mod problem;
mod read;
mod rows;
mod run;
mod segment;
mod segments;
mod views;

pub use column::supports;
pub use filter::{ColumnFilter, Order, Test};
pub use header::byte_order_mark;
pub use infer::{Inferred, SAMPLE_BYTES_MAX, Sample, infer};
pub use problem::{RejectedRecord, show};
pub use read::{CsvTable, SplitRecords};
