//! Object stores and file systems behind one door: where input files are, and the primitives that the commit stands on.
//!
//! Only the local file system so far; HDFS joins it behind the same functions.

mod commit_fs;
mod decompress;
mod error;
mod glob;
mod listing;
mod location;
mod source;
mod transcode;
mod writer;

pub use commit_fs::{CommitFs, EntryKind, Exchange, ListedFile, LocalCommitFs, commit_fs};
pub use error::StorageError;
pub use listing::{FILES_MAX, InputFile, list_input, list_inputs};
pub use location::{Location, register_stores};
pub use source::{
    ByteSource, FileStart, SplitLines, check_unchanged, content_end, file_of, open_content, open_range, open_split,
    read_range, read_start,
};
pub use writer::FileWriter;
